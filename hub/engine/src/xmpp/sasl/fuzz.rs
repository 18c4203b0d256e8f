//! One exchange driven by arbitrary bytes: the target of fuzzing, and of the mutations in the tests.

use super::{
    AccountRecord, Channel, ChannelBindingType, ChannelBindings, Context, Exchange, Mechanism,
    NONCE_BYTES, Step,
};
use crate::credentials::Credentials;

/// Runs one exchange to its end. `data` is: a byte that picks the mechanism, a byte of circumstances, then the client's
/// messages, each after two bytes of its length (big-endian; the last may be cut short). Nothing to check but that it
/// ends, without a panic, in a number of steps that the protocol allows.
pub fn fuzz_exchange(data: &[u8]) {
    let Some(([pick, circumstances], mut rest)) = data
        .split_first_chunk::<2>()
        .map(|(head, rest)| (*head, rest))
    else {
        return;
    };
    let on = |bit: u8| circumstances & (1 << bit) != 0;
    let bindings = match on(0) {
        true => ChannelBindings::NONE.with(ChannelBindingType::TlsExporter, &[7; 32]),
        false => ChannelBindings::NONE,
    };
    let certificate = [
        "juliet@example.org".to_owned(),
        "nurse@example.org".to_owned(),
    ];
    let channel = Channel {
        domain: "example.org",
        prepare: |local| (!local.contains(['@', '/', ' '])).then(|| local.to_lowercase()),
        encrypted: on(0) || on(1),
        require_tls: on(2),
        bindings: &bindings,
        certificate: &certificate[..usize::from(circumstances >> 6).min(2)],
    };
    let offered = channel.offered();
    let ctx = Context {
        channel: &channel,
        offered: &offered,
        nonce: &[9; NONCE_BYTES],
        decoy_secret: &[1; 32],
        downgrade_protection: on(3),
    };
    let mechanism = Mechanism::ALL[usize::from(pick) % Mechanism::ALL.len()];
    let initial = if on(4) { next_message(&mut rest) } else { None };
    let (mut exchange, mut step) = Exchange::start(mechanism, initial, &ctx);
    // Empty challenge, lookup, challenge or check, end: no exchange has more steps.
    for _ in 0..5 {
        step = match step {
            Step::Challenge(_) => match next_message(&mut rest) {
                Some(message) => exchange.respond(message),
                None => exchange.abort(),
            },
            Step::Lookup { account } => {
                let credentials = Some(Credentials::decoy(&[2; 32], &account));
                exchange.account_found(on(5).then_some(AccountRecord {
                    credentials,
                    enabled: true,
                }))
            }
            // PBKDF2 is not what is fuzzed here.
            Step::Derive(check) => {
                drop(check);
                exchange.derived(on(5))
            }
            Step::Success { .. } | Step::Failure(_) => {
                assert!(exchange.has_ended(), "an exchange that has decided is over");
                return;
            }
        };
    }
    assert!(
        matches!(step, Step::Success { .. } | Step::Failure(_)),
        "an exchange ends"
    );
}

fn next_message<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<2>()?;
    let (message, tail) = tail.split_at(usize::from(u16::from_be_bytes(*length)).min(tail.len()));
    *rest = tail;
    Some(message)
}
