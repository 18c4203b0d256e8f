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
    component::Component,
    credentials::KnownPasswords,
    limits::Limits,
    mailbox::MailboxBudget,
    router::{Reloaded, Router, RouterSettings},
    xmpp::{component::ComponentShared, output::Work, session::XmppShared},
};
use tokio::{runtime::Handle, sync::watch};

use crate::{
    admin,
    clock::Clock,
    config::{ComponentConfig, Config, ConfigError, SecretError},
    connection::{Connection, Session},
    listener::{Addresses, Admission, Endpoint, Listener, ListenerKind},
    secret::{Secret, Seeds, random},
    shard::Shard,
    store::{Database, OpenError, Respond, Store},
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
    Store(#[from] OpenError),
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("{0}")]
    Secret(#[from] SecretError),
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: SocketAddr,
        error: io::Error,
    },
    #[error("the control socket {} cannot be made: {error}", path.display())]
    Control { path: PathBuf, error: io::Error },
    #[error("{what}: {error}")]
    System {
        what: &'static str,
        error: io::Error,
    },
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
    /// Kept across reloads.
    known_passwords: Arc<KnownPasswords>,
    clock: Clock,
}

impl Inner {
    /// Opens the data of `config`, exclusively.
    pub fn open(config: &Config) -> Result<Self, StartError> {
        let data_dir = |error| StartError::DataDir {
            path: config.data_dir.clone(),
            error,
        };
        make_private_dir(&config.data_dir).map_err(data_dir)?;
        let database = Database::open(&config.data_dir, config.storage.durability, &config.domain)?;
        let secret = Secret::load_or_create(&config.data_dir).map_err(data_dir)?;
        let clock = Clock::start();
        let fresh = || {
            random().map_err(|error| StartError::System {
                what: "no randomness",
                error,
            })
        };
        let limits = config.limits.clone();
        let budget = MailboxBudget::new(
            limits.mailbox_events,
            limits.mailbox_bytes,
            limits.mailbox_memory,
        );

        // The store answers to the shard and the shard asks the store: the slot is filled below, and an answer that is
        // faster waits for it.
        let slot: Arc<OnceLock<Weak<Shard>>> = Arc::default();
        let answers = Arc::clone(&slot);
        let respond: Respond = Arc::new(move |responses| {
            if let Some(shard) = answers.wait().upgrade() {
                shard.stored(responses);
            }
        });
        let store = Arc::new(Store::start(database, config.storage.flush, respond)?);
        let router = Router::new(RouterSettings {
            domain: config.domain_jid(),
            service: config.service_jid(),
            access: config.access_rules(),
            classes: config.class_rules(),
            history: config.history_rules(),
            roster_groups: config.roster_groups(),
            limits,
            registration: config.registration.enabled,
            seed: fresh()?,
            budget: Arc::clone(&budget),
        });
        let queue = Arc::clone(&store);
        let shard = Shard::new(
            router,
            clock,
            Box::new(move |requests| queue.send(std::mem::take(requests))),
        );
        let _ = slot.set(Arc::downgrade(&shard));
        Ok(Self {
            shard,
            store,
            budget,
            secret,
            known_passwords: Arc::new(KnownPasswords::new(fresh()?)),
            clock,
        })
    }
}

/// What every connection shares.
pub(crate) struct Core {
    inner: Inner,
    timers: Arc<Timers>,
    tls: Reloadable,
    xmpp: RwLock<Arc<XmppShared>>,
    components: RwLock<Arc<ComponentShared>>,
    limits: RwLock<Arc<Limits>>,
    /// As in force, for what is renewed while the hub runs.
    config: RwLock<Arc<Config>>,
    domain: Box<str>,
    seeds: Seeds,
    work: WorkPool,
    addresses: Arc<Addresses>,
    stop: watch::Sender<bool>,
    runtime: Handle,
    endpoints: OnceLock<Vec<Endpoint>>,
}

impl Core {
    pub(crate) fn clock(&self) -> Clock {
        self.inner.clock
    }

    pub(crate) fn shard(&self) -> &Arc<Shard> {
        &self.inner.shard
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn timers(&self) -> &Arc<Timers> {
        &self.timers
    }

    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    pub(crate) fn endpoints(&self) -> &[Endpoint] {
        self.endpoints.get().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn connections(&self) -> usize {
        self.addresses.total()
    }

    /// What a new session needs to know; swapped whole on reload.
    pub(crate) fn xmpp(&self) -> Arc<XmppShared> {
        Arc::clone(&self.xmpp.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a component's session needs to know; swapped whole on reload.
    pub(crate) fn components(&self) -> Arc<ComponentShared> {
        Arc::clone(
            &self
                .components
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    pub(crate) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn tls(&self) -> Arc<ServerTls> {
        self.tls.current()
    }

    pub(crate) fn fresh_seed(&self) -> [u8; 32] {
        self.seeds.next()
    }

    pub(crate) fn work(
        &self,
        peer: IpAddr,
        work: Work,
    ) -> std::pin::Pin<
        Box<dyn Future<Output = Option<leveret_engine::xmpp::output::WorkDone>> + Send>,
    > {
        self.work.run(peer, work)
    }

    pub(crate) fn admit(&self, peer: IpAddr) -> Option<Admission> {
        self.addresses
            .admit(peer, self.limits().sessions_per_address)
    }

    pub(crate) fn spawn<S: Session>(&self, connection: Connection<S>) {
        self.runtime.spawn(connection);
    }

    /// Whether the hub has been told to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Until the hub is told to stop.
    pub(crate) async fn stopping(&self) {
        let mut stop = self.stop.subscribe();
        // The sender lives as long as we do.
        let _ = stop.wait_for(|stop| *stop).await;
    }
}

/// A running hub.
pub struct Hub {
    core: Arc<Core>,
    config: Config,
    config_path: Option<PathBuf>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Hub {
    /// Opens the data, binds every listener, and begins to accept. Nothing is left behind if any of it fails.
    pub fn start(config: Config, config_path: Option<PathBuf>) -> Result<Self, StartError> {
        let inner = Inner::open(&config)?;
        let tls = Reloadable::load(&config, SystemTime::now())?;
        let seeds = Seeds::new().map_err(|error| StartError::System {
            what: "no randomness",
            error,
        })?;
        let components = load_components(&config)?;
        tell_advice(&config);
        let xmpp = Arc::new(xmpp_shared(&config, &inner));
        inner.shard.set_components(components.clone());
        let (stop, _) = watch::channel(false);
        let core = Arc::new(Core {
            timers: Arc::default(),
            tls,
            components: RwLock::new(component_shared(&xmpp, components)),
            xmpp: RwLock::new(xmpp),
            limits: RwLock::new(Arc::new(config.limits.clone())),
            config: RwLock::new(Arc::new(config.clone())),
            domain: config.domain.as_str().into(),
            seeds,
            work: WorkPool::new(),
            addresses: Arc::default(),
            stop,
            runtime: Handle::current(),
            endpoints: OnceLock::new(),
            inner,
        });
        let all = [
            (ListenerKind::StartTls, &config.xmpp.listen),
            (ListenerKind::DirectTls, &config.xmpp.listen_tls),
            (ListenerKind::Component, &config.components.listen),
        ];
        let all = all
            .into_iter()
            .flat_map(|(kind, addresses)| addresses.iter().map(move |address| (kind, *address)));
        let listeners = all
            .map(|(kind, address)| {
                Listener::bind(address, kind).map_err(|error| StartError::Listen { address, error })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let control = admin::Server::bind(&config.data_dir)
            .map_err(|(path, error)| StartError::Control { path, error })?;
        let _ = core
            .endpoints
            .set(listeners.iter().map(|listener| listener.endpoint).collect());
        let mut tasks = vec![
            tokio::spawn(Arc::clone(&core.timers).run(core.clock())),
            tokio::spawn(router_timer(Arc::clone(&core))),
            tokio::spawn(certificate_renewal(Arc::clone(&core))),
            tokio::spawn(control.run(Arc::clone(&core))),
        ];
        for listener in listeners {
            tracing::info!(address = %listener.endpoint.address, "listening: {}", listener.endpoint.name());
            tasks.push(tokio::spawn(listener.run(Arc::clone(&core))));
        }
        Ok(Self {
            core,
            config,
            config_path,
            tasks,
        })
    }

    /// Where the hub listens.
    pub fn endpoints(&self) -> &[Endpoint] {
        self.core.endpoints()
    }

    /// Reads the configuration again (SIGHUP): certificates, access rules, classes, roster groups and limits take effect; the rest needs
    /// a restart, and the log says so. A configuration with a mistake changes nothing.
    pub fn reload(&mut self) {
        let config = match Config::load(self.config_path.as_deref()) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!("reload refused, everything stays as it was: {error}");
                return;
            }
        };
        if let Err(error) = self.core.tls.reload(&config, SystemTime::now()) {
            tracing::error!("reload refused, everything stays as it was: {error}");
            return;
        }
        let components = match load_components(&config) {
            Ok(components) => components,
            Err(error) => {
                tracing::error!("reload refused, everything stays as it was: {error}");
                return;
            }
        };
        tell_advice(&config);
        let fixed = |config: &Config| {
            (
                config.domain.clone(),
                config.data_dir.clone(),
                config.xmpp.clone(),
                config.components.clone(),
                config.pubsub.clone(),
                config.storage.clone(),
            )
        };
        if fixed(&config) != fixed(&self.config) {
            tracing::warn!(
                "domain, data_dir, [xmpp], [components], [pubsub] and [storage] change at the next start"
            );
        }
        let running = Config {
            limits: config.limits,
            access: config.access,
            classes: config.classes,
            history: config.history,
            roster_groups: config.roster_groups,
            tls: config.tls,
            registration: config.registration,
            component: config.component,
            contacts: config.contacts,
            ..self.config.clone()
        };
        let limits = running.limits.clone();
        self.core.inner.budget.set(
            limits.mailbox_events,
            limits.mailbox_bytes,
            limits.mailbox_memory,
        );
        let xmpp = Arc::new(xmpp_shared(&running, &self.core.inner));
        *self
            .core
            .components
            .write()
            .unwrap_or_else(PoisonError::into_inner) = component_shared(&xmpp, components.clone());
        *self
            .core
            .xmpp
            .write()
            .unwrap_or_else(PoisonError::into_inner) = xmpp;
        self.core.shard().set_components(components);
        *self
            .core
            .limits
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(limits.clone());
        self.core.shard().reload(Reloaded {
            access: running.access_rules(),
            classes: running.class_rules(),
            history: running.history_rules(),
            roster_groups: running.roster_groups(),
            limits,
            registration: running.registration.enabled,
        });
        *self
            .core
            .config
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(running.clone());
        self.config = running;
        tracing::info!("configuration reloaded");
    }

    /// Stops accepting, tells every session, waits for their last words, and closes the store.
    pub async fn stop(self) {
        let _ = self.core.stop.send(true);
        self.core.shard().shutdown();
        // Those that the router does not know see for themselves.
        self.core.timers().wake_all();
        let deadline = tokio::time::Instant::now() + DRAIN;
        while self.core.connections() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let left = self.core.connections();
        if left > 0 {
            tracing::warn!(left, "connections did not close in time");
        }
        for task in self.tasks {
            task.abort();
        }
        let store = Arc::clone(&self.core.inner.store);
        if tokio::task::spawn_blocking(move || store.shutdown())
            .await
            .is_err()
        {
            tracing::error!("the store did not close cleanly");
        }
        let _ = fs::remove_file(admin::socket_path(&self.config.data_dir));
    }
}

/// The router's own deadlines.
async fn router_timer(core: Arc<Core>) {
    /// The router's deadlines are coarse (throttles, caches): a second late is on time.
    const LOOK: Duration = Duration::from_secs(1);
    loop {
        tokio::time::sleep(LOOK).await;
        let due = core
            .shard()
            .next_deadline()
            .is_some_and(|at| at <= core.clock().mono());
        if due {
            core.shard().timeout();
        }
    }
}

/// A hub that runs for years must not find its own certificate expired (only those of the local authority are renewed).
async fn certificate_renewal(core: Arc<Core>) {
    const LOOK: Duration = Duration::from_secs(6 * 3_600);
    loop {
        tokio::time::sleep(LOOK).await;
        let now = SystemTime::now();
        if !core.tls().renewal_due(now) {
            continue;
        }
        let config = Arc::clone(&core.config.read().unwrap_or_else(PoisonError::into_inner));
        match core.tls.reload(&config, now) {
            Ok(()) => tracing::info!("the local authority has renewed the certificate"),
            Err(error) => tracing::error!(%error, "the certificate cannot be renewed"),
        }
    }
}

/// What is odd about a configuration, but no reason not to run with it, is said.
fn tell_advice(config: &Config) {
    for odd in config.advice() {
        tracing::warn!("{odd}");
    }
}

/// The components with their secrets.
fn load_components(config: &Config) -> Result<Vec<Component>, SecretError> {
    config.component.iter().map(ComponentConfig::load).collect()
}

fn component_shared(xmpp: &Arc<XmppShared>, components: Vec<Component>) -> Arc<ComponentShared> {
    Arc::new(ComponentShared {
        xmpp: Arc::clone(xmpp),
        components: components.into_iter().map(Arc::new).collect(),
    })
}

fn xmpp_shared(config: &Config, inner: &Inner) -> XmppShared {
    XmppShared {
        domain: config.domain_jid(),
        service: config.service_jid(),
        limits: config.limits.clone(),
        require_tls: config.xmpp.require_tls,
        registration: config.registration.enabled,
        tls_available: true,
        decoy_secret: inner.secret.derive("decoy"),
        known_passwords: Arc::clone(&inner.known_passwords),
        software: "Leveret",
        version: env!("CARGO_PKG_VERSION"),
        contacts: config.contacts.clone(),
        budget: Arc::clone(&inner.budget),
        started: inner.clock.now(),
    }
}

/// Makes a folder that only we can enter. One that exists keeps its mode, but for what others could do to it.
fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    let metadata = fs::metadata(path)?;
    let mode = metadata.permissions().mode();
    if mode & 0o022 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & !0o022))?;
    }
    Ok(())
}
