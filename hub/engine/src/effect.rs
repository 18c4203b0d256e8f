//! What the router asks of the store, and what it hears back.
//!
//! The store is one ordered log (S5): commits are applied in the order in which they were handed over, several to a
//! transaction, and answered in that order. A query sees every commit that was handed over before it.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    account::{Account, Contact, LastSeen, Role, Roster},
    address::{BareJid, Jid},
    archive::{ArchiveEnd, ArchiveEntry, ArchiveFilter, ArchivePage},
    command::{PageInfo, PageRequest},
    document::DocumentKey,
    item::{Affiliation, Item, NodeConfig, NodeRecord, NodeSubscription, Order, PersonalNode},
    message::Message,
    node::{ItemId, NodeAddress, NodeId},
    time::Timestamp,
};

/// How soon a commit must be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Nobody waits: within `[storage] flush` (S2).
    Lazy,
    /// With the next group commit.
    Group,
    /// Like `Group`, and synced under every durability but `off` (S2: alarms).
    Synced,
}

/// Changes that happen together or not at all.
#[derive(Debug)]
pub struct Commit {
    /// The router's number for it, growing by one.
    pub seq: u64,
    /// How soon.
    pub urgency: Urgency,
    /// What.
    pub ops: Vec<StoreOp>,
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
#[allow(
    missing_docs,
    reason = "the names say it; rules are given where there are any"
)]
pub enum StoreOp {
    /// Makes or replaces the account's own record; its roster and the rest stay.
    PutAccount(Box<Account>),
    /// Removes the account with its roster, offline messages, block list, documents, subscriptions, affiliations, owed alarms
    /// and personal nodes. Its nodes at the service stay unless it was their last owner; then the router deletes them first.
    RemoveAccount {
        account: BareJid,
    },
    LastSeen {
        account: BareJid,
        seen: LastSeen,
    },
    /// Makes or replaces a contact and sets the roster's version.
    PutContact {
        account: BareJid,
        contact: Box<Contact>,
        version: u64,
    },
    /// Removes a contact and sets the roster's version.
    RemoveContact {
        account: BareJid,
        contact: BareJid,
        version: u64,
    },
    /// Keeps a message for an absent account.
    PutOffline {
        account: BareJid,
        message: Box<Message>,
        at: Timestamp,
    },
    /// Removes the account's kept messages up to and including `up_to`.
    RemoveOffline {
        account: BareJid,
        up_to: u64,
    },
    /// Blocks an address for the account (XEP-0191), if there is such an account.
    PutBlocked {
        account: BareJid,
        jid: Jid,
    },
    /// Takes one entry out of the account's block list; `None`: all.
    RemoveBlocked {
        account: BareJid,
        jid: Option<Jid>,
    },
    /// Keeps a document for the account, if there is such an account; without content it is removed.
    PutDocument {
        account: BareJid,
        key: DocumentKey,
        content: Option<Bytes>,
    },
    /// Makes or replaces a node's record; items, affiliations and subscriptions stay.
    PutNode {
        at: NodeAddress,
        config: Box<NodeConfig>,
        creator: BareJid,
        created: Timestamp,
    },
    /// Removes a node with items, affiliations, subscriptions and what is owed of it.
    RemoveNode {
        at: NodeAddress,
    },
    /// `Affiliation::None` removes.
    PutAffiliation {
        at: NodeAddress,
        jid: BareJid,
        affiliation: Affiliation,
    },
    /// Makes or replaces a lasting subscription by its subid. `at.node` may be a filter.
    PutSubscription {
        at: NodeAddress,
        subscription: NodeSubscription,
    },
    RemoveSubscription {
        at: NodeAddress,
        subid: Box<str>,
    },
    /// Appends an item; one of the same id is replaced and becomes the newest. Then what `keep` does not keep is removed,
    /// oldest first and in O(1) amortised. `retained`: S4's flag moves to this item.
    PutItem {
        at: NodeAddress,
        item: Arc<Item>,
        retained: bool,
        keep: Keep,
    },
    /// Outcome: how many of them were shown. What is owed of them is removed too. Where there is history, it still tells
    /// that they were.
    RemoveItems {
        at: NodeAddress,
        ids: Vec<ItemId>,
    },
    /// Removes what `keep` does not keep (the node was reconfigured, or fell silent); [`Keep::NOTHING`] purges.
    TrimItems {
        at: NodeAddress,
        keep: Keep,
    },
    /// Keeps an alarm as owed to an account until it is acknowledged (S12); the body is kept once however many owe it.
    PutOwed {
        account: BareJid,
        at: NodeAddress,
        item: Arc<Item>,
    },
    /// One account has acknowledged it. Who raised it is for the count of S9; the store finds the alarm without.
    RemoveOwed {
        account: BareJid,
        at: NodeAddress,
        item: ItemId,
        publisher: BareJid,
    },
}

/// How much of a node's items is kept. What leaves is always the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The window: most items that are shown (`max_items`). They go only when they expire.
    pub shown: u32,
    /// Most items altogether, those behind the window for the archive alone; 0: no history.
    pub history: u32,
    /// Most payload bytes of all together, as long as there is something behind the window.
    pub bytes: Option<u64>,
    /// What is behind the window and was published before this goes.
    pub since: Option<Timestamp>,
    /// What was published before this goes, wherever it is (`item_expire`).
    pub unexpired: Option<Timestamp>,
}

impl Keep {
    /// All goes.
    pub const NOTHING: Self = Self::window(0);

    /// The newest `shown`, and no history.
    pub const fn window(shown: u32) -> Self {
        Self {
            shown,
            history: 0,
            bytes: None,
            since: None,
            unexpired: None,
        }
    }
}

/// A question to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum StoreQuery {
    /// Filters with their subscriptions, what is owed, and block lists. Asked once, at the start. Answer: `Boot`.
    Boot,
    /// Answer: `Account`.
    Account(BareJid),
    /// Answer: `Roster`.
    Roster(BareJid),
    /// Answer: `Node`.
    Node(NodeAddress),
    /// Items by id, in the order asked, those that exist. Answer: `Items`.
    /// What was published before `since` is expired.
    ItemsById {
        at: NodeAddress,
        ids: Vec<ItemId>,
        since: Option<Timestamp>,
    },
    /// A page of the shown items in their order; without a page the newest `max` in that order. What was published before
    /// `since` is expired. `with_payload = false` leaves payloads out. Answer: `Items`.
    Items {
        at: NodeAddress,
        max: u32,
        page: Option<PageRequest>,
        order: Order,
        since: Option<Timestamp>,
        with_payload: bool,
    },
    /// A page of a node's archive, oldest first or newest first. What was published before `since` is not there any more.
    /// Answer: `Archive`.
    Archive {
        at: NodeAddress,
        filter: Box<ArchiveFilter>,
        page: PageRequest,
        descending: bool,
        since: Option<Timestamp>,
    },
    /// The ends of a node's archive. Answer: `ArchiveEnds`.
    ArchiveEnds {
        at: NodeAddress,
        since: Option<Timestamp>,
    },
    /// Nodes that come after the one with this number, in whichever order, to look whether items of theirs are expired.
    /// Answer: `Sweep`.
    Sweep { after: u64, max: u32 },
    /// What is right below a name of the service's tree, or the first levels of all (S17): levels, then, if `items` asks for them,
    /// the items of the node of that name, those published since. Answer: `Branch`.
    Branch {
        under: Option<NodeId>,
        items: Option<Option<Timestamp>>,
        page: PageRequest,
    },
    /// Nodes of a host whose name is `under` or below it, in order of name. Answer: `Nodes`.
    Nodes {
        host: Option<BareJid>,
        under: Option<NodeId>,
        page: PageRequest,
    },
    /// Personal nodes of an account with what `asker` is to each, in order of name. Answer: `PersonalNodes`.
    PersonalNodes {
        host: BareJid,
        asker: BareJid,
        page: PageRequest,
    },
    /// Which personal nodes of these names these accounts have. Answer: `Present`, in order of host and name.
    Present {
        hosts: Vec<BareJid>,
        names: Vec<NodeId>,
    },
    /// Nodes of the service that the bare address is subscribed to and that show their last item when it comes, in order of
    /// name, after one. Answer: `Present`.
    Awaiting {
        account: BareJid,
        after: Option<NodeId>,
        max: u32,
    },
    /// Number of shown items and of subscriptions of a node. Answer: `Counts`.
    NodeCounts(NodeAddress),
    /// How many items a node keeps, those of its history too, and the bytes of their payloads. Answer: `Kept`.
    NodeBytes(NodeAddress),
    /// Lasting subscriptions of a bare address at a host. Answer: `Subscriptions`.
    SubscriptionsOf {
        host: Option<BareJid>,
        account: BareJid,
    },
    /// Subscriptions that wait for the approval of an account, which owns their nodes. Answer: `Pending`.
    Pending { owner: BareJid, max: u32 },
    /// Subscriptions whose lease ends before a time, those first that end first. Answer: `Ended`.
    Ended { before: Timestamp, max: u32 },
    /// Affiliations of a bare address at a host. Answer: `Affiliations`.
    AffiliationsOf {
        host: Option<BareJid>,
        account: BareJid,
    },
    /// Messages kept for an account, oldest first, after one. Answer: `Offline`.
    Offline {
        account: BareJid,
        after: u64,
        max: u32,
    },
    /// Alarms owed to an account, oldest first, after one. Answer: `Owed`.
    Owed {
        account: BareJid,
        after: u64,
        max: u32,
    },
    /// Accounts of a role that are not disabled and whose localpart begins so, in order of address, after one; by an
    /// index, without a look at their keys. Answer: `Roles`.
    AccountsOfRole {
        role: Role,
        start: Box<str>,
        after: Option<BareJid>,
        max: u32,
    },
    /// Those of these accounts that exist and are not disabled. Answer: `Roles`.
    RolesOf(Vec<BareJid>),
    /// A document of an account. Answer: `Document`.
    Document { account: BareJid, key: DocumentKey },
    /// Which documents an account keeps, and how many bytes each has. Answer: `DocumentSizes`.
    DocumentSizes(BareJid),
    /// Accounts in order of address, after one. Answer: `Accounts`.
    Accounts { after: Option<BareJid>, max: u32 },
    /// Answer: `Totals`.
    Totals,
}

/// What the store answered.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "see StoreQuery")]
pub enum StoreAnswer {
    Boot {
        filters: Vec<(NodeAddress, NodeSubscription)>,
        /// Alarms owed, by account and by the bare account that raised them, so that the bounds of S9 are known without a
        /// look-up.
        owed: Vec<(BareJid, BareJid, u32)>,
        /// Owners at whose nodes somebody waits for approval.
        asked: Vec<BareJid>,
        /// Who has blocked whom: few accounts have, and every stanza is held against it (XEP-0191).
        blocked: Vec<(BareJid, Jid)>,
    },
    /// With it, how many messages and alarms wait, how many nodes it owns and how many subscriptions it has.
    Account(Option<Box<Account>>, AccountCounts),
    Roster(Roster),
    Node(Option<Box<NodeRecord>>),
    Items {
        items: Vec<Arc<Item>>,
        page: PageInfo,
    },
    /// The keys of the page are the store's own.
    Branch {
        nodes: Vec<(NodeId, Box<str>)>,
        items: Vec<ItemId>,
        page: PageInfo,
    },
    Nodes {
        list: Vec<(NodeId, Box<str>)>,
        page: PageInfo,
    },
    PersonalNodes {
        list: Vec<PersonalNode>,
        page: PageInfo,
    },
    Present(Vec<NodeAddress>),
    Archive {
        entries: Vec<ArchiveEntry>,
        page: ArchivePage,
    },
    /// The first entry and the last.
    ArchiveEnds(Option<(ArchiveEnd, ArchiveEnd)>),
    Sweep {
        nodes: Vec<(NodeAddress, Box<NodeConfig>)>,
        /// The number to go on after; `None` at the end.
        next: Option<u64>,
    },
    Counts {
        items: u32,
        subscriptions: u32,
    },
    Kept {
        items: u64,
        bytes: u64,
    },
    Subscriptions(Vec<(NodeId, NodeSubscription)>),
    Pending {
        list: Vec<(NodeAddress, NodeSubscription)>,
        /// Whether the account owns any node at all.
        owns: bool,
    },
    Ended(Vec<(NodeAddress, NodeSubscription)>),
    Affiliations(Vec<(NodeId, Affiliation)>),
    Offline(Vec<(u64, Timestamp, Message)>),
    Owed(Vec<(u64, NodeAddress, Arc<Item>)>),
    Document(Option<Bytes>),
    DocumentSizes(Vec<(DocumentKey, u64)>),
    Accounts(Vec<Account>),
    Roles(Vec<(BareJid, Role)>),
    Totals {
        accounts: u64,
        nodes: u64,
    },
}

/// What the router must know of an account to keep its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct AccountCounts {
    pub offline: u32,
    pub owed: u32,
    pub nodes: u32,
    pub subscriptions: u32,
}

/// Why the store could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// The entry that a page was to stand after or before is not there, nor is its place known: `item-not-found`
    /// (XEP-0059 §2.4). Only in answer to a query.
    #[error("the entry that the page was asked from is not there")]
    NotFound,
    /// The words are for the log; peers hear `wait` / `resource-constraint` (S5).
    #[error("{0}")]
    Failed(String),
}

/// What goes to the store, in order.
#[derive(Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum StoreRequest {
    Commit(Commit),
    Query { id: u64, query: StoreQuery },
}

/// What comes back: commits in order of their numbers; queries when they are done.
#[derive(Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum StoreResponse {
    /// With an outcome for each `RemoveItems` in it, in order.
    Committed { seq: u64, removed: Vec<u32> },
    /// Nothing of it happened. If the fault is the disk's, the rest of its group failed with it and is told so too; if it
    /// is this commit's alone, the others stand.
    Failed { seq: u64, fault: StoreFault },
    Answered {
        id: u64,
        answer: Result<StoreAnswer, StoreFault>,
    },
}
