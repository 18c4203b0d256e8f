//! What a subscription of a personal node asks of its deliveries (XEP-0060 §6.3, §12.6, §16.4.2).

use super::{
    super::subscriptions::{fields, pass, told},
    *,
};

/// Juliet, and two sessions of Romeo, who has subscribed with these options and whose clients say nothing of what they want.
fn subscribed(
    node_is: &[(&str, &str)],
    wishes: &[(&str, &str)],
) -> (World, SessionId, [SessionId; 2]) {
    let mut world = world();
    let juliet = world.online("juliet", "balcony", 0);
    world.tell_with(juliet, MOOD, "0", node_is);
    let orchard = world.online("romeo", "orchard", 0);
    let phone = world.online("romeo", "phone", 0);
    let subscribe = PubsubAction::Subscribe {
        node: node(MOOD),
        jid: jid("romeo@localhost"),
        options: Some(fields(wishes)),
    };
    let request = PubsubRequest {
        host: Some(bare("juliet")),
        action: subscribe,
    };
    world
        .request(orchard, Command::Pubsub(Box::new(request)))
        .unwrap();
    world.hush(&[juliet, orchard, phone]);
    (world, juliet, [orchard, phone])
}

fn show(world: &mut World, id: SessionId, show: Show) {
    let shown = presence(PresenceKind::Available { show, priority: 0 }, None);
    world.ask(id, Command::Announce(shown));
    world.hush(&[id]);
}

#[test]
fn s16_4_2_a_digest_waits_and_who_hears_by_its_client_hears_at_once() {
    let digest = [("digest", "1"), ("digest_frequency", "10000")];
    let (mut world, juliet, [orchard, phone]) = subscribed(&[("max_items", "10")], &digest);
    for id in ["1", "2"] {
        world.tell(juliet, MOOD, id);
    }
    pass(&mut world, 9);
    assert!(told(&mut world, orchard).is_empty());
    pass(&mut world, 1);
    assert_eq!(told(&mut world, orchard), ["1 2"]);
    assert_eq!(told(&mut world, phone), ["1 2"]);
    // XEP-0163 §4.3.3: where it is known which resources want it, they get it.
    world.capable(orchard, 1);
    world.hush(&[orchard]);
    world.tell(juliet, MOOD, "3");
    assert_eq!(told(&mut world, orchard), ["3"]);
    pass(&mut world, 10);
    assert!(told(&mut world, orchard).is_empty());
    assert!(told(&mut world, phone).is_empty());
}

#[test]
fn s16_4_2_shows_are_heeded() {
    let (mut world, juliet, [orchard, phone]) = subscribed(&[], &[("show-values", "online")]);
    show(&mut world, phone, Show::Dnd);
    world.hush(&[juliet, orchard]);
    world.tell(juliet, MOOD, "1");
    assert_eq!(told(&mut world, orchard), ["1"]);
    assert!(told(&mut world, phone).is_empty());
    show(&mut world, orchard, Show::Away);
    show(&mut world, phone, Show::Online);
    world.hush(&[juliet, orchard, phone]);
    world.tell(juliet, MOOD, "2");
    assert!(told(&mut world, orchard).is_empty());
    assert_eq!(told(&mut world, phone), ["2"]);
}

#[test]
fn s12_6_a_presence_based_node_is_heard_by_who_is_available() {
    for by_presence in [true, false] {
        let based: &[_] = match by_presence {
            true => &[("presence_based_delivery", "1")],
            false => &[],
        };
        let (mut world, juliet, [orchard, phone]) = subscribed(based, &[]);
        let full = PubsubAction::Subscribe {
            node: node(MOOD),
            jid: jid("romeo@localhost/phone"),
            options: None,
        };
        world.at(phone, Some("juliet"), full);
        world.ask(phone, Command::Announce(unavailable(None)));
        world.hush(&[juliet, orchard, phone]);
        world.tell(juliet, MOOD, "1");
        assert_eq!(told(&mut world, orchard), ["1"]);
        let heard = told(&mut world, phone).len();
        assert_eq!(heard, usize::from(!by_presence));
    }
}
