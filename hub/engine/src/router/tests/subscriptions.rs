//! What a subscription asks of its deliveries, through the router: shows, digests, leases; and owners who are asked.

use super::*;
use crate::{
    command::{Field, NewItem, PubsubAction, PubsubRequest},
    event::NodeChange,
    node::{ItemId, NodeId},
    payload::Payload,
};

fn ask(action: PubsubAction) -> Command {
    Command::Pubsub(Box::new(PubsubRequest { host: None, action }))
}

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

pub(super) fn fields(options: &[(&str, &str)]) -> Vec<Field> {
    let field = |&(var, value): &(&str, &str)| Field {
        var: format!("pubsub#{var}").into(),
        values: vec![value.into()],
    };
    options.iter().map(field).collect()
}

fn publish(name: &str, id: u32) -> Command {
    let payload = Payload::xml(bytes::Bytes::from_static(b"<t xmlns='urn:t'/>"));
    ask(PubsubAction::Publish {
        node: node(name),
        items: vec![NewItem {
            id: Some(ItemId::parse(&id.to_string()).unwrap()),
            payload: Some(payload),
        }],
        options: None,
    })
}

fn subscribe(name: &str, who: &str, options: &[(&str, &str)]) -> Command {
    ask(PubsubAction::Subscribe {
        node: node(name),
        jid: jid(who),
        options: Some(fields(options)),
    })
}

/// What a change says, in words.
pub(super) fn say(change: &NodeChange) -> String {
    match change {
        NodeChange::Published { item, .. } => item.id.to_string(),
        NodeChange::Retracted(ids) => format!("-{}", ids[0]),
        NodeChange::Digest(all) => all.iter().map(say).collect::<Vec<_>>().join(" "),
        NodeChange::Subscription { state, expiry, .. } => match expiry {
            Some(_) => "ends soon".to_owned(),
            None => format!("{state:?}"),
        },
        NodeChange::Requested { jid, .. } => format!("{jid} asks"),
        NodeChange::Purged => "purge".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The messages that a session got, one line each.
pub(super) fn told(world: &mut World, id: SessionId) -> Vec<String> {
    let entries = world.entries(id).into_iter();
    let told = entries.filter_map(|entry| match entry {
        Entry::Event { event, .. } => match &event.what {
            What::Node(node) => Some(say(&node.change)),
            _ => None,
        },
        _ => None,
    });
    told.collect()
}

/// A device with a node of its own, and an operator.
fn fleet() -> (World, SessionId, SessionId) {
    let mut world = World::new();
    world.store.add_account(&bare("op"), Role::Operator);
    let device = world.online("dev7", "x", 0);
    let operator = world.online("op", "console", 0);
    world.request(device, publish(LOG, 0)).unwrap();
    world.hush(&[device, operator]);
    (world, device, operator)
}

const LOG: &str = "devices/dev7/log";

/// Time passes and what is due happens.
pub(super) fn pass(world: &mut World, secs: u64) {
    world.pass(secs);
    while let Some(at) = world.router.next_deadline()
        && at <= world.now.mono
    {
        world.router.handle_timeout(world.now);
        world.settle();
    }
}

mod digests {
    use super::*;

    fn with_digest(options: &[(&str, &str)]) -> (World, SessionId, SessionId) {
        let (mut world, device, operator) = fleet();
        let mut all = vec![("digest", "1"), ("digest_frequency", "10000")];
        all.extend(options);
        let subscribe = subscribe(LOG, "op@localhost", &all);
        world.request(operator, subscribe).unwrap();
        world.hush(&[device, operator]);
        (world, device, operator)
    }

    #[test]
    fn s16_4_2_what_comes_meanwhile_goes_out_together_and_in_order() {
        let (mut world, device, operator) = with_digest(&[]);
        for id in 1..=3 {
            world.ask(device, publish(LOG, id));
        }
        pass(&mut world, 9);
        assert!(told(&mut world, operator).is_empty());
        pass(&mut world, 1);
        assert_eq!(told(&mut world, operator), ["1 2 3"]);
        // Between two is never less than was asked for.
        world.ask(device, publish(LOG, 4));
        pass(&mut world, 9);
        assert!(told(&mut world, operator).is_empty());
        pass(&mut world, 1);
        assert_eq!(told(&mut world, operator), ["4"]);
        pass(&mut world, 60);
        assert!(told(&mut world, operator).is_empty());
    }

    #[test]
    fn two_nodes_are_two_messages_at_one_time() {
        let (mut world, device, operator) = with_digest(&[]);
        let other = "devices/dev7/other";
        world.ask(device, publish(other, 0));
        let digest = [("digest", "1"), ("digest_frequency", "10000")];
        world
            .request(operator, subscribe(other, "op@localhost", &digest))
            .unwrap();
        world.hush(&[device, operator]);
        for id in 1..=2 {
            world.ask(device, publish(LOG, id));
            world.ask(device, publish(other, 10 + id));
        }
        pass(&mut world, 10);
        assert_eq!(told(&mut world, operator), ["1 2", "11 12"]);
    }

    #[test]
    fn what_cannot_wait_takes_along_what_does() {
        let (mut world, device, operator) = with_digest(&[]);
        world.ask(device, publish(LOG, 1));
        world.ask(device, ask(PubsubAction::Purge { node: node(LOG) }));
        assert_eq!(told(&mut world, operator), ["1", "purge"]);
        world.ask(device, publish(LOG, 2));
        let end = PubsubAction::SetSubscriptions {
            node: node(LOG),
            changes: vec![(
                jid("op@localhost"),
                crate::item::SubscriptionState::None,
                None,
            )],
        };
        world.ask(device, ask(end));
        assert_eq!(told(&mut world, operator), ["2", "None"]);
        pass(&mut world, 60);
        assert!(told(&mut world, operator).is_empty());
    }

    #[test]
    fn s9_of_too_many_the_newest_are_kept() {
        let (mut world, device, operator) = with_digest(&[]);
        for id in 0..300 {
            world.ask(device, publish(LOG, id));
            world.hush(&[device]);
        }
        pass(&mut world, 10);
        let digest = told(&mut world, operator).pop().unwrap();
        let ids: Vec<_> = digest.split(' ').collect();
        assert_eq!((ids.len(), ids[0], ids[255]), (256, "44", "299"));
    }

    #[test]
    fn nothing_is_held_back_for_who_is_not_here() {
        let (mut world, device, operator) = with_digest(&[]);
        world.ask(operator, Command::Announce(unavailable(None)));
        world.hush(&[operator]);
        world.ask(device, publish(LOG, 1));
        assert!(world.router.post.digests.is_empty());
        // Nor sent to who has gone meanwhile.
        world.announce(operator, 0);
        world.hush(&[operator]);
        world.ask(device, publish(LOG, 2));
        world.ask(operator, Command::Announce(unavailable(None)));
        world.hush(&[operator]);
        pass(&mut world, 10);
        assert!(told(&mut world, operator).is_empty());
    }

    #[test]
    fn s18_what_is_held_back_for_a_session_ends_with_it() {
        let (mut world, device, operator) = fleet();
        let digest = [("digest", "1"), ("digest_frequency", "10000")];
        let subscribe = subscribe(LOG, "op@localhost/console", &digest);
        world.request(operator, subscribe).unwrap();
        world.ask(device, publish(LOG, 1));
        assert!(!world.router.post.digests.is_empty());
        world.ask(operator, Command::Detach(EndReason::LinkLost));
        assert!(world.router.post.digests.is_empty());
    }
}

mod shows {
    use super::*;

    fn show(world: &mut World, id: SessionId, show: Show) {
        let presence = presence(PresenceKind::Available { show, priority: 0 }, None);
        world.ask(id, Command::Announce(presence));
        world.hush(&[id]);
    }

    #[test]
    fn s16_4_2_only_those_sessions_hear_that_show_what_was_asked_for() {
        let (mut world, device, console) = fleet();
        let phone = world.online("op", "phone", 0);
        let options = [("show-values", "online")];
        world
            .request(console, subscribe(LOG, "op@localhost", &options))
            .unwrap();
        show(&mut world, phone, Show::Dnd);
        world.hush(&[console, phone]);
        world.ask(device, publish(LOG, 1));
        assert_eq!(told(&mut world, console), ["1"]);
        assert!(told(&mut world, phone).is_empty());
        // What counts is what is shown at the moment.
        show(&mut world, phone, Show::Online);
        show(&mut world, console, Show::Away);
        world.hush(&[console, phone]);
        world.ask(device, publish(LOG, 2));
        assert_eq!(told(&mut world, phone), ["2"]);
        assert!(told(&mut world, console).is_empty());
    }

    #[test]
    fn a_session_that_shows_nothing_hears_only_where_shows_do_not_matter() {
        let (mut world, device, console) = fleet();
        let full = "op@localhost/console";
        let options = [("show-values", "online")];
        world
            .request(console, subscribe(LOG, full, &options))
            .unwrap();
        world.ask(console, Command::Announce(unavailable(None)));
        world.hush(&[console]);
        world.ask(device, publish(LOG, 1));
        assert!(told(&mut world, console).is_empty());
        let any = PubsubAction::SetOptions {
            node: node(LOG),
            jid: jid(full),
            subid: None,
            options: vec![Field {
                var: "pubsub#show-values".into(),
                values: Vec::new(),
            }],
        };
        world.request(console, ask(any)).unwrap();
        world.ask(device, publish(LOG, 2));
        assert_eq!(told(&mut world, console), ["2"]);
    }
}

#[test]
fn s12_19_a_lease_ends_when_its_time_has_come_and_not_before() {
    let (mut world, device, operator) = fleet();
    let ends = world.now.wall + Duration::from_secs(100);
    let options = [("expire", &*ends.to_string())];
    world
        .request(operator, subscribe(LOG, "op@localhost", &options))
        .unwrap();
    world.hush(&[operator]);
    pass(&mut world, 75);
    assert_eq!(told(&mut world, operator), ["ends soon"]);
    pass(&mut world, 24);
    world.ask(device, publish(LOG, 1));
    assert_eq!(told(&mut world, operator), ["1"]);
    pass(&mut world, 1);
    assert_eq!(told(&mut world, operator), ["None"]);
    world.ask(device, publish(LOG, 2));
    assert!(told(&mut world, operator).is_empty());
}

#[test]
fn s12_19_the_store_is_asked_for_leases_of_nodes_that_nobody_uses() {
    let (mut world, device, operator) = fleet();
    let ends = world.now.wall + Duration::from_secs(100);
    let options = [("expire", &*ends.to_string())];
    world
        .request(operator, subscribe(LOG, "op@localhost", &options))
        .unwrap();
    world.hush(&[device, operator]);
    let at = NodeAddress::of_service(node(LOG));
    world.router.pubsub.unload(&at);
    assert_eq!(world.router.pubsub.next_lease(), None);
    pass(&mut world, 3_600);
    assert_eq!(told(&mut world, operator), ["None"]);
    world.ask(device, publish(LOG, 1));
    assert!(told(&mut world, operator).is_empty());
}

mod requests {
    use super::*;
    use crate::access::{Action, Rule, Who};

    const FREE: &str = "free/a";

    /// Everybody may create below `free/`; who may subscribe there is the owners' word.
    fn free() -> RouterSettings {
        let create = [Action::Create].into_iter().collect();
        RouterSettings {
            access: AccessRules::new(vec![Rule::new(Who::All, create, "free/#", true).unwrap()]),
            ..settings()
        }
    }

    /// dev7 has a node and is away; dev8 asks to be subscribed.
    fn with_request() -> (World, SessionId) {
        let mut world = World::with(free());
        let owner = world.online("dev7", "x", 0);
        let create = PubsubAction::Create {
            node: Some(node(FREE)),
            config: fields(&[("access_model", "authorize")]),
        };
        world.request(owner, ask(create)).unwrap();
        world.request(owner, publish(FREE, 0)).unwrap();
        world.ask(owner, Command::Detach(EndReason::Farewell));
        let other = world.online("dev8", "x", 0);
        world
            .request(other, subscribe(FREE, "dev8@localhost", &[]))
            .unwrap();
        world.hush(&[other]);
        (world, other)
    }

    #[test]
    fn s8_6_an_owner_who_was_away_is_asked_when_it_comes() {
        let (mut world, other) = with_request();
        let owner = world.connected("dev7", "y");
        world.announce(owner, 0);
        assert_eq!(told(&mut world, owner), ["dev8@localhost asks"]);
        let allow = PubsubAction::Authorize {
            node: node(FREE),
            jid: jid("dev8@localhost"),
            subid: None,
            allow: true,
        };
        world.request(owner, ask(allow)).unwrap();
        assert_eq!(told(&mut world, other), ["Subscribed", "0"]);
        world.ask(owner, Command::Detach(EndReason::Farewell));
        let owner = world.connected("dev7", "z");
        world.announce(owner, 0);
        assert!(told(&mut world, owner).is_empty());
    }

    #[test]
    fn s8_6_requests_wait_through_a_restart() {
        let (mut world, _) = with_request();
        world.restart(free());
        // What a start needs was asked of the store that the world had for a moment; it is asked again.
        world.router = Router::new(free());
        world.mailboxes.clear();
        world.settle();
        let owner = world.connected("dev7", "y");
        world.announce(owner, 0);
        assert_eq!(told(&mut world, owner), ["dev8@localhost asks"]);
    }

    #[test]
    fn s8_7_4_the_requests_of_a_node_follow_the_answer() {
        let (mut world, _) = with_request();
        let owner = world.connected("dev7", "y");
        let pending = PubsubAction::GetPending {
            node: Some(node(FREE)),
            execution: "1-x".into(),
        };
        world.ask(owner, ask(pending));
        let entries = world.entries(owner);
        let kinds: Vec<bool> = entries
            .iter()
            .map(|entry| matches!(entry, Entry::Answer(_)))
            .collect();
        assert_eq!(kinds, [true, false]);
    }
}
