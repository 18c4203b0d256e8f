//! Who waits for approval, and whose lease is over.

use leveret_engine::item::SubscriptionOptions;

use super::*;

fn owner_of(name: &str, owner: &str) -> StoreOp {
    StoreOp::PutAffiliation {
        at: at(name),
        jid: bare(owner),
        affiliation: Affiliation::Owner,
    }
}

fn put(name: &str, subscription: &NodeSubscription) -> StoreOp {
    StoreOp::PutSubscription {
        at: at(name),
        subscription: subscription.clone(),
    }
}

#[test]
fn xep_0060_s8_7_an_owner_finds_who_waits_at_its_nodes_and_at_no_others() {
    let mut store = memory();
    let waiting = NodeSubscription {
        state: SubscriptionState::Pending,
        ..subscription("dev7@localhost", "s1")
    };
    let ask = |owner: &str| StoreQuery::Pending {
        owner: bare(owner),
        max: 10,
    };
    store.done([
        put_node("a"),
        put_node("b"),
        owner_of("a", "owner@localhost"),
        owner_of("b", "other@localhost"),
        put("a", &waiting),
        put("a", &subscription("dev8@localhost", "s2")),
    ]);
    let found = StoreAnswer::Pending {
        list: vec![(at("a"), waiting.clone())],
        owns: true,
    };
    assert_eq!(store.asked(ask("owner@localhost")), found);
    let none = |owns| StoreAnswer::Pending { list: vec![], owns };
    assert_eq!(store.asked(ask("other@localhost")), none(true));
    assert_eq!(store.asked(ask("dev7@localhost")), none(false));
    let asked = |store: &Database| match store.asked(StoreQuery::Boot) {
        StoreAnswer::Boot { asked, .. } => asked,
        other => panic!("{other:?}"),
    };
    assert_eq!(asked(&store), [bare("owner@localhost")]);
    // Approved, it waits no more.
    let approved = NodeSubscription {
        state: SubscriptionState::Subscribed,
        ..waiting
    };
    store.done([put("a", &approved)]);
    assert_eq!(store.asked(ask("owner@localhost")), none(true));
    assert!(asked(&store).is_empty());
}

#[test]
fn xep_0060_s12_19_leases_that_are_over_are_found_of_nodes_and_filters() {
    let mut store = memory();
    let leased = |subid: &str, ends: i64| NodeSubscription {
        options: Some(Box::new(SubscriptionOptions {
            expire: Some(time(ends)),
            ..SubscriptionOptions::default()
        })),
        ..subscription("dev7@localhost", subid)
    };
    let (late, soon, filter) = (leased("s1", 30), leased("s2", 10), leased("s3", 20));
    store.done([
        put_node("a"),
        put("a", &late),
        put("a", &soon),
        put("a", &subscription("dev7@localhost", "s4")),
        put("b/#", &filter),
    ]);
    let ended = |store: &Database, before, max| {
        let query = StoreQuery::Ended {
            before: time(before),
            max,
        };
        match store.asked(query) {
            StoreAnswer::Ended(list) => list,
            other => panic!("{other:?}"),
        }
    };
    assert!(ended(&store, 9, 10).is_empty());
    let both = [(at("a"), soon.clone()), (at("b/#"), filter)];
    assert_eq!(ended(&store, 20, 10), both);
    assert_eq!(ended(&store, 99, 1), both[..1]);
    // Renewed, or without a lease from now on.
    store.done([
        put("a", &leased("s2", 100)),
        put("a", &subscription("dev7@localhost", "s1")),
    ]);
    assert_eq!(ended(&store, 99, 10), both[1..]);
}
