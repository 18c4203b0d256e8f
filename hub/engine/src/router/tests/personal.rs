//! Personal nodes through the router: who hears, what is shown to who comes, and what the hub learns of clients
//! (XEP-0163, XEP-0060 §9, XEP-0115).

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

mod s4_3_4_last_items {
    use super::*;

    #[test]
    fn each_resource_is_shown_the_last_item_once_a_presence_session() {
        let mut world = world();
        let juliet = world.online("juliet", "balcony", 0);
        world.tell(juliet, MOOD, "1");
        world.tell(juliet, MOOD, "2");
        for resource in ["orchard", "phone"] {
            let romeo = world.client("romeo", resource, 1);
            assert_eq!(world.items(romeo), ["node urn:mood (delayed)"]);
            world.announce(romeo, 3);
            world.capable(romeo, 1);
            assert!(world.items(romeo).is_empty());
            world.ask(romeo, Command::Announce(unavailable(None)));
            world.announce(romeo, 0);
            world.capable(romeo, 1);
            assert_eq!(world.items(romeo), ["node urn:mood (delayed)"]);
        }
        // The account's own resources too.
        let chamber = world.client("juliet", "chamber", 1);
        assert_eq!(world.items(chamber), ["node urn:mood (delayed)"]);
    }

    #[test]
    fn new_capabilities_show_what_is_new_in_them_and_end_what_is_not_in_them_any_more() {
        let mut world = world();
        let juliet = world.online("juliet", "balcony", 0);
        world.tell(juliet, MOOD, "1");
        world.tell(juliet, PLACE, "1");
        let romeo = world.client("romeo", "orchard", 1);
        world.hush(&[romeo]);
        world.capable(romeo, 2);
        assert_eq!(world.items(romeo), ["node urn:place (delayed)"]);
        world.tell(juliet, MOOD, "2");
        assert_eq!(world.items(romeo), ["node urn:mood"]);
        world.capable(romeo, 3);
        world.tell(juliet, MOOD, "3");
        assert!(world.items(romeo).is_empty());
    }

    #[test]
    fn never_means_never_and_a_node_that_left_memory_is_shown_all_the_same() {
        let mut world = world();
        let juliet = world.online("juliet", "balcony", 0);
        world.tell_with(juliet, MOOD, "1", &[("send_last_published_item", "never")]);
        world.tell(juliet, PLACE, "1");
        for name in [MOOD, PLACE] {
            world.router.pubsub.unload(&NodeAddress {
                host: Some(bare("juliet")),
                node: node(name),
            });
        }
        let romeo = world.client("romeo", "orchard", 2);
        assert_eq!(world.items(romeo), ["node urn:place (delayed)"]);
    }

    #[test]
    fn the_store_is_asked_again_if_it_could_not_say() {
        let mut world = world();
        let juliet = world.online("juliet", "balcony", 0);
        world.tell(juliet, MOOD, "1");
        let romeo = world.online("romeo", "orchard", 0);
        world.store.blind = true;
        world.capable(romeo, 1);
        assert!(world.items(romeo).is_empty());
        world.store.blind = false;
        world.pass(2);
        world.router.handle_timeout(world.now);
        world.settle();
        assert_eq!(world.items(romeo), ["node urn:mood (delayed)"]);
    }

    #[test]
    fn s10_a_thousand_contacts_come_as_the_mailbox_drains_each_once_whatever_is_published_meanwhile()
     {
        const CONTACTS: usize = 300;
        let mut world = world();
        let mut contacts = Vec::new();
        for number in 0..CONTACTS {
            let name = format!("d{number:04}");
            world.befriend(&name, "operator");
            let id = world.online(&name, "x", 0);
            world.tell(id, MOOD, "old");
            world.hush(&[id]);
            contacts.push(id);
        }
        world.drains = false;
        let operator = world.online("operator", "desk", 0);
        world.capable(operator, 1);
        let (mut shown, mut told, mut rounds) = (Vec::new(), Vec::new(), 0);
        loop {
            let entries = world.entries(operator);
            if entries.is_empty() {
                break;
            }
            rounds += 1;
            let events = entries
                .iter()
                .filter(|entry| matches!(entry, Entry::Event { .. }))
                .count();
            assert!(
                events <= 4 * crate::limits::CURSOR_BATCH,
                "{events} at once"
            );
            for entry in entries {
                match entry {
                    Entry::Continue(cursor) => {
                        // In the midst of it some of them publish anew.
                        for at in [rounds % CONTACTS, CONTACTS - 1 - rounds % CONTACTS] {
                            world.tell(contacts[at], MOOD, &format!("new{rounds}"));
                        }
                        world.ask(operator, Command::Continue(cursor));
                    }
                    Entry::Event { event, delay, .. } => {
                        let What::Node(node) = &event.what else {
                            continue;
                        };
                        let crate::event::NodeChange::Published { item, .. } = &node.change else {
                            continue;
                        };
                        let host = node.at.host.clone().unwrap();
                        let seen = (host, item.id.clone());
                        if delay.is_some() {
                            shown.push(seen);
                        } else {
                            told.push(seen);
                        }
                    }
                    _ => {}
                }
            }
        }
        assert!(rounds > CONTACTS / crate::limits::CURSOR_BATCH, "{rounds}");
        let hosts: std::collections::HashSet<_> = shown.iter().map(|(host, _)| host).collect();
        assert_eq!((shown.len(), hosts.len()), (CONTACTS, CONTACTS));
        for seen in &told {
            assert!(!shown.contains(seen), "{seen:?} came twice");
        }
        // Whoever was shown the old item was told of the new one.
        let newest: Vec<_> = (0..CONTACTS)
            .map(|number| {
                let host = bare(&format!("d{number:04}"));
                let at = NodeAddress {
                    host: Some(host.clone()),
                    node: node(MOOD),
                };
                (
                    host,
                    world
                        .store
                        .node(&at)
                        .unwrap()
                        .last
                        .clone()
                        .unwrap()
                        .id
                        .clone(),
                )
            })
            .collect();
        for newest in newest {
            assert!(
                shown.contains(&newest) || told.contains(&newest),
                "{newest:?}"
            );
        }
    }

    #[test]
    fn a_node_of_the_service_shows_its_last_item_to_a_subscriber_who_comes() {
        let mut world = World::new();
        let owner = world.connected("owner", "x");
        let name = "devices/owner/t";
        let options = [("send_last_published_item", "on_sub_and_presence")];
        world.at(owner, None, publish(name, "1", &options));
        let operator = world.connected("owner", "desk");
        let subscribe = PubsubAction::Subscribe {
            node: node(name),
            jid: jid("owner@localhost"),
            options: None,
        };
        world.at(operator, None, subscribe);
        world.hush(&[operator]);
        world.announce(operator, 0);
        assert_eq!(world.items(operator), [format!("node {name} (delayed)")]);
        world.announce(operator, 1);
        assert!(world.items(operator).is_empty());
    }
}

mod xep_0115 {
    use super::*;

    fn questions(world: &mut World, id: SessionId) -> Vec<String> {
        let heard = world.hear(id).into_iter();
        heard.filter(|line| line.starts_with("question ")).collect()
    }

    #[test]
    fn s5_4_a_kind_of_client_is_asked_about_once_and_believed_if_the_hash_fits() {
        let mut world = World::new();
        world.befriend("juliet", "romeo");
        let juliet = world.online("juliet", "balcony", 0);
        world.tell(juliet, MOOD, "1");
        let first = world.client("romeo", "a", 7);
        let second = world.client("romeo", "b", 7);
        assert_eq!(
            questions(&mut world, first),
            ["question 1 about urn:client#7"]
        );
        assert!(questions(&mut world, second).is_empty());
        world.disclose(first, 1, 7, &[MOOD]);
        for id in [first, second] {
            assert_eq!(world.items(id), ["node urn:mood (delayed)"]);
        }
        let third = world.client("romeo", "c", 7);
        assert_eq!(world.items(third), ["node urn:mood (delayed)"]);
        assert!(questions(&mut world, third).is_empty());
    }

    #[test]
    fn s5_4_what_the_hash_does_not_confirm_counts_for_who_says_it_and_the_next_one_is_asked() {
        let mut world = World::new();
        world.befriend("juliet", "romeo");
        let juliet = world.online("juliet", "balcony", 0);
        world.tell(juliet, MOOD, "1");
        let liar = world.client("romeo", "liar", 7);
        let honest = world.client("romeo", "honest", 7);
        world.hush(&[liar, honest]);
        world.disclose(liar, 1, 8, &[MOOD]);
        assert_eq!(world.items(liar), ["node urn:mood (delayed)"]);
        assert_eq!(
            questions(&mut world, honest),
            ["question 2 about urn:client#7"]
        );
        world.disclose(honest, 2, 7, &[PLACE]);
        let third = world.client("romeo", "third", 7);
        assert!(
            world
                .hear(third)
                .iter()
                .all(|line| !line.starts_with("question"))
        );
        world.tell(juliet, MOOD, "2");
        assert_eq!(world.items(liar), ["node urn:mood"]);
        assert!(world.items(honest).is_empty() && world.items(third).is_empty());
    }

    #[test]
    fn who_does_not_answer_in_time_or_leaves_is_not_waited_for() {
        let mut world = World::new();
        let silent = world.client("romeo", "silent", 7);
        let leaves = world.client("romeo", "leaves", 7);
        let answers = world.client("romeo", "answers", 7);
        world.hush(&[silent, leaves, answers]);
        assert!(world.router.next_deadline().is_some());
        world.pass(31);
        world.router.handle_timeout(world.now);
        assert_eq!(
            questions(&mut world, leaves),
            ["question 2 about urn:client#7"]
        );
        world.ask(leaves, Command::Detach(EndReason::LinkLost));
        assert_eq!(
            questions(&mut world, answers),
            ["question 3 about urn:client#7"]
        );
        // Too late, and by somebody else.
        world.disclose(silent, 1, 7, &[MOOD]);
        world.disclose(silent, 3, 7, &[MOOD]);
        world.tell(answers, MOOD, "1");
        assert!(world.items(answers).is_empty());
        world.disclose(answers, 3, 7, &[MOOD]);
        assert_eq!(world.items(answers), ["node urn:mood (delayed)"]);
    }

    #[test]
    fn a_client_that_changes_with_every_presence_is_asked_so_often_and_no_more() {
        let mut world = World::new();
        let id = world.online("romeo", "x", 0);
        for number in 0..100 {
            world.capable(id, number);
        }
        assert_eq!(questions(&mut world, id).len(), 16);
    }

    #[test]
    fn before_any_presence_there_is_nothing_to_learn_for() {
        let mut world = World::new();
        let id = world.connected("romeo", "x");
        world.capable(id, 7);
        assert!(world.hear(id).is_empty());
    }
}
