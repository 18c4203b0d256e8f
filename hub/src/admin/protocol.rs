//! What the command line says to a hub, over the control socket or in the same process: one JSON object a line each way.
//!
//! Not an interface for others: both ends are the same program, and a hub refuses a command line of another version.

use serde::{Deserialize, Serialize};

/// Longest line either way, in bytes.
pub const LINE_BYTES_MAX: usize = 8 << 20;
/// Accounts in one request of an import.
pub const ACCOUNTS_PER_REQUEST_MAX: usize = 1_000;

/// A request with the version of who makes it.
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Envelope {
    pub version: String,
    pub request: Request,
}

/// What the command line asks. Names are addresses in full; the command line fills in the domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Request {
    /// Who are you? Answer: `Hello`.
    Hello,
    /// Answer: `Added`.
    AddAccounts {
        accounts: Vec<NewAccount>,
        replace: bool,
    },
    RemoveAccount {
        jid: String,
    },
    SetCredentials {
        jid: String,
        credentials: String,
    },
    SetEnabled {
        jid: String,
        enabled: bool,
    },
    /// Answer: `Accounts`.
    ListAccounts {
        after: Option<String>,
        max: u32,
    },
    /// Answer: `Sessions`.
    ListSessions {
        account: Option<String>,
    },
    /// Answer: `Count`.
    Kick {
        jid: String,
    },
    /// Answer: `Status`.
    Status {
        deep: bool,
    },
    /// Something about nodes.
    Node(NodeRequest),
}

/// What the command line asks about nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum NodeRequest {
    /// Names in order. Answer: `Nodes`; the list goes on after the last of them, until an answer is empty.
    List {
        /// Only this node and those below it.
        under: Option<String>,
        /// Only names that begin so.
        prefix: Option<String>,
        after: Option<String>,
        max: u32,
        /// With figures.
        long: bool,
    },
    /// Answer: `Node`.
    Show {
        node: String,
    },
    Create {
        node: String,
        config: Vec<(String, String)>,
    },
    Configure {
        node: String,
        config: Vec<(String, String)>,
    },
    Delete {
        node: String,
    },
    /// Answer: `Items`.
    Items {
        node: String,
        max: u32,
    },
    /// Answer: `Published`.
    Publish {
        node: String,
        id: Option<String>,
        /// In base64.
        payload: String,
    },
    Affiliate {
        node: String,
        jid: String,
        affiliation: String,
    },
    Retract {
        node: String,
        ids: Vec<String>,
    },
    Purge {
        node: String,
    },
    Subscribe {
        node: String,
        jid: String,
        /// Else its subscriptions end.
        subscribed: bool,
    },
}

impl NodeRequest {
    /// The node that it is about; a list is about many.
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::List { .. } => None,
            Self::Show { node }
            | Self::Create { node, .. }
            | Self::Configure { node, .. }
            | Self::Delete { node }
            | Self::Items { node, .. }
            | Self::Publish { node, .. }
            | Self::Affiliate { node, .. }
            | Self::Subscribe { node, .. }
            | Self::Retract { node, .. }
            | Self::Purge { node } => Some(node),
        }
    }
}

/// An account to be made: keys, never the password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct NewAccount {
    pub jid: String,
    pub role: String,
    /// The stable encoding of the credentials, in base64.
    pub credentials: String,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "see Request")]
pub enum Response {
    Done,
    /// Not done; why, in one sentence.
    Refused(String),
    Hello {
        domain: String,
        version: String,
        pid: u32,
    },
    /// For each account of the request in order: `None` if it was made, else why not.
    Added(Vec<Option<String>>),
    Accounts(Vec<AccountInfo>),
    Sessions(Vec<SessionInfo>),
    Count(usize),
    Status(Box<Status>),
    Nodes(Vec<NodeSummary>),
    Node(Box<NodeInfo>),
    Items(Vec<ItemInfo>),
    Published {
        id: String,
    },
}

/// One line of `account list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct AccountInfo {
    pub jid: String,
    pub role: String,
    pub enabled: bool,
    pub created: String,
    pub last_seen: Option<String>,
}

/// One line of `session list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct SessionInfo {
    pub jid: String,
    pub protocol: String,
    pub address: Option<String>,
    pub tls: bool,
    pub mechanism: String,
    pub since: String,
    /// `online`, `away`, `chat`, `dnd`, `xa`, or `none` before the first presence.
    pub presence: String,
    pub priority: Option<i8>,
}

/// One line of `node list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct NodeSummary {
    pub node: String,
    pub title: String,
    /// With `--long`.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Box<NodeFigures>>,
}

/// What a node has and does. What only memory knows is `None` of a node that is not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct NodeFigures {
    pub items: u32,
    pub subscribers: u32,
    pub payload_bytes: u64,
    pub class: Option<String>,
    pub memory_bytes: Option<usize>,
    /// In the last `within_seconds`.
    pub published: Option<u32>,
    /// Addresses that these were for, all together.
    pub delivered: Option<u32>,
    pub within_seconds: Option<u64>,
}

/// `node show`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct NodeInfo {
    pub node: String,
    pub creator: String,
    pub created: String,
    #[serde(flatten)]
    pub figures: NodeFigures,
    pub config: Vec<(String, String)>,
    /// The first thousand.
    pub affiliations: Vec<(String, String)>,
    /// The first thousand.
    pub subscriptions: Vec<(String, String)>,
}

/// One item of `node items`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct ItemInfo {
    pub id: String,
    pub publisher: String,
    pub published: String,
    pub class: String,
    pub payload: Option<String>,
}

/// `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Status {
    pub version: String,
    pub domain: String,
    pub pid: u32,
    /// `false` where the command line looks at the data of a hub that does not run.
    pub running: bool,
    pub uptime_seconds: u64,
    pub listeners: Vec<(String, String)>,
    pub connections: usize,
    pub sessions: usize,
    /// That may connect, and that are connected.
    #[serde(default)]
    pub components: usize,
    #[serde(default)]
    pub components_attached: usize,
    pub accounts: u64,
    pub nodes: u64,
    pub nodes_resident: usize,
    /// What the nodes in memory take, in bytes.
    #[serde(default)]
    pub node_cache_bytes: usize,
    pub items_published: u64,
    pub deliveries: u64,
    pub messages: u64,
    pub failed_logins: u64,
    pub mailbox_bytes: usize,
    pub mailbox_dropped: u64,
    pub resident_bytes: Option<u64>,
    pub storage: StorageStatus,
}

/// The store's part of `status`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct StorageStatus {
    pub file: String,
    pub file_bytes: u64,
    pub commits: u64,
    pub transactions: u64,
    pub commits_failed: u64,
    pub queue: usize,
    /// Since the start, where the system says it.
    pub bytes_written: Option<u64>,
    pub last_fault: Option<String>,
    /// `--deep`: what the integrity check says; "ok" if all is well.
    pub integrity: Option<String>,
}
