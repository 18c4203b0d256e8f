//! The inside of one start tag.
//!
//! Implements: XML 1.0 productions [10] AttValue, [25] Eq, [40] STag, [41] Attribute, [44] EmptyElemTag.

use memchr::memchr;

use super::chars::{QName, is_space, qname};
use crate::xmpp::stream_error::StreamError;

/// Reads `name='value'` pairs strictly: white space before each, quotes around each value, no `<` within.
///
/// Values come raw, with their references; positions are those in the text that was given.
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

/// One attribute as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawAttribute<'a> {
    /// Where the name begins.
    pub(crate) start: usize,
    pub(super) qname: QName,
    /// Where the value begins, after the quote.
    pub(crate) value_start: usize,
    /// The raw value.
    pub(crate) value: &'a str,
}

impl RawAttribute<'_> {
    /// Where the name ends.
    pub(crate) const fn name_end(&self) -> usize {
        self.start + self.qname.len
    }
}

impl<'a> Attributes<'a> {
    /// The attributes in `text[start..end]`, which begins after the element's name.
    pub(crate) const fn new(text: &'a str, start: usize, end: usize) -> Self {
        Self {
            text,
            at: start,
            end,
        }
    }

    /// The next attribute; `None` when only white space is left.
    pub(crate) fn next(&mut self) -> Result<Option<RawAttribute<'a>>, StreamError> {
        let before = self.at;
        self.skip_space();
        if self.at == self.end {
            return Ok(None);
        }
        if self.at == before {
            return Err(StreamError::not_well_formed(
                "no white space before an attribute",
            ));
        }
        let start = self.at;
        let qname = qname(&self.text[start..self.end])?;
        self.at += qname.len;
        self.skip_space();
        if self.take() != Some(b'=') {
            return Err(StreamError::not_well_formed("an attribute without \"=\""));
        }
        self.skip_space();
        let quote = match self.take() {
            Some(quote @ (b'"' | b'\'')) => quote,
            _ => {
                return Err(StreamError::not_well_formed(
                    "an attribute value without quotes",
                ));
            }
        };
        let value_start = self.at;
        let len = memchr(quote, &self.text.as_bytes()[value_start..self.end]).ok_or(
            StreamError::not_well_formed("an attribute value that does not end"),
        )?;
        let value = &self.text[value_start..value_start + len];
        if memchr(b'<', value.as_bytes()).is_some() {
            return Err(StreamError::not_well_formed("\"<\" in an attribute value"));
        }
        self.at = value_start + len + 1;
        Ok(Some(RawAttribute {
            start,
            qname,
            value_start,
            value,
        }))
    }

    fn skip_space(&mut self) {
        while self.at < self.end && is_space(self.text.as_bytes()[self.at]) {
            self.at += 1;
        }
    }

    fn take(&mut self) -> Option<u8> {
        let byte = (self.at < self.end).then(|| self.text.as_bytes()[self.at])?;
        self.at += 1;
        Some(byte)
    }
}
