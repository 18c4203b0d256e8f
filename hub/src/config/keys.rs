//! The table of keys: name, form, default, meaning, and how each is read into and shown from a [`Config`].

use std::net::SocketAddr;
use std::time::Duration;

use super::error::ConfigError;
use super::form::{Form, Lift, render_bytes, render_span};
use super::source::Field;
use super::{Config, check};
use crate::store::Durability;

/// One key of the file.
pub(super) struct Key {
    /// The section it stands in; empty at the top of the file.
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) form: Form,
    /// What it decides, for `docs/configuration.md` and `config show`: one sentence or two.
    pub(super) meaning: &'static str,
    pub(super) read: fn(&mut Config, &Field<'_>) -> Result<(), ConfigError>,
    /// The value as TOML; `None` when it is not set and has no value to show.
    pub(super) show: fn(&Config) -> Option<String>,
}

/// The sections in the order of the file, each with what it is about.
pub(super) const SECTIONS: [(&str, &str); 8] = [
    ("xmpp", "Where XMPP clients connect."),
    (
        "components",
        "Where external components connect (XEP-0114): gateways and bots with a domain of their own, each with a [[component]].",
    ),
    (
        "tls",
        "The hub's certificate, and whose certificates it accepts.",
    ),
    ("pubsub", "The service that nodes belong to (XEP-0060)."),
    (
        "registration",
        "Accounts made by clients themselves (XEP-0077).",
    ),
    (
        "contact",
        "Whom to write to about the service, as URIs; clients show them (XEP-0157).",
    ),
    ("storage", "How soon what is written is safe."),
    (
        "limits",
        "What one peer, one account and all together may use. Where a key says so, 0 lifts the bound.",
    ),
];

pub(super) fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|(section, _)| *section == name)
}

pub(super) fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| key.section == section && key.name == name)
}

/// The keys of a section, for suggestions.
pub(super) fn names(section: &str) -> Vec<&'static str> {
    KEYS.iter()
        .filter(|key| key.section == section)
        .map(|key| key.name)
        .collect()
}

/// All that may stand at the top of the file: keys and sections.
pub(super) fn top_names() -> Vec<&'static str> {
    let sections = SECTIONS.iter().map(|(section, _)| *section);
    names("")
        .into_iter()
        .chain(sections)
        .chain(["class", "history", "access", "roster_group", "component"])
        .collect()
}

/// An entry of `[limits]` that counts something; `$lift` tells whether 0 takes the bound away.
macro_rules! limit {
    (lifted $name:ident: $type:ty, $unit:literal, $min:literal ..= $max:literal, $meaning:literal) => {
        Key {
            section: "limits",
            name: stringify!($name),
            form: Form::Count {
                unit: $unit,
                min: $min,
                max: $max,
                lift: Lift::ByZero,
            },
            meaning: $meaning,
            read: |config, field| {
                let number = field.number()?;
                config.limits.$name = number.map_or(<$type>::MAX, |n| {
                    <$type>::try_from(n).unwrap_or(<$type>::MAX)
                });
                Ok(())
            },
            show: |config| {
                Some(match config.limits.$name {
                    <$type>::MAX => "0".to_owned(),
                    number => number.to_string(),
                })
            },
        }
    };
    (standing $name:ident, $unit:literal, $min:literal ..= $max:literal, $meaning:literal) => {
        Key {
            section: "limits",
            name: stringify!($name),
            form: Form::Count {
                unit: $unit,
                min: $min,
                max: $max,
                lift: Lift::Never,
            },
            meaning: $meaning,
            read: |config, field| {
                config.limits.$name = usize::try_from(field.bound()?).unwrap_or(usize::MAX);
                Ok(())
            },
            show: |config| Some(config.limits.$name.to_string()),
        }
    };
    (bytes $name:ident, $min:expr, $max:expr, $show:expr, $meaning:literal) => {
        Key {
            section: "limits",
            name: stringify!($name),
            form: Form::Bytes {
                min: $min,
                max: $max,
                lift: Lift::Never,
            },
            meaning: $meaning,
            read: |config, field| {
                config.limits.$name = usize::try_from(field.bound()?).unwrap_or(usize::MAX);
                Ok(())
            },
            show: |config| Some($show(config.limits.$name)),
        }
    };
}

/// A purpose of `[contact]`.
macro_rules! contact {
    ($name:literal, $meaning:literal) => {
        Key {
            section: "contact",
            name: $name,
            form: Form::Uris,
            meaning: $meaning,
            read: |config, field| {
                config.contacts.set($name, field.uris()?);
                Ok(())
            },
            show: |config| {
                let uris = config.contacts.of($name).iter();
                let quoted: Vec<_> = uris.map(|uri| quoted(uri)).collect();
                Some(format!("[{}]", quoted.join(", ")))
            },
        }
    };
}

pub(super) const KEYS: &[Key] = &[
    Key {
        section: "",
        name: "domain",
        form: Form::Text("a domain name such as \"iot.example.org\""),
        meaning: "The domain of every account: accounts are NAME@domain. Changing it later leaves the accounts of the old domain behind.",
        read: |config, field| {
            config.domain = check::domain(field)?;
            Ok(())
        },
        show: |config| Some(quoted(&config.domain)),
    },
    Key {
        section: "",
        name: "data_dir",
        form: Form::Path("a folder"),
        meaning: "Where the store, the local certificate authority and the control socket live. Relative to the folder of the configuration file, or to the working directory without a file.",
        read: |config, field| {
            config.data_dir = field.path()?;
            Ok(())
        },
        show: |config| Some(quoted(&config.data_dir.display().to_string())),
    },
    Key {
        section: "xmpp",
        name: "listen",
        form: Form::Addresses,
        meaning: "Listeners that begin in the clear and offer STARTTLS. An empty list opens none.",
        read: |config, field| {
            config.xmpp.listen = field.addresses()?;
            Ok(())
        },
        show: |config| Some(listed(&config.xmpp.listen)),
    },
    Key {
        section: "xmpp",
        name: "listen_tls",
        form: Form::Addresses,
        meaning: "Listeners that speak TLS from the first byte (XEP-0368). An empty list opens none.",
        read: |config, field| {
            config.xmpp.listen_tls = field.addresses()?;
            Ok(())
        },
        show: |config| Some(listed(&config.xmpp.listen_tls)),
    },
    Key {
        section: "xmpp",
        name: "require_tls",
        form: Form::Switch,
        meaning: "Whether a stream must be encrypted before anybody signs in. With false, sign-in is offered on plain streams too: for benchmarks, tests and trusted wires only.",
        read: |config, field| {
            config.xmpp.require_tls = field.switch()?;
            Ok(())
        },
        show: |config| Some(config.xmpp.require_tls.to_string()),
    },
    Key {
        section: "components",
        name: "listen",
        form: Form::Addresses,
        meaning: "Listeners for external components; none unless given. The protocol knows no TLS, and whoever overhears a handshake can try secrets on it, so keep to loopback, such as [\"127.0.0.1:5347\"], or to a wire that is trusted or has a tunnel of its own.",
        read: |config, field| {
            config.components.listen = field.addresses()?;
            Ok(())
        },
        show: |config| Some(listed(&config.components.listen)),
    },
    Key {
        section: "tls",
        name: "certificate",
        form: Form::Path("a PEM file"),
        meaning: "The hub's certificate chain, its own certificate first. Without it the local authority in data_dir issues one. Needs `key`.",
        read: |config, field| {
            config.tls.certificate = Some(field.path()?);
            Ok(())
        },
        show: |config| {
            config
                .tls
                .certificate
                .as_ref()
                .map(|path| quoted(&path.display().to_string()))
        },
    },
    Key {
        section: "tls",
        name: "key",
        form: Form::Path("a PEM file"),
        meaning: "The private key of `certificate`, not encrypted.",
        read: |config, field| {
            config.tls.key = Some(field.path()?);
            Ok(())
        },
        show: |config| {
            config
                .tls
                .key
                .as_ref()
                .map(|path| quoted(&path.display().to_string()))
        },
    },
    Key {
        section: "tls",
        name: "client_ca",
        form: Form::Path("a PEM file"),
        meaning: "Authorities whose client certificates sign in (SASL EXTERNAL), besides the local authority.",
        read: |config, field| {
            config.tls.client_ca = Some(field.path()?);
            Ok(())
        },
        show: |config| {
            config
                .tls
                .client_ca
                .as_ref()
                .map(|path| quoted(&path.display().to_string()))
        },
    },
    Key {
        section: "tls",
        name: "max_fragment",
        form: Form::Count {
            unit: "bytes",
            min: 512,
            max: 16_384,
            lift: Lift::Never,
        },
        meaning: "The most plaintext in one TLS record that the hub sends, so that a small chip's receive buffer suffices; the record itself is some 30 bytes longer.",
        read: |config, field| {
            config.tls.max_fragment_bytes = usize::try_from(field.bound()?).unwrap_or(16_384);
            Ok(())
        },
        show: |config| Some(config.tls.max_fragment_bytes.to_string()),
    },
    Key {
        section: "pubsub",
        name: "service",
        form: Form::Text("a domain name other than `domain`"),
        meaning: "The address of the pubsub service. Unless given, pubsub. and the domain.",
        read: |config, field| {
            config.pubsub.service = check::domain(field)?;
            Ok(())
        },
        show: |config| Some(quoted(&config.pubsub.service)),
    },
    Key {
        section: "registration",
        name: "enabled",
        form: Form::Switch,
        meaning: "Whether anybody who can connect may make an account, of role device.",
        read: |config, field| {
            config.registration.enabled = field.switch()?;
            Ok(())
        },
        show: |config| Some(config.registration.enabled.to_string()),
    },
    contact!("abuse", "Who hears of abuse."),
    contact!("admin", "Who runs the hub."),
    contact!("feedback", "Who would like to know how it went."),
    contact!("sales", "Who sells."),
    contact!("security", "Who hears of security holes."),
    contact!("status", "Where it says whether the service is up."),
    contact!("support", "Who helps."),
    Key {
        section: "storage",
        name: "durability",
        form: Form::Choice(&["full", "normal", "off"]),
        meaning: "What has happened before a publisher hears that its item is kept. full: synced to the disk, so a power cut loses nothing that was answered. normal: with the system, so only a power cut may lose the last commits. off: for tests.",
        read: |config, field| {
            config.storage.durability = match field.choice()? {
                "off" => Durability::Off,
                "normal" => Durability::Normal,
                _ => Durability::Full,
            };
            Ok(())
        },
        show: |config| Some(quoted(config.storage.durability.as_str())),
    },
    Key {
        section: "storage",
        name: "flush",
        form: FLUSH,
        meaning: "How long an item that nobody waits for may stay unwritten. Longer wears an SD card less.",
        read: |config, field| {
            config.storage.flush = field.span()?;
            Ok(())
        },
        show: |config| Some(quoted(&render_span(config.storage.flush))),
    },
    // RFC 6120 §13.12: a bound on stanzas MUST NOT be below 10,000 bytes.
    limit!(bytes stanza_bytes, 10_000, 16 << 20, number,
        "The largest stanza of a session that has signed in; a larger one ends its stream."),
    limit!(bytes stanza_bytes_before_login, 10_000, 16 << 20, number,
        "The largest element before signing in. At most `stanza_bytes`."),
    limit!(lifted stanzas_per_second: u32, "stanzas", 1..=1_000_000,
        "What one session may send, sustained; bursts may hold four times that. The hub stops reading until the session is within its rate."),
    limit!(lifted bytes_per_second: u32, "bytes", 1024..=1_073_741_824,
        "What one session may send, sustained; bursts may hold four times that. The hub stops reading until the session is within its rate."),
    limit!(lifted sessions_per_account: usize, "sessions", 1..=100_000,
        "Sessions of one account at a time."),
    limit!(lifted sessions_per_address: usize, "connections", 1..=1_000_000,
        "Connections from one network address at a time."),
    limit!(lifted failed_logins_per_minute: u32, "sign-ins", 1..=10_000,
        "Wrong passwords, per account and per network address, before answers are delayed more and more."),
    Key {
        section: "limits",
        name: "unauthenticated_seconds",
        form: Form::Count {
            unit: "seconds",
            min: 1,
            max: 3_600,
            lift: Lift::Never,
        },
        meaning: "How long a connection may take to sign in.",
        read: |config, field| {
            config.limits.unauthenticated = Duration::from_secs(field.bound()?);
            Ok(())
        },
        show: |config| Some(config.limits.unauthenticated.as_secs().to_string()),
    },
    limit!(standing mailbox_events, "events", 16..=1_000_000,
        "Events that may wait for one session. When full, the delivery class decides what gives way."),
    limit!(bytes mailbox_bytes, 20_000, 1 << 30, number,
        "Bytes that may wait for one session. At least twice `stanza_bytes`."),
    limit!(bytes mailbox_memory, 1 << 20, MEMORY_MAX, |bytes| render_bytes(bytes as u64),
        "Bytes that may wait for all sessions together. At least `mailbox_bytes`."),
    limit!(bytes node_cache, 64 << 10, MEMORY_MAX, |bytes| render_bytes(bytes as u64),
        "Bytes that nodes in memory may take, with their subscriptions and last items. Nodes beyond it, those not used lately, wait in the store until they are used again."),
    Key {
        section: "limits",
        name: "ping_seconds",
        form: Form::Count {
            unit: "seconds",
            min: 10,
            max: 86_400,
            lift: Lift::ByZero,
        },
        meaning: "How long a session may be silent before the hub asks whether it is still there (XEP-0199). With 0 it never asks, and a dead connection stays until the system notices.",
        read: |config, field| {
            config.limits.ping = field.number()?.map_or(Duration::MAX, Duration::from_secs);
            Ok(())
        },
        show: |config| {
            Some(match config.limits.ping {
                Duration::MAX => "0".to_owned(),
                ping => ping.as_secs().to_string(),
            })
        },
    },
    limit!(lifted roster_items: usize, "contacts", 1..=1_000_000,
        "Contacts in one account's roster."),
    limit!(lifted subscriptions_per_account: usize, "subscriptions", 1..=10_000_000,
        "Pubsub subscriptions of one account."),
    limit!(lifted nodes_per_account: usize, "nodes", 1..=10_000_000,
        "Nodes owned by one account."),
    limit!(lifted items_per_node: usize, "items", 1..=1_000_000_000,
        "Items kept in one node; what `max_items = max` means."),
    limit!(lifted offline_messages: usize, "messages", 1..=1_000_000,
        "Messages kept for one account while it is away."),
    limit!(standing blocked_per_account, "addresses", 1..=100_000,
        "Addresses that one account may block (XEP-0191). All block lists are in memory."),
    limit!(standing documents_per_account, "documents", 1..=10_000,
        "Documents that one account may keep: its vCard and what its clients store (XEP-0049)."),
    limit!(bytes document_bytes, 10_000, 1 << 30, number,
        "Bytes in all documents of one account, names and all."),
];

/// How long an item that nobody waits for may stay unwritten: `[storage] flush`.
pub(super) const FLUSH: Form = Form::Span {
    min: Duration::from_millis(10),
    max: Duration::from_secs(3_600),
};

/// 64 GiB, or what a smaller machine can address.
const MEMORY_MAX: u64 = if usize::BITS >= 64 { 64 << 30 } else { 1 << 30 };

fn number(number: usize) -> String {
    number.to_string()
}

/// Text as a TOML basic string.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn listed(addresses: &[SocketAddr]) -> String {
    let items: Vec<String> = addresses
        .iter()
        .map(|address| format!("\"{address}\""))
        .collect();
    format!("[{}]", items.join(", "))
}
