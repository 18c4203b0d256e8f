//! What is passed on means, standing alone, what it meant where it came from.

use leveret_engine::xmpp::xml::{Element, Scope, Tree, Writer};

/// Pieces of elements, and what is hard about them.
pub const DICTIONARY: &[&str] = &[
    "<", ">", "/>", "</", "</a>", "<a>", "<p:a>", "</p:a>", "<a/>", "<p:b/>", " xmlns='u:x'", " xmlns=''", " xmlns:p='u:p'", " xmlns:q='u:p'",
    " xmlns:p=''", " xmlns:xml='http://www.w3.org/XML/1998/namespace'", " a=''", " p:a=\"1\"", " q:a='2'", " xml:lang='en'", " xml:lang=''", "&amp;",
    "&#10;", "&#xD;", "&#0;", "&x;", "<![CDATA[", "]]>", "\r\n", "\t", "'", "\"", "=", " ", ":", "xml", "xmlns", "\u{e9}", "\u{FFFF}", "\u{0}", "<!--",
    "-->", "<?p ?>", "<!DOCTYPE a>", "stream:", "\u{2028}",
];

/// Reads the bytes as one element of a client's stream.
pub fn run(data: &[u8]) {
    let (outer, alone) = (Scope::client(), Scope::empty());
    let mut tree = Tree::new();
    let Ok(element) = tree.parse(data, &outer) else { return };
    assert_eq!(element.raw(), data);
    let mut again = Tree::new();
    let closed = element.closed();
    match again.parse(&closed, &alone) {
        Ok(reread) => assert_eq!(meaning(&reread, true), meaning(&element, true)),
        Err(error) => panic!("not closed: {error}: {}", String::from_utf8_lossy(&closed)),
    }
    for child in element.children() {
        let closed = child.closed();
        match again.parse(&closed, &alone) {
            Ok(reread) => assert_eq!(meaning(&reread, true), meaning(&child, true)),
            Err(error) => panic!("not closed: {error}: {}", String::from_utf8_lossy(&closed)),
        }
    }
    let mut stanza = Vec::new();
    Writer::new(&mut stanza).open("message").attr("xmlns", "jabber:client").raw(&element.children_closed()).close("message");
    match again.parse(&stanza, &alone) {
        Ok(reread) => {
            let there: Vec<_> = reread.children().map(|c| meaning(&c, false)).collect();
            let here: Vec<_> = element.children().map(|c| meaning(&c, false)).collect();
            assert_eq!(there, here);
        }
        Err(error) => panic!("not closed: {error}: {}", String::from_utf8_lossy(&stanza)),
    }
}

/// Everything an element says, in a form that can be compared. Its language counts where it is not left to the
/// stanza around it.
pub fn meaning(element: &Element<'_>, with_lang: bool) -> String {
    let mut attributes: Vec<_> =
        element.attributes().map(|a| format!(" {}\u{1}{}\u{2}{}", a.namespace, a.name, a.value)).collect();
    // The language is compared as that in force, so that saying it is no difference.
    attributes.retain(|a| !a.starts_with(" http://www.w3.org/XML/1998/namespace\u{1}lang\u{2}") || !with_lang);
    attributes.sort();
    let children: String = element.children().map(|c| meaning(&c, with_lang)).collect();
    let lang = if with_lang { element.lang().unwrap_or_default() } else { "" };
    format!(
        "({}\u{1}{}\u{1}{lang}{}\u{3}{}\u{4}{children})",
        element.namespace(),
        element.name(),
        attributes.concat(),
        element.text()
    )
}
