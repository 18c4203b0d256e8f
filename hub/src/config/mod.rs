//! The configuration: one TOML file, every key optional, nothing silently ignored.
//!
//! What a key is called, what it expects, its default and its meaning stand once, in `keys.rs`; reading, complaining,
//! `config show` and `docs/configuration.md` all come from that table.

mod advice;
mod check;
mod components;
mod error;
mod form;
mod groups;
mod history;
mod keys;
mod reference;
mod rules;
mod source;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use leveret_engine::access::AccessRules;
use leveret_engine::address::BareJid;
use leveret_engine::class::{self, ClassRules};
use leveret_engine::history::HistoryRules;
use leveret_engine::limits::Limits;
use leveret_engine::roster_group::{RosterGroup, RosterGroups};
use leveret_engine::xmpp::contact::Contacts;
use toml::de::DeValue;

pub use components::{ComponentConfig, SecretError, SecretSource};
pub use error::{ConfigError, Place};
pub use history::HistoryRule;
pub use rules::{AccessRule, ClassRule};
pub(crate) use source::nearest;

use crate::store::Durability;

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
    /// `[components]`: where external components connect.
    pub components: ComponentsConfig,
    /// `[tls]`: the hub's certificate, and whose certificates it accepts.
    pub tls: TlsConfig,
    /// `[pubsub]`: the service that nodes belong to.
    pub pubsub: PubsubConfig,
    /// `[registration]`: whether strangers may make accounts.
    pub registration: RegistrationConfig,
    /// `[contact]`: whom to write to about the service (XEP-0157).
    pub contacts: Contacts,
    /// `[storage]`: how soon what is written is safe.
    pub storage: StorageConfig,
    /// `[limits]`: what one peer, one account and all together may use. A bound that is lifted holds the largest value of
    /// its type.
    pub limits: Limits,
    /// `[[class]]`: delivery classes by node, in the order of the file; the first match decides (S1).
    pub classes: Vec<ClassRule>,
    /// `[[history]]`: how much of their past nodes keep, in the order of the file; the first match decides.
    pub history: Vec<HistoryRule>,
    /// `[[access]]`: who may do what where, in the order of the file; they stand before the defaults (S13).
    pub access: Vec<AccessRule>,
    /// `[[roster_group]]`: which accounts see which without a handshake, in the order of the file.
    pub roster_groups: Vec<RosterGroup>,
    /// `[[component]]`: which external components may attach (XEP-0114).
    pub component: Vec<ComponentConfig>,
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

/// Where external components connect (XEP-0114).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentsConfig {
    /// Plain listeners; none unless given.
    pub listen: Vec<SocketAddr>,
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
        let (mut access, mut groups, mut component) = (None, None, None);
        for (span, key, value) in entries(document.get_ref()) {
            match (key, value.get_ref()) {
                ("class", _) => config.classes = rules::read_classes(&source, value)?,
                ("history", _) => config.history = history::read_history(&source, value)?,
                // Read last: an account's address in a rule is checked against the domain.
                ("access", _) => access = Some(value),
                ("roster_group", _) => groups = Some(value),
                // So is a component's.
                ("component", _) => component = Some(value),
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
        if let Some(value) = groups {
            config.roster_groups = groups::read(&source, value, &config.domain)?;
        }
        if let Some(value) = access {
            let groups = config.roster_groups.iter();
            let names = rules::Names {
                domain: &config.domain,
                groups: &groups.map(|group| group.name.clone()).collect::<Vec<_>>(),
            };
            config.access = rules::read_access(&source, value, &names)?;
        }
        if let Some(value) = component {
            let (domain, service) = (&config.domain, &config.pubsub.service);
            config.component = components::read_components(&source, value, domain, service)?;
        }
        check::check(&config, &source, document.get_ref())?;
        Ok(config)
    }

    /// The domain as an address.
    ///
    /// # Panics
    /// If `domain` was set to what cannot be one; reading a file refuses that.
    pub fn domain_jid(&self) -> BareJid {
        BareJid::parse(&self.domain).expect("a domain is checked when it is read")
    }

    /// The pubsub service as an address.
    ///
    /// # Panics
    /// If `pubsub.service` was set to what cannot be one; reading a file refuses that.
    pub fn service_jid(&self) -> BareJid {
        BareJid::parse(&self.pubsub.service).expect("a service is checked when it is read")
    }

    /// The access rules for the engine: those of the file, then the defaults.
    ///
    /// # Panics
    /// If a rule's `on` was set to what is no filter; reading a file refuses that. To leave the rule out would be worse: it may
    /// be one that denies.
    pub fn access_rules(&self) -> AccessRules {
        let rules = self.access.iter().map(AccessRule::to_rule);
        AccessRules::new(
            rules
                .collect::<Result<_, _>>()
                .expect("rules are checked when they are read"),
        )
    }

    /// The delivery classes for the engine, in the order of the file.
    ///
    /// # Panics
    /// If a rule's `on` was set to what is no filter; reading a file refuses that.
    pub fn class_rules(&self) -> ClassRules {
        let rules = self
            .classes
            .iter()
            .map(|rule| class::ClassRule::new(&rule.on, rule.class));
        ClassRules(
            rules
                .collect::<Result<_, _>>()
                .expect("rules are checked when they are read"),
        )
    }

    /// How much nodes keep, for the engine, in the order of the file.
    ///
    /// # Panics
    /// If a rule's `on` was set to what is no filter; reading a file refuses that.
    pub fn history_rules(&self) -> HistoryRules {
        let rules = self.history.iter().map(HistoryRule::to_rule);
        HistoryRules(
            rules
                .collect::<Result<_, _>>()
                .expect("rules are checked when they are read"),
        )
    }

    /// The roster groups for the engine.
    pub fn roster_groups(&self) -> RosterGroups {
        RosterGroups::new(self.roster_groups.clone())
    }

    fn resolve_paths(&mut self, folder: &Path) {
        let paths = [
            Some(&mut self.data_dir),
            self.tls.certificate.as_mut(),
            self.tls.key.as_mut(),
            self.tls.client_ca.as_mut(),
        ];
        let secrets =
            self.component
                .iter_mut()
                .filter_map(|component| match &mut component.secret {
                    SecretSource::File(path) => Some(path),
                    SecretSource::Given(_) => None,
                });
        for path in paths.into_iter().flatten().chain(secrets) {
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
            components: ComponentsConfig { listen: Vec::new() },
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
            contacts: Contacts::default(),
            storage: StorageConfig {
                durability: Durability::Full,
                flush: Duration::from_secs(5),
            },
            limits: Limits::default(),
            classes: Vec::new(),
            history: Vec::new(),
            access: Vec::new(),
            roster_groups: Vec::new(),
            component: Vec::new(),
        }
    }
}
