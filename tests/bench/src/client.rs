//! A client that writes bytes and looks for needles: enough XMPP to load a server, and no more.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::scram::{Exchange, Hash};

/// A source address gives some 28,000 ports; stay well below.
const CONNECTIONS_PER_SOURCE: u32 = 20_000;
const READ_BYTES: usize = 16 * 1024;
/// A server that answers with more than this before the needle comes is not answering.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a run gives no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{0}")]
    Usage(String),
    #[error("connection: {0}")]
    Io(#[from] io::Error),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("certificate: {0}")]
    Certificate(String),
    #[error("the server answered otherwise: {0}")]
    Protocol(String),
    #[error("not done after {0} s")]
    Late(u64),
}

/// The server under load, and how to sign in there.
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) domain: String,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) prefix: String,
    pub(crate) password: String,
    pub(crate) sessions_per_account: u32,
    pub(crate) mechanism: Option<String>,
}

impl Target {
    /// Localpart of the account that the session of this number uses.
    pub(crate) fn name(&self, session: u32) -> String {
        format!("{}{}", self.prefix, session / self.sessions_per_account)
    }

    pub(crate) fn jid(&self, session: u32) -> String {
        format!("{}@{}", self.name(session), self.domain)
    }

    pub(crate) fn pubsub(&self) -> String {
        format!("pubsub.{}", self.domain)
    }
}

pub(crate) fn tls_config(ca: &Path) -> Result<Arc<rustls::ClientConfig>, BenchError> {
    let mut roots = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(ca)
        .map_err(|error| BenchError::Certificate(error.to_string()))?;
    for certificate in certificates {
        roots.add(certificate.map_err(|error| BenchError::Certificate(error.to_string()))?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(Arc::new(config.with_no_client_auth()))
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_write(context, data),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(context),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}

/// One session, from connecting to bound.
pub(crate) struct Session {
    wire: Wire,
    /// What came in and was not yet looked at.
    waiting: Vec<u8>,
    next_id: u32,
    /// Full JID, as bound.
    pub(crate) jid: String,
}

impl Session {
    /// Connects, signs in and binds; sends no presence.
    pub(crate) async fn sign_in(target: &Target, number: u32) -> Result<Session, BenchError> {
        let mut session = Session::connect(target, number).await?;
        let name = target.name(number);
        session.open(target).await?;
        match target.mechanism.as_deref() {
            None => {
                let secret = STANDARD.encode(format!("\0{name}\0{}", target.password));
                session.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>")).await?;
            }
            Some(mechanism) => {
                let hash = Hash::of(mechanism)
                    .ok_or_else(|| BenchError::Usage(format!("unknown mechanism {mechanism}")))?;
                let (exchange, first) = Exchange::begin(hash, &name)?;
                session.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{first}</auth>")).await?;
                let seen = session.until(&["</challenge>", "</failure>"]).await?;
                let challenge = seen
                    .rsplit('>')
                    .nth(1)
                    .and_then(|text| text.split('<').next())
                    .unwrap_or_default();
                let answer = exchange.answer(challenge, &target.password)?;
                session
                    .send(&format!(
                        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{answer}</response>"
                    ))
                    .await?;
            }
        }
        let outcome = session.until(&["<success", "<failure"]).await?;
        let rest = session.until(&["</success>", "/>", "</failure>"]).await?;
        if outcome.ends_with("<failure") {
            return Err(BenchError::Protocol(format!(
                "sign-in of {name} failed: {rest}"
            )));
        }
        session.open(target).await?;
        let bind = format!(
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r{number}</resource></bind>"
        );
        session
            .send(&format!("<iq type='set' id='bind'>{bind}</iq>"))
            .await?;
        let seen = session.until(&["</jid>", "error"]).await?;
        let jid = seen
            .strip_suffix("</jid>")
            .and_then(|seen| seen.rsplit('>').next());
        session.jid = jid
            .ok_or_else(|| BenchError::Protocol(format!("bind: {seen}")))?
            .to_owned();
        session.until(&["</iq>"]).await?;
        Ok(session)
    }

    /// `sign_in`, then initial presence, heard back.
    pub(crate) async fn present(target: &Target, number: u32) -> Result<Session, BenchError> {
        let mut session = Session::sign_in(target, number).await?;
        session.send("<presence/>").await?;
        session.until(&["<presence"]).await?;
        session.until(&[">"]).await?;
        Ok(session)
    }

    async fn connect(target: &Target, number: u32) -> Result<Session, BenchError> {
        let stream = match target.addr {
            SocketAddr::V4(_) => {
                let socket = TcpSocket::new_v4()?;
                let [_, _, run_high, run_low] = std::process::id().to_be_bytes();
                let last = u8::try_from(1 + number / CONNECTIONS_PER_SOURCE).unwrap_or(u8::MAX);
                socket.bind(SocketAddr::new(
                    // Every run has addresses of its own: the last one's ports rest in TIME_WAIT.
                    IpAddr::V4(Ipv4Addr::new(127, run_high, run_low, last)),
                    0,
                ))?;
                socket.connect(target.addr).await?
            }
            SocketAddr::V6(_) => TcpStream::connect(target.addr).await?,
        };
        stream.set_nodelay(true)?;
        let wire = match &target.tls {
            None => Wire::Plain(stream),
            Some(config) => {
                let name = ServerName::try_from(target.domain.clone())
                    .map_err(|error| BenchError::Certificate(error.to_string()))?;
                Wire::Tls(Box::new(
                    TlsConnector::from(Arc::clone(config))
                        .connect(name, stream)
                        .await?,
                ))
            }
        };
        Ok(Session {
            wire,
            waiting: Vec::new(),
            next_id: 0,
            jid: String::new(),
        })
    }

    async fn open(&mut self, target: &Target) -> Result<(), BenchError> {
        self.waiting.clear();
        let header = format!(
            "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
            target.domain
        );
        self.send(&header).await?;
        self.until(&["</stream:features>"]).await.map(drop)
    }

    pub(crate) async fn send(&mut self, text: &str) -> Result<(), BenchError> {
        self.wire.write_all(text.as_bytes()).await?;
        Ok(self.wire.flush().await?)
    }

    /// Sends an IQ and waits until it is answered with a result.
    pub(crate) async fn ask(
        &mut self,
        kind: &str,
        to: Option<&str>,
        payload: &str,
    ) -> Result<(), BenchError> {
        self.next_id += 1;
        let id = format!("ask-{}", self.next_id);
        let to = to.map(|to| format!(" to='{to}'")).unwrap_or_default();
        self.send(&format!("<iq type='{kind}' id='{id}'{to}>{payload}</iq>"))
            .await?;
        let seen = self
            .until(&[&format!("id='{id}'"), &format!("id=\"{id}\"")])
            .await?;
        let rest = self.until(&[">"]).await?;
        let start = seen.rfind("<iq").map(|at| &seen[at..]).unwrap_or_default();
        if [start, &rest]
            .iter()
            .any(|part| part.contains("type='error'") || part.contains("type=\"error\""))
        {
            let more = self.until(&["</iq>"]).await.unwrap_or_default();
            return Err(BenchError::Protocol(format!(
                "{payload}: {start}{rest}{more}"
            )));
        }
        Ok(())
    }

    /// Reads until one of the needles has come; returns everything up to and including it.
    pub(crate) async fn until(&mut self, needles: &[&str]) -> Result<String, BenchError> {
        loop {
            let found = needles
                .iter()
                .filter_map(|needle| {
                    memmem::find(&self.waiting, needle.as_bytes()).map(|at| at + needle.len())
                })
                .min();
            if let Some(end) = found {
                let rest = self.waiting.split_off(end);
                let seen = std::mem::replace(&mut self.waiting, rest);
                return Ok(String::from_utf8_lossy(&seen).into_owned());
            }
            if self.waiting.len() > WAITING_BYTES_MAX {
                return Err(BenchError::Protocol("an endless answer".into()));
            }
            let mut chunk = [0u8; 4096];
            let count = self.wire.read(&mut chunk).await?;
            if count == 0 {
                let seen = String::from_utf8_lossy(&self.waiting).into_owned();
                return Err(BenchError::Protocol(format!("closed; last words: {seen}")));
            }
            self.waiting.extend_from_slice(&chunk[..count]);
        }
    }

    /// Reads one chunk and says how often the needle came in it.
    pub(crate) async fn count(&mut self, needle: &mut Needle) -> Result<u64, BenchError> {
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            return needle.feed(&waiting);
        }
        let mut chunk = vec![0u8; READ_BYTES];
        let count = self.wire.read(&mut chunk).await?;
        if count == 0 {
            return Err(BenchError::Protocol("the server closed a session".into()));
        }
        needle.feed(&chunk[..count])
    }

    /// Drops what came in so far and was not looked at.
    pub(crate) fn forget(&mut self) {
        self.waiting = Vec::new();
    }

    pub(crate) async fn leave(mut self) -> Result<(), BenchError> {
        self.send("</stream:stream>").await?;
        Ok(self.wire.shutdown().await?)
    }
}

/// Counts a byte string in a stream that comes in pieces; an error stanza in it ends the run.
pub(crate) struct Needle {
    needle: &'static [u8],
    tail: Vec<u8>,
}

impl Needle {
    pub(crate) fn new(needle: &'static str) -> Needle {
        Needle {
            needle: needle.as_bytes(),
            tail: Vec::new(),
        }
    }

    pub(crate) fn feed(&mut self, chunk: &[u8]) -> Result<u64, BenchError> {
        self.tail.extend_from_slice(chunk);
        if memmem::find(&self.tail, b"</error>").is_some() {
            return Err(BenchError::Protocol(
                String::from_utf8_lossy(&self.tail).into_owned(),
            ));
        }
        let count = memmem::find_iter(&self.tail, self.needle).count() as u64;
        // Too short for a whole needle, so nothing is counted twice.
        let keep = self.needle.len() - 1;
        self.tail.drain(..self.tail.len().saturating_sub(keep));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_is_counted_once_however_it_is_cut() {
        let text = b"<message a><x/></message><message b/>tail";
        for cut in 0..text.len() {
            let mut needle = Needle::new("<message");
            let count = needle.feed(&text[..cut]).unwrap() + needle.feed(&text[cut..]).unwrap();
            assert_eq!(count, 2, "cut at {cut}");
        }
    }

    #[test]
    fn an_error_is_not_counted_over() {
        assert!(
            Needle::new("<iq")
                .feed(b"<iq type='error'><error/><error></error></iq>")
                .is_err()
        );
    }
}
