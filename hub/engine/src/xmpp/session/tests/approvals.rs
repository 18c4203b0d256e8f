//! Owners who answer, and commands of the pubsub service: from bytes to commands and back.

use super::super::*;
use crate::{
    address::Jid,
    command::{Answer, PubsubAction, PubsubReply, Reply},
    item::{NodeSubscription, SubscriptionState},
    node::NodeId,
    refusal::{Reason, Refusal},
};

/// A signed-in session that has said this.
pub(super) fn after(said: &str) -> (XmppSession, Output) {
    let now = Now::default();
    let shared = super::shared();
    let mut session = XmppSession::new(shared, LinkSecurity::Plain, None, [0; 32], now);
    let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
         to='localhost' version='1.0'>";
    let (mut out, mut tree) = (Output::default(), Tree::new());
    session.handle_input(header.as_bytes(), &mut tree, now, &mut out);
    let jid = FullJid::parse("juliet@localhost/x").unwrap();
    session.follow(Ok(Flow::Bound(jid)), now, &mut out);
    out.bytes.clear();
    session.handle_input(said.as_bytes(), &mut tree, now, &mut out);
    (session, out)
}

/// What it writes once the router has answered.
pub(super) fn answered(said: &str, result: Result<Reply, Refusal>) -> String {
    let (mut session, mut out) = after(said);
    let (token, _) = out.commands.pop().unwrap();
    let mut entries = vec![Entry::Answer(Box::new(Answer { token, result }))];
    session.handle_entries(&mut entries, Now::default(), &mut out);
    String::from_utf8(out.bytes).unwrap()
}

pub(super) fn action(out: &Output) -> (Option<&str>, &PubsubAction) {
    match &out.commands[..] {
        [(_, Command::Pubsub(request))] => {
            let host = request.host.as_ref();
            (host.map(|host| host.as_str()), &request.action)
        }
        other => panic!("{other:?}"),
    }
}

fn approval(to: &str) -> String {
    let field = |var: &str, value: &str| {
        format!("<field var='pubsub#{var}'><value>{value}</value></field>")
    };
    format!(
        "<message to='{to}' id='s'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field>{}{}{}</x></message>",
        field("node", "a"),
        field("subscriber_jid", "romeo@localhost"),
        field("allow", "1"),
    )
}

fn command(inside: &str) -> String {
    format!(
        "<iq type='set' id='c1' to='pubsub.localhost'><command xmlns='http://jabber.org/protocol/commands' \
         node='http://jabber.org/protocol/pubsub#get-pending' {inside}</iq>"
    )
}

#[test]
fn xep_0060_s8_6_an_owners_answer_reaches_the_service_and_personal_nodes() {
    for (to, host) in [
        ("pubsub.localhost", None),
        ("juliet@localhost", Some("juliet@localhost")),
    ] {
        let (_, out) = after(&approval(to));
        let (at, action) = action(&out);
        assert_eq!(at, host);
        assert!(matches!(
            action,
            PubsubAction::Authorize { allow: true, .. }
        ));
    }
    // Another message to oneself is a message.
    let (_, out) = after("<message to='juliet@localhost'><body>note</body></message>");
    assert!(matches!(out.commands[..], [(_, Command::Send(_))]));
}

#[test]
fn xep_0060_s8_6_an_answer_that_fails_comes_back_as_an_error_and_one_that_does_not_not_at_all() {
    let said = approval("pubsub.localhost");
    assert_eq!(answered(&said, Ok(Reply::Done)), "");
    let error = answered(&said, Err(Reason::Forbidden.into()));
    assert!(
        error.starts_with("<message type='error' id='s' from='pubsub.localhost'")
            && error.contains("<forbidden "),
        "{error}"
    );
    let (_, out) = after("<message to='pubsub.localhost'><body>hello</body></message>");
    let said = String::from_utf8(out.bytes).unwrap();
    assert!(said.contains("<service-unavailable "), "{said}");
    let (_, out) =
        after("<message to='pubsub.localhost' type='error'><body>hello</body></message>");
    assert!(out.bytes.is_empty() && out.commands.is_empty());
}

#[test]
fn xep_0060_s8_7_the_command_goes_from_the_nodes_to_the_requests_of_one() {
    let (_, out) = after(&command("action='execute'/>"));
    let (_, PubsubAction::GetPending { node, execution }) = action(&out) else {
        panic!()
    };
    assert_eq!(*node, None);
    let nodes = Some(vec![NodeId::parse("a").unwrap()]);
    let reply = Reply::Pubsub(Box::new(PubsubReply::Pending {
        execution: execution.clone(),
        nodes,
    }));
    let form = answered(&command("/>"), Ok(reply));
    assert!(form.contains("status='executing'"), "{form}");
    assert!(
        form.contains("<option label='a'><value>a</value></option>"),
        "{form}"
    );
    let choice = "><x xmlns='jabber:x:data' type='submit'><field var='pubsub#node'><value>a</value></field></x></command>";
    let (_, out) = after(&command(&format!("sessionid='{execution}'{choice}")));
    let (_, PubsubAction::GetPending { node, .. }) = action(&out) else {
        panic!()
    };
    assert_eq!(node.as_ref().map(NodeId::as_str), Some("a"));
    let done = Reply::Pubsub(Box::new(PubsubReply::Pending {
        execution: execution.clone(),
        nodes: None,
    }));
    let said = answered(
        &command(&format!("sessionid='{execution}'{choice}")),
        Ok(done),
    );
    assert!(said.contains("status='completed'"), "{said}");
}

#[test]
fn xep_0050_s4_4_steps_that_cannot_be_taken() {
    for (said, condition) in [
        (command("sessionid='0-x' action='prev'/>"), "<bad-action "),
        (command("sessionid='0-x' action='next'/>"), "<bad-payload "),
        (command("sessionid='x'/>"), "<bad-sessionid "),
        (command("action='dance'/>"), "<malformed-action "),
        (
            command("/>").replace("#get-pending", "#get-lost"),
            "<item-not-found ",
        ),
        (
            command("/>").replace("type='set'", "type='get'"),
            "<not-allowed ",
        ),
        (
            command("sessionid='0-x' action='cancel'/>"),
            "status='canceled'",
        ),
    ] {
        let (_, out) = after(&said);
        let text = String::from_utf8(out.bytes).unwrap();
        assert!(text.contains(condition), "{said}: {text}");
        assert!(out.commands.is_empty());
    }
}

#[test]
fn xep_0050_s2_2_disco_knows_the_commands() {
    let ask = |what: &str, node: &str| {
        let said = format!(
            "<iq type='get' id='d1' to='pubsub.localhost'>\
             <query xmlns='http://jabber.org/protocol/disco#{what}' node='{node}'/></iq>"
        );
        String::from_utf8(after(&said).1.bytes).unwrap()
    };
    let list = ask("items", "http://jabber.org/protocol/commands");
    assert!(list.contains("node='http://jabber.org/protocol/pubsub#get-pending'"));
    let info = ask("info", "http://jabber.org/protocol/commands");
    assert!(info.contains("<identity category='automation' type='command-list'/>"));
    let info = ask("info", "http://jabber.org/protocol/pubsub#get-pending");
    assert!(info.contains("type='command-node'") && info.contains("var='jabber:x:data'"));
}

#[test]
fn xep_0060_s8_8_2_4_what_could_not_be_done_stands_beside_the_error() {
    let said = "<iq type='set' id='m1' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>\
         <subscriptions node='a'><subscription jid='romeo@localhost' subscription='subscribed'/></subscriptions></pubsub></iq>";
    let refused = vec![NodeSubscription {
        jid: Jid::parse("romeo@localhost").unwrap(),
        subid: "".into(),
        state: SubscriptionState::None,
        options: None,
    }];
    let node = NodeId::parse("a").unwrap();
    let reply = PubsubReply::SubscriptionsRefused { node, refused };
    let text = answered(said, Ok(Reply::Pubsub(Box::new(reply))));
    assert!(
        text.starts_with("<iq type='error' id='m1' from='pubsub.localhost'"),
        "{text}"
    );
    assert!(
        text.contains(
            "subscription='none'/></subscriptions></pubsub><error type='modify'><not-acceptable "
        ),
        "{text}"
    );
}
