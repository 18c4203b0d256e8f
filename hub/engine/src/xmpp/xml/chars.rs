//! Which characters XML allows where, and what references stand for.
//!
//! Implements: XML 1.0 productions [2] Char, [3] S, [4] NameStartChar, [4a] NameChar, [66] CharRef, §2.11 line
//! ends, §3.3.3 attribute values, §4.6 predefined entities.

use memchr::{memchr, memchr_iter, memchr2, memchr3};

use crate::xmpp::stream_error::{Condition, StreamError};

/// White space of XML's production [3].
pub(crate) const fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r')
}

/// Checks that bytes are UTF-8 and that every character is one XML allows (production [2]).
pub(crate) fn legal_text(bytes: &[u8]) -> Result<&str, StreamError> {
    const ILLEGAL: StreamError =
        StreamError::not_well_formed("a character that XML does not allow");
    // RFC 6120 §4.9.3.22 names bytes that are not UTF-8 along with foreign encodings.
    let text = std::str::from_utf8(bytes).map_err(|_| {
        StreamError::Peer(Condition::UnsupportedEncoding, "the stream is not UTF-8")
    })?;
    // No early exit, so that the compiler can test many bytes at once.
    let control = bytes.iter().fold(false, |seen, &b| {
        seen | (b < 0x20 && b != b'\t' && b != b'\n' && b != b'\r')
    });
    if control {
        return Err(ILLEGAL);
    }
    // U+FFFE and U+FFFF are EF BF BE and EF BF BF; surrogates are no UTF-8 at all.
    for at in memchr_iter(0xEF, bytes) {
        if matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])) {
            return Err(ILLEGAL);
        }
    }
    Ok(text)
}

/// Length of the name without colons (an NCName) that `text` begins with; 0 if it begins with none.
pub(super) fn ncname_len(text: &str) -> usize {
    let plain = text
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        .count();
    if plain > 0 && matches!(text.as_bytes()[0], b'0'..=b'9' | b'-' | b'.') {
        return 0;
    }
    if text.as_bytes().get(plain).is_none_or(u8::is_ascii) {
        return plain;
    }
    let mut len = 0;
    for (at, c) in text.char_indices() {
        if !(if at == 0 {
            is_name_start(c)
        } else {
            is_name_char(c)
        }) {
            break;
        }
        len = at + c.len_utf8();
    }
    len
}

/// A qualified name at the start of a text: its whole length, and where the part after the colon begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct QName {
    pub(super) len: usize,
    pub(super) local: usize,
}

/// Reads a qualified name (Namespaces in XML, production [7]).
pub(super) fn qname(text: &str) -> Result<QName, StreamError> {
    const BAD: StreamError = StreamError::not_well_formed("a name that is not a qualified name");
    let first = ncname_len(text);
    if first == 0 {
        return Err(BAD);
    }
    if text.as_bytes().get(first) != Some(&b':') {
        return Ok(QName {
            len: first,
            local: 0,
        });
    }
    match ncname_len(&text[first + 1..]) {
        0 => Err(BAD),
        local => Ok(QName {
            len: first + 1 + local,
            local: first + 1,
        }),
    }
}

fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | 'a'..='z' | '_'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '0'..='9' | '-' | '.' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// Checks text between tags: references that mean something, and no `]]>` (production [14]).
pub(super) fn check_text(text: &str) -> Result<(), StreamError> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr2(b'&', b'>', &bytes[at..]) {
        at += found;
        if bytes[at] == b'&' {
            at += reference(&text[at..])?.1;
        } else if bytes[..at].ends_with(b"]]") {
            return Err(StreamError::not_well_formed("\"]]>\" in text"));
        } else {
            at += 1;
        }
    }
    Ok(())
}

/// What the reference that `text` begins with stands for, and how many bytes it takes.
fn reference(text: &str) -> Result<(char, usize), StreamError> {
    const BAD: StreamError = StreamError::not_well_formed("an \"&\" that begins no reference");
    let end = memchr(b';', text.as_bytes()).ok_or(BAD)?;
    let name = &text[1..end];
    let meaning = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => match name.strip_prefix('#') {
            Some(number) => char_reference(number)?,
            // RFC 6120 §11.1: no entities beyond the five. Without a DTD they are not well-formed either.
            None if ncname_len(name) == name.len() && !name.is_empty() => {
                return Err(StreamError::restricted(
                    "an entity other than the five predefined ones",
                ));
            }
            None => return Err(BAD),
        },
    };
    Ok((meaning, end + 1))
}

fn char_reference(number: &str) -> Result<char, StreamError> {
    const BAD: StreamError = StreamError::not_well_formed("a reference to no legal character");
    let (digits, radix) = match number.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (number, 10),
    };
    // `from_str_radix` would take a sign.
    if digits.is_empty() || !digits.bytes().all(|b| char::from(b).is_digit(radix)) {
        return Err(BAD);
    }
    match u32::from_str_radix(digits, radix)
        .ok()
        .and_then(char::from_u32)
    {
        Some('\u{FFFE}' | '\u{FFFF}') | None => Err(BAD),
        Some(c) if c < ' ' && !matches!(c, '\t' | '\n' | '\r') => Err(BAD),
        Some(c) => Ok(c),
    }
}

/// Whether an attribute value means exactly its bytes.
pub(super) fn is_plain_value(raw: &str) -> bool {
    memchr(b'&', raw.as_bytes()).is_none() && memchr3(b'\t', b'\n', b'\r', raw.as_bytes()).is_none()
}

/// Appends what an attribute value means; white space becomes spaces (XML 1.0 §3.3.3).
pub(super) fn read_value_into(raw: &str, out: &mut String) -> Result<(), StreamError> {
    let mut rest = raw;
    while let Some(at) = rest
        .bytes()
        .position(|b| matches!(b, b'&' | b'\t' | b'\n' | b'\r'))
    {
        out.push_str(&rest[..at]);
        let taken = match rest.as_bytes()[at] {
            b'&' => {
                let (c, len) = reference(&rest[at..])?;
                out.push(c);
                len
            }
            first => {
                out.push(' ');
                // A line end of two bytes is one character (§2.11).
                if first == b'\r' && rest.as_bytes().get(at + 1) == Some(&b'\n') {
                    2
                } else {
                    1
                }
            }
        };
        rest = &rest[at + taken..];
    }
    out.push_str(rest);
    Ok(())
}

const CDATA_OPEN: &str = "<![CDATA[";

/// Whether the raw text between two child elements means exactly its bytes.
pub(super) fn is_plain_text(raw: &str) -> bool {
    memchr3(b'&', b'<', b'\r', raw.as_bytes()).is_none()
}

/// Appends what raw text means. The text has been checked: whatever is not right is taken as it stands.
pub(super) fn read_text_into(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(at) = memchr3(b'&', b'<', b'\r', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(cdata) = rest.strip_prefix(CDATA_OPEN) {
            let (content, after) = cdata.split_once("]]>").unwrap_or((cdata, ""));
            read_lines_into(content, out);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('\r') {
            out.push('\n');
            rest = after.strip_prefix('\n').unwrap_or(after);
        } else {
            let (c, len) = reference(rest).unwrap_or(('\u{FFFD}', 1));
            out.push(c);
            rest = &rest[len..];
        }
    }
    out.push_str(rest);
}

/// Appends text in which only line ends need translating (§2.11).
fn read_lines_into(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some((line, after)) = rest.split_once('\r') {
        out.push_str(line);
        out.push('\n');
        rest = after.strip_prefix('\n').unwrap_or(after);
    }
    out.push_str(rest);
}
