//! XEP-0115: what the hub learns of clients, and how often it asks.

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
