//! What a hostile or merely slow client can send, cut at every byte.

use super::*;
use crate::xmpp::namespace as ns;
use crate::xmpp::xml::{Scope, Tree};

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='hub.local' version='1.0' xml:lang='en' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

const DIALOGUE: &str = "<?xml version='1.0' encoding=\"UTF-8\"?>\n<stream:stream to='hub.local' version='1.0' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'> <presence/>\n\
    <message to='a@b' id=\"'>/\"><body>5 &gt; 3 &#x1F430;</body><x xmlns='u:x'><![CDATA[</message>]]]]></x></message>\
    <iq type='get' id='1'><q xmlns='u:q'><a/><b c='/'/><d></d></q></iq >  </stream:stream >";

fn limits() -> FrameLimits {
    FrameLimits {
        stanza_bytes: 10_000,
        depth: 64,
        attributes: 64,
    }
}

/// Everything the framer cuts from pieces, as text; the error last, if there is one.
fn cut<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut framer = Framer::new(limits());
    let mut seen = Vec::new();
    let mut tree = Tree::new();
    let mut scope = Scope::client();
    for mut input in pieces {
        loop {
            match framer.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Frame::Open(header))) => {
                    scope = header.scope.clone();
                    seen.push(format!("open {:?}", header.to));
                }
                Ok(Some(Frame::Element(bytes))) => match tree.parse(bytes, &scope) {
                    Ok(element) => seen.push(format!("{element:?}")),
                    Err(error) => {
                        seen.push(error.to_string());
                        return seen;
                    }
                },
                Ok(Some(Frame::Close)) => seen.push("close".into()),
                Err(error) => {
                    seen.push(error.to_string());
                    return seen;
                }
            }
        }
        assert!(input.is_empty(), "`None` means that the input is used up");
    }
    seen
}

fn after_header(text: &str) -> Vec<String> {
    cut([HEADER.as_bytes(), text.as_bytes()]).split_off(1)
}

fn condition(text: &str) -> String {
    let last = cut([text.as_bytes()]).pop().unwrap_or_default();
    last.split(':').next().unwrap_or_default().to_owned()
}

fn stanza_condition(text: &str) -> String {
    condition(&format!("{HEADER}{text}"))
}

#[test]
fn a_dialogue_is_cut_into_its_stanzas() {
    let frames = cut([DIALOGUE.as_bytes()]);
    assert_eq!(frames.len(), 5, "{frames:#?}");
    assert_eq!(frames[0], "open Some(\"hub.local\")");
    assert_eq!(frames[1], "<presence/>");
    assert!(frames[2].ends_with("]]]]></x></message>"));
    assert!(frames[3].ends_with("</iq >"));
    assert_eq!(frames[4], "close");
}

#[test]
fn split_at_every_byte_it_is_the_same_dialogue() {
    let whole = cut([DIALOGUE.as_bytes()]);
    for at in 0..=DIALOGUE.len() {
        let (head, tail) = DIALOGUE.as_bytes().split_at(at);
        assert_eq!(cut([head, tail]), whole, "split after {at} bytes");
    }
    assert_eq!(
        cut(DIALOGUE.as_bytes().chunks(1)),
        whole,
        "one byte at a time"
    );
    assert_eq!(cut(DIALOGUE.as_bytes().chunks(7)), whole);
}

#[test]
fn broken_at_every_byte_it_never_panics_and_never_depends_on_pieces() {
    for at in 0..DIALOGUE.len() {
        for byte in [
            0, b'<', b'>', b'&', b'"', b'\'', b'/', b'!', b'?', b']', b'=', b':', b' ', b'a', 0x80,
            0xFF,
        ] {
            let mut bytes = DIALOGUE.as_bytes().to_vec();
            bytes[at] = byte;
            assert_eq!(
                cut([bytes.as_slice()]),
                cut(bytes.chunks(1)),
                "byte {at} as {byte:#x}"
            );
        }
        let mut bytes = DIALOGUE.as_bytes().to_vec();
        bytes.remove(at);
        assert_eq!(
            cut([bytes.as_slice()]),
            cut(bytes.chunks(3)),
            "without byte {at}"
        );
    }
}

#[test]
fn a_whole_stanza_is_borrowed_and_an_idle_framer_owns_nothing() {
    let mut framer = Framer::new(limits());
    let mut input = HEADER.as_bytes();
    assert!(matches!(framer.next(&mut input), Ok(Some(Frame::Open(_)))));
    let read = b"<presence/><presence/><mess";
    let mut input = read.as_slice();
    let Ok(Some(Frame::Element(first))) = framer.next(&mut input) else {
        panic!("an element")
    };
    assert_eq!(first.as_ptr(), read.as_ptr(), "no copy");
    assert!(matches!(
        framer.next(&mut input),
        Ok(Some(Frame::Element(_)))
    ));
    assert!(!framer.has_partial());
    assert!(matches!(framer.next(&mut input), Ok(None)));
    assert!(framer.has_partial() && framer.partial_bytes() >= 5);
    let mut input = b"age/>".as_slice();
    assert!(matches!(
        framer.next(&mut input),
        Ok(Some(Frame::Element(b"<message/>")))
    ));
    assert!(matches!(framer.next(&mut input), Ok(None)));
    assert_eq!(framer.partial_bytes(), 0);
    assert!(
        size_of::<Framer>() <= 64,
        "{} bytes per idle session",
        size_of::<Framer>()
    );
}

#[test]
fn white_space_between_stanzas_keeps_alive() {
    assert_eq!(after_header("  \n\t\r\n <presence/> \n"), ["<presence/>"]);
    assert_eq!(stanza_condition("x"), "bad-format");
    assert_eq!(stanza_condition("<presence/>&#32;"), "bad-format");
    assert_eq!(
        stanza_condition("\u{FEFF}"),
        "bad-format",
        "RFC 6120 §11.6: no byte order mark"
    );
}

#[test]
fn ten_megabytes_are_refused_without_being_kept() {
    let mut framer = Framer::new(limits());
    let mut input = HEADER.as_bytes();
    framer.next(&mut input).unwrap();
    let mut sent = 0;
    let error = loop {
        let mut piece = if sent == 0 {
            b"<message>".to_vec()
        } else {
            vec![b'x'; 1500]
        };
        sent += piece.len();
        let mut input = piece.as_mut_slice() as &[u8];
        match framer.next(&mut input) {
            Ok(None) => assert!(
                framer.partial_bytes() <= 2 * 10_000,
                "{} bytes kept",
                framer.partial_bytes()
            ),
            Ok(Some(frame)) => panic!("no end was sent: {frame:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error, StreamError::Limit(Limit::StanzaBytes(10_000)));
    assert!(sent < 12_000, "refused after {sent} bytes");
    let mut whole = b"<message>".to_vec();
    whole.resize(10_000_000, b'x');
    assert_eq!(
        stanza_condition(&String::from_utf8(whole).unwrap()),
        "policy-violation"
    );
}

#[test]
fn a_stanza_of_single_bytes_is_scanned_once() {
    let bytes = 262_144;
    let stanza = format!("<message>{}</message>", "<a b='c'/>".repeat(bytes / 10 - 2));
    let mut framer = Framer::new(FrameLimits::with_stanza_bytes(bytes));
    let mut input = HEADER.as_bytes();
    framer.next(&mut input).unwrap();
    let mut found = None;
    // Rescanning would look at 2^35 bytes here, and take minutes.
    for byte in stanza.as_bytes().chunks(1) {
        let mut input = byte;
        if let Some(Frame::Element(element)) = framer.next(&mut input).unwrap() {
            found = Some(element.len());
        }
    }
    assert_eq!(found, Some(stanza.len()));
}

#[test]
fn the_limit_is_exact() {
    let stanza = |bytes: usize| format!("<message>{}</message>", "x".repeat(bytes - 19));
    assert_eq!(after_header(&stanza(10_000)).len(), 1);
    assert_eq!(
        stanza_condition(&stanza(10_000)),
        "<message>".to_owned() + &"x".repeat(9_981) + "</message>"
    );
    assert_eq!(stanza_condition(&stanza(10_001)), "policy-violation");
    let pieces = HEADER.to_owned() + &stanza(10_000) + &stanza(10_001);
    let seen = cut(pieces.as_bytes().chunks(1));
    assert_eq!(seen.len(), 3);
    assert!(seen[2].starts_with("policy-violation"));
}

#[test]
fn ten_thousand_levels_are_too_many() {
    assert_eq!(stanza_condition(&"<a>".repeat(10_000)), "policy-violation");
    let nested = |n: usize| "<a>".repeat(n) + &"</a>".repeat(n);
    assert_eq!(after_header(&nested(64)).len(), 1);
    assert_eq!(stanza_condition(&nested(64)), nested(64));
    assert_eq!(stanza_condition(&nested(65)), "policy-violation");
}

#[test]
fn attributes_are_counted() {
    let with = |n: usize| {
        let list: String = (0..n).map(|i| format!(" a{i}=''")).collect();
        format!("<iq{list}/>")
    };
    assert_eq!(stanza_condition(&with(64)), with(64));
    assert_eq!(stanza_condition(&with(65)), "policy-violation");
}

#[test]
fn a_forgotten_quote_or_bracket_is_noticed_at_the_next_tag() {
    // XML 1.0 [10]: no `<` in an attribute's value; the rest of the stanza is not waited for.
    for begun in [
        "<message to='a><body>",
        "<message to=\"a><body>",
        "<message <body>",
        "<message><body>x</body<",
        "<<<<<<<<",
    ] {
        assert_eq!(stanza_condition(begun), "not-well-formed", "{begun}");
    }
}

#[test]
fn what_streams_ban_is_restricted_xml() {
    let bomb = "<!DOCTYPE b [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;'>]>";
    assert_eq!(condition(&format!("{bomb}{HEADER}")), "restricted-xml");
    assert_eq!(
        condition(&format!("<?xml version='1.0'?>{bomb}")),
        "restricted-xml"
    );
    for text in [
        "<!-- c -->",
        "<?php ?>",
        "<a><!-- c --></a>",
        "<a><?b c?></a>",
        "<a>&bomb;</a>",
        "<a b='&bomb;'/>",
        bomb,
        "<?xml version='1.0'?>",
        "<a><!ENTITY b 'c'></a>",
    ] {
        assert_eq!(stanza_condition(text), "restricted-xml", "{text}");
    }
    assert_eq!(condition("<?php x?>"), "restricted-xml");
}

#[test]
fn bytes_that_are_not_utf_8_are_an_unsupported_encoding() {
    for broken in [
        &b"<a>\xC3</a>"[..],
        b"<a>\xC0\xAF</a>",
        b"<a b='\xED\xA0\x80'/>",
        b"<\xFF/>",
        b"<a>\xF5\x80\x80\x80</a>",
    ] {
        let last = cut([HEADER.as_bytes(), broken]).pop().unwrap();
        assert!(last.starts_with("unsupported-encoding"), "{last}");
    }
    assert_eq!(
        condition("<?xml version='1.0' encoding='ISO-8859-1'?>"),
        "unsupported-encoding"
    );
}

#[test]
fn the_declaration_comes_first_and_once() {
    for good in [
        "<?xml version='1.0'?>",
        "<?xml version=\"1.0\" encoding='utf-8' standalone='yes' ?>\n",
        "<?xml\tversion = '1.0'?>",
    ] {
        let header = HEADER.replacen("<?xml version='1.0'?>", good, 1);
        assert_eq!(condition(&header), "open Some(\"hub.local\")", "{good}");
    }
    assert_eq!(condition(&format!(" {HEADER}")), "restricted-xml");
    assert_eq!(
        condition(&format!("<?xml version='1.0'?>{HEADER}")),
        "restricted-xml"
    );
    for bad in [
        "<?xml version='1.1'?>",
        "<?xml?>",
        "<?xml ?>",
        "<?xml encoding='UTF-8'?>",
        "<?xml version='1.0' standalone='maybe'?>",
    ] {
        assert!(
            ["not-well-formed", "restricted-xml"].contains(&condition(bad).as_str()),
            "{bad}"
        );
    }
}

#[test]
fn the_header_is_read_whole() {
    let mut framer = Framer::new(limits());
    let mut input = b"<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns:c='jabber:client' from='a@b' to='b&amp;c' \
        id='7' version='1.0' xml:lang='de'><c:presence/></s:stream>".as_slice();
    let Ok(Some(Frame::Open(header))) = framer.next(&mut input) else {
        panic!("a header")
    };
    assert_eq!(header.from.as_deref(), Some("a@b"));
    assert_eq!(header.to.as_deref(), Some("b&c"));
    assert_eq!(header.id.as_deref(), Some("7"));
    assert_eq!(header.version.as_deref(), Some("1.0"));
    assert_eq!(header.lang.as_deref(), Some("de"));
    assert_eq!(header.scope.default_namespace(), None);
    let mut tree = Tree::new();
    let Ok(Some(Frame::Element(bytes))) = framer.next(&mut input) else {
        panic!("an element")
    };
    let element = tree.parse(bytes, &header.scope).unwrap();
    assert!(element.is("presence", ns::CLIENT));
    assert_eq!(element.lang(), Some("de"));
    assert!(matches!(framer.next(&mut input), Ok(Some(Frame::Close))));
}

#[test]
fn a_header_of_something_else_is_refused() {
    let usual = "xmlns:stream='http://etherx.jabber.org/streams'";
    for (header, expected) in [
        (
            "<stream:stream xmlns:stream='http://example.com' xmlns='jabber:client'>".to_owned(),
            "invalid-namespace",
        ),
        (
            format!("<stream:stream {usual} xmlns='jabber:server'>"),
            "invalid-namespace",
        ),
        ("<stream>".to_owned(), "invalid-namespace"),
        (
            format!("<stream:flow {usual} xmlns='jabber:client'>"),
            "bad-format",
        ),
        (
            format!("<stream:stream {usual} xmlns='jabber:client'/>"),
            "bad-format",
        ),
        (
            "<stream:stream xmlns='jabber:client'>".to_owned(),
            "not-well-formed",
        ),
        ("GET / HTTP/1.1\r\n".to_owned(), "not-well-formed"),
        ("\u{16}\u{3}\u{1}".to_owned(), "not-well-formed"),
        ("</stream:stream>".to_owned(), "not-well-formed"),
        (
            format!("<stream:stream {usual} xmlns='jabber:client' to='a' to='b'>"),
            "not-well-formed",
        ),
    ] {
        assert_eq!(condition(&header), expected, "{header}");
    }
}

#[test]
fn the_stream_ends_by_the_name_it_began_with() {
    assert_eq!(
        after_header("</stream:stream> <presence/> whatever"),
        ["close"]
    );
    for bad in ["</stream>", "</s:stream>", "</ stream:stream>", "</>"] {
        assert_eq!(stanza_condition(bad), "not-well-formed", "{bad}");
    }
}

#[test]
fn bytes_from_before_tls_are_noticed() {
    let mut framer = Framer::new(limits());
    let mut input = HEADER.as_bytes();
    framer.next(&mut input).unwrap();
    assert!(!framer.reset());
    let mut input = HEADER.as_bytes();
    framer.next(&mut input).unwrap();
    let mut input = b"<starttls/><iq".as_slice();
    assert!(matches!(
        framer.next(&mut input),
        Ok(Some(Frame::Element(b"<starttls/>")))
    ));
    assert_eq!(input, b"<iq", "what was not taken stays with the caller");
    assert!(matches!(framer.next(&mut input), Ok(None)));
    assert!(framer.reset(), "half a stanza was waiting");
    assert_eq!(framer.partial_bytes(), 0);
}

#[test]
fn after_an_error_nothing_more_is_read_however_it_is_cut() {
    let text = format!("{HEADER}</stream:str<iq>x</stream:stream><presence/>");
    for at in HEADER.len()..text.len() {
        let mut framer = Framer::new(FrameLimits::with_stanza_bytes(10_000));
        let (mut failed, mut frames) = (false, 0);
        for mut piece in [&text.as_bytes()[..at], &text.as_bytes()[at..]] {
            loop {
                match framer.next(&mut piece) {
                    Ok(Some(_)) => frames += 1,
                    Ok(None) => break,
                    Err(_) => {
                        failed = true;
                        break;
                    }
                }
            }
        }
        assert!(failed && frames == 1, "cut at {at}: {frames} frames");
    }
}
