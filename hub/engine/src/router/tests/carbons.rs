//! XEP-0280 through the router.

use super::*;

/// Romeo with two resources and Juliet with three; all but the first of each want copies. Juliet's last is not reachable.
struct Verona {
    world: World,
    romeo: [SessionId; 2],
    juliet: [SessionId; 3],
}

impl Verona {
    fn new() -> Self {
        let mut world = World::new();
        let romeo = ["a", "b"].map(|resource| world.online("romeo", resource, 0));
        let juliet = [("x", 0), ("y", 0), ("z", -1)]
            .map(|(resource, priority)| world.online("juliet", resource, priority));
        for id in [romeo[1], juliet[1], juliet[2]] {
            world.request(id, Command::SetCarbons(true)).unwrap();
        }
        world.hush(&romeo);
        world.hush(&juliet);
        Self {
            world,
            romeo,
            juliet,
        }
    }

    /// What all five hear of what Romeo's first says.
    fn say(&mut self, command: Command) -> [String; 5] {
        self.world.ask(self.romeo[0], command);
        let [a, b] = self.romeo;
        let [x, y, z] = self.juliet;
        [a, b, x, y, z].map(|id| self.world.hear(id).join(", "))
    }
}

fn chat(to: &str) -> Command {
    message(to, MessageKind::Chat, "hi")
}

#[test]
fn s7_s8_a_full_address_is_copied_to_the_others_of_both_sides() {
    let mut verona = Verona::new();
    let heard = verona.say(chat("juliet@localhost/x"));
    assert_eq!(
        heard,
        [
            "",
            "sent copy of hi",
            "message hi",
            "received copy of hi",
            "received copy of hi"
        ]
    );
    // Whom it is for gets no copy besides.
    let heard = verona.say(chat("juliet@localhost/y"));
    assert_eq!(
        heard,
        [
            "",
            "sent copy of hi",
            "",
            "message hi",
            "received copy of hi"
        ]
    );
}

#[test]
fn s7_a_bare_address_is_copied_to_those_that_did_not_get_it() {
    let mut verona = Verona::new();
    let heard = verona.say(chat("juliet@localhost"));
    assert_eq!(
        heard,
        [
            "",
            "sent copy of hi",
            "message hi",
            "message hi",
            "received copy of hi"
        ]
    );
    // RFC 6121 §8.5.3.2.1: as one to the bare address.
    let heard = verona.say(chat("juliet@localhost/gone"));
    assert_eq!(
        heard,
        [
            "",
            "sent copy of hi",
            "message hi",
            "message hi",
            "received copy of hi"
        ]
    );
}

#[test]
fn s7_a_message_that_is_kept_is_copied_once_it_is_stored() {
    let mut verona = Verona::new();
    let [x, y, z] = verona.juliet;
    for id in [x, y] {
        verona.world.ask(id, Command::Announce(unavailable(None)));
    }
    verona.world.hush(&[x, y, z]);
    verona.world.store.held = true;
    assert_eq!(verona.say(chat("juliet@localhost")), ["", "", "", "", ""]);
    verona.world.store.held = false;
    verona.world.settle();
    let heard = [verona.romeo[1], x, y, z].map(|id| verona.world.hear(id).join(", "));
    assert_eq!(
        heard,
        [
            "sent copy of hi",
            "",
            "received copy of hi",
            "received copy of hi"
        ]
    );
    assert_eq!(verona.world.store.offline_count(&bare("juliet")), 1);
}

#[test]
fn s5_a_message_that_could_not_be_kept_is_not_copied() {
    let mut verona = Verona::new();
    for id in verona.juliet {
        verona.world.ask(id, Command::Announce(unavailable(None)));
    }
    let juliet = verona.juliet;
    verona.world.hush(&juliet);
    verona.world.store.failing = true;
    let heard = verona.say(chat("juliet@localhost"));
    assert_eq!(
        heard,
        [
            "error from juliet@localhost: resource-constraint",
            "",
            "",
            "",
            ""
        ]
    );
}

#[test]
fn s6_1_what_comes_back_is_copied_with_its_error_to_the_senders_side_alone() {
    let mut verona = Verona::new();
    let normal = message("juliet@localhost/gone", MessageKind::Normal, "hi");
    let back = "error from juliet@localhost/gone: service-unavailable";
    let heard = verona.say(normal);
    assert_eq!(
        heard,
        [back, "sent copy of hi, received copy of error", "", "", ""]
    );
}

#[test]
fn s6_1_and_s9_what_is_not_eligible_is_not_copied() {
    let mut verona = Verona::new();
    let Command::Send(mut private) = chat("juliet@localhost/x") else {
        panic!()
    };
    private.hints.no_copy = true;
    assert_eq!(
        verona.say(Command::Send(private)),
        ["", "", "message hi", "", ""]
    );
    for kind in [MessageKind::Headline, MessageKind::Groupchat] {
        let heard = verona.say(message("juliet@localhost/x", kind, "hi"));
        assert_eq!(heard, ["", "", "message hi", "", ""], "{kind:?}");
    }
}

#[test]
fn a_message_to_the_own_account_reaches_each_resource_once() {
    let mut verona = Verona::new();
    assert_eq!(
        verona.say(chat("romeo@localhost"))[..2],
        ["message hi", "message hi"]
    );
    assert_eq!(
        verona.say(chat("romeo@localhost/a"))[..2],
        ["message hi", "sent copy of hi"]
    );
    assert_eq!(
        verona.say(chat("romeo@localhost/b"))[..2],
        ["", "message hi"]
    );
}

#[test]
fn s11_1_as_often_as_the_client_likes_and_no_more_when_it_is_off() {
    let mut verona = Verona::new();
    let [_, b] = verona.romeo;
    for enabled in [true, true, false, false] {
        verona
            .world
            .request(b, Command::SetCarbons(enabled))
            .unwrap();
    }
    assert_eq!(verona.say(chat("juliet@localhost/x"))[1], "");
    for id in verona.juliet {
        verona.world.ask(id, Command::Detach(EndReason::Farewell));
    }
    // Nobody wants copies any more: what most pay for.
    assert!(!verona.world.router.directory.has_carbons());
}

#[test]
fn s11_3_a_copy_that_bounces_goes_to_nobody() {
    let mut verona = Verona::new();
    let y = verona.juliet[1];
    let bounced = message("juliet@localhost", MessageKind::Error, "bounced");
    verona.world.ask(y, bounced);
    let [a, b] = verona.romeo;
    assert!(verona.world.hear(a).is_empty() && verona.world.hear(b).is_empty());
}

#[test]
fn s12_what_looks_like_a_copy_is_a_message_of_its_sender() {
    let mut verona = Verona::new();
    let forged = "<received xmlns='urn:xmpp:carbons:2'/>";
    let heard = verona.say(message("juliet@localhost/x", MessageKind::Headline, forged));
    assert_eq!(heard[2], format!("message {forged}"));
}

#[test]
fn xep0191_s3_3_what_a_block_stops_is_not_copied() {
    let mut verona = Verona::new();
    let x = verona.juliet[0];
    let block = Command::Block(vec![jid("romeo@localhost")]);
    verona.world.request(x, block).unwrap();
    let back = "error from juliet@localhost/x: service-unavailable";
    assert_eq!(
        verona.say(chat("juliet@localhost/x")),
        [back, "", "", "", ""]
    );
}
