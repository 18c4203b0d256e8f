//! What is wrong with a configuration file, told so that its reader can mend it at once.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a configuration was refused. Displays as one to four lines: what and where, the line itself with a mark
/// under the fault, and what would be right.
#[derive(Debug)]
pub struct ConfigError {
    fault: Box<Fault>,
}

#[derive(Debug)]
enum Fault {
    Unreadable {
        path: PathBuf,
        cause: io::Error,
    },
    Wrong {
        file: Option<String>,
        place: Option<Place>,
        what: String,
        advice: Option<String>,
    },
}

/// Where in a file a fault is; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line of the fault.
    pub line: usize,
    /// Its first column.
    pub column: usize,
    /// How many characters of that line are at fault, at least 1.
    pub width: usize,
    /// The line as it stands in the file, without its end.
    pub text: String,
}

impl ConfigError {
    pub(super) fn unreadable(path: &Path, cause: io::Error) -> Self {
        Self {
            fault: Box::new(Fault::Unreadable {
                path: path.to_owned(),
                cause,
            }),
        }
    }

    pub(super) fn wrong(
        file: Option<String>,
        place: Option<Place>,
        what: String,
        advice: Option<String>,
    ) -> Self {
        Self {
            fault: Box::new(Fault::Wrong {
                file,
                place,
                what,
                advice,
            }),
        }
    }

    /// Where the fault is, if it is a fault of one place in a file.
    pub fn place(&self) -> Option<&Place> {
        match &*self.fault {
            Fault::Unreadable { .. } => None,
            Fault::Wrong { place, .. } => place.as_ref(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.fault {
            Fault::Unreadable { path, cause } => {
                write!(
                    f,
                    "cannot read the configuration file {}: {}",
                    path.display(),
                    plain(cause)
                )
            }
            Fault::Wrong {
                file,
                place,
                what,
                advice,
            } => {
                if let Some(file) = file {
                    write!(f, "{file}")?;
                    if let Some(place) = place {
                        write!(f, ", line {}, column {}", place.line, place.column)?;
                    }
                    write!(f, ": ")?;
                }
                write!(f, "{what}")?;
                if let Some(place) = place {
                    let gutter = place.line.to_string();
                    let lead: String = place
                        .text
                        .chars()
                        .take(place.column - 1)
                        .map(|c| if c == '\t' { '\t' } else { ' ' })
                        .collect();
                    write!(f, "\n  {gutter} | {}", place.text)?;
                    write!(
                        f,
                        "\n  {:blank$} | {lead}{}",
                        "",
                        "^".repeat(place.width),
                        blank = gutter.len()
                    )?;
                }
                match advice {
                    Some(advice) => write!(f, "\n  {advice}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.fault {
            Fault::Unreadable { cause, .. } => Some(cause),
            Fault::Wrong { .. } => None,
        }
    }
}

/// The system's error in plain words where it is one of the usual ones.
fn plain(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => cause.to_string(),
    }
}
