//! The pubsub service: nodes, who may do what with them, who hears of them (XEP-0060).
//!
//! Implements: XEP-0060 1.30 §4.5, §5 to §8, XEP-0248 in the spirit of S17 only.
//!
//! Memory is changed at once and the world is told after the commit (S5): [`Pubsub::handle`] decides against committed
//! plus pending state. What a decision needs of the store it never fetches itself: [`Pubsub::wants`] names it,
//! the router asks and hands nodes in by [`Pubsub::loaded`].

mod acquaintance;
mod affiliates;
mod affiliation;
mod approval;
mod audience;
mod by_account;
mod cache;
mod config;
mod configs;
mod contents;
mod create;
mod discovery;
mod field;
mod history;
mod ids;
mod interest;
mod lease;
mod leavers;
mod manage;
mod node;
mod options;
mod owed;
mod personal;
mod publish;
mod read;
mod recovery;
mod retract;
mod rights;
mod subscribe;
mod subscribers;
mod subscriptions;
mod traffic;
mod tree;
mod wanted;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use crate::{
    access::{AccessRules, Subject},
    address::{BareJid, FullJid},
    class::ClassRules,
    command::{PubsubAction, PubsubReply, PubsubRequest, Reply},
    effect::{AccountCounts, StoreOp, Urgency},
    event::{Event, NodeChange, NodeEvent, What},
    history::HistoryRules,
    item::NodeSubscription,
    limits::Limits,
    message::MessageKind,
    node::{NodeAddress, NodeId},
    refusal::{Reason, Refusal},
    service::{Change, Decision, Deliveries, Directory, Notice},
    time::Now,
};

use self::{
    by_account::ByAccount, cache::Cache, ids::Ids, interest::Interest, lease::Leases, node::Node,
    owed::Owed, read::ItemsWanted, wanted::node_of,
};

pub use self::{
    config::{DEFAULT_ITEMS, ENVELOPE_BYTES},
    wanted::Wanted,
};

/// Most owners remembered of whom something is asked; beyond it everybody who comes is held to be one, which costs a question
/// to the store each.
const ASKED_MAX: usize = 65_536;
/// Most removed filter subscriptions kept in case their commit fails.
const UNDO_MAX: usize = 256;

/// What the service is set to.
#[derive(Debug)]
pub struct PubsubSettings {
    /// Its own address.
    pub service: BareJid,
    /// Who may do what.
    pub access: AccessRules,
    /// Which items are alarms or state.
    pub classes: ClassRules,
    /// How much of their past nodes keep.
    pub history: HistoryRules,
    /// The bounds.
    pub limits: Limits,
    /// Random and private: names that the hub makes cannot be guessed without it.
    pub id_secret: [u8; 32],
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The authenticated account, as the rules see it.
    pub subject: Subject,
    /// The session; for the operator's socket the service's own address.
    pub jid: FullJid,
    /// May do everything: the operator's socket.
    pub superuser: bool,
    /// How much the account has already.
    pub counts: AccountCounts,
    /// Whose personal nodes are asked for; `None`: the service's. The request says it.
    pub host: Option<BareJid>,
}

impl Asker {
    /// Where a node of this name is for this request.
    fn at(&self, node: NodeId) -> NodeAddress {
        NodeAddress {
            host: self.host.clone(),
            node,
        }
    }
}

/// What the service counts, for `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PubsubStatus {
    /// Nodes in memory.
    pub nodes_resident: usize,
    /// What they weigh, in bytes.
    pub node_cache_bytes: usize,
    /// Subscriptions of filters.
    pub filters: usize,
    /// Items accepted since the start.
    pub items_published: u64,
    /// Alarms owed to absent or unacknowledging accounts.
    pub alarms_owed: u64,
    /// Times that a node's subscribers were resolved anew.
    pub audiences_built: u64,
}

/// The pubsub service of the hub.
#[derive(Debug)]
pub struct Pubsub {
    service: BareJid,
    rules: Arc<AccessRules>,
    classes: ClassRules,
    history: HistoryRules,
    limits: Limits,
    ids: Ids,
    nodes: Cache,
    /// Names of which the store said that no node has them.
    absent: HashSet<NodeAddress>,
    interest: Interest,
    owed: Owed,
    /// Where full addresses are subscribed (S18): nodes and filters.
    sessions: HashMap<FullJid, BTreeSet<NodeAddress>>,
    /// Subscriptions of full addresses of nodes that are not in memory now; they exist nowhere else.
    stranded: HashMap<NodeAddress, Vec<NodeSubscription>>,
    /// Filter subscriptions removed lately, should the commit fail: filters are read at the start only.
    undo: VecDeque<(NodeAddress, NodeSubscription)>,
    /// What was found on the way to a decision and is to be carried out before it.
    asides: Vec<Change>,
    /// Nodes with subscribers by the grace of whose roster.
    by_roster: ByAccount,
    leases: Leases,
    /// Owners at whose nodes somebody may wait for approval.
    asked_of: HashSet<BareJid>,
    /// Full addresses that wait for approval, which the store does not know.
    waiting_here: BTreeSet<(NodeAddress, FullJid)>,
    /// The time of the entry that is being handled.
    now: Now,
    /// Nodes at which something ends with whose departure.
    leavers: ByAccount,
    items_published: u64,
    audiences_built: u64,
}

impl Pubsub {
    /// A service without nodes in memory.
    pub fn new(settings: PubsubSettings) -> Self {
        Self {
            service: settings.service,
            nodes: Cache::new(settings.limits.node_cache),
            rules: Arc::new(settings.access),
            classes: settings.classes,
            history: settings.history,
            limits: settings.limits,
            ids: Ids::new(settings.id_secret),
            absent: HashSet::new(),
            interest: Interest::default(),
            owed: Owed::default(),
            sessions: HashMap::new(),
            stranded: HashMap::new(),
            undo: VecDeque::new(),
            asides: Vec::new(),
            by_roster: ByAccount::default(),
            leases: Leases::default(),
            asked_of: HashSet::new(),
            waiting_here: BTreeSet::new(),
            now: Now::default(),
            leavers: ByAccount::default(),
            items_published: 0,
            audiences_built: 0,
        }
    }

    /// The address of the service.
    pub fn service(&self) -> &BareJid {
        &self.service
    }

    /// Decides on a request. Memory is changed already when this returns; see [`Decision`].
    pub fn handle(
        &mut self,
        who: &Asker,
        request: PubsubRequest,
        directory: &mut dyn Directory,
        now: Now,
    ) -> Decision {
        self.set_time(now);
        let visitor;
        let who = if request.host == who.host {
            who
        } else {
            visitor = Asker {
                host: request.host,
                ..who.clone()
            };
            &visitor
        };
        let used = node_of(&request.action).map(|node| who.at(node.clone()));
        // Before the decision: what that deletes is remembered anew, against answers of the store that are on their way.
        if let Some(at) = &used {
            self.absent.remove(at);
        }
        if let Some(at) = &used {
            self.settle(at, directory);
        }
        let decision = self
            .decide(who, request.action, directory, now)
            .unwrap_or_else(Decision::Refuse);
        if let Some(at) = used {
            self.note_rosters(&at);
            if let Some(node) = self.nodes.get_mut(&at)
                && !contents::must_be_known(&node.config)
            {
                node.contents.forget();
            }
            self.nodes.settle(&at);
        }
        decision
    }

    /// A node that is used for the first time since it came from the disk is brought up to date first.
    fn settle(&mut self, at: &NodeAddress, directory: &mut dyn Directory) {
        match self.nodes.get_mut(at) {
            Some(node) if !node.is_settled() => node.set_settled(true),
            _ => return,
        }
        self.settle_acquaintances(at, directory);
        self.settle_departures(at, directory);
    }

    /// Changes that were found on the way to the last decision: to be carried out before it.
    pub fn take_asides(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.asides)
    }

    fn decide(
        &mut self,
        who: &Asker,
        action: PubsubAction,
        directory: &mut dyn Directory,
        now: Now,
    ) -> Result<Decision, Refusal> {
        use PubsubAction as A;
        match action {
            A::Create { node, config } => self.create(who, node, &config, directory, now),
            A::GetConfig { node } => self.get_config(who, node),
            A::Configure { node, config } => self.configure(who, node, &config, directory, now),
            A::DefaultConfig => Ok(answer(PubsubReply::Config {
                node: None,
                config: Box::new(config::default_config(who.host.as_ref(), &self.limits)),
            })),
            A::Delete { node, redirect } => self.delete(who, node, redirect, directory),
            A::Purge { node } => self.purge(who, node, directory),
            A::Publish {
                node,
                items,
                options,
            } => self.publish(who, node, items, options, directory, now),
            A::Retract {
                node,
                items,
                notify,
            } => self.retract(who, node, items, notify, directory),
            A::Subscribe { node, jid, options } => {
                self.subscribe(who, node, jid, options, directory)
            }
            A::GetOptions { node, jid, subid } => self.get_options(who, node, jid, subid),
            A::SetOptions {
                node,
                jid,
                subid,
                options,
            } => self.set_options(who, node, jid, subid, &options, directory),
            A::DefaultOptions { node } => self.default_options(who, node),
            A::Authorize {
                node,
                jid,
                subid,
                allow,
            } => self.authorize(who, node, &jid, subid.as_deref(), allow, directory),
            A::GetPending { node, execution } => self.get_pending(who, node, execution, directory),
            A::Unsubscribe { node, jid, subid } => {
                self.unsubscribe(who, node, jid, subid, directory)
            }
            A::Items {
                node,
                ids,
                max,
                subid,
                page,
                order,
            } => {
                let wanted = ItemsWanted {
                    ids,
                    max,
                    subid,
                    page,
                    order,
                };
                self.items(who, node, wanted, directory, now)
            }
            A::Archive { node, request } => self.archive(who, node, *request, directory, now),
            A::ArchiveEnds { node } => self.archive_ends(who, node, directory, now),
            A::Subscriptions { node } => self.own_subscriptions(who, node),
            A::Affiliations { node } => self.own_affiliations(who, node),
            A::NodeSubscriptions { node, page } => self.node_subscriptions(who, node, page),
            A::SetSubscriptions { node, changes } => {
                self.set_subscriptions(who, node, changes, directory)
            }
            A::NodeAffiliations { node } => self.node_affiliations(who, node),
            A::SetAffiliations { node, changes } => {
                self.set_affiliations(who, node, changes, directory)
            }
            A::Describe { node } => self.describe(who, node, directory),
            A::Browse { node, page } => self.browse(who, node, page, directory, now),
            A::List { node, page } => Ok(self.list(who, node, page, directory)),
        }
    }

    /// The service's counts.
    pub fn status(&self) -> PubsubStatus {
        PubsubStatus {
            nodes_resident: self.nodes.len(),
            node_cache_bytes: self.nodes.bytes(),
            filters: self.interest.len(),
            items_published: self.items_published,
            alarms_owed: self.owed.total(),
            audiences_built: self.audiences_built,
        }
    }

    fn set_time(&mut self, now: Now) {
        self.now = now;
        self.interest.set_time(now);
    }

    /// The node and its address, or `item-not-found` as every use case has it.
    fn existing(&self, who: &Asker, node: &NodeId) -> Result<(NodeAddress, &Node), Refusal> {
        let at = who.at(node.clone());
        let found = self.nodes.get(&at);
        found
            .map(|node| (at, node))
            .ok_or_else(|| Reason::ItemNotFound.into())
    }
}

fn answer(reply: PubsubReply) -> Decision {
    Decision::Answer(Reply::Pubsub(Box::new(reply)))
}

/// A change that is answered `Done`, in the next group commit, and heard by nobody: the fields that differ are set on it.
fn change(ops: Vec<StoreOp>) -> Change {
    Change {
        ops,
        urgency: Urgency::Group,
        reply: Ok(Reply::Done),
        notices: Vec::new(),
        if_none_removed: None,
    }
}

/// A notice of something that happened at a node.
fn notice(at: &NodeAddress, kind: MessageKind, change: NodeChange, to: Deliveries) -> Notice {
    let event = NodeEvent {
        at: at.clone(),
        kind,
        change,
    };
    Notice {
        event: Arc::new(Event::new(What::Node(event))),
        to,
        delay: None,
    }
}
