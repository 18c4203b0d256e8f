//! Options, approval and commands as XML.

use super::{super::*, node};
use crate::{
    address::Jid,
    command::{PubsubAction, PubsubReply},
    event::{NodeChange, NodeEvent},
    item::{NodeSubscription, SubscriptionOptions, SubscriptionState, SubscriptionType},
    message::{MessageKind, Show},
    node::NodeAddress,
    refusal::{Reason, Refusal},
    time::Timestamp,
    xmpp::xml::{Scope, Tree},
};

fn well_formed(bytes: &[u8]) -> String {
    let (mut tree, scope) = (Tree::new(), Scope::empty());
    tree.parse(bytes, &scope).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn reply(reply: &PubsubReply, as_owner: bool) -> String {
    let mut out = Vec::new();
    render_reply(reply, as_owner, "pubsub.localhost", &mut out);
    well_formed(&out)
}

fn event(change: NodeChange) -> String {
    let event = NodeEvent {
        at: NodeAddress::of_service(node("a/b")),
        kind: MessageKind::Normal,
        change,
    };
    well_formed(&render_event(&event))
}

fn jid() -> Jid {
    Jid::parse("dev7@localhost").unwrap()
}

fn approval(form: &str) -> Result<Option<PubsubAction>, Refusal> {
    let (mut tree, scope) = (Tree::new(), Scope::client());
    let message = format!("<message>{form}</message>");
    read_approval(tree.parse(message.as_bytes(), &scope).unwrap())
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field>"
        .to_owned();
    for (var, value) in fields {
        form += &format!("<field var='pubsub#{var}'><value>{value}</value></field>");
    }
    form + "</x>"
}

#[test]
fn s6_3_2_the_form_shows_what_holds_and_what_there_is_to_choose() {
    let options = SubscriptionOptions {
        digest_millis: Some(5_000),
        expire: Some(Timestamp::default()),
        include_body: true,
        shows: Some([Show::Chat, Show::Online].into_iter().collect()),
        kind: SubscriptionType::Nodes,
        ..SubscriptionOptions::default()
    };
    let form = reply(
        &PubsubReply::Options {
            node: node("a"),
            jid: jid(),
            subid: Some("s".into()),
            options: Box::new(options),
        },
        false,
    );
    assert!(form.starts_with(
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><options node='a' jid='dev7@localhost' subid='s'>\
         <x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#subscribe_options</value></field>"
    ));
    for part in [
        "<field var='pubsub#digest' type='boolean' label='Deliver several at a time'><value>1</value></field>",
        "<value>5000</value>",
        "<value>1970-01-01T00:00:00.000Z</value>",
        "</option><value>online</value><value>chat</value></field>",
        "</option><value>nodes</value></field>",
    ] {
        assert!(form.contains(part), "{part} in {form}");
    }
}

#[test]
fn s6_3_7_the_answer_says_what_holds() {
    let subscribed = reply(
        &PubsubReply::Subscribed {
            node: node("a"),
            jid: jid(),
            subid: "s".into(),
            state: SubscriptionState::Subscribed,
            options: Some(Box::default()),
        },
        false,
    );
    assert!(
        subscribed.contains(
            "subscription='subscribed'/><options><x xmlns='jabber:x:data' type='result'>"
        )
    );
}

#[test]
fn s6_4_2_default_options_are_a_result() {
    for (of, expected) in [
        (None, "<default><x"),
        (Some(node("a")), "<default node='a'><x"),
    ] {
        let default = reply(&PubsubReply::DefaultOptions { node: of }, false);
        assert!(default.contains(expected), "{default}");
        assert!(
            default.contains("<field var='pubsub#deliver' type='boolean'><value>1</value></field>")
        );
    }
}

#[test]
fn s8_6_an_owner_is_asked_by_a_form_of_the_message_itself() {
    let asked = event(NodeChange::Requested {
        jid: jid(),
        subid: "s".into(),
    });
    assert!(asked.starts_with(
        "<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field>\
         <field var='pubsub#subid' type='hidden'><value>s</value></field>"
    ));
    for part in [
        "<value>a/b</value>",
        "<value>dev7@localhost</value>",
        "<value>0</value></field></x>",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}

#[test]
fn s8_6_an_owner_answers_by_the_same_form() {
    for (value, allow) in [("1", true), ("true", true), ("0", false), ("false", false)] {
        let fields = [
            ("subid", "s"),
            ("node", "a/b"),
            ("subscriber_jid", "dev7@localhost"),
            ("allow", value),
        ];
        let answer = PubsubAction::Authorize {
            node: node("a/b"),
            jid: jid(),
            subid: Some("s".into()),
            allow,
        };
        assert_eq!(approval(&form(&fields)), Ok(Some(answer)));
    }
    // The request stays where it is.
    assert_eq!(
        approval("<x xmlns='jabber:x:data' type='cancel'/>"),
        Ok(None)
    );
}

#[test]
fn s8_6_what_is_no_answer_is_refused() {
    let other = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:f</value></field></x>";
    let node = ("node", "a");
    let who = ("subscriber_jid", "dev7@localhost");
    for (message, reason) in [
        ("<body>hello</body>", Reason::ServiceUnavailable),
        (other, Reason::ServiceUnavailable),
        ("<x xmlns='jabber:x:data' type='form'/>", Reason::BadRequest),
        (&form(&[node, who]), Reason::BadRequest),
        (
            &form(&[node, who, ("allow", "perhaps")]),
            Reason::BadRequest,
        ),
        (&form(&[node, ("allow", "1")]), Reason::BadRequest),
        (&form(&[who, ("allow", "1")]), Reason::BadRequest),
        (
            &form(&[node, ("subscriber_jid", "@"), ("allow", "1")]),
            Reason::BadRequest,
        ),
    ] {
        assert_eq!(approval(message).unwrap_err().reason, reason, "{message}");
    }
}

#[test]
fn s8_8_2_4_what_could_not_be_done_is_returned() {
    let one = |subid: &str, state| NodeSubscription {
        jid: jid(),
        subid: subid.into(),
        state,
        options: None,
    };
    let refused = vec![
        one("s", SubscriptionState::Pending),
        one("", SubscriptionState::None),
    ];
    assert_eq!(
        reply(
            &PubsubReply::SubscriptionsRefused {
                node: node("a"),
                refused
            },
            true
        ),
        "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><subscriptions node='a'>\
         <subscription jid='dev7@localhost' subid='s' subscription='pending'/>\
         <subscription jid='dev7@localhost' subscription='none'/></subscriptions></pubsub>"
    );
}

#[test]
fn s12_19_an_ending_lease_is_told_with_its_end() {
    let soon = event(NodeChange::Subscription {
        jid: jid(),
        state: SubscriptionState::Subscribed,
        subid: Some("s".into()),
        expiry: Some(Timestamp::default()),
    });
    assert!(soon.contains(
        "<subscription expiry='1970-01-01T00:00:00.000Z' node='a/b' jid='dev7@localhost' subid='s'"
    ));
}

#[test]
fn xep_0248_s3_1_2_a_new_node_and_a_digest() {
    const EVENT: &str = "<event xmlns='http://jabber.org/protocol/pubsub#event'>";
    assert_eq!(
        event(NodeChange::Created),
        format!("{EVENT}<create node='a/b'/></event>")
    );
    let gone = |id| NodeChange::Retracted(vec![super::item_id(id)]);
    assert_eq!(
        event(NodeChange::Digest(vec![gone("1"), gone("2")])),
        format!("{EVENT}<items node='a/b'><retract id='1'/><retract id='2'/></items></event>")
    );
}
