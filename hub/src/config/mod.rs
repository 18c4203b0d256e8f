//! The configuration: one TOML file, every key optional, nothing silently ignored.
//!
//! What a key is called, what it expects, its default and its meaning stand once, in `keys.rs`; reading, complaining,
//! `config show` and `docs/configuration.md` all come from that table.

mod check;
mod error;
mod form;
mod keys;
mod reference;
mod rules;
mod source;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

pub use error::{ConfigError, Place};
pub use rules::{AccessRule, Action, ActionSet, ClassRule, DeliveryClass, Role, Who};

use source::{Field, Source, entries};

/// Everything that a hub is told before it starts. `Config::default()` is what an empty file means.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The domain of every account, in lower case (RFC 7622 §3.2).
    pub domain: String,
    /// Where the store, the local authority and the control socket live.
    pub data_dir: PathBuf,
    /// `[xmpp]`: where XMPP clients connect.
    pub xmpp: XmppConfig,
    /// `[tls]`: the hub's certificate, and whose certificates it accepts.
    pub tls: TlsConfig,
    /// `[pubsub]`: the service that nodes belong to.
    pub pubsub: PubsubConfig,
    /// `[registration]`: whether strangers may make accounts.
    pub registration: RegistrationConfig,
    /// `[storage]`: how soon what is written is safe.
    pub storage: StorageConfig,
    /// `[limits]`: what one peer, one account and all together may use.
    pub limits: Limits,
    /// `[[class]]`: delivery classes by node, in the order of the file; the first match decides (S1).
    pub classes: Vec<ClassRule>,
    /// `[[access]]`: who may do what where, in the order of the file; they stand before the defaults (S13).
    pub access: Vec<AccessRule>,
}

/// Where XMPP clients connect. Either list may be empty: then nothing listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmppConfig {
    /// Listeners that begin in the clear and offer STARTTLS (RFC 6120 §5).
    pub listen: Vec<SocketAddr>,
    /// Listeners that speak TLS from the first byte (XEP-0368).
    pub listen_tls: Vec<SocketAddr>,
    /// Whether a stream must be encrypted before anybody signs in.
    pub require_tls: bool,
}

/// The hub's certificate, and whose certificates it accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// PEM file with the hub's certificate chain, its own first. `None`: the local authority issues one.
    pub certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key. Given if and only if `certificate` is.
    pub key: Option<PathBuf>,
    /// PEM file with authorities whose client certificates are accepted, besides the local one.
    pub client_ca: Option<PathBuf>,
    /// The most plaintext bytes in one TLS record that the hub sends.
    pub max_fragment_bytes: usize,
}

/// The publish-subscribe service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PubsubConfig {
    /// Its address, in lower case. Unless given, `pubsub.` and the domain.
    pub service: String,
}

/// Registration by the client itself (XEP-0077).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationConfig {
    /// Whether anybody who can connect may make an account, of role device.
    pub enabled: bool,
}

/// How soon what is written is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// What must have happened before an answer.
    pub durability: Durability,
    /// How long an item that nobody waits for may stay unwritten (S2).
    pub flush: Duration,
}

/// What must have happened before a publisher hears that its item is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The commit is synced to the disk: a power cut loses nothing that was answered.
    Full,
    /// The commit is with the system: a crash of the hub loses nothing, a power cut may lose the last commits.
    Normal,
    /// The system writes when it likes. For tests.
    Off,
}

/// What one peer, one account and all together may use. `None` in an `Option` means: no bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest stanza of a session that has signed in, in bytes; never below 10,000 (RFC 6120 §13.12).
    pub stanza_bytes: usize,
    /// The largest element before signing in, in bytes.
    pub stanza_bytes_before_login: usize,
    /// Stanzas a session may send per second, sustained; bursts may hold four times that.
    pub stanzas_per_second: Option<u32>,
    /// Bytes a session may send per second, sustained; bursts may hold four times that.
    pub bytes_per_second: Option<u32>,
    /// Sessions of one account at a time.
    pub sessions_per_account: Option<u32>,
    /// Connections from one network address at a time.
    pub sessions_per_address: Option<u32>,
    /// Wrong passwords per minute, per account and per network address, before answers are delayed.
    pub failed_logins_per_minute: Option<u32>,
    /// How long a connection may take to sign in.
    pub unauthenticated_seconds: u32,
    /// Events that may wait for one session.
    pub mailbox_events: usize,
    /// Bytes that may wait for one session.
    pub mailbox_bytes: usize,
    /// Bytes that may wait for all sessions together.
    pub mailbox_memory_bytes: u64,
    /// How long a session may be silent before the hub asks whether it is still there.
    pub ping_seconds: Option<u32>,
    /// Contacts in one roster.
    pub roster_items: Option<u32>,
    /// Pubsub subscriptions of one account.
    pub subscriptions_per_account: Option<u32>,
    /// Nodes owned by one account.
    pub nodes_per_account: Option<u32>,
    /// Items kept in one node.
    pub items_per_node: Option<u32>,
    /// Messages kept for one absent account.
    pub offline_messages: Option<u32>,
}

impl Config {
    /// Reads and checks a configuration file. Without a path, the configuration of an empty file in the working
    /// directory. Relative paths in a file are relative to the folder that the file is in.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let text =
            std::fs::read_to_string(path).map_err(|cause| ConfigError::unreadable(path, cause))?;
        let mut config = Self::parse(&text, &path.display().to_string())?;
        let absolute =
            std::path::absolute(path).map_err(|cause| ConfigError::unreadable(path, cause))?;
        config.resolve_paths(absolute.parent().unwrap_or(Path::new("/")));
        Ok(config)
    }

    /// Reads and checks the text of a configuration file; `file` names it in complaints. Relative paths stay so.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let source = Source {
            file,
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
        };
        let document = source.parse()?;
        let mut config = Self::default();
        let mut service_given = false;
        for (span, key, value) in entries(document.get_ref()) {
            match (key, value.get_ref()) {
                ("class", _) => config.classes = rules::read_classes(&source, value)?,
                ("access", _) => config.access = rules::read_access(&source, value)?,
                (name, DeValue::Table(section)) if keys::is_section(name) => {
                    let title = format!("[{name}]");
                    for (span, key, value) in entries(section) {
                        let known = keys::find(name, key).ok_or_else(|| {
                            source.unknown_key(span, key, &title, &keys::names(name))
                        })?;
                        let field = Field::new(&source, &title, key, known.form, value);
                        (known.read)(&mut config, &field)?;
                        service_given |= (name, key) == ("pubsub", "service");
                    }
                }
                (name, other) if keys::is_section(name) => {
                    return Err(source.fault(
                        Some(value.span()),
                        format!("`{name}`: this is {}", source::type_name(other)),
                        Some(format!("expected a section that begins with [{name}]")),
                    ));
                }
                (name, _) => {
                    let known = keys::find("", name)
                        .ok_or_else(|| source.unknown_key(span, name, "", &keys::top_names()))?;
                    let field = Field::new(&source, "", name, known.form, value);
                    (known.read)(&mut config, &field)?;
                }
            }
        }
        if !service_given {
            config.pubsub.service = format!("pubsub.{}", config.domain);
        }
        check::check(&config, &source, document.get_ref())?;
        Ok(config)
    }

    fn resolve_paths(&mut self, folder: &Path) {
        let paths = [
            Some(&mut self.data_dir),
            self.tls.certificate.as_mut(),
            self.tls.key.as_mut(),
            self.tls.client_ca.as_mut(),
        ];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&path);
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            domain: "localhost".to_owned(),
            data_dir: PathBuf::from("leveret-data"),
            xmpp: XmppConfig {
                listen: vec![SocketAddr::from(([0_u16; 8], 5222))],
                listen_tls: vec![SocketAddr::from(([0_u16; 8], 5223))],
                require_tls: true,
            },
            tls: TlsConfig {
                certificate: None,
                key: None,
                client_ca: None,
                max_fragment_bytes: 1024,
            },
            pubsub: PubsubConfig {
                service: "pubsub.localhost".to_owned(),
            },
            registration: RegistrationConfig { enabled: false },
            storage: StorageConfig {
                durability: Durability::Full,
                flush: Duration::from_secs(5),
            },
            limits: Limits::default(),
            classes: Vec::new(),
            access: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stanza_bytes: 262_144,
            stanza_bytes_before_login: 65_536,
            stanzas_per_second: Some(500),
            bytes_per_second: Some(1_048_576),
            sessions_per_account: Some(16),
            sessions_per_address: Some(2_000),
            failed_logins_per_minute: Some(10),
            unauthenticated_seconds: 15,
            mailbox_events: 1_000,
            mailbox_bytes: 1_048_576,
            mailbox_memory_bytes: 128 << 20,
            ping_seconds: Some(120),
            roster_items: Some(10_000),
            subscriptions_per_account: Some(10_000),
            nodes_per_account: Some(1_000),
            items_per_node: Some(10_000),
            offline_messages: Some(1_000),
        }
    }
}

impl Durability {
    /// The word of the configuration file.
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Full => "full",
            Durability::Normal => "normal",
            Durability::Off => "off",
        }
    }
}
