//! How long the answer to a login is held back (`[limits] failed_logins_per_minute`).
//!
//! Failures are counted per account and per network address in leaky buckets: a bucket takes so many failures at once,
//! loses them evenly over a minute, and what is above the brim delays the next answer, twice as long for each further
//! failure up to [`DELAY_MAX`]. Nothing is ever locked: a delay that grows is enough against guessing, and a lock would
//! hand every stranger a switch for somebody else's account.
//!
//! The trade-off. A guesser at one address is slowed by its address whatever accounts it tries. Guessers at many
//! addresses are slowed by the account, and so would be its owner: therefore somebody at an address without failures
//! waits at most [`DELAY_FOR_OTHERS_MAX`] for what strangers did to the account. Spread guessing gains from that, but no
//! more than a few guesses a second for the whole world, since one address has one such first try. Devices behind one
//! NAT share its bucket; a thousand wrong passwords from there slow the neighbours' logins by up to 30 s, never their
//! sessions.
//!
//! The memory is bounded: [`BUCKETS_MAX`] of each kind, of which the emptiest are forgotten first, so that filling the
//! table with strangers' names does not wash out the worst offender.

use std::{collections::HashMap, hash::Hash, net::IpAddr, time::Duration};

use crate::{
    address::BareJid,
    refusal::{Reason, Refusal},
    time::Instant,
};

/// Most accounts, and most addresses, whose failures are remembered.
pub const BUCKETS_MAX: usize = 16_384;
/// Accounts that one network address may register at once and per minute.
pub const REGISTRATIONS_PER_MINUTE: u32 = 5;
/// Longest that an answer is held back.
pub const DELAY_MAX: Duration = Duration::from_secs(30);
/// Longest that an address without failures waits for what others did to the account.
pub const DELAY_FOR_OTHERS_MAX: Duration = Duration::from_secs(2);
/// The first delay above the brim.
const DELAY_FIRST: Duration = Duration::from_millis(500);
/// In which a full bucket empties.
const MINUTE: f64 = 60.0;
/// Failures above the brim that are counted: beyond, more of them change nothing but the time until they are forgotten.
const EXCESS_MAX: f64 = 16.0;

/// The failures of the last minutes.
#[derive(Debug)]
pub struct LoginThrottle {
    per_minute: u32,
    accounts: HashMap<BareJid, Bucket>,
    addresses: HashMap<IpAddr, Bucket>,
    failures: u64,
}

impl LoginThrottle {
    /// No failures yet; `per_minute` of them are free, for each account and each address.
    pub fn new(per_minute: u32) -> Self {
        Self {
            per_minute,
            accounts: HashMap::new(),
            addresses: HashMap::new(),
            failures: 0,
        }
    }

    /// Sets the bound anew (SIGHUP).
    pub const fn set_per_minute(&mut self, per_minute: u32) {
        self.per_minute = per_minute;
    }

    /// How long the next answer to this account's login from this address is to be held back.
    pub fn wait(&self, account: &BareJid, peer: Option<IpAddr>, now: Instant) -> Duration {
        let level = |bucket: Option<&Bucket>| {
            bucket.map_or(0.0, |bucket| bucket.level(self.per_minute, now))
        };
        let of_address = level(peer.and_then(|peer| self.addresses.get(&network(peer))));
        let of_account = self.delay(level(self.accounts.get(account)));
        let for_others = if of_address < 0.5 {
            of_account.min(DELAY_FOR_OTHERS_MAX)
        } else {
            of_account
        };
        self.delay(of_address).max(for_others)
    }

    /// A login failed.
    pub fn failed(&mut self, account: &BareJid, peer: Option<IpAddr>, now: Instant) {
        self.failures += 1;
        let brim = self.per_minute;
        add(&mut self.accounts, account.clone(), brim, now);
        if let Some(peer) = peer {
            add(&mut self.addresses, network(peer), brim, now);
        }
    }

    /// A login succeeded: the account's owner is here, and what was done to the account no longer matters. The address
    /// keeps its count, else one good login would buy a guesser a minute of free guesses at other accounts.
    pub fn succeeded(&mut self, account: &BareJid) {
        self.accounts.remove(account);
    }

    /// Failures since the start.
    pub const fn failures(&self) -> u64 {
        self.failures
    }

    fn delay(&self, level: f64) -> Duration {
        let excess = level - f64::from(self.per_minute);
        if self.per_minute == u32::MAX || excess < 0.5 {
            return Duration::ZERO;
        }
        DELAY_FIRST
            .mul_f64(2f64.powf((excess - 1.0).clamp(0.0, EXCESS_MAX)))
            .min(DELAY_MAX)
    }
}

/// Holds back strangers who make accounts by the hundred (XEP-0077 §11).
#[derive(Debug)]
pub struct RegistrationRate {
    made: LoginThrottle,
    everybody: BareJid,
}

impl RegistrationRate {
    /// Nobody has registered yet.
    pub fn new(domain: &BareJid) -> Self {
        Self {
            made: LoginThrottle::new(REGISTRATIONS_PER_MINUTE),
            everybody: domain.clone(),
        }
    }

    /// Whether one more from `peer` is acceptable now; if so, it is counted.
    pub fn admit(&mut self, peer: Option<IpAddr>, now: Instant) -> Result<(), Refusal> {
        let Some(peer) = peer else { return Ok(()) };
        self.made.failed(&self.everybody, Some(peer), now);
        self.made.succeeded(&self.everybody);
        if self.made.wait(&self.everybody, Some(peer), now).is_zero() {
            Ok(())
        } else {
            Err(Refusal::new(Reason::ResourceConstraint).say("too many registrations; try later"))
        }
    }
}

/// What counts as one address: an IPv6 host owns a whole /64 and could use another address for every guess.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    fn level(self, per_minute: u32, now: Instant) -> f64 {
        let leaked = now.since(self.at).as_secs_f64() * f64::from(per_minute.max(1)) / MINUTE;
        (self.level - leaked).max(0.0)
    }
}

fn add<K: Hash + Eq + Clone>(buckets: &mut HashMap<K, Bucket>, key: K, brim: u32, now: Instant) {
    if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&key) {
        make_room(buckets, brim, now);
    }
    let bucket = buckets.entry(key).or_insert(Bucket {
        level: 0.0,
        at: now,
    });
    bucket.level = (bucket.level(brim, now) + 1.0).min(f64::from(brim) + EXCESS_MAX);
    bucket.at = now;
}

/// Forgets what has run empty, and if that is not enough the lower half: once in thousands of failures.
fn make_room<K: Hash + Eq + Clone>(buckets: &mut HashMap<K, Bucket>, brim: u32, now: Instant) {
    buckets.retain(|_, bucket| bucket.level(brim, now) > 0.0);
    if buckets.len() < BUCKETS_MAX * 3 / 4 {
        return;
    }
    let mut levels: Vec<f64> = buckets
        .values()
        .map(|bucket| bucket.level(brim, now))
        .collect();
    levels.sort_by(f64::total_cmp);
    let median = levels.get(levels.len() / 2).copied().unwrap_or(0.0);
    let mut surplus = buckets.len() / 2;
    buckets.retain(|_, bucket| {
        let goes = surplus > 0 && bucket.level(brim, now) <= median;
        surplus -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_HOME: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const ELSEWHERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7)));

    fn jid(name: &str) -> BareJid {
        BareJid::new(name, "localhost").unwrap()
    }

    #[test]
    fn ten_typos_a_minute_cost_nothing_and_then_the_wait_doubles_up_to_its_bound() {
        let mut throttle = LoginThrottle::new(10);
        let now = Instant::from_secs(100);
        for _ in 0..10 {
            throttle.failed(&jid("juliet"), AT_HOME, now);
            assert_eq!(throttle.wait(&jid("juliet"), AT_HOME, now), Duration::ZERO);
        }
        let mut waits = Vec::new();
        for _ in 0..1_000 {
            throttle.failed(&jid("juliet"), AT_HOME, now);
            waits.push(throttle.wait(&jid("juliet"), AT_HOME, now));
        }
        assert_eq!(waits[..3], [500, 1_000, 2_000].map(Duration::from_millis));
        assert_eq!(waits.last(), Some(&DELAY_MAX));
    }

    #[test]
    fn a_thousand_wrong_passwords_leave_others_unharmed() {
        let mut throttle = LoginThrottle::new(10);
        let now = Instant::from_secs(100);
        for _ in 0..1_000 {
            throttle.failed(&jid("juliet"), ELSEWHERE, now);
        }
        assert_eq!(throttle.wait(&jid("romeo"), AT_HOME, now), Duration::ZERO);
        assert_eq!(
            throttle.wait(&jid("juliet"), AT_HOME, now),
            DELAY_FOR_OTHERS_MAX
        );
        assert_eq!(throttle.wait(&jid("romeo"), ELSEWHERE, now), DELAY_MAX);
    }

    #[test]
    fn failures_are_forgotten_in_time_and_an_accounts_by_its_login() {
        let mut throttle = LoginThrottle::new(10);
        for _ in 0..1_000 {
            throttle.failed(&jid("juliet"), ELSEWHERE, Instant::from_secs(100));
        }
        assert_eq!(
            throttle.wait(&jid("juliet"), ELSEWHERE, Instant::from_secs(100 + 200)),
            Duration::ZERO
        );
        throttle.succeeded(&jid("juliet"));
        assert_eq!(
            throttle.wait(&jid("juliet"), AT_HOME, Instant::from_secs(100)),
            Duration::ZERO
        );
        assert_eq!(
            throttle.wait(&jid("juliet"), ELSEWHERE, Instant::from_secs(100)),
            DELAY_MAX
        );
    }

    #[test]
    fn memory_is_bounded_and_the_worst_offender_is_kept() {
        let mut throttle = LoginThrottle::new(10);
        let now = Instant::from_secs(100);
        for _ in 0..40 {
            throttle.failed(&jid("victim"), ELSEWHERE, now);
        }
        for n in 0..3 * BUCKETS_MAX {
            throttle.failed(&jid(&format!("n{n}")), ELSEWHERE, now);
        }
        assert!(throttle.accounts.len() <= BUCKETS_MAX);
        assert_eq!(throttle.wait(&jid("victim"), ELSEWHERE, now), DELAY_MAX);
        assert!(throttle.accounts.contains_key(&jid("victim")));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let mut throttle = LoginThrottle::new(1);
        let now = Instant::from_secs(100);
        for n in 0..100u128 {
            throttle.failed(
                &jid("juliet"),
                Some(IpAddr::V6((0x2001_0db8_u128 << 96 | n).into())),
                now,
            );
        }
        let neighbour = Some(IpAddr::V6((0x2001_0db8_u128 << 96 | 9_999).into()));
        assert_eq!(throttle.wait(&jid("romeo"), neighbour, now), DELAY_MAX);
    }

    #[test]
    fn an_address_registers_five_accounts_and_then_waits() {
        let mut rate = RegistrationRate::new(&BareJid::parse("localhost").unwrap());
        let peer = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
        let now = Instant::from_secs(1);
        let made = (0..100).filter(|_| rate.admit(peer, now).is_ok()).count();
        assert_eq!(made, 5);
        assert!(rate.admit(peer, Instant::from_secs(600)).is_ok());
    }
}
