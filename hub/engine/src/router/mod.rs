//! The router: the deterministic state machine that owns everything that sessions share.
//!
//! Commands, the store's answers and the time go in; entries in mailboxes, requests to the store and wakers come out. It has no
//! clock and does no I/O: the same inputs give the same outputs, which is what the simulation replays.
//!
//! Contract: after any `handle_*`, the shell hands [`take_store_requests`](Router::take_store_requests) to the store in order,
//! releases its lock, and wakes [`take_wakes`](Router::take_wakes); while [`work`](Router::work) says that more is left, it calls it
//! again when it has let others in.
//!
//! A command's way: `dispatch` asks `residency` whether all it needs is in memory, else parks it in its session's
//! `pipeline`; then a service decides; a change goes to `commit`, and once it is stored to the asker, and by `fanout` to the
//! world.

mod administration;
mod availability;
mod block_lists;
mod blocking;
mod bounce;
mod capabilities;
mod carbons;
mod commit;
mod components;
mod contacts;
mod cursor;
mod digest;
mod directory;
mod dispatch;
mod documents;
mod fanout;
mod hearing;
mod lease;
mod needs;
mod pipeline;
mod regroup;
mod relay;
mod residency;
mod roles;
mod roster_listing;
mod sessions;
mod shared_rosters;
mod showing;
mod stanzas;
mod stored;
mod sweep;
#[cfg(test)]
mod tests;
mod world;

use std::{collections::HashMap, net::IpAddr, sync::Arc, task::Waker, time::Duration};

use sha2::{Digest, Sha256};

use crate::{
    access::{AccessRules, Subject},
    address::BareJid,
    class::ClassRules,
    command::{Command, Cursor, EndReason, RouterStatus, SessionId, Token},
    effect::StoreRequest,
    history::HistoryRules,
    limits::Limits,
    mailbox::{Entry, Mailbox, MailboxBudget},
    refusal::{Reason, Refusal},
    roster_group::RosterGroups,
    service::{
        login_throttle::{LoginThrottle, RegistrationRate},
        pubsub::{Pubsub, PubsubSettings},
    },
    time::{Instant, Now},
};

use self::{
    capabilities::Capabilities, commit::Commits, components::Components, cursor::Cursors,
    directory::Directory, fanout::Fanout, fanout::Post, residency::Need, residency::Residency,
    shared_rosters::SharedRosters, stored::Asked, sweep::Sweep, world::World,
};

/// After how long the store is asked again for what cannot be done without: the start, and who is to hear farewells.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// What the router is told once.
pub struct RouterSettings {
    /// The domain that it serves: every account is of it.
    pub domain: BareJid,
    /// The address of the pubsub service.
    pub service: BareJid,
    /// Who may do what, where.
    pub access: AccessRules,
    /// Which node has which delivery class.
    pub classes: ClassRules,
    /// How much of their past nodes keep.
    pub history: HistoryRules,
    /// Which accounts see which without a handshake.
    pub roster_groups: RosterGroups,
    /// Every bound.
    pub limits: Limits,
    /// Whether strangers may make accounts (XEP-0077).
    pub registration: bool,
    /// Fresh random bytes: all that the router makes up comes from them.
    pub seed: [u8; 32],
    /// The bounds that all mailboxes share.
    pub budget: Arc<MailboxBudget>,
}

/// What may be told anew while it runs, as in [`RouterSettings`].
#[allow(missing_docs, reason = "the names are those of the settings")]
pub struct Reloaded {
    pub access: AccessRules,
    pub classes: ClassRules,
    pub history: HistoryRules,
    pub roster_groups: RosterGroups,
    pub limits: Limits,
    pub registration: bool,
}

/// See the [module](self).
pub struct Router {
    domain: BareJid,
    service: BareJid,
    limits: Limits,
    registration: bool,
    budget: Arc<MailboxBudget>,
    random: Random,
    directory: Directory,
    residency: Residency,
    commits: Commits,
    fanout: Fanout,
    post: Post,
    cursors: Cursors,
    capabilities: Capabilities,
    sweep: Sweep,
    pubsub: Pubsub,
    throttle: LoginThrottle,
    registrations: RegistrationRate,
    /// Questions that the store has not answered, and what to do then.
    asked: HashMap<u64, Asked>,
    questions: u64,
    /// Sessions that wait for a load.
    waiting: HashMap<Need, Vec<SessionId>>,
    /// Farewells that wait for a roster.
    farewells: HashMap<BareJid, Vec<availability::Farewell>>,
    /// Rosters with shared contacts that are being put together.
    listings: HashMap<SessionId, roster_listing::Listing>,
    listings_made: u64,
    requests: Vec<StoreRequest>,
    asks: u64,
    booted: bool,
    store_retry: Option<Instant>,
    /// When the store is asked for leases that are over.
    lease_sweep: Option<Instant>,
    started: Option<Instant>,
    stopping: bool,
    counts: RouterStatus,
    /// The time of the entry that is being handled.
    now: Now,
}

impl Router {
    /// A router that knows nobody. Its first request asks the store for what a start needs; commands wait until then.
    pub fn new(settings: RouterSettings) -> Self {
        let random = Random::new(settings.seed);
        let shared = SharedRosters::new(
            settings.roster_groups,
            settings.access.name_groups(),
            random.derive("roster"),
        );
        let pubsub = Pubsub::new(PubsubSettings {
            service: settings.service.clone(),
            access: settings.access,
            classes: settings.classes,
            history: settings.history,
            limits: settings.limits.clone(),
            id_secret: random.derive("pubsub"),
        });
        let directory = Directory::new(settings.service.clone());
        let mut router = Self {
            registrations: RegistrationRate::new(&settings.domain),
            throttle: LoginThrottle::new(settings.limits.failed_logins_per_minute),
            domain: settings.domain,
            service: settings.service,
            limits: settings.limits,
            registration: settings.registration,
            budget: settings.budget,
            random,
            directory,
            residency: Residency::new(shared),
            commits: Commits::default(),
            fanout: Fanout::default(),
            post: Post::default(),
            cursors: Cursors::default(),
            capabilities: Capabilities::default(),
            sweep: Sweep::default(),
            pubsub,
            asked: HashMap::new(),
            questions: 0,
            waiting: HashMap::new(),
            farewells: HashMap::new(),
            listings: HashMap::new(),
            listings_made: 0,
            requests: Vec::new(),
            asks: 0,
            booted: false,
            store_retry: None,
            lease_sweep: None,
            started: None,
            stopping: false,
            counts: RouterStatus::default(),
            now: Now::default(),
        };
        router.load(&Need::Boot);
        router
    }

    /// A session without account; what it is told goes to `mailbox`.
    pub fn open(&mut self, mailbox: Arc<Mailbox>, peer: Option<IpAddr>) -> SessionId {
        let id = self.directory.open(mailbox, peer, self.now.mono);
        if self.stopping {
            self.post.end(&self.directory, id, EndReason::Shutdown);
        }
        id
    }

    /// Carries out a command, now or when what it needs is here.
    pub fn handle(&mut self, session: SessionId, token: Token, command: Command, now: Now) {
        self.enter(now);
        self.submit(session, token, command);
        self.leave();
    }

    /// Whether the session has so much under way that its connection should stop reading (S6). When that is over, the mailbox
    /// gets an entry that wakes the connection.
    pub fn is_congested(&self, session: SessionId) -> bool {
        let pipeline = self
            .directory
            .get(session)
            .and_then(|session| session.pipeline.as_deref());
        pipeline.is_some_and(pipeline::Pipeline::is_congested) || self.fanout.is_congested(session)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.enter(now);
        if self.store_retry.take_if(|at| *at <= now.mono).is_some() {
            self.load_again();
        }
        self.retry_cursors();
        self.see_to_leases();
        while let Some(jobs) = self.post.digests.take_due(now.mono) {
            for job in jobs {
                fanout::at_once(&job, &self.directory, &mut self.post);
            }
        }
        self.give_up_questions();
        self.sweep_on();
        self.leave();
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        let retry = self.cursors.next_deadline();
        let digest = self.post.digests.next_deadline();
        let questions = self.capabilities.next_deadline();
        let lease = self.lease_deadline();
        let all = [
            self.store_retry,
            retry,
            digest,
            questions,
            lease,
            self.sweep.deadline(),
        ];
        all.into_iter().flatten().min()
    }

    /// Makes one slice of the deliveries under way (S7); true if more is left.
    pub fn work(&mut self) -> bool {
        let more = self.fanout.work(&self.directory, &mut self.post);
        self.leave();
        more
    }

    /// Moves what the store is to do to `into`, in order.
    pub fn take_store_requests(&mut self, into: &mut Vec<StoreRequest>) {
        into.append(&mut self.requests);
    }

    /// Moves the wakers of connections whose mailboxes turned from empty to not to `into`; to be woken without the lock.
    pub fn take_wakes(&mut self, into: &mut Vec<Waker>) {
        into.append(&mut self.post.wakes);
    }

    /// Takes new bounds and rules (SIGHUP). Subscriptions that the rules now forbid end (S13), as far as their accounts have
    /// been here: the role of one that never was is not known, and it is judged when it comes.
    pub fn reload(&mut self, settings: Reloaded, now: Now) {
        let Reloaded {
            access,
            classes,
            history,
            roster_groups,
            limits,
            registration,
        } = settings;
        self.enter(now);
        self.residency.shared.set_in_access(access.name_groups());
        self.regroup(roster_groups);
        self.registration = registration;
        self.directory.hearing_of_all_changed();
        self.budget.set(
            limits.mailbox_events,
            limits.mailbox_bytes,
            limits.mailbox_memory,
        );
        self.throttle
            .set_per_minute(limits.failed_logins_per_minute);
        self.limits = limits.clone();
        let components = abroad(&self.directory.components);
        let subject =
            |jid: &BareJid| subject(&self.residency.shared, jid).or_else(|| components(jid));
        let mut world = World {
            directory: &mut self.directory,
            residency: &self.residency,
        };
        let changes = self
            .pubsub
            .set_rules(access, classes, history, limits, &subject, &mut world);
        for change in changes {
            self.change(change, None);
        }
        self.leave();
    }

    /// What there is, as far as the router knows without asking the store.
    pub fn status(&self) -> RouterStatus {
        let pubsub = self.pubsub.status();
        let administrations = self.directory.all().filter(|(_, session)| session.operator);
        let (components, components_attached) = self.directory.components.count();
        RouterStatus {
            components,
            components_attached,
            nodes_resident: pubsub.nodes_resident,
            node_cache_bytes: pubsub.node_cache_bytes,
            items_published: pubsub.items_published,
            // The administration that asks is nobody's session.
            sessions: self.directory.len() - administrations.count(),
            deliveries: self.post.deliveries,
            failed_logins: self.throttle.failures(),
            ..self.counts
        }
    }

    /// Ends every session; later ones end as they are opened.
    pub fn shutdown(&mut self, now: Now) {
        self.enter(now);
        self.stopping = true;
        let all: Vec<_> = self.directory.all().map(|(id, _)| id).collect();
        for id in all {
            self.end_session(id, EndReason::Shutdown);
        }
        self.leave();
    }

    fn enter(&mut self, now: Now) {
        self.started.get_or_insert(now.mono);
        self.now = now;
        self.post.now = now.mono;
    }

    /// Ends what was found ended on the way, until nothing more is.
    fn leave(&mut self) {
        while let Some(id) = self.post.gone.pop() {
            self.detach(id, EndReason::Overflow);
        }
        let (commits, residency) = (&self.commits, &self.residency);
        self.pubsub
            .make_room(&|at| commits.is_under_way(at) || residency.is_pinned(at));
        let directory = &self.directory;
        self.residency.trim(directory.accounts_here(), |jid| {
            !directory.sessions(jid).is_empty()
        });
    }

    /// Whether the address is of an account of ours, as far as its form tells.
    fn is_ours(&self, jid: &BareJid) -> bool {
        jid.local().is_some() && jid.domain() == self.domain.as_str()
    }

    /// Whether the address is the hub itself or its service.
    fn is_hub(&self, jid: &BareJid) -> bool {
        *jid == self.domain || *jid == self.service
    }

    /// Tells a connection that it may read on, and lets go of an idle pipeline.
    fn relieve(&mut self, id: SessionId) {
        let Some(session) = self.directory.get_mut(id) else {
            return;
        };
        let Some(pipeline) = &mut session.pipeline else {
            return;
        };
        let relieved = pipeline.take_relief();
        if pipeline.is_idle() {
            session.pipeline = None;
        }
        if relieved {
            self.post
                .push(&self.directory, id, Entry::Continue(Cursor::NUDGE));
        }
    }
}

/// An account as the rules see it.
fn subject(shared: &SharedRosters, jid: &BareJid) -> Option<Subject> {
    let role = *shared.roles.get(jid)?;
    Some(Subject {
        jid: jid.clone(),
        role,
        groups: shared.names_of(jid, role),
        component: false,
    })
}

/// Addresses of components as the rules see them.
fn abroad(components: &Components) -> impl Fn(&BareJid) -> Option<Subject> + use<> {
    let roles = components.roles();
    move |jid| {
        let role = *roles.get(jid.domain())?;
        Some(components::subject(jid, role))
    }
}

/// S5: what is said where the store could not do it.
fn store_failed() -> Refusal {
    Refusal::new(Reason::ResourceConstraint).say("the hub cannot store anything at the moment")
}

/// Unguessable names, reproducible from the seed.
struct Random {
    seed: [u8; 32],
    made: u64,
}

impl Random {
    const fn new(seed: [u8; 32]) -> Self {
        Self { seed, made: 0 }
    }

    /// A secret of its own for one purpose.
    fn derive(&self, purpose: &str) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.seed)
            .chain_update(purpose)
            .finalize()
            .into()
    }

    /// 96 bits, in sixteen letters, digits, `-` and `_`.
    fn name(&mut self) -> String {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        self.made += 1;
        let bytes = Sha256::new()
            .chain_update(self.seed)
            .chain_update(self.made.to_be_bytes())
            .finalize();
        URL_SAFE_NO_PAD.encode(&bytes[..12])
    }
}
