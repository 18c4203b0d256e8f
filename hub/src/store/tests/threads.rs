//! The threads around the database: order, groups, laziness, faults, the end.

use std::{
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use leveret_engine::effect::{StoreFault, StoreRequest, StoreResponse};
use tempfile::TempDir;

use super::*;
use crate::store::{Durability, Store, StoreConfig};

const SOON: Duration = Duration::from_secs(20);

struct World {
    store: Store,
    heard: Receiver<StoreResponse>,
    dir: TempDir,
}

fn open(dir: TempDir, flush: Duration) -> World {
    let config = StoreConfig {
        data_dir: dir.path().into(),
        domain: "localhost".into(),
        durability: Durability::Off,
        flush,
    };
    let (told, heard) = channel();
    let respond = move |responses: Vec<StoreResponse>| {
        responses
            .into_iter()
            .for_each(|response| drop(told.send(response)));
    };
    World {
        store: Store::open(&config, Arc::new(respond)).unwrap(),
        heard,
        dir,
    }
}

fn world(flush: Duration) -> World {
    open(tempfile::tempdir().unwrap(), flush)
}

fn request(seq: u64, urgency: Urgency, ops: Vec<StoreOp>) -> StoreRequest {
    StoreRequest::Commit(Commit { seq, urgency, ops })
}

impl World {
    fn hear(&self) -> StoreResponse {
        self.heard.recv_timeout(SOON).unwrap()
    }

    fn hear_committed(&self) -> u64 {
        match self.hear() {
            StoreResponse::Committed { seq, .. } => seq,
            other => panic!("{other:?}"),
        }
    }

    fn hear_answer(&self) -> (u64, Result<StoreAnswer, StoreFault>) {
        match self.hear() {
            StoreResponse::Answered { id, answer } => (id, answer),
            other => panic!("{other:?}"),
        }
    }

    fn hears_nothing_for(&self, span: Duration) -> bool {
        self.heard.recv_timeout(span).is_err()
    }
}

fn query(id: u64, query: StoreQuery) -> StoreRequest {
    StoreRequest::Query { id, query }
}

fn count_of(node: &str) -> StoreQuery {
    StoreQuery::NodeCounts(at(node))
}

#[test]
fn commits_are_answered_in_order_and_many_share_a_transaction() {
    let world = world(SOON);
    world
        .store
        .send(vec![request(1, Urgency::Group, vec![put_node("n")])]);
    let publish = |seq: u64| {
        request(
            seq,
            Urgency::Group,
            vec![put_item("n", &item(&seq.to_string()), 9_999)],
        )
    };
    for seq in 2..=1_000 {
        world.store.send(vec![publish(seq)]);
    }
    for seq in 1..=1_000 {
        assert_eq!(world.hear_committed(), seq);
    }
    let stats = world.store.stats();
    assert_eq!(
        (stats.commits, stats.backlog, stats.commits_failed),
        (1_000, 0, 0)
    );
    assert!(stats.groups < 1_000, "{} groups", stats.groups);
    assert!(
        stats.bytes_written.is_none_or(|bytes| bytes > 10_000),
        "{stats:?}"
    );
}

#[test]
fn s2_a_lazy_commit_waits_for_its_time() {
    let world = world(Duration::from_millis(200));
    world
        .store
        .send(vec![request(1, Urgency::Group, vec![put_node("n")])]);
    assert_eq!(world.hear_committed(), 1);
    let sent = Instant::now();
    world.store.send(vec![request(
        2,
        Urgency::Lazy,
        vec![put_item("n", &item("1"), 9)],
    )]);
    assert_eq!(world.hear_committed(), 2);
    assert!(
        sent.elapsed() >= Duration::from_millis(200),
        "{:?}",
        sent.elapsed()
    );
}

#[test]
fn s2_a_lazy_commit_goes_with_the_next_that_somebody_waits_for_and_before_it() {
    let world = world(SOON);
    world
        .store
        .send(vec![request(1, Urgency::Group, vec![put_node("n")])]);
    assert_eq!(world.hear_committed(), 1);
    world.store.send(vec![request(
        2,
        Urgency::Lazy,
        vec![put_item("n", &item("1"), 9)],
    )]);
    assert!(world.hears_nothing_for(Duration::from_millis(50)));
    world.store.send(vec![request(
        3,
        Urgency::Group,
        vec![put_item("n", &item("2"), 9)],
    )]);
    assert_eq!((world.hear_committed(), world.hear_committed()), (2, 3));
}

#[test]
fn a_query_sees_what_was_handed_over_before_it_and_hurries_nothing_else() {
    let world = world(SOON);
    world.store.send(vec![
        request(1, Urgency::Group, vec![put_node("n"), put_node("m")]),
        request(2, Urgency::Lazy, vec![put_item("n", &item("1"), 9)]),
    ]);
    assert_eq!((world.hear_committed(), world.hear_committed()), (1, 2));
    world.store.send(vec![
        request(
            3,
            Urgency::Lazy,
            vec![put_item("n", &item("2"), 9), put_node("of another account")],
        ),
        query(7, count_of("m")),
        query(8, StoreQuery::Account(bare("a@localhost"))),
    ]);
    let mut answered = [world.hear_answer().0, world.hear_answer().0];
    answered.sort_unstable();
    assert_eq!(answered, [7, 8]);
    assert!(
        world.hears_nothing_for(Duration::from_millis(50)),
        "the lazy commit was hurried"
    );
    world.store.send(vec![query(9, count_of("n"))]);
    assert_eq!(world.hear_committed(), 3);
    let counts = StoreAnswer::Counts {
        items: 2,
        subscriptions: 0,
    };
    assert_eq!(world.hear_answer(), (9, Ok(counts)));
}

#[test]
fn every_query_sees_every_commit_before_it_whatever_it_asks() {
    let world = world(SOON);
    let mut random = Random::new(5);
    world.store.send(vec![request(
        0,
        Urgency::Group,
        (0..4).map(|n| put_node(&format!("n{n}"))).collect(),
    )]);
    assert_eq!(world.hear_committed(), 0);
    let mut expected = [0; 4];
    for seq in 1..=400u64 {
        let node = random.below(4) as usize;
        let urgency = random.pick(&[Urgency::Lazy, Urgency::Group]);
        expected[node] += 1;
        let publish = put_item(&format!("n{node}"), &item(&seq.to_string()), 9_999);
        let asked = random.below(4) as usize;
        world.store.send(vec![
            request(seq, urgency, vec![publish]),
            query(seq, count_of(&format!("n{asked}"))),
        ]);
        loop {
            if let StoreResponse::Answered { id, answer } = world.hear() {
                let items = expected[asked];
                assert_eq!(
                    (id, answer),
                    (
                        seq,
                        Ok(StoreAnswer::Counts {
                            items,
                            subscriptions: 0,
                        })
                    )
                );
                break;
            }
        }
    }
}

#[test]
fn one_bad_commit_does_not_fail_its_neighbours() {
    let world = world(SOON);
    world.store.send(vec![
        request(1, Urgency::Group, vec![put_node("n")]),
        request(
            2,
            Urgency::Group,
            vec![put_node("m"), put_item("none", &item("1"), 1)],
        ),
        request(3, Urgency::Group, vec![put_item("n", &item("1"), 1)]),
    ]);
    assert_eq!(world.hear_committed(), 1);
    assert!(
        matches!(world.hear(), StoreResponse::Failed { seq: 2, fault: StoreFault::Failed(words) } if words.contains("'none'"))
    );
    assert_eq!(world.hear_committed(), 3);
    let stats = world.store.stats();
    assert_eq!((stats.commits, stats.commits_failed), (2, 1));
    assert_eq!(stats.last_fault.as_deref(), Some("store: no node 'none'"));
    world.store.send(vec![query(1, StoreQuery::Totals)]);
    assert_eq!(
        world.hear_answer().1,
        Ok(StoreAnswer::Totals {
            accounts: 0,
            nodes: 1
        })
    );
}

#[test]
fn a_full_disk_fails_the_whole_group_and_the_writer_lives_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut database = Database::open(dir.path(), Durability::Off, "localhost").unwrap();
    database.done([put_node("n")]);
    database
        .connection()
        .query_row("PRAGMA max_page_count = 40", (), |_| Ok(()))
        .unwrap();
    let (told, heard) = channel();
    let respond = move |responses: Vec<StoreResponse>| drop(told.send(responses));
    let store = Store::start(database, SOON, Arc::new(respond)).unwrap();
    let large = item_of("large", &"x".repeat(1 << 20), 1);
    store.send(vec![
        request(1, Urgency::Group, vec![put_item("n", &item("1"), 9)]),
        request(2, Urgency::Group, vec![put_item("n", &large, 9)]),
    ]);
    let group = heard.recv_timeout(SOON).unwrap();
    assert!(
        matches!(
            &group[..],
            [
                StoreResponse::Failed { seq: 1, .. },
                StoreResponse::Failed { seq: 2, .. }
            ]
        ),
        "{group:?}"
    );
    store.send(vec![request(
        3,
        Urgency::Group,
        vec![put_item("n", &item("1"), 9)],
    )]);
    let group = heard.recv_timeout(SOON).unwrap();
    assert!(
        matches!(&group[..], [StoreResponse::Committed { seq: 3, .. }]),
        "{group:?}"
    );
}

#[test]
fn an_unknown_place_of_a_page_is_told_from_a_failure() {
    let world = world(SOON);
    let page = PageRequest {
        after: Some("gone".into()),
        ..page(9)
    };
    let items = StoreQuery::Items {
        at: at("n"),
        max: 9,
        page: Some(page),
        order: Order::default(),
        since: None,
        with_payload: true,
    };
    world.store.send(vec![
        request(1, Urgency::Group, vec![put_node("n")]),
        query(1, items),
    ]);
    assert_eq!(world.hear_committed(), 1);
    assert_eq!(world.hear_answer(), (1, Err(StoreFault::NotFound)));
    assert_eq!(world.store.stats().last_fault, None);
}

#[test]
fn the_end_commits_what_is_lazy_and_leaves_no_log() {
    let World { store, heard, dir } = world(SOON);
    store.send(vec![
        request(
            1,
            Urgency::Lazy,
            vec![put_node("n"), put_item("n", &item("1"), 9)],
        ),
        request(2, Urgency::Lazy, vec![put_item("n", &item("2"), 9)]),
    ]);
    store.shutdown();
    let answered: Vec<_> = heard.try_iter().collect();
    assert!(matches!(
        answered[..],
        [
            StoreResponse::Committed { seq: 1, .. },
            StoreResponse::Committed { seq: 2, .. }
        ]
    ));
    assert!(!dir.path().join("leveret.db-wal").exists());
    store.send(vec![
        request(3, Urgency::Group, vec![]),
        query(4, StoreQuery::Totals),
    ]);
    assert!(matches!(
        heard.try_recv(),
        Ok(StoreResponse::Failed { seq: 3, .. })
    ));
    assert!(matches!(
        heard.try_recv(),
        Ok(StoreResponse::Answered {
            id: 4,
            answer: Err(_)
        })
    ));
    store.shutdown();
    let again = open(dir, SOON);
    again.store.send(vec![query(5, count_of("n"))]);
    let counts = StoreAnswer::Counts {
        items: 2,
        subscriptions: 0,
    };
    assert_eq!(again.hear_answer(), (5, Ok(counts)));
    assert_eq!(again.store.integrity_check().unwrap(), [""; 0]);
}
