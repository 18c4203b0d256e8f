//! A database that is not ours, damaged or cut short; a disk that is full.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
    process::Command,
};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::store::{Durability, OpenError};

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(dir: &Path) -> Result<Database, OpenError> {
    Database::open(dir, Durability::Off, "localhost")
}

/// What somebody who starts the hub reads.
fn refusal(dir: &Path) -> String {
    let message = open(dir).unwrap_err().to_string();
    message.replace(&dir.display().to_string(), "DIR")
}

/// A directory with a database that holds node `n` with one item.
fn filled() -> TempDir {
    let dir = dir();
    let mut store = open(dir.path()).unwrap();
    store.done([put_node("n"), put_item("n", &item("1"), 9)]);
    dir
}

fn damage(dir: &TempDir, offset: u64, bytes: &[u8]) {
    let file = dir.path().join("leveret.db");
    let mut file = OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let dir = filled();
    let store = open(dir.path()).unwrap();
    assert_eq!(store.ids("n"), ["1"]);
    assert_eq!(store.integrity_check().unwrap(), [""; 0]);
}

#[test]
fn two_do_not_run_on_one_directory() {
    let dir = dir();
    let first = open(dir.path()).unwrap();
    let pid = std::process::id();
    assert_eq!(
        refusal(dir.path()),
        format!("another leveret (pid {pid}) runs on the data in DIR")
    );
    drop(first);
    open(dir.path()).unwrap();
}

#[test]
fn another_domain_s_database_is_left_alone() {
    let dir = filled();
    let error = Database::open(dir.path(), Durability::Off, "example.org")
        .unwrap_err()
        .to_string();
    assert!(error.ends_with(
        "belongs to the domain 'localhost', and this hub is configured for 'example.org'"
    ));
    assert_eq!(open(dir.path()).unwrap().ids("n"), ["1"]);
}

/// Refused with these words, and not a byte of the file was changed.
fn assert_untouched(dir: &TempDir, words: &str) {
    let file = dir.path().join("leveret.db");
    let before = fs::read(&file).unwrap();
    assert_eq!(refusal(dir.path()), words);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_newer_database_is_left_alone() {
    let dir = filled();
    let conn = Connection::open(dir.path().join("leveret.db")).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    assert_untouched(
        &dir,
        "the database DIR/leveret.db was written by a newer leveret (schema 99; this one knows 2)",
    );
}

#[test]
fn a_newer_database_that_was_not_closed_is_left_alone_with_its_log() {
    let (running, dir) = (filled(), dir());
    let mut store = open(running.path()).unwrap();
    store
        .connection()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    store.done([put_item("n", &item("2"), 9)]);
    for name in ["leveret.db", "leveret.db-wal"] {
        fs::copy(running.path().join(name), dir.path().join(name)).unwrap();
    }
    let log = fs::read(dir.path().join("leveret.db-wal")).unwrap();
    assert!(!log.is_empty());
    assert_untouched(
        &dir,
        "the database DIR/leveret.db was written by a newer leveret (schema 99; this one knows 2)",
    );
    assert_eq!(fs::read(dir.path().join("leveret.db-wal")).unwrap(), log);
}

#[test]
fn the_log_does_not_grow_without_bound() {
    let dir = filled();
    let mut store = open(dir.path()).unwrap();
    let large = "x".repeat(64 << 10);
    for number in 0..400 {
        store.done([put_item("n", &item_of(&number.to_string(), &large, 1), 5)]);
    }
    let sizes = store.sizes();
    assert!(sizes.log < 10 << 20, "{sizes:?}"); // 25 MiB were written
    assert!(sizes.database < 2 << 20, "{sizes:?}");
}

#[test]
fn a_log_that_readers_kept_is_written_back_when_they_pause() {
    let dir = filled();
    let mut store = open(dir.path()).unwrap();
    let reader = Connection::open(dir.path().join("leveret.db")).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM node")
        .unwrap();
    store
        .connection()
        .busy_timeout(std::time::Duration::from_millis(1))
        .unwrap();
    let large = "x".repeat(256 << 10);
    let publish = |number: u32| [put_item("n", &item_of(&number.to_string(), &large, 1), 5)];
    for number in 0..150 {
        store.done(publish(number));
    }
    assert!(store.sizes().log > 32 << 20, "{:?}", store.sizes());
    reader.execute_batch("COMMIT").unwrap();
    store.done(publish(150));
    assert!(store.sizes().log < 1 << 20, "{:?}", store.sizes());
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    for application in [0, 0x0f05_5112] {
        let dir = dir();
        let conn = Connection::open(dir.path().join("leveret.db")).unwrap();
        conn.pragma_update(None, "application_id", application)
            .unwrap();
        conn.execute_batch("CREATE TABLE precious (x); INSERT INTO precious VALUES (1)")
            .unwrap();
        drop(conn);
        assert_untouched(&dir, "DIR/leveret.db is a database of another program");
    }
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let dir = dir();
    fs::write(dir.path().join("leveret.db"), "my notes").unwrap();
    let words = "the database DIR/leveret.db is damaged: it does not begin as a database does";
    assert_untouched(&dir, words);
}

#[test]
fn a_damaged_header_is_one_clear_sentence() {
    for (offset, bytes) in [(0, &b"XXXX"[..]), (16, &[0xff; 4]), (100, &[0xff; 200])] {
        let dir = filled();
        damage(&dir, offset, bytes);
        let before = fs::read(dir.path().join("leveret.db")).unwrap();
        let words = refusal(dir.path());
        assert!(
            words.starts_with("the database DIR/leveret.db is damaged: "),
            "{offset}: {words}"
        );
        assert_eq!(fs::read(dir.path().join("leveret.db")).unwrap(), before);
    }
}

#[test]
fn damage_further_in_is_found_by_the_check_and_fails_only_what_meets_it() {
    let dir = dir();
    let mut store = open(dir.path()).unwrap();
    store.done([
        put_node("n"),
        StoreOp::PutAccount(Box::new(account("a@localhost"))),
    ]);
    for number in 0..200 {
        store.done([put_item("n", &item(&number.to_string()), 1_000)]);
    }
    let statement = "SELECT rootpage FROM sqlite_schema WHERE name = 'item'";
    let page: u64 = store
        .connection()
        .query_row(statement, (), |row| row.get::<_, i64>(0))
        .unwrap() as u64;
    drop(store);
    damage(&dir, (page - 1) * 4_096, &[0xff; 64]);
    let mut store = open(dir.path()).unwrap();
    assert!(!store.integrity_check().unwrap().is_empty());
    assert!(store.items("n", PageRequest::default()).is_err());
    let fault = store
        .apply(&[commit(1, vec![put_item("n", &item("x"), 9)])])
        .unwrap_err();
    assert!(!fault.is_of_one_commit(), "{fault}");
    assert!(matches!(
        store.asked(StoreQuery::Account(bare("a@localhost"))),
        StoreAnswer::Account(Some(_), _)
    ));
}

#[test]
fn a_log_that_was_cut_short_loses_its_end_and_nothing_else() {
    let dir = dir();
    let store = &mut open(dir.path()).unwrap();
    store.done([put_node("n")]);
    let log = dir.path().join("leveret.db-wal");
    let mut ends = Vec::new();
    for number in 0..20 {
        store.done([put_item("n", &item(&number.to_string()), 100)]);
        ends.push(fs::metadata(&log).unwrap().len());
    }
    // As a power cut finds it: copies, while the hub runs.
    for cut in (ends[0] - 4_000..=ends[19]).step_by(997) {
        let copy = self::dir();
        for name in ["leveret.db", "leveret.db-wal"] {
            fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        let file = File::options()
            .write(true)
            .open(copy.path().join("leveret.db-wal"))
            .unwrap();
        file.set_len(cut).unwrap();
        let whole = ends.iter().filter(|&&end| end <= cut).count();
        let found = open(copy.path()).unwrap();
        assert_eq!(found.ids("n").len(), whole, "cut at {cut}");
        assert_eq!(found.integrity_check().unwrap(), [""; 0]);
    }
}

#[test]
fn a_full_disk_fails_the_group_whole_and_what_frees_space_works_again() {
    let dir = dir();
    let mut store = open(dir.path()).unwrap();
    store.done([put_node("n"), put_node("m")]);
    let pages: i64 = store
        .connection()
        .query_row("PRAGMA page_count", (), |row| row.get(0))
        .unwrap();
    store
        .connection()
        .query_row(
            &format!("PRAGMA max_page_count = {}", pages + 8),
            (),
            |_| Ok(()),
        )
        .unwrap();
    let large = "x".repeat(8_000);
    let mut kept = 0;
    let fault = loop {
        let name = kept.to_string();
        let group = [
            commit(1, vec![put_item("m", &item(&name), 1)]),
            commit(2, vec![put_item("n", &item_of(&name, &large, 1), 1_000)]),
        ];
        match store.apply(&group) {
            Ok(_) => kept += 1,
            Err(fault) => break fault,
        }
    };
    assert!(kept > 0 && kept < 10, "{kept}");
    assert!(!fault.is_of_one_commit(), "{fault}");
    assert_eq!(fault.to_string(), "store: database or disk is full");
    assert_eq!(store.ids("n").len(), kept);
    assert_eq!(store.ids("m"), [(kept - 1).to_string()]);
    store.done([StoreOp::TrimItems {
        at: at("n"),
        keep: Keep::window(1),
    }]);
    store.done([put_item("n", &item_of("new", &large, 1), 2)]);
    assert_eq!(store.ids("n").len(), 2);
    assert_eq!(store.integrity_check().unwrap(), [""; 0]);
}

#[test]
fn a_read_only_database_answers_and_refuses_commits() {
    let dir = filled();
    let mut store = open(dir.path()).unwrap();
    store
        .connection()
        .pragma_update(None, "query_only", true)
        .unwrap();
    let fault = store.apply(&[commit(1, vec![put_node("m")])]).unwrap_err();
    assert!(!fault.is_of_one_commit(), "{fault}");
    assert_eq!(store.ids("n"), ["1"]);
    store
        .connection()
        .pragma_update(None, "query_only", false)
        .unwrap();
    store.done([put_node("m")]);
}

#[test]
fn a_directory_that_cannot_be_written_is_one_clear_sentence() {
    let dir = dir();
    fs::write(dir.path().join("file"), "").unwrap();
    let message = open(&dir.path().join("file")).unwrap_err().to_string();
    assert!(message.contains("/file cannot be written: "), "{message}");
    let message = open(Path::new("/proc/none/leveret-data"))
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("the data directory /proc/none/leveret-data cannot be written: "),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn the_files_are_their_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = dir();
    let data = dir.path().join("new/data");
    let mut store = open(&data).unwrap();
    store.done([put_node("n")]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for name in ["lock", "leveret.db", "leveret.db-wal", "leveret.db-shm"] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
}

/// What is run under `strace`.
fn commit_under_trace(dir: &Path) {
    let durability = match std::env::var("LEVERET_TEST_DURABILITY").unwrap().as_str() {
        "full" => Durability::Full,
        "normal" => Durability::Normal,
        _ => Durability::Off,
    };
    let mut store = Database::open(dir, durability, "localhost").unwrap();
    store.done([put_node("n")]);
    let mark = |name: &str| drop(File::open(dir.join(name)));
    for (urgency, name) in [
        (Urgency::Group, "mark-group"),
        (Urgency::Synced, "mark-synced"),
        (Urgency::Group, "mark-after"),
    ] {
        mark(name);
        let ops = vec![put_item("n", &item(name), 9)];
        store
            .apply(&[Commit {
                seq: 1,
                urgency,
                ops,
            }])
            .unwrap();
    }
    mark("mark-end");
}

/// How often the log was synced after each mark, or `None` where there is no strace.
fn syncs(durability: &str) -> Option<[usize; 3]> {
    let dir = dir();
    let trace = dir.path().join("trace");
    let status = Command::new("strace")
        .args(["-f", "-e", "trace=openat,fsync,fdatasync", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args([
            "store::tests::faults::s2_alarms_are_synced_under_full_and_normal",
            "--exact",
        ])
        .env("LEVERET_TEST_SYNC_DIR", dir.path().join("data"))
        .env("LEVERET_TEST_DURABILITY", durability)
        .stdout(std::process::Stdio::null())
        .status();
    if !status.is_ok_and(|status| status.success()) {
        return None;
    }
    let trace = fs::read_to_string(trace).unwrap();
    let marks = ["mark-group", "mark-synced", "mark-after", "mark-end"]
        .map(|mark| trace.find(mark).unwrap());
    let count = |at: usize| trace[marks[at]..marks[at + 1]].matches("sync(").count();
    Some([count(0), count(1), count(2)])
}

#[test]
fn s2_alarms_are_synced_under_full_and_normal() {
    // The test runs itself as the process to be traced.
    if let Some(dir) = std::env::var_os("LEVERET_TEST_SYNC_DIR") {
        return commit_under_trace(Path::new(&dir));
    }
    for (durability, expected) in [
        ("full", [1, 1, 1]),
        ("normal", [0, 1, 0]),
        ("off", [0, 0, 0]),
    ] {
        match syncs(durability) {
            Some(found) => assert_eq!(found, expected, "{durability}"),
            None => eprintln!("strace cannot be used here: syncs were not counted"),
        }
    }
}
