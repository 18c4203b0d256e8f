//! Stand-in until the service itself is merged: refuses everything but a publish that tells its subscribers.
#![allow(missing_docs)]
use smallvec::SmallVec;

use crate::{
    access::{AccessRules, Subject},
    address::{BareJid, FullJid},
    class::ClassRules,
    command::PubsubRequest,
    effect::{AccountCounts, StoreOp},
    item::{NodeRecord, NodeSubscription},
    limits::Limits,
    node::NodeAddress,
    refusal::Reason,
    service::{Change, Decision, Directory},
    time::Now,
};

pub struct Asker {
    pub subject: Subject,
    pub jid: FullJid,
    pub superuser: bool,
    pub counts: AccountCounts,
}
pub struct PubsubSettings {
    pub service: BareJid,
    pub access: AccessRules,
    pub classes: ClassRules,
    pub limits: Limits,
    pub id_secret: [u8; 32],
}
pub struct Pubsub;
impl Pubsub {
    pub fn new(_: PubsubSettings) -> Self {
        Self
    }
    pub fn boot(
        &mut self,
        _: Vec<(NodeAddress, NodeSubscription)>,
        _: Vec<(BareJid, u32)>,
        _: &mut dyn Directory,
    ) {
    }
    pub fn missing(&self, _: &PubsubRequest) -> SmallVec<[NodeAddress; 1]> {
        SmallVec::new()
    }
    pub fn loaded(&mut self, _: NodeAddress, _: Option<NodeRecord>) {}
    pub fn handle(
        &mut self,
        _: &Asker,
        _: PubsubRequest,
        _: &mut dyn Directory,
        _: Now,
    ) -> Decision {
        Decision::Refuse(Reason::FeatureNotImplemented.into())
    }
    pub fn commit_failed(&mut self, _: &[StoreOp]) {}
    pub fn session_ended(&mut self, _: &FullJid) {}
    pub fn account_removed(&mut self, _: &BareJid) {}
    pub fn set_rules(
        &mut self,
        _: AccessRules,
        _: ClassRules,
        _: Limits,
        _: &dyn Fn(&BareJid) -> Option<Subject>,
        _: &mut dyn Directory,
    ) -> Vec<Change> {
        Vec::new()
    }
}
