use super::*;

fn challenged() -> Exchange {
    let (mut exchange, step) =
        Hub::over_tls().start(Mechanism::ScramSha256, Some(b"n,,n=juliet,r=a"));
    assert!(matches!(
        Hub::settle(&mut exchange, step),
        Step::Challenge(_)
    ));
    exchange
}

#[test]
fn an_abort_ends_it() {
    let mut exchange = challenged();
    assert_eq!(failure(exchange.abort()), Condition::Aborted);
    assert!(exchange.has_ended());
    assert_eq!(
        failure(exchange.respond(b"c=biws,r=a,p=AA==")),
        Condition::MalformedRequest
    );
    assert_eq!(
        failure(exchange.account_found(Hub::record("juliet"))),
        Condition::TemporaryAuthFailure
    );
}

#[test]
fn one_challenge_takes_one_proof() {
    let mut exchange = challenged();
    assert_eq!(
        failure(exchange.respond(b"c=biws,r=a,p=AA==")),
        Condition::NotAuthorized
    );
    assert_eq!(
        failure(exchange.respond(b"c=biws,r=a,p=AA==")),
        Condition::MalformedRequest
    );
}

#[test]
fn a_client_that_speaks_out_of_turn_has_lost() {
    let message = format!("\0juliet\0{PASSWORD}");
    let (mut exchange, _) = Hub::over_tls().start(Mechanism::Plain, Some(message.as_bytes()));
    assert_eq!(
        failure(exchange.respond(b"again")),
        Condition::MalformedRequest
    );
    assert_eq!(
        failure(exchange.account_found(Hub::record("juliet"))),
        Condition::TemporaryAuthFailure
    );
    assert_eq!(
        failure(exchange.derived(true)),
        Condition::TemporaryAuthFailure
    );
}

#[test]
fn a_verdict_that_nobody_asked_for_admits_nobody() {
    assert_eq!(
        failure(challenged().derived(true)),
        Condition::TemporaryAuthFailure
    );
    assert_eq!(
        failure(challenged().account_found(None)),
        Condition::TemporaryAuthFailure
    );
}

#[test]
fn a_hub_too_busy_says_so() {
    let Step::Failure(error) = challenged().unavailable() else {
        panic!("no failure")
    };
    assert_eq!(
        error,
        SaslError::scram(Condition::TemporaryAuthFailure, ScramError::NoResources)
    );
    assert!(!error.counts_as_failed_login());
}

#[test]
fn a_message_has_a_bound() {
    let message = format!("\0juliet\0{}", "x".repeat(MESSAGE_BYTES_MAX));
    let step = Hub::over_tls()
        .start(Mechanism::Plain, Some(message.as_bytes()))
        .1;
    assert_eq!(failure(step), Condition::MalformedRequest);
    let just_fits = format!("\0juliet\0{}", "x".repeat(MESSAGE_BYTES_MAX - 8));
    let step = Hub::over_tls()
        .start(Mechanism::Plain, Some(just_fits.as_bytes()))
        .1;
    assert!(matches!(step, Step::Lookup { .. }));
}
