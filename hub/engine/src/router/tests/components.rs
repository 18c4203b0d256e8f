//! External components through the router: XEP-0114 §3, and RFC 6121 between an account and a contact at a component.

use super::*;
use crate::{
    command::{AdminReply, NewItem, PubsubAction, PubsubReply, PubsubRequest},
    component::{Component, ComponentSecret},
    node::NodeId,
    payload::Payload,
};

const SECRET: &str = "correct horse battery staple";

fn component(domain: &str, secret: &str) -> Component {
    Component {
        domain: BareJid::parse(domain).unwrap(),
        role: Role::Service,
        secret: ComponentSecret::new(secret).unwrap(),
    }
}

fn world() -> World {
    let mut world = World::new();
    let all = vec![
        component("sensors.localhost", SECRET),
        component("sms.localhost", SECRET),
    ];
    world.router.set_components(all, world.now);
    world
}

fn attach(domain: &str) -> Command {
    Command::AttachComponent {
        component: Arc::new(component(domain, SECRET)),
        transport: Transport {
            protocol: "component",
            peer: None,
            tls: false,
            mechanism: "handshake",
        },
    }
}

fn by(from: &str, command: Command) -> Command {
    Command::As {
        from: jid(from),
        command: Box::new(command),
    }
}

impl World {
    fn component(&mut self, domain: &str) -> SessionId {
        let id = self.open();
        self.request(id, attach(domain)).unwrap();
        id
    }

    /// What a component was told, and for which of its addresses.
    fn relayed(&mut self, id: SessionId) -> Vec<String> {
        let entries = self.entries(id).into_iter();
        entries
            .map(|entry| match entry {
                Entry::Event { event, tag, .. } => {
                    let to = tag.as_ref().and_then(|tag| tag.to.as_ref());
                    let to = to.map_or_else(
                        || match &event.what {
                            What::Message(message) => message.to.to_string(),
                            What::Iq(iq) => iq.to.to_string(),
                            _ => "nobody".into(),
                        },
                        ToString::to_string,
                    );
                    format!("{to}: {}", words(&event))
                }
                other => format!("{other:?}"),
            })
            .collect()
    }

    fn shake(&mut self, id: SessionId, from: &str, to: &str, kind: Handshake) {
        let word = Command::Handshake {
            to: jid(to),
            kind,
            id: Some("h1".into()),
            lang: None,
            content: bytes::Bytes::new(),
        };
        self.ask(id, by(from, word));
    }

    fn show(&mut self, id: SessionId, from: &str, to: &str, presence: Presence) {
        let to = jid(to);
        self.ask(id, by(from, Command::Direct { to, presence }));
    }
}

fn pubsub(action: PubsubAction) -> Command {
    Command::Pubsub(Box::new(PubsubRequest { host: None, action }))
}

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

fn subscribe(name: &str, who: &str) -> Command {
    pubsub(PubsubAction::Subscribe {
        node: node(name),
        jid: jid(who),
        options: None,
    })
}

fn publish(name: &str) -> Command {
    pubsub(PubsubAction::Publish {
        node: node(name),
        items: vec![NewItem {
            id: None,
            payload: Some(Payload::xml(bytes::Bytes::from_static(
                b"<t xmlns='urn:t'/>",
            ))),
        }],
        options: None,
    })
}

#[test]
fn s3_stanzas_to_any_address_of_the_domain_reach_the_component_as_they_are() {
    let mut world = world();
    let bot = world.component("sensors.localhost");
    let romeo = world.online("romeo", "garden", 0);
    for to in [
        "sensors.localhost",
        "x@sensors.localhost",
        "x@sensors.localhost/res",
    ] {
        world.ask(romeo, message(to, MessageKind::Chat, "hi"));
        world.ask(romeo, iq(to, IqKind::Get));
        world.ask(
            romeo,
            Command::Direct {
                to: jid(to),
                presence: available(0),
            },
        );
        assert_eq!(
            world.relayed(bot),
            [
                format!("{to}: message hi"),
                format!("{to}: iq get from romeo@localhost/garden"),
                format!("{to}: romeo@localhost/garden available"),
            ]
        );
    }
    world.ask(romeo, Command::Detach(EndReason::Farewell));
    assert_eq!(
        world.relayed(bot).len(),
        3,
        "each address that was shown presence hears of the end"
    );
}

#[test]
fn rfc6120_s10_4_a_component_that_is_away_is_unavailable_and_an_unknown_domain_not_found() {
    let mut world = world();
    let romeo = world.online("romeo", "garden", 0);
    world.hear(romeo);
    for (to, condition) in [
        ("x@sensors.localhost", "service-unavailable"),
        ("x@elsewhere.example", "remote-server-not-found"),
    ] {
        world.ask(romeo, message(to, MessageKind::Chat, "hi"));
        assert_eq!(
            world.hear(romeo),
            [format!("error from {to}: {condition}")],
            "{to}"
        );
        world.ask(romeo, iq(to, IqKind::Get));
        world.handshake(romeo, to, Handshake::Subscribe);
        assert_eq!(
            world.hear(romeo),
            [
                format!("iq error from {to}"),
                format!("{to} presence error"),
            ],
            "nothing is left of a request that nobody can answer"
        );
    }
}

#[test]
fn s3_a_component_speaks_for_its_own_domain_alone() {
    let mut world = world();
    let bot = world.component("sensors.localhost");
    let juliet = world.online("juliet", "balcony", 0);
    world.hear(juliet);
    for forged in [
        "romeo@localhost/x",
        "sms.localhost",
        "a@b.sensors.localhost",
        "localhost",
    ] {
        let hi = message("juliet@localhost", MessageKind::Chat, "hi");
        world.ask(bot, by(forged, hi));
        world.show(bot, forged, "juliet@localhost", available(0));
        world.shake(bot, forged, "juliet@localhost", Handshake::Subscribe);
        assert!(world.hear(juliet).is_empty(), "{forged}");
    }
    world.ask(
        bot,
        by(
            "x@sensors.localhost/r",
            message("juliet@localhost", MessageKind::Chat, "hi"),
        ),
    );
    assert_eq!(world.hear(juliet), ["message hi"]);
    // Without its own word for it a component is nobody, and an account is no component.
    let hi = message("juliet@localhost", MessageKind::Chat, "hi");
    world.ask(bot, hi);
    let hi = message("juliet@localhost", MessageKind::Chat, "hi");
    world.ask(juliet, by("x@sensors.localhost", hi));
    assert!(
        !world.hear(juliet).iter().any(|heard| heard == "message hi"),
        "only a component speaks for others"
    );
}

#[test]
fn s3_messages_to_accounts_follow_the_rules_for_everybody() {
    let mut world = world();
    let bot = world.component("sensors.localhost");
    world.account("romeo");
    let to = |to: &str| {
        by(
            "x@sensors.localhost",
            message(to, MessageKind::Chat, "late"),
        )
    };
    world.ask(bot, to("romeo@localhost"));
    world.ask(bot, to("nobody@localhost"));
    assert_eq!(
        world.relayed(bot),
        ["x@sensors.localhost: error from nobody@localhost: service-unavailable"]
    );
    let romeo = world.online("romeo", "garden", 0);
    assert!(
        world.hear(romeo).contains(&"message late (delayed)".into()),
        "kept while away"
    );
    world.ask(
        bot,
        by(
            "x@sensors.localhost",
            iq("romeo@localhost/garden", IqKind::Get),
        ),
    );
    assert_eq!(world.hear(romeo), ["iq get from x@sensors.localhost"]);
    world.ask(romeo, iq("x@sensors.localhost", IqKind::Result));
    assert_eq!(
        world.relayed(bot),
        ["x@sensors.localhost: iq result from romeo@localhost/garden"]
    );
    // From one component to another.
    let sms = world.component("sms.localhost");
    world.ask(
        bot,
        by(
            "x@sensors.localhost",
            message("1@sms.localhost", MessageKind::Chat, "hi"),
        ),
    );
    assert_eq!(world.relayed(sms), ["1@sms.localhost: message hi"]);
}

#[test]
fn rfc6121_s3_an_account_subscribes_to_an_address_of_a_component() {
    let mut world = world();
    let bot = world.component("sensors.localhost");
    let romeo = world.online("romeo", "garden", 0);
    world.hush(&[romeo]);
    world.handshake(romeo, "lamp@sensors.localhost", Handshake::Subscribe);
    assert_eq!(
        world.relayed(bot),
        ["lamp@sensors.localhost: subscribe from romeo@localhost"]
    );
    assert_eq!(world.hear(romeo), ["push lamp@sensors.localhost none"]);
    world.shake(
        bot,
        "lamp@sensors.localhost",
        "romeo@localhost",
        Handshake::Subscribed,
    );
    world.show(
        bot,
        "lamp@sensors.localhost/1",
        "romeo@localhost",
        available(0),
    );
    assert_eq!(
        world.hear(romeo),
        [
            "subscribed from lamp@sensors.localhost",
            "push lamp@sensors.localhost to",
            "lamp@sensors.localhost/1 available",
        ]
    );
    // A later login asks where the contact lives (RFC 6121 §4.2.2).
    let other = world.online("romeo", "hall", 0);
    assert_eq!(
        world.relayed(bot),
        ["lamp@sensors.localhost: probe from romeo@localhost/hall"]
    );
    world.hush(&[romeo, other]);
    // What the component showed is taken back when it is lost.
    world.ask(bot, Command::Detach(EndReason::LinkLost));
    assert_eq!(world.hear(romeo), ["lamp@sensors.localhost/1 unavailable"]);
    let bot = world.component("sensors.localhost");
    world.ask(
        romeo,
        Command::RemoveContact {
            jid: BareJid::parse("lamp@sensors.localhost").unwrap(),
        },
    );
    assert_eq!(
        world.relayed(bot),
        ["lamp@sensors.localhost: unsubscribe from romeo@localhost"]
    );
}

#[test]
fn rfc6121_s3_an_address_of_a_component_subscribes_to_an_account() {
    let mut world = world();
    let bot = world.component("sensors.localhost");
    world.account("romeo");
    // Asked while the account is away: shown at its next login (RFC 6121 §3.1.3).
    world.shake(
        bot,
        "bot@sensors.localhost",
        "romeo@localhost",
        Handshake::Subscribe,
    );
    world.shake(
        bot,
        "bot@sensors.localhost",
        "nobody@localhost",
        Handshake::Subscribe,
    );
    assert!(world.relayed(bot).is_empty());
    let romeo = world.online("romeo", "garden", 0);
    assert!(
        world
            .hear(romeo)
            .contains(&"subscribe from bot@sensors.localhost".into())
    );
    let probe = |to: &str| {
        by(
            "bot@sensors.localhost",
            Command::Probe {
                to: jid(to),
                id: None,
            },
        )
    };
    world.ask(bot, probe("romeo@localhost"));
    assert_eq!(
        world.relayed(bot),
        ["bot@sensors.localhost: unsubscribed from romeo@localhost"],
        "it may not see him yet"
    );
    world.handshake(romeo, "bot@sensors.localhost", Handshake::Subscribed);
    assert_eq!(
        world.relayed(bot),
        [
            "bot@sensors.localhost: subscribed from romeo@localhost",
            "bot@sensors.localhost: romeo@localhost/garden available",
        ]
    );
    world.ask(bot, probe("romeo@localhost"));
    world.announce(romeo, 5);
    world.ask(romeo, Command::Announce(unavailable(None)));
    assert_eq!(
        world.relayed(bot),
        [
            "bot@sensors.localhost: romeo@localhost/garden available",
            "bot@sensors.localhost: romeo@localhost/garden available",
            "bot@sensors.localhost: romeo@localhost/garden unavailable",
        ]
    );
    world.ask(bot, probe("romeo@localhost"));
    assert_eq!(
        world.relayed(bot),
        ["bot@sensors.localhost: romeo@localhost unavailable"]
    );
    world.handshake(romeo, "bot@sensors.localhost", Handshake::Unsubscribed);
    world.announce(romeo, 0);
    assert_eq!(
        world.relayed(bot),
        ["bot@sensors.localhost: unsubscribed from romeo@localhost"]
    );
}

#[test]
fn s3_a_second_connection_is_a_conflict_and_the_first_must_show_that_it_lives() {
    let mut world = world();
    let first = world.component("sensors.localhost");
    let second = world.open();
    let refused = world
        .request(second, attach("sensors.localhost"))
        .unwrap_err();
    assert_eq!(refused.reason, Reason::Conflict);
    assert!(matches!(
        *world.entries(first),
        [Entry::Continue(Cursor::PROVE)]
    ));
    world.ask(first, Command::Detach(EndReason::Unresponsive));
    world.request(second, attach("sensors.localhost")).unwrap();
    // One session, one domain.
    assert!(world.request(second, attach("sms.localhost")).is_err());
}

#[test]
fn sighup_ends_components_that_are_gone_or_changed_and_leaves_the_rest() {
    let mut world = world();
    let sensors = world.component("sensors.localhost");
    let sms = world.component("sms.localhost");
    let changed = vec![
        component("sensors.localhost", SECRET),
        component("sms.localhost", "another secret, long enough"),
    ];
    world.router.set_components(changed, world.now);
    assert!(world.entries(sensors).is_empty());
    assert!(matches!(
        *world.entries(sms),
        [Entry::End(EndReason::AccountChanged)]
    ));
    // A handshake that was judged by the old secret does not count any more.
    let late = world.open();
    let refused = world.request(late, attach("sms.localhost")).unwrap_err();
    assert_eq!(refused.reason, Reason::NotAuthorized);
    world.router.set_components(Vec::new(), world.now);
    assert!(matches!(*world.entries(sensors), [Entry::End(_)]));
}

/// A component that may do everything below `gateways/`.
fn gateways() -> (World, SessionId) {
    let rules = AccessRules::new(vec![
        crate::access::Rule::new(
            crate::access::Who::Role(Role::Service),
            crate::access::Actions::ALL,
            "gateways/#",
            true,
        )
        .unwrap(),
    ]);
    let mut world = World::with(RouterSettings {
        access: rules,
        ..settings()
    });
    let all = vec![component("sensors.localhost", SECRET)];
    world.router.set_components(all, world.now);
    let bot = world.component("sensors.localhost");
    (world, bot)
}

#[test]
fn s13_pubsub_rights_are_those_of_the_role_and_the_address_that_asked() {
    let (mut world, bot) = gateways();
    let ask = |from: &str, command| by(from, command);
    let denied = world.request(
        bot,
        ask("dev7@sensors.localhost", publish("devices/dev7/t")),
    );
    assert_eq!(
        denied.unwrap_err().reason,
        Reason::Forbidden,
        "it is not the device of that name"
    );
    world
        .request(bot, ask("a@sensors.localhost", publish("gateways/a")))
        .unwrap();
    // S18: the subscriber is the address given, which is the asker's own.
    for (who, fits) in [
        ("a@sensors.localhost", true),
        ("a@sensors.localhost/tele", true),
        ("b@sensors.localhost", false),
        ("romeo@localhost", false),
    ] {
        let asked = ask("a@sensors.localhost", subscribe("gateways/a", who));
        assert_eq!(world.request(bot, asked).is_ok(), fits, "{who}");
    }
    world.relayed(bot);
    world.ask(bot, ask("a@sensors.localhost", publish("gateways/a")));
    let mut told = world.relayed(bot);
    told.retain(|told| told.contains(": node"));
    told.sort();
    assert_eq!(
        told,
        [
            "a@sensors.localhost/tele: node gateways/a",
            "a@sensors.localhost: node gateways/a",
        ]
    );
    // The full address's subscription ends with the connection, the bare one's stays (S18).
    world.ask(bot, Command::Detach(EndReason::LinkLost));
    let bot = world.component("sensors.localhost");
    world.ask(bot, ask("a@sensors.localhost", publish("gateways/a")));
    let mut told = world.relayed(bot);
    told.retain(|told| told.contains(": node"));
    assert_eq!(told, ["a@sensors.localhost: node gateways/a"]);
    let list = pubsub(PubsubAction::Subscriptions { node: None });
    let Ok(Reply::Pubsub(reply)) = world.request(bot, ask("a@sensors.localhost", list)) else {
        panic!("no list");
    };
    let PubsubReply::Subscriptions { list, .. } = *reply else {
        panic!("{reply:?}");
    };
    assert_eq!(list.len(), 1);
}

#[test]
fn connected_components_are_listed_and_can_be_kicked() {
    let mut world = world();
    let romeo = world.online("romeo", "garden", 0);
    let bot = world.component("sensors.localhost");
    let Ok(Reply::Components(list)) = world.request(romeo, Command::ListComponents) else {
        panic!("no list");
    };
    assert_eq!(list, [BareJid::parse("sensors.localhost").unwrap()]);
    let status = world.router.status();
    assert_eq!((status.components, status.components_attached), (2, 1));
    let operator = world.operator();
    let sessions = world.admin(operator, AdminRequest::ListSessions { account: None });
    let Ok(Reply::Admin(reply)) = sessions else {
        panic!("no list");
    };
    let AdminReply::Sessions(sessions) = *reply else {
        panic!("{reply:?}");
    };
    assert!(
        sessions
            .iter()
            .any(|one| one.jid == jid("sensors.localhost") && one.transport.protocol == "component")
    );
    let kick = AdminRequest::Kick {
        jid: jid("sensors.localhost"),
    };
    world.admin(operator, kick).unwrap();
    assert!(matches!(
        *world.entries(bot),
        [Entry::End(EndReason::Kicked)]
    ));
}

#[test]
fn xep_0060_s16_4_2_digests_for_addresses_of_a_component_are_of_each_by_itself() {
    let (mut world, bot) = gateways();
    let publisher = "a@sensors.localhost";
    world
        .request(bot, by(publisher, publish("gateways/a")))
        .unwrap();
    let digest = subscriptions::fields(&[("digest", "1"), ("digest_frequency", "10000")]);
    for (who, options) in [
        ("a@sensors.localhost", Some(digest.clone())),
        ("b@sensors.localhost", Some(digest)),
        ("c@sensors.localhost", None),
    ] {
        let subscribe = PubsubAction::Subscribe {
            node: node("gateways/a"),
            jid: jid(who),
            options,
        };
        world.request(bot, by(who, pubsub(subscribe))).unwrap();
    }
    world.entries(bot);
    for _ in 0..2 {
        world.ask(bot, by(publisher, publish("gateways/a")));
    }
    let nodes = |world: &mut World| {
        let mut told = world.relayed(bot);
        told.retain(|told| told.contains(": node"));
        told.sort();
        told
    };
    let at_once = "c@sensors.localhost: node gateways/a";
    assert_eq!(nodes(&mut world), [at_once, at_once]);
    subscriptions::pass(&mut world, 10);
    assert_eq!(
        nodes(&mut world),
        [
            "a@sensors.localhost: node gateways/a",
            "b@sensors.localhost: node gateways/a",
        ]
    );
}
