//! `leveret serve` and `leveret status`: starting, stopping, and what stands in the way.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use crate::place::Place;

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
