//! Every bound on what comes from outside (DESIGN §6), with its unit in the name. The shell fills them from `[limits]`.

use std::time::Duration;

/// Deepest nesting of elements in a stanza. Not configurable: no honest payload comes near it.
pub const STANZA_DEPTH_MAX: u32 = 64;
/// Most attributes of one element.
pub const ATTRIBUTES_MAX: u32 = 64;
/// Most commands of one session that may wait for the store before its connection stops reading (S6).
pub const PARKED_COMMANDS_MAX: usize = 64;
/// Events of one session's publishes that may wait for their deliveries before its connection stops reading (S6, S7).
pub const FANOUTS_PER_SESSION_MAX: usize = 16;
/// Deliveries of one event made at a stretch, before other work gets its turn (S7).
pub const FANOUT_SLICE: usize = 1_024;
/// Alarms kept as owed for one account; beyond it the publisher is refused (S9).
pub const OWED_ALARMS_PER_ACCOUNT_MAX: usize = 10_000;
/// Of those, alarms that one account has raised: beyond it that publisher is refused, and others are not (S9).
pub const OWED_ALARMS_PER_PUBLISHER_MAX: usize = 1_000;
/// Entries that a cursor puts into a mailbox at a time (S10).
pub const CURSOR_BATCH: usize = 64;

/// The configurable bounds. A bound that `[limits]` lifts (0) holds the largest value of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest stanza after login, in bytes. RFC 6120 §13.12: never below 10,000.
    pub stanza_bytes: usize,
    /// Largest stanza or stream element before login, in bytes.
    pub stanza_bytes_before_login: usize,
    /// Stanzas of one session a second, sustained; bursts of four times that.
    pub stanzas_per_second: u32,
    /// Bytes of one session a second, sustained; bursts of four times that.
    pub bytes_per_second: u32,
    /// Sessions of one account.
    pub sessions_per_account: usize,
    /// Sessions of one network address.
    pub sessions_per_address: usize,
    /// Failed logins a minute, per account and per address, before answers are delayed.
    pub failed_logins_per_minute: u32,
    /// Time from accept to login.
    pub unauthenticated: Duration,
    /// Events in one mailbox.
    pub mailbox_events: usize,
    /// Bytes in one mailbox.
    pub mailbox_bytes: usize,
    /// Bytes in all mailboxes together.
    pub mailbox_memory: usize,
    /// What nodes in memory may weigh together, in bytes; others wait in the store.
    pub node_cache: usize,
    /// Silence after which the hub pings a session; the same again without answer ends it.
    pub ping: Duration,
    /// Contacts of one roster.
    pub roster_items: usize,
    /// Pubsub subscriptions of one account.
    pub subscriptions_per_account: usize,
    /// Nodes owned by one account.
    pub nodes_per_account: usize,
    /// Items of one node.
    pub items_per_node: usize,
    /// Messages kept for one absent account.
    pub offline_messages: usize,
    /// Entries of one account's block list.
    pub blocked_per_account: usize,
    /// Documents of one account: its vCard and its private XML.
    pub documents_per_account: usize,
    /// Bytes in all documents of one account.
    pub document_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stanza_bytes: 262_144,
            stanza_bytes_before_login: 65_536,
            stanzas_per_second: 500,
            bytes_per_second: 1_048_576,
            sessions_per_account: 16,
            sessions_per_address: 2_000,
            failed_logins_per_minute: 10,
            unauthenticated: Duration::from_secs(15),
            mailbox_events: 1_000,
            mailbox_bytes: 1_048_576,
            mailbox_memory: 128 << 20,
            node_cache: 64 << 20,
            ping: Duration::from_secs(120),
            roster_items: 10_000,
            subscriptions_per_account: 10_000,
            nodes_per_account: 1_000,
            items_per_node: 10_000,
            offline_messages: 1_000,
            blocked_per_account: 1_000,
            documents_per_account: 100,
            document_bytes: 1_048_576,
        }
    }
}
