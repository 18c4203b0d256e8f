//! The access models that go by what an owner's roster says of somebody: `presence` and `roster` (XEP-0060 §4.5).
//!
//! Rosters are not the service's: [`wants`](super::Pubsub::wants) names the few that a decision needs, and the router
//! says when one of them changed. A node that comes from the disk is held against the rosters of its owners before it
//! tells anybody anything.

use crate::{
    access::Subject,
    address::{BareJid, Jid},
    item::{AccessModel, Affiliation},
    node::NodeAddress,
    service::{Change, Directory},
};

use super::{Pubsub, change, node::Node, rights::Rights, subscribers::may_stay};

/// Owners of one node whose rosters count, the first by address. More would be as many rosters in memory for one publish.
const ROSTERS_PER_NODE_MAX: usize = 4;

/// Whether somebody's right depends on a roster.
pub(super) const fn goes_by_roster(model: AccessModel) -> bool {
    matches!(model, AccessModel::Presence | AccessModel::Roster)
}

/// Whose rosters say who may read: the account that personal nodes belong to, else the owners.
pub(super) fn rosters<'a>(
    host: Option<&'a BareJid>,
    node: &'a Node,
) -> impl Iterator<Item = &'a BareJid> + 'a {
    let owners = node
        .owners()
        .filter(move |owner| host.is_none() && owner.local().is_some());
    host.into_iter().chain(owners).take(ROSTERS_PER_NODE_MAX)
}

impl Pubsub {
    /// What `owner`'s roster says of `contact` has changed: subscriptions that lost their right end, and their subscribers
    /// are told (§12.14). Nodes that are not in memory are held against the roster when they come.
    pub fn acquaintance_changed(
        &mut self,
        owner: &BareJid,
        contact: &BareJid,
        directory: &mut dyn Directory,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for at in self.by_roster.take(owner) {
            let Some(node) = self.nodes.get(&at) else {
                continue;
            };
            if !goes_by_roster(node.config.access_model) {
                continue;
            }
            self.by_roster.put(owner, &at);
            let theirs: Vec<Jid> = node
                .subscriptions()
                .map(|one| one.jid.clone())
                .filter(|jid| jid.bare() == *contact)
                .collect();
            if !theirs.is_empty() && !self.may_go_on(&at, node, contact, directory) {
                let mut ending = change(Vec::new());
                self.end_subscriptions(&at, &theirs, directory, &mut ending);
                changes.push(ending);
            }
        }
        changes
    }

    /// What shared groups say of an owner has changed, or of many by its groups: its nodes are held against that before they are
    /// used next.
    pub fn owner_changed(&mut self, owner: &BareJid) {
        for at in self.by_roster.of(owner).into_iter().flatten() {
            if let Some(node) = self.nodes.get_mut(at) {
                node.set_settled(false);
            }
        }
    }

    /// A node that goes by rosters and came from the disk is used for the first time, or somebody has come whose role was not
    /// known before: those who lost their right meanwhile are no subscribers any more, before anything else is decided.
    pub(super) fn settle_acquaintances(&mut self, at: &NodeAddress, directory: &mut dyn Directory) {
        let by_roster = |node: &&Node| goes_by_roster(node.config.access_model);
        let Some(node) = self.nodes.get(at).filter(by_roster) else {
            return;
        };
        let strangers: Vec<Jid> = node
            .subscriptions()
            .map(|one| one.jid.clone())
            .filter(|jid| !self.may_go_on(at, node, &jid.bare(), directory))
            .collect();
        if !strangers.is_empty() {
            let mut ending = change(Vec::new());
            self.end_subscriptions(at, &strangers, directory, &mut ending);
            self.asides.push(ending);
        }
    }

    /// Notes whose rosters the node's subscribers depend on, after something was done with it.
    pub(super) fn note_rosters(&mut self, at: &NodeAddress) {
        if let Some(node) = self.nodes.get(at)
            && goes_by_roster(node.config.access_model)
            && node.subscriptions().next().is_some()
        {
            for owner in rosters(at.host.as_ref(), node) {
                self.by_roster.put(owner, at);
            }
            let nodes = &self.nodes;
            self.by_roster.sweep(|at| nodes.contains_key(at));
        }
    }

    /// Whether a subscriber of a node that goes by rosters has a right to be one. Of an account that has not been here it is not
    /// known what the rules give it: it hears nothing before it comes, and is judged then.
    pub(super) fn may_go_on(
        &self,
        at: &NodeAddress,
        node: &Node,
        account: &BareJid,
        directory: &dyn Directory,
    ) -> bool {
        may_stay(at, node, account, directory)
            || directory.subject(account).is_none_or(|subject| {
                let rights = Rights::of_subject(&self.rules, &subject, at.host.as_ref());
                rights.may_read(&at.node, node, directory).is_ok()
            })
    }
}

/// Whether the node itself bars an account, whatever rosters say: for re-checks where rosters are not at hand.
pub(super) fn is_barred(node: &Node, who: &Subject) -> bool {
    match node.affiliation(&who.jid) {
        Affiliation::Outcast | Affiliation::PublishOnly => true,
        Affiliation::Owner | Affiliation::Publisher | Affiliation::Member => false,
        Affiliation::None => node.config.access_model == AccessModel::Whitelist,
    }
}
