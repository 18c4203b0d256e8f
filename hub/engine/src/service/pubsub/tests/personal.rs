//! Personal nodes (XEP-0163, XEP-0222, XEP-0223): rights, defaults, names. Who hears of them is tested through the router.

use super::{s7_publisher::with_options, s8_owner::create, world::*};
use crate::{
    address::{BareJid, Jid},
    command::{PageRequest, PubsubAction, PubsubReply, Reply, SessionId},
    item::{AccessModel, Affiliation, SendLastItem},
    message::MessageKind,
    refusal::{Detail, Reason, Refusal},
    service::Hearer,
};

const MOOD: &str = "http://jabber.org/protocol/mood";

fn bare(name: &str) -> BareJid {
    BareJid::new(name, "localhost").unwrap()
}

fn at_owner(world: &mut World, who: &str, action: PubsubAction) -> Result<Reply, Refusal> {
    world.ask_at(&device(who), Some("owner"), action)
}

fn items(name: &str) -> PubsubAction {
    PubsubAction::Items {
        node: node(name),
        ids: Vec::new(),
        max: None,
        subid: None,
        page: None,
        order: crate::item::Order::default(),
    }
}

fn subscribe(who: &str) -> PubsubAction {
    PubsubAction::Subscribe {
        node: node(MOOD),
        jid: Jid::parse(&format!("{who}@localhost")).unwrap(),
        options: None,
    }
}

/// `friend` sees the owner and is in the group `Friends`; `stranger` does not.
fn world() -> World {
    let mut world = World::new();
    world.directory.contacts.insert(
        (bare("owner"), bare("friend")),
        Known {
            sees: true,
            seen: false,
            groups: vec!["Friends".into()],
        },
    );
    world
}

fn with_node(options: &[(&str, &str)]) -> World {
    let mut world = world();
    at_owner(&mut world, "owner", with_options(MOOD, options)).unwrap();
    world
}

fn listed(world: &mut World, who: &str) -> Vec<String> {
    let list = PubsubAction::List {
        node: None,
        page: None,
    };
    let PubsubReply::Nodes { list, .. } = pubsub(at_owner(world, who, list)) else {
        panic!()
    };
    list.into_iter().map(|(node, _)| node.to_string()).collect()
}

mod s3_every_account_a_service {
    use super::*;

    #[test]
    fn the_first_publish_makes_the_node_with_the_defaults_of_s7() {
        let mut world = with_node(&[]);
        let get = PubsubAction::GetConfig { node: node(MOOD) };
        let PubsubReply::Config { config, .. } = pubsub(at_owner(&mut world, "owner", get)) else {
            panic!()
        };
        assert_eq!(config.access_model, AccessModel::Presence);
        assert_eq!(
            config.send_last_published_item,
            SendLastItem::OnSubAndPresence
        );
        assert_eq!(config.notification_type, MessageKind::Headline);
        assert_eq!((config.max_items, config.persist_items), (1, true));
        assert!(config.deliver_notifications && config.deliver_payloads);
    }

    #[test]
    fn only_the_account_makes_nodes_and_publishes() {
        let mut world = with_node(&[]);
        for who in ["friend", "stranger"] {
            refused(
                at_owner(&mut world, who, publish(MOOD, "1")),
                Reason::Forbidden,
                None,
            );
            refused(
                at_owner(&mut world, who, publish("urn:other", "1")),
                Reason::ItemNotFound,
                None,
            );
            refused(
                at_owner(&mut world, who, create(Some("urn:other"), &[])),
                Reason::Forbidden,
                None,
            );
            for action in [
                PubsubAction::GetConfig { node: node(MOOD) },
                PubsubAction::Purge { node: node(MOOD) },
                PubsubAction::Delete {
                    node: node(MOOD),
                    redirect: None,
                },
            ] {
                refused(at_owner(&mut world, who, action), Reason::Forbidden, None);
            }
        }
    }

    #[test]
    fn rules_of_the_service_say_nothing_of_them() {
        // `banned` may do nothing below `free/` at the service; its own node of that name is its own.
        let mut world = World::new();
        let banned = device("banned");
        world
            .ask_at(&banned, Some("banned"), publish("free/a", "1"))
            .unwrap();
        refused(
            world.publish(&banned, "free/a", "1"),
            Reason::Forbidden,
            None,
        );
        // Nor do the rules on classes: `free/fall/x` is an alarm at the service.
        world
            .ask_at(&banned, Some("banned"), publish("free/fall/x", "1"))
            .unwrap();
        assert!(world.store.owed.is_empty());
        assert_eq!(world.urgency, Some(crate::effect::Urgency::Group));
    }

    #[test]
    fn the_same_name_is_another_node_of_each_account_and_of_the_service() {
        let mut world = world();
        for host in ["owner", "friend"] {
            world
                .ask_at(&device(host), Some(host), publish("free/a", host))
                .unwrap();
        }
        world
            .publish(&device("owner"), "free/a", "service")
            .unwrap();
        let PubsubReply::Items { items, .. } =
            pubsub(world.ask_at(&device("friend"), Some("friend"), items("free/a")))
        else {
            panic!()
        };
        let ids: Vec<_> = items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids, ["friend"]);
    }

    #[test]
    fn signs_are_ordinary_characters_of_a_name() {
        let mut world = world();
        for name in ["urn:x#y", "#", "a/+/b", "$x", "storage:bookmarks"] {
            at_owner(&mut world, "owner", publish(name, "1")).unwrap();
            at_owner(&mut world, "owner", items(name)).unwrap();
        }
        // And nobody hears more than the node named so.
        let hash = PubsubAction::Subscribe {
            node: node("#"),
            jid: Jid::parse("friend@localhost").unwrap(),
            options: None,
        };
        at_owner(&mut world, "friend", hash).unwrap();
        world.heard();
        at_owner(&mut world, "owner", publish("urn:x#y", "2")).unwrap();
        assert!(world.heard().is_empty());
        at_owner(&mut world, "owner", publish("#", "2")).unwrap();
        assert_eq!(world.heard(), ["friend@localhost: item 2"]);
    }

    #[test]
    fn they_have_no_tree_to_subscribe_to() {
        let mut world = with_node(&[]);
        let below = PubsubAction::Subscribe {
            node: node(MOOD),
            jid: Jid::parse("friend@localhost").unwrap(),
            options: Some(fields(&[
                ("subscription_type", "items"),
                ("subscription_depth", "all"),
            ])),
        };
        let refusal = at_owner(&mut world, "friend", below).unwrap_err();
        assert_eq!(refusal.reason, Reason::FeatureNotImplemented);
    }
}

mod access {
    use super::*;

    #[test]
    fn xep_0060_s6_1_3_2_presence_admits_who_sees_the_owner() {
        let mut world = with_node(&[]);
        at_owner(&mut world, "friend", items(MOOD)).unwrap();
        at_owner(&mut world, "friend", subscribe("friend")).unwrap();
        for action in [items(MOOD), subscribe("stranger")] {
            refused(
                at_owner(&mut world, "stranger", action),
                Reason::NotAuthorized,
                Detail::PresenceSubscriptionRequired,
            );
        }
    }

    #[test]
    fn xep_0060_s6_1_3_3_roster_admits_the_groups_that_are_named() {
        for (group, admitted) in [("Friends", true), ("Servants", false)] {
            let mut world =
                with_node(&[("access_model", "roster"), ("roster_groups_allowed", group)]);
            let reply = at_owner(&mut world, "friend", items(MOOD));
            if admitted {
                reply.unwrap();
            } else {
                refused(reply, Reason::NotAuthorized, Detail::NotInRosterGroup);
            }
            refused(
                at_owner(&mut world, "stranger", items(MOOD)),
                Reason::NotAuthorized,
                Detail::NotInRosterGroup,
            );
        }
    }

    #[test]
    fn xep_0223_a_private_node_is_the_owners_alone() {
        let mut world = with_node(&[
            ("persist_items", "true"),
            ("max_items", "max"),
            ("send_last_published_item", "never"),
            ("access_model", "whitelist"),
        ]);
        at_owner(&mut world, "owner", items(MOOD)).unwrap();
        let describe = PubsubAction::Describe { node: node(MOOD) };
        for action in [items(MOOD), subscribe("friend"), describe] {
            refused(
                at_owner(&mut world, "friend", action),
                Reason::NotAllowed,
                Detail::ClosedNode,
            );
        }
        // The second publish has the first one's options as preconditions (XEP-0060 §7.1.5).
        let again = with_options(MOOD, &[("access_model", "whitelist"), ("max_items", "max")]);
        at_owner(&mut world, "owner", again).unwrap();
        let other = with_options(MOOD, &[("access_model", "open")]);
        refused(
            at_owner(&mut world, "owner", other),
            Reason::Conflict,
            Detail::PreconditionNotMet,
        );
    }

    #[test]
    fn the_owner_stays_the_owner_whatever_it_grants() {
        let mut world = with_node(&[]);
        let give = PubsubAction::SetAffiliations {
            node: node(MOOD),
            changes: vec![
                (bare("friend"), Affiliation::Owner),
                (bare("owner"), Affiliation::Outcast),
            ],
        };
        at_owner(&mut world, "owner", give).unwrap();
        at_owner(&mut world, "owner", publish(MOOD, "2")).unwrap();
        at_owner(&mut world, "owner", items(MOOD)).unwrap();
        at_owner(
            &mut world,
            "owner",
            PubsubAction::Purge { node: node(MOOD) },
        )
        .unwrap();
    }

    #[test]
    fn s5_only_what_the_asker_may_read_is_listed() {
        let mut world = world();
        for (name, options) in [
            ("open", &[("access_model", "open")][..]),
            ("presence", &[]),
            (
                "roster",
                &[
                    ("access_model", "roster"),
                    ("roster_groups_allowed", "Friends"),
                ],
            ),
            ("whitelist", &[("access_model", "whitelist")]),
        ] {
            at_owner(&mut world, "owner", with_options(name, options)).unwrap();
        }
        assert_eq!(
            listed(&mut world, "owner"),
            ["open", "presence", "roster", "whitelist"]
        );
        assert_eq!(listed(&mut world, "friend"), ["open", "presence", "roster"]);
        assert_eq!(listed(&mut world, "stranger"), ["open"]);
        // Of an account without nodes, or that does not exist, the same is said.
        let list = PubsubAction::List {
            node: None,
            page: Some(PageRequest::default()),
        };
        let reply = world.ask_at(&device("stranger"), Some("nobody"), list);
        assert!(matches!(pubsub(reply), PubsubReply::Nodes { list, .. } if list.is_empty()));
    }
}

mod s4_3_who_hears {
    use super::*;

    fn hears(world: &mut World, who: &str, sees: bool) {
        let jid = bare(who).with_resource("x").unwrap();
        world.directory.online.push(jid);
        let hearer = Hearer {
            session: SessionId {
                index: world.directory.online.len() as u32 - 1,
                generation: 0,
            },
            account: bare(who),
            sees,
        };
        world
            .directory
            .hearers
            .push((bare("owner"), node(MOOD), hearer));
        world.directory.hearing += 1;
    }

    fn heard(world: &mut World) -> Vec<String> {
        world.heard();
        at_owner(world, "owner", publish(MOOD, "2")).unwrap();
        world.heard()
    }

    #[test]
    fn contacts_by_the_access_model_and_guests_only_where_it_is_open() {
        for (options, friend, guest) in [
            (&[("access_model", "open")][..], true, true),
            (&[], true, false),
            (
                &[
                    ("access_model", "roster"),
                    ("roster_groups_allowed", "Friends"),
                ],
                true,
                false,
            ),
            (
                &[
                    ("access_model", "roster"),
                    ("roster_groups_allowed", "Servants"),
                ],
                false,
                false,
            ),
            (&[("access_model", "whitelist")], false, false),
        ] {
            let mut world = with_node(options);
            hears(&mut world, "owner", true);
            hears(&mut world, "friend", true);
            hears(&mut world, "guest", false);
            let expected: Vec<_> = [("friend", friend), ("guest", guest), ("owner", true)]
                .into_iter()
                .filter(|(_, hears)| *hears)
                .map(|(who, _)| format!("{who}@localhost/x: item 2"))
                .collect();
            let mut heard = heard(&mut world);
            heard.sort();
            assert_eq!(heard, expected, "{options:?}");
        }
    }

    #[test]
    fn an_outcast_hears_nothing_and_a_member_of_the_whitelist_does() {
        let mut world = with_node(&[]);
        hears(&mut world, "friend", true);
        let cast = |affiliation| PubsubAction::SetAffiliations {
            node: node(MOOD),
            changes: vec![(bare("friend"), affiliation)],
        };
        at_owner(&mut world, "owner", cast(Affiliation::Outcast)).unwrap();
        assert!(heard(&mut world).is_empty());
        let closed = PubsubAction::Configure {
            node: node(MOOD),
            config: fields(&[("access_model", "whitelist")]),
        };
        at_owner(&mut world, "owner", closed).unwrap();
        at_owner(&mut world, "owner", cast(Affiliation::Member)).unwrap();
        assert_eq!(heard(&mut world), ["friend@localhost/x: item 2"]);
    }

    #[test]
    fn s4_3_3_a_bare_subscriber_is_notified_at_the_resources_that_want_it_or_at_the_bare_address() {
        let mut world = with_node(&[]);
        at_owner(&mut world, "friend", subscribe("friend")).unwrap();
        assert_eq!(heard(&mut world), ["friend@localhost: item 2"]);
        hears(&mut world, "friend", true);
        assert_eq!(heard(&mut world), ["friend@localhost/x: item 2"]);
    }

    #[test]
    fn s4_3_1_who_sees_the_owner_is_told_which_resource_published() {
        let mut world = with_node(&[("access_model", "open")]);
        hears(&mut world, "friend", true);
        hears(&mut world, "guest", false);
        world.heard();
        at_owner(&mut world, "owner", publish(MOOD, "2")).unwrap();
        for heard in std::mem::take(&mut world.heard) {
            let named = heard.tag.is_some_and(|tag| tag.publisher);
            assert_eq!(named, heard.to.starts_with("friend"), "{}", heard.to);
        }
    }

    #[test]
    fn s18_the_list_is_made_when_something_changes_and_not_for_each_item() {
        let mut world = with_node(&[]);
        hears(&mut world, "friend", true);
        heard(&mut world);
        let built = world.pubsub.status().audiences_built;
        for _ in 0..10 {
            heard(&mut world);
        }
        assert_eq!(world.pubsub.status().audiences_built, built);
        hears(&mut world, "owner", true);
        heard(&mut world);
        assert_eq!(world.pubsub.status().audiences_built, built + 1);
    }
}

#[test]
fn with_the_account_its_nodes_are_forgotten() {
    let mut world = with_node(&[]);
    world.pubsub.account_removed(&bare("owner"));
    world.store.nodes.clear();
    refused(
        at_owner(&mut world, "friend", items(MOOD)),
        Reason::ItemNotFound,
        None,
    );
}
