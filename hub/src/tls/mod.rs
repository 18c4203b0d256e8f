//! TLS: the hub's certificate, its local certificate authority, client certificates and channel binding.
//!
//! A connection takes [`Reloadable::current`] once, when it is accepted, and keeps that [`ServerTls`] as long as it lives: so what
//! it later binds to (S25) and whom it trusts is what its own handshake used, whatever was reloaded since.

mod authority;
mod binding;
mod clients;
mod error;
mod files;
mod peer;
mod server;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use authority::{Authority, DeviceCertificate};
pub use binding::{ChannelBindings, server_end_point, tls_exporter};
pub use error::TlsError;
pub use peer::{ClientCertificate, ClientIdentity, Issuer};
pub use server::{ALPN_XMPP_CLIENT, Reloadable, ServerTls};

/// 2026-11-01T00:00:00Z, before which this program did not exist. A clock that says less has not been set (S28), and what it says is
/// taken as this instant, so that certificates made or checked meanwhile do not end in 1971.
const EARLIEST: Duration = Duration::from_secs(1_793_491_200);

/// The time that certificates are made and checked with.
fn since_epoch(now: SystemTime) -> Duration {
    now.duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .max(EARLIEST)
}
