use super::*;
use crate::{
    credentials::{Credentials, Derivation, Password},
    service::accounts::new_account,
    time::Timestamp,
};

#[test]
fn what_an_account_has_is_counted_again_only_where_that_matters() {
    let limits = Limits {
        nodes_per_account: 10_000,
        ..Limits::default()
    };
    let mut residency = Residency::default();
    let jid = BareJid::parse("dev7@localhost").unwrap();
    let has = |nodes, residency: &mut Residency| {
        let keys = Credentials::derive(
            &Password::prepare("secret").unwrap(),
            &Derivation::with_salts([1; 16], [2; 16]),
        );
        let account = new_account(jid.clone(), Role::Device, keys, Timestamp::default());
        let counts = AccountCounts {
            nodes,
            ..AccountCounts::default()
        };
        residency.put_account(&jid, Some(account), counts);
    };
    has(6_400, &mut residency);
    for _ in 0..100 {
        residency.note_new_node(&jid, &limits);
        residency.drifted(&jid, &limits);
    }
    assert_eq!(residency.facts(&jid).unwrap().counts.nodes, 6_500);
    residency.drifted(&jid, &limits);
    assert!(residency.facts(&jid).is_some(), "within a 64th");
    residency.drifted(&jid, &limits);
    assert!(residency.facts(&jid).is_none());
    has(9_998, &mut residency);
    residency.drifted(&jid, &limits);
    assert!(residency.facts(&jid).is_some());
    residency.note_new_node(&jid, &limits);
    assert!(
        residency.facts(&jid).is_none(),
        "the next is refused or not: it is counted"
    );
    has(10_000, &mut residency);
    residency.drifted(&jid, &limits);
    assert!(
        residency.facts(&jid).is_none(),
        "one was deleted and makes room"
    );
}

#[test]
fn accounts_whose_sessions_left_together_are_forgotten_together() {
    let mut residency = Residency::default();
    let crowd = 5 * ABSENT_ACCOUNTS_MAX;
    for number in 0..crowd {
        let jid = BareJid::parse(&format!("d{number}@localhost")).unwrap();
        residency.put_roster(&jid, Roster::default());
        residency.trim(number + 1, |_| true);
    }
    assert_eq!(residency.len(), crowd);
    residency.trim(0, |_| false);
    assert!(
        residency.len() <= ABSENT_ACCOUNTS_MAX,
        "{}",
        residency.len()
    );
    residency.trim(0, |_| false);
    assert!(residency.residents.capacity() <= 4 * ABSENT_ACCOUNTS_MAX);
}

#[test]
fn the_table_shrinks_though_those_who_left_last_stay() {
    let mut residency = Residency::default();
    let mut here = 5 * ABSENT_ACCOUNTS_MAX;
    for number in 0..here {
        let jid = BareJid::parse(&format!("d{number}@localhost")).unwrap();
        residency.put_roster(&jid, Roster::default());
    }
    // They leave one by one, the oldest first.
    let jids: Vec<BareJid> = (0..here)
        .map(|number| BareJid::parse(&format!("d{number}@localhost")).unwrap())
        .collect();
    let mut left = HashSet::new();
    for jid in &jids {
        here -= 1;
        left.insert(jid.clone());
        residency.trim(here, |jid| !left.contains(jid));
    }
    residency.trim(0, |_| false);
    assert!(residency.len() <= ABSENT_ACCOUNTS_MAX);
    assert!(
        residency.residents.capacity() <= 2 * ABSENT_ACCOUNTS_MAX,
        "{} for {}",
        residency.residents.capacity(),
        residency.len()
    );
}

#[test]
fn an_account_of_an_idle_session_is_small() {
    let entry = size_of::<(BareJid, Resident)>();
    assert!(entry <= 136, "{entry}");
}
