//! Fuzz targets for all that reads what a stranger sends.
//!
//! A target is a function of bytes that panics when a promise is broken. To add one: write
//! `src/targets/NAME.rs` with `run` and `DICTIONARY`, add NAME to the line below, and put a few inputs, named for
//! what they hold, into `corpus/NAME/`. An input that once failed becomes a seed there.

mod mutate;

/// Declares the targets' modules and lists them.
macro_rules! targets {
    ($($name:ident),+) => {
        /// One module for each target.
        pub mod targets {
            $(pub mod $name;)+
        }

        /// Every target.
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            run: targets::$name::run,
            dictionary: targets::$name::DICTIONARY,
        },)+];
    };
}

pub use mutate::{INPUT_BYTES_MAX, Mutator};

targets!(component, framing, jid, pubsub, sasl, session, xml);

/// One thing to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is also that of its corpus folder.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Tokens worth inserting.
    pub dictionary: &'static [&'static str],
}
