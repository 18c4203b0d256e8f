//! `kill -9` at any moment loses nothing that was answered (DESIGN §9).

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use leveret_engine::effect::{StoreRequest, StoreResponse};

use super::*;
use crate::store::{Durability, Store, StoreConfig};

const ROUNDS: u64 = 25;
const KEEP: u32 = 20;
const NODES: u64 = 3;

fn node_of(seq: u64) -> String {
    format!("devices/{}", seq % NODES)
}

/// Publishes item `seq`, an offline message that names it, and owes it.
fn ops(seq: u64) -> Vec<StoreOp> {
    let name = seq.to_string();
    let (account, at) = (bare("op@localhost"), at(&node_of(seq)));
    vec![
        put_node(&node_of(seq)),
        put_item(&node_of(seq), &item(&name), KEEP),
        StoreOp::PutOffline {
            account: account.clone(),
            message: Box::new(message(&name)),
            at: time(1),
        },
        StoreOp::PutOwed {
            account,
            at,
            item: item(&name),
        },
    ]
}

/// Not a test: the process that is killed. Goes on from where the database stands, and says what was answered.
#[test]
#[ignore = "run by another test"]
fn child_that_is_killed() {
    let Some(dir) = std::env::var_os("LEVERET_TEST_KILL_DIR") else {
        return;
    };
    let first: u64 = std::env::var("LEVERET_TEST_KILL_FIRST")
        .unwrap()
        .parse()
        .unwrap();
    let config = StoreConfig {
        data_dir: dir.into(),
        domain: "localhost".into(),
        durability: Durability::Normal,
        flush: Duration::from_secs(5),
    };
    let respond = |responses: Vec<StoreResponse>| {
        let mut out = String::new();
        for response in responses {
            match response {
                StoreResponse::Committed { seq, .. } => out.push_str(&format!("answered {seq}\n")),
                other => panic!("{other:?}"),
            }
        }
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(out.as_bytes()).unwrap();
        stdout.flush().unwrap();
    };
    let store = Store::open(&config, Arc::new(respond)).unwrap();
    println!("open");
    let mut random = Random::new(first);
    for seq in first.. {
        while store.backlog() > 200 {
            thread::sleep(Duration::from_micros(100));
        }
        let urgency = random.pick(&[Urgency::Lazy, Urgency::Group, Urgency::Synced]);
        store.send(vec![StoreRequest::Commit(Commit {
            seq,
            urgency,
            ops: ops(seq),
        })]);
    }
}

/// Runs the child for a while, kills it, and tells the last commit that it answered.
fn run_and_kill(dir: &Path, first: u64, after: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "store::tests::kill::child_that_is_killed",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env("LEVERET_TEST_KILL_DIR", dir)
        .env("LEVERET_TEST_KILL_FIRST", first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(|line| line.unwrap_or_default());
    assert!(
        lines.any(|line| line.ends_with("open")),
        "the child did not open its store"
    );
    let killer = thread::spawn(move || {
        thread::sleep(after);
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
    });
    let answered = lines.filter_map(|line| line.strip_prefix("answered ")?.parse::<u64>().ok());
    let last = answered.fold(first - 1, |last, seq| {
        assert_eq!(seq, last + 1, "answers come in order");
        seq
    });
    killer.join().unwrap();
    last
}

/// What the database holds of everything up to some commit: all of it, in whole commits.
fn last_in(dir: &Path) -> u64 {
    let store = Database::open(dir, Durability::Normal, "localhost").unwrap();
    assert_eq!(store.integrity_check().unwrap(), [""; 0]);
    store.assert_no_orphans();
    let account = bare("op@localhost");
    let numbers = |statement: &str| -> Vec<u64> {
        let mut statement = store.connection().prepare(statement).unwrap();
        let rows = statement
            .query_map((), |row| row.get::<_, String>(0))
            .unwrap();
        rows.map(|row| row.unwrap().parse().unwrap()).collect()
    };
    let owed = numbers("SELECT id FROM owed_item ORDER BY seq");
    let last = owed.len() as u64;
    assert!(
        owed.iter().copied().eq(1..=last),
        "a commit is missing in the middle"
    );
    let StoreAnswer::Account(_, counts) = store.asked(StoreQuery::Account(account)) else {
        panic!()
    };
    assert_eq!(
        (u64::from(counts.offline), u64::from(counts.owed)),
        (last, last)
    );
    for node in 0..NODES.min(last) {
        let expected: Vec<_> = (1..=last)
            .filter(|seq| seq % NODES == node)
            .map(|seq| seq.to_string())
            .collect();
        let skip = expected.len().saturating_sub(KEEP as usize);
        assert_eq!(store.ids(&node_of(node)), expected[skip..]);
    }
    last
}

#[test]
fn killed_at_any_moment_the_store_holds_all_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::new(20_261_122);
    let mut last = 0;
    for round in 0..ROUNDS {
        let after = Duration::from_micros(random.below(60_000));
        let answered = run_and_kill(dir.path(), last + 1, after);
        let held = last_in(dir.path());
        assert!(
            held >= answered,
            "round {round}: answered {answered}, held {held}"
        );
        last = held;
    }
    assert!(last > ROUNDS, "the children wrote next to nothing");
}
