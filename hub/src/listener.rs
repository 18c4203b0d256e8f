//! Accepting connections: bounded by network address and by what the system allows.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use leveret_engine::xmpp::{component::ComponentSession, session::XmppSession};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    connection::{Connection, Session},
    hub::Core,
};

/// Connections that the kernel completes while we are busy.
const BACKLOG: i32 = 4096;
/// How long accepting rests when the system has no more file descriptors.
const REST: Duration = Duration::from_millis(200);

/// Where a listener stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The address it is bound to.
    pub address: SocketAddr,
    /// What is spoken there.
    pub kind: ListenerKind,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerKind {
    /// XMPP clients, in the clear until STARTTLS.
    StartTls,
    /// XMPP clients, TLS from the first byte.
    DirectTls,
    /// External components (XEP-0114), in the clear.
    Component,
}

impl Endpoint {
    /// The name in the log and in `status`.
    pub const fn name(&self) -> &'static str {
        match self.kind {
            ListenerKind::StartTls => "xmpp (STARTTLS)",
            ListenerKind::DirectTls => "xmpp (direct TLS)",
            ListenerKind::Component => "components (plain)",
        }
    }
}

/// A bound listener.
pub(crate) struct Listener {
    pub(crate) endpoint: Endpoint,
    socket: TcpListener,
}

impl Listener {
    /// Binds; the error names the address.
    pub(crate) fn bind(address: SocketAddr, kind: ListenerKind) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        // `[::]` means every address of both families, as people expect, whatever the system's default is.
        if address.is_ipv6() {
            let _ = socket.set_only_v6(false);
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from_std(socket.into())?;
        Ok(Self {
            endpoint: Endpoint {
                address: socket.local_addr()?,
                kind,
            },
            socket,
        })
    }

    /// Accepts until the hub stops.
    pub(crate) async fn run(self, core: Arc<Core>) {
        loop {
            let (socket, peer) = tokio::select! {
                () = core.stopping() => return,
                accepted = self.socket.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // One peer's reset is its own business; a lack of descriptors passes.
                        tracing::warn!(listener = self.endpoint.name(), %error, "cannot accept");
                        tokio::time::sleep(REST).await;
                        continue;
                    }
                },
            };
            let peer = peer.ip().to_canonical();
            let Some(admission) = core.admit(peer) else {
                tracing::debug!(%peer, "refused: too many connections from this address");
                continue;
            };
            let begun = match self.endpoint.kind {
                ListenerKind::StartTls => {
                    begin::<XmppSession>(&core, socket, peer, false, admission)
                }
                ListenerKind::DirectTls => {
                    begin::<XmppSession>(&core, socket, peer, true, admission)
                }
                ListenerKind::Component => {
                    begin::<ComponentSession>(&core, socket, peer, false, admission)
                }
            };
            if let Err(error) = begun {
                tracing::debug!(%peer, %error, "connection lost before it began");
            }
        }
    }
}

/// Hands an accepted connection to the runtime.
fn begin<S: Session>(
    core: &Arc<Core>,
    socket: TcpStream,
    peer: IpAddr,
    direct_tls: bool,
    admission: Admission,
) -> io::Result<()> {
    let connection = Connection::<S>::new(Arc::clone(core), socket, peer, direct_tls, admission)?;
    core.spawn(connection);
    Ok(())
}

/// Counts connections by network address (`sessions_per_address`).
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<HashMap<IpAddr, u32>>);

/// One admitted connection; counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    addresses: Arc<Addresses>,
    peer: IpAddr,
}

impl Addresses {
    /// Admits one more connection from `peer`, if there are fewer than `max`.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr, max: usize) -> Option<Admission> {
        let peer = network(peer);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer).or_default();
        if usize::try_from(*count).is_ok_and(|count| count >= max) {
            if *count == 0 {
                counts.remove(&peer);
            }
            return None;
        }
        *count += 1;
        Some(Admission {
            addresses: Arc::clone(self),
            peer,
        })
    }

    /// All connections.
    pub(crate) fn total(&self) -> usize {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.values().map(|count| *count as usize).sum()
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self
            .addresses
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

/// What counts as one address: an IPv6 host owns a whole /64, and could use another address for every connection.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let addresses = Arc::new(Addresses::default());
        let peer = |n: u128| IpAddr::V6((0x2001_0db8_u128 << 96 | n).into());
        let held: Vec<_> = (0..9).filter_map(|n| addresses.admit(peer(n), 4)).collect();
        assert_eq!(held.len(), 4);
        assert!(addresses.admit(peer(1 << 64), 4).is_some());
        drop(held);
        assert_eq!(addresses.total(), 0);
    }

    #[test]
    fn an_address_has_its_bound_and_gets_its_place_back() {
        let addresses = Arc::new(Addresses::default());
        let peer = IpAddr::from([127, 0, 0, 1]);
        let first = addresses.admit(peer, 1);
        assert!(first.is_some());
        assert!(addresses.admit(peer, 1).is_none());
        assert!(addresses.admit(IpAddr::from([127, 0, 0, 2]), 1).is_some());
        drop(first);
        assert!(addresses.admit(peer, 1).is_some());
    }
}
