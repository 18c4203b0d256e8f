//! History: what is behind the window, what it costs, and what older databases know of it.

use leveret_engine::archive::{ArchiveEntry, ArchiveFilter, ArchivePage};
use rusqlite::StatementStatus;

use super::{
    plans::{pages_written, statements},
    *,
};
use crate::store::{
    encode::{Code as _, Encoded as _},
    items::REMOVED_MAX,
    schema,
};

/// A window of one, and so many in all.
fn history(items: u32) -> Keep {
    Keep {
        history: items,
        ..Keep::window(1)
    }
}

/// An item that was published so many microseconds after the epoch.
fn reading(name: &str, published: i64) -> Arc<Item> {
    item_of(name, "<t xmlns='urn:x'>21.5</t>", published)
}

impl Database {
    fn archive(
        &self,
        filter: ArchiveFilter,
        page: PageRequest,
    ) -> (Vec<ArchiveEntry>, ArchivePage) {
        let query = StoreQuery::Archive {
            at: at("n"),
            filter: Box::new(filter),
            page,
            descending: false,
            since: None,
        };
        match self.asked(query) {
            StoreAnswer::Archive { entries, page } => (entries, page),
            other => panic!("{other:?}"),
        }
    }

    fn archived(&self) -> Vec<String> {
        let (entries, _) = self.archive(ArchiveFilter::default(), PageRequest::default());
        entries
            .iter()
            .map(|entry| entry.item.id.to_string())
            .collect()
    }

    fn counts(&self) -> (u32, u64, u64) {
        match (
            self.asked(StoreQuery::NodeCounts(at("n"))),
            self.asked(StoreQuery::NodeBytes(at("n"))),
        ) {
            (StoreAnswer::Counts { items: shown, .. }, StoreAnswer::Kept { items, bytes }) => {
                (shown, items, bytes)
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn s1_a_node_of_one_item_shows_one_and_its_archive_has_them_all() {
    let mut store = memory();
    store.done([put_node("n")]);
    for number in 1..=5 {
        store.done([put_kept("n", &reading("current", number), history(10))]);
    }
    assert_eq!(store.ids("n"), ["current"]);
    assert_eq!(store.archived(), ["current"; 5]);
    assert_eq!(store.counts(), (1, 5, 5 * 25));
    let (entries, page) = store.archive(ArchiveFilter::default(), page(2));
    assert_eq!(entries[1].item.published, time(2));
    assert_eq!(
        (page.count, page.index, page.complete),
        (Some(5), Some(0), false)
    );
}

#[test]
fn s4_the_history_stays_when_the_item_goes_and_tells_that_it_was() {
    let mut store = memory();
    store.done([put_node("n")]);
    for number in 1..=3 {
        let name = number.to_string();
        store.done([put_kept("n", &reading(&name, number), history(10))]);
    }
    let before = store
        .archive(ArchiveFilter::default(), PageRequest::default())
        .0;
    let retract = StoreOp::RemoveItems {
        at: at("n"),
        ids: vec![id("3"), id("1")],
    };
    assert_eq!(
        store.done([retract]),
        [1],
        "the first is not shown any more"
    );
    assert_eq!(store.ids("n"), Vec::<String>::new());
    let after = store
        .archive(ArchiveFilter::default(), PageRequest::default())
        .0;
    let ids = |entries: &[ArchiveEntry]| -> Vec<String> {
        entries.iter().map(|entry| entry.id.to_string()).collect()
    };
    assert_eq!(ids(&after), ids(&before));
    assert_eq!(after[2].item.published, time(3));
    assert!(after[2].retracted && after[2].item.payload.is_none());
    assert!(!after[1].retracted && after[1].item.payload.is_some());
    assert_eq!(store.counts(), (0, 3, 50));
}

#[test]
fn history_is_bounded_by_items_bytes_and_age_and_the_window_by_none_of_them() {
    for (keep, left) in [
        (history(4), ["17", "18", "19", "20"].as_slice()),
        // Three payloads of 25 bytes.
        (
            Keep {
                bytes: Some(80),
                ..history(u32::MAX)
            },
            &["18", "19", "20"],
        ),
        (
            Keep {
                since: Some(time(19)),
                ..history(u32::MAX)
            },
            &["19", "20"],
        ),
        (
            Keep {
                since: Some(time(50)),
                bytes: Some(1),
                ..history(1)
            },
            &["20"],
        ),
    ] {
        let mut store = memory();
        store.done([put_node("n")]);
        for number in 1..=20 {
            store.done([put_kept("n", &reading(&number.to_string(), number), keep)]);
        }
        assert_eq!(store.archived(), left, "{keep:?}");
        assert_eq!(store.ids("n"), ["20"], "{keep:?}");
    }
}

#[test]
fn what_is_expired_goes_wherever_it_is_and_is_not_shown_before() {
    let mut store = memory();
    store.done([put_node("n")]);
    for number in 1..=4 {
        store.done([put_kept(
            "n",
            &reading(&number.to_string(), number),
            Keep::window(9),
        )]);
    }
    let query = StoreQuery::Items {
        at: at("n"),
        max: 9,
        page: None,
        order: Order::default(),
        since: Some(time(3)),
        with_payload: false,
    };
    let StoreAnswer::Items { items, page } = store.asked(query) else {
        panic!("no items");
    };
    assert_eq!((items.len(), page.count, page.index), (2, 2, Some(0)));
    assert_eq!(store.counts().1, 4, "they are there, and not shown");
    let keep = Keep {
        unexpired: Some(time(3)),
        ..Keep::window(9)
    };
    store.done([StoreOp::TrimItems { at: at("n"), keep }]);
    assert_eq!(
        (store.ids("n"), store.counts().1),
        (vec!["3".into(), "4".into()], 2)
    );
    let all = Keep {
        unexpired: Some(time(9)),
        ..keep
    };
    store.done([StoreOp::TrimItems {
        at: at("n"),
        keep: all,
    }]);
    assert_eq!(store.counts(), (0, 0, 0));
    store.assert_no_orphans();
}

#[test]
fn s11_a_raise_that_is_stored_again_is_archived_once() {
    let mut store = memory();
    store.done([put_node("n")]);
    for name in ["1", "2", "2", "1"] {
        store.done([put_kept(
            "n",
            &reading(name, 7),
            Keep {
                shown: 5,
                ..history(10)
            },
        )]);
    }
    assert_eq!(store.archived(), ["2", "1"]);
    assert_eq!(store.counts(), (2, 2, 50));
}

#[test]
fn a_narrower_bound_takes_effect_in_steps_and_a_silent_node_is_swept() {
    let mut store = memory();
    store.done([put_node("n")]);
    let many = REMOVED_MAX + 100;
    let fill = (0..many).map(|number| put_kept("n", &reading("x", number), history(u32::MAX)));
    store.done(fill.collect::<Vec<_>>());
    let trim = || StoreOp::TrimItems {
        at: at("n"),
        keep: history(10),
    };
    store.done([trim()]);
    assert_eq!(store.counts().1, 100);
    store.done([trim()]);
    assert_eq!(store.counts().1, 10);
}

#[test]
fn the_sweep_comes_to_every_node_and_begins_anew() {
    let mut store = memory();
    for number in 0..5 {
        store.done([put_node(&format!("n{number}"))]);
    }
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let StoreAnswer::Sweep { nodes, next } = store.asked(StoreQuery::Sweep { after, max: 2 })
        else {
            panic!("no sweep");
        };
        seen.extend(nodes.iter().map(|(at, _)| at.node.to_string()));
        match next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen, ["n0", "n1", "n2", "n3", "n4"]);
}

/// Steps of SQLite's machine that `publishes` take at a node that keeps `items`, all of which are there.
fn steps_of_publishing(keep: Keep, publishes: i64) -> i64 {
    let mut store = memory();
    store.done([put_node("n")]);
    let filled = i64::from(keep.history.max(keep.shown)) + 64;
    let put = |number: i64| put_kept("n", &reading(&format!("i{number}"), number), keep);
    store.done((0..filled).map(put).collect::<Vec<_>>());
    let sources = [
        include_str!("../items/mod.rs"),
        include_str!("../items/tally.rs"),
        include_str!("../items/trim.rs"),
    ];
    let statements: Vec<_> = sources.into_iter().flat_map(statements).collect();
    let count = |store: &Database| -> i64 {
        let steps = statements.iter().map(|statement| {
            let cached = store.connection().prepare_cached(statement).unwrap();
            i64::from(cached.reset_status(StatementStatus::VmStep))
        });
        steps.sum()
    };
    count(&store);
    for number in 0..publishes {
        store.done([put(filled + number)]);
    }
    count(&store)
}

#[test]
fn trimming_costs_the_same_however_long_the_history_is() {
    let steps = |items| {
        let by_count = steps_of_publishing(history(items), 256);
        let by_all = Keep {
            bytes: Some(u64::from(items) * 25),
            since: Some(time(0)),
            unexpired: Some(time(0)),
            ..history(items)
        };
        (by_count, steps_of_publishing(by_all, 256))
    };
    let (few, many) = (steps(1_100), steps(11_000));
    assert!(few.0 > 256 * 20, "only {few:?} steps were seen");
    // A scan would take ten times as many.
    assert!(
        many.0 < few.0 * 11 / 10,
        "{few:?} steps with 1,100 items, {many:?} with 11,000"
    );
    assert!(
        many.1 < few.1 * 11 / 10,
        "{few:?} steps with 1,100 items, {many:?} with 11,000"
    );
}

#[test]
fn xep_0313_s3_the_ids_of_an_archive_are_the_same_after_a_restart_and_never_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Database::open(dir.path(), crate::store::Durability::Off, "localhost").unwrap();
    let ids = |store: &Database| -> Vec<Box<str>> {
        let (entries, _) = store.archive(ArchiveFilter::default(), PageRequest::default());
        entries.into_iter().map(|entry| entry.id).collect()
    };
    let mut store = open();
    store.done([put_node("n")]);
    store.done([
        put_kept("n", &reading("a", 1), history(5)),
        put_kept("n", &reading("a", 2), history(5)),
    ]);
    let before = ids(&store);
    drop(store);
    let mut store = open();
    assert_eq!(ids(&store), before);
    assert_eq!(before.len(), 2);
    // Numbers begin anew after a purge; ids do not.
    store.done([StoreOp::TrimItems {
        at: at("n"),
        keep: Keep::NOTHING,
    }]);
    store.done([put_kept("n", &reading("a", 3), history(5))]);
    assert!(!before.contains(&ids(&store)[0]));
    let gone = ArchiveFilter {
        after: Some(before[0].clone()),
        ..ArchiveFilter::default()
    };
    let query = StoreQuery::Archive {
        at: at("n"),
        filter: Box::new(gone),
        page: PageRequest::default(),
        descending: false,
        since: None,
    };
    assert!(matches!(store.query(&query), Err(Fault::NotFound)));
}

#[test]
fn times_are_found_by_halving_and_rightly_where_the_clock_went_back() {
    let mut store = memory();
    store.done([put_node("n")]);
    let times = [10, 20, 30, 5, 15, 25, 35, 45];
    for published in times {
        let item = reading(&published.to_string(), published);
        store.done([put_kept("n", &item, history(100))]);
    }
    let between = |start, end| {
        let filter = ArchiveFilter {
            start: Some(time(start)),
            end: Some(time(end)),
            ..ArchiveFilter::default()
        };
        let (entries, page) = store.archive(filter, PageRequest::default());
        assert_eq!(page.count, Some(entries.len() as u32));
        let times = entries.iter().map(|entry| entry.item.published.micros());
        times.collect::<Vec<_>>()
    };
    assert_eq!(between(15, 30), [20, 30, 15, 25]);
    assert_eq!(between(0, 9), [5]);
    assert_eq!(between(40, 99), [45]);
    assert_eq!(between(46, 99), [0; 0]);
}

/// A configuration as the first version had it, which had the first fields of the second.
fn first_config() -> Vec<u8> {
    let mut whole = NodeConfig::default().encode();
    whole[0] = 1;
    let fits = |len: &usize| NodeConfig::decode(&whole[..*len]).is_ok();
    let len = (1..whole.len()).find(fits).unwrap();
    whole.truncate(len);
    whole
}

/// A database as the first schema had it: a state, and a log with a hole.
fn first_schema(dir: &std::path::Path) {
    let conn = rusqlite::Connection::open(dir.join("leveret.db")).unwrap();
    conn.execute_batch(schema::V1).unwrap();
    conn.execute_batch(
        "INSERT INTO meta VALUES ('domain', 'localhost');
         PRAGMA application_id = 1282830964; PRAGMA user_version = 1;",
    )
    .unwrap();
    for (node, name) in [(1, "state"), (2, "n")] {
        conn.execute(
            "INSERT INTO node VALUES (?1, '', ?2, 'owner@localhost', 5, ?3)",
            rusqlite::params![node, name, first_config()],
        )
        .unwrap();
    }
    let known = item("1");
    let media = known.payload.as_ref().unwrap().media.code();
    for (node, seq, count, id) in [
        (1_i64, 9_i64, 1_i64, "current"),
        (2, 1, 1, "1"),
        (2, 2, 2, "2"),
        (2, 4, 3, "4"),
    ] {
        conn.execute(
            "INSERT INTO item VALUES (?1, ?2, ?3, ?4, 'dev7@localhost/board', ?3, ?5, ?6, CAST('<a xmlns=\"x\"/>' AS BLOB))",
            rusqlite::params![node << 35 | seq, count, seq, id, known.class.code(), media],
        )
        .unwrap();
        if node == 2 {
            conn.execute(
                "INSERT INTO item_id VALUES (?1, ?2, ?3)",
                rusqlite::params![node, id, seq],
            )
            .unwrap();
        }
    }
}

#[test]
fn a_database_of_the_first_schema_opens_and_begins_its_history() {
    let dir = tempfile::tempdir().unwrap();
    first_schema(dir.path());
    let mut store = Database::open(dir.path(), crate::store::Durability::Off, "localhost").unwrap();
    assert_eq!(store.ids("state"), ["current"]);
    assert_eq!(store.ids("n"), ["1", "2", "4"]);
    assert_eq!(store.counts(), (3, 3, 3 * 14));
    assert_eq!(store.archived(), ["1", "2", "4"]);
    let kept = Keep {
        shown: 2,
        ..history(10)
    };
    // What came before is history now, and the bytes of it are known.
    store.done([put_kept("n", &reading("2", 9), kept)]);
    assert_eq!(store.ids("n"), ["4", "2"]);
    assert_eq!(store.archived(), ["1", "2", "4", "2"]);
    assert_eq!(store.counts(), (2, 4, 3 * 14 + 25));
    store.done([put_kept("state", &reading("current", 12), history(10))]);
    assert_eq!(store.ids("state"), ["current"]);
    let StoreAnswer::Archive { entries, .. } = store.asked(StoreQuery::Archive {
        at: at("state"),
        filter: Box::default(),
        page: PageRequest::default(),
        descending: true,
        since: None,
    }) else {
        panic!("no archive");
    };
    let times: Vec<_> = entries
        .iter()
        .map(|entry| entry.item.published.micros())
        .collect();
    assert_eq!(times, [12, 9]);
    // And ends with it.
    store.done([put_kept("n", &reading("5", 10), Keep::window(2))]);
    assert_eq!(store.counts(), (2, 2, 50));
    assert_eq!(store.integrity_check().unwrap(), [""; 0]);
    store.assert_no_orphans();
}

#[test]
fn history_adds_no_page_to_a_publish() {
    // Each in a transaction of its own, as when somebody waits for each: what is written is whole pages.
    let alone = |keep: Keep| {
        pages_written(|store| {
            for number in 0..400 {
                let name = format!("n{}", number % 200);
                store.done([put_kept(&name, &reading(&number.to_string(), number), keep)]);
            }
        })
    };
    let (state, event) = (alone(Keep::window(1)), alone(Keep::window(20)));
    let history = alone(history(10_000));
    // Telemetry that nobody waits for goes in one: ten readings of forty nodes.
    let batch = |keep: Keep| {
        pages_written(|store| {
            let put = |number: i64| {
                let name = format!("n{}", number % 40);
                put_kept(&name, &reading(&number.to_string(), number), keep)
            };
            store.done((0..400).map(put).collect::<Vec<_>>());
        })
    };
    let (state_batch, history_batch) = (batch(Keep::window(1)), batch(self::history(10_000)));
    let bytes = |pages: u64| pages * 4_096 / 400;
    println!(
        "bytes of log per item: state {}, history {}, event {}; in batches: state {}, history {}",
        bytes(state),
        bytes(history),
        bytes(event),
        bytes(state_batch),
        bytes(history_batch)
    );
    // One page for the row; rows that stay fill pages, and those are split: mostly at the start, as here.
    assert!(
        history < state * 16 / 10,
        "{history} pages with history, {state} without"
    );
    assert!(
        history < event,
        "{history} pages with history, {event} of events"
    );
    assert!(
        history_batch * 10 < history,
        "{history_batch} pages in a batch, {history} alone"
    );
}
