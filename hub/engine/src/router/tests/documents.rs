//! XEP-0049 and XEP-0054 through the router.

use super::*;
use crate::document::DocumentKey;
use bytes::Bytes;

fn key() -> DocumentKey {
    DocumentKey::new("exodus:prefs", "exodus")
}

fn set(key: DocumentKey, content: &str) -> Command {
    let content = (!content.is_empty()).then(|| Bytes::from(content.to_owned()));
    Command::SetDocuments(vec![(key, content)])
}

fn get(world: &mut World, id: SessionId, of: &str, key: DocumentKey) -> Result<String, Reason> {
    match world.request(id, Command::GetDocument { of: bare(of), key }) {
        Ok(Reply::Document { content, .. }) => {
            let content = content.unwrap_or_default();
            Ok(String::from_utf8(content.to_vec()).unwrap())
        }
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal.reason),
    }
}

#[test]
fn xep0049_s2_what_is_kept_comes_back_to_every_session_of_its_account() {
    let mut world = World::new();
    let (one, two) = (
        world.connected("hamlet", "a"),
        world.connected("hamlet", "b"),
    );
    assert_eq!(get(&mut world, one, "hamlet", key()), Ok(String::new()));
    world.request(one, set(key(), "<exodus/>")).unwrap();
    assert_eq!(
        get(&mut world, two, "hamlet", key()),
        Ok("<exodus/>".into())
    );
    world.request(two, set(key(), "")).unwrap();
    assert_eq!(get(&mut world, one, "hamlet", key()), Ok(String::new()));
}

#[test]
fn xep0049_s2_3_of_another_it_is_forbidden() {
    let mut world = World::new();
    let (hamlet, macbeth) = (
        world.connected("hamlet", "a"),
        world.connected("macbeth", "a"),
    );
    world.request(hamlet, set(key(), "<exodus/>")).unwrap();
    assert_eq!(
        get(&mut world, macbeth, "hamlet", key()),
        Err(Reason::Forbidden)
    );
    assert_eq!(
        get(&mut world, macbeth, "nobody", key()),
        Err(Reason::Forbidden)
    );
}

#[test]
fn xep0054_s3_3_a_vcard_is_for_the_world_and_none_looks_like_no_account() {
    let mut world = World::new();
    let (peter, jer) = (world.connected("peter", "a"), world.connected("jer", "a"));
    let vcard = DocumentKey::vcard;
    assert_eq!(
        get(&mut world, jer, "jer", vcard()),
        Err(Reason::ItemNotFound)
    );
    for nobody in ["jer", "nobody"] {
        let answer = get(&mut world, peter, nobody, vcard());
        assert_eq!(answer, Err(Reason::ServiceUnavailable), "{nobody}");
    }
    world.request(jer, set(vcard(), "<vCard/>")).unwrap();
    assert_eq!(
        get(&mut world, peter, "jer", vcard()),
        Ok("<vCard/>".into())
    );
    assert_eq!(get(&mut world, jer, "jer", vcard()), Ok("<vCard/>".into()));
}

#[test]
fn documents_are_bounded_by_what_the_store_has_and_by_what_is_on_its_way() {
    let mut world = World::with(RouterSettings {
        limits: Limits {
            documents_per_account: 1,
            ..settings().limits
        },
        ..settings()
    });
    let hamlet = world.connected("hamlet", "a");
    world.request(hamlet, set(key(), "<exodus/>")).unwrap();
    // Forgotten, it is asked for anew.
    world.router.residency.forget(&bare("hamlet"));
    let other = DocumentKey::new("x", "y");
    let full = world.request(hamlet, set(other.clone(), "<y/>"));
    assert_eq!(full.unwrap_err().reason, Reason::ResourceConstraint);
    world.request(hamlet, set(key(), "")).unwrap();
    world.store.held = true;
    world.ask(hamlet, set(other, "<y/>"));
    world.ask(hamlet, set(key(), "<exodus/>"));
    world.store.held = false;
    world.settle();
    assert_eq!(world.hear(hamlet), ["done", "ResourceConstraint"]);
}

#[test]
fn s5_a_set_that_is_not_stored_is_refused_and_forgotten() {
    let mut world = World::with(RouterSettings {
        limits: Limits {
            documents_per_account: 1,
            ..settings().limits
        },
        ..settings()
    });
    let hamlet = world.connected("hamlet", "a");
    world.store.failing = true;
    let failed = world.request(hamlet, set(key(), "<exodus/>"));
    assert_eq!(failed.unwrap_err().reason, Reason::ResourceConstraint);
    world.store.failing = false;
    // There is room for it, since the first was never kept.
    let other = DocumentKey::new("x", "y");
    world.request(hamlet, set(other, "<y/>")).unwrap();
    assert_eq!(get(&mut world, hamlet, "hamlet", key()), Ok(String::new()));
}

#[test]
fn documents_go_with_their_account() {
    let mut world = World::new();
    let (jer, peter) = (world.connected("jer", "a"), world.connected("peter", "a"));
    world
        .request(jer, set(DocumentKey::vcard(), "<vCard/>"))
        .unwrap();
    world.ask(jer, Command::Unregister);
    world.account("jer");
    let answer = get(&mut world, peter, "jer", DocumentKey::vcard());
    assert_eq!(answer, Err(Reason::ServiceUnavailable));
}
