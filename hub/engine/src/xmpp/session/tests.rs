mod approvals;
mod archives;

use super::*;
use crate::{address::BareJid, limits::Limits, mailbox::MailboxBudget};

fn shared() -> Arc<XmppShared> {
    Arc::new(XmppShared {
        domain: BareJid::domain_only("localhost").unwrap(),
        service: BareJid::domain_only("pubsub.localhost").unwrap(),
        limits: Limits::default(),
        require_tls: false,
        registration: false,
        tls_available: true,
        decoy_secret: [1; 32],
        known_passwords: Arc::new(crate::credentials::KnownPasswords::new([1; 32])),
        software: "Leveret",
        version: "0",
        contacts: Default::default(),
        budget: MailboxBudget::new(10, 10_000, 100_000),
        started: Now::default(),
    })
}

#[test]
fn s29_a_bound_session_is_a_few_words_and_holds_no_buffer() {
    assert!(
        size_of::<XmppSession>() <= 250,
        "{} bytes",
        size_of::<XmppSession>()
    );
    // What the phases have on the heap is boxed, so that a bound session has none of it.
    assert!(size_of::<Phase>() <= 80, "{} bytes", size_of::<Phase>());
}

#[test]
fn s29_no_mailbox_before_the_first_command() {
    let now = Now::default();
    let mut session = XmppSession::new(shared(), LinkSecurity::Plain, None, [0; 32], now);
    let mut out = Output::default();
    let mut tree = Tree::new();
    session.handle_input(
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>",
        &mut tree,
        now,
        &mut out,
    );
    assert!(session.mailbox().is_none() && !out.bytes.is_empty());
    session.handle_input(
        b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>",
        &mut tree,
        now,
        &mut out,
    );
    assert!(session.mailbox().is_some());
    assert!(matches!(out.commands[..], [(_, Command::SignIn { .. })]));
}

#[test]
fn s29_a_stanza_in_pieces_leaves_no_buffer_behind() {
    let now = Now::default();
    let mut session = XmppSession::new(shared(), LinkSecurity::Plain, None, [0; 32], now);
    let jid = FullJid::parse("juliet@localhost/x").unwrap();
    let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
         to='localhost' version='1.0'>";
    let (mut out, mut tree) = (Output::default(), Tree::new());
    session.handle_input(header.as_bytes(), &mut tree, now, &mut out);
    session.follow(Ok(Flow::Bound(jid)), now, &mut out);
    session.handle_input(b"<message to='a@b'>", &mut tree, now, &mut out);
    assert!(session.framer.partial_bytes() > 0);
    session.handle_input(b"</message>", &mut tree, now, &mut out);
    assert_eq!(session.framer.partial_bytes(), 0);
    assert!(matches!(out.commands[..], [(_, Command::Send(_))]));
}

#[test]
fn rfc6120_s4_9_3_23_a_stream_that_the_router_never_heard_of_is_told_of_the_shutdown() {
    let now = Now::default();
    let mut session = XmppSession::new(shared(), LinkSecurity::Plain, None, [0; 32], now);
    let mut out = Output::default();
    session.handle_shutdown(now, &mut out);
    let said = String::from_utf8(std::mem::take(&mut out.bytes)).unwrap();
    assert!(
        said.contains("<stream:stream") && said.contains("<system-shutdown "),
        "{said}"
    );
    assert!(said.ends_with("</stream:stream>"), "{said}");
    assert!(out.commands.is_empty());
    session.handle_shutdown(now, &mut out);
    assert!(out.bytes.is_empty(), "once is enough");
}

#[test]
fn a_session_that_the_router_never_heard_of_does_not_detach() {
    let now = Now::default();
    let mut session = XmppSession::new(shared(), LinkSecurity::Plain, None, [0; 32], now);
    let mut out = Output::default();
    session.handle_eof(now, &mut out);
    assert!(out.commands.is_empty());
    assert!(matches!(
        out.actions[..],
        [Action::Close(EndReason::LinkLost)]
    ));
    assert_eq!(session.next_deadline(), None);
}
