//! The rules one by one, as far as the model does not say them plainer.

use leveret_engine::effect::AccountCounts;

use super::*;
use crate::store::{LIST_ENTRIES_MAX, items, names};

#[test]
fn a_node_keeps_its_newest_items_and_a_replaced_one_is_the_newest() {
    let mut store = memory();
    store.done([put_node("n")]);
    for name in ["1", "2", "3", "2", "4"] {
        store.done([put_item("n", &item(name), 3)]);
    }
    assert_eq!(store.ids("n"), ["3", "2", "4"]);
    store.done([StoreOp::TrimItems {
        at: at("n"),
        keep: Keep::window(1),
    }]);
    assert_eq!(store.ids("n"), ["4"]);
    store.done([StoreOp::TrimItems {
        at: at("n"),
        keep: Keep::window(0),
    }]);
    assert_eq!(store.ids("n"), [""; 0]);
}

#[test]
fn items_of_a_node_that_kept_one_are_found_after_it_keeps_more() {
    let mut store = memory();
    store.done([
        put_node("n"),
        put_item("n", &item("a"), 1),
        put_item("n", &item("b"), 1),
    ]);
    store.done([put_item("n", &item("c"), 10), put_item("n", &item("b"), 10)]);
    assert_eq!(store.ids("n"), ["c", "b"]);
    assert_eq!(
        store.done([StoreOp::RemoveItems {
            at: at("n"),
            ids: vec![id("c"), id("b"), id("x")]
        }]),
        [2]
    );
    store.assert_no_orphans();
}

#[test]
fn s4_retracting_the_retained_item_leaves_none_and_an_unflagged_one_does_not_move_it() {
    let mut store = memory();
    let retained = |store: &Database| items::stored_retained(store.connection(), &at("n")).unwrap();
    let unflagged = |name| StoreOp::PutItem {
        at: at("n"),
        item: item(name),
        retained: false,
        keep: Keep::window(9),
    };
    store.done([
        put_node("n"),
        put_item("n", &item("1"), 9),
        unflagged("2"),
        unflagged("3"),
    ]);
    assert_eq!(retained(&store), Some(id("1")));
    store.done([StoreOp::RemoveItems {
        at: at("n"),
        ids: vec![id("3")],
    }]);
    assert_eq!(retained(&store), Some(id("1")));
    store.done([StoreOp::RemoveItems {
        at: at("n"),
        ids: vec![id("1")],
    }]);
    assert_eq!(retained(&store), None);
    assert_eq!(store.ids("n"), ["2"]);
}

#[test]
fn a_node_whose_numbers_are_used_up_goes_on() {
    let mut store = memory();
    store.done([
        put_node("n"),
        put_node("o"),
        put_item("o", &item("other"), 9),
    ]);
    store.done([put_item("n", &item("1"), 9), put_item("n", &item("2"), 9)]);
    let shift = items::SEQ_MAX - 2;
    store
        .connection()
        .execute_batch(&format!(
            "UPDATE item SET place = place + {shift}, retained = retained + {shift} WHERE place >> 35 = 1 AND id = '2';
             UPDATE item SET place = place + {shift}, retained = retained + {shift} WHERE place >> 35 = 1 AND id = '1';
             UPDATE item_id SET seq = seq + {shift} WHERE node = 1"
        ))
        .unwrap();
    store.done([put_item("n", &item("3"), 9), put_item("n", &item("1"), 9)]);
    assert_eq!(store.ids("n"), ["2", "3", "1"]);
    assert_eq!(store.ids("o"), ["other"]);
    store.assert_no_orphans();
}

#[test]
fn xep_0059_pages_go_forth_and_back_and_say_where_they_stand() {
    let mut store = memory();
    store.done([put_node("n")]);
    for number in 0..10 {
        store.done([put_item("n", &item(&number.to_string()), 100)]);
    }
    store.done([StoreOp::RemoveItems {
        at: at("n"),
        ids: vec![id("4")],
    }]);
    let after = PageRequest {
        after: Some("3".into()),
        ..page(2)
    };
    let (ids, info) = store.items("n", after).unwrap();
    assert_eq!(ids, ["5", "6"]);
    assert_eq!((info.index, info.count), (Some(4), 9));
    assert_eq!(
        (info.first.as_deref(), info.last.as_deref()),
        (Some("5"), Some("6"))
    );
    let before = PageRequest {
        before: Some("3".into()),
        ..page(2)
    };
    assert_eq!(store.items("n", before).unwrap().0, ["1", "2"]);
    let last = PageRequest {
        before: Some("".into()),
        ..page(2)
    };
    let (ids, info) = store.items("n", last).unwrap();
    assert_eq!((ids, info.index), (vec!["8".into(), "9".into()], Some(7)));
    let jump = PageRequest {
        index: Some(7),
        ..page(5)
    };
    assert_eq!(store.items("n", jump).unwrap().0, ["8", "9"]);
    let count = store.items("n", page(0)).unwrap().1;
    assert_eq!((count.count, count.first), (9, None));
}

#[test]
fn xep_0059_s2_4_a_page_after_an_item_that_is_gone_is_not_found() {
    let mut store = memory();
    store.done([put_node("n"), put_item("n", &item("1"), 9)]);
    for gone in ["none", "\u{1}"] {
        let after = PageRequest {
            after: Some(gone.into()),
            ..page(2)
        };
        assert!(matches!(store.items("n", after), Err(Fault::NotFound)));
        let before = PageRequest {
            before: Some(gone.into()),
            ..page(2)
        };
        assert!(matches!(store.items("n", before), Err(Fault::NotFound)));
    }
}

#[test]
fn a_page_of_large_items_is_cut_at_its_bytes_and_never_empty() {
    let mut store = memory();
    store.done([put_node("n")]);
    let large = "x".repeat(3 << 20);
    for name in ["1", "2", "3"] {
        store.done([put_item("n", &item_of(name, &large, 1), 9)]);
    }
    let (ids, info) = store.items("n", PageRequest::default()).unwrap();
    assert_eq!((ids, info.count), (vec!["1".to_string()], 3));
    let newest = StoreQuery::Items {
        at: at("n"),
        max: 9,
        page: None,
        order: Order::default(),
        since: None,
        with_payload: true,
    };
    let StoreAnswer::Items { items, page } = store.asked(newest) else {
        panic!()
    };
    assert_eq!(
        (items.len(), items[0].id.as_str(), page.index),
        (1, "3", Some(2))
    );
    let by_id = StoreQuery::ItemsById {
        at: at("n"),
        ids: vec![id("2"), id("1")],
        since: None,
    };
    assert!(matches!(store.asked(by_id), StoreAnswer::Items { items, .. } if items.len() == 1));
    let bare = StoreQuery::Items {
        at: at("n"),
        max: 9,
        page: None,
        order: Order::default(),
        since: None,
        with_payload: false,
    };
    let StoreAnswer::Items { items, .. } = store.asked(bare) else {
        panic!()
    };
    assert_eq!(items.len(), 3);
    assert!(items.iter().all(|item| item.payload.is_none()));
}

#[test]
fn names_below_a_node_are_not_those_that_only_begin_like_it() {
    let mut store = memory();
    for name in [
        "a", "a!", "a-b", "a.b", "a/", "a/b", "a/b/c", "a0", "aa", "b", "A/b",
    ] {
        store.done([put_node(name)]);
    }
    let under = |page| {
        let under = NodeId::parse("a").ok();
        match store.asked(StoreQuery::Nodes {
            host: None,
            under,
            page,
        }) {
            StoreAnswer::Nodes { list, page } => (
                list.iter()
                    .map(|(name, _)| name.to_string())
                    .collect::<Vec<_>>(),
                page,
            ),
            other => panic!("{other:?}"),
        }
    };
    let (all, info) = under(PageRequest::default());
    assert_eq!(all, ["a", "a/", "a/b", "a/b/c"]);
    assert_eq!((info.count, info.index), (4, Some(0)));
    let (rest, info) = under(PageRequest {
        after: Some("a".into()),
        ..page(2)
    });
    assert_eq!(
        (rest, info.index),
        (vec!["a/".into(), "a/b".into()], Some(1))
    );
    let (rest, _) = under(PageRequest {
        before: Some("a/".into()),
        ..page(2)
    });
    assert_eq!(rest, ["a"]);
    let (rest, info) = under(PageRequest {
        index: Some(3),
        ..page(2)
    });
    assert_eq!((rest, info.index), (vec!["a/b/c".into()], Some(3)));
}

#[test]
fn a_filter_has_subscriptions_and_no_node() {
    let mut store = memory();
    let own = subscription("op@localhost", "s1");
    store.done([StoreOp::PutSubscription {
        at: at("a/+/b"),
        subscription: own.clone(),
    }]);
    assert_eq!(
        store.asked(StoreQuery::Node(at("a/+/b"))),
        StoreAnswer::Node(None)
    );
    let boot = StoreAnswer::Boot {
        filters: vec![(at("a/+/b"), own.clone())],
        owed: vec![],
        asked: vec![],
        blocked: vec![],
    };
    assert_eq!(store.asked(StoreQuery::Boot), boot);
    let of = StoreQuery::SubscriptionsOf {
        host: None,
        account: bare("op@localhost"),
    };
    assert_eq!(
        store.asked(of),
        StoreAnswer::Subscriptions(vec![(at("a/+/b").node, own)])
    );
    // S16: elsewhere the signs are ordinary characters of a node that must be there.
    let plain = StoreOp::PutSubscription {
        at: at("urn:x#y"),
        subscription: subscription("op@localhost", "s"),
    };
    assert!(matches!(
        store.apply(&[commit(1, vec![plain])]),
        Err(Fault::NoSuchNode(_))
    ));
}

#[test]
fn s12_an_owed_alarm_has_one_body_and_stays_until_all_have_acknowledged() {
    let mut store = memory();
    let bodies = |store: &Database| -> i64 {
        store
            .connection()
            .query_row("SELECT count(*) FROM owed_item", (), |row| row.get(0))
            .unwrap()
    };
    let owe = |account, item: &Arc<Item>| StoreOp::PutOwed {
        account: bare(account),
        at: at("n"),
        item: item.clone(),
    };
    let acknowledge = |account| StoreOp::RemoveOwed {
        account: bare(account),
        at: at("n"),
        item: id("fall"),
        publisher: bare("dev@localhost"),
    };
    let fall = item("fall");
    store.done([
        put_node("n"),
        put_item("n", &fall, 1),
        owe("a@localhost", &fall),
        owe("b@localhost", &fall),
    ]);
    store.done([put_item("n", &item("other"), 1)]); // history is trimmed, the alarm is not
    assert_eq!(bodies(&store), 1);
    store.done([acknowledge("a@localhost"), acknowledge("a@localhost")]);
    let owed = StoreQuery::Owed {
        account: bare("b@localhost"),
        after: 0,
        max: 9,
    };
    assert_eq!(
        store.asked(owed.clone()),
        StoreAnswer::Owed(vec![(1, at("n"), fall)])
    );
    // Raised again with other words: b hears the new ones.
    let again = item_of("fall", "<t xmlns='urn:x'>again</t>", 9);
    store.done([owe("a@localhost", &again)]);
    assert!(matches!(store.asked(owed), StoreAnswer::Owed(list) if list[0].2 == again));
    let shares = |store: &Database| match store.asked(StoreQuery::Boot) {
        StoreAnswer::Boot { owed, .. } => owed,
        other => panic!("{other:?}"),
    };
    let (a, b) = (bare("a@localhost"), bare("b@localhost"));
    let (dev7, dev8) = (bare("dev7@localhost"), bare("dev8@localhost"));
    let both = |of: &BareJid| vec![(a.clone(), of.clone(), 1), (b.clone(), of.clone(), 1)];
    assert_eq!(shares(&store), both(&dev7));
    // By another: it is that one's share now.
    let publisher = FullJid::parse("dev8@localhost/board").unwrap();
    let others = Arc::new(Item {
        publisher,
        ..(*again).clone()
    });
    store.done([owe("a@localhost", &others)]);
    assert_eq!(shares(&store), both(&dev8));
    store.done([acknowledge("a@localhost"), acknowledge("b@localhost")]);
    assert_eq!(bodies(&store), 0);
}

#[test]
fn a_removed_account_leaves_nothing_and_its_farewell_comes_too_late() {
    let mut store = memory();
    let (own, jid) = (account("a@localhost"), bare("a@localhost"));
    store.done([
        StoreOp::PutAccount(Box::new(own.clone())),
        StoreOp::PutContact {
            account: jid.clone(),
            contact: Box::new(contact("b@localhost")),
            version: 3,
        },
        StoreOp::PutOffline {
            account: jid.clone(),
            message: Box::new(message("hi")),
            at: time(1),
        },
        put_node("n"),
        StoreOp::PutNode {
            at: at("made"),
            config: Box::new(config()),
            creator: jid.clone(),
            created: time(5),
        },
        StoreOp::PutAffiliation {
            at: at("n"),
            jid: jid.clone(),
            affiliation: Affiliation::Owner,
        },
        StoreOp::PutSubscription {
            at: at("n"),
            subscription: subscription("a@localhost", "s1"),
        },
        StoreOp::PutSubscription {
            at: at("#"),
            subscription: subscription("a@localhost", "s2"),
        },
        StoreOp::PutOwed {
            account: jid.clone(),
            at: at("n"),
            item: item("1"),
        },
    ]);
    let counts = AccountCounts {
        offline: 1,
        owed: 1,
        nodes: 1,
        subscriptions: 2,
    };
    let found = StoreAnswer::Account(Some(Box::new(own)), counts);
    assert_eq!(store.asked(StoreQuery::Account(jid.clone())), found);
    let seen = LastSeen {
        at: time(9),
        status: Some("bye".into()),
    };
    store.done([
        StoreOp::RemoveNode { at: at("made") },
        StoreOp::RemoveAccount {
            account: jid.clone(),
        },
        StoreOp::LastSeen {
            account: jid.clone(),
            seen,
        },
    ]);
    let gone = StoreAnswer::Account(None, AccountCounts::default());
    assert_eq!(store.asked(StoreQuery::Account(jid.clone())), gone);
    assert_eq!(
        store.asked(StoreQuery::Roster(jid.clone())),
        StoreAnswer::Roster(Default::default())
    );
    store.done([StoreOp::PutAccount(Box::new(account("a@localhost")))]);
    let StoreAnswer::Account(Some(again), counts) = store.asked(StoreQuery::Account(jid)) else {
        panic!()
    };
    assert_eq!((again.last_seen, counts), (None, AccountCounts::default()));
}

#[test]
fn numbers_of_offline_messages_are_not_used_twice() {
    let mut store = memory();
    let jid = bare("a@localhost");
    let put = || StoreOp::PutOffline {
        account: jid.clone(),
        message: Box::new(message("hi")),
        at: time(1),
    };
    store.done([
        put(),
        put(),
        StoreOp::RemoveOffline {
            account: jid.clone(),
            up_to: 2,
        },
        put(),
    ]);
    let query = StoreQuery::Offline {
        account: jid.clone(),
        after: 2,
        max: 9,
    };
    assert!(
        matches!(store.asked(query), StoreAnswer::Offline(list) if list.len() == 1 && list[0].0 == 3)
    );
    let beyond = StoreQuery::Offline {
        account: jid,
        after: u64::MAX,
        max: u32::MAX,
    };
    assert_eq!(store.asked(beyond), StoreAnswer::Offline(vec![]));
}

#[test]
fn no_list_is_longer_than_its_bound() {
    let mut store = memory();
    let many = (0..LIST_ENTRIES_MAX + 5).map(|number| put_node(&format!("n{number}")));
    store.done(many.collect::<Vec<_>>());
    let all = StoreQuery::Nodes {
        host: None,
        under: None,
        page: PageRequest::default(),
    };
    let StoreAnswer::Nodes { list, page } = store.asked(all) else {
        panic!()
    };
    assert_eq!(
        (list.len() as u32, page.count),
        (LIST_ENTRIES_MAX, names::NAMES_COUNTED_MAX as u32)
    );
}

#[test]
fn a_group_happens_whole_or_not_at_all() {
    let mut store = memory();
    let bad = StoreOp::PutItem {
        at: at("none"),
        item: item("1"),
        retained: true,
        keep: Keep::window(1),
    };
    let group = [
        commit(1, vec![put_node("a")]),
        commit(2, vec![put_node("b"), bad]),
    ];
    assert!(matches!(store.apply(&group), Err(Fault::NoSuchNode(name)) if name == "none"));
    assert_eq!(
        store.asked(StoreQuery::Totals),
        StoreAnswer::Totals {
            accounts: 0,
            nodes: 0
        }
    );
    store.done([put_node("a")]);
    assert_eq!(
        store.asked(StoreQuery::Totals),
        StoreAnswer::Totals {
            accounts: 0,
            nodes: 1
        }
    );
}
