//! The text of a configuration file, and its values with their places, so that every complaint can point.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place};
use super::form::{self, Form, Lift};

/// One file's text and name.
pub(super) struct Source<'t> {
    /// As the user named it; complaints begin with it.
    pub(super) file: &'t str,
    pub(super) text: &'t str,
}

/// One `key = value` of the file, with what the key expects.
pub(super) struct Field<'t> {
    source: &'t Source<'t>,
    /// `[xmpp] listen`, or `domain` at the top.
    title: String,
    form: Form,
    value: &'t Spanned<DeValue<'t>>,
}

/// An entry of a table: where the key stands, its text, its value.
pub(super) type Entry<'t> = (Range<usize>, &'t str, &'t Spanned<DeValue<'t>>);

/// The entries of a table in the order of the file, so that the first fault of the file is the one reported.
pub(super) fn entries<'t>(table: &'t DeTable<'t>) -> Vec<Entry<'t>> {
    let mut entries: Vec<Entry<'t>> = table
        .iter()
        .map(|(key, value)| (key.span(), &**key.get_ref(), value))
        .collect();
    entries.sort_by_key(|(span, ..)| span.start);
    entries
}

impl<'t> Source<'t> {
    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'t>>, ConfigError> {
        DeTable::parse(self.text).map_err(|error| {
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            self.fault(error.span(), format!("this is not TOML: {message}"), None)
        })
    }

    pub(super) fn fault(
        &self,
        span: Option<Range<usize>>,
        what: String,
        advice: Option<String>,
    ) -> ConfigError {
        let place = span.map(|span| self.place(span));
        ConfigError::wrong(Some(self.file.to_owned()), place, what, advice)
    }

    pub(super) fn unknown_key(
        &self,
        span: Range<usize>,
        key: &str,
        section: &str,
        known: &[&'static str],
    ) -> ConfigError {
        let scope = match section {
            "" => "at the top of the file".to_owned(),
            section => format!("in {section}"),
        };
        let advice = match nearest(key, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        self.fault(
            Some(span),
            format!("unknown key `{key}` {scope}"),
            Some(advice),
        )
    }

    /// Line and column of a range of bytes; only its first line is marked.
    fn place(&self, span: Range<usize>) -> Place {
        let start = self
            .text
            .floor_char_boundary(span.start.min(self.text.len()));
        let end = self
            .text
            .floor_char_boundary(span.end.min(self.text.len()))
            .max(start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[line_start..]
            .split('\n')
            .next()
            .unwrap_or_default();
        let text = line.trim_end_matches('\r');
        let marked = self.text[start..end]
            .split(['\n', '\r'])
            .next()
            .unwrap_or_default();
        Place {
            line: self.text[..start].matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            width: marked.chars().count().max(1),
            text: text.to_owned(),
        }
    }
}

impl<'t> Field<'t> {
    pub(super) fn new(
        source: &'t Source<'t>,
        section: &str,
        key: &str,
        form: Form,
        value: &'t Spanned<DeValue<'t>>,
    ) -> Self {
        let title = match section {
            "" => format!("`{key}`"),
            section => format!("{section} `{key}`"),
        };
        Self {
            source,
            title,
            form,
            value,
        }
    }

    /// A complaint about this value that says what was found and what would be right.
    pub(super) fn wrong(&self, found: &str) -> ConfigError {
        self.wrong_at(self.value, found)
    }

    /// A complaint with its own advice.
    pub(super) fn refuse(&self, what: &str, advice: &str) -> ConfigError {
        self.source.fault(
            Some(self.value.span()),
            format!("{}: {what}", self.title),
            Some(advice.to_owned()),
        )
    }

    fn wrong_at(&self, value: &Spanned<DeValue<'_>>, found: &str) -> ConfigError {
        self.source.fault(
            Some(value.span()),
            format!("{}: {found}", self.title),
            Some(format!("expected {}", self.form)),
        )
    }

    fn wrong_type(&self, value: &Spanned<DeValue<'_>>) -> ConfigError {
        self.wrong_at(value, &format!("this is {}", type_name(value.get_ref())))
    }

    pub(super) fn text(&self) -> Result<String, ConfigError> {
        let text = self
            .value
            .get_ref()
            .as_str()
            .ok_or_else(|| self.wrong_type(self.value))?;
        if text.is_empty() {
            return Err(self.wrong("this is empty"));
        }
        Ok(text.to_owned())
    }

    pub(super) fn path(&self) -> Result<PathBuf, ConfigError> {
        let text = self.text()?;
        if text.contains('\0') {
            return Err(self.wrong("a path holds no NUL"));
        }
        Ok(PathBuf::from(text))
    }

    pub(super) fn switch(&self) -> Result<bool, ConfigError> {
        self.value
            .get_ref()
            .as_bool()
            .ok_or_else(|| self.wrong_type(self.value))
    }

    /// The position of the word among the choices of the form.
    pub(super) fn choice(&self) -> Result<&'static str, ConfigError> {
        let text = self
            .value
            .get_ref()
            .as_str()
            .ok_or_else(|| self.wrong_type(self.value))?;
        let Form::Choice(words) = self.form else {
            return Err(self.wrong("this is not a choice"));
        };
        words
            .iter()
            .find(|word| **word == text)
            .copied()
            .ok_or_else(|| self.wrong(&format!("there is no \"{}\"", text.escape_debug())))
    }

    pub(super) fn addresses(&self) -> Result<Vec<SocketAddr>, ConfigError> {
        self.list()?
            .into_iter()
            .map(|(item, text)| {
                form::parse_address(text).ok_or_else(|| {
                    self.wrong_at(
                        item,
                        &format!(
                            "\"{}\" is not an IP address with a port",
                            text.escape_debug()
                        ),
                    )
                })
            })
            .collect()
    }

    /// Each text of a list of texts, with a field of its own for pointing at.
    pub(super) fn texts(&self) -> Result<Vec<(Self, &'t str)>, ConfigError> {
        let each = |(value, text)| {
            let field = Self {
                source: self.source,
                title: self.title.clone(),
                form: self.form,
                value,
            };
            (field, text)
        };
        Ok(self.list()?.into_iter().map(each).collect())
    }

    pub(super) fn uris(&self) -> Result<Vec<String>, ConfigError> {
        self.list()?
            .into_iter()
            .map(|(item, text)| {
                if form::is_uri(text) {
                    Ok(text.to_owned())
                } else {
                    let found = format!("\"{}\" is not a URI", text.escape_debug());
                    Err(self.wrong_at(item, &found))
                }
            })
            .collect()
    }

    /// Each text of a list of texts, with its value for pointing at.
    fn list(&self) -> Result<Vec<(&'t Spanned<DeValue<'t>>, &'t str)>, ConfigError> {
        let items = self
            .value
            .get_ref()
            .as_array()
            .ok_or_else(|| self.wrong_type(self.value))?;
        items
            .iter()
            .map(|item| match item.get_ref().as_str() {
                Some(text) => Ok((item, text)),
                None => Err(self.wrong_type(item)),
            })
            .collect()
    }

    /// The words of a list, each of which must be one of the choices `words`.
    pub(super) fn words(
        &self,
        words: &'static [&'static str],
    ) -> Result<Vec<&'static str>, ConfigError> {
        self.list()?
            .into_iter()
            .map(|(item, text)| {
                words
                    .iter()
                    .find(|word| **word == text)
                    .copied()
                    .ok_or_else(|| {
                        let advice = match nearest(text, words) {
                            Some(near) => format!("did you mean \"{near}\"?"),
                            None => format!("known here: {}", words.join(", ")),
                        };
                        self.source.fault(
                            Some(item.span()),
                            format!("{}: there is no \"{}\"", self.title, text.escape_debug()),
                            Some(advice),
                        )
                    })
            })
            .collect()
    }

    /// A number within the range of a [`Form::Count`] or [`Form::Bytes`]; `None` when 0 lifts the bound.
    pub(super) fn number(&self) -> Result<Option<u64>, ConfigError> {
        let (min, max, lift, as_text) = match self.form {
            Form::Count { min, max, lift, .. } => (min, max, lift, false),
            Form::Bytes { min, max, lift } => (min, max, lift, true),
            _ => return Err(self.wrong("this is not a number")),
        };
        let number = match self.value.get_ref() {
            DeValue::Integer(integer) => {
                i128::from_str_radix(&integer.as_str().replace('_', ""), integer.radix())
                    .unwrap_or(i128::MAX)
            }
            DeValue::String(text) if as_text => {
                form::parse_bytes(text).map(i128::from).ok_or_else(|| {
                    self.wrong(&format!(
                        "\"{}\" is not a number of bytes",
                        text.escape_debug()
                    ))
                })?
            }
            _ => return Err(self.wrong_type(self.value)),
        };
        match u64::try_from(number) {
            Ok(0) if lift == Lift::ByZero => Ok(None),
            Ok(0) if min > 0 => Err(self.wrong("0 would lift this bound, and it must stand")),
            Ok(number) if (min..=max).contains(&number) => Ok(Some(number)),
            Ok(number) if number < min => Err(self.wrong(&format!("{number} is too small"))),
            _ if number < 0 => Err(self.wrong(&format!("{number} is too small"))),
            _ => Err(self.wrong("this is too large")),
        }
    }

    /// A number whose bound stands always.
    pub(super) fn bound(&self) -> Result<u64, ConfigError> {
        self.number()?
            .ok_or_else(|| self.wrong("0 would lift this bound, and it must stand"))
    }

    pub(super) fn span(&self) -> Result<Duration, ConfigError> {
        let Form::Span { min, max } = self.form else {
            return Err(self.wrong("this is not a length of time"));
        };
        let text = self
            .value
            .get_ref()
            .as_str()
            .ok_or_else(|| self.wrong_type(self.value))?;
        let span = form::parse_span(text).ok_or_else(|| {
            self.wrong(&format!(
                "\"{}\" is not a length of time",
                text.escape_debug()
            ))
        })?;
        if span < min {
            return Err(self.wrong("this is too short"));
        }
        if span > max {
            return Err(self.wrong("this is too long"));
        }
        Ok(span)
    }
}

pub(super) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// The known word that `word` most likely means: the fewest edits, and no more than a third of its length (one for
/// short words), so that an unrelated word gets no suggestion.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|candidate| (edits(&word, candidate), *candidate))
        .filter(|(edits, candidate)| *edits <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour (optimal string alignment).
/// Only the start of a word is compared: no key is longer, and the cost stays small whatever the file holds.
fn edits(a: &str, b: &str) -> usize {
    const COMPARED_CHARS_MAX: usize = 64;
    let a: Vec<char> = a.chars().take(COMPARED_CHARS_MAX).collect();
    let b: Vec<char> = b.chars().take(COMPARED_CHARS_MAX).collect();
    let mut two_back = vec![0; b.len() + 1];
    let mut one_back: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = one_back[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(one_back[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(two_back[j - 2] + 1);
            }
        }
        two_back = std::mem::replace(&mut one_back, row);
    }
    one_back[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_one_slip_away() {
        let known = ["listen", "listen_tls", "require_tls"];
        assert_eq!(nearest("lisetn", &known), Some("listen"));
        assert_eq!(nearest("listen-tls", &known), Some("listen_tls"));
        assert_eq!(nearest("require_ssl", &known), Some("require_tls"));
        assert_eq!(nearest("Listen", &known), Some("listen"));
        assert_eq!(nearest("certificate", &known), None);
        assert_eq!(nearest("", &known), None);
    }

    #[test]
    fn places_count_characters_and_lines_from_one() {
        let text = "# é\r\nä = 1\n\tb = 2";
        let source = Source { file: "f", text };
        let place = source.place(6..8);
        assert_eq!(
            (place.line, place.column, place.text.as_str()),
            (2, 1, "ä = 1")
        );
        let at_b = text.find('b').expect("there is a b");
        let place = source.place(at_b..at_b + 1);
        assert_eq!((place.line, place.column, place.width), (3, 2, 1));
        let past_the_end = source.place(1_000..2_000);
        assert_eq!((past_the_end.line, past_the_end.width), (3, 1));
    }
}
