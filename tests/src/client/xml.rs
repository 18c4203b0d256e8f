//! The client's own reading of a stream: small, for well-formed input, and not a line shared with the hub's.

/// One element; names without their prefixes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Its local name.
    pub name: String,
    /// Its attributes as written, declarations of namespaces too.
    pub attributes: Vec<(String, String)>,
    /// Its child elements.
    pub children: Vec<Element>,
    /// All text that is directly within.
    pub text: String,
}

impl Element {
    /// An attribute; empty if there is none.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first element found by going down by these names.
    pub fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter()
            .try_fold(self, |element, name| element.child(name))
    }

    /// The text of a child; empty if there is none.
    pub fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| &child.text)
    }
}

/// What a stream consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The header.
    Open(Element),
    /// A whole element below it.
    Element(Element),
    /// The closing tag.
    Close,
}

/// Cuts a stream into its parts.
#[derive(Debug, Default)]
pub struct Parser {
    buffer: Vec<u8>,
    open: bool,
}

/// Why a part could not be read.
#[derive(Debug)]
enum Stop {
    /// The rest has not come yet.
    Incomplete,
    Broken(String),
}

impl Parser {
    /// Takes what came.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The stream begins anew (after sign-in); what came already belongs to the new one.
    pub fn restart(&mut self) {
        self.open = false;
    }

    /// The next part, once it is whole.
    pub fn next_part(&mut self) -> Result<Option<Part>, String> {
        let text = match str::from_utf8(&self.buffer) {
            Ok(text) => text,
            // Cut within a character: the rest is to come.
            Err(error) if error.error_len().is_none() => {
                str::from_utf8(&self.buffer[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => return Err("the hub sent what is not UTF-8".into()),
        };
        let mut cursor = Cursor { text, at: 0 };
        let part = match cursor.part(self.open) {
            Ok(part) => part,
            Err(Stop::Incomplete) => return Ok(None),
            Err(Stop::Broken(why)) => return Err(why),
        };
        let used = cursor.at;
        self.buffer.drain(..used);
        self.open |= matches!(part, Part::Open(_));
        Ok(Some(part))
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, expected: &str) -> bool {
        let is = self.rest().starts_with(expected);
        if is {
            self.at += expected.len();
        }
        is
    }

    fn until(&mut self, end: &str) -> Result<&'a str, Stop> {
        let rest = self.rest();
        let length = rest.find(end).ok_or(Stop::Incomplete)?;
        self.at += length + end.len();
        Ok(&rest[..length])
    }

    fn part(&mut self, open: bool) -> Result<Part, Stop> {
        self.skip_space();
        if self.take("<?") {
            self.until("?>")?;
            self.skip_space();
        }
        if open && self.take("</") {
            self.until(">")?;
            return Ok(Part::Close);
        }
        let (element, empty) = self.tag()?;
        if !open {
            return Ok(Part::Open(element));
        }
        match empty {
            true => Ok(Part::Element(element)),
            false => self.content(element).map(Part::Element),
        }
    }

    /// A start tag, and whether it is an empty element.
    fn tag(&mut self) -> Result<(Element, bool), Stop> {
        if self.rest().is_empty() {
            return Err(Stop::Incomplete);
        }
        if !self.take("<") {
            return Err(self.broken("a tag was expected"));
        }
        let name = self.name()?;
        let mut element = Element {
            name: name
                .rsplit_once(':')
                .map_or(name, |(_, local)| local)
                .into(),
            ..Element::default()
        };
        loop {
            self.skip_space();
            if self.take("/>") {
                return Ok((element, true));
            }
            if self.take(">") {
                return Ok((element, false));
            }
            let name = self.name()?;
            let quote = ["=\"", "='"].into_iter().find(|sign| self.take(sign));
            let value = match quote {
                Some(sign) => self.until(&sign[1..])?,
                None if self.rest().len() < 2 => return Err(Stop::Incomplete),
                None => return Err(self.broken("an attribute has no value")),
            };
            element
                .attributes
                .push((name.to_owned(), unescaped(value)?));
        }
    }

    fn name(&mut self) -> Result<&'a str, Stop> {
        let rest = self.rest();
        let length = rest
            .find(|c: char| c.is_whitespace() || "=/>".contains(c))
            .ok_or(Stop::Incomplete)?;
        if length == 0 {
            return match rest {
                "/" => Err(Stop::Incomplete),
                _ => Err(self.broken("a name was expected")),
            };
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn content(&mut self, mut element: Element) -> Result<Element, Stop> {
        loop {
            let text = self.rest();
            let length = text.find('<').ok_or(Stop::Incomplete)?;
            element.text.push_str(&unescaped(&text[..length])?);
            self.at += length;
            if self.rest() == "<" {
                return Err(Stop::Incomplete);
            }
            if self.take("</") {
                self.until(">")?;
                return Ok(element);
            }
            if self.take("<![CDATA[") {
                let text = self.until("]]>")?;
                element.text.push_str(text);
                continue;
            }
            let (child, empty) = self.tag()?;
            element.children.push(match empty {
                true => child,
                false => self.content(child)?,
            });
        }
    }

    fn broken(&self, why: &str) -> Stop {
        let seen: String = self.rest().chars().take(60).collect();
        Stop::Broken(format!("{why} at {seen:?}"))
    }
}

fn unescaped(text: &str) -> Result<String, Stop> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let (entity, next) = after
            .split_once(';')
            .ok_or_else(|| Stop::Broken(format!("an entity without end: {text:?}")))?;
        let code = match entity.strip_prefix("#x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => entity.strip_prefix('#').and_then(|it| it.parse().ok()),
        };
        plain.push(match (entity, code.and_then(char::from_u32)) {
            ("lt", _) => '<',
            ("gt", _) => '>',
            ("amp", _) => '&',
            ("quot", _) => '"',
            ("apos", _) => '\'',
            (_, Some(letter)) => letter,
            _ => return Err(Stop::Broken(format!("an unknown entity: {entity}"))),
        });
        rest = next;
    }
    plain.push_str(rest);
    Ok(plain)
}

/// `text` for use in content and in quoted attributes.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&apos;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "<?xml version='1.0'?><stream:stream id='1' xmlns='jabber:client'><a/><b x='1&amp;2'>ä<c>\
                          t&#x41;</c><![CDATA[<&]]></b> </stream:stream>";

    fn parts(pieces: &[&[u8]]) -> Vec<Part> {
        let (mut parser, mut parts) = (Parser::default(), Vec::new());
        for piece in pieces {
            parser.feed(piece);
            while let Some(part) = parser.next_part().unwrap() {
                parts.push(part);
            }
        }
        parts
    }

    #[test]
    fn a_stream_cut_anywhere_is_the_same_stream() {
        let whole = parts(&[STREAM.as_bytes()]);
        assert_eq!(whole.len(), 4);
        let Part::Element(b) = &whole[2] else {
            panic!("{whole:?}")
        };
        assert_eq!(
            (b.attribute("x"), b.text.as_str(), b.text_of("c")),
            ("1&2", "ä<&", "tA")
        );
        for cut in 0..STREAM.len() {
            let (one, two) = STREAM.as_bytes().split_at(cut);
            assert_eq!(parts(&[one, two]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn nonsense_is_an_error_and_not_a_wait() {
        for nonsense in ["<a>&x;</a>", "text", "<a =''/>"] {
            let mut parser = Parser {
                open: true,
                ..Parser::default()
            };
            parser.feed(nonsense.as_bytes());
            assert!(parser.next_part().is_err(), "{nonsense}");
        }
    }
}
