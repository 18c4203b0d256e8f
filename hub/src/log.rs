//! The log: lines that a person can read, or JSON for a machine; to standard error, so that output stays clean.

use std::fmt;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock::Clock;

/// What a log line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Time, level, message, fields; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one.
    #[error(
        "\"{filter}\" is not a log level; expected error, warn, info, debug or trace, or a filter such as info,leveret_hub=debug"
    )]
    Filter {
        /// As it was given.
        filter: String,
    },
    /// A log is set up already.
    #[error("the log is set up already")]
    Twice,
}

/// Begins to log, for the whole process. `level` (of the command line) stands before `RUST_LOG`, and that before `info`.
pub fn start(format: LogFormat, level: Option<&str>) -> Result<(), LogError> {
    let from_environment = std::env::var("RUST_LOG").ok();
    let filter = filter(level.or(from_environment.as_deref()))?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    subscriber(format, filter, colour, std::io::stderr)
        .try_init()
        .map_err(|_| LogError::Twice)
}

/// A level alone, or the filter syntax of `RUST_LOG`. A misspelt level is refused: read as the name of a module, it would silence all.
fn filter(text: Option<&str>) -> Result<EnvFilter, LogError> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = text
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .unwrap_or("info");
    let wrong = || LogError::Filter {
        filter: text.to_owned(),
    };
    let bare_word = text.chars().all(|c| c.is_ascii_alphanumeric());
    if bare_word && !LEVELS.iter().any(|level| text.eq_ignore_ascii_case(level)) {
        return Err(wrong());
    }
    EnvFilter::try_new(text).map_err(|_| wrong())
}

fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    colour: bool,
    writer: W,
) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colour)
        .with_timer(UtcSeconds)
        .with_target(false);
    match format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(
            builder
                .json()
                .flatten_event(true)
                .with_target(true)
                .finish(),
        ),
    }
}

/// The time as `2026-11-22T21:40:36Z`: short, sortable, and the same wherever hub and reader are.
struct UtcSeconds;

impl FormatTime for UtcSeconds {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        let now = Clock::start().now().wall.to_string();
        // Whole seconds: what comes after is noise to a reader.
        write!(w, "{}Z", now.split('.').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .expect("no test panics here")
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str, log: impl FnOnce()) -> String {
        let paper = Paper::default();
        let writer = paper.clone();
        let filter = filter(Some(level)).expect("a level");
        let subscriber = subscriber(format, filter, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = paper.0.lock().expect("no test panics here").clone();
        String::from_utf8(bytes).expect("the log is text")
    }

    #[test]
    fn a_line_is_time_level_message_and_fields() {
        let line = logged(LogFormat::Text, "info", || {
            tracing::info!(port = 5222, "listening")
        });
        let (time, rest) = line.split_once(' ').expect("a time comes first");
        assert_eq!(time.len(), "2026-11-22T21:40:36Z".len(), "{line}");
        assert_eq!(rest, " INFO listening port=5222\n");
    }

    #[test]
    fn without_a_terminal_there_is_no_escape_code() {
        let line = logged(LogFormat::Text, "info", || tracing::warn!(name = "x", "y"));
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = logged(LogFormat::Json, "debug", || {
            tracing::info!(port = 5222, "listening");
            tracing::debug!("more\nlines");
        });
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines[0]["message"], "listening");
        assert_eq!(lines[0]["port"], 5222);
    }

    #[test]
    fn what_is_below_the_level_is_not_written() {
        assert_eq!(
            logged(LogFormat::Text, "warn", || tracing::info!("quiet")),
            ""
        );
    }

    #[test]
    fn a_misspelt_level_is_refused() {
        for wrong in ["inof", "verbose", "leveret_hub=loud", "a=b=c"] {
            assert!(filter(Some(wrong)).is_err(), "{wrong}");
        }
        for right in [
            "INFO",
            "off",
            "info,leveret_hub=debug",
            "leveret_engine::router=trace",
            "",
        ] {
            assert!(filter(Some(right)).is_ok(), "{right}");
        }
    }
}
