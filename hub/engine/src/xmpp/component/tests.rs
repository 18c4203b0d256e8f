//! A component's stream, with the router's answers given by hand.

use super::*;
use crate::{
    account::Role,
    address::{BareJid, Jid},
    command::{Answer, PubsubAction, Reply},
    component::ComponentSecret,
    event::{Event, What},
    limits::Limits,
    mailbox::{Addressed, MailboxBudget, SubscriptionTag},
    message::{Presence, PresenceKind, Show},
    refusal::{Reason, Refusal},
    time::Timestamp,
};

const SECRET: &str = "correct horse battery staple";
const HEADER: &str = "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='sensors.localhost'>";

struct Stream {
    session: ComponentSession,
    out: Output,
    now: Now,
    tree: Tree,
}

impl Stream {
    fn new() -> Self {
        let xmpp = Arc::new(XmppShared {
            contacts: Default::default(),
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
            budget: MailboxBudget::new(10, 10_000, 100_000),
            started: Now::default(),
        });
        let component = Component {
            domain: BareJid::domain_only("sensors.localhost").unwrap(),
            role: Role::Service,
            secret: ComponentSecret::new(SECRET).unwrap(),
        };
        let shared = Arc::new(ComponentShared {
            xmpp,
            components: vec![Arc::new(component)],
        });
        let now = Now::default();
        Self {
            session: ComponentSession::new(shared, None, [3; 32], now),
            out: Output::default(),
            now,
            tree: Tree::new(),
        }
    }

    /// Hands bytes in; gives what the hub says to them.
    fn say(&mut self, text: &str) -> String {
        self.session
            .handle_input(text.as_bytes(), &mut self.tree, self.now, &mut self.out);
        self.heard()
    }

    fn heard(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.out.bytes)).unwrap()
    }

    fn entry(&mut self, entry: Entry) -> String {
        self.session
            .handle_entries(&mut vec![entry], self.now, &mut self.out);
        self.heard()
    }

    fn answer(&mut self, result: Result<Reply, Refusal>) -> String {
        let (token, _) = self.out.commands.pop().expect("something was asked");
        self.entry(Entry::Answer(Box::new(Answer { token, result })))
    }

    fn pass(&mut self, secs: u64) -> String {
        self.now.mono = self.now.mono + Duration::from_secs(secs);
        self.session.handle_timeout(self.now, &mut self.out);
        self.heard()
    }

    /// The handshake as a component makes it of the hub's header.
    fn handshake(header: &str) -> String {
        use sha1::{Digest, Sha1};
        let id = header.split("id='").nth(1).unwrap();
        let id = id.split('\'').next().unwrap();
        let hash = Sha1::digest(format!("{id}{SECRET}"));
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("<handshake>{hex}</handshake>")
    }

    /// A stream whose component is attached.
    fn attached() -> Self {
        let mut stream = Self::new();
        let header = stream.say(HEADER);
        let handshake = Self::handshake(&header);
        assert_eq!(stream.say(&handshake), "");
        assert!(matches!(
            &stream.out.commands[..],
            [(_, Command::SignedIn { account, ok: true })] if account.as_str() == "sensors.localhost"
        ));
        let wait = Duration::ZERO;
        assert_eq!(stream.answer(Ok(Reply::HoldBack { wait })), "");
        assert!(matches!(
            &stream.out.commands[..],
            [(_, Command::AttachComponent { .. })]
        ));
        assert_eq!(stream.answer(Ok(Reply::Done)), "<handshake/>");
        stream
    }

    /// The commands so far, each with the address that gives it.
    fn commands(&mut self) -> Vec<(String, Command)> {
        let commands = self.out.commands.drain(..);
        commands
            .map(|(_, command)| match command {
                Command::As { from, command } => (from.to_string(), *command),
                other => (String::new(), other),
            })
            .collect()
    }

    fn is_over(&self) -> bool {
        matches!(self.session.phase, Phase::Closing { .. } | Phase::Closed)
    }
}

/// More than a stranger may send at once.
fn large() -> String {
    "y".repeat(Limits::default().stanza_bytes_before_login)
}

#[test]
fn s3_example_1_to_4_header_handshake_and_its_acceptance() {
    let mut stream = Stream::new();
    let header = stream.say(HEADER);
    assert!(
        header.contains("xmlns='jabber:component:accept'")
            && header.contains("from='sensors.localhost'"),
        "{header}"
    );
    let other = Stream::new().say(&HEADER.replace("'sensors", "'Sensors"));
    assert!(other.contains("from='sensors.localhost'"), "{other}");
    Stream::attached();
}

#[test]
fn s3_errors_of_the_header_come_after_a_header() {
    for (header, condition) in [
        (HEADER.replace("sensors", "toasters"), "host-unknown"),
        (
            HEADER.replace("to='sensors.localhost'", ""),
            "improper-addressing",
        ),
        (
            HEADER.replace("jabber:component:accept", "jabber:client"),
            "invalid-namespace",
        ),
        (HEADER.replace("etherx", "ethery"), "invalid-namespace"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "not-well-formed"),
        (format!("<x a='{}", large()), "policy-violation"),
    ] {
        let mut stream = Stream::new();
        let heard = stream.say(&header);
        assert!(heard.contains("<stream:stream "), "{heard}");
        assert!(
            heard.contains(&format!("<{condition} ")),
            "{header}: {heard}"
        );
        assert!(heard.ends_with("</stream:stream>"), "{heard}");
        assert!(stream.is_over() && stream.out.commands.is_empty());
    }
}

#[test]
fn s3_a_handshake_that_does_not_fit_is_not_authorized_and_counted() {
    for handshake in [
        "<handshake>aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e</handshake>",
        "<handshake/>",
    ] {
        let mut stream = Stream::new();
        stream.say(HEADER);
        assert_eq!(stream.say(handshake), "");
        assert!(matches!(
            &stream.out.commands[..],
            [(_, Command::SignedIn { ok: false, .. })]
        ));
        let wait = Duration::from_secs(3);
        assert_eq!(stream.answer(Ok(Reply::HoldBack { wait })), "", "held back");
        // What is sent meanwhile waits too.
        assert!(!stream.session.wants_input());
        assert_eq!(stream.say("<handshake/>"), "");
        let heard = stream.pass(3);
        assert!(heard.contains("<not-authorized "), "{heard}");
        assert!(stream.is_over());
    }
}

#[test]
fn s3_nothing_comes_before_the_handshake_and_it_comes_in_time() {
    let mut stream = Stream::new();
    stream.say(HEADER);
    let heard = stream.say("<message from='a@sensors.localhost' to='b@localhost'/>");
    assert!(heard.contains("<not-authorized "), "{heard}");
    let mut stream = Stream::new();
    stream.say(HEADER);
    let late = Limits::default().unauthenticated.as_secs();
    assert_eq!(stream.pass(late - 1), "");
    // Bytes that trickle in do not help.
    stream.say("<hand");
    let heard = stream.pass(1);
    assert!(heard.contains("<connection-timeout "), "{heard}");
    let mut stream = Stream::new();
    stream.say(HEADER);
    let heard = stream.say(&format!("<handshake>{}", large()));
    assert!(heard.contains("<stanza-too-big "), "{heard}");
}

#[test]
fn s3_a_second_connection_of_a_domain_is_a_conflict() {
    let mut stream = Stream::new();
    let header = stream.say(HEADER);
    stream.say(&Stream::handshake(&header));
    stream.answer(Ok(Reply::HoldBack {
        wait: Duration::ZERO,
    }));
    let heard = stream.answer(Err(Reason::Conflict.into()));
    assert!(heard.contains("<conflict "), "{heard}");
    assert!(stream.is_over());
}

#[test]
fn s3_who_is_in_the_way_shows_that_it_lives_or_goes() {
    let mut stream = Stream::attached();
    let heard = stream.entry(Entry::Continue(Cursor::PROVE));
    assert!(
        heard.contains("to='sensors.localhost'") && heard.contains("urn:xmpp:ping"),
        "{heard}"
    );
    assert_eq!(
        stream.say("<iq type='error' id='hub-1' to='localhost'/>"),
        ""
    );
    assert_eq!(stream.pass(PROOF_WAIT.as_secs()), "");
    stream.entry(Entry::Continue(Cursor::PROVE));
    // Half of a stanza is no sign of life.
    stream.say("<message");
    let heard = stream.pass(PROOF_WAIT.as_secs());
    assert!(heard.contains("<connection-timeout "), "{heard}");
    assert!(matches!(
        stream.out.commands.last(),
        Some((_, Command::Detach(EndReason::Unresponsive)))
    ));
}

#[test]
fn rfc6120_s4_6_a_silent_component_is_pinged_and_let_go() {
    let mut stream = Stream::attached();
    let silence = Limits::default().ping.as_secs();
    assert_eq!(stream.pass(silence - 1), "");
    assert!(stream.pass(1).contains("urn:xmpp:ping"));
    assert_eq!(stream.say(" "), "");
    assert_eq!(
        stream.pass(silence - 1),
        "",
        "white space is a sign of life"
    );
    assert!(stream.pass(1).contains("urn:xmpp:ping"));
    assert!(stream.pass(silence).contains("<connection-timeout "));
}

#[test]
fn s3_from_is_at_the_domain_of_the_component_or_the_stream_ends() {
    for from in [
        "romeo@localhost",
        "a@sms.localhost",
        "a@x.sensors.localhost",
        "a@",
        "",
    ] {
        let mut stream = Stream::attached();
        let heard = stream.say(&format!("<message from='{from}' to='b@localhost'/>"));
        assert!(heard.contains("<invalid-from "), "{from}: {heard}");
        assert!(matches!(
            stream.commands()[..],
            [(_, Command::Detach(EndReason::ProtocolError))]
        ));
    }
    let mut stream = Stream::attached();
    stream
        .say("<message from='Bot@Sensors.localhost/x' to='b@localhost'><body>hi</body></message>");
    stream.say("<message to='b@localhost'/>");
    let commands = stream.commands();
    assert!(
        matches!(&commands[..], [(one, Command::Send(message)), (two, Command::Send(_))]
        if one == "bot@sensors.localhost/x" && &*message.content == b"<body>hi</body>" && two == "sensors.localhost")
    );
}

#[test]
fn s3_a_stanza_without_to_or_with_no_address_in_it_comes_back() {
    let mut stream = Stream::attached();
    for (stanza, condition) in [
        ("<message from='a@sensors.localhost'/>", "bad-request"),
        ("<presence from='a@sensors.localhost'/>", "bad-request"),
        (
            "<iq from='a@sensors.localhost' type='get' id='1'><x xmlns='y'/></iq>",
            "bad-request",
        ),
        (
            "<message from='a@sensors.localhost' to='@'/>",
            "jid-malformed",
        ),
        (
            "<iq from='a@sensors.localhost' to='localhost' type='get'/>",
            "bad-request",
        ),
        (
            "<iq from='a@sensors.localhost' to='localhost' type='got' id='1'/>",
            "bad-request",
        ),
    ] {
        let heard = stream.say(stanza);
        assert!(
            heard.contains(&format!("<{condition} ")) && heard.contains("to='a@sensors.localhost'"),
            "{stanza}: {heard}"
        );
    }
    assert_eq!(
        stream.say("<message type='error'/>"),
        "",
        "errors are not answered"
    );
    assert!(stream.commands().is_empty());
    let heard = stream.say("<route xmlns='jabber:component:accept'/>");
    assert!(heard.contains("<unsupported-stanza-type "), "{heard}");
}

#[test]
fn a_namespace_that_a_stanza_declares_itself_is_the_streams() {
    let mut stream = Stream::attached();
    for quote in ['\'', '"'] {
        stream.say(&format!(
            "<message xmlns={quote}jabber:component:accept{quote} to='b@localhost'><body>hi</body></message>"
        ));
        let commands = stream.commands();
        assert!(
            matches!(&commands[..], [(_, Command::Send(message))] if message.hints.body
                && !String::from_utf8_lossy(&message.content).contains("accept")),
            "{commands:?}"
        );
    }
    // A text that speaks of it is left alone.
    stream.say("<message to='b@localhost'><body>xmlns='jabber:component:accept'</body></message>");
    let commands = stream.commands();
    assert!(matches!(&commands[..], [(_, Command::Send(message))]
        if String::from_utf8_lossy(&message.content).contains("accept")));
}

#[test]
fn every_answer_goes_to_the_address_that_asked() {
    let mut stream = Stream::attached();
    for (to, child) in [
        (
            "localhost",
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        ),
        ("localhost", "<query xmlns='jabber:iq:version'/>"),
        ("localhost", "<time xmlns='urn:xmpp:time'/>"),
        ("localhost", "<query xmlns='jabber:iq:last'/>"),
        ("localhost", "<ping xmlns='urn:xmpp:ping'/>"),
        ("pubsub.localhost", "<ping xmlns='urn:xmpp:ping'/>"),
        ("pubsub.localhost", "<query xmlns='jabber:iq:version'/>"),
        (
            "pubsub.localhost",
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        ),
    ] {
        let heard = stream.say(&format!(
            "<iq from='a@sensors.localhost' to='{to}' type='get' id='7'>{child}</iq>"
        ));
        for part in ["type='result'", "id='7'", "to='a@sensors.localhost'"] {
            assert!(heard.contains(part), "{child}: {heard}");
        }
        assert!(heard.contains(&format!("from='{to}'")), "{heard}");
    }
    let heard = stream.say(
        "<iq from='a@sensors.localhost' to='localhost' type='get' id='8'><x xmlns='unheard:of'/></iq>",
    );
    assert!(heard.contains("<service-unavailable "), "{heard}");
    // Two addresses ask the same at once; the answers come the other way round.
    for name in ["a", "b"] {
        stream.say(&format!(
            "<iq from='{name}@sensors.localhost' to='localhost' type='get' id='9'>\
             <query xmlns='http://jabber.org/protocol/disco#items'/></iq>"
        ));
    }
    assert_eq!(stream.out.commands.len(), 2);
    for name in ["b", "a"] {
        let list = vec![BareJid::domain_only("sms.localhost").unwrap()];
        let heard = stream.answer(Ok(Reply::Components(list)));
        assert!(
            heard.contains(&format!("to='{name}@sensors.localhost'")),
            "{heard}"
        );
        assert!(heard.contains("jid='pubsub.localhost'") && heard.contains("jid='sms.localhost'"));
    }
    stream.say(
        "<iq from='a@sensors.localhost' to='pubsub.localhost' type='set' id='p1'>\
         <pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='n'/></pubsub></iq>",
    );
    assert!(
        matches!(&stream.out.commands[..], [(_, Command::As { from, command })]
        if from.as_str() == "a@sensors.localhost" && matches!(&**command, Command::Pubsub(request)
            if matches!(request.action, PubsubAction::Create { .. })))
    );
    let heard = stream.answer(Err(Reason::Forbidden.into()));
    assert!(
        heard.contains("id='p1'") && heard.contains("<forbidden "),
        "{heard}"
    );
}

#[test]
fn xep_0442_s2_archives_of_nodes_are_asked_for_at_the_service_and_at_accounts() {
    for (to, host) in [
        ("pubsub.localhost", None),
        ("romeo@localhost", Some("romeo@localhost")),
    ] {
        let mut stream = Stream::attached();
        stream.out.commands.clear();
        let ask = |kind: &str| {
            format!(
                "<iq type='{kind}' id='m1' from='sensors.localhost' to='{to}'>\
                 <query xmlns='urn:xmpp:mam:2' node='urn:mood'/></iq>"
            )
        };
        assert_eq!(stream.say(&ask("set")), "");
        let [(_, Command::As { command, .. })] = &stream.out.commands[..] else {
            panic!("{:?}", stream.out.commands);
        };
        let Command::Pubsub(request) = &**command else {
            panic!("{command:?}");
        };
        assert_eq!(request.host.as_ref().map(|host| host.as_str()), host);
        assert!(matches!(request.action, PubsubAction::Archive { .. }));
        let form = stream.say(&ask("get"));
        assert!(
            form.contains("type='result'") && form.contains("'after-id'"),
            "{form}"
        );
    }
}

#[test]
fn what_has_no_to_of_its_own_is_written_for_the_address_in_the_tag() {
    let mut stream = Stream::attached();
    let presence = Presence {
        from: Jid::parse("romeo@localhost/garden").unwrap(),
        kind: PresenceKind::Available {
            show: Show::Online,
            priority: 0,
        },
        id: None,
        lang: None,
        status: None,
        content: bytes::Bytes::new(),
        at: Timestamp::default(),
    };
    let tag = SubscriptionTag {
        to: Some(Jid::parse("lamp@sensors.localhost").unwrap()),
        ..SubscriptionTag::default()
    };
    let heard = stream.entry(Entry::Event {
        event: Arc::new(Event::new(What::Presence(presence))),
        to: Addressed::Full,
        tag: Some(Arc::new(tag)),
        delay: None,
    });
    assert_eq!(
        heard,
        "<presence to='lamp@sensors.localhost' from='romeo@localhost/garden'></presence>"
    );
}

#[test]
fn the_last_word_says_why() {
    for (reason, condition) in [
        (EndReason::Shutdown, "system-shutdown"),
        (EndReason::AccountChanged, "not-authorized"),
        (EndReason::Kicked, "policy-violation"),
        (EndReason::Overflow, "resource-constraint"),
    ] {
        let mut stream = Stream::attached();
        let heard = stream.entry(Entry::End(reason));
        assert!(heard.contains(&format!("<{condition} ")), "{heard}");
        assert!(heard.ends_with("</stream:stream>"));
        assert_eq!(stream.say("</stream:stream>"), "");
        assert!(matches!(&stream.out.actions[..], [Action::Close(_)]));
    }
    let mut stream = Stream::attached();
    assert_eq!(stream.say("</stream:stream>"), "</stream:stream>");
    let mut stream = Stream::new();
    stream.session.handle_shutdown(stream.now, &mut stream.out);
    assert!(stream.heard().contains("<system-shutdown "));
}
