//! Making a node, asked for or by the first publish (XEP-0060 §8.1, §7.1.4).

use crate::{
    class::Class,
    command::{Field, PubsubReply, Reply},
    effect::StoreOp,
    item::{Affiliation, NodeConfig},
    node::{NodeAddress, NodeId},
    refusal::{Detail, Reason, Refusal},
    service::{Decision, Directory},
    time::Now,
};

use super::{
    Asker, Pubsub, change,
    config::{self, Unknown},
    node::Node,
    rights::Rights,
    tree::born,
};

impl Pubsub {
    pub(super) fn create(
        &mut self,
        who: &Asker,
        node: Option<NodeId>,
        fields: &[Field],
        directory: &mut dyn Directory,
        now: Now,
    ) -> Result<Decision, Refusal> {
        // §8.1.2: without a name the service makes one ("instant node").
        let id = match node {
            Some(id) => id,
            None => NodeId::parse(&self.ids.make(now))
                .map_err(|_| Refusal::new(Reason::InternalServerError))?,
        };
        let at = who.at(id);
        let exists = self.nodes.contains_key(&at);
        let draft = match self.draft(who, &at, fields, Unknown::Ignore, now) {
            // §8.1.1: whether a name is taken is told only to those who may create it.
            Err(refusal) if !exists || refusal.reason == Reason::Forbidden => return Err(refusal),
            _ if exists => return Err(Reason::Conflict.into()),
            drafted => drafted?,
        };
        let mut made = change(creation(&at, &draft));
        made.reply = Ok(Reply::Pubsub(Box::new(PubsubReply::Created {
            node: at.node.clone(),
        })));
        made.notices
            .extend(born(&at, &draft, &self.interest, directory));
        self.nodes.insert(at, draft);
        Ok(Decision::Change(Box::new(made)))
    }

    /// A node that `who` may make, not yet in the tree.
    pub(super) fn draft(
        &self,
        who: &Asker,
        at: &NodeAddress,
        fields: &[Field],
        unknown: Unknown,
        now: Now,
    ) -> Result<Node, Refusal> {
        // S16: a filter is no name, and names with `$` are the hub's.
        if at.is_filter() {
            return Err(Refusal::new(Reason::NotAcceptable).say("a filter names no node"));
        }
        if at.host.is_none() && at.node.is_reserved() {
            return Err(Refusal::new(Reason::NotAcceptable).say("names with $ belong to the hub"));
        }
        if !Rights::new(&self.rules, who).may_create(&at.node) {
            return Err(Reason::Forbidden.into());
        }
        let nodes = usize::try_from(who.counts.nodes).unwrap_or(usize::MAX);
        if nodes >= self.limits.nodes_per_account && !who.superuser {
            return Err(Refusal::new(Reason::ResourceConstraint)
                .because(Detail::MaxNodesExceeded)
                .say("the account owns as many nodes as it may"));
        }
        let mut config = config::default_config(at.host.as_ref(), &self.limits);
        config::apply(&mut config, fields, &self.limits, unknown)?;
        if config.class == Some(Class::Alarm) {
            Rights::new(&self.rules, who).may_choose_alarm(&at.node)?;
        }
        Ok(Node::new(config, who.jid.bare(), now.wall))
    }
}

/// What to store of a new node; its maker is its owner (§8.1).
pub(super) fn creation(at: &NodeAddress, node: &Node) -> Vec<StoreOp> {
    vec![
        StoreOp::PutNode {
            at: at.clone(),
            config: Box::new(NodeConfig::clone(&node.config)),
            creator: node.creator.clone(),
            created: node.created,
        },
        StoreOp::PutAffiliation {
            at: at.clone(),
            jid: node.creator.clone(),
            affiliation: Affiliation::Owner,
        },
    ]
}
