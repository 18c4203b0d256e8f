//! A folder with a configuration, the program run in it, and what it said.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A folder with a configuration, and the program run in it.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("leveret.toml"), config).unwrap();
        Self { dir }
    }

    /// A hub on a free port of this machine.
    pub(crate) fn local() -> Self {
        Self::new("[xmpp]\nlisten = [\"127.0.0.1:0\"]\nlisten_tls = []\n")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leveret"));
        command
            .args(words)
            .current_dir(self.dir.path())
            .env_remove("RUST_LOG")
            .env("LEVERET_CONFIG", self.path("leveret.toml"));
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        Ran::of(self.command(words).stdin(Stdio::null()).output().unwrap())
    }

    pub(crate) fn run_with_input(&self, words: &[&str], input: &str) -> Ran {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        Ran::of(child.wait_with_output().unwrap())
    }

    pub(crate) fn serve(&self) -> Serving {
        Serving::start(self.command(&["serve"]))
    }

    pub(crate) fn database(&self) -> PathBuf {
        let data = self.path("leveret-data");
        let mut files = fs::read_dir(&data).unwrap().filter_map(|entry| {
            let path = entry.unwrap().path();
            let head = fs::read(&path).ok()?;
            head.starts_with(b"SQLite format 3").then_some(path)
        });
        files.next().expect("a database")
    }
}

#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    out: String,
    err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.out
    }

    #[track_caller]
    pub(crate) fn fails(&self, status: i32, words: &[&str]) {
        assert_eq!(self.status, status, "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {:?}", self.err);
        }
    }

    /// "One clear sentence": whoever reads it is not shown our insides.
    #[track_caller]
    pub(crate) fn in_one_line(&self) {
        assert_eq!(self.err.trim_end().lines().count(), 1, "{}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }
}

/// A hub that runs.
pub(crate) struct Serving {
    child: Child,
    lines: mpsc::Receiver<String>,
    pub(crate) address: String,
}

impl Serving {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        let mut serving = Self {
            child,
            lines,
            address: String::new(),
        };
        let line = serving.wait_for("listening");
        let at = line.find("127.0.0.1:").expect("the address");
        serving.address = line[at..]
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned();
        serving
    }

    pub(crate) fn wait_for(&self, word: &str) -> String {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("no line with {word:?}"));
            if line.contains(word) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    pub(crate) fn terminate(mut self) -> i32 {
        self.signal("TERM");
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < until, "does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
