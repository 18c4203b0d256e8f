//! Appendix A of RFC 6121 as data, and the handshake between two rosters.

use super::*;

fn jid(name: &str) -> BareJid {
    BareJid::new(name, "localhost").unwrap()
}

fn word(from: &str, to: &str, kind: Handshake) -> SubscriptionStanza {
    SubscriptionStanza::bare(jid(from), jid(to), kind)
}

/// The nine states of appendix A.1, in its order.
const STATES: [&str; 9] = [
    "None", "None+O", "None+I", "None+OI", "To", "To+I", "From", "From+O", "Both",
];

fn entry(state: &str) -> Contact {
    let (subscription, pending) = state.split_once('+').unwrap_or((state, ""));
    Contact {
        subscription: match subscription {
            "None" => Subscription::None,
            "To" => Subscription::To,
            "From" => Subscription::From,
            _ => Subscription::Both,
        },
        pending_out: pending.contains('O'),
        pending_in: pending.contains('I').then(PendingIn::default),
        listed: true,
        ..blank(&jid("contact"))
    }
}

fn state(contact: &Contact) -> String {
    let subscription = match contact.subscription {
        Subscription::None => "None",
        Subscription::To => "To",
        Subscription::From => "From",
        Subscription::Both => "Both",
    };
    let pending = match (contact.pending_out, contact.pending_in.is_some()) {
        (false, false) => "",
        (true, false) => "+O",
        (false, true) => "+I",
        (true, true) => "+OI",
    };
    format!("{subscription}{pending}")
}

#[test]
fn appendix_a_2_outbound_words() {
    let (route, keep) = (true, false);
    #[rustfmt::skip]
    let tables = [
        (Handshake::Subscribe, [(route, "None+O"), (route, "None+O"), (route, "None+OI"), (route, "None+OI"), (route, "To"),
            (route, "To+I"), (route, "From+O"), (route, "From+O"), (route, "Both")]),
        (Handshake::Unsubscribe, [(route, "None"), (route, "None"), (route, "None+I"), (route, "None+I"), (route, "None"),
            (route, "None+I"), (route, "From"), (route, "From"), (route, "From")]),
        (Handshake::Subscribed, [(keep, "None"), (keep, "None+O"), (route, "From"), (route, "From+O"), (keep, "To"),
            (route, "Both"), (keep, "From"), (keep, "From+O"), (keep, "Both")]),
        (Handshake::Unsubscribed, [(keep, "None"), (keep, "None+O"), (route, "None"), (route, "None+O"), (keep, "To"),
            (route, "To"), (route, "None"), (route, "None+O"), (route, "To")]),
    ];
    for (kind, row) in tables {
        for (before, (route, after)) in STATES.into_iter().zip(row) {
            let mut contact = entry(before);
            let sent = outbound(&mut contact, kind);
            assert_eq!(
                (sent.route, state(&contact).as_str()),
                (route, after),
                "{kind:?} in {before}"
            );
        }
    }
}

#[test]
fn appendix_a_3_inbound_words() {
    let (tell, hush) = (true, false);
    #[rustfmt::skip]
    let tables = [
        (Handshake::Subscribe, [(tell, "None+I"), (tell, "None+OI"), (hush, "None+I"), (hush, "None+OI"), (tell, "To+I"),
            (hush, "To+I"), (hush, "From"), (hush, "From+O"), (hush, "Both")]),
        (Handshake::Unsubscribe, [(hush, "None"), (hush, "None+O"), (tell, "None"), (tell, "None+O"), (hush, "To"),
            (tell, "To"), (tell, "None"), (tell, "None+O"), (tell, "To")]),
        (Handshake::Subscribed, [(hush, "None"), (tell, "To"), (hush, "None+I"), (tell, "To+I"), (hush, "To"),
            (hush, "To+I"), (hush, "From"), (tell, "Both"), (hush, "Both")]),
        (Handshake::Unsubscribed, [(hush, "None"), (tell, "None"), (hush, "None+I"), (tell, "None+I"), (tell, "None"),
            (tell, "None+I"), (hush, "From"), (tell, "From"), (tell, "From")]),
    ];
    for (kind, row) in tables {
        for (before, (deliver, after)) in STATES.into_iter().zip(row) {
            let mut contact = entry(before);
            let heard = inbound(&mut contact, &word("contact", "me", kind));
            assert_eq!(
                (heard.deliver, state(&contact).as_str()),
                (deliver, after),
                "{kind:?} in {before}"
            );
            let sees = before.starts_with("From") || before == "Both";
            assert_eq!(
                heard.approve,
                kind == Handshake::Subscribe && sees,
                "{kind:?} in {before}"
            );
        }
    }
}

/// Two accounts and what passes between them.
#[derive(Default)]
struct Two {
    romeo: Roster,
    juliet: Roster,
}

impl Two {
    fn say(&mut self, from: &str, kind: Handshake) -> Outcome {
        let (romeo, juliet) = (jid("romeo"), jid("juliet"));
        let one = Side {
            account: &romeo,
            roster: &mut self.romeo,
        };
        let two = Side {
            account: &juliet,
            roster: &mut self.juliet,
        };
        if from == "romeo" {
            shake(one, &juliet, Some(two), word("romeo", "juliet", kind), 100).unwrap()
        } else {
            shake(two, &romeo, Some(one), word("juliet", "romeo", kind), 100).unwrap()
        }
    }

    fn states(&self) -> (String, String) {
        let of = |roster: &Roster, name| find(roster, &jid(name)).map_or("-".into(), state);
        (of(&self.romeo, "juliet"), of(&self.juliet, "romeo"))
    }
}

fn told(outcome: &Outcome) -> Vec<String> {
    let name = |jid: &BareJid| jid.local().unwrap_or_default().to_owned();
    outcome
        .told
        .iter()
        .map(|told| match told {
            Told::Stanza(stanza) => format!("{} to {}", stanza.kind.name(), name(&stanza.to)),
            Told::Push(account, push) => {
                format!(
                    "push to {}: {}",
                    name(account),
                    push.contact.as_deref().map_or("removed".into(), state)
                )
            }
            Told::Show(of, to) => format!("{} shown to {}", name(of), name(to)),
            Told::Hide(of, to) => format!("{} hidden from {}", name(of), name(to)),
        })
        .collect()
}

#[test]
fn rfc6121_s3_1_a_request_and_its_approval() {
    let mut two = Two::default();
    let asked = two.say("romeo", Handshake::Subscribe);
    assert_eq!(
        told(&asked),
        ["subscribe to juliet", "push to romeo: None+O"]
    );
    assert!(
        !two.juliet.contacts[0].listed,
        "who only knocked is not in the roster"
    );
    assert_eq!(two.juliet.version, 0);
    let approved = two.say("juliet", Handshake::Subscribed);
    assert_eq!(approved.ops.len(), 2, "both sides in one commit");
    assert_eq!(
        told(&approved),
        [
            "subscribed to romeo",
            "push to romeo: To",
            "push to juliet: From",
            "juliet shown to romeo"
        ]
    );
    assert_eq!(two.states(), ("To".into(), "From".into()));
}

#[test]
fn rfc6121_s3_1_3_a_second_knock_is_not_heard_and_a_needless_one_is_answered_by_the_hub() {
    let mut two = Two::default();
    two.say("romeo", Handshake::Subscribe);
    assert_eq!(told(&two.say("romeo", Handshake::Subscribe)), [""; 0]);
    two.say("juliet", Handshake::Subscribed);
    assert_eq!(
        told(&two.say("romeo", Handshake::Subscribe)),
        ["juliet shown to romeo"]
    );
}

#[test]
fn rfc6121_s3_2_2_cancelling_hides_the_account_before_it_is_said() {
    let mut two = Two::default();
    two.say("romeo", Handshake::Subscribe);
    two.say("juliet", Handshake::Subscribed);
    let cancelled = two.say("juliet", Handshake::Unsubscribed);
    assert_eq!(
        told(&cancelled),
        [
            "juliet hidden from romeo",
            "unsubscribed to romeo",
            "push to romeo: None",
            "push to juliet: None",
        ]
    );
}

#[test]
fn rfc6121_s3_3_unsubscribing_hides_the_contact() {
    let mut two = Two::default();
    two.say("romeo", Handshake::Subscribe);
    two.say("juliet", Handshake::Subscribed);
    let gone = two.say("romeo", Handshake::Unsubscribe);
    assert_eq!(
        told(&gone),
        [
            "unsubscribe to juliet",
            "push to juliet: None",
            "push to romeo: None",
            "juliet hidden from romeo"
        ]
    );
}

#[test]
fn rfc6121_s3_4_pre_approval_answers_before_the_contact_is_asked() {
    let mut two = Two::default();
    assert_eq!(
        told(&two.say("juliet", Handshake::Subscribed)),
        ["push to juliet: None"]
    );
    assert!(two.juliet.contacts[0].approved);
    let asked = two.say("romeo", Handshake::Subscribe);
    assert_eq!(
        told(&asked),
        [
            "push to juliet: From",
            "push to romeo: None+O",
            "subscribed to romeo",
            "push to romeo: To",
            "juliet shown to romeo"
        ]
    );
    assert_eq!(two.states(), ("To".into(), "From".into()));
}

#[test]
fn rfc6121_s3_4_a_pre_approval_can_be_taken_back() {
    let mut two = Two::default();
    two.say("juliet", Handshake::Subscribed);
    assert_eq!(
        told(&two.say("juliet", Handshake::Unsubscribed)),
        ["push to juliet: None"]
    );
    two.say("romeo", Handshake::Subscribe);
    assert_eq!(two.states(), ("None+O".into(), "None+I".into()));
}

#[test]
fn rfc6121_s2_5_removing_a_contact_ends_both_directions() {
    let mut two = Two::default();
    for (who, kind) in [
        ("romeo", Handshake::Subscribe),
        ("juliet", Handshake::Subscribed),
        ("juliet", Handshake::Subscribe),
        ("romeo", Handshake::Subscribed),
    ] {
        two.say(who, kind);
    }
    assert_eq!(two.states(), ("Both".into(), "Both".into()));
    let (romeo, juliet) = (jid("romeo"), jid("juliet"));
    let outcome = remove(
        Side {
            account: &romeo,
            roster: &mut two.romeo,
        },
        &juliet,
        Some(Side {
            account: &juliet,
            roster: &mut two.juliet,
        }),
    );
    assert_eq!(
        told(&outcome),
        [
            "push to romeo: removed",
            "unsubscribe to juliet",
            "push to juliet: To",
            "juliet hidden from romeo",
            "romeo hidden from juliet",
            "unsubscribed to juliet",
            "push to juliet: None",
        ]
    );
    assert_eq!(two.states(), ("-".into(), "None".into()));
}

#[test]
fn rfc6121_s2_3_3_names_and_groups_have_bounds() {
    let me = jid("me");
    let set = |name: Option<&str>, groups: &[&str]| {
        let side = Side {
            account: &me,
            roster: &mut Roster::default(),
        };
        let groups = groups.iter().map(|&group| group.into()).collect();
        set(side, &jid("x"), name.map(Into::into), groups, 1)
            .map_err(|refusal| refusal.reason)
            .map(|_| ())
    };
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    assert_eq!(set(Some("X"), &["a", "b"]), Ok(()));
    assert_eq!(set(Some(&long), &[]), Err(Reason::NotAcceptable));
    assert_eq!(set(None, &[""]), Err(Reason::NotAcceptable));
    assert_eq!(set(None, &[&long]), Err(Reason::NotAcceptable));
    assert_eq!(set(None, &["a", "a"]), Err(Reason::BadRequest));
}

#[test]
fn rfc6121_s2_4_2_a_set_that_changes_nothing_is_pushed_with_a_version_of_its_own() {
    let (me, mut roster) = (jid("me"), Roster::default());
    for version in 1..=2 {
        let side = Side {
            account: &me,
            roster: &mut roster,
        };
        let outcome = set(side, &jid("x"), Some("X".into()), Vec::new(), 9).unwrap();
        let [Told::Push(_, push)] = &outcome.told[..] else {
            panic!("{:?}", outcome.told)
        };
        assert_eq!(*push.version, *version.to_string());
        assert_eq!(push.contact.as_ref().unwrap().version, version);
    }
}

#[test]
fn rfc6121_s3_1_3_a_request_is_kept_whole() {
    let mut two = Two::default();
    let (romeo, juliet) = (jid("romeo"), jid("juliet"));
    let request = SubscriptionStanza {
        id: Some("r1".into()),
        lang: Some("it".into()),
        content: "<status>Ciao</status>".into(),
        ..word("romeo", "juliet", Handshake::Subscribe)
    };
    shake(
        Side {
            account: &romeo,
            roster: &mut two.romeo,
        },
        &juliet,
        Some(Side {
            account: &juliet,
            roster: &mut two.juliet,
        }),
        request.clone(),
        9,
    )
    .unwrap();
    let kept = two.juliet.contacts[0].pending_in.clone().unwrap();
    assert_eq!(
        (kept.id, kept.lang, kept.content),
        (request.id, request.lang, request.content)
    );
}

#[test]
fn a_full_roster_takes_no_new_contact_and_changes_nothing() {
    let mut two = Two::default();
    let (romeo, juliet) = (jid("romeo"), jid("juliet"));
    let refused = shake(
        Side {
            account: &romeo,
            roster: &mut two.romeo,
        },
        &juliet,
        Some(Side {
            account: &juliet,
            roster: &mut two.juliet,
        }),
        word("romeo", "juliet", Handshake::Subscribe),
        0,
    );
    assert_eq!(refused.unwrap_err().reason, Reason::ResourceConstraint);
    assert_eq!(two.states(), ("-".into(), "-".into()));
}
