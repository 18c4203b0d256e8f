//! The access model `authorize`: who asks to subscribe waits until an owner approves (XEP-0060 §6.1.4, §8.6, §8.7, §12.13).
//!
//! All owners are asked and the first answer counts. An owner who is away is asked when it comes; and whenever it likes, by
//! the command `get-pending`.

use crate::{
    address::{BareJid, Jid},
    command::{PubsubReply, Reply, SessionId},
    effect::{StoreAnswer, StoreQuery},
    event::NodeChange,
    item::{AccessModel, Affiliation, NodeSubscription, SubscriptionState},
    message::MessageKind,
    node::{NodeAddress, NodeId},
    refusal::{Reason, Refusal},
    service::{Change, Decision, Deliveries, Directory, Notice, Recipient},
};

use super::{
    ASKED_MAX, Asker, Pubsub, change, notice,
    subscribe::{Place, alone, owners, recipient, told_of},
    subscribers::may_stay,
};

/// Requests that an owner is sent at a stretch; what is left comes once some are answered.
pub(super) const REQUESTS_MAX: u32 = 100;

impl Pubsub {
    /// §8.6: an owner's answer.
    pub(super) fn authorize(
        &mut self,
        who: &Asker,
        id: NodeId,
        jid: &Jid,
        subid: Option<&str>,
        allow: bool,
        directory: &mut dyn Directory,
    ) -> Result<Decision, Refusal> {
        let at = self.managed(who, &id)?;
        let mut waiting = self.waiting_at(&at);
        waiting.retain(|one| one.jid == *jid && subid.is_none_or(|subid| *one.subid == *subid));
        if waiting.is_empty() {
            return Err(Refusal::new(Reason::ItemNotFound)
                .say("nobody waits for this answer; it may have been given already"));
        }
        let mut answered = change(Vec::new());
        for one in waiting {
            if allow {
                self.approve(&at, one, directory, &mut answered);
            } else {
                self.end(&Place::Node(at.clone()), one, directory, &mut answered);
            }
        }
        Ok(Decision::Change(Box::new(answered)))
    }

    /// Somebody is subscribed on an owner's word, and is told (§8.6, §8.8.4).
    pub(super) fn approve(
        &mut self,
        at: &NodeAddress,
        subscription: NodeSubscription,
        directory: &mut dyn Directory,
        made: &mut Change,
    ) {
        let approved = NodeSubscription {
            state: SubscriptionState::Subscribed,
            ..subscription
        };
        if let Some(full) = approved.jid.as_full() {
            self.waiting_here.remove(&(at.clone(), full));
        }
        if let Some(to) = recipient(&approved.jid, directory) {
            let told = told_of(&approved);
            let told = notice(at, self.kind_at(at), told, alone(to));
            made.notices.push(told);
        }
        self.enter(&Place::Node(at.clone()), approved, directory, made);
    }

    /// Asks the owners of a node for their approval.
    pub(super) fn ask_owners(
        &mut self,
        at: &NodeAddress,
        subscription: &NodeSubscription,
        directory: &mut dyn Directory,
        made: &mut Change,
    ) {
        let Some(node) = self.nodes.get(at) else {
            return;
        };
        let room = ASKED_MAX.saturating_sub(self.asked_of.len());
        self.asked_of.extend(node.owners().take(room).cloned());
        if let Some(full) = subscription.jid.as_full() {
            self.waiting_here.insert((at.clone(), full));
        }
        let to = owners(node, directory);
        made.notices.push(request(at, subscription, to));
    }

    /// Who waits at a node may have got a right of its own, or have lost all hope, by a new affiliation or access model: it
    /// is approved or refused without an owner's further word (§8.7.4).
    pub(super) fn settle_waiting(
        &mut self,
        at: &NodeAddress,
        directory: &mut dyn Directory,
        changed: &mut Change,
    ) {
        for one in self.waiting_at(at) {
            let Some(node) = self.nodes.get(at) else {
                return;
            };
            let account = one.jid.bare();
            match (node.affiliation(&account), node.config.access_model) {
                (Affiliation::None, AccessModel::Authorize) => {}
                _ if may_stay(at, node, &account, &*directory) => {
                    self.approve(at, one, directory, changed);
                }
                _ => self.end(&Place::Node(at.clone()), one, directory, changed),
            }
        }
        if let Some(node) = self.nodes.get(at)
            && node
                .subscriptions()
                .any(|one| one.state == SubscriptionState::Pending)
        {
            // There may be new owners.
            let room = ASKED_MAX.saturating_sub(self.asked_of.len());
            self.asked_of.extend(node.owners().take(room).cloned());
        }
    }

    /// §8.7: the nodes with requests that the asker may answer, or the requests of one node.
    pub(super) fn get_pending(
        &mut self,
        who: &Asker,
        id: Option<NodeId>,
        execution: Box<str>,
        directory: &mut dyn Directory,
    ) -> Result<Decision, Refusal> {
        let Some(id) = id else {
            return Ok(self.nodes_with_requests(who, execution));
        };
        let at = self.managed(who, &id)?;
        let waiting = self.waiting_at(&at);
        let mut sent = change(Vec::new());
        sent.reply = Ok(pending(execution, None));
        // §8.7.4: "one subscription approval message for each", to whoever asked.
        if let Some(session) = directory.session(&who.jid) {
            let requests = waiting.iter().take(REQUESTS_MAX as usize);
            sent.notices = requests
                .map(|one| request(&at, one, alone(Recipient::Session(session))))
                .collect();
        }
        Ok(Decision::Change(Box::new(sent)))
    }

    fn nodes_with_requests(&self, who: &Asker, execution: Box<str>) -> Decision {
        let account = who.subject.jid.clone();
        let here = self.requests_here(&account);
        let host = who.host.clone();
        Decision::Read {
            query: StoreQuery::Pending {
                owner: account,
                max: u32::MAX,
            },
            then: Box::new(move |answer| match answer {
                // §8.7.3.3
                StoreAnswer::Pending { owns: false, .. } => Err(Reason::Forbidden.into()),
                StoreAnswer::Pending { list, .. } => {
                    let all = list.into_iter().chain(here);
                    let of_host = all.filter(|(at, _)| at.host == host);
                    let mut nodes: Vec<NodeId> = of_host.map(|(at, _)| at.node).collect();
                    nodes.sort();
                    nodes.dedup();
                    Ok(pending(execution, Some(nodes)))
                }
                _ => Err(Reason::InternalServerError.into()),
            }),
        }
    }

    /// Whether requests may wait for an owner: then its sessions should be told when they come.
    pub fn is_asked(&self, owner: &BareJid) -> bool {
        self.asked_of.len() >= ASKED_MAX || self.asked_of.contains(owner)
    }

    /// What the store is to be asked of an owner who has come.
    pub fn requests_query(&self, owner: &BareJid) -> StoreQuery {
        StoreQuery::Pending {
            owner: owner.clone(),
            max: REQUESTS_MAX,
        }
    }

    /// The requests that wait for an owner, to be sent to the session with which it came.
    pub fn requests(
        &mut self,
        owner: &BareJid,
        stored: Vec<(NodeAddress, NodeSubscription)>,
        to: SessionId,
    ) -> Vec<Notice> {
        let mut all = stored;
        // Memory is newer than the answer.
        all.retain(|(at, one)| {
            !self.nodes.contains_key(at) || self.waiting_at(at).iter().any(|waits| waits == one)
        });
        all.extend(self.requests_here(owner));
        // Full, the set does not say whom it lacks: then it stays so until the next start.
        if all.is_empty() && self.asked_of.len() < ASKED_MAX {
            self.asked_of.remove(owner);
        }
        let requests = all.iter().take(REQUESTS_MAX as usize);
        requests
            .map(|(at, one)| request(at, one, alone(Recipient::Session(to))))
            .collect()
    }

    /// Requests of full addresses, which memory alone knows, at nodes of an owner.
    fn requests_here(&self, owner: &BareJid) -> Vec<(NodeAddress, NodeSubscription)> {
        let owned = self.waiting_here.iter().filter(|(at, _)| {
            let node = self.nodes.get(at);
            node.is_some_and(|node| node.affiliation(owner) == Affiliation::Owner)
        });
        let theirs = owned.flat_map(|(at, full)| {
            let all = self.subscriptions_at(&Place::Node(at.clone()), full.as_jid());
            all.into_iter().map(|one| (at.clone(), one))
        });
        theirs
            .filter(|(_, one)| one.state == SubscriptionState::Pending)
            .collect()
    }

    fn waiting_at(&self, at: &NodeAddress) -> Vec<NodeSubscription> {
        let node = self.nodes.get(at).into_iter();
        let all = node.flat_map(|node| node.subscriptions());
        all.filter(|one| one.state == SubscriptionState::Pending)
            .cloned()
            .collect()
    }
}

fn pending(execution: Box<str>, nodes: Option<Vec<NodeId>>) -> Reply {
    Reply::Pubsub(Box::new(PubsubReply::Pending { execution, nodes }))
}

/// §8.6: the form. Its message is of type `normal`, whatever the node's notifications are: it asks for an answer.
fn request(at: &NodeAddress, subscription: &NodeSubscription, to: Deliveries) -> Notice {
    let asked = NodeChange::Requested {
        jid: subscription.jid.clone(),
        subid: subscription.subid.clone(),
    };
    notice(at, MessageKind::Normal, asked, to)
}
