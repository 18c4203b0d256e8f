//! Every target under libFuzzer: `FUZZ_TARGET=framing cargo fuzz run --features libfuzzer libfuzzer hub/fuzz/corpus/framing`.
#![no_main]

use std::sync::OnceLock;

use leveret_fuzz::{TARGETS, Target};

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let target = CHOSEN.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        match TARGETS.iter().find(|t| t.name == name) {
            Some(target) => target,
            None => panic!(
                "set FUZZ_TARGET to one of {:?}",
                TARGETS.iter().map(|t| t.name).collect::<Vec<_>>()
            ),
        }
    });
    (target.run)(data);
});
