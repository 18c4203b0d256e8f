//! Personal nodes through the router: who hears, what is shown to who comes, and what the hub learns of clients
//! (XEP-0163, XEP-0060 §9, XEP-0115).

mod by_groups;
mod options;
mod s4_3_4_last_items;
mod xep_0115;

use super::*;
use crate::{
    capabilities::{Announced, Disclosed, Verification, Wishes},
    command::{Field, NewItem, PubsubAction, PubsubRequest},
    node::{ItemId, NodeAddress, NodeId},
    payload::Payload,
};

const MOOD: &str = "urn:mood";
const PLACE: &str = "urn:place";

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

fn kind(number: u8) -> Verification {
    Verification::Sha1([number; 20])
}

fn publish(name: &str, id: &str, options: &[(&str, &str)]) -> PubsubAction {
    let field = |&(var, value): &(&str, &str)| Field {
        var: format!("pubsub#{var}").into(),
        values: vec![value.into()],
    };
    PubsubAction::Publish {
        node: node(name),
        items: vec![NewItem {
            id: Some(ItemId::parse(id).unwrap()),
            payload: Some(Payload::xml("<x xmlns='urn:x'/>".into())),
        }],
        options: (!options.is_empty()).then(|| options.iter().map(field).collect()),
    }
}

impl World {
    fn at(&mut self, id: SessionId, host: Option<&str>, action: PubsubAction) {
        let host = host.map(bare);
        let request = Command::Pubsub(Box::new(PubsubRequest { host, action }));
        self.ask(id, request);
    }

    /// Publishes at the session's own account.
    fn tell(&mut self, id: SessionId, name: &str, item: &str) {
        self.tell_with(id, name, item, &[]);
    }

    fn tell_with(&mut self, id: SessionId, name: &str, item: &str, options: &[(&str, &str)]) {
        let jid = self.router.directory.get(id).unwrap().jid.clone().unwrap();
        let host = jid.local().unwrap().to_owned();
        self.at(id, Some(&host), publish(name, item, options));
    }

    fn capable(&mut self, id: SessionId, number: u8) {
        let announced = Announced {
            node: format!("urn:client#{number}").into(),
            verification: Some(kind(number)),
        };
        self.ask(id, Command::Capabilities(announced.into()));
    }

    fn disclose(&mut self, id: SessionId, question: u32, number: u8, wishes: &[&str]) {
        let disclosed = Disclosed {
            hashes: Some([kind(number), Verification::Sha256([0; 32])]),
            wishes: Wishes::new(wishes.iter().map(|name| node(name)).collect()),
        };
        self.ask(
            id,
            Command::Disclose {
                question,
                disclosed: disclosed.into(),
            },
        );
    }

    /// Teaches the hub what clients of this kind want to hear.
    fn teach(&mut self, number: u8, wishes: &[&str]) {
        let id = self.online("teacher", "x", 0);
        self.capable(id, number);
        let question = self.router.capabilities_asked();
        self.disclose(id, question, number, wishes);
        self.ask(id, Command::Detach(EndReason::Farewell));
    }

    /// An available session of a client of this kind.
    fn client(&mut self, name: &str, resource: &str, number: u8) -> SessionId {
        let id = self.online(name, resource, 0);
        self.capable(id, number);
        id
    }

    /// What of nodes it heard.
    fn items(&mut self, id: SessionId) -> Vec<String> {
        let heard = self.hear(id).into_iter();
        heard.filter(|line| line.starts_with("node ")).collect()
    }
}

impl Router {
    /// The number of the newest question.
    fn capabilities_asked(&self) -> u32 {
        self.capabilities.made()
    }
}

fn world() -> World {
    let mut world = World::new();
    world.teach(1, &[MOOD]);
    world.teach(2, &[MOOD, PLACE]);
    world.teach(3, &[]);
    world.befriend("juliet", "romeo");
    world
}

mod s9_who_hears {
    use super::*;

    #[test]
    fn s9_1_s9_2_own_resources_and_contacts_hear_what_their_clients_want() {
        let mut world = world();
        let juliet = world.client("juliet", "balcony", 1);
        let chamber = world.client("juliet", "chamber", 3);
        let romeo = world.client("romeo", "orchard", 1);
        let phone = world.client("romeo", "phone", 2);
        let deaf = world.online("romeo", "deaf", 0);
        let paris = world.client("paris", "x", 2);
        world.hush(&[juliet, chamber, romeo, phone, deaf, paris]);
        world.tell(juliet, MOOD, "1");
        world.tell(juliet, PLACE, "1");
        assert_eq!(world.items(juliet), ["node urn:mood"]);
        assert_eq!(world.items(romeo), ["node urn:mood"]);
        assert_eq!(world.items(phone), ["node urn:mood", "node urn:place"]);
        for id in [chamber, deaf, paris] {
            assert!(world.items(id).is_empty());
        }
    }

    #[test]
    fn a_negative_priority_hears_and_who_is_unavailable_does_not() {
        let mut world = world();
        let juliet = world.online("juliet", "balcony", 0);
        let romeo = world.online("romeo", "orchard", -1);
        world.capable(romeo, 1);
        world.tell(juliet, MOOD, "1");
        assert_eq!(world.items(romeo), ["node urn:mood"]);
        world.ask(romeo, Command::Announce(unavailable(None)));
        world.tell(juliet, MOOD, "2");
        assert!(world.items(romeo).is_empty());
    }

    #[test]
    fn s9_1_3_a_presence_shown_to_the_account_lets_a_stranger_hear_open_nodes_until_it_is_taken_back()
     {
        let mut world = world();
        let juliet = world.online("juliet", "balcony", 0);
        let open = [("access_model", "open")];
        world.tell_with(juliet, MOOD, "1", &open);
        world.tell(juliet, PLACE, "1");
        let paris = world.client("paris", "x", 2);
        world.hush(&[paris]);
        let shown = |presence| Command::Direct {
            to: jid("juliet@localhost"),
            presence,
        };
        world.ask(paris, shown(available(0)));
        assert_eq!(world.items(paris), ["node urn:mood (delayed)"]);
        world.tell(juliet, MOOD, "2");
        world.tell(juliet, PLACE, "2");
        assert_eq!(world.items(paris), ["node urn:mood"]);
        world.ask(paris, shown(unavailable(None)));
        world.tell(juliet, MOOD, "3");
        assert!(world.items(paris).is_empty());
        // So it is when the session ends.
        world.ask(paris, shown(available(0)));
        world.hush(&[paris]);
        world.ask(paris, Command::Detach(EndReason::LinkLost));
        world.tell(juliet, MOOD, "4");
        assert_eq!(world.router.directory.guests.of(&bare("juliet")).count(), 0);
    }

    #[test]
    fn s9_1_3_capabilities_may_come_with_the_directed_presence_alone() {
        let mut world = world();
        let juliet = world.online("juliet", "balcony", 0);
        world.tell_with(juliet, MOOD, "1", &[("access_model", "open")]);
        let paris = world.connected("paris", "x");
        let direct = Command::Direct {
            to: jid("juliet@localhost"),
            presence: available(0),
        };
        world.ask(paris, direct);
        world.capable(paris, 2);
        assert_eq!(world.items(paris), ["node urn:mood (delayed)"]);
        // It sees nobody, and is shown its own when it becomes available.
        world.announce(paris, 0);
        world.tell(paris, PLACE, "1");
        assert_eq!(world.items(paris), ["node urn:place"]);
    }

    #[test]
    fn s8_who_no_longer_sees_the_account_hears_nothing_and_loses_its_subscription() {
        let mut world = world();
        let juliet = world.online("juliet", "balcony", 0);
        world.tell(juliet, MOOD, "1");
        let romeo = world.client("romeo", "orchard", 1);
        let subscribe = PubsubAction::Subscribe {
            node: node(MOOD),
            jid: jid("romeo@localhost"),
            options: None,
        };
        world.at(romeo, Some("juliet"), subscribe);
        world.hush(&[romeo]);
        world.handshake(juliet, "romeo@localhost", Handshake::Unsubscribed);
        let at = NodeAddress {
            host: Some(bare("juliet")),
            node: node(MOOD),
        };
        // The word that the subscription is over, and nothing after it.
        assert_eq!(world.items(romeo), ["node urn:mood"]);
        assert!(world.store.node(&at).unwrap().subscriptions.is_empty());
        world.tell(juliet, MOOD, "2");
        assert!(world.items(romeo).is_empty());
    }

    #[test]
    fn who_comes_to_see_the_account_is_shown_its_nodes_once_and_hears_of_them() {
        let mut world = world();
        let juliet = world.online("juliet", "balcony", 0);
        world.tell(juliet, MOOD, "1");
        let paris = world.client("paris", "x", 1);
        world.hush(&[paris]);
        world.handshake(paris, "juliet@localhost", Handshake::Subscribe);
        assert!(world.items(paris).is_empty());
        world.handshake(juliet, "paris@localhost", Handshake::Subscribed);
        assert_eq!(world.items(paris), ["node urn:mood (delayed)"]);
        world.tell(juliet, MOOD, "2");
        assert_eq!(world.items(paris), ["node urn:mood"]);
    }

    #[test]
    fn what_is_published_while_a_contact_is_being_stored_is_shown_once() {
        for failing in [false, true] {
            let mut world = world();
            let juliet = world.online("juliet", "balcony", 0);
            world.tell(juliet, MOOD, "1");
            let paris = world.client("paris", "x", 1);
            world.handshake(paris, "juliet@localhost", Handshake::Subscribe);
            world.hush(&[juliet, paris]);
            world.store.held = true;
            world.handshake(juliet, "paris@localhost", Handshake::Subscribed);
            world.tell(juliet, MOOD, "2");
            world.store.failing = failing;
            world.store.held = false;
            world.settle();
            world.store.failing = false;
            let expected: &[&str] = match failing {
                true => &[],
                false => &["node urn:mood (delayed)"],
            };
            assert_eq!(world.items(paris), expected);
            if failing {
                // Nothing is left of it: the next attempt goes as any other.
                world.handshake(juliet, "paris@localhost", Handshake::Subscribed);
                assert_eq!(world.items(paris), ["node urn:mood (delayed)"]);
            }
            world.tell(juliet, MOOD, "3");
            assert_eq!(world.items(paris), ["node urn:mood"]);
        }
    }

    #[test]
    fn a_publish_that_was_not_stored_is_heard_by_nobody_and_the_next_one_is() {
        let mut world = world();
        let juliet = world.online("juliet", "balcony", 0);
        world.tell(juliet, MOOD, "1");
        let romeo = world.client("romeo", "orchard", 1);
        world.hush(&[romeo]);
        world.store.failing = true;
        world.tell(juliet, MOOD, "2");
        world.store.failing = false;
        assert!(world.items(romeo).is_empty());
        world.tell(juliet, MOOD, "3");
        assert_eq!(world.items(romeo), ["node urn:mood"]);
    }

    #[test]
    fn with_the_account_its_nodes_go() {
        let mut world = world();
        let juliet = world.online("juliet", "balcony", 0);
        world.tell_with(juliet, MOOD, "1", &[("access_model", "open")]);
        world.ask(juliet, Command::Unregister);
        world.account("juliet");
        let romeo = world.online("romeo", "orchard", 0);
        let items = PubsubAction::Items {
            node: node(MOOD),
            ids: Vec::new(),
            max: None,
            subid: None,
            page: None,
            order: crate::item::Order::default(),
        };
        let request = Command::Pubsub(Box::new(PubsubRequest {
            host: Some(bare("juliet")),
            action: items,
        }));
        let refusal = world.request(romeo, request).unwrap_err();
        assert_eq!(refusal.reason, Reason::ItemNotFound);
    }
}
