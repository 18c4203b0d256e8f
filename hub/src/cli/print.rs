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

/// Prints rows under headings, in columns.
pub(super) fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) {
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
    // Pairs of a name and a value need no heading.
    let headed = headings.iter().all(|heading| heading.is_empty()) || print(headings);
    let _ = headed
        && rows
            .iter()
            .all(|row| print(std::array::from_fn(|at| row[at].as_str())));
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
