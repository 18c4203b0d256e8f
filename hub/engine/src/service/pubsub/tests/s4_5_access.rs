//! XEP-0060 §4.5: who may subscribe and read, by the node's access model and by affiliation (§4.1).

use super::world::*;
use crate::{
    address::BareJid,
    command::{PubsubAction, Reply},
    item::Affiliation,
    refusal::{Detail, Reason, Refusal},
    service::pubsub::Wanted,
};

fn with_node(config: &[(&str, &str)]) -> World {
    let mut world = World::new();
    world.create(&device("owner"), "free/a", config);
    world.publish(&device("owner"), "free/a", "1").unwrap();
    world
}

fn bare(name: &str) -> BareJid {
    device(name).subject.jid
}

/// The owner's roster says this of somebody from now on; what the hub does of itself then is carried out.
fn acquaint(world: &mut World, owner: &str, contact: &str, sees: bool, groups: &[&str]) {
    let known = Known {
        sees,
        seen: false,
        groups: groups.iter().map(|&group| group.into()).collect(),
    };
    let pair = (bare(owner), bare(contact));
    world.directory.contacts.insert(pair.clone(), known);
    let changes = world
        .pubsub
        .acquaintance_changed(&pair.0, &pair.1, &mut world.directory);
    for change in changes {
        world.carry_out(change);
    }
}

fn read(world: &mut World, who: &str) -> Result<Reply, Refusal> {
    let items = PubsubAction::Items {
        node: node("free/a"),
        ids: Vec::new(),
        max: None,
        subid: None,
        page: None,
        order: crate::item::Order::default(),
    };
    world.ask(&device(who), items)
}

fn subscribe(world: &mut World, who: &str) -> Result<Reply, Refusal> {
    world.subscribe(&device(who), "free/a", &format!("{who}@localhost"))
}

mod presence {
    use super::*;

    #[test]
    fn s6_1_3_2_s6_5_9_6_only_who_sees_the_owner_may_subscribe_and_read() {
        let mut world = with_node(&[("access_model", "presence")]);
        for reply in [subscribe(&mut world, "dev7"), read(&mut world, "dev7")] {
            refused(
                reply,
                Reason::NotAuthorized,
                Detail::PresenceSubscriptionRequired,
            );
        }
        acquaint(&mut world, "owner", "dev7", true, &[]);
        subscribe(&mut world, "dev7").unwrap();
        read(&mut world, "dev7").unwrap();
        world.heard();
        world.publish(&device("owner"), "free/a", "2").unwrap();
        assert_eq!(world.heard(), ["dev7@localhost: item 2"]);
    }

    #[test]
    fn s12_14_a_cancelled_presence_subscription_ends_the_subscription_and_it_is_told() {
        let mut world = with_node(&[("access_model", "presence")]);
        acquaint(&mut world, "owner", "dev7", true, &[]);
        subscribe(&mut world, "dev7").unwrap();
        world.heard();
        acquaint(&mut world, "owner", "dev7", false, &[]);
        assert_eq!(world.heard(), ["dev7@localhost: dev7@localhost None"]);
        world.publish(&device("owner"), "free/a", "2").unwrap();
        assert!(world.heard().is_empty());
        let at = crate::node::NodeAddress::of_service(node("free/a"));
        assert!(world.store.nodes[&at].0.subscriptions.is_empty());
    }

    #[test]
    fn what_a_roster_lost_while_the_node_was_on_the_disk_counts_at_its_next_use() {
        let mut world = with_node(&[("access_model", "presence")]);
        acquaint(&mut world, "owner", "dev7", true, &[]);
        subscribe(&mut world, "dev7").unwrap();
        let subjects = world.directory.subjects.clone();
        world.restart();
        world.directory.subjects = subjects;
        world.publish(&device("owner"), "free/a", "2").unwrap();
        assert_eq!(world.heard(), ["dev7@localhost: dev7@localhost None"]);
    }

    #[test]
    fn s13_who_reads_by_the_rules_needs_no_roster_and_keeps_the_subscription() {
        let mut world = with_node(&[("access_model", "presence")]);
        let panel = device("panel");
        world
            .subscribe(&panel, "free/a", "panel@localhost")
            .unwrap();
        world.heard();
        acquaint(&mut world, "owner", "panel", false, &[]);
        world.restart();
        world.directory.subjects = vec![panel.subject];
        world.publish(&device("owner"), "free/a", "2").unwrap();
        assert_eq!(world.heard(), ["panel@localhost: item 2"]);
    }

    #[test]
    fn the_rosters_of_a_few_owners_are_wanted_and_of_no_more() {
        let mut world = with_node(&[("access_model", "presence")]);
        let changes = (0..9).map(|n| (bare(&format!("o{n}")), Affiliation::Owner));
        let action = PubsubAction::SetAffiliations {
            node: node("free/a"),
            changes: changes.collect(),
        };
        world.ask(&device("owner"), action).unwrap();
        let request = crate::command::PubsubRequest {
            host: None,
            action: PubsubAction::Subscribe {
                node: node("free/a"),
                jid: bare("dev7").into(),
                options: None,
            },
        };
        let wanted = world.pubsub.wants(&request);
        let rosters = wanted.iter().filter(|one| matches!(one, Wanted::Roster(_)));
        assert_eq!(rosters.count(), 4);
    }
}

mod roster {
    use super::*;

    const FAMILY: &[(&str, &str)] = &[
        ("access_model", "roster"),
        ("roster_groups_allowed", "Family"),
    ];

    #[test]
    fn s6_1_3_3_s6_5_9_7_only_who_is_in_the_group_may_subscribe_and_read() {
        let mut world = with_node(FAMILY);
        acquaint(&mut world, "owner", "dev7", true, &["Work"]);
        for reply in [subscribe(&mut world, "dev7"), read(&mut world, "dev7")] {
            refused(reply, Reason::NotAuthorized, Detail::NotInRosterGroup);
        }
        acquaint(&mut world, "owner", "dev7", false, &["Work", "Family"]);
        subscribe(&mut world, "dev7").unwrap();
        read(&mut world, "dev7").unwrap();
    }

    #[test]
    fn s12_14_who_is_moved_to_another_group_is_no_subscriber_any_more() {
        let mut world = with_node(FAMILY);
        acquaint(&mut world, "owner", "dev7", true, &["Family"]);
        subscribe(&mut world, "dev7").unwrap();
        world.heard();
        acquaint(&mut world, "owner", "dev7", true, &["Work"]);
        assert_eq!(world.heard(), ["dev7@localhost: dev7@localhost None"]);
    }
}

mod affiliations {
    use super::*;

    /// §4.1, table 1, for nodes that are closed to all others: subscribe, read, publish, retract what others published.
    #[test]
    fn s4_1_the_table_of_affiliations_and_privileges() {
        use Affiliation::{Member, None, Outcast, Owner, PublishOnly, Publisher};
        for (is, may) in [
            (Owner, [true, true, true, true]),
            (Publisher, [true, true, true, true]),
            (PublishOnly, [false, false, true, false]),
            (Member, [true, true, false, false]),
            (None, [false, false, false, false]),
            (Outcast, [false, false, false, false]),
        ] {
            let mut world = with_node(&[("access_model", "whitelist")]);
            let action = PubsubAction::SetAffiliations {
                node: node("free/a"),
                changes: vec![(bare("dev7"), is)],
            };
            world.ask(&device("owner"), action).unwrap();
            let dev7 = device("dev7");
            let does = [
                subscribe(&mut world, "dev7").is_ok(),
                read(&mut world, "dev7").is_ok(),
                world.publish(&dev7, "free/a", "2").is_ok(),
                world.ask(&dev7, retract("free/a", "1")).is_ok(),
            ];
            assert_eq!(does, may, "{is:?}");
            // Configuring, purging and deleting are the owner's alone.
            for action in [
                PubsubAction::GetConfig {
                    node: node("free/a"),
                },
                PubsubAction::Purge {
                    node: node("free/a"),
                },
                PubsubAction::Delete {
                    node: node("free/a"),
                    redirect: Option::None,
                },
            ] {
                assert_eq!(world.ask(&dev7, action).is_ok(), is == Owner, "{is:?}");
            }
        }
    }
}

#[test]
fn s6_1_3_10_a_node_that_takes_no_subscriptions_says_so_and_may_be_read() {
    let mut world = with_node(&[("subscribe", "1")]);
    subscribe(&mut world, "dev8").unwrap();
    let action = PubsubAction::Configure {
        node: node("free/a"),
        config: fields(&[("subscribe", "0")]),
    };
    world.ask(&device("owner"), action).unwrap();
    refused(
        subscribe(&mut world, "dev7"),
        Reason::FeatureNotImplemented,
        Detail::Unsupported("subscribe"),
    );
    read(&mut world, "dev7").unwrap();
    world.heard();
    world.publish(&device("owner"), "free/a", "2").unwrap();
    assert_eq!(
        world.heard(),
        ["dev8@localhost: item 2"],
        "who was there stays"
    );
}
