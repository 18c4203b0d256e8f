//! One session, by the sections it carries; dialogues are in `transcripts/`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use leveret_engine::{
    command::{Answer, Command, EndReason, Reply},
    mailbox::Entry,
};
use support::{BIND, HEADER, Hub, Setting, auth_plain, plain};

/// What a client sends, step by step, from the first byte to the farewell.
fn dialogue() -> Vec<String> {
    vec![
        HEADER.into(),
        auth_plain(),
        HEADER.into(),
        BIND.into(),
        "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>".into(),
        "<presence><show>away</show></presence>".into(),
        "<message to='romeo@localhost' id='\u{e9}'><body>1 &lt; 2</body></message>".into(),
        "</stream:stream>".into(),
    ]
}

fn play<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (String, Vec<String>) {
    let mut hub = Hub::new(Setting::default());
    for piece in pieces {
        hub.receive(piece);
    }
    assert_eq!(hub.closed, Some(EndReason::Farewell));
    let commands = hub.take_commands();
    let commands = commands.iter().map(|command| format!("{command:?}"));
    (hub.take_sent(), commands.collect())
}

mod rfc6120 {
    use super::*;

    #[test]
    fn s4_a_dialogue_split_at_any_byte_goes_as_in_one_piece() {
        let steps = dialogue();
        let whole = play(steps.iter().map(String::as_bytes));
        for (number, step) in steps.iter().enumerate() {
            for at in 1..step.len() {
                let (one, two) = step.as_bytes().split_at(at);
                let pieces = steps[..number]
                    .iter()
                    .map(String::as_bytes)
                    .chain([one, two])
                    .chain(steps[number + 1..].iter().map(String::as_bytes));
                assert_eq!(play(pieces), whole, "split at byte {at} of {step}");
            }
        }
    }

    #[test]
    fn s4_a_dialogue_byte_by_byte_or_all_at_once_goes_as_step_by_step() {
        let steps = dialogue();
        let whole = play(steps.iter().map(String::as_bytes));
        let text = steps.concat();
        assert_eq!(play(text.as_bytes().chunks(1)), whole);
        // What is read while an answer is awaited is kept, in order.
        assert_eq!(play([text.as_bytes()]), whole);
    }

    #[test]
    fn s4_4_who_asks_and_leaves_in_one_breath_gets_the_answer() {
        let mut hub = Hub::bound();
        hub.receive(
            b"<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq></stream:stream><presence/>",
        );
        let sent = hub.take_sent();
        assert!(sent.starts_with("<iq type='result' id='r'"), "{sent}");
        assert!(sent.ends_with("</iq></stream:stream>"), "{sent}");
        assert!(matches!(
            hub.take_commands()[..],
            [
                Command::GetRoster { .. },
                Command::Detach(EndReason::Farewell)
            ]
        ));
        assert_eq!(hub.closed, Some(EndReason::Farewell));
    }

    #[test]
    fn s4_4_who_leaves_is_made_to_wait_for_answers_two_seconds_at_most() {
        let mut hub = Hub::bound();
        hub.silent = true;
        hub.receive(
            b"<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq></stream:stream>",
        );
        assert!(!hub.session.wants_input());
        hub.advance(Duration::from_millis(1_999));
        assert_eq!((hub.take_sent().as_str(), hub.closed), ("", None));
        hub.advance(Duration::from_millis(1));
        assert_eq!(hub.take_sent(), "</stream:stream>");
        assert_eq!(hub.closed, Some(EndReason::Farewell));
    }

    #[test]
    fn s4_4_after_the_farewell_nothing_is_read() {
        let mut hub = Hub::bound();
        hub.receive(b"</stream:stream><message to='romeo@localhost'/>");
        assert_eq!(hub.take_sent(), "</stream:stream>");
        assert!(matches!(
            hub.take_commands()[..],
            [Command::Detach(EndReason::Farewell)]
        ));
        assert!(!hub.session.wants_input());
        hub.receive(b"<presence/>");
        hub.hang_up();
        assert!(hub.take_sent().is_empty() && hub.take_commands().is_empty());
    }

    #[test]
    fn s4_4_a_link_that_ends_without_farewell_is_lost() {
        let mut hub = Hub::bound();
        hub.hang_up();
        assert!(matches!(
            hub.take_commands()[..],
            [Command::Detach(EndReason::LinkLost)]
        ));
        assert_eq!(hub.closed, Some(EndReason::LinkLost));
    }

    #[test]
    fn s4_4_who_does_not_close_its_side_is_waited_for_two_seconds() {
        let mut hub = Hub::bound();
        hub.receive(b"<x/>");
        hub.advance(Duration::from_millis(1_999));
        assert_eq!(hub.closed, None);
        hub.advance(Duration::from_millis(1));
        assert_eq!(hub.closed, Some(EndReason::ProtocolError));
    }

    #[test]
    fn s13_12_a_stanza_that_never_ends_does_not_keep_its_session_alive() {
        let mut hub = Hub::bound();
        hub.receive(b"<message to='romeo@localhost'><body>");
        for _ in 0..10 {
            hub.receive(b"x");
            hub.advance(Duration::from_secs(60));
        }
        assert_eq!(hub.closed, Some(EndReason::Unresponsive));
    }

    #[test]
    fn s11_a_cdata_section_between_stanzas_ends_the_stream() {
        for text in ["<![CDATA[x]]>", "<![CDATA[\r\n]]>"] {
            let mut hub = Hub::bound();
            hub.receive(text.as_bytes());
            assert!(hub.take_sent().contains("<stream:error>"), "{text}");
        }
    }

    #[test]
    fn s13_12_a_slow_sender_of_whole_stanzas_stays() {
        let mut hub = Hub::bound();
        for _ in 0..10 {
            for part in [
                "<message to='romeo@localhost'>",
                "<body>x</body>",
                "</message> ",
            ] {
                hub.receive(part.as_bytes());
                hub.advance(Duration::from_secs(60));
            }
        }
        assert_eq!(hub.closed, None);
    }

    #[test]
    fn s6_4_scram_runs_through_its_challenges() {
        let mut hub = Hub::new(Setting::default());
        hub.receive(HEADER.as_bytes());
        hub.take_sent();
        scram(&mut hub, "secret");
        let sent = hub.take_sent();
        assert!(
            sent.starts_with("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>dj1"),
            "{sent}"
        );
        hub.receive(HEADER.as_bytes());
        hub.receive(BIND.as_bytes());
        assert!(
            hub.take_sent()
                .contains("<jid>juliet@localhost/balcony</jid>")
        );
    }

    #[test]
    fn s6_4_a_wrong_scram_proof_is_not_authorized() {
        let mut hub = Hub::new(Setting::default());
        hub.receive(HEADER.as_bytes());
        hub.take_sent();
        scram(&mut hub, "Secret");
        assert_eq!(hub.take_sent(), FAILURE);
    }

    #[test]
    fn s6_4_2_a_peer_that_goes_on_talking_is_kept_within_a_bound() {
        let mut hub = Hub::new(Setting::default());
        hub.silent = true;
        hub.receive(HEADER.as_bytes());
        hub.receive(auth_plain().as_bytes());
        hub.take_sent();
        assert!(!hub.session.wants_input());
        for _ in 0..64 {
            hub.receive(&[b' '; 1_024]);
        }
        assert_eq!(hub.take_sent(), "");
        hub.receive(b" ");
        assert!(hub.take_sent().contains("<policy-violation"));
    }

    #[test]
    fn s13_12_an_oversized_stanza_ends_the_stream_and_less_is_allowed_before_sign_in() {
        let big = format!("<a>{}", "x".repeat(70_000));
        let mut hub = Hub::new(Setting::default());
        hub.receive(HEADER.as_bytes());
        hub.take_sent();
        hub.receive(big.as_bytes());
        assert!(hub.take_sent().contains("<stanza-too-big"));

        let mut hub = Hub::bound();
        let body = "x".repeat(70_000);
        hub.receive(
            format!("<message to='romeo@localhost'><body>{body}</body></message>").as_bytes(),
        );
        assert!(matches!(hub.take_commands()[..], [Command::Send(_)]));
        hub.receive(format!("<a>{}", "x".repeat(270_000)).as_bytes());
        assert!(hub.take_sent().contains("<stanza-too-big"));
    }

    #[test]
    fn s11_broken_xml_ends_the_stream_whatever_phase_it_is_in() {
        for broken in [
            "<a></b>",
            "<!-- -->",
            "<!DOCTYPE x>",
            "<?php ?>",
            "<a>&bomb;</a>",
            "<a b='1' b='2'/>",
            "<p:a/>",
            "text",
        ] {
            for mut hub in [Hub::bound(), {
                let mut hub = Hub::new(Setting::default());
                hub.receive(HEADER.as_bytes());
                hub.take_sent();
                hub
            }] {
                hub.receive(broken.as_bytes());
                let sent = hub.take_sent();
                assert!(
                    sent.starts_with("<stream:error>") && sent.ends_with("</stream:stream>"),
                    "{broken}: {sent}"
                );
            }
        }
    }

    #[test]
    fn s8_1_5_the_language_of_the_stream_is_that_of_its_stanzas() {
        let mut hub = Hub::new(Setting::default());
        let header = HEADER.replace("to=", "xml:lang='de' to=");
        for step in [&header, &auth_plain(), &header, BIND] {
            hub.receive(step.as_bytes());
        }
        hub.take_commands();
        hub.receive(b"<message to='romeo@localhost'/>");
        assert!(matches!(
            &hub.take_commands()[..],
            [Command::Send(message)] if message.lang.as_deref() == Some("de")
        ));
    }

    #[test]
    fn s8_children_are_passed_on_closed_whatever_prefixes_the_header_declared() {
        let mut hub = Hub::new(Setting::default());
        let header = HEADER.replace("to=", "xmlns:p='urn:p' to=");
        for step in [&header, &auth_plain(), &header, BIND] {
            hub.receive(step.as_bytes());
        }
        hub.take_commands();
        hub.receive(b"<message to='romeo@localhost'><p:x/></message>");
        assert!(matches!(
            &hub.take_commands()[..],
            [Command::Send(message)] if message.content == "<p:x xmlns:p='urn:p'/>"
        ));
    }
}

#[test]
fn s6_reading_stops_while_64_answers_are_owed() {
    let mut hub = Hub::bound();
    hub.silent = true;
    for number in 0..64 {
        assert!(hub.session.wants_input(), "after {number}");
        hub.receive(b"<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    }
    assert!(!hub.session.wants_input());
    hub.deliver(Entry::Answer(Box::new(Answer {
        token: hub.tokens[0].clone(),
        result: Ok(Reply::Roster {
            contacts: None,
            shared: Default::default(),
            version: "1".into(),
        }),
    })));
    assert!(hub.session.wants_input());
}

#[test]
fn s25_a_sign_in_that_binds_the_channel_is_offered_only_where_there_is_one() {
    let features = |tls| {
        let mut hub = Hub::new(Setting {
            tls,
            ..Setting::default()
        });
        hub.receive(HEADER.as_bytes());
        hub.take_sent()
    };
    assert!(features(true).contains("-PLUS") && !features(true).contains("<starttls"));
    assert!(!features(false).contains("-PLUS") && features(false).contains("<starttls"));
}

const FAILURE: &str =
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";

mod throttle {
    use super::*;

    fn waiting(password: &str) -> Hub {
        let mut hub = Hub::new(Setting::default());
        hub.receive(HEADER.as_bytes());
        hub.take_sent();
        hub.wait = Duration::from_secs(4);
        hub.receive(plain("juliet", password).as_bytes());
        hub
    }

    #[test]
    fn a_wrong_password_is_told_late_and_counted_at_once() {
        let mut hub = waiting("wrong");
        assert_eq!(hub.take_sent(), "");
        assert!(matches!(
            hub.take_commands()[..],
            [Command::SignIn { .. }, Command::SignedIn { ok: false, .. }]
        ));
        assert!(!hub.session.wants_input());
        hub.advance(Duration::from_millis(3_999));
        assert_eq!(hub.take_sent(), "");
        hub.advance(Duration::from_millis(1));
        assert_eq!(hub.take_sent(), FAILURE);
        assert!(hub.session.wants_input());
    }

    #[test]
    fn a_right_password_is_told_as_late() {
        let mut hub = waiting("secret");
        assert_eq!(hub.take_sent(), "");
        hub.advance(Duration::from_secs(4));
        assert!(hub.take_sent().starts_with("<success"));
    }

    #[test]
    fn the_wait_is_not_held_against_the_time_to_sign_in() {
        let mut hub = waiting("wrong");
        hub.advance(Duration::from_secs(16));
        assert_eq!(hub.take_sent(), FAILURE);
        hub.advance(Duration::from_secs(3));
        assert!(hub.take_sent().contains("<connection-timeout"));
    }
}

/// Signs in by SCRAM-SHA-256 as `juliet`, as a client would.
fn scram(hub: &mut Hub, password: &str) {
    use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
    use hmac::{Hmac, Mac};
    use sha2::{Digest, Sha256};
    let hmac = |key: &[u8], text: &[u8]| -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap();
        mac.update(text);
        mac.finalize().into_bytes().into()
    };
    let first = "n=juliet,r=abc";
    let data = BASE64.encode(format!("n,,{first}"));
    hub.receive(
        format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{data}</auth>"
        )
        .as_bytes(),
    );
    let sent = hub.take_sent();
    let data = sent.split('>').nth(1).unwrap().split('<').next().unwrap();
    let challenge = String::from_utf8(BASE64.decode(data).unwrap()).unwrap();
    let value = |name: &str| {
        challenge
            .split(',')
            .find_map(|field| field.strip_prefix(name))
            .unwrap()
    };
    let salt = BASE64.decode(value("s=")).unwrap();
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(
        password.as_bytes(),
        &salt,
        value("i=").parse().unwrap(),
        &mut salted,
    );
    let client_key = hmac(&salted, b"Client Key");
    let without_proof = format!("c=biws,r={}", value("r="));
    let signature = hmac(
        &Sha256::digest(client_key),
        format!("{first},{challenge},{without_proof}").as_bytes(),
    );
    let proof: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(key, mask)| key ^ mask)
        .collect();
    let data = BASE64.encode(format!("{without_proof},p={}", BASE64.encode(proof)));
    hub.receive(
        format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{data}</response>").as_bytes(),
    );
}
