//! What commands print: tables for people, JSON for programs. A reader that goes away (`| head`) is no fault.

use std::io::{self, Write};

use serde::Serialize;

/// Prints a line; a closed pipe ends the output, nothing else.
pub(super) fn line(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", printable(text, |c| matches!(c, '\n' | '\t')));
}

/// Prints a value as JSON.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) {
    let mut out = io::stdout().lock();
    if serde_json::to_writer_pretty(&mut out, value).is_ok() {
        let _ = writeln!(out);
    }
}

/// A list that is printed as it comes: rows under one heading, or one JSON array.
pub(super) struct List {
    json: bool,
    begun: bool,
}

impl List {
    pub(super) const fn begin(json: bool) -> Self {
        Self { json, begun: false }
    }

    /// More values of the array; false if nobody reads them.
    pub(super) fn values<T: Serialize>(&mut self, values: &[T]) -> bool {
        let mut out = io::stdout().lock();
        values.iter().all(|value| {
            let between = if self.begun { ",\n  " } else { "[\n  " };
            self.begun = true;
            let text = serde_json::to_string(value).unwrap_or_default();
            write!(out, "{between}{text}").is_ok()
        })
    }

    /// More rows, in columns as wide as these rows need; false if nobody reads them.
    pub(super) fn rows<const N: usize>(
        &mut self,
        headings: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> bool {
        let headed = std::mem::replace(&mut self.begun, true);
        columns(headings, !headed, rows)
    }

    pub(super) fn end(self) {
        let mut out = io::stdout().lock();
        let _ = match (self.json, self.begun) {
            (true, true) => writeln!(out, "\n]"),
            (true, false) => writeln!(out, "[]"),
            (false, _) => Ok(()),
        };
    }
}

/// Prints rows under headings, in columns.
pub(super) fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) {
    // Pairs of a name and a value need no heading.
    let headed = headings.iter().any(|heading| !heading.is_empty());
    columns(headings, headed, rows);
}

fn columns<const N: usize>(
    headings: [&str; N],
    headed: bool,
    rows: impl IntoIterator<Item = [String; N]>,
) -> bool {
    let rows: Vec<[String; N]> = rows
        .into_iter()
        .map(|row| row.map(|cell| printable(&cell, |_| false)))
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut out = io::stdout().lock();
    let mut print = |cells: [&str; N]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        writeln!(out, "{}", text.trim_end()).is_ok()
    };
    (!headed || print(headings))
        && rows
            .iter()
            .all(|row| print(std::array::from_fn(|at| row[at].as_str())))
}

/// What devices name themselves must not move the cursor of the operator's terminal, nor, in a table, make a row that is
/// not one, nor turn the direction of what is read (U+202A to U+202E, U+2066 to U+2069).
fn printable(text: &str, is_layout: impl Fn(char) -> bool) -> String {
    text.chars()
        .flat_map(|c| {
            let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            let plain = is_layout(c) || !(c.is_control() || turns);
            let escaped = if plain {
                None
            } else {
                Some(c.escape_default())
            };
            plain
                .then_some(c)
                .into_iter()
                .chain(escaped.into_iter().flatten())
        })
        .collect()
}

/// `1536` as `1.5 KiB`.
pub(super) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" {
                format!("{count} B")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// `90061` as `1d 1h 1m 1s`.
pub(super) fn duration(seconds: u64) -> String {
    let parts = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut rest = seconds;
    let mut text = Vec::new();
    for (unit, name) in parts {
        if rest >= unit || (unit == 1 && text.is_empty()) {
            text.push(format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    text.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(17), "17 B");
        assert_eq!(duration(90_061), "1d 1h 1m 1s");
        assert_eq!(duration(0), "0s");
    }

    #[test]
    fn a_name_with_an_escape_sequence_is_shown_and_not_obeyed() {
        let cell = |text| printable(text, |_| false);
        assert_eq!(cell("\u{1b}[2Jx"), "\\u{1b}[2Jx");
        assert_eq!(cell("x\nadmin@localhost"), "x\\nadmin@localhost");
        assert_eq!(cell("\u{202e}x\u{9b}"), "\\u{202e}x\\u{9b}");
    }
}
