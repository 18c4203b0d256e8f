//! What the administration asks of the router, and what it hears back.

use std::time::Duration;

use super::Transport;
use crate::{
    account::{Account, Role},
    address::{BareJid, Jid},
    class::Class,
    credentials::Credentials,
    message::PresenceKind,
    node::NodeAddress,
    time::Timestamp,
};

/// Administration: what the command line asks of a running hub, or does on the store of one that does not run.
#[derive(Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum AdminRequest {
    /// `replace`: set the keys of an existing account instead of refusing (`import`). Answer: `Done`.
    AddAccount {
        account: BareJid,
        role: Role,
        credentials: Box<Credentials>,
        replace: bool,
    },
    /// Answer: `Done`.
    RemoveAccount { account: BareJid },
    /// Answer: `Done`; sessions of the account end.
    SetCredentials {
        account: BareJid,
        credentials: Box<Credentials>,
    },
    /// Answer: `Done`; when disabled, sessions of the account end.
    SetEnabled { account: BareJid, enabled: bool },
    /// Accounts in order of address, after one. Answer: [`AdminReply::Accounts`].
    ListAccounts { after: Option<BareJid>, max: u32 },
    /// Answer: [`AdminReply::Sessions`].
    ListSessions { account: Option<BareJid> },
    /// All sessions of an account, or the one of a full address. Answer: [`AdminReply::Count`].
    Kick { jid: Jid },
    /// Answer: [`AdminReply::Status`].
    Status,
    /// What a node takes and how busy it is. Answer: [`AdminReply::NodeUsage`].
    NodeUsage { at: NodeAddress },
}

/// An answer to the administration.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "see AdminRequest")]
pub enum AdminReply {
    Accounts(Vec<Account>),
    Sessions(Vec<SessionInfo>),
    Count(usize),
    Status(Box<RouterStatus>),
    NodeUsage {
        /// Of the payloads of its items.
        payload_bytes: u64,
        /// `None`: it is not in memory, so that its traffic is not known.
        memory: Option<NodeUsage>,
    },
}

/// What is known of a node that is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeUsage {
    /// The class of its next item (S1).
    pub class: Class,
    /// About what it takes in memory.
    pub memory_bytes: usize,
    /// How busy it is.
    pub traffic: NodeTraffic,
}

/// What a node had to do in the last minute and in this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeTraffic {
    /// Items published.
    pub published: u32,
    /// Addresses that they were for, all together.
    pub delivered: u32,
    /// How long that is; less where the node has just come into memory.
    pub within: Duration,
}

/// One session, as `session list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its address; of a component, its domain.
    pub jid: Jid,
    /// How it is connected.
    pub transport: Transport,
    /// Since when.
    pub since: Timestamp,
    /// Its last announcement, if it made one.
    pub presence: Option<PresenceKind>,
}

/// The router's counts, for `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct RouterStatus {
    pub sessions: usize,
    /// Components that there may be.
    pub components: usize,
    /// Those that are connected.
    pub components_attached: usize,
    pub accounts: u64,
    pub nodes: u64,
    pub nodes_resident: usize,
    pub node_cache_bytes: usize,
    pub items_published: u64,
    pub deliveries: u64,
    pub messages: u64,
    pub failed_logins: u64,
    pub commits_failed: u64,
}
