//! What everybody in a world did and saw, as a judge who stands outside would write it down.

use std::collections::BTreeMap;

/// One publish.
#[derive(Debug, Clone)]
pub struct Published {
    /// Where.
    pub node: String,
    /// Who, by number.
    pub by: usize,
    /// In which of its sessions, by number.
    pub session: usize,
    /// When it was sent.
    pub sent: u64,
    /// When it was answered with a result.
    pub answered: Option<u64>,
    /// The condition of the error that it was answered with.
    pub refused: Option<String>,
}

/// One chat message.
#[derive(Debug, Clone)]
pub struct Said {
    /// Who, by number.
    pub by: usize,
    /// To whom, by number.
    pub to: usize,
    /// When it was sent.
    pub sent: u64,
    /// The session of the sender, by number.
    pub session: usize,
    /// It came back, since the disk was full.
    pub bounced: bool,
}

/// One item taken back.
#[derive(Debug, Clone)]
pub struct Retracted {
    /// Which publish.
    pub publish: usize,
    /// When the question was sent.
    pub sent: u64,
    /// Whether the hub said that it is done.
    pub answered: bool,
}

/// One reading of all items of a node.
#[derive(Debug, Clone)]
pub struct Read {
    /// Where.
    pub node: String,
    /// When the first page was asked for.
    pub begun: u64,
    /// The publishes whose items were read, in order.
    pub found: Vec<usize>,
    /// Whether the last page came.
    pub done: bool,
}

/// How a session ended, as its client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The client said goodbye and heard it answered.
    Farewell,
    /// The link was cut, or the hub crashed or closed it.
    Cut,
}

/// One session from its bind to its end.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its full address.
    pub jid: String,
    /// When it was bound.
    pub began: u64,
    /// When its own presence came back: the hub knows that it is available.
    pub ready: Option<u64>,
    /// When and how it ended.
    pub ended: Option<(u64, Ending)>,
    /// Over which link it came.
    pub link: usize,
    /// When the hub gave up its end of the link: a link that broke in silence lives on there as a ghost.
    pub given_up: Option<u64>,
    /// Items it was told of, by node: publishes, in order of arrival.
    pub told: BTreeMap<String, Vec<usize>>,
    /// Messages it got, in order of arrival.
    pub heard: Vec<usize>,
    /// Who is available as far as it knows: the `<show/>` by full address.
    pub sees: BTreeMap<String, String>,
}

/// Everything.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By number; the number is what the item carries, and part of its id.
    pub published: Vec<Published>,
    /// By number; the number is the body.
    pub said: Vec<Said>,
    /// In order.
    pub reads: Vec<Read>,
    /// In order.
    pub retracted: Vec<Retracted>,
    /// By person, in order.
    pub sessions: Vec<Vec<Session>>,
    /// When the hub crashed.
    pub crashes: Vec<u64>,
    /// Whether the disk fails in this world, so that the hub may say that it cannot store.
    pub disk_fails: bool,
    /// What nobody should ever have seen.
    pub complaints: Vec<String>,
}

impl Ledger {
    /// Nobody did anything yet.
    pub fn new(people: usize) -> Self {
        Self {
            sessions: vec![Vec::new(); people],
            ..Self::default()
        }
    }

    /// The newest session of a person.
    pub fn session(&mut self, person: usize) -> Option<&mut Session> {
        self.sessions.get_mut(person)?.last_mut()
    }

    /// Whether an error of that condition is in order (S5).
    pub fn excuses(&self, condition: &str) -> bool {
        let cannot_store = ["resource-constraint", "temporary-auth-failure"];
        self.disk_fails && cannot_store.contains(&condition)
    }

    /// The hub gave up its end of a link.
    pub fn give_up(&mut self, link: usize, now: u64) {
        let mut sessions = self.sessions.iter_mut().flatten();
        if let Some(session) = sessions.find(|session| session.link == link) {
            session.given_up.get_or_insert(now);
        }
    }

    /// What a publish's item is called.
    pub fn item_id(number: usize) -> String {
        format!("item-{number}")
    }

    /// The publish of an item.
    pub fn publish_of(item: &str) -> Option<usize> {
        item.strip_prefix("item-")?.parse().ok()
    }
}
