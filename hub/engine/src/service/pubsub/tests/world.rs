//! A service, a store that commits at once, and who heard what.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    access::{AccessRules, Actions, Rule, Subject, Who},
    account::Role,
    address::{BareJid, FullJid, Jid},
    archive::{ArchiveEntry, ArchivePage},
    class::{Class, ClassRule, ClassRules},
    command::{
        Field, NewItem, PageInfo, PubsubAction, PubsubReply, PubsubRequest, Reply, SessionId,
    },
    effect::{AccountCounts, StoreAnswer, StoreOp, StoreQuery, Urgency},
    event::{NodeChange, What},
    history::{HistoryRule, HistoryRules},
    item::{
        Affiliation, History, Item, NodeRecord, NodeSubscription, PersonalNode, SubscriptionState,
    },
    limits::Limits,
    mailbox::SubscriptionTag,
    message::MessageKind,
    node::{ItemId, NodeAddress, NodeId},
    payload::Payload,
    refusal::{Detail, Reason, Refusal},
    service::{
        AccountId, Acquaintance, Change, Decision, Directory, Hearer, Recipient,
        pubsub::{Asker, Pubsub, PubsubSettings, Wanted},
    },
    time::{Instant, Now, Timestamp},
};

/// One delivery of a notice.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) to: String,
    pub(super) kind: MessageKind,
    pub(super) change: NodeChange,
    pub(super) tag: Option<Arc<SubscriptionTag>>,
    pub(super) delay: Option<Timestamp>,
}

#[derive(Default)]
pub(super) struct Accounts {
    known: Vec<BareJid>,
    pub(super) online: Vec<FullJid>,
    /// Who hears of which personal node, and the number of that state.
    pub(super) hearers: Vec<(BareJid, NodeId, Hearer)>,
    pub(super) hearing: u32,
    /// Who asked anything so far.
    pub(super) subjects: Vec<Subject>,
    /// Owner and contact, and what the owner's roster says.
    pub(super) contacts: BTreeMap<(BareJid, BareJid), Known>,
}

/// See [`Acquaintance`].
pub(super) struct Known {
    pub(super) sees: bool,
    pub(super) seen: bool,
    pub(super) groups: Vec<Box<str>>,
}

impl Directory for Accounts {
    fn hearing(&mut self, _: &BareJid) -> u32 {
        self.hearing
    }

    fn hearers(&self, of: &BareJid, node: &NodeId) -> Option<Vec<Hearer>> {
        let of = self
            .hearers
            .iter()
            .filter(|(host, name, _)| host == of && name == node);
        Some(of.map(|(_, _, hearer)| hearer.clone()).collect())
    }

    fn account(&mut self, jid: &BareJid) -> AccountId {
        let at = self.known.iter().position(|known| known == jid);
        let at = at.unwrap_or_else(|| {
            self.known.push(jid.clone());
            self.known.len() - 1
        });
        AccountId(at as u32)
    }

    fn session(&self, jid: &FullJid) -> Option<SessionId> {
        let at = self.online.iter().position(|online| online == jid)?;
        Some(SessionId {
            index: at as u32,
            generation: 0,
        })
    }

    fn is_here(&self, account: &BareJid) -> bool {
        self.online.iter().any(|online| online.bare() == *account)
    }

    fn subject(&self, account: &BareJid) -> Option<Subject> {
        let known = self.subjects.iter().find(|known| known.jid == *account);
        known.cloned()
    }

    fn acquaintance(&self, owner: &BareJid, contact: &BareJid) -> Acquaintance<'_> {
        let contact = self.contacts.get(&(owner.clone(), contact.clone()));
        contact.map_or_else(Acquaintance::default, |known| Acquaintance {
            sees: known.sees,
            seen: known.seen,
            groups: (&known.groups).into(),
        })
    }
}

#[derive(Default)]
pub(super) struct Store {
    pub(super) nodes: BTreeMap<NodeAddress, (NodeRecord, Vec<Arc<Item>>)>,
    pub(super) filters: Vec<(NodeAddress, NodeSubscription)>,
    /// To whom, whose, which.
    pub(super) owed: Vec<(BareJid, BareJid, ItemId)>,
}

pub(super) struct World {
    pub(super) pubsub: Pubsub,
    pub(super) directory: Accounts,
    pub(super) store: Store,
    pub(super) heard: Vec<Heard>,
    /// The last change that was decided.
    pub(super) urgency: Option<Urgency>,
    pub(super) ops: Vec<StoreOp>,
    /// The next commit fails.
    pub(super) disk_full: bool,
    seconds: u64,
}

impl World {
    /// Everybody may create below `free/`, alarms are below `alarms/`; otherwise the default rules.
    pub(super) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Self {
        let classes = ClassRules(vec![ClassRule::new("free/fall/#", Class::Alarm).unwrap()]);
        let history = History {
            items: 5,
            age_seconds: Some(60),
            bytes: Some(1_000),
        };
        let kept = HistoryRule::new("free/log/#", history).unwrap();
        let settings = PubsubSettings {
            service: BareJid::parse("pubsub.localhost").unwrap(),
            access: rules(),
            classes,
            history: HistoryRules(vec![kept]),
            limits,
            id_secret: [7; 32],
        };
        Self {
            pubsub: Pubsub::new(settings),
            directory: Accounts::default(),
            store: Store::default(),
            heard: Vec::new(),
            urgency: None,
            ops: Vec::new(),
            disk_full: false,
            seconds: 1_000,
        }
    }

    pub(super) fn ask(&mut self, who: &Asker, action: PubsubAction) -> Result<Reply, Refusal> {
        self.ask_at(who, None, action)
    }

    /// The same at somebody's personal nodes.
    pub(super) fn ask_at(
        &mut self,
        who: &Asker,
        host: Option<&str>,
        action: PubsubAction,
    ) -> Result<Reply, Refusal> {
        let host = host.map(|host| BareJid::new(host, "localhost").unwrap());
        let request = PubsubRequest { host, action };
        // A node first, then what is known only when it is there.
        for _ in 0..2 {
            for wanted in self.pubsub.wants(&request) {
                match wanted {
                    Wanted::Node(at) => {
                        let record = self.store.record(&at);
                        self.pubsub.loaded(at, record);
                    }
                    Wanted::Contents(at, _) => {
                        let (_, items) = &self.store.nodes[&at];
                        self.pubsub.contents_loaded(&at, items);
                    }
                    Wanted::Roster(_) => {}
                }
            }
        }
        let is_stored = |wanted: &Wanted| !matches!(wanted, Wanted::Roster(_));
        assert!(
            !self.pubsub.wants(&request).iter().any(is_stored),
            "what was loaded is not missing"
        );
        self.seconds += 1;
        let now = self.now();
        if !self.directory.online.contains(&who.jid) {
            self.directory.online.push(who.jid.clone());
        }
        if self.directory.subject(&who.subject.jid).is_none() {
            self.directory.subjects.push(who.subject.clone());
        }
        let decision = self.pubsub.handle(who, request, &mut self.directory, now);
        for aside in self.pubsub.take_asides() {
            self.carry_out(aside);
        }
        match decision {
            Decision::Refuse(refusal) => Err(refusal),
            Decision::Answer(reply) => Ok(reply),
            Decision::Read { query, then } => then(self.store.answer(query)),
            Decision::Change(change) => {
                let change = *change;
                if self.disk_full && !change.ops.is_empty() {
                    self.disk_full = false;
                    self.pubsub.commit_failed(&change.ops);
                    return Err(Reason::ResourceConstraint.into());
                }
                let mut removed = 1;
                for op in &change.ops {
                    removed = self.store.apply(op).unwrap_or(removed);
                }
                self.urgency = Some(change.urgency);
                self.ops = change.ops;
                match change.if_none_removed {
                    Some(refusal) if removed == 0 => Err(refusal),
                    _ => {
                        for notice in change.notices {
                            self.tell(&notice);
                        }
                        change.reply
                    }
                }
            }
        }
    }

    pub(super) fn now(&self) -> Now {
        Now {
            mono: Instant::from_secs(self.seconds),
            wall: Timestamp::from_micros(self.seconds as i64 * 1_000_000),
            wall_trusted: true,
        }
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.seconds += seconds;
    }

    /// The account's only session goes.
    pub(super) fn leave(&mut self, who: &Asker) {
        self.directory.online.retain(|online| *online != who.jid);
        let changes = self
            .pubsub
            .went_offline(&who.jid, true, &mut self.directory);
        for change in changes {
            self.carry_out(change);
        }
    }

    /// A change that nobody asked for.
    pub(super) fn carry_out(&mut self, change: Change) {
        for op in &change.ops {
            self.store.apply(op);
        }
        for notice in &change.notices {
            self.tell(notice);
        }
    }

    fn tell(&mut self, notice: &crate::service::Notice) {
        let What::Node(event) = &notice.event.what else {
            panic!("the service speaks of nodes")
        };
        for delivery in notice.to.iter() {
            let to = match delivery.to {
                Recipient::Account(AccountId(at)) => self.directory.known[at as usize].to_string(),
                Recipient::Session(id) => self.directory.online[id.index as usize].to_string(),
            };
            self.heard.push(Heard {
                to,
                kind: event.kind,
                change: event.change.clone(),
                tag: delivery.tag.clone(),
                delay: notice.delay,
            });
        }
    }

    /// What was heard since the last time, as `who: what`.
    pub(super) fn heard(&mut self) -> Vec<String> {
        let lines = self.heard.drain(..).map(|one| {
            let what = match one.change {
                NodeChange::Published { item, .. } => format!("item {}", item.id),
                NodeChange::Retracted(ids) => format!("retract {ids:?}"),
                NodeChange::Purged => "purge".to_owned(),
                NodeChange::Deleted { .. } => "delete".to_owned(),
                NodeChange::Configured(_) => "configuration".to_owned(),
                NodeChange::Subscription {
                    jid, state, expiry, ..
                } => match expiry {
                    Some(_) => format!("{jid} {state:?} ends soon"),
                    None => format!("{jid} {state:?}"),
                },
                NodeChange::Requested { jid, .. } => format!("{jid} asks"),
                NodeChange::Created => "created".to_owned(),
                NodeChange::Digest(all) => format!("digest of {}", all.len()),
                NodeChange::Affiliation { jid, affiliation } => {
                    format!("{jid} is {affiliation:?}")
                }
            };
            format!("{}: {what}", one.to)
        });
        lines.collect()
    }

    /// The hub starts anew on the same store.
    pub(super) fn restart(&mut self) {
        let store = std::mem::take(&mut self.store);
        *self = Self {
            store,
            seconds: self.seconds,
            ..Self::new()
        };
        let mut owed = BTreeMap::new();
        for (account, publisher, _) in &self.store.owed {
            *owed
                .entry((account.clone(), publisher.clone()))
                .or_insert(0) += 1;
        }
        let owed = owed.into_iter();
        let now = self.now();
        self.pubsub.boot(
            self.store.filters.clone(),
            owed.map(|((account, publisher), count)| (account, publisher, count))
                .collect(),
            Vec::new(),
            &mut self.directory,
            now,
        );
    }

    pub(super) fn create(&mut self, who: &Asker, name: &str, config: &[(&str, &str)]) {
        self.ask(
            who,
            PubsubAction::Create {
                node: Some(node(name)),
                config: fields(config),
            },
        )
        .unwrap();
    }

    pub(super) fn publish(&mut self, who: &Asker, name: &str, id: &str) -> Result<Reply, Refusal> {
        self.ask(who, publish(name, id))
    }

    pub(super) fn subscribe(
        &mut self,
        who: &Asker,
        name: &str,
        jid: &str,
    ) -> Result<Reply, Refusal> {
        self.ask(
            who,
            PubsubAction::Subscribe {
                node: node(name),
                jid: Jid::parse(jid).unwrap(),
                options: None,
            },
        )
    }

    pub(super) fn ids(&self, name: &str) -> Vec<String> {
        let at = NodeAddress::of_service(node(name));
        let items = self.store.nodes.get(&at).map(|(_, items)| items);
        items
            .into_iter()
            .flatten()
            .map(|item| item.id.to_string())
            .collect()
    }
}

impl Store {
    fn record(&self, at: &NodeAddress) -> Option<NodeRecord> {
        let (record, items) = self.nodes.get(at)?;
        Some(NodeRecord {
            last: items.last().cloned(),
            ..record.clone()
        })
    }

    fn apply(&mut self, op: &StoreOp) -> Option<u32> {
        match op.clone() {
            StoreOp::PutNode {
                at,
                config,
                creator,
                created,
            } => {
                let fresh = NodeRecord {
                    config: *config.clone(),
                    created,
                    creator,
                    affiliations: Vec::new(),
                    subscriptions: Vec::new(),
                    last: None,
                };
                self.nodes.entry(at).or_insert((fresh, Vec::new())).0.config = *config;
            }
            StoreOp::RemoveNode { at } => drop(self.nodes.remove(&at)),
            StoreOp::PutAffiliation {
                at,
                jid,
                affiliation,
            } => {
                let (record, _) = self.nodes.get_mut(&at).unwrap();
                record.affiliations.retain(|(who, _)| *who != jid);
                if affiliation != Affiliation::None {
                    record.affiliations.push((jid, affiliation));
                }
            }
            StoreOp::PutSubscription { at, subscription } => match self.nodes.get_mut(&at) {
                Some((record, _)) => {
                    let subid = subscription.subid.clone();
                    record.subscriptions.retain(|one| one.subid != subid);
                    record.subscriptions.push(subscription);
                }
                None => {
                    self.filters
                        .retain(|(_, one)| one.subid != subscription.subid);
                    self.filters.push((at, subscription));
                }
            },
            StoreOp::RemoveSubscription { at, subid } => match self.nodes.get_mut(&at) {
                Some((record, _)) => record.subscriptions.retain(|one| one.subid != subid),
                None => self.filters.retain(|(_, one)| one.subid != subid),
            },
            StoreOp::PutItem { at, item, keep, .. } => {
                let (_, items) = self.nodes.get_mut(&at).unwrap();
                items.retain(|old| old.id != item.id);
                items.push(item);
                items.drain(..items.len().saturating_sub(keep.shown as usize));
            }
            StoreOp::RemoveItems { at, ids } => {
                let (_, items) = self.nodes.get_mut(&at).unwrap();
                let before = items.len();
                items.retain(|item| !ids.contains(&item.id));
                return Some((before - items.len()) as u32);
            }
            StoreOp::TrimItems { at, keep } => {
                let (_, items) = self.nodes.get_mut(&at).unwrap();
                items.drain(..items.len().saturating_sub(keep.shown as usize));
            }
            StoreOp::PutOwed { account, item, .. } => {
                self.owed
                    .retain(|(who, _, id)| (who, id) != (&account, &item.id));
                let publisher = item.publisher.bare();
                self.owed.push((account, publisher, item.id.clone()));
            }
            other => panic!("the service has no business with {other:?}"),
        }
        None
    }

    fn answer(&self, query: StoreQuery) -> StoreAnswer {
        match query {
            StoreQuery::ItemsById { at, ids, .. } => {
                let (_, items) = &self.nodes[&at];
                let items = ids
                    .iter()
                    .filter_map(|id| items.iter().find(|item| item.id == *id));
                StoreAnswer::Items {
                    items: items.cloned().collect(),
                    page: PageInfo::default(),
                }
            }
            StoreQuery::Archive {
                at, filter, since, ..
            } => {
                let (_, items) = &self.nodes[&at];
                let items = items.iter().filter(|item| {
                    since.is_none_or(|since| item.published >= since)
                        && filter.start.is_none_or(|start| item.published >= start)
                });
                let entry = |item: &Arc<Item>| ArchiveEntry {
                    id: format!("archived {}", item.id).into(),
                    item: Arc::clone(item),
                    retracted: false,
                };
                StoreAnswer::Archive {
                    entries: items.map(entry).collect(),
                    page: ArchivePage::default(),
                }
            }
            StoreQuery::ArchiveEnds { .. } => StoreAnswer::ArchiveEnds(None),
            StoreQuery::Items { at, max, .. } => {
                let (_, items) = &self.nodes[&at];
                let from = items.len().saturating_sub(max as usize);
                StoreAnswer::Items {
                    items: items[from..].to_vec(),
                    page: PageInfo {
                        count: items.len() as u32,
                        ..PageInfo::default()
                    },
                }
            }
            StoreQuery::Branch { under, items, .. } => {
                let prefix = under
                    .as_ref()
                    .map_or_else(String::new, |top| format!("{top}/"));
                let names = self.nodes.keys().filter(|at| at.host.is_none());
                let below = names.filter_map(|at| at.node.as_str().strip_prefix(&prefix));
                let mut nodes: Vec<_> = below
                    .filter_map(|rest| rest.split('/').next())
                    .map(|level| (node(&format!("{prefix}{level}")), "".into()))
                    .collect();
                nodes.dedup();
                let own = under.map(NodeAddress::of_service);
                let own = own
                    .and_then(|at| self.nodes.get(&at))
                    .filter(|_| items.is_some());
                let ids = own.map_or(&[][..], |(_, items)| items);
                StoreAnswer::Branch {
                    page: PageInfo {
                        count: (nodes.len() + ids.len()) as u32,
                        ..PageInfo::default()
                    },
                    nodes,
                    items: ids.iter().map(|item| item.id.clone()).collect(),
                }
            }
            StoreQuery::Nodes { under, .. } => {
                let below = |name: &str| match &under {
                    None => true,
                    Some(top) => name == top.as_str() || name.starts_with(&format!("{top}/")),
                };
                let names = self.nodes.keys().map(|at| at.node.clone());
                let list: Vec<_> = names
                    .filter(|name| below(name.as_str()))
                    .map(|name| (name, "".into()))
                    .collect();
                StoreAnswer::Nodes {
                    page: PageInfo {
                        count: list.len() as u32,
                        ..PageInfo::default()
                    },
                    list,
                }
            }
            StoreQuery::PersonalNodes { host, asker, .. } => {
                let of_host = self
                    .nodes
                    .iter()
                    .filter(|(at, _)| at.host.as_ref() == Some(&host));
                let list: Vec<_> = of_host
                    .map(|(at, (record, _))| {
                        let mut known = record.affiliations.iter();
                        let known = known.find(|(jid, _)| *jid == asker);
                        PersonalNode {
                            node: at.node.clone(),
                            config: Box::new(record.config.clone()),
                            affiliation: known.map(|(_, is)| *is).unwrap_or_default(),
                        }
                    })
                    .collect();
                StoreAnswer::PersonalNodes {
                    page: PageInfo {
                        count: list.len() as u32,
                        ..PageInfo::default()
                    },
                    list,
                }
            }
            StoreQuery::NodeCounts(at) => {
                let (record, items) = &self.nodes[&at];
                StoreAnswer::Counts {
                    items: items.len() as u32,
                    subscriptions: record.subscriptions.len() as u32,
                }
            }
            StoreQuery::SubscriptionsOf { account, .. } => {
                let of = |at: &NodeAddress, one: &NodeSubscription| {
                    (one.jid.bare() == account).then(|| (at.node.clone(), one.clone()))
                };
                let nodes = self.nodes.iter().flat_map(|(at, (record, _))| {
                    record
                        .subscriptions
                        .iter()
                        .filter_map(move |one| of(at, one))
                });
                let filters = self.filters.iter().filter_map(|(at, one)| of(at, one));
                StoreAnswer::Subscriptions(nodes.chain(filters).collect())
            }
            StoreQuery::Pending { owner, .. } => {
                let owned = self.nodes.iter().filter(|(_, (record, _))| {
                    let owns = (owner.clone(), Affiliation::Owner);
                    record.affiliations.contains(&owns)
                });
                let mut list = Vec::new();
                let mut owns = false;
                for (at, (record, _)) in owned {
                    owns = true;
                    let waits = record.subscriptions.iter();
                    let waits = waits.filter(|one| one.state == SubscriptionState::Pending);
                    list.extend(waits.map(|one| (at.clone(), one.clone())));
                }
                StoreAnswer::Pending { list, owns }
            }
            StoreQuery::AffiliationsOf { account, .. } => {
                let nodes = self.nodes.iter().filter_map(|(at, (record, _))| {
                    let found = record.affiliations.iter().find(|(who, _)| *who == account);
                    found.map(|(_, is)| (at.node.clone(), *is))
                });
                StoreAnswer::Affiliations(nodes.collect())
            }
            other => panic!("the service has no business with {other:?}"),
        }
    }
}

/// The rules of every world: the defaults, and a place where everybody may create.
pub(super) fn rules() -> AccessRules {
    let create = [crate::access::Action::Create].into_iter().collect();
    let hear = [crate::access::Action::Subscribe].into_iter().collect();
    AccessRules::new(vec![
        Rule::new(Who::Account("banned".into()), Actions::ALL, "free/#", false).unwrap(),
        Rule::new(Who::All, create, "free/#", true).unwrap(),
        Rule::new(Who::Account("panel".into()), hear, "free/#", true).unwrap(),
    ])
}

/// A session of an account: `device("dev7")` is `dev7@localhost/x`.
pub(super) fn device(name: &str) -> Asker {
    asker(name, Role::Device)
}

pub(super) fn asker(name: &str, role: Role) -> Asker {
    let jid = BareJid::new(name, "localhost").unwrap();
    Asker {
        jid: jid.with_resource("x").unwrap(),
        subject: Subject {
            component: false,
            jid,
            role,
            groups: Vec::new(),
        },
        superuser: false,
        counts: AccountCounts::default(),
        host: None,
    }
}

pub(super) fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

pub(super) fn fields(pairs: &[(&str, &str)]) -> Vec<Field> {
    let field = |&(var, value): &(&str, &str)| Field {
        var: format!("pubsub#{var}").into(),
        values: vec![value.into()],
    };
    pairs.iter().map(field).collect()
}

pub(super) fn payload(xml: &'static str) -> Option<Payload> {
    Some(Payload::xml(xml.as_bytes().into()))
}

pub(super) fn publish(name: &str, id: &str) -> PubsubAction {
    publish_with(name, id, payload("<t xmlns='urn:t'>21</t>"))
}

pub(super) fn publish_with(name: &str, id: &str, payload: Option<Payload>) -> PubsubAction {
    let item = NewItem {
        id: (!id.is_empty()).then(|| ItemId::parse(id).unwrap()),
        payload,
    };
    PubsubAction::Publish {
        node: node(name),
        items: vec![item],
        options: None,
    }
}

pub(super) fn retract(name: &str, id: &str) -> PubsubAction {
    PubsubAction::Retract {
        node: node(name),
        items: vec![ItemId::parse(id).unwrap()],
        notify: false,
    }
}

/// The pubsub answer in a reply.
pub(super) fn pubsub(reply: Result<Reply, Refusal>) -> PubsubReply {
    match reply {
        Ok(Reply::Pubsub(reply)) => *reply,
        other => panic!("no answer of the service: {other:?}"),
    }
}

#[track_caller]
pub(super) fn refused(
    reply: Result<Reply, Refusal>,
    reason: Reason,
    detail: impl Into<Option<Detail>>,
) {
    let refusal = reply.unwrap_err();
    assert_eq!((refusal.reason, refusal.detail), (reason, detail.into()));
}
