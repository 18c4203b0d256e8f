//! Who may do what with a node, in the order of S13: a deny of the rules; what the owner granted; the rules; the node's
//! own models.

use crate::{
    access::{AccessRules, Action, Subject, Verdict},
    address::FullJid,
    item::{AccessModel, Affiliation, PublishModel},
    node::NodeId,
    refusal::{Detail, Reason, Refusal},
};

use super::{Asker, node::Node};

/// The rights of one asker.
#[derive(Clone, Copy)]
pub(super) struct Rights<'a> {
    rules: &'a AccessRules,
    subject: &'a Subject,
    /// The session that asks, if one does.
    session: Option<&'a FullJid>,
    superuser: bool,
}

impl<'a> Rights<'a> {
    pub(super) fn new(rules: &'a AccessRules, who: &'a Asker) -> Self {
        Self {
            rules,
            subject: &who.subject,
            session: Some(&who.jid),
            superuser: who.superuser,
        }
    }

    /// Those of an account that asks nothing now: for the re-check of live subscriptions.
    pub(super) fn of_subject(rules: &'a AccessRules, subject: &'a Subject) -> Self {
        Self {
            rules,
            subject,
            session: None,
            superuser: false,
        }
    }

    fn verdict(&self, action: Action, name: &NodeId) -> Verdict {
        if self.superuser {
            Verdict::Allow
        } else {
            self.rules.on_node(self.subject, action, name.as_str())
        }
    }

    /// A deny is said before anything is said of the node, so that it tells nothing about it.
    pub(super) fn not_denied(&self, action: Action, name: &NodeId) -> Result<(), Refusal> {
        match self.verdict(action, name) {
            Verdict::Deny => Err(Reason::Forbidden.into()),
            Verdict::Allow | Verdict::Silent => Ok(()),
        }
    }

    /// Whether the asker may be told that there is such a node: who is denied everything learns nothing, however it asks.
    pub(super) fn may_know(&self, name: &NodeId) -> Result<(), Refusal> {
        self.not_denied(Action::Subscribe, name)
            .or_else(|_| self.not_denied(Action::Publish, name))
    }

    /// Creation has no model to fall back on: only a rule allows it (DESIGN §7).
    pub(super) fn may_create(&self, name: &NodeId) -> bool {
        self.verdict(Action::Create, name) == Verdict::Allow
    }

    /// XEP-0060 §4.1 table 2 and `pubsub#publish_model`; refused as §7.1.3.1.
    pub(super) fn may_publish(&self, name: &NodeId, node: &Node) -> Result<(), Refusal> {
        let verdict = self.verdict(Action::Publish, name);
        let may = match (verdict, node.affiliation(&self.subject.jid)) {
            (Verdict::Deny, _) => false,
            _ if self.superuser => true,
            (_, Affiliation::Outcast) => false,
            (_, Affiliation::Owner | Affiliation::Publisher | Affiliation::PublishOnly) => true,
            (Verdict::Allow, _) => true,
            (Verdict::Silent, Affiliation::Member | Affiliation::None) => {
                match node.config.publish_model {
                    PublishModel::Open => true,
                    PublishModel::Subscribers => {
                        let session = self.session.map(FullJid::as_jid);
                        let addresses = session.into_iter().chain([self.subject.jid.as_jid()]);
                        addresses.into_iter().any(|jid| node.is_subscribed(jid))
                    }
                    PublishModel::Publishers => false,
                }
            }
        };
        if may {
            Ok(())
        } else {
            Err(Reason::Forbidden.into())
        }
    }

    /// Whether everything that others published may be retracted (XEP-0060 §7.2: publishers and owners), not only one's own.
    pub(super) fn may_retract_any(&self, name: &NodeId, node: &Node) -> bool {
        let granted = matches!(
            node.affiliation(&self.subject.jid),
            Affiliation::Owner | Affiliation::Publisher
        );
        granted
            || self.superuser
            || self.verdict(Action::Publish, name) == Verdict::Allow
            || self.verdict(Action::Configure, name) == Verdict::Allow
    }

    /// To subscribe and to read items: XEP-0060 §4.5; refused as §6.1.3 and §6.5.9 say.
    pub(super) fn may_read(&self, name: &NodeId, node: &Node) -> Result<(), Refusal> {
        let verdict = self.verdict(Action::Subscribe, name);
        match (verdict, node.affiliation(&self.subject.jid)) {
            (Verdict::Deny, _) => Err(Reason::Forbidden.into()),
            _ if self.superuser => Ok(()),
            // §6.1.3.8: blocked. A publish-only entity may not subscribe either (§4.1).
            (_, Affiliation::Outcast | Affiliation::PublishOnly) => Err(Reason::Forbidden.into()),
            (_, Affiliation::Owner | Affiliation::Publisher | Affiliation::Member) => Ok(()),
            (Verdict::Allow, Affiliation::None) => Ok(()),
            (Verdict::Silent, Affiliation::None) => match node.config.access_model {
                AccessModel::Open => Ok(()),
                // §6.1.3.4: not on the whitelist. Models that are not offered admit nobody else either.
                _ => Err(Refusal::new(Reason::NotAllowed).because(Detail::ClosedNode)),
            },
        }
    }

    /// All owner use cases (XEP-0060 §8): the owner's, and whoever a rule lets configure.
    pub(super) fn may_manage(&self, name: &NodeId, node: &Node) -> Result<(), Refusal> {
        let verdict = self.verdict(Action::Configure, name);
        match (verdict, node.affiliation(&self.subject.jid)) {
            (Verdict::Deny, _) => Err(Reason::Forbidden.into()),
            (Verdict::Allow, affiliation) if affiliation != Affiliation::Outcast => Ok(()),
            _ if self.superuser => Ok(()),
            (_, Affiliation::Owner) => Ok(()),
            _ => Err(Reason::Forbidden.into()),
        }
    }
}
