//! One element, read and passed on.

use super::*;
use crate::xmpp::namespace as ns;
use crate::xmpp::stream_error::StreamError;

fn read<T>(xml: &str, look: impl FnOnce(Element<'_>) -> T) -> T {
    let scope = Scope::client();
    match Tree::new().parse(xml.as_bytes(), &scope) {
        Ok(element) => look(element),
        Err(error) => panic!("{xml} should be read: {error}"),
    }
}

fn refusal(xml: &str) -> String {
    match Tree::new().parse(xml.as_bytes(), &Scope::client()) {
        Ok(_) => format!("{xml} was taken"),
        Err(error) => error.condition().name().to_owned(),
    }
}

fn closed(xml: &str) -> String {
    read(xml, |e| {
        text(
            &e.children()
                .next()
                .map(|c| c.closed().into_owned())
                .unwrap_or_default(),
        )
    })
}

fn children_closed(xml: &str) -> String {
    read(xml, |e| text(&e.children_closed()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn names_attributes_children_and_text_are_read() {
    let xml = "<iq type='set' p:a=\"x&#10;&quot;\ty\" xmlns:p='u:p' id=''><q xmlns='u:q'>a<b/>c&lt;<![CDATA[<&]]>\r\nd</q ><p:r/></iq>";
    read(xml, |iq| {
        assert!(iq.is("iq", ns::CLIENT));
        assert_eq!(iq.attr("type"), Some("set"));
        assert_eq!(iq.attr("id"), Some(""));
        assert_eq!(iq.attr("a"), None, "a prefixed attribute has another name");
        assert_eq!(iq.attr_ns("a", "u:p"), Some("x\n\" y"));
        assert_eq!(iq.attributes().count(), 3, "declarations are no attributes");
        let names: Vec<_> = iq.children().map(|c| (c.name(), c.namespace())).collect();
        assert_eq!(names, [("q", "u:q"), ("r", "u:p")]);
        let q = iq.child("q", "u:q").unwrap();
        assert_eq!(q.text(), "ac<<&\nd");
        assert_eq!(q.child("b", "u:q").map(|b| b.raw()), Some(&b"<b/>"[..]));
        assert_eq!(q.inner_raw(), b"a<b/>c&lt;<![CDATA[<&]]>\r\nd");
        assert!(iq.child("q", ns::CLIENT).is_none());
        assert_eq!(iq.raw(), xml.as_bytes());
    });
}

#[test]
fn plain_text_is_borrowed() {
    read("<body>hello</body>", |e| {
        assert!(matches!(e.text(), std::borrow::Cow::Borrowed("hello")))
    });
}

#[test]
fn a_tree_is_used_again_and_again() {
    let (mut tree, scope) = (Tree::new(), Scope::client());
    for xml in [
        "<a b='&amp;'><c/></a>",
        "<d",
        "<e xmlns='u:e'/>",
        "<a b='&lt;'><c/></a>",
    ] {
        let first = tree
            .parse(xml.as_bytes(), &scope)
            .map(|e| format!("{e:?}{:?}", e.attr("b")));
        let fresh = Tree::new()
            .parse(xml.as_bytes(), &scope)
            .map(|e| format!("{e:?}{:?}", e.attr("b")));
        assert_eq!(first, fresh);
    }
}

#[test]
fn language_is_inherited_and_can_be_undone() {
    read(
        "<message xml:lang='en'><body/><body xml:lang='de'/><body xml:lang=''/></message>",
        |m| {
            let langs: Vec<_> = m.children().map(|c| c.lang()).collect();
            assert_eq!(langs, [Some("en"), Some("de"), None]);
        },
    );
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for xml in [
        "",
        "a",
        "<",
        "<>",
        "<a",
        "<a>",
        "</a>",
        "<a></b>",
        "<a><b></a></b>",
        "<a/><b/>",
        "<a/>x",
        "< a/>",
        "<a></ a>",
        "<a></a b>",
        "<1a/>",
        "<-a/>",
        "<a:b:c/>",
        "<:a/>",
        "<a:/>",
        "<a b/>",
        "<a b=c/>",
        "<a b='c/>",
        "<a b='1'c='2'/>",
        "<a b='1' b='2'/>",
        "<a b='<'/>",
        "<a =''/>",
        "<a / >",
        "<a b='' / >",
        "<a 'b'/>",
        "<a>]]></a>",
        "<a>&</a>",
        "<a>&amp</a>",
        "<a>& amp;</a>",
        "<a>&#;</a>",
        "<a>&#x;</a>",
        "<a>&#0;</a>",
        "<a>&#x1F;</a>",
        "<a>&#xD800;</a>",
        "<a>&#xFFFE;</a>",
        "<a>&#+33;</a>",
        "<a>&#x110000;</a>",
        "<a>&#99999999999999999999;</a>",
        "<a>\u{1}</a>",
        "<a b='\u{1f}'/>",
        "<a>\u{FFFF}</a>",
        "<a>\u{FFFE}</a>",
        "<a><![CDATA[x]]</a>",
        "<a><![CDATA[\u{0}]]></a>",
        "<a\u{D7}/>",
        "<a>&#X41;</a>",
        "<a b='&'/>",
        "<a b='&#0;'/>",
    ] {
        assert_eq!(refusal(xml), "not-well-formed", "{xml:?}");
    }
}

#[test]
fn namespaces_are_judged() {
    for xml in [
        "<p:a/>",
        "<a p:b=''/>",
        "<a xmlns:p=''/>",
        "<a xmlns:xmlns='u'/>",
        "<a xmlns:xml='u'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<xmlns:a/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>",
        "<a xmlns:p='u' xmlns:p='v'/>",
        "<a xmlns='u' xmlns='v'/>",
        "<a><b xmlns:p='u'/><p:c/></a>",
        "<a xmlns:p='u' xmlns:q='&#117;' p:b='' q:b=''/>",
    ] {
        assert_eq!(refusal(xml), "not-well-formed", "{xml:?}");
    }
    for xml in [
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:p='u' b='' p:b=''/>",
        "<p:a xmlns:p='u' p:b=''/>",
        "<a xml:b=''/>",
        "<stream:error/>",
        "<a xmlns=''/>",
        "<\u{e9}t\u{e9} \u{e8}='1'/>",
        "<a.b-c_d1/>",
        "<a b = '1'\n c\t=\"2\" />",
        "<a></a\n>",
    ] {
        read(xml, |_| ());
    }
}

#[test]
fn more_attributes_than_can_be_compared_are_refused() {
    let list: String = (0..300).map(|i| format!(" a{i}=''")).collect();
    assert_eq!(refusal(&format!("<a{list}/>")), "policy-violation");
}

#[test]
fn a_closed_element_is_passed_on_untouched() {
    for inner in [
        "<x xmlns='u:x'><y/></x>",
        "<p:x xmlns:p='u:x' p:a='b'/>",
        "<x xmlns='u:x' xml:space='preserve'/>",
    ] {
        let xml = format!("<message>{inner}</message>");
        read(&xml, |m| {
            let payload = m.children().next().unwrap();
            assert!(matches!(payload.closed(), std::borrow::Cow::Borrowed(_)));
        });
        assert_eq!(closed(&xml), inner);
        assert_eq!(children_closed(&xml), inner);
    }
}

#[test]
fn an_open_element_gets_what_it_lacks() {
    assert_eq!(closed("<m><x/></m>"), "<x xmlns='jabber:client'/>");
    assert_eq!(
        closed("<m xmlns:p='u&amp;p'><x xmlns='u:x' p:a=''/></m>"),
        "<x xmlns:p='u&amp;p' xmlns='u:x' p:a=''/>"
    );
    assert_eq!(
        closed("<m xmlns:p='u:p'><p:x><y xmlns='u:y'><p:z/></y></p:x></m>"),
        "<p:x xmlns:p='u:p'><y xmlns='u:y'><p:z/></y></p:x>"
    );
    assert_eq!(
        closed("<m xmlns:p='u:p'><x xmlns='u:x'><y xmlns:p='u:q'><p:z/></y></x></m>"),
        "<x xmlns='u:x'><y xmlns:p='u:q'><p:z/></y></x>",
        "the outer prefix is hidden, not used"
    );
    assert_eq!(
        closed("<m xmlns=''><x/></m>"),
        "<x xmlns=''/>",
        "no namespace must stay none"
    );
    assert_eq!(
        closed("<m xml:lang='en'><x xmlns='u:x'/></m>"),
        "<x xml:lang='en' xmlns='u:x'/>"
    );
    assert_eq!(
        closed("<m xml:lang='en'><x xmlns='u:x' xml:lang='de'/></m>"),
        "<x xmlns='u:x' xml:lang='de'/>"
    );
    assert_eq!(
        closed("<m><stream:x/></m>"),
        "<stream:x xmlns:stream='http://etherx.jabber.org/streams'/>"
    );
}

#[test]
fn children_of_a_stanza_may_rely_on_jabber_client_alone() {
    assert_eq!(
        children_closed("<m><body>a</body><x xmlns='u:x'/></m>"),
        "<body>a</body><x xmlns='u:x'/>"
    );
    assert_eq!(children_closed("<m/>"), "");
    assert_eq!(children_closed("<m>text</m>"), "");
    assert_eq!(children_closed("<m> <a/>\n<b/> </m>"), "<a/><b/>");
    assert_eq!(
        children_closed("<m xmlns:p='u:p' xml:lang='en'><a p:b=''/><c/></m>"),
        "<a xmlns:p='u:p' p:b=''/><c/>"
    );
    assert_eq!(
        children_closed("<m xmlns='u:m'><a/></m>"),
        "<a xmlns='u:m'/>"
    );
    assert_eq!(
        children_closed("<c:m xmlns:c='jabber:client' xmlns=''><c:a/><b/></c:m>"),
        "<c:a xmlns:c='jabber:client'/><b xmlns=''/>"
    );
}

#[test]
fn what_is_written_reads_back() {
    let nasty = "<&>'\"\t\n\r]]>\u{FFFD}\u{1F430}";
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out);
    w.open("a")
        .attr("b", nasty)
        .attr_opt("c", None)
        .attr_opt("d", Some(""));
    w.text(nasty).raw(b"<e/>").raw(b"").element("f", "");
    w.close("a");
    read(&text(&out), |a| {
        assert_eq!(a.attr("b"), Some(nasty));
        assert_eq!((a.attr("c"), a.attr("d")), (None, Some("")));
        assert_eq!(a.text(), nasty);
        assert_eq!(
            a.children().map(|c| c.name()).collect::<Vec<_>>(),
            ["e", "f"]
        );
    });
}

#[test]
fn what_xml_cannot_say_is_replaced() {
    let mut out = Vec::new();
    Writer::new(&mut out)
        .open("a")
        .attr("b", "\0\u{1f}")
        .text("\u{8}\u{FFFE}\u{FFFF}x")
        .close("a");
    read(&text(&out), |a| {
        assert_eq!(a.attr("b"), Some("\u{FFFD}\u{FFFD}"));
        assert_eq!(a.text(), "\u{FFFD}\u{FFFD}\u{FFFD}x");
    });
}

#[test]
fn bytes_beyond_utf_8_are_told_apart_from_broken_xml() {
    let error = Tree::new()
        .parse(b"<a>\xE4</a>", &Scope::client())
        .map(|_| ());
    assert!(matches!(
        error,
        Err(StreamError::Peer(
            crate::xmpp::stream_error::Condition::UnsupportedEncoding,
            _
        ))
    ));
}

#[test]
fn a_cdata_section_alone_is_no_element() {
    let scope = Scope::client();
    for text in ["<![CDATA[\r\n]]>", "<![CDATA[]]><a/>"] {
        assert!(
            Tree::new().parse(text.as_bytes(), &scope).is_err(),
            "{text}"
        );
    }
}
