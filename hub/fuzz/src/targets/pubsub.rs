//! Two sessions and the router between them, with a store in memory that sometimes fails: whatever they say, both hear
//! well-formed XML, every question to pubsub is answered once, and nothing of them stays behind.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use leveret_engine::{
    access::AccessRules,
    account::{Account, Roster},
    address::BareJid,
    archive::{ArchiveEnd, ArchiveEntry, ArchivePage},
    class::ClassRules,
    history::HistoryRules,
    command::{Command, EndReason, PageInfo, SessionId},
    effect::{AccountCounts, StoreAnswer, StoreFault, StoreOp, StoreQuery, StoreRequest, StoreResponse},
    item::{Affiliation, Item, NodeRecord, PersonalNode},
    limits::Limits,
    mailbox::{Entry, MailboxBudget},
    message::Message,
    node::NodeAddress,
    router::{Router, RouterSettings},
    time::{Now, Timestamp},
    xmpp::{
        framing::Content,
        output::{Action, Output},
        session::{LinkSecurity, XmppSession, XmppShared},
        xml::Tree,
    },
};

use super::session::{AUTH, BIND, HEADER, assert_well_formed, juliet};

/// What clients say to pubsub and to each other.
pub const DICTIONARY: &[&str] = &[
    // Ends one session's turn: the other speaks next.
    "\0",
    "<presence/>",
    "<presence type='unavailable'/>",
    "<presence type='subscribe' to='juliet@localhost'/>",
    "<presence type='subscribed' to='juliet@localhost'/>",
    "<presence to='juliet@localhost/r'/>",
    "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='juliet@localhost'/></query></iq>",
    "<message to='juliet@localhost' type='chat'><body>x</body></message>",
    "<iq type='get' id='1' to='pubsub.localhost'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    "<iq type='get' id='1' to='pubsub.localhost'><query xmlns='http://jabber.org/protocol/disco#info' node='devices/juliet/t'/></iq>",
    "<iq type='set' id='1' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub'>",
    "<iq type='get' id='1' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub'>",
    "<iq type='set' id='1' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>",
    "<iq type='get' id='1' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>",
    "</pubsub></iq>",
    "<create node='devices/juliet/t'/>",
    "<publish node='devices/juliet/t'><item id='a'><t xmlns='urn:t'>1</t></item></publish>",
    "<publish node='devices/juliet/alarm'><item id='a'><t xmlns='urn:t'>1</t></item></publish>",
    "<retract node='devices/juliet/t' notify='1'><item id='a'/></retract>",
    "<subscribe node='devices/juliet/t' jid='juliet@localhost'/>",
    "<subscribe node='devices/juliet/t' jid='juliet@localhost/r'/>",
    "<subscribe node='devices/juliet/#' jid='juliet@localhost'/>",
    "<subscribe node='devices/juliet/+' jid='juliet@localhost/r'/>",
    "<unsubscribe node='devices/juliet/t' jid='juliet@localhost'/>",
    "<unsubscribe node='devices/juliet/#' jid='juliet@localhost'/>",
    "<items node='devices/juliet/t'/>",
    "<items node='devices/juliet/t' max_items='1'><item id='a'/></items>",
    "<subscriptions/>",
    "<affiliations/>",
    "<configure node='devices/juliet/t'/>",
    "<configure node='devices/juliet/t'><x xmlns='jabber:x:data' type='submit'>",
    "<field var='pubsub#access_model'><value>whitelist</value></field>",
    "<field var='pubsub#max_items'><value>1</value></field>",
    "<field var='pubsub#persist_items'><value>0</value></field>",
    "<field var='pubsub#notify_sub'><value>1</value></field>",
    "</x></configure>",
    "<delete node='devices/juliet/t'/>",
    "<purge node='devices/juliet/t'/>",
    "<affiliations node='devices/juliet/t'><affiliation jid='juliet@localhost' affiliation='owner'/></affiliations>",
    "<affiliations node='devices/juliet/t'><affiliation jid='romeo@localhost' affiliation='outcast'/></affiliations>",
    "<subscriptions node='devices/juliet/t'><subscription jid='juliet@localhost' subscription='none'/></subscriptions>",
    "<set xmlns='http://jabber.org/protocol/rsm'><max>1</max><before/></set>",
];

/// The first byte says how the store fares: each of its bits, in turn, whether a request fails.
pub fn run(data: &[u8]) {
    let [luck, bytes @ ..] = data else { return };
    let mut world = World::new();
    for _ in 0..2 {
        world.connect();
    }
    world.luck = *luck;
    for (turn, part) in bytes.split(|byte| *byte == 0).enumerate() {
        world.receive(turn % 2, part);
    }
    world.luck = 0;
    for at in 0..2 {
        world.hang_up(at);
    }
    assert_eq!(world.router.status().sessions, 0, "a session stays");
    for peer in &world.peers {
        assert_well_formed(Content::Client, &peer.said);
        assert_eq!(peer.owed, 0, "a question without its one answer");
    }
    let budget = Arc::clone(&world.shared.budget);
    drop(world);
    assert_eq!(budget.memory(), 0, "a mailbox forgot what it holds");
}

struct Peer {
    session: XmppSession,
    id: Option<SessionId>,
    said: Vec<u8>,
    /// Questions to pubsub less answers, while the session lives.
    owed: i64,
    closed: bool,
}

struct World {
    router: Router,
    store: Store,
    shared: Arc<XmppShared>,
    peers: Vec<Peer>,
    tree: Tree,
    now: Now,
    luck: u8,
}

impl World {
    fn new() -> Self {
        let domain = |name| BareJid::domain_only(name).expect("a domain");
        let budget = MailboxBudget::new(100, 1 << 18, 1 << 20);
        let limits = Limits {
            nodes_per_account: 8,
            subscriptions_per_account: 8,
            ..Limits::default()
        };
        let shared = XmppShared {
            domain: domain("localhost"),
            service: domain("pubsub.localhost"),
            limits: limits.clone(),
            require_tls: false,
            registration: false,
            tls_available: false,
            decoy_secret: [3; 32],
            known_passwords: Arc::new(leveret_engine::credentials::KnownPasswords::new([3; 32])),
            software: "Leveret",
            version: "0",
            contacts: Default::default(),
            budget: Arc::clone(&budget),
            started: Now::default(),
        };
        let router = Router::new(RouterSettings {
            domain: shared.domain.clone(),
            service: shared.service.clone(),
            access: AccessRules::new(Vec::new()),
            classes: ClassRules::default(),
            history: HistoryRules::default(),
            roster_groups: Default::default(),
            limits,
            registration: false,
            seed: [9; 32],
            budget,
        });
        let mut world = Self {
            router,
            store: Store::default(),
            shared: Arc::new(shared),
            peers: Vec::new(),
            tree: Tree::new(),
            now: Now::default(),
            luck: 0,
        };
        world.settle();
        world
    }

    /// Another session of the one account; the second has another resource.
    fn connect(&mut self) {
        let at = self.peers.len();
        let seed = [at as u8 + 1; 32];
        self.peers.push(Peer {
            session: XmppSession::new(Arc::clone(&self.shared), LinkSecurity::Plain, None, seed, self.now),
            id: None,
            said: Vec::new(),
            owed: 0,
            closed: false,
        });
        let bind = BIND.replace(">r<", if at == 0 { ">r<" } else { ">s<" });
        for step in [HEADER, AUTH, HEADER, &bind] {
            self.receive(at, step.as_bytes());
        }
        assert!(self.peers[at].session.address().is_some(), "bound");
    }

    fn receive(&mut self, at: usize, bytes: &[u8]) {
        let mut out = Output::default();
        self.peers[at].session.handle_input(bytes, &mut self.tree, self.now, &mut out);
        self.carry_out(at, out);
        self.settle();
        self.now.mono = self.now.mono + Duration::from_millis(1);
    }

    fn hang_up(&mut self, at: usize) {
        let mut out = Output::default();
        self.peers[at].session.handle_eof(self.now, &mut out);
        self.carry_out(at, out);
        self.settle();
    }

    fn carry_out(&mut self, at: usize, mut out: Output) {
        loop {
            self.submit(at, &mut out);
            let actions = std::mem::take(&mut out.actions);
            if actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::StartTls => {}
                    Action::Work(work) => {
                        let done = (work.0)();
                        self.peers[at].session.handle_work(done, self.now, &mut out);
                    }
                    Action::Close(_) => self.peers[at].closed = true,
                }
            }
        }
    }

    fn submit(&mut self, at: usize, out: &mut Output) {
        let peer = &mut self.peers[at];
        peer.said.append(&mut out.bytes);
        for (token, command) in out.commands.drain(..) {
            let id = match (peer.id, peer.session.mailbox()) {
                (Some(id), _) => id,
                (None, Some(mailbox)) => *peer.id.insert(self.router.open(Arc::clone(mailbox), None)),
                (None, None) => continue,
            };
            if let Command::Pubsub(_) = command {
                peer.owed += 1;
            }
            if let Command::Detach(_) = command {
                peer.owed = 0;
            }
            self.router.handle(id, token, command, self.now);
        }
    }

    /// Until nothing moves: the store answers, mailboxes are emptied.
    fn settle(&mut self) {
        let mut requests = Vec::new();
        for _ in 0..10_000 {
            while self.router.work() {}
            self.router.take_store_requests(&mut requests);
            let mut moved = !requests.is_empty();
            for request in requests.drain(..) {
                let fails = self.luck & 1 == 1;
                self.luck = self.luck.rotate_right(1);
                let response = self.store.answer(request, fails);
                self.router.handle_stored(response, self.now);
            }
            for at in 0..self.peers.len() {
                moved |= self.read(at);
            }
            if !moved {
                return;
            }
        }
        panic!("the router and the store ask each other for ever");
    }

    fn read(&mut self, at: usize) -> bool {
        let peer = &mut self.peers[at];
        let Some(mailbox) = peer.session.mailbox() else {
            return false;
        };
        let mut entries = Vec::new();
        mailbox.take(16, &mut entries, std::task::Waker::noop());
        if entries.is_empty() {
            return false;
        }
        let answers = entries.iter().filter(|entry| is_pubsub_answer(entry)).count();
        peer.owed -= answers as i64;
        let mut out = Output::default();
        peer.session.handle_entries(&mut entries, self.now, &mut out);
        if entries.iter().any(|entry| matches!(entry, Entry::End(EndReason::Overflow))) {
            peer.owed = 0;
        }
        self.carry_out(at, out);
        true
    }
}

/// Whatever a bound session is answered with a token of pubsub's kinds, an error included.
fn is_pubsub_answer(entry: &Entry) -> bool {
    matches!(entry, Entry::Answer(answer) if PUBSUB_KINDS.contains(&answer.token.kind))
}

/// The kinds of token that questions to pubsub carry, as the session numbers them.
const PUBSUB_KINDS: [u32; 2] = [10, 11];

#[derive(Default)]
struct Store {
    account: Option<Account>,
    roster: Roster,
    nodes: BTreeMap<NodeAddress, (NodeRecord, Vec<Arc<Item>>)>,
    offline: VecDeque<(u64, Timestamp, Message)>,
    made: u64,
}

impl Store {
    fn answer(&mut self, request: StoreRequest, fails: bool) -> StoreResponse {
        let fault = || StoreFault::Failed("bad luck".into());
        match request {
            StoreRequest::Commit(commit) if fails => StoreResponse::Failed { seq: commit.seq, fault: fault() },
            StoreRequest::Commit(commit) => {
                let mut removed = Vec::new();
                for op in commit.ops {
                    self.apply(op, &mut removed);
                }
                StoreResponse::Committed { seq: commit.seq, removed }
            }
            StoreRequest::Query { id, query } => {
                let answer = if fails { Err(fault()) } else { Ok(self.query(query)) };
                StoreResponse::Answered { id, answer }
            }
        }
    }

    fn apply(&mut self, op: StoreOp, removed: &mut Vec<u32>) {
        match op {
            StoreOp::PutAccount(account) => self.account = Some(*account),
            StoreOp::PutContact { contact, version, .. } => {
                self.roster.version = version;
                self.roster.contacts.retain(|other| other.jid != contact.jid);
                self.roster.contacts.push(*contact);
                self.roster.contacts.sort_by(|one, other| one.jid.cmp(&other.jid));
            }
            StoreOp::RemoveContact { contact, version, .. } => {
                self.roster.version = version;
                self.roster.contacts.retain(|other| other.jid != contact);
            }
            StoreOp::PutOffline { message, at, .. } => {
                self.made += 1;
                self.offline.push_back((self.made, at, *message));
            }
            StoreOp::RemoveOffline { up_to, .. } => self.offline.retain(|(number, ..)| *number > up_to),
            StoreOp::PutNode { at, config, creator, created } => {
                let record = NodeRecord {
                    config: *config.clone(),
                    created,
                    creator,
                    affiliations: Vec::new(),
                    subscriptions: Vec::new(),
                    last: None,
                };
                self.nodes.entry(at).or_insert((record, Vec::new())).0.config = *config;
            }
            StoreOp::RemoveNode { at } => drop(self.nodes.remove(&at)),
            StoreOp::PutAffiliation { at, jid, affiliation } => {
                if let Some((node, _)) = self.nodes.get_mut(&at) {
                    node.affiliations.retain(|(other, _)| *other != jid);
                    if affiliation != Affiliation::None {
                        node.affiliations.push((jid, affiliation));
                    }
                }
            }
            StoreOp::PutSubscription { at, subscription } => {
                if let Some((node, _)) = self.nodes.get_mut(&at) {
                    node.subscriptions.push(subscription);
                }
            }
            StoreOp::RemoveSubscription { at, subid } => {
                if let Some((node, _)) = self.nodes.get_mut(&at) {
                    node.subscriptions.retain(|one| one.subid != subid);
                }
            }
            StoreOp::PutItem { at, item, keep, .. } => {
                if let Some((_, items)) = self.nodes.get_mut(&at) {
                    items.retain(|other| other.id != item.id);
                    items.push(item);
                    let excess = items.len().saturating_sub(keep.shown as usize);
                    items.drain(..excess);
                }
            }
            StoreOp::RemoveItems { at, ids } => {
                let items = self.nodes.get_mut(&at).map(|(_, items)| items);
                removed.push(items.map_or(0, |items| {
                    let before = items.len();
                    items.retain(|item| !ids.contains(&item.id));
                    (before - items.len()) as u32
                }));
            }
            StoreOp::TrimItems { at, keep } => {
                if let Some((_, items)) = self.nodes.get_mut(&at) {
                    let excess = items.len().saturating_sub(keep.shown as usize);
                    items.drain(..excess);
                }
            }
            _ => {}
        }
    }

    fn query(&self, query: StoreQuery) -> StoreAnswer {
        let items = |at: &NodeAddress| self.nodes.get(at).map_or_else(Vec::new, |(_, items)| items.clone());
        let page = |count: usize| PageInfo { count: count as u32, ..PageInfo::default() };
        match query {
            StoreQuery::Boot => StoreAnswer::Boot {
                filters: Vec::new(),
                owed: Vec::new(),
                asked: Vec::new(),
                blocked: Vec::new(),
            },
            StoreQuery::Document { .. } => StoreAnswer::Document(None),
            StoreQuery::DocumentSizes(_) => StoreAnswer::DocumentSizes(Vec::new()),
            StoreQuery::Account(jid) => {
                let known = jid.local() == Some("juliet");
                let account = known.then(|| self.account.clone().unwrap_or_else(|| juliet(&jid)));
                let counts = AccountCounts {
                    offline: self.offline.len() as u32,
                    nodes: self.nodes.len() as u32,
                    ..AccountCounts::default()
                };
                StoreAnswer::Account(account.map(Box::new), counts)
            }
            StoreQuery::Roster(_) => StoreAnswer::Roster(self.roster.clone()),
            StoreQuery::Node(at) => StoreAnswer::Node(self.nodes.get(&at).map(|(node, items)| {
                Box::new(NodeRecord { last: items.last().cloned(), ..node.clone() })
            })),
            StoreQuery::ItemsById { at, ids, .. } => {
                let mut items = items(&at);
                items.retain(|item| ids.contains(&item.id));
                StoreAnswer::Items { page: page(items.len()), items }
            }
            StoreQuery::Items { at, max, .. } => {
                let mut items = items(&at);
                let count = items.len();
                items.truncate(max as usize);
                StoreAnswer::Items { items, page: page(count) }
            }
            StoreQuery::Branch { .. } => StoreAnswer::Branch {
                nodes: self.nodes.iter().map(|(at, (node, _))| (at.node.clone(), node.config.title.clone())).collect(),
                items: Vec::new(),
                page: page(self.nodes.len()),
            },
            StoreQuery::Nodes { .. } => StoreAnswer::Nodes {
                list: self.nodes.iter().map(|(at, (node, _))| (at.node.clone(), node.config.title.clone())).collect(),
                page: page(self.nodes.len()),
            },
            StoreQuery::Present { hosts, names } => {
                let at = |host: &BareJid, node: &leveret_engine::node::NodeId| NodeAddress { host: Some(host.clone()), node: node.clone() };
                let all = hosts.iter().flat_map(|host| names.iter().map(move |node| at(host, node)));
                StoreAnswer::Present(all.filter(|at| self.nodes.contains_key(at)).collect())
            }
            StoreQuery::Awaiting { .. } => StoreAnswer::Present(Vec::new()),
            StoreQuery::PersonalNodes { host, .. } => {
                let of_host = self.nodes.iter().filter(|(at, _)| at.host.as_ref() == Some(&host));
                let list: Vec<_> = of_host
                    .map(|(at, (node, _))| PersonalNode {
                        node: at.node.clone(),
                        config: Box::new(node.config.clone()),
                        affiliation: Affiliation::None,
                    })
                    .collect();
                StoreAnswer::PersonalNodes { page: page(list.len()), list }
            }
            StoreQuery::NodeBytes(_) => StoreAnswer::Kept { items: 0, bytes: 0 },
            StoreQuery::NodeCounts(at) => StoreAnswer::Counts { items: items(&at).len() as u32, subscriptions: 0 },
            StoreQuery::Archive { at, filter, .. } => {
                let entry = |item| ArchiveEntry { id: "1".into(), item, retracted: filter.ids.len() > 1 };
                let entries: Vec<_> = items(&at).into_iter().map(entry).collect();
                StoreAnswer::Archive { entries, page: ArchivePage::default() }
            }
            StoreQuery::ArchiveEnds { at, .. } => StoreAnswer::ArchiveEnds(items(&at).first().map(|item| {
                let end = ArchiveEnd { id: "1".into(), published: item.published };
                (end.clone(), end)
            })),
            StoreQuery::Sweep { .. } => StoreAnswer::Sweep { nodes: Vec::new(), next: None },
            StoreQuery::SubscriptionsOf { .. } => StoreAnswer::Subscriptions(Vec::new()),
            // One account has nobody to ask, and nothing that a clock would end.
            StoreQuery::Pending { .. } => StoreAnswer::Pending { list: Vec::new(), owns: true },
            StoreQuery::Ended { .. } => StoreAnswer::Ended(Vec::new()),
            StoreQuery::AffiliationsOf { .. } => StoreAnswer::Affiliations(Vec::new()),
            StoreQuery::Offline { after, max, .. } => {
                let later = self.offline.iter().filter(|(number, ..)| *number > after);
                StoreAnswer::Offline(later.take(max as usize).cloned().collect())
            }
            StoreQuery::Owed { .. } => StoreAnswer::Owed(Vec::new()),
            StoreQuery::AccountsOfRole { .. } | StoreQuery::RolesOf(_) => StoreAnswer::Roles(Vec::new()),
            StoreQuery::Accounts { .. } => StoreAnswer::Accounts(Vec::new()),
            StoreQuery::Totals => StoreAnswer::Totals { accounts: 1, nodes: self.nodes.len() as u64 },
        }
    }
}
