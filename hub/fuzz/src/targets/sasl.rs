//! Any exchange of sign-in ends, without a panic, in a number of steps that the protocol allows.

use leveret_engine::xmpp::sasl::fuzz_exchange;

/// Attributes of SCRAM messages, and the separators of PLAIN.
pub const DICTIONARY: &[&str] = &[
    "n,,", "y,,", "p=tls-exporter,,", "p=tls-server-end-point,,", "n=", "r=", "a=", "m=", "c=biws", "p=", ",", "=2C", "=3D", "=",
    "user", "juliet@example.org", "\u{0}", "\u{0}user\u{0}pencil", "fyko+d2lbbFgONRvi", "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "\u{0}\u{8}", "\u{ff}",
];

/// See `fuzz_exchange` for what the bytes mean.
pub fn run(data: &[u8]) {
    fuzz_exchange(data);
}
