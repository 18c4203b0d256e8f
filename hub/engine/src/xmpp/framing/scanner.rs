//! The search for the end of a top-level element, which may stop and go on at any byte.
//!
//! Implements: the tokens of XML 1.0 §2.4 to §2.7 and §3.1, as far as it takes to tell tags from text.

use memchr::{memchr, memchr3};

use super::FrameLimits;
use crate::xmpp::stream_error::{Limit, StreamError};

/// What has been found whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// `<?xml ... ?>`
    Declaration,
    /// The start tag of the stream.
    Header,
    /// A top-level element.
    Element,
    /// The end tag of the stream.
    Close,
}

/// Where the scan stands. Begins before the `<` of whatever comes at the top level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner {
    state: State,
    /// Elements open.
    depth: u16,
    /// Attributes of the tag being read.
    attributes: u16,
    place: Place,
}

/// What the top level may hold here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The declaration or the header.
    Start,
    /// The header.
    Header,
    /// Elements and the end of the stream.
    Stream,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Between tags.
    Text,
    /// After `<`.
    TagOpen,
    /// In a start tag, outside quotes; whether the last byte was `/`.
    StartTag { slash: bool },
    /// In an attribute value that ends at this quote.
    Value(u8),
    /// In an end tag.
    EndTag,
    /// After `<!` and this many bytes of `[CDATA[`.
    CDataOpen(u8),
    /// In a CDATA section, after this many `]` in a row (two stand for more).
    CData(u8),
    /// In the XML declaration; whether the last byte was `?`.
    Declaration { question: bool },
}

const CDATA_OPEN: &[u8] = b"[CDATA[";

impl Scanner {
    pub(super) const fn at_start() -> Self {
        Self::at(Place::Start)
    }

    pub(super) const fn at_header() -> Self {
        Self::at(Place::Header)
    }

    pub(super) const fn at_element() -> Self {
        Self::at(Place::Stream)
    }

    const fn at(place: Place) -> Self {
        Self {
            state: State::Text,
            depth: 0,
            attributes: 0,
            place,
        }
    }

    /// Reads on. Gives what has ended and after how many bytes of `input`; `None` when all of it has been read.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        limits: &FrameLimits,
    ) -> Result<Option<(Cut, usize)>, StreamError> {
        let mut at = 0;
        while at < input.len() {
            let rest = &input[at..];
            match self.state {
                State::Text => {
                    let Some(found) = memchr(b'<', rest) else {
                        break;
                    };
                    at += found + 1;
                    self.state = State::TagOpen;
                }
                State::TagOpen => {
                    // The byte is part of what it tells, unless it is an opener of its own.
                    at += usize::from(matches!(rest[0], b'/' | b'!' | b'?'));
                    self.state = self.opened(rest[0], limits)?;
                }
                State::StartTag { slash } => {
                    let found = memchr3(b'>', b'"', b'\'', rest);
                    refuse_opening(&rest[..found.unwrap_or(rest.len())])?;
                    let Some(found) = found else {
                        self.state = State::StartTag {
                            slash: rest.ends_with(b"/"),
                        };
                        break;
                    };
                    at += found + 1;
                    if rest[found] != b'>' {
                        self.attributes += 1;
                        if self.attributes > limits.attributes {
                            return Err(StreamError::Limit(Limit::Attributes(limits.attributes)));
                        }
                        self.state = State::Value(rest[found]);
                    } else {
                        let empty = if found == 0 {
                            slash
                        } else {
                            rest[found - 1] == b'/'
                        };
                        if let Some(cut) = self.start_tag_ended(empty)? {
                            return Ok(Some((cut, at)));
                        }
                    }
                }
                State::Value(quote) => {
                    let found = memchr(quote, rest);
                    refuse_opening(&rest[..found.unwrap_or(rest.len())])?;
                    let Some(found) = found else {
                        break;
                    };
                    at += found + 1;
                    self.state = State::StartTag { slash: false };
                }
                State::EndTag => {
                    let found = memchr(b'>', rest);
                    refuse_opening(&rest[..found.unwrap_or(rest.len())])?;
                    let Some(found) = found else {
                        break;
                    };
                    at += found + 1;
                    self.state = State::Text;
                    match self.depth {
                        0 => return Ok(Some((Cut::Close, at))),
                        1 => return Ok(Some((Cut::Element, at))),
                        _ => self.depth -= 1,
                    }
                }
                State::CDataOpen(matched) => {
                    // RFC 6120 §11.1: of what begins with `<!` only CDATA sections are allowed.
                    if rest[0] != CDATA_OPEN[usize::from(matched)] {
                        return Err(StreamError::restricted("a comment or a declaration"));
                    }
                    at += 1;
                    let matched = matched + 1;
                    self.state = if usize::from(matched) == CDATA_OPEN.len() {
                        State::CData(0)
                    } else {
                        State::CDataOpen(matched)
                    };
                }
                State::CData(0) => {
                    let Some(found) = memchr(b']', rest) else {
                        break;
                    };
                    at += found + 1;
                    self.state = State::CData(1);
                }
                State::CData(brackets) => {
                    at += 1;
                    self.state = match rest[0] {
                        b'>' if brackets == 2 => State::Text,
                        b']' => State::CData(2),
                        _ => State::CData(0),
                    };
                }
                State::Declaration { question } => {
                    let Some(found) = memchr(b'>', rest) else {
                        self.state = State::Declaration {
                            question: rest.ends_with(b"?"),
                        };
                        break;
                    };
                    at += found + 1;
                    if if found == 0 {
                        question
                    } else {
                        rest[found - 1] == b'?'
                    } {
                        return Ok(Some((Cut::Declaration, at)));
                    }
                    self.state = State::Declaration { question: false };
                }
            }
        }
        Ok(None)
    }

    /// What the byte after `<` begins.
    fn opened(&mut self, byte: u8, limits: &FrameLimits) -> Result<State, StreamError> {
        match byte {
            b'/' if self.depth == 0 && self.place != Place::Stream => Err(
                StreamError::not_well_formed("an end tag without its start tag"),
            ),
            b'/' => Ok(State::EndTag),
            b'!' if self.depth == 0 => Err(StreamError::restricted(
                "a comment, a declaration, or text between stanzas",
            )),
            b'!' => Ok(State::CDataOpen(0)),
            b'?' if self.place == Place::Start => Ok(State::Declaration { question: false }),
            // RFC 6120 §11.1: no processing instructions; §11.5: the declaration comes first or not at all.
            b'?' => Err(StreamError::restricted(
                "a processing instruction, or a late XML declaration",
            )),
            _ if self.depth >= limits.depth => Err(StreamError::Limit(Limit::Depth(limits.depth))),
            _ => {
                self.attributes = 0;
                Ok(State::StartTag { slash: false })
            }
        }
    }

    fn start_tag_ended(&mut self, empty: bool) -> Result<Option<Cut>, StreamError> {
        self.state = State::Text;
        if self.place != Place::Stream {
            return Ok(Some(Cut::Header));
        }
        if empty {
            return Ok((self.depth == 0).then_some(Cut::Element));
        }
        self.depth += 1;
        Ok(None)
    }
}

/// XML 1.0 [10], [40], [42]: no `<` within a tag or an attribute's value. Told here, or a forgotten quote would swallow
/// what follows up to the bound of the stanza before anybody was told.
fn refuse_opening(within_tag: &[u8]) -> Result<(), StreamError> {
    match memchr(b'<', within_tag) {
        Some(_) => Err(StreamError::not_well_formed("a tag within a tag")),
        None => Ok(()),
    }
}
