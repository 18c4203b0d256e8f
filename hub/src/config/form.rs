//! The forms a value may take: what a key expects, how it is read from text, how it is written back.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// What a key expects. Its `Display` completes the sentence "expected …".
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// Any text; the word says what it names.
    Text(&'static str),
    /// The path of a file or folder.
    Path(&'static str),
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of addresses with ports; may be empty.
    Addresses,
    /// A list of URIs; may be empty.
    Uris,
    /// A whole number of some unit.
    Count {
        unit: &'static str,
        min: u64,
        max: u64,
        lift: Lift,
    },
    /// A number of bytes, as an integer or as text such as `"128M"`.
    Bytes { min: u64, max: u64, lift: Lift },
    /// A length of time as text, such as `"5s"`.
    Span { min: Duration, max: Duration },
}

/// Whether 0 lifts a bound or is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lift {
    /// The bound must stand: without it one peer could exhaust the hub.
    Never,
    /// 0 takes the bound away.
    ByZero,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Text(what) => write!(f, "{what}, in quotes"),
            Form::Path(what) => write!(f, "the path of {what}, in quotes"),
            Form::Switch => write!(f, "true or false"),
            Form::Choice(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                write!(f, "one of {}", quoted.join(", "))
            }
            Form::Addresses => write!(
                f,
                "a list of addresses with ports, such as [\"127.0.0.1:5222\", \"[::1]:5222\"]"
            ),
            Form::Uris => write!(
                f,
                "a list of URIs, such as [\"mailto:help@example.org\", \"xmpp:help@example.org\"]"
            ),
            Form::Count {
                unit,
                min,
                max,
                lift,
            } => {
                write!(f, "a whole number of {unit} from {min} to {max}")?;
                lift.fmt_or(f)
            }
            Form::Bytes { min, max, lift } => {
                write!(
                    f,
                    "a number of bytes from {min} to {}, such as {} or \"{}\"",
                    render_bytes_plain(*max),
                    min,
                    render_bytes_plain((*max).min(128 << 20))
                )?;
                lift.fmt_or(f)
            }
            Form::Span { min, max } => write!(
                f,
                "a length of time from \"{}\" to \"{}\": a number and one of ms, s, m, h, d, w",
                render_span(*min),
                render_span(*max)
            ),
        }
    }
}

impl Lift {
    fn fmt_or(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lift::Never => Ok(()),
            Lift::ByZero => write!(f, ", or 0 for no bound"),
        }
    }
}

/// Reads `"128M"`: digits, then nothing or one of K, M, G (powers of 1024). `None` when it is anything else or
/// does not fit.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    parse_digits(digits)?.checked_mul(factor)
}

/// Reads `"5s"`: digits and one of ms, s, m, h, d, w, without anything between or around them.
pub(super) fn parse_span(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let milliseconds_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    parse_digits(digits)?
        .checked_mul(milliseconds_per_unit)
        .map(Duration::from_millis)
}

/// Reads an address with a port. Names are refused: which address a name means is not for a listener to guess.
pub(super) fn parse_address(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}

/// Whether it is an absolute URI: a scheme (RFC 3986 §3.1), a colon, and what follows without spaces, controls and quotes.
pub(super) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let mut letters = scheme.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && !rest.is_empty()
        && !rest
            .contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"\\^`{|}".contains(c))
}

/// The shortest exact text for a number of bytes: `128M`, `1536K`, `10000`.
pub(super) fn render_bytes(bytes: u64) -> String {
    match render_bytes_plain(bytes) {
        plain if plain.ends_with(|c: char| c.is_ascii_digit()) => plain,
        with_unit => format!("\"{with_unit}\""),
    }
}

fn render_bytes_plain(bytes: u64) -> String {
    for (unit, factor) in [('G', 1_u64 << 30), ('M', 1 << 20)] {
        if bytes != 0 && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    bytes.to_string()
}

/// The shortest exact text for a length of time: `7d`, `90s`, `250ms`.
pub(super) fn render_span(span: Duration) -> String {
    let milliseconds = span.as_millis();
    for (unit, each) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ] {
        if milliseconds.is_multiple_of(each) && milliseconds != 0 {
            return format!("{}{unit}", milliseconds / each);
        }
    }
    format!("{milliseconds}ms")
}

fn parse_digits(digits: &str) -> Option<u64> {
    // `u64::from_str` would take a leading `+`.
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_a_number_and_a_unit_and_nothing_else() {
        assert_eq!(parse_span("5s"), Some(Duration::from_secs(5)));
        assert_eq!(parse_span("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_span("10m"), Some(Duration::from_secs(600)));
        assert_eq!(parse_span("2h"), Some(Duration::from_secs(7_200)));
        assert_eq!(parse_span("7d"), Some(Duration::from_secs(604_800)));
        assert_eq!(parse_span("1w"), Some(Duration::from_secs(604_800)));
        for wrong in [
            "",
            "5",
            "s",
            "5 s",
            " 5s",
            "5s ",
            "+5s",
            "-5s",
            "5.5s",
            "5S",
            "5sec",
            "1h30m",
            "٥s",
            "99999999999999999999s",
            "18446744073709551615w",
        ] {
            assert_eq!(parse_span(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn sizes_are_a_number_and_at_most_one_unit() {
        assert_eq!(parse_bytes("128M"), Some(128 << 20));
        assert_eq!(parse_bytes("64K"), Some(65_536));
        assert_eq!(parse_bytes("2G"), Some(2 << 30));
        assert_eq!(parse_bytes("10000"), Some(10_000));
        for wrong in [
            "",
            "M",
            "128 M",
            "128MB",
            "128m",
            "+1",
            "-1M",
            "1.5G",
            "0x10",
            "17179869184G",
            "µM",
        ] {
            assert_eq!(parse_bytes(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_is_rendered_reads_back_as_the_same() {
        for milliseconds in [1, 250, 1_000, 90_000, 3_600_000, 86_400_000, 604_800_000] {
            let span = Duration::from_millis(milliseconds);
            assert_eq!(parse_span(&render_span(span)), Some(span));
        }
        for bytes in [0, 1, 10_000, 65_536, 1 << 20, 128 << 20, 3 << 30] {
            assert_eq!(
                parse_bytes(render_bytes(bytes).trim_matches('"')),
                Some(bytes)
            );
        }
    }

    #[test]
    fn a_uri_has_a_scheme_and_no_spaces() {
        for right in [
            "mailto:abuse@example.org",
            "xmpp:admin@example.org?message",
            "https://example.org/help",
            "tel:+33-1",
        ] {
            assert!(is_uri(right), "{right}");
        }
        for wrong in [
            "abuse@example.org",
            "mailto:",
            ":x",
            "1a:x",
            "https://a b",
            "a b:c",
            "x:<y>",
        ] {
            assert!(!is_uri(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_address_has_an_ip_and_a_port() {
        for right in ["127.0.0.1:5222", "[::]:5222", "[::1]:0", "0.0.0.0:65535"] {
            assert!(parse_address(right).is_some(), "{right}");
        }
        for wrong in [
            "5222",
            ":5222",
            "localhost:5222",
            "::1:5222",
            "1.2.3.4",
            "1.2.3.4:65536",
            "*:1",
        ] {
            assert!(parse_address(wrong).is_none(), "{wrong}");
        }
    }
}
