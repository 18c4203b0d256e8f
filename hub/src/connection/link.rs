//! The wire under a session: plain, encrypted, or on the way from one to the other.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::SystemTime,
};

use leveret_engine::{
    address::BareJid,
    xmpp::{
        sasl::{ChannelBindingType, ChannelBindings},
        session::LinkSecurity,
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{Accept, TlsAcceptor, server::TlsStream};

use crate::tls::{ClientCertificate, ServerTls};

/// How TLS begins.
#[derive(Clone, Copy)]
pub(crate) enum TlsKind {
    /// From the first byte (XEP-0368).
    Direct,
    /// After STARTTLS (RFC 6120 §5).
    Upgrade,
}

/// The wire. What is large is boxed: a plain connection pays for none of it (S30).
pub(crate) enum Link {
    Plain(TcpStream),
    Accepting(Box<(Accept<TcpStream>, Arc<ServerTls>)>),
    Tls(Box<TlsStream<TcpStream>>),
    /// Only while it changes hands.
    Gone,
}

impl Link {
    pub(crate) fn accept(socket: TcpStream, tls: &Arc<ServerTls>, kind: TlsKind) -> Self {
        let config = match kind {
            TlsKind::Direct => tls.direct(),
            TlsKind::Upgrade => tls.starttls(),
        };
        let acceptor = TlsAcceptor::from(Arc::clone(config));
        Self::Accepting(Box::new((acceptor.accept(socket), Arc::clone(tls))))
    }

    /// Goes over to TLS; what the peer sends next is its first handshake message.
    pub(crate) fn start_tls(&mut self, tls: &Arc<ServerTls>) {
        if let Self::Plain(_) = self
            && let Self::Plain(socket) = std::mem::replace(self, Self::Gone)
        {
            *self = Self::accept(socket, tls, TlsKind::Upgrade);
        }
    }

    /// Drives the handshake; then says what it proved.
    pub(crate) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
        domain: &str,
    ) -> Poll<io::Result<LinkSecurity>> {
        let Self::Accepting(accepting) = self else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let (accept, tls) = &mut **accepting;
        match Pin::new(accept).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(stream)) => {
                let security = security(&stream, tls, domain);
                *self = Self::Tls(Box::new(stream));
                Poll::Ready(Ok(security))
            }
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        let polled = match self {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, &mut buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, &mut buffer),
            Self::Accepting(_) | Self::Gone => return Poll::Pending,
        };
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len())),
            // A peer that closes TCP without a TLS farewell has closed all the same.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(0))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> io::Result<Poll<usize>> {
        let polled = match self {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
            Self::Accepting(_) | Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        };
        match polled {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => Ok(Poll::Ready(count)),
            Poll::Ready(Err(error)) => Err(error),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
            // TCP has nothing to flush.
            Self::Plain(_) | Self::Accepting(_) | Self::Gone => Poll::Ready(Ok(())),
        }
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            Self::Accepting(_) | Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

/// What TLS proved: channel bindings (S25) and whom the client's certificate names (S27).
fn security(stream: &TlsStream<TcpStream>, tls: &ServerTls, domain: &str) -> LinkSecurity {
    let (_, connection) = stream.get_ref();
    let proved = tls.channel_bindings(connection);
    let mut bindings = ChannelBindings::NONE;
    if let Some(data) = &proved.exporter {
        bindings = bindings.with(ChannelBindingType::TlsExporter, data);
    }
    if let Some(data) = &proved.server_end_point {
        bindings = bindings.with(ChannelBindingType::TlsServerEndPoint, data);
    }
    let certificate = match tls.client_certificate(connection, SystemTime::now()) {
        ClientCertificate::None => Vec::new(),
        ClientCertificate::Unusable(why) => {
            tracing::info!(%why, "client certificate not accepted");
            Vec::new()
        }
        ClientCertificate::Trusted(identity) => {
            let named = identity
                .addresses
                .iter()
                .filter_map(|text| BareJid::parse(text).ok());
            let common = identity.common_name.iter();
            named
                .chain(common.filter_map(|name| BareJid::new(name, domain).ok()))
                .collect()
        }
    };
    LinkSecurity::Tls {
        bindings,
        certificate,
    }
}
