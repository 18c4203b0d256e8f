//! Who may do what with a node, in the order of S13: a deny of the rules; what the owner granted; the rules; the node's
//! own models. Of personal nodes the rules say nothing: their account may do everything, the models decide for others.

use crate::{
    access::{AccessRules, Action, Subject, Verdict},
    address::{BareJid, FullJid},
    item::{AccessModel, Affiliation, NodeConfig, PublishModel},
    node::NodeId,
    refusal::{Detail, Reason, Refusal},
    service::Directory,
};

use super::{
    Asker,
    acquaintance::{is_barred, rosters},
    node::Node,
};

/// The rights of one asker.
#[derive(Clone, Copy)]
pub(super) struct Rights<'a> {
    rules: &'a AccessRules,
    subject: &'a Subject,
    /// Whose personal nodes are meant; `None`: the service's.
    host: Option<&'a BareJid>,
    /// The session that asks, if one does.
    session: Option<&'a FullJid>,
    superuser: bool,
}

impl<'a> Rights<'a> {
    pub(super) fn new(rules: &'a AccessRules, who: &'a Asker) -> Self {
        Self {
            rules,
            subject: &who.subject,
            host: who.host.as_ref(),
            session: Some(&who.jid),
            superuser: who.superuser,
        }
    }

    /// Those of an account that asks nothing now: for the re-check of live subscriptions.
    pub(super) fn of_subject(
        rules: &'a AccessRules,
        subject: &'a Subject,
        host: Option<&'a BareJid>,
    ) -> Self {
        Self {
            rules,
            subject,
            host,
            session: None,
            superuser: false,
        }
    }

    fn verdict(&self, action: Action, name: &NodeId) -> Verdict {
        if self.superuser || self.is_host() {
            Verdict::Allow
        } else if self.host.is_some() {
            Verdict::Silent
        } else {
            self.rules.on_node(self.subject, action, name.as_str())
        }
    }

    /// Whether the asker's own personal nodes are meant.
    fn is_host(&self) -> bool {
        self.host == Some(&self.subject.jid)
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

    /// Whether the asker may make a node's items alarms (`leveret#class`): where a rule lets them configure. What an owner may
    /// do with a node of their own ends where the sleep of others begins.
    pub(super) fn may_choose_alarm(&self, name: &NodeId) -> Result<(), Refusal> {
        if self.host.is_some() {
            return Err(Refusal::new(Reason::NotAcceptable)
                .say("alarms are raised at nodes of the service; personal nodes raise none"));
        }
        match self.verdict(Action::Configure, name) {
            Verdict::Allow => Ok(()),
            Verdict::Deny | Verdict::Silent => Err(Refusal::new(Reason::Forbidden)
                .say("only where a rule lets the account configure may it choose alarm")),
        }
    }

    /// XEP-0060 §4.1 table 2 and `pubsub#publish_model`; refused as §7.1.3.1.
    pub(super) fn may_publish(&self, name: &NodeId, node: &Node) -> Result<(), Refusal> {
        let verdict = self.verdict(Action::Publish, name);
        let may = match (verdict, node.affiliation(&self.subject.jid)) {
            (Verdict::Deny, _) => false,
            _ if self.superuser || self.is_host() => true,
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
            || self.is_host()
            || self.verdict(Action::Publish, name) == Verdict::Allow
            || self.verdict(Action::Configure, name) == Verdict::Allow
    }

    /// To subscribe: who may read may, where the node takes subscriptions at all.
    pub(super) fn may_subscribe(
        &self,
        name: &NodeId,
        node: &Node,
        directory: &dyn Directory,
    ) -> Result<(), Refusal> {
        self.may_read(name, node, directory)?;
        if node.config.subscribe || self.superuser {
            return Ok(());
        }
        // §6.1.3.10
        Err(Refusal::new(Reason::FeatureNotImplemented).because(Detail::Unsupported("subscribe")))
    }

    /// To read items: XEP-0060 §4.5; refused as §6.1.3 and §6.5.9 say.
    pub(super) fn may_read(
        &self,
        name: &NodeId,
        node: &Node,
        directory: &dyn Directory,
    ) -> Result<(), Refusal> {
        let verdict = self.verdict(Action::Subscribe, name);
        match (verdict, node.affiliation(&self.subject.jid)) {
            (Verdict::Deny, _) => Err(Reason::Forbidden.into()),
            _ if self.superuser || self.is_host() => Ok(()),
            // §6.1.3.8: blocked. A publish-only entity may not subscribe either (§4.1).
            (_, Affiliation::Outcast | Affiliation::PublishOnly) => Err(Reason::Forbidden.into()),
            (_, Affiliation::Owner | Affiliation::Publisher | Affiliation::Member) => Ok(()),
            (Verdict::Allow, Affiliation::None) => Ok(()),
            (Verdict::Silent, Affiliation::None) => {
                admits(self.host, node, &self.subject.jid, directory)
            }
        }
    }

    /// Whether a subscription that there is must end by the rules or the node's own word, whatever rosters say: those are
    /// not at hand when rules change, and they are asked when the node is used.
    pub(super) fn must_leave(&self, name: &NodeId, node: &Node) -> bool {
        match self.verdict(Action::Subscribe, name) {
            Verdict::Deny => true,
            _ if self.superuser || self.is_host() => false,
            Verdict::Allow => matches!(
                node.affiliation(&self.subject.jid),
                Affiliation::Outcast | Affiliation::PublishOnly
            ),
            Verdict::Silent => is_barred(node, self.subject),
        }
    }

    /// All owner use cases (XEP-0060 §8): the owner's, and whoever a rule lets configure.
    pub(super) fn may_manage(&self, name: &NodeId, node: &Node) -> Result<(), Refusal> {
        let verdict = self.verdict(Action::Configure, name);
        match (verdict, node.affiliation(&self.subject.jid)) {
            (Verdict::Deny, _) => Err(Reason::Forbidden.into()),
            (Verdict::Allow, affiliation) if affiliation != Affiliation::Outcast => Ok(()),
            _ if self.superuser || self.is_host() => Ok(()),
            (_, Affiliation::Owner) => Ok(()),
            _ => Err(Reason::Forbidden.into()),
        }
    }
}

/// The same where one owner is known, and what its roster says of the account.
pub(super) fn is_admitted(config: &NodeConfig, sees: bool, groups: &[Box<str>]) -> bool {
    match config.access_model {
        AccessModel::Open => true,
        AccessModel::Presence => sees,
        AccessModel::Roster => {
            let allowed = &config.roster_groups_allowed;
            groups.iter().any(|group| allowed.contains(group))
        }
        AccessModel::Authorize | AccessModel::Whitelist => false,
    }
}

/// Whether the node's access model alone admits an account that has no affiliation (§4.5). `host` is whose personal node it
/// is; for a node of the service the rosters of its owners count, as far as they are in memory.
pub(super) fn admits(
    host: Option<&BareJid>,
    node: &Node,
    account: &BareJid,
    directory: &dyn Directory,
) -> Result<(), Refusal> {
    let is_known = |fits: &dyn Fn(&BareJid) -> bool| match host {
        Some(host) => host == account || fits(host),
        None => rosters(host, node).any(fits),
    };
    match node.config.access_model {
        AccessModel::Open => Ok(()),
        AccessModel::Presence => {
            let sees = |owner: &BareJid| directory.acquaintance(owner, account).sees;
            // §6.1.3.2
            is_known(&sees).then_some(()).ok_or_else(|| {
                Refusal::new(Reason::NotAuthorized).because(Detail::PresenceSubscriptionRequired)
            })
        }
        AccessModel::Roster => {
            let allowed = &node.config.roster_groups_allowed;
            let is_in_group = |owner: &BareJid| {
                let groups = directory.acquaintance(owner, account).groups;
                groups.iter().any(|group| allowed.contains(group))
            };
            // §6.1.3.3
            is_known(&is_in_group).then_some(()).ok_or_else(|| {
                Refusal::new(Reason::NotAuthorized).because(Detail::NotInRosterGroup)
            })
        }
        // §6.5.9.3: only subscribers may retrieve items, and an owner made them so.
        AccessModel::Authorize if node.is_subscriber(account) => Ok(()),
        AccessModel::Authorize => {
            Err(Refusal::new(Reason::NotAuthorized).because(Detail::NotSubscribed))
        }
        // §6.1.3.4, §6.5.9.8: not on the whitelist.
        AccessModel::Whitelist => Err(Refusal::new(Reason::NotAllowed).because(Detail::ClosedNode)),
    }
}
