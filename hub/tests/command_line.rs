//! DESIGN §4: the command line as people and scripts meet it, with its exit status and its words.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A folder with a configuration, and the program run in it.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("leveret.toml"), config).unwrap();
        Self { dir }
    }

    /// A hub on a free port of this machine.
    fn local() -> Self {
        Self::new("[xmpp]\nlisten = [\"127.0.0.1:0\"]\nlisten_tls = []\n")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leveret"));
        command
            .args(words)
            .current_dir(self.dir.path())
            .env_remove("RUST_LOG")
            .env("LEVERET_CONFIG", self.path("leveret.toml"));
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        Ran::of(self.command(words).stdin(Stdio::null()).output().unwrap())
    }

    fn run_with_input(&self, words: &[&str], input: &str) -> Ran {
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

    fn serve(&self) -> Serving {
        Serving::start(self.command(&["serve"]))
    }

    fn database(&self) -> PathBuf {
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
struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.out
    }

    #[track_caller]
    fn fails(&self, status: i32, words: &[&str]) {
        assert_eq!(self.status, status, "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {:?}", self.err);
        }
    }

    /// "One clear sentence": whoever reads it is not shown our insides.
    #[track_caller]
    fn in_one_line(&self) {
        assert_eq!(self.err.trim_end().lines().count(), 1, "{}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }
}

/// A hub that runs.
struct Serving {
    child: Child,
    lines: mpsc::Receiver<String>,
    address: String,
}

impl Serving {
    fn start(mut command: Command) -> Self {
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

    fn wait_for(&self, word: &str) -> String {
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

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    fn terminate(mut self) -> i32 {
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

mod accounts {
    use super::*;

    #[test]
    fn are_added_listed_changed_and_removed_while_no_hub_runs() {
        let place = Place::local();
        let out = place.run(&["account", "add", "dev7", "--generate"]).ok();
        assert!(
            out.contains("dev7@localhost: added") && out.contains("password: "),
            "{out}"
        );
        place
            .run_with_input(
                &[
                    "account",
                    "add",
                    "panel",
                    "--password-stdin",
                    "--role",
                    "operator",
                ],
                "secret\n",
            )
            .ok();
        place.run(&["account", "disable", "dev7"]).ok();
        let list = place.run(&["--json", "account", "list"]).ok();
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let of = |at: usize, key: &str| list[at][key].clone();
        assert_eq!(
            (of(0, "jid"), of(0, "role"), of(0, "enabled")),
            ("dev7@localhost".into(), "device".into(), false.into())
        );
        assert_eq!(
            (of(1, "jid"), of(1, "role"), of(1, "enabled")),
            ("panel@localhost".into(), "operator".into(), true.into())
        );
        place.run(&["account", "remove", "dev7"]).ok();
        assert!(!place.run(&["account", "list"]).ok().contains("dev7"));
    }

    #[test]
    fn that_exist_already_or_do_not_are_told_apart() {
        let place = Place::local();
        place.run(&["account", "add", "dev7", "--generate"]).ok();
        let again = place.run(&["account", "add", "dev7", "--generate"]);
        again.fails(1, &["dev7@localhost", "exists"]);
        again.in_one_line();
        for words in [
            ["account", "remove", "nobody"],
            ["account", "disable", "nobody"],
        ] {
            let refused = place.run(&words);
            refused.fails(1, &[]);
            refused.in_one_line();
        }
    }

    #[test]
    fn s14_cannot_have_names_that_read_as_filters() {
        let place = Place::local();
        for name in ["+", "dev#7", "a+b", "$SYS", "a/b", "", "x@elsewhere"] {
            let refused = place.run(&["account", "add", name, "--generate"]);
            assert!(matches!(refused.status, 1 | 2), "{name}: {refused:?}");
        }
        assert_eq!(place.run(&["--json", "account", "list"]).ok().trim(), "[]");
    }

    #[test]
    fn are_imported_from_csv_all_lines_or_none_that_cannot_be_read() {
        let place = Place::local();
        fs::write(place.path("bad.csv"), "dev1,pw\ndev2\n").unwrap();
        place
            .run(&["account", "import", "bad.csv"])
            .fails(2, &["line 2", "nothing was added"]);
        let lines: String = (0..300).map(|n| format!("dev{n},pw{n},device\n")).collect();
        fs::write(
            place.path("good.csv"),
            format!("name,password,role\n{lines}"),
        )
        .unwrap();
        assert!(
            place
                .run(&["account", "import", "good.csv"])
                .ok()
                .contains("300 accounts added")
        );
        place
            .run(&["account", "import", "good.csv"])
            .fails(1, &["300 of 300", "exists"]);
    }

    #[test]
    fn are_added_while_the_hub_runs() {
        let place = Place::local();
        let hub = place.serve();
        place.run(&["account", "add", "dev7", "--generate"]).ok();
        assert!(
            place
                .run(&["account", "list"])
                .ok()
                .contains("dev7@localhost")
        );
        assert_eq!(hub.terminate(), 0);
        assert!(
            place
                .run(&["account", "list"])
                .ok()
                .contains("dev7@localhost")
        );
    }
}

#[path = "command_line/nodes.rs"]
mod nodes;

mod configuration {
    use super::*;

    #[test]
    fn that_is_wrong_names_line_key_and_nearest_key_and_exits_2() {
        let place = Place::new("domain = \"localhost\"\n[xmpp]\nlissen = []\n");
        let refused = place.run(&["config", "check"]);
        refused.fails(
            2,
            &["leveret.toml, line 3", "`lissen`", "did you mean `listen`?"],
        );
        place.run(&["serve"]).fails(2, &["lissen"]);
    }

    #[test]
    fn of_what_is_to_come_is_refused_and_not_ignored() {
        for later in [
            "[mqtt]\n",
            "[http]\n",
            "[[bridge]]\nname = \"x\"\n",
            "[[alarm]]\non = \"x\"\n",
        ] {
            Place::new(later)
                .run(&["config", "check"])
                .fails(2, &["unknown"]);
        }
    }

    #[test]
    fn that_is_shown_can_be_read_again() {
        let place = Place::local();
        let shown = place.run(&["config", "show"]).ok();
        let again = Place::new(&shown);
        assert_eq!(again.run(&["config", "show"]).ok(), shown);
        assert!(again.run(&["config", "check"]).ok().contains("ok"));
    }
}

mod serving {
    use super::*;

    fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            // The lock names who holds it, and that is now somebody else.
            .filter(|path| path.is_file() && !path.ends_with("lock"))
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn says_when_each_listener_is_ready_and_drains_on_sigterm() {
        let place = Place::local();
        let hub = place.serve();
        let status = place.run(&["--json", "status", "--deep"]).ok();
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        assert_eq!(status["running"], true);
        assert_eq!(status["storage"]["integrity"], "ok");
        assert_eq!(status["listeners"][0][1], hub.address.as_str());
        assert_eq!(hub.terminate(), 0);
        let status = place.run(&["--json", "status"]).ok();
        assert!(status.contains("\"running\": false"), "{status}");
    }

    #[test]
    fn reloads_on_sighup_and_keeps_what_it_has_if_the_file_is_wrong() {
        let place = Place::local();
        let hub = place.serve();
        hub.signal("HUP");
        hub.wait_for("reloaded");
        fs::write(place.path("leveret.toml"), "nonsense = 1\n").unwrap();
        hub.signal("HUP");
        assert!(hub.wait_for("refused").contains("nonsense"));
        assert_eq!(hub.terminate(), 0);
    }

    #[test]
    fn on_a_port_in_use_is_one_sentence_and_status_1() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        // What was taken with SO_REUSEADDR only: a listener that lives refuses all the same.
        let place = Place::new(&format!(
            "[xmpp]\nlisten = [\"{address}\"]\nlisten_tls = []\n"
        ));
        let refused = place.run(&["--log-level", "error", "serve"]);
        refused.fails(1, &[&address, "in use"]);
        refused.in_one_line();
    }

    #[test]
    fn on_data_that_another_hub_has_is_refused_and_harms_nobody() {
        let place = Place::local();
        let hub = place.serve();
        let refused = place.run(&["--log-level", "error", "serve"]);
        refused.fails(1, &["another"]);
        refused.in_one_line();
        place.run(&["status"]).ok();
        assert_eq!(hub.terminate(), 0);
    }

    #[test]
    fn in_a_folder_that_cannot_be_made_is_one_sentence() {
        let place = Place::new("data_dir = \"file/data\"\n[xmpp]\nlisten = []\nlisten_tls = []\n");
        fs::write(place.path("file"), b"in the way").unwrap();
        let refused = place.run(&["--log-level", "error", "serve"]);
        refused.fails(1, &["file/data"]);
        refused.in_one_line();
    }

    #[test]
    fn on_a_damaged_database_overwrites_nothing() {
        let place = Place::local();
        place.run(&["account", "add", "dev7", "--generate"]).ok();
        let database = place.database();
        let mut bytes = fs::read(&database).unwrap();
        bytes[..100].fill(0x5a);
        fs::write(&database, &bytes).unwrap();
        let before = files(&place.path("leveret-data"));
        let refused = place.run(&["--log-level", "error", "serve"]);
        refused.fails(1, &[]);
        refused.in_one_line();
        assert!(
            files(&place.path("leveret-data")) == before,
            "something was overwritten"
        );
    }

    #[test]
    fn on_a_newer_database_says_so_and_overwrites_nothing() {
        let place = Place::local();
        place.run(&["account", "add", "dev7", "--generate"]).ok();
        let database = place.database();
        let connection = rusqlite::Connection::open(&database).unwrap();
        connection
            .pragma_update(None, "user_version", 9_999)
            .unwrap();
        connection.close().unwrap();
        let before = fs::read(&database).unwrap();
        let refused = place.run(&["--log-level", "error", "serve"]);
        refused.fails(1, &["newer"]);
        refused.in_one_line();
        assert!(
            fs::read(&database).unwrap() == before,
            "something was overwritten"
        );
    }
}

#[test]
fn wrong_usage_is_status_2_and_help_is_0() {
    let place = Place::local();
    for words in [
        &["fly"][..],
        &[],
        &["account", "add", "dev7"],
        &["session", "kick"],
    ] {
        assert_eq!(place.run(words).status, 2, "{words:?}");
    }
    for words in [
        &["--help"][..],
        &["account", "import", "--help"],
        &["--version"],
    ] {
        place.run(words).ok();
    }
}
