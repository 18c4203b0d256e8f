//! The tracked files of the repository, as the tests of the house rules read them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// One tracked text file.
#[derive(Debug)]
pub struct Source {
    /// Its path from the root, with `/`.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Every text file that git tracks or would track, in order of path.
pub fn tracked() -> Vec<Source> {
    let listed = Command::new("git")
        .current_dir(root())
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .output()
        .expect("git lists the files of the repository");
    assert!(
        listed.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let mut paths: Vec<_> = String::from_utf8_lossy(&listed.stdout)
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect();
    paths.sort();
    paths.dedup();
    paths
        .into_iter()
        .filter_map(|path| {
            // Deleted and not committed yet, or not text: none of our business.
            let text = fs::read_to_string(root().join(&path)).ok()?;
            Some(Source { path, text })
        })
        .collect()
}

/// The tracked Rust files.
pub fn rust() -> Vec<Source> {
    tracked()
        .into_iter()
        .filter(|source| source.path.ends_with(".rs"))
        .collect()
}

impl Source {
    /// The doc comment that a Rust file opens with, without its `//!`.
    pub fn header(&self) -> Vec<&str> {
        self.text
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect()
    }

    /// The paragraph of the header that begins with `Implements:`, as one line and without that word.
    pub fn implements(&self) -> Option<String> {
        let header = self.header();
        let start = header
            .iter()
            .position(|line| line.starts_with("Implements:"))?;
        let paragraph: Vec<_> = header[start..]
            .iter()
            .take_while(|line| !line.trim().is_empty())
            .map(|line| line.trim())
            .collect();
        let text = paragraph.join(" ");
        Some(text.trim_start_matches("Implements:").trim().to_owned())
    }

    /// Whether the file holds nothing but tests.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The code without its comments; strings stay.
    pub fn code(&self) -> String {
        let mut code = String::with_capacity(self.text.len());
        for line in self.text.lines() {
            let trimmed = line.trim_start();
            if !trimmed.starts_with("//") {
                // A `//` within a string (an address) cuts the line too short, which here never matters.
                code.push_str(line.split(" //").next().unwrap_or(line));
            }
            code.push('\n');
        }
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source {
            path: "a.rs".into(),
            text: text.into(),
        }
    }

    #[test]
    fn the_implements_paragraph_ends_with_the_paragraph() {
        let file =
            source("//! Title.\n//!\n//! Implements: RFC 1 §2,\n//! §3.\n//!\n//! More.\nuse x;\n");
        assert_eq!(file.implements().as_deref(), Some("RFC 1 §2, §3."));
        assert_eq!(
            source("//! Title.\n\n//! Implements: X.\n").implements(),
            None
        );
    }

    #[test]
    fn comments_are_not_code() {
        let file = source("// crate::a\nlet b = crate::b; // crate::c\n/// [`crate::d`]\n");
        assert!(file.code().contains("crate::b"));
        for comment in ["a", "c", "d"] {
            assert!(!file.code().contains(&format!("crate::{comment}")));
        }
    }
}
