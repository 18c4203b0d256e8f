//! Framing gives the same frames, or the same error, however the bytes are cut.

use leveret_engine::xmpp::framing::{Frame, FrameLimits, Framer};

/// What the scanner looks for.
pub const DICTIONARY: &[&str] = &[
    "<", ">", "/>", "</", "'", "\"", "<![CDATA[", "]]>", "]", "<?xml version='1.0'?>", "<!--", "?>", "&amp;", " ", "\n",
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "</stream:stream>", "<presence/>",
    "<a b='>'>", "</a>", "\u{FEFF}", "<a/>",
];

/// The first byte says how large the pieces are.
pub fn run(data: &[u8]) {
    let Some((&piece, bytes)) = data.split_first() else { return };
    let whole = frames(std::iter::once(bytes));
    assert_eq!(whole, frames(bytes.chunks(usize::from(piece % 31) + 1)), "cut into pieces");
}

fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let limits = FrameLimits { stanza_bytes: 300, depth: 6, attributes: 5 };
    let mut framer = Framer::new(limits);
    let mut seen = Vec::new();
    for mut input in pieces {
        loop {
            match framer.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Frame::Element(bytes))) => {
                    assert!(bytes.len() <= 300 && bytes.starts_with(b"<") && bytes.ends_with(b">"));
                    seen.push(format!("{bytes:?}"));
                }
                Ok(Some(other)) => seen.push(format!("{other:?}")),
                Err(error) => {
                    seen.push(error.to_string());
                    return seen;
                }
            }
        }
        assert!(input.is_empty(), "`None` means that the input is used up");
        assert!(framer.has_partial() || framer.partial_bytes() == 0, "memory is kept for nothing");
        assert!(framer.partial_bytes() <= 600, "more is kept than the limit explains");
    }
    seen.push(format!("{}", framer.has_partial()));
    seen
}
