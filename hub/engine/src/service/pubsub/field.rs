//! One field of a submitted form: its value, read as what the field's type says, and the refusals that name it.
//!
//! Implements: XEP-0004 2.13 §3.3 (types of fields), as far as values go.

use std::collections::HashSet;

use crate::{
    address::Jid,
    command::Field,
    refusal::{Reason, Refusal},
};

/// Longest text, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// A field of a form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) field: &'a Field,
}

impl<'a> Value<'a> {
    /// XEP-0060 §8.2.5.2: a change that cannot be processed.
    pub(super) fn wrong(self) -> Refusal {
        self.refuse("cannot have this value")
    }

    /// The same with words that help.
    pub(super) fn refuse(self, why: &str) -> Refusal {
        Refusal::new(Reason::NotAcceptable).say(format!("{} {why}", self.field.var))
    }

    pub(super) fn one(self) -> Result<&'a str, Refusal> {
        match self.field.values.as_slice() {
            [] => Ok(""),
            [value] => Ok(value),
            _ => Err(self.refuse("has one value")),
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.field.values.iter().all(|value| value.is_empty())
    }

    /// Text of several lines comes as several values.
    pub(super) fn text(self) -> Result<Box<str>, Refusal> {
        let text = self.field.values.join("\n");
        if text.len() > TEXT_BYTES_MAX {
            return Err(self.refuse("is too long"));
        }
        Ok(text.into())
    }

    /// An address that is for others to follow: never read by the hub, so no more is asked of it.
    pub(super) fn url(self) -> Result<Box<str>, Refusal> {
        let url = self.one()?;
        if url.len() > TEXT_BYTES_MAX {
            return Err(self.refuse("is too long"));
        }
        if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(self.refuse("is no URL"));
        }
        Ok(url.into())
    }

    /// The lexical forms of XML Schema.
    pub(super) fn boolean(self) -> Result<bool, Refusal> {
        match self.one()? {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(self.refuse("is 0 or 1")),
        }
    }

    pub(super) fn number<N: std::str::FromStr>(self) -> Result<N, Refusal> {
        self.one()?
            .parse()
            .map_err(|_| self.refuse("is a number that fits"))
    }

    /// XEP-0060 §12.23 `integer-or-max`: `None` is `max`.
    pub(super) fn number_or_max<N: std::str::FromStr>(self) -> Result<Option<N>, Refusal> {
        match self.one()? {
            "max" => Ok(None),
            _ => self.number().map(Some),
        }
    }

    /// A list of texts; empty ones say nothing.
    pub(super) fn list(self, len_max: usize, bytes_max: usize) -> Result<Box<[Box<str>]>, Refusal> {
        let values = self.field.values.iter().filter(|value| !value.is_empty());
        let mut seen = HashSet::new();
        let list: Box<[Box<str>]> = values
            .filter(|&value| seen.insert(value))
            .cloned()
            .collect();
        if list.len() > len_max {
            return Err(self.refuse("has too many values"));
        }
        if list.iter().any(|value| value.len() > bytes_max) {
            return Err(self.refuse("is too long"));
        }
        Ok(list)
    }

    /// A list of addresses.
    pub(super) fn jids(self, len_max: usize) -> Result<Box<[Jid]>, Refusal> {
        /// Three parts of 1,023 bytes and what joins them.
        const JID_BYTES_MAX: usize = 3_071;
        let list = self.list(len_max, JID_BYTES_MAX)?;
        list.iter()
            .map(|jid| Jid::parse(jid).map_err(|_| self.refuse("is a list of addresses")))
            .collect()
    }

    /// A language tag (RFC 5646) by its form, or none.
    pub(super) fn language(self) -> Result<Box<str>, Refusal> {
        /// RFC 5646 §4.4.1.
        const TAG_BYTES_MAX: usize = 35;
        let tag = self.one()?;
        let is_subtag = |part: &str| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        if tag.is_empty() || (tag.len() <= TAG_BYTES_MAX && tag.split('-').all(is_subtag)) {
            return Ok(tag.into());
        }
        Err(self.refuse("is a language tag"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(values: &[&str]) -> Field {
        Field {
            var: "pubsub#x".into(),
            values: values.iter().map(|&value| value.into()).collect(),
        }
    }

    fn read<T>(values: &[&str], read: impl Fn(Value<'_>) -> Result<T, Refusal>) -> Option<T> {
        let field = field(values);
        read(Value { field: &field }).ok()
    }

    #[test]
    fn xep0004_s3_3_values_are_read_by_the_type_of_their_field() {
        assert_eq!(read(&["true"], |value| value.boolean()), Some(true));
        assert_eq!(read(&[], |value| value.boolean()), None);
        assert_eq!(read(&["1", "0"], |value| value.boolean()), None);
        assert_eq!(
            read(&["a", "b"], |value| value.text()).as_deref(),
            Some("a\nb")
        );
        assert_eq!(
            read(&["max"], |value| value.number_or_max::<u32>()),
            Some(None)
        );
        assert_eq!(read(&["-1"], |value| value.number_or_max::<u32>()), None);
        assert_eq!(
            read(&["de-CH"], |value| value.language()).as_deref(),
            Some("de-CH")
        );
        assert_eq!(read(&["de_CH"], |value| value.language()), None);
        assert_eq!(read(&["https://a b"], |value| value.url()), None);
    }

    #[test]
    fn lists_are_bounded_and_name_each_value_once() {
        let list = |values: &[&str]| read(values, |value| value.list(2, 3));
        assert_eq!(list(&["a", "", "a", "b"]).unwrap().len(), 2);
        assert_eq!(list(&["a", "b", "c"]), None);
        assert_eq!(list(&["long"]), None);
        let jids = |values: &[&str]| read(values, |value| value.jids(2));
        assert_eq!(jids(&["a@x/r"]).unwrap().len(), 1);
        assert_eq!(jids(&["@"]), None);
    }
}
