//! Writing XML straight into the bytes to be sent.

/// Appends elements to a buffer. Names are the caller's and written as they are; values and text are escaped.
///
/// ```
/// # use leveret_engine::xmpp::xml::Writer;
/// let mut out = Vec::new();
/// let mut w = Writer::new(&mut out);
/// w.open("message").attr("to", "juliet@example.com");
/// w.open("body").text("1 < 2").close("body");
/// w.close("message");
/// assert_eq!(out, b"<message to='juliet@example.com'><body>1 &lt; 2</body></message>");
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// The last start tag has not got its `>` yet.
    in_tag: bool,
}

impl<'a> Writer<'a> {
    /// Writes at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, in_tag: false }
    }

    /// Begins an element; attributes may follow.
    pub fn open(&mut self, name: &str) -> &mut Self {
        self.finish_tag();
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.in_tag = true;
        self
    }

    /// Adds an attribute to the element just begun.
    pub fn attr(&mut self, name: &str, value: &str) -> &mut Self {
        debug_assert!(self.in_tag, "an attribute needs an open start tag");
        self.out.push(b' ');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"='");
        escape_attr_into(value, self.out);
        self.out.push(b'\'');
        self
    }

    /// Adds an attribute if it has a value.
    pub fn attr_opt(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// Adds text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        if !text.is_empty() {
            self.finish_tag();
            escape_text_into(text, self.out);
        }
        self
    }

    /// Adds bytes that are XML already.
    pub fn raw(&mut self, xml: &[u8]) -> &mut Self {
        if !xml.is_empty() {
            self.finish_tag();
            self.out.extend_from_slice(xml);
        }
        self
    }

    /// Ends the element; one with nothing in it becomes `<name/>`.
    pub fn close(&mut self, name: &str) -> &mut Self {
        if self.in_tag {
            self.out.extend_from_slice(b"/>");
            self.in_tag = false;
        } else {
            self.out.extend_from_slice(b"</");
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'>');
        }
        self
    }

    /// An element that holds text alone.
    pub fn element(&mut self, name: &str, text: &str) -> &mut Self {
        self.open(name).text(text).close(name)
    }

    /// Ends the start tag: for a stream header, which stays open.
    pub fn finish_tag(&mut self) -> &mut Self {
        if self.in_tag {
            self.out.push(b'>');
            self.in_tag = false;
        }
        self
    }
}

/// Appends an attribute value for single or double quotes.
pub fn escape_attr_into(value: &str, out: &mut Vec<u8>) {
    escape_into(value, out, |b| match b {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'\'' => Some("&apos;"),
        b'"' => Some("&quot;"),
        // Literal ones would be read back as spaces (XML 1.0 §3.3.3).
        b'\t' => Some("&#9;"),
        b'\n' => Some("&#10;"),
        b'\r' => Some("&#13;"),
        0..0x20 => Some("\u{FFFD}"),
        _ => None,
    });
}

/// Appends text.
pub fn escape_text_into(text: &str, out: &mut Vec<u8>) {
    escape_into(text, out, |b| match b {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        // Always, so that `]]>` never appears.
        b'>' => Some("&gt;"),
        b'\t' | b'\n' => None,
        // A literal one would be read back as a line feed (XML 1.0 §2.11).
        b'\r' => Some("&#13;"),
        0..0x20 => Some("\u{FFFD}"),
        _ => None,
    });
}

/// Characters that XML cannot express at all become U+FFFD: what is written must always be readable.
fn escape_into(text: &str, out: &mut Vec<u8>, escape: impl Fn(u8) -> Option<&'static str>) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &b) in bytes.iter().enumerate() {
        let replacement = match escape(b) {
            Some(replacement) => replacement,
            None if b == 0xEF && matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])) => {
                "\u{FFFD}"
            }
            None => continue,
        };
        out.extend_from_slice(&bytes[copied..at]);
        out.extend_from_slice(replacement.as_bytes());
        copied = at + if b == 0xEF { 3 } else { 1 };
    }
    out.extend_from_slice(&bytes[copied..]);
}
