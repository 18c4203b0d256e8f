//! A whole world in one thread: the real engine and the real store, scripted clients that speak real XMPP, wires that
//! delay, break and are cut, a hub that crashes, one clock that nobody waits for, and one seed that decides it all.
//!
//! ```text
//!  Person ─Client─ bytes ─▶ Pipe ─▶ Hub: XmppSession ─▶ Router ─▶ Disk: Database
//!                ◀─────── Pipe ◀──       (as the shell drives them)
//!     └──── writes down what it did and saw ──▶ Ledger ◀── judged by `claims`
//! ```

pub mod chance;
pub mod claims;
pub mod disk;
pub mod hub;
pub mod ledger;
pub mod link;
pub mod person;
pub mod upheaval;

use std::sync::OnceLock;

use leveret_engine::{
    account::{Account, Role},
    address::BareJid,
    command::AdminRequest,
    credentials::{Credentials, Derivation, Password},
    effect::StoreOp,
};

use crate::client::stanza;

use chance::Chance;
use disk::Disk;
use hub::{Hub, LinkId, now_of};
use ledger::Ledger;
use link::{Arrival, Pipe, Weather};
use person::Person;
use upheaval::{BOARD, TENT};

/// The domain of every world.
pub const DOMAIN: &str = "world.example";
/// Its pubsub service.
pub const SERVICE: &str = "pubsub.world.example";

/// Microseconds in a second.
pub const SECOND: u64 = 1_000_000;
/// A world that has not come to rest after so many steps never will.
const STEPS_MAX: u64 = 3_000_000;
/// The most people in a world.
const PEOPLE_MAX: u64 = 5;

/// One link of a person.
#[derive(Debug)]
struct Link {
    person: usize,
    to_hub: Pipe,
    to_client: Pipe,
}

/// See the module.
pub struct World {
    /// What everybody did and saw.
    pub ledger: Ledger,
    /// Everybody.
    pub people: Vec<Person>,
    seed: u64,
    now: u64,
    chance: Chance,
    weather: Weather,
    disk: Disk,
    hub: Hub,
    links: Vec<Link>,
    /// Whether people act by themselves.
    chaos: bool,
    steps: u64,
    trace: u64,
}

impl World {
    /// A world in which nothing has happened.
    pub fn seeded(seed: u64) -> Self {
        let mut chance = Chance::seeded(seed);
        let count = usize::try_from(chance.between(2, PEOPLE_MAX)).unwrap_or(2);
        let mut disk = Disk::empty();
        let accounts = (0..count).map(|index| StoreOp::PutAccount(Box::new(account(index))));
        disk.prepare(accounts.collect());
        let hub = Hub::start(&mut disk, 0, &mut chance);
        Self {
            ledger: Ledger::new(count),
            people: (0..count).map(Person::new).collect(),
            seed,
            now: 0,
            chance,
            weather: Weather::FAIR,
            disk,
            hub,
            links: Vec::new(),
            chaos: false,
            steps: 0,
            trace: 0,
        }
    }

    /// Nodes that keep every item: class `event`.
    pub fn logs(&self) -> Vec<String> {
        vec!["site/log".into(), "site/events".into()]
    }

    /// The node that keeps one item of a person: class `state`.
    pub fn state_of(&self, person: usize) -> String {
        format!("site/state/{person}")
    }

    /// In fair weather: everybody signs in, makes the nodes, subscribes to all of them and to each other.
    pub fn settle(&mut self) {
        for person in 0..self.people.len() {
            self.sign_in(person);
        }
        self.run_for(5 * SECOND);
        let all = [
            ("pubsub#max_items", "max"),
            ("pubsub#persist_items", "true"),
        ];
        for node in self.logs() {
            self.people[0].chore(|id| stanza::create(id, SERVICE, &node, &all));
        }
        for person in 0..self.people.len() {
            let node = self.state_of(person);
            let one = [("pubsub#max_items", "1"), ("pubsub#persist_items", "true")];
            self.people[person].chore(|id| stanza::create(id, SERVICE, &node, &one));
        }
        for node in [BOARD, TENT] {
            self.people[0].chore(|id| stanza::create(id, SERVICE, node, &all));
        }
        self.run_for(5 * SECOND);
        let mut nodes = self.logs();
        nodes.push(BOARD.into());
        nodes.extend((0..self.people.len()).map(|person| self.state_of(person)));
        for person in 0..self.people.len() {
            self.people[person].join();
            for node in &nodes {
                let jid = person::bare(person);
                self.people[person].chore(|id| stanza::subscribe(id, SERVICE, node, &jid));
            }
            for other in (0..self.people.len()).filter(|other| *other != person) {
                self.people[person].befriend(other);
            }
        }
        self.run_for(10 * SECOND);
        for person in &self.people {
            assert!(
                person.can_act(&self.ledger) && person.is_idle(),
                "{}: person {} is not settled: {:?}",
                self.name(),
                person.index,
                self.ledger.sessions[person.index]
            );
        }
    }

    /// In a storm: everybody does this and that, links are cut, the hub crashes.
    pub fn storm(&mut self, micros: u64) {
        self.weather = Weather {
            delay_micros_max: self.chance.between(1_000, 300_000),
            piece_bytes_max: usize::try_from(self.chance.between(1, 2_000)).unwrap_or(1),
        };
        self.chaos = true;
        if self.chance.happens(300) {
            self.ledger.disk_fails = true;
            self.disk.fail(30);
        }
        for person in 0..self.people.len() {
            self.plan(person);
        }
        let mut crashes: Vec<_> = (0..self.chance.between(0, 2))
            .map(|_| self.now + self.chance.between(0, micros))
            .collect();
        crashes.sort_unstable();
        let end = self.now + micros;
        for at in crashes {
            self.run_until(at);
            self.crash();
        }
        self.run_until(end);
    }

    /// The sky clears: everybody comes back and stays, and ghosts of lost links are found out.
    pub fn calm(&mut self) {
        self.chaos = false;
        self.weather = Weather::FAIR;
        self.disk.fail(0);
        for person in &mut self.people {
            person.next_act = None;
        }
        self.run_for(400 * SECOND);
        // Who was on the way out, or did not hear that the link is gone, is back by now.
        for person in 0..self.people.len() {
            if !self.people[person].can_act(&self.ledger) {
                self.people[person].comeback = Some(self.now);
            }
        }
        self.run_for(400 * SECOND);
        if self.ledger.disk_fails {
            // Presence has no answer, so nobody knows whose was lost for want of a roster: all say it again.
            for person in &mut self.people {
                person.announce(person.show);
            }
            self.run_for(10 * SECOND);
        }
    }

    /// In the calm: each says one thing to each, and reads everything.
    pub fn take_stock(&mut self) {
        for person in 0..self.people.len() {
            for other in (0..self.people.len()).filter(|other| *other != person) {
                self.people[person].say(other, self.now, &mut self.ledger);
            }
            let mut nodes = self.logs();
            nodes.push(BOARD.into());
            nodes.extend((0..self.people.len()).map(|person| self.state_of(person)));
            for node in nodes {
                self.people[person].read(&node, self.now, &mut self.ledger);
            }
        }
        self.run_for(30 * SECOND);
    }

    /// Everybody goes, in one way or another, for good.
    pub fn leave(&mut self) {
        for person in 0..self.people.len() {
            if self.chance.happens(500) {
                self.people[person].say_goodbye();
            } else {
                self.cut(person);
            }
            self.people[person].comeback = Some(u64::MAX);
        }
        self.run_for(600 * SECOND);
    }

    /// Removes every account, and with it all that it owned: the tables must be empty then.
    pub fn forget_everybody(&mut self) -> Vec<String> {
        let mut faults = Vec::new();
        for index in 0..self.people.len() {
            let account = BareJid::parse(&person::bare(index)).expect("an address");
            let request = AdminRequest::RemoveAccount { account };
            let (disk, chance) = (&mut self.disk, &mut self.chance);
            if let Err(why) = self.hub.administer(request, disk, self.now, chance) {
                faults.push(format!("account {index} is not removed: {why}"));
            }
        }
        for (table, rows) in self.disk.rows() {
            if rows != 0 {
                faults.push(format!("left behind: {rows} rows in {table}"));
            }
        }
        faults
    }

    /// The hub of now.
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The disk.
    pub const fn disk(&self) -> &Disk {
        &self.disk
    }

    /// A digest of all bytes that were delivered and when: equal for equal worlds.
    pub const fn trace(&self) -> u64 {
        self.trace
    }

    /// How to get this world again.
    pub fn name(&self) -> String {
        format!(
            "LEVERET_SEED={} at {:.6} s",
            self.seed,
            self.now as f64 / SECOND as f64
        )
    }

    /// Lets time pass.
    pub fn run_for(&mut self, micros: u64) {
        self.run_until(self.now + micros);
    }

    fn run_until(&mut self, end: u64) {
        self.flush();
        while let Some(next) = self.next_event().filter(|at| *at <= end) {
            self.now = self.now.max(next);
            self.step();
            self.steps += 1;
            assert!(self.steps < STEPS_MAX, "{}: no rest", self.name());
        }
        self.now = end;
    }

    fn next_event(&self) -> Option<u64> {
        let wires = self.links.iter().enumerate().flat_map(|(id, link)| {
            let hub = self.hub.reads(id).then(|| link.to_hub.next_arrival());
            let due = self.hub.is_due(id, link.to_client.in_flight());
            [
                hub.flatten(),
                due.then_some(self.now),
                link.to_client.next_arrival(),
            ]
        });
        let people = self.people.iter().flat_map(|person| {
            let comeback = person.comeback.filter(|at| *at != u64::MAX);
            [person.next_act, comeback]
        });
        wires
            .chain(people)
            .chain([self.hub.next_event(), self.disk.next_event()])
            .flatten()
            .min()
    }

    fn step(&mut self) {
        for id in 0..self.links.len() {
            self.deliver_to_hub(id);
            self.deliver_to_client(id);
        }
        self.hub
            .router_turn(&mut self.disk, self.now, &mut self.chance);
        for id in self.hub.connections() {
            self.turn(id);
        }
        for index in 0..self.people.len() {
            let person = &mut self.people[index];
            if person.comeback.take_if(|at| *at <= self.now).is_some() {
                self.sign_in(index);
            }
            let person = &mut self.people[index];
            if person.next_act.take_if(|at| *at <= self.now).is_some() {
                self.act(index);
                self.plan(index);
            }
        }
        self.flush();
    }

    fn deliver_to_hub(&mut self, id: LinkId) {
        if !self.hub.reads(id) {
            return;
        }
        match self.links[id].to_hub.receive(self.now) {
            Some(Arrival::Bytes(bytes)) => {
                self.note(id, &bytes);
                self.hub
                    .input(id, &bytes, &mut self.disk, self.now, &mut self.chance);
            }
            Some(Arrival::End) => {
                self.hub
                    .lost(id, &mut self.disk, self.now, &mut self.chance);
            }
            None => return,
        }
        self.turn(id);
    }

    fn deliver_to_client(&mut self, id: LinkId) {
        let link = &mut self.links[id];
        let Some(arrival) = link.to_client.receive(self.now) else {
            return;
        };
        let index = link.person;
        if self.people[index].link != Some(id) {
            return;
        }
        match arrival {
            Arrival::Bytes(bytes) => {
                self.note(id, &bytes);
                self.people[index].input(&bytes, self.now, &mut self.ledger);
                if self.people[index].is_here() {
                    return;
                }
                // The stream is over; the client closes its end.
                self.links[id].to_hub.close(self.now);
                self.people[index].link = None;
            }
            Arrival::End => self.people[index].lost(self.now, &mut self.ledger),
        }
        let person = &mut self.people[index];
        if person.comeback != Some(u64::MAX) {
            person.comeback = Some(self.now + self.chance.between(50_000, 8 * SECOND));
        }
    }

    /// One turn of a connection of the hub.
    fn turn(&mut self, id: LinkId) {
        let in_flight = self.links[id].to_client.in_flight();
        let outward = self
            .hub
            .turn(id, in_flight, &mut self.disk, self.now, &mut self.chance);
        let link = &mut self.links[id];
        link.to_client
            .send(&outward.bytes, self.now, self.weather, &mut self.chance);
        if outward.close {
            link.to_client.close(self.now);
            self.ledger.give_up(id, self.now);
        }
    }

    /// Puts on the wires what clients have to say.
    fn flush(&mut self) {
        for person in &mut self.people {
            if let Some(id) = person.link {
                let bytes = person.take_output();
                let to_hub = &mut self.links[id].to_hub;
                to_hub.send(&bytes, self.now, self.weather, &mut self.chance);
            }
        }
    }

    fn sign_in(&mut self, index: usize) {
        if let Some(old) = self.people[index].link {
            // It gave up on the old link, which may not know it.
            self.links[old].to_client.cut(None, &mut self.chance);
            self.links[old].to_hub.cut(None, &mut self.chance);
            self.people[index].lost(self.now, &mut self.ledger);
        }
        let id = self.links.len();
        self.links.push(Link {
            person: index,
            to_hub: Pipe::default(),
            to_client: Pipe::default(),
        });
        self.hub.accept(id, self.now, &mut self.chance);
        self.people[index].sign_in(id, &mut self.chance);
    }

    fn plan(&mut self, index: usize) {
        let pause = self.chance.between(10_000, 2 * SECOND);
        self.people[index].next_act = self.chaos.then(|| self.now + pause);
    }

    /// Something that people and fate do.
    fn act(&mut self, index: usize) {
        if !self.people[index].can_act(&self.ledger) {
            return;
        }
        let logs = self.logs();
        let (now, ledger) = (self.now, &mut self.ledger);
        match self.chance.between(0, 99) {
            0..15 => self.people[index].upheave(now, &mut self.chance, ledger),
            15..40 => {
                let node = &logs[self.chance.index(logs.len())];
                for _ in 0..self.chance.between(1, 3) {
                    self.people[index].publish(node, now, ledger);
                }
            }
            40..55 => {
                let node = self.state_of(index);
                self.people[index].publish(&node, now, &mut self.ledger);
            }
            55..72 => {
                let others = self.people.len() - 1;
                let to = (index + 1 + self.chance.index(others)) % self.people.len();
                for _ in 0..self.chance.between(1, 3) {
                    self.people[index].say(to, now, ledger);
                }
            }
            72..80 => {
                let shows = ["", "away", "dnd", "xa", "chat"];
                let show = shows[self.chance.index(shows.len())];
                self.people[index].announce(show);
            }
            80..88 => {
                let node = &logs[self.chance.index(logs.len())];
                self.people[index].read(node, now, ledger);
            }
            88..92 => {
                if let Some(link) = self.people[index].link {
                    let until = now + self.chance.between(0, 5 * SECOND);
                    self.links[link].to_client.stall(until);
                }
            }
            92..95 => self.people[index].say_goodbye(),
            _ => self.cut(index),
        }
    }

    /// Cuts a link, with what is on it. The hub learns it soon, or not at all.
    fn cut(&mut self, index: usize) {
        self.flush();
        let Some(id) = self.people[index].link else {
            return;
        };
        let soon = self.now + self.chance.between(0, SECOND);
        let silent = self.chance.happens(300);
        let link = &mut self.links[id];
        link.to_hub.cut((!silent).then_some(soon), &mut self.chance);
        let told = self.now + self.chance.between(0, SECOND);
        link.to_client.cut(Some(told), &mut self.chance);
    }

    /// The hub's power fails, and it starts again on what is on the disk.
    fn crash(&mut self) {
        self.flush();
        self.ledger.crashes.push(self.now);
        for id in self.hub.connections() {
            let told = self.now + self.chance.between(0, SECOND);
            self.links[id].to_client.cut(Some(told), &mut self.chance);
            self.links[id].to_hub.cut(None, &mut self.chance);
            self.ledger.give_up(id, self.now);
        }
        self.disk.crash();
        self.hub = Hub::start(&mut self.disk, self.now, &mut self.chance);
    }

    fn note(&mut self, id: LinkId, bytes: &[u8]) {
        let mut digest = self.trace ^ self.now.rotate_left(17) ^ (id as u64).rotate_left(41);
        for byte in bytes {
            digest = (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self.trace = digest;
    }
}

/// An account; its keys are derived once for all worlds.
fn account(index: usize) -> Account {
    static KEYS: OnceLock<Vec<Credentials>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let people = usize::try_from(PEOPLE_MAX).unwrap_or_default();
        (0..people).map(keys).collect()
    });
    Account {
        jid: BareJid::parse(&person::bare(index)).expect("an address"),
        role: Role::Device,
        enabled: true,
        credentials: keys[index].clone(),
        created: now_of(0).wall,
        last_seen: None,
    }
}

fn keys(index: usize) -> Credentials {
    let salt = [u8::try_from(index).unwrap_or_default(); 16];
    let password = Password::prepare(&person::password(index)).expect("a password");
    let how = Derivation {
        // With a fast verifier, PLAIN costs no key derivation at each of thousands of sign-ins.
        generated_secret_salt: Some(salt),
        ..Derivation::with_salts(salt, salt)
    };
    Credentials::derive(&password, &how)
}
