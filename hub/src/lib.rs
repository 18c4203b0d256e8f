//! The shell of Leveret: everything that listens, waits, sleeps or writes, around the engine that has every rule.
//!
//! In reading order: how it is configured and asked; the hub from start to drain; the way of the bytes; the store.

pub mod admin;
pub mod cli;
pub mod config;
pub mod log;

pub mod hub;

pub mod clock;
mod connection;
pub mod listener;
pub mod secret;
pub mod shard;
mod timers;
pub mod tls;
mod work;

pub mod store;
