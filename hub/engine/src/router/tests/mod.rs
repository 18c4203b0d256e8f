//! The router with a synchronous store in memory, and sessions that are lists.

mod accounts;
mod blocking;
mod carbons;
mod components;
mod cursors;
mod documents;
mod groups;
mod hostile;
mod messages;
mod nodes;
mod order;
mod personal;
mod presence;
mod pubsub;
mod regroup;
mod rosters;
mod store;
mod subscriptions;

use std::{collections::HashMap, sync::Arc, task::Waker};

use self::store::FakeStore;
use super::*;
use crate::{
    account::Role,
    address::{FullJid, Jid},
    command::{AdminRequest, Answer, Reply, Transport},
    credentials::{Credentials, Derivation, Password},
    event::{Event, What},
    message::{Handshake, Hints, Iq, IqKind, Message, MessageKind, Presence, PresenceKind, Show},
    node::NodeAddress,
    time::Timestamp,
};

fn bare(name: &str) -> BareJid {
    BareJid::new(name, "localhost").unwrap()
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

/// Some keys; derived once, since that takes milliseconds.
fn keys() -> Credentials {
    static KEYS: std::sync::LazyLock<Credentials> = std::sync::LazyLock::new(|| {
        Credentials::derive(
            &Password::prepare("secret").unwrap(),
            &Derivation::with_salts([1; 16], [2; 16]),
        )
    });
    KEYS.clone()
}

fn settings() -> RouterSettings {
    RouterSettings {
        domain: BareJid::parse("localhost").unwrap(),
        service: BareJid::parse("pubsub.localhost").unwrap(),
        access: AccessRules::new(Vec::new()),
        classes: ClassRules::default(),
        history: HistoryRules::default(),
        roster_groups: RosterGroups::default(),
        limits: Limits {
            offline_messages: 200,
            sessions_per_account: 4,
            roster_items: 20_000,
            ..Limits::default()
        },
        registration: true,
        seed: [7; 32],
        budget: MailboxBudget::new(1_000, 1 << 20, 128 << 20),
    }
}

fn reloaded(settings: RouterSettings) -> Reloaded {
    Reloaded {
        access: settings.access,
        classes: settings.classes,
        history: settings.history,
        roster_groups: settings.roster_groups,
        limits: settings.limits,
        registration: settings.registration,
    }
}

/// A hub in a box: what sessions ask is carried out at once, unless the store is held.
struct World {
    router: Router,
    store: FakeStore,
    now: Now,
    mailboxes: HashMap<SessionId, Arc<Mailbox>>,
    asked: u32,
    /// Whether [`World::hear`] asks for what waits behind a cursor.
    drains: bool,
}

impl World {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: RouterSettings) -> Self {
        Self::on(settings, FakeStore::default())
    }

    /// A hub that starts on a store.
    fn on(settings: RouterSettings, store: FakeStore) -> Self {
        let now = Now {
            mono: Instant::from_secs(1_000),
            wall: Timestamp::from_micros(1_800_000_000_000_000),
            wall_trusted: true,
        };
        let mut world = Self {
            router: Router::new(settings),
            store,
            now,
            mailboxes: HashMap::new(),
            asked: 0,
            drains: true,
        };
        world.settle();
        world
    }

    /// Hands requests to the store and its answers back, until nothing moves.
    fn settle(&mut self) {
        let mut requests = Vec::new();
        loop {
            while self.router.work() {}
            self.router.take_store_requests(&mut requests);
            for request in requests.drain(..) {
                self.store.take(request);
            }
            let responses = self.store.answer();
            if responses.is_empty() {
                break;
            }
            for response in responses {
                self.router.handle_stored(response, self.now);
            }
        }
    }

    /// The hub starts anew with other settings, on the same store.
    fn restart(&mut self, settings: RouterSettings) {
        let store = std::mem::take(&mut self.store);
        let asked = self.asked;
        *self = Self {
            asked,
            ..Self::on(settings, store)
        };
    }

    fn pass(&mut self, secs: u64) {
        self.now.mono = self.now.mono + Duration::from_secs(secs);
        self.now.wall = Timestamp::from_micros(self.now.wall.micros() + secs as i64 * 1_000_000);
    }

    /// New bounds, as by a SIGHUP.
    fn limit(&mut self, change: impl FnOnce(&mut Limits)) {
        let mut settings = settings();
        change(&mut settings.limits);
        self.reload(settings);
    }

    /// A SIGHUP.
    fn reload(&mut self, settings: RouterSettings) {
        self.router.reload(reloaded(settings), self.now);
        self.settle();
    }

    /// A node leaves memory.
    fn evict(&mut self, at: &NodeAddress) {
        self.router.pubsub.unload(at);
    }

    fn account(&mut self, name: &str) {
        self.store.add_account(&bare(name), Role::Device);
    }

    fn open(&mut self) -> SessionId {
        let mailbox = Mailbox::new(Arc::clone(&self.router.budget));
        let id = self
            .router
            .open(Arc::clone(&mailbox), Some([127, 0, 0, 1].into()));
        self.mailboxes.insert(id, mailbox);
        id
    }

    /// Hands a command in; returns the number that its answer will have.
    fn ask(&mut self, id: SessionId, command: Command) -> u32 {
        self.asked += 1;
        let token = Token {
            kind: self.asked,
            ..Token::default()
        };
        self.router.handle(id, token, command, self.now);
        self.settle();
        self.asked
    }

    /// Hands a command in and takes its answer; everything else that is waiting is thrown away.
    fn request(&mut self, id: SessionId, command: Command) -> Result<Reply, Refusal> {
        let number = self.ask(id, command);
        let entries = self.entries(id);
        let answer = entries.into_iter().find_map(|entry| match entry {
            Entry::Answer(answer) if answer.token.kind == number => Some(answer.result),
            _ => None,
        });
        answer.expect("an answer")
    }

    fn attach(&mut self, name: &str, resource: &str) -> Result<SessionId, Refusal> {
        let id = self.open();
        let attach = Command::Attach {
            account: bare(name),
            resource: Some(resource.into()),
            transport: Transport {
                protocol: "xmpp",
                peer: None,
                tls: true,
                mechanism: "PLAIN",
            },
        };
        self.request(id, attach).map(|_| id)
    }

    /// A session that asked for its roster and is available with `priority`.
    fn online(&mut self, name: &str, resource: &str, priority: i8) -> SessionId {
        let id = self.connected(name, resource);
        self.request(id, Command::GetRoster { version: None })
            .unwrap();
        self.announce(id, priority);
        id
    }

    fn connected(&mut self, name: &str, resource: &str) -> SessionId {
        self.account_if_new(name);
        self.attach(name, resource).unwrap()
    }

    fn account_if_new(&mut self, name: &str) {
        if !self.store.has_account(&bare(name)) {
            self.account(name);
        }
    }

    fn announce(&mut self, id: SessionId, priority: i8) {
        self.ask(id, Command::Announce(available(priority)));
    }

    fn handshake(&mut self, id: SessionId, to: &str, kind: Handshake) {
        self.ask(
            id,
            Command::Handshake {
                to: jid(to),
                kind,
                id: Some("h1".into()),
                lang: None,
                content: bytes::Bytes::new(),
            },
        );
    }

    /// Makes the two see each other, while neither is here.
    fn befriend(&mut self, one: &str, two: &str) {
        self.account_if_new(one);
        self.account_if_new(two);
        self.store.befriend(&bare(one), &bare(two));
        self.router.residency.forget(&bare(one));
        self.router.residency.forget(&bare(two));
    }

    fn entries(&mut self, id: SessionId) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.mailboxes[&id].take(usize::MAX, &mut entries, Waker::noop());
        entries
    }

    /// What the session was told, in words; its cursors are followed to their end.
    fn hear(&mut self, id: SessionId) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let entries = self.entries(id);
            if entries.is_empty() {
                return heard;
            }
            for entry in entries {
                match entry {
                    Entry::Continue(cursor) if self.drains && cursor != Cursor::NUDGE => {
                        self.ask(id, Command::Continue(cursor));
                    }
                    Entry::Continue(_) => heard.push("continue".into()),
                    Entry::Event { event, delay, .. } => {
                        let late = if delay.is_some() { " (delayed)" } else { "" };
                        heard.push(format!("{}{late}", words(&event)));
                    }
                    Entry::Answer(answer) => heard.push(answer_words(&answer)),
                    Entry::End(reason) => heard.push(format!("end: {reason:?}")),
                    Entry::Gone => {}
                }
            }
        }
    }

    /// Throws away what waits.
    fn hush(&mut self, ids: &[SessionId]) {
        for &id in ids {
            self.hear(id);
        }
    }

    fn operator(&mut self) -> SessionId {
        let id = self.open();
        self.request(id, Command::AttachOperator).unwrap();
        id
    }

    fn admin(&mut self, operator: SessionId, request: AdminRequest) -> Result<Reply, Refusal> {
        self.request(operator, Command::Admin(Box::new(request)))
    }
}

fn answer_words(answer: &Answer) -> String {
    match &answer.result {
        Ok(Reply::Done) => "done".into(),
        Ok(Reply::Roster {
            contacts: Some(contacts),
            shared,
            ..
        }) => format!("roster of {}", contacts.len() + shared.len()),
        Ok(Reply::Roster { contacts: None, .. }) => "roster unchanged".into(),
        Ok(_) => "answer".into(),
        Err(refusal) => format!("{:?}", refusal.reason),
    }
}

fn words(event: &Event) -> String {
    match &event.what {
        What::Message(message) if message.kind == MessageKind::Error => {
            let content = std::str::from_utf8(&message.content).unwrap();
            let condition = content
                .split(['<', ' '])
                .find(|word| word.contains('-'))
                .unwrap_or_default();
            format!("error from {}: {condition}", message.from)
        }
        What::Message(message) => {
            format!("message {}", std::str::from_utf8(&message.content).unwrap())
        }
        What::Iq(iq) if iq.kind == IqKind::Error => format!("iq error from {}", iq.from),
        What::Iq(iq) => format!("iq {} from {}", iq.kind.name(), iq.from),
        What::Presence(presence) => match presence.kind {
            PresenceKind::Available { .. } => format!("{} available", presence.from),
            PresenceKind::Unavailable => format!("{} unavailable", presence.from),
            PresenceKind::Error => format!("{} presence error", presence.from),
        },
        What::Subscription(stanza) => format!("{} from {}", stanza.kind.name(), stanza.from),
        What::Probe(probe) => format!("probe from {}", probe.from),
        What::Roster(push) => match &push.contact {
            Some(contact) => format!("push {} {}", push.jid, contact.subscription.name()),
            None => format!("push {} removed", push.jid),
        },
        What::BlockList(push) => {
            let word = if push.blocked { "blocked" } else { "unblocked" };
            let jids: Vec<_> = push.jids.iter().map(Jid::as_str).collect();
            format!("{word} {}", jids.join(" ")).trim_end().to_owned()
        }
        What::Carbon(carbon) => {
            let content = std::str::from_utf8(&carbon.message.content).unwrap();
            let error = carbon.message.kind == MessageKind::Error;
            let content = if error { "error" } else { content };
            format!("{:?} copy of {content}", carbon.way).to_lowercase()
        }
        What::Question(question) => {
            format!("question {} about {}", question.number, question.node)
        }
        What::Node(event) => format!("node {}", event.at.node),
    }
}

fn available(priority: i8) -> Presence {
    presence(
        PresenceKind::Available {
            show: Show::Online,
            priority,
        },
        None,
    )
}

fn unavailable(status: Option<&str>) -> Presence {
    presence(PresenceKind::Unavailable, status)
}

fn presence(kind: PresenceKind, status: Option<&str>) -> Presence {
    Presence {
        from: jid("forged@localhost/x"),
        kind,
        id: None,
        lang: None,
        status: status.map(Into::into),
        content: bytes::Bytes::new(),
        at: Timestamp::default(),
    }
}

fn message(to: &str, kind: MessageKind, text: &str) -> Command {
    Command::Send(Message {
        from: jid("forged@localhost/x"),
        to: jid(to),
        kind,
        id: Some("m1".into()),
        lang: None,
        content: text.to_owned().into(),
        hints: Hints {
            body: true,
            ..Hints::default()
        },
    })
}

fn iq(to: &str, kind: IqKind) -> Command {
    Command::Query(Iq {
        from: jid("forged@localhost/x"),
        to: jid(to),
        kind,
        id: "q1".into(),
        lang: None,
        content: bytes::Bytes::new(),
    })
}
