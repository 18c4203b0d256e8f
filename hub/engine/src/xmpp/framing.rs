//! Framing: a client's byte stream cut into its header, whole top-level elements, and its end.
//!
//! Implements: RFC 6120 §4.2 opening, §4.4 closing, §4.6.1 white space between elements, §11.1 restricted XML
//! (as far as it shows between tags), §11.3, §11.6, §13.12 limits. Not: judging what is inside an element, which
//! [`Tree::parse`](crate::xmpp::xml::Tree::parse) does, once, on the whole of it.
//!
//! Every byte is looked at once, in whatever pieces it comes; only the piece of an unfinished element is copied.

mod header;
mod scanner;

use crate::limits;
use crate::xmpp::stream_error::{Condition, Limit, StreamError};
use crate::xmpp::xml::{ATTRIBUTES_MAX, is_space};

pub use header::StreamHeader;
use scanner::{Cut, Scanner};

/// Bounds of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// The most bytes of a stanza or a stream header. RFC 6120 §13.12: never below 10,000 after sign-in.
    pub stanza_bytes: u32,
    /// The most elements within each other, the stanza counted.
    pub depth: u16,
    /// The most attributes of an element, namespace declarations counted.
    pub attributes: u16,
}

impl FrameLimits {
    /// The usual bounds on depth and attributes, with this one on bytes.
    pub fn with_stanza_bytes(bytes: usize) -> Self {
        Self {
            stanza_bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            depth: limits::STANZA_DEPTH_MAX as u16,
            attributes: limits::ATTRIBUTES_MAX as u16,
        }
    }
}

const _: () = assert!(
    limits::STANZA_DEPTH_MAX <= u16::MAX as u32 && limits::ATTRIBUTES_MAX <= ATTRIBUTES_MAX as u32
);

/// Cuts frames from the bytes of one stream.
///
/// Contract: call [`next`](Self::next) until it gives `None`, by which time the input is used up; after an error
/// the stream is over. Between elements it owns nothing on the heap (but for a client that calls the stream
/// something else than `stream:stream`).
///
/// ```
/// # use leveret_engine::xmpp::framing::{Frame, FrameLimits, Framer};
/// # fn handle(_: Frame<'_>) {}
/// # fn run(framer: &mut Framer, read: &[u8]) -> Result<(), leveret_engine::xmpp::stream_error::StreamError> {
/// let mut input = read;
/// while let Some(frame) = framer.next(&mut input)? {
///     handle(frame);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Framer {
    partial: Option<Box<Partial>>,
    /// The name of the open stream; `None` for `stream:stream`.
    stream_name: Option<Box<str>>,
    limits: FrameLimits,
    expect: Expect,
    content: Content,
}

/// What a stream's stanzas are qualified by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// `jabber:client`.
    Client,
    /// `jabber:component:accept` (XEP-0114). Past the header it is named `jabber:client`: the stanzas are the same.
    Component,
}

/// What a framer cuts.
#[derive(Debug)]
pub enum Frame<'a> {
    /// The stream header.
    Open(Box<StreamHeader>),
    /// A whole top-level element: where it ends is certain, that it is right is for the parser to say.
    Element(&'a [u8]),
    /// The closing tag of the stream. Whatever follows it is ignored.
    Close,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// The XML declaration or the header: nothing has been read yet.
    Start,
    /// The header.
    Header,
    /// Elements.
    Element,
    /// Nothing.
    Nothing,
}

/// An element of which a part has come.
#[derive(Debug)]
struct Partial {
    bytes: Vec<u8>,
    scanner: Scanner,
    /// The element is whole and has been handed out.
    taken: bool,
}

/// Something whole. Its bytes come along if they all lay in the input; else they are in `Framer::partial`.
struct Found<'i> {
    cut: Cut,
    whole: Option<&'i [u8]>,
}

impl Framer {
    /// Expects a client's stream header.
    pub fn new(limits: FrameLimits) -> Self {
        Self::of(Content::Client, limits)
    }

    /// Expects the header of a stream with this content.
    pub fn of(content: Content, limits: FrameLimits) -> Self {
        Self {
            partial: None,
            stream_name: None,
            limits,
            expect: Expect::Start,
            content,
        }
    }

    /// Changes the bounds: more is allowed after sign-in than before.
    pub fn set_limits(&mut self, limits: FrameLimits) {
        self.limits = limits;
    }

    /// Expects a new stream header, as after STARTTLS and SASL. Gives whether an element had begun: after STARTTLS
    /// that, or any input left, was sent in the clear and must end the connection, or an attacker on the way could
    /// put words into the protected stream.
    #[must_use = "bytes from before TLS must not be taken for bytes under TLS"]
    pub fn reset(&mut self) -> bool {
        let had_partial = self.has_partial();
        *self = Self::of(self.content, self.limits);
        had_partial
    }

    /// Whether an element has begun and not ended: what a time limit on slow senders asks.
    pub fn has_partial(&self) -> bool {
        self.partial.as_ref().is_some_and(|p| !p.taken)
    }

    /// Bytes on the heap for an unfinished element.
    pub fn partial_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |p| p.bytes.capacity())
    }

    /// Takes the next frame from `input`, advancing it; `None` when more input is needed.
    ///
    /// A frame whose bytes are all in `input` is borrowed from there.
    pub fn next<'f, 'i: 'f>(
        &'f mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Frame<'f>>, StreamError> {
        loop {
            let found = self.cut(input);
            if found.is_err() {
                // Where the scan stood when it failed means nothing: what follows is not read.
                self.expect = Expect::Nothing;
                self.partial = None;
                *input = &[];
            }
            let Some(Found { cut, whole }) = found? else {
                return Ok(None);
            };
            match cut {
                Cut::Declaration => {
                    header::check_declaration(self.bytes(whole))?;
                    self.expect = Expect::Header;
                }
                Cut::Header => {
                    let (header, name) = StreamHeader::parse(self.bytes(whole), self.content)?;
                    self.stream_name = name;
                    self.expect = Expect::Element;
                    self.partial = None;
                    return Ok(Some(Frame::Open(Box::new(header))));
                }
                Cut::Close => {
                    self.check_close(self.bytes(whole))?;
                    self.expect = Expect::Nothing;
                    self.partial = None;
                    return Ok(Some(Frame::Close));
                }
                Cut::Element => return Ok(Some(Frame::Element(self.bytes(whole)))),
            }
        }
    }

    /// Finds the end of what comes next.
    fn cut<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Found<'i>>, StreamError> {
        if self.partial.as_ref().is_some_and(|p| p.taken) {
            self.partial = None;
        }
        let limit = self.limits.stanza_bytes as usize;
        if let Some(partial) = &mut self.partial {
            let room = limit.saturating_sub(partial.bytes.len()).min(input.len());
            let found = partial.scanner.advance(&input[..room], &self.limits)?;
            let (taken, rest) = input.split_at(found.map_or(room, |(_, len)| len));
            partial.bytes.extend_from_slice(taken);
            *input = rest;
            partial.taken = found.is_some();
            if found.is_none() && partial.bytes.len() >= limit {
                return Err(self.too_big());
            }
            return Ok(found.map(|(cut, _)| Found { cut, whole: None }));
        }
        self.skip_space(input);
        if input.is_empty() {
            return Ok(None);
        }
        if input[0] != b'<' {
            return Err(match self.expect {
                Expect::Start | Expect::Header => {
                    StreamError::not_well_formed("text before the stream header")
                }
                // Well-formed, but nothing that RFC 6120 §4.9.3.1 gives a meaning to.
                _ => StreamError::Peer(Condition::BadFormat, "text between stanzas"),
            });
        }
        let mut scanner = match self.expect {
            Expect::Start => Scanner::at_start(),
            Expect::Header => Scanner::at_header(),
            _ => Scanner::at_element(),
        };
        let seen = limit.min(input.len());
        match scanner.advance(&input[..seen], &self.limits)? {
            Some((cut, len)) => {
                let (whole, rest) = input.split_at(len);
                *input = rest;
                Ok(Some(Found {
                    cut,
                    whole: Some(whole),
                }))
            }
            None if seen == limit => Err(self.too_big()),
            None => {
                self.partial = Some(Box::new(Partial {
                    bytes: input.to_vec(),
                    scanner,
                    taken: false,
                }));
                *input = &[];
                Ok(None)
            }
        }
    }

    /// Drops white space between elements: a keep-alive (RFC 6120 §4.6.1), or an indented transcript.
    fn skip_space(&mut self, input: &mut &[u8]) {
        let space = match self.expect {
            // RFC 6120 §4.4: after its closing tag the peer must send nothing.
            Expect::Nothing => input.len(),
            _ => input.iter().take_while(|b| is_space(**b)).count(),
        };
        if space > 0 && self.expect == Expect::Start {
            // XML 1.0 [22]: the declaration comes first or not at all.
            self.expect = Expect::Header;
        }
        *input = &input[space..];
    }

    fn bytes<'f>(&'f self, whole: Option<&'f [u8]>) -> &'f [u8] {
        match whole {
            Some(bytes) => bytes,
            None => self.partial.as_ref().map_or(&[], |p| &p.bytes),
        }
    }

    fn check_close(&self, tag: &[u8]) -> Result<(), StreamError> {
        let name = self.stream_name.as_deref().unwrap_or(header::USUAL_NAME);
        // Between `</` and `>`.
        let written = tag.get(2..tag.len().saturating_sub(1)).unwrap_or_default();
        let end = written
            .iter()
            .rposition(|b| !is_space(*b))
            .map_or(0, |last| last + 1);
        if written[..end] == *name.as_bytes() {
            Ok(())
        } else {
            Err(StreamError::not_well_formed(
                "an end tag without its start tag",
            ))
        }
    }

    fn too_big(&self) -> StreamError {
        StreamError::Limit(Limit::StanzaBytes(self.limits.stanza_bytes))
    }
}

#[cfg(test)]
mod tests;
