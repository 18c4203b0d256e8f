//! Certificates replaced while connections live.

use super::*;

#[test]
fn a_live_connection_keeps_the_certificate_that_it_saw() {
    // S25
    use std::io::{Read, Write};
    let hub = Hub::new();
    let reloadable = Reloadable::load(&hub.config, today()).expect("loaded");
    let old = reloadable.current();
    let mut live = connect(hub.client(TLS13, None), &old);
    let before = old.channel_bindings(&live.server);

    fs::remove_file(hub.tls_file("server.pem")).expect("it was there");
    reloadable.reload(&hub.config, today()).expect("reloaded");

    let new = reloadable.current();
    assert_ne!(new.certificate(), old.certificate());
    let fresh = connect(hub.client(TLS13, None), &new);
    assert_ne!(
        new.channel_bindings(&fresh.server).server_end_point,
        before.server_end_point
    );
    assert_eq!(old.channel_bindings(&live.server), before);
    live.client
        .writer()
        .write_all(b"still here")
        .expect("memory takes all");
    live.run().expect("the connection lives on");
    let mut heard = [0; 10];
    live.server
        .reader()
        .read_exact(&mut heard)
        .expect("all came through");
    assert_eq!(&heard, b"still here");
}

#[test]
fn a_reload_that_fails_changes_nothing() {
    let mut hub = Hub::new();
    let reloadable = Reloadable::load(&hub.config, today()).expect("loaded");
    let old = reloadable.current();
    hub.config.tls.certificate = Some(hub.folder.path().join("none.pem"));
    hub.config.tls.key = Some(hub.folder.path().join("none.pem"));
    assert!(reloadable.reload(&hub.config, today()).is_err());
    assert!(Arc::ptr_eq(&old, &reloadable.current()));
}
