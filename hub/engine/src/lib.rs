//! The engine of Leveret: every rule of the hub, and nothing that waits, listens, sleeps or writes.
//!
//! In reading order: the nouns, which belong to no protocol; what a session may ask and hear; then the two halves that
//! never name each other, the protocols and the router with its services. `docs/architecture.md` has the picture.

// Nouns: nothing of ours below them.
pub mod access;
pub mod account;
pub mod address;
pub mod archive;
pub mod block_list;
pub mod capabilities;
pub mod class;
pub mod component;
pub mod credentials;
pub mod document;
pub mod history;
pub mod item;
pub mod limits;
pub mod message;
pub mod node;
pub mod payload;
pub mod refusal;
pub mod roster_group;
pub mod time;

// What passes between the halves.
pub mod command;
pub mod effect;
pub mod event;
pub mod mailbox;

// The router and its services: command to effect.
pub mod router;
pub mod service;

// The protocols: bytes to command, reply to bytes.
pub mod xmpp;
