//! An address once prepared is stable, bounded, and the sum of its parts.

use leveret_engine::address::{BareJid, Jid, PART_BYTES_MAX};

/// Separators, and characters whose preparation is hard.
pub const DICTIONARY: &[&str] = &[
    "@", "/", ".", "a", "A", "[::1]", "xn--", "xn--bcher-kva", "--", "\u{3a3}", "\u{3c2}", "\u{df}", "\u{1e9e}", "\u{130}", "\u{ff20}",
    "\u{ff21}", "\u{3000}", "\u{301}", "\u{200d}", "\u{94d}", "\u{5d0}", "\u{627}", "\u{661}", "\u{6f1}", "\u{b7}", "l\u{b7}l", "\u{30fb}",
    "\u{fdfa}", "\u{3002}", "\u{1F430}", " ", "\\20", "'", "\u{345}", "\u{f900}",
];

/// Any text may be tried as an address.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(jid) = Jid::parse(text) else { return };
    assert_eq!(Jid::parse(jid.as_str()).as_ref(), Ok(&jid), "preparing twice must change nothing");
    for part in [jid.local(), Some(jid.domain()), jid.resource()].into_iter().flatten() {
        assert!((1..=PART_BYTES_MAX).contains(&part.len()), "{part:?}");
    }
    let bare = jid.bare();
    let rebuilt = match jid.local() {
        Some(local) => BareJid::new(local, jid.domain()),
        None => BareJid::domain_only(jid.domain()),
    };
    assert_eq!(rebuilt.as_ref(), Ok(&bare));
    if let Some(resource) = jid.resource() {
        assert_eq!(bare.with_resource(resource).map(Jid::from), Ok(jid.clone()));
        assert!(jid.as_full().is_some_and(|full| full.is_session_of(&bare)));
    }
}
