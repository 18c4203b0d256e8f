//! A service, a store that commits at once, and who heard what.

mod accounts;
mod store;
mod words;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    address::{BareJid, Jid},
    class::{Class, ClassRule, ClassRules},
    command::{PubsubAction, PubsubRequest, Reply},
    effect::{StoreOp, Urgency},
    event::{NodeChange, What},
    history::{HistoryRule, HistoryRules},
    item::{History, Shows},
    limits::Limits,
    mailbox::SubscriptionTag,
    message::MessageKind,
    node::NodeAddress,
    refusal::{Reason, Refusal},
    service::{
        AccountId, Change, Decision, Directory as _, Recipient,
        pubsub::{Asker, Pubsub, PubsubSettings, Wanted},
    },
    time::{Instant, Now, Timestamp},
};

pub(super) use self::{accounts::*, store::*, words::*};

/// One delivery of a notice.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) to: String,
    pub(super) kind: MessageKind,
    pub(super) change: NodeChange,
    pub(super) tag: Option<Arc<SubscriptionTag>>,
    pub(super) delay: Option<Timestamp>,
    pub(super) shows: Shows,
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
                shows: delivery.shows,
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
