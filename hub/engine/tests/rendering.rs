//! What a session writes of what happened: stanzas as they leave, shared parts and envelopes (S23).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;

use leveret_engine::{
    address::{BareJid, Jid},
    class::Class,
    event::{Event, NodeChange, NodeEvent, RosterPush, What},
    item::Item,
    mailbox::{Addressed, Entry, SubscriptionTag},
    message::{
        Handshake, Hints, Iq, IqKind, Message, MessageKind, Presence, PresenceKind, Show,
        SubscriptionStanza,
    },
    node::{ItemId, NodeAddress, NodeId},
    payload::Payload,
    time::Timestamp,
};
use support::{Hub, romeo};

const STAMP: Timestamp = Timestamp::from_micros(951_782_400_000_000);

fn message() -> Message {
    Message {
        from: Jid::parse("romeo@localhost/a'b").unwrap(),
        to: Jid::parse("juliet@localhost").unwrap(),
        kind: MessageKind::Chat,
        id: Some("<1>".into()),
        lang: Some("it".into()),
        content: "<body>ciao</body>".into(),
        hints: Hints::default(),
    }
}

fn rendered(what: What, to: Addressed, delay: Option<Timestamp>) -> String {
    let mut hub = Hub::bound();
    hub.deliver_event(what, to, delay);
    hub.take_sent()
}

#[test]
fn a_message_names_the_address_it_came_to() {
    assert_eq!(
        rendered(What::Message(message()), Addressed::Bare, None),
        "<message to='juliet@localhost' from='romeo@localhost/a&apos;b' type='chat' id='&lt;1>' xml:lang='it'>\
         <body>ciao</body></message>"
    );
}

#[test]
fn xep0203_what_is_told_late_says_when_it_happened() {
    let sent = rendered(What::Message(message()), Addressed::Full, Some(STAMP));
    assert!(sent.ends_with(
        "<delay xmlns='urn:xmpp:delay' from='localhost' stamp='2000-02-29T00:00:00.000Z'/></message>"
    ));
}

#[test]
fn presence_is_rendered_once_and_enveloped_for_each() {
    let presence = What::Presence(Presence {
        from: Jid::parse("romeo@localhost/a").unwrap(),
        kind: PresenceKind::Available {
            show: Show::Away,
            priority: 0,
        },
        id: None,
        lang: None,
        status: None,
        content: "<show>away</show>".into(),
        at: STAMP,
    });
    assert_eq!(
        rendered(presence.clone(), Addressed::Bare, None),
        "<presence to='juliet@localhost' from='romeo@localhost/a'><show>away</show></presence>"
    );
    assert_eq!(
        rendered(presence, Addressed::Full, Some(STAMP)),
        "<presence to='juliet@localhost/balcony' from='romeo@localhost/a'><show>away</show>\
         <delay xmlns='urn:xmpp:delay' from='localhost' stamp='2000-02-29T00:00:00.000Z'/></presence>"
    );
}

#[test]
fn the_handshake_stays_between_bare_addresses_and_keeps_its_language() {
    let stanza = SubscriptionStanza {
        from: BareJid::parse("romeo@localhost").unwrap(),
        to: BareJid::parse("juliet@localhost").unwrap(),
        kind: Handshake::Subscribe,
        id: None,
        lang: Some("it".into()),
        content: "".into(),
    };
    assert_eq!(
        rendered(What::Subscription(stanza), Addressed::Full, None),
        "<presence to='juliet@localhost' from='romeo@localhost' type='subscribe' xml:lang='it'/>"
    );
}

#[test]
fn rfc6121_s2_1_6_pushes_have_ids_of_their_own_and_removal_is_one() {
    let mut hub = Hub::bound();
    let push = |contact: Option<leveret_engine::account::Contact>| {
        What::Roster(RosterPush {
            contact: contact.map(Box::new),
            jid: romeo().jid,
            version: "9".into(),
        })
    };
    hub.deliver_event(push(Some(romeo())), Addressed::Full, None);
    let one = hub.take_sent();
    hub.deliver_event(push(None), Addressed::Full, None);
    let two = hub.take_sent();
    assert!(one.starts_with("<iq type='set' id='hub-1' to='juliet@localhost/balcony'>"));
    // §2.6.3: with the version, even for a client that has not asked for it.
    assert!(one.contains("<query xmlns='jabber:iq:roster' ver='9'><item jid='romeo@localhost'"));
    assert!(two.contains("id='hub-2'"));
    assert!(two.contains("<item jid='romeo@localhost' subscription='remove'/>"));
}

#[test]
fn s23_a_notification_shares_its_event_and_adds_its_own_envelope() {
    let item = Item {
        id: ItemId::parse("i1").unwrap(),
        publisher: support::full("dev7@localhost/x"),
        published: STAMP,
        payload: Some(Payload::xml("<t xmlns='urn:t'>21</t>".into())),
        class: Class::Event,
    };
    let event = Arc::new(Event::new(What::Node(NodeEvent {
        at: NodeAddress::of_service(NodeId::parse("a/b").unwrap()),
        kind: MessageKind::Headline,
        change: NodeChange::Published {
            item: Arc::new(item),
            payload: true,
            reply: None,
        },
    })));
    let mut hub = Hub::bound();
    let mut deliver = |to, tag, delay| {
        hub.deliver(Entry::Event {
            event: Arc::clone(&event),
            to,
            tag,
            delay,
        });
        hub.take_sent()
    };
    const SHARED: &str = " from='pubsub.localhost' type='headline'>\
         <event xmlns='http://jabber.org/protocol/pubsub#event'><items node='a/b'><item id='i1'>\
         <t xmlns='urn:t'>21</t></item></items></event>";
    assert_eq!(
        deliver(Addressed::Bare, None, None),
        format!("<message to='juliet@localhost'{SHARED}</message>")
    );
    let tag = Arc::new(SubscriptionTag {
        to: None,
        subids: vec!["s1".into()],
        collection: None,
        ..SubscriptionTag::default()
    });
    assert_eq!(
        deliver(Addressed::Full, Some(tag), Some(STAMP)),
        format!(
            "<message to='juliet@localhost/balcony'{SHARED}\
             <headers xmlns='http://jabber.org/protocol/shim'><header name='SubID'>s1</header></headers>\
             <delay xmlns='urn:xmpp:delay' from='localhost' stamp='2000-02-29T00:00:00.000Z'/></message>"
        )
    );
}

#[test]
fn an_iq_of_somebody_else_arrives_as_it_was_sent() {
    let iq = Iq {
        from: Jid::parse("romeo@localhost/a").unwrap(),
        to: Jid::parse("juliet@localhost/balcony").unwrap(),
        kind: IqKind::Get,
        id: "q".into(),
        lang: None,
        content: "<x xmlns='y'/>".into(),
    };
    assert_eq!(
        rendered(What::Iq(iq), Addressed::Full, None),
        "<iq to='juliet@localhost/balcony' from='romeo@localhost/a' type='get' id='q'><x xmlns='y'/></iq>"
    );
}
