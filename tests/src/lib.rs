//! What the tests of the whole share: a look at the sources, a client that speaks XMPP, and a world to live in.
//!
//! `tests/run` runs everything. What is tested where:
//!
//! | test | claim |
//! |---|---|
//! | `tests/tidy.rs` | the house rules hold in every tracked file |
//! | `tests/conformance.rs` | `docs/conformance.md` says what the code says of itself |
//! | `tests/simulation.rs` | the engine keeps its promises in a thousand bad worlds |
//! | `interop/` | clients that nobody here wrote get on with the hub |
//! | `hub/tests/kill.rs` | what the hub answered survives `kill -9` |

pub mod client;
pub mod conformance;
pub mod imports;
pub mod source;
pub mod world;
