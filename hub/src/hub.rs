//! The hub as a whole: made from its configuration, run until it is told to stop, drained in order.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, PoisonError, RwLock, Weak},
    time::{Duration, SystemTime},
};

use leveret_engine::{
    address::BareJid,
    limits::Limits,
    mailbox::MailboxBudget,
    router::{Router, RouterSettings},
    xmpp::{
        output::Work,
        session::XmppShared,
    },
};
use tokio::{runtime::Handle, sync::watch};

use crate::{
    admin,
    clock::Clock,
    config::{Config, ConfigError},
    connection::Connection,
    listener::{Addresses, Admission, Endpoint, Listener},
    secret::{Secret, Seeds},
    shard::Shard,
    store::{Database, Store, StoreError},
    timers::Timers,
    tls::{Reloadable, ServerTls, TlsError},
    work::WorkPool,
};

/// How long sessions may take to hear that the hub stops.
const DRAIN: Duration = Duration::from_secs(8);

/// Why the hub does not start. Each reads as one sentence.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum StartError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("the data directory {} cannot be used: {error}", path.display())]
    DataDir { path: PathBuf, error: io::Error },
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error("the control socket {} cannot be made: {error}", path.display())]
    Control { path: PathBuf, error: io::Error },
    #[error("{what}: {error}")]
    System { what: &'static str, error: io::Error },
}

/// The store and the router over it, without listeners: what `serve` runs on, and what the command line uses on the data
/// of a hub that does not run.
pub struct Inner {
    /// The way to the router.
    pub shard: Arc<Shard>,
    /// The store's threads.
    pub store: Arc<Store>,
    /// What all mailboxes share.
    pub budget: Arc<MailboxBudget>,
    /// The secret of this data directory.
    pub secret: Secret,
    clock: Clock,
}

impl Inner {
    /// Opens the data of `config`, exclusively.
    pub fn open(config: &Config) -> Result<Self, StartError> {
        let data_dir = |error| StartError::DataDir { path: config.data_dir.clone(), error };
        make_private_dir(&config.data_dir).map_err(data_dir)?;
        let database = Database::open(&config.data_dir, config.storage.durability, &config.domain)?;
        let secret = Secret::load_or_create(&config.data_dir).map_err(data_dir)?;
        let clock = Clock::start();
        let limits = config.limits.to_engine();
        let budget =
            MailboxBudget::new(limits.mailbox_events, limits.mailbox_bytes, limits.mailbox_memory);

        // The store answers to the shard and the shard asks the store: the slot is filled below, and an answer that is
        // faster waits for it.
        let slot: Arc<OnceLock<Weak<Shard>>> = Arc::default();
        let answers = Arc::clone(&slot);
        let store = Store::start(database, config.storage.flush, move |responses| {
            if let Some(shard) = answers.wait().upgrade() {
                shard.stored(responses);
            }
        });
        let store = Arc::new(store);
        let router = Router::new(RouterSettings {
            domain: config.domain_jid(),
            service: config.service_jid(),
            access: config.access_rules(),
            classes: config.class_rules(),
            limits,
            registration: config.registration.enabled,
            seed: secret::random_seed()?,
            names: secret.derive("names"),
        });
        let queue = Arc::clone(&store);
        let shard = Shard::new(router, clock, Box::new(move |requests| queue.send(requests)));
        let _ = slot.set(Arc::downgrade(&shard));
        Ok(Self { shard, store, budget, secret, clock })
    }
}
