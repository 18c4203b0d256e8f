//! The hub of a world: the real router and real XMPP sessions, driven as the shell drives them, in one thread.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

use leveret_engine::{
    access::{AccessRules, Actions, Rule, Who},
    address::BareJid,
    class::ClassRules,
    command::{AdminReply, AdminRequest, Answer, Command, Reply, RouterStatus, SessionId, Token},
    history::HistoryRules,
    limits::Limits,
    mailbox::{Entry, Mailbox, MailboxBudget},
    router::{Router, RouterSettings},
    time::{Instant, Now, Timestamp},
    xmpp::{
        output::{Action, Output, Work},
        session::{LinkSecurity, XmppSession, XmppShared},
        xml::Tree,
    },
};

use super::{DOMAIN, SERVICE, chance::Chance, disk::Disk};

/// Bytes on a wire beyond which the hub's socket takes no more.
const SOCKET_BYTES_MAX: usize = 4_096;
/// Entries taken from a mailbox at a time.
const ENTRIES_MAX: u64 = 8;
/// Password work takes at most so long, in microseconds.
const WORK_MICROS_MAX: u64 = 30_000;

/// A link, by number.
pub type LinkId = usize;

/// What a turn of a connection gives to its wire.
#[derive(Debug, Default)]
pub struct Outward {
    /// Bytes for the peer.
    pub bytes: Vec<u8>,
    /// The hub closes the link after them.
    pub close: bool,
}

/// The hub between two crashes.
pub struct Hub {
    router: Router,
    shared: Arc<XmppShared>,
    connections: BTreeMap<LinkId, Connection>,
    tree: Tree,
    output: Output,
    /// More deliveries wait for a slice (S7).
    more_work: bool,
}

struct Connection {
    session: XmppSession,
    id: Option<SessionId>,
    mail: Arc<Flag>,
    work: Option<(u64, Work)>,
}

/// A waker that says so.
#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Both clocks of the engine, from the world's.
pub fn now_of(micros: u64) -> Now {
    /// 2026-01-01T00:00:00Z.
    const START_MICROS: i64 = 1_767_225_600_000_000;
    let since = i64::try_from(micros).unwrap_or(i64::MAX);
    Now {
        mono: Instant::from_micros(micros),
        wall: Timestamp::from_micros(START_MICROS.saturating_add(since)),
        wall_trusted: true,
    }
}

impl Hub {
    /// Starts on what the disk holds.
    pub fn start(disk: &mut Disk, now: u64, chance: &mut Chance) -> Self {
        let limits = Limits {
            // A cut client comes back at once, again and again: not a flood, and not what is tested here.
            failed_logins_per_minute: u32::MAX,
            // In half of the worlds a node leaves memory as soon as it may.
            node_cache: match chance.happens(500) {
                true => 1,
                false => Limits::default().node_cache,
            },
            ..Limits::default()
        };
        let budget = MailboxBudget::new(
            limits.mailbox_events,
            limits.mailbox_bytes,
            limits.mailbox_memory,
        );
        let domain = BareJid::parse(DOMAIN).expect("a domain");
        let service = BareJid::parse(SERVICE).expect("a domain");
        let everybody = Rule::new(Who::All, Actions::ALL, "#", true).expect("a rule");
        let router = Router::new(RouterSettings {
            domain: domain.clone(),
            service: service.clone(),
            access: AccessRules::new(vec![everybody]),
            classes: ClassRules::default(),
            history: HistoryRules::default(),
            roster_groups: Default::default(),
            limits: limits.clone(),
            registration: false,
            seed: chance.bytes(),
            budget: Arc::clone(&budget),
        });
        let shared = XmppShared {
            domain,
            service,
            limits,
            require_tls: false,
            registration: false,
            tls_available: false,
            decoy_secret: [7; 32],
            known_passwords: Arc::new(leveret_engine::credentials::KnownPasswords::new([7; 32])),
            software: "leveret",
            version: "world",
            contacts: Default::default(),
            budget,
            started: now_of(now),
        };
        let mut hub = Self {
            router,
            shared: Arc::new(shared),
            connections: BTreeMap::new(),
            tree: Tree::default(),
            output: Output::default(),
            more_work: false,
        };
        hub.after_router(disk, now, chance);
        hub
    }

    /// Accepts a link.
    pub fn accept(&mut self, link: LinkId, now: u64, chance: &mut Chance) {
        let shared = Arc::clone(&self.shared);
        let session = XmppSession::new(
            shared,
            LinkSecurity::Plain,
            None,
            chance.bytes(),
            now_of(now),
        );
        self.connections.insert(
            link,
            Connection {
                session,
                id: None,
                mail: Arc::default(),
                work: None,
            },
        );
    }

    /// Whether the connection reads now: what it does not read waits on the wire.
    pub fn reads(&self, link: LinkId) -> bool {
        self.connections.get(&link).is_some_and(|connection| {
            connection.work.is_none()
                && connection.session.wants_input()
                && !connection.id.is_some_and(|id| self.router.is_congested(id))
        })
    }

    /// Bytes from a peer.
    pub fn input(
        &mut self,
        link: LinkId,
        bytes: &[u8],
        disk: &mut Disk,
        now: u64,
        chance: &mut Chance,
    ) {
        if let Some(connection) = self.connections.get_mut(&link) {
            connection
                .session
                .handle_input(bytes, &mut self.tree, now_of(now), &mut self.output);
        }
        self.submit(link, disk, now, chance);
    }

    /// The peer's end of the link is gone.
    pub fn lost(&mut self, link: LinkId, disk: &mut Disk, now: u64, chance: &mut Chance) {
        if let Some(connection) = self.connections.get_mut(&link) {
            connection
                .session
                .handle_link_lost(now_of(now), &mut self.output);
        }
        self.submit(link, disk, now, chance);
    }

    /// One turn of a connection: timers, finished work, mail as far as its socket has room (`in_flight`).
    pub fn turn(
        &mut self,
        link: LinkId,
        in_flight: usize,
        disk: &mut Disk,
        now: u64,
        chance: &mut Chance,
    ) -> Outward {
        let clock = now_of(now);
        if let Some(connection) = self.connections.get_mut(&link) {
            if connection.work.as_ref().is_some_and(|(at, _)| *at <= now)
                && let Some((_, work)) = connection.work.take()
            {
                connection
                    .session
                    .handle_work((work.0)(), clock, &mut self.output);
            }
            if connection
                .session
                .next_deadline()
                .is_some_and(|at| at <= clock.mono)
            {
                connection.session.handle_timeout(clock, &mut self.output);
            }
        }
        self.submit(link, disk, now, chance);
        if let Some(connection) = self.connections.get_mut(&link)
            && in_flight + self.output.bytes.len() < SOCKET_BYTES_MAX
            && connection.mail.0.load(Ordering::Relaxed)
            && let Some(mailbox) = connection.session.mailbox().map(Arc::clone)
        {
            let mut entries = Vec::new();
            let most = usize::try_from(chance.between(1, ENTRIES_MAX)).unwrap_or(1);
            // The mailbox keeps the waker only if it is empty now: else there is more, and the flag stays up.
            connection.mail.0.store(false, Ordering::Relaxed);
            mailbox.take(
                most,
                &mut entries,
                &Waker::from(Arc::clone(&connection.mail)),
            );
            if !mailbox.is_empty() {
                connection.mail.0.store(true, Ordering::Relaxed);
            }
            connection
                .session
                .handle_entries(&mut entries, clock, &mut self.output);
        }
        self.submit(link, disk, now, chance);
        let mut outward = Outward {
            bytes: std::mem::take(&mut self.output.bytes),
            close: false,
        };
        for action in std::mem::take(&mut self.output.actions) {
            match action {
                Action::Work(work) => {
                    let at = now + chance.between(0, WORK_MICROS_MAX);
                    if let Some(connection) = self.connections.get_mut(&link) {
                        connection.work = Some((at, work));
                    }
                }
                Action::Close(_) => outward.close = true,
                Action::StartTls => unreachable!("TLS is not offered"),
            }
        }
        if outward.close {
            self.connections.remove(&link);
        }
        outward
    }

    /// Whether a connection has something to do now.
    pub fn is_due(&self, link: LinkId, in_flight: usize) -> bool {
        self.connections.get(&link).is_some_and(|connection| {
            in_flight < SOCKET_BYTES_MAX && connection.mail.0.load(Ordering::Relaxed)
        })
    }

    /// When something happens by itself.
    pub fn next_event(&self) -> Option<u64> {
        let sessions = self.connections.values().flat_map(|connection| {
            let deadline = connection.session.next_deadline().map(Instant::micros);
            [deadline, connection.work.as_ref().map(|(at, _)| *at)]
        });
        let router = self.router.next_deadline().map(Instant::micros);
        let work = self.more_work.then_some(0);
        sessions.chain([router, work]).flatten().min()
    }

    /// The router's own turn: its timers, one slice of deliveries, and what the disk has to say.
    pub fn router_turn(&mut self, disk: &mut Disk, now: u64, chance: &mut Chance) {
        let clock = now_of(now);
        if self
            .router
            .next_deadline()
            .is_some_and(|at| at <= clock.mono)
        {
            self.router.handle_timeout(clock);
        }
        for response in disk.turn(now, chance) {
            self.router.handle_stored(response, clock);
        }
        self.more_work = self.router.work();
        self.after_router(disk, now, chance);
    }

    /// The router's counts.
    pub fn status(&self) -> RouterStatus {
        self.router.status()
    }

    /// Connections that are there.
    pub fn connections(&self) -> Vec<LinkId> {
        self.connections.keys().copied().collect()
    }

    /// Bytes in all mailboxes.
    pub fn mailbox_memory(&self) -> usize {
        self.shared.budget.memory()
    }

    /// Entries that were superseded or dropped.
    pub fn dropped(&self) -> u64 {
        self.shared.budget.dropped()
    }

    /// Asks something of the administration, and waits for the answer.
    pub fn administer(
        &mut self,
        request: AdminRequest,
        disk: &mut Disk,
        now: u64,
        chance: &mut Chance,
    ) -> Result<Option<AdminReply>, String> {
        let mailbox = Mailbox::new(Arc::clone(&self.shared.budget));
        let id = self.router.open(Arc::clone(&mailbox), None);
        let mut answers = Vec::new();
        for command in [Command::AttachOperator, Command::Admin(Box::new(request))] {
            let clock = now_of(now);
            self.router.handle(id, Token::default(), command, clock);
            self.after_router(disk, now, chance);
            // The clock stands still: only the disk works.
            for later in 0..1_000 {
                self.router_turn(disk, now + later * 1_000_000, chance);
            }
            mailbox.take(usize::MAX, &mut answers, Waker::noop());
        }
        let end = Command::Detach(leveret_engine::command::EndReason::Farewell);
        mailbox.close();
        self.router.handle(id, Token::default(), end, now_of(now));
        self.after_router(disk, now, chance);
        match answers.pop() {
            Some(Entry::Answer(answer)) => match *answer {
                Answer {
                    result: Ok(Reply::Admin(reply)),
                    ..
                } => Ok(Some(*reply)),
                Answer { result: Ok(_), .. } => Ok(None),
                Answer {
                    result: Err(refusal),
                    ..
                } => Err(format!("{refusal:?}")),
            },
            other => Err(format!("no answer: {other:?}")),
        }
    }

    /// Hands the commands of a connection to the router, as one batch.
    fn submit(&mut self, link: LinkId, disk: &mut Disk, now: u64, chance: &mut Chance) {
        if self.output.commands.is_empty() {
            return;
        }
        let Some(connection) = self.connections.get_mut(&link) else {
            self.output.commands.clear();
            return;
        };
        let id = match (connection.id, connection.session.mailbox()) {
            (Some(id), _) => id,
            (None, Some(mailbox)) => {
                let id = self.router.open(Arc::clone(mailbox), None);
                connection.id = Some(id);
                // Registers the waker.
                connection.mail.0.store(true, Ordering::Relaxed);
                id
            }
            // It asked and ended in one breath: the router never heard of it.
            (None, None) => {
                self.output.commands.clear();
                return;
            }
        };
        for (token, command) in self.output.commands.drain(..) {
            self.router.handle(id, token, command, now_of(now));
        }
        self.more_work |= self.router.work();
        self.after_router(disk, now, chance);
    }

    /// What the contract asks after every call of the router.
    fn after_router(&mut self, disk: &mut Disk, now: u64, chance: &mut Chance) {
        let (mut requests, mut wakes) = (Vec::new(), Vec::new());
        self.router.take_store_requests(&mut requests);
        disk.ask(&mut requests, now, chance);
        self.router.take_wakes(&mut wakes);
        wakes.into_iter().for_each(Waker::wake);
    }
}
