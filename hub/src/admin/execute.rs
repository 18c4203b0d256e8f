//! One request of the command line, carried out as commands to the router.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use leveret_engine::{
    account::{Account, Role},
    address::{BareJid, Jid},
    command::{AdminReply, AdminRequest, Command, PubsubAction, PubsubReply, PubsubRequest, Reply},
    credentials::Credentials,
    mailbox::MailboxBudget,
    message::{PresenceKind, Show},
    refusal::{Reason, Refusal},
    time::Instant,
};

use super::{
    protocol::{AccountInfo, NewAccount, Request, Response, SessionInfo, Status, StorageStatus},
    session::OperatorSession,
};
use crate::{
    config::Config,
    hub::{Core, Inner},
    shard::Shard,
    store::Store,
};

/// Carries out requests, one after another.
pub(crate) struct Executor {
    session: OperatorSession,
    shard: Arc<Shard>,
    store: Arc<Store>,
    budget: Arc<MailboxBudget>,
    domain: String,
    /// The hub, if it runs.
    core: Option<Arc<Core>>,
}

impl Executor {
    /// For a hub that runs.
    pub(crate) async fn open(core: &Arc<Core>) -> Result<Self, String> {
        Self::over(
            core.inner(),
            core.domain().to_owned(),
            Some(Arc::clone(core)),
        )
        .await
    }

    /// For the data of a hub that does not run.
    pub(crate) async fn offline(inner: &Inner, config: &Config) -> Result<Self, String> {
        Self::over(inner, config.domain.clone(), None).await
    }

    async fn over(inner: &Inner, domain: String, core: Option<Arc<Core>>) -> Result<Self, String> {
        let shard = Arc::clone(&inner.shard);
        let budget = Arc::clone(&inner.budget);
        let session = OperatorSession::open(Arc::clone(&shard), Arc::clone(&budget)).await;
        let session = session.map_err(|refusal| words(&refusal))?;
        Ok(Self {
            session,
            shard,
            store: Arc::clone(&inner.store),
            budget,
            domain,
            core,
        })
    }

    /// Carries out one request.
    pub(crate) async fn execute(&mut self, request: Request) -> Response {
        match self.try_execute(request).await {
            Ok(response) => response,
            Err(refusal) => Response::Refused(words(&refusal)),
        }
    }

    async fn try_execute(&mut self, request: Request) -> Result<Response, Refusal> {
        match request {
            Request::Hello => Ok(Response::Hello {
                domain: self.domain.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
            }),
            Request::AddAccounts { accounts, replace } => {
                self.add_accounts(accounts, replace).await
            }
            Request::RemoveAccount { jid } => {
                let account = bare(&jid)?;
                self.admin(AdminRequest::RemoveAccount { account })
                    .await
                    .map(done)
            }
            Request::SetCredentials { jid, credentials } => {
                let (account, credentials) = (bare(&jid)?, decode(&credentials)?);
                self.admin(AdminRequest::SetCredentials {
                    account,
                    credentials,
                })
                .await
                .map(done)
            }
            Request::SetEnabled { jid, enabled } => {
                let account = bare(&jid)?;
                self.admin(AdminRequest::SetEnabled { account, enabled })
                    .await
                    .map(done)
            }
            Request::ListAccounts { after, max } => {
                let after = after.as_deref().map(bare).transpose()?;
                match self
                    .admin(AdminRequest::ListAccounts { after, max })
                    .await?
                {
                    Some(AdminReply::Accounts(list)) => {
                        Ok(Response::Accounts(list.iter().map(account_info).collect()))
                    }
                    _ => Err(unexpected()),
                }
            }
            Request::ListSessions { account } => {
                let account = account.as_deref().map(bare).transpose()?;
                match self.admin(AdminRequest::ListSessions { account }).await? {
                    Some(AdminReply::Sessions(list)) => {
                        Ok(Response::Sessions(list.iter().map(session_info).collect()))
                    }
                    _ => Err(unexpected()),
                }
            }
            Request::Kick { jid } => {
                let jid = Jid::parse(&jid).map_err(|error| bad(error.to_string()))?;
                match self.admin(AdminRequest::Kick { jid }).await? {
                    Some(AdminReply::Count(count)) => Ok(Response::Count(count)),
                    _ => Err(unexpected()),
                }
            }
            Request::Status { deep } => self.status(deep).await,
            Request::Node(request) => self.execute_node(request).await,
        }
    }

    async fn add_accounts(
        &mut self,
        accounts: Vec<NewAccount>,
        replace: bool,
    ) -> Result<Response, Refusal> {
        let mut results = Vec::with_capacity(accounts.len());
        for new in accounts {
            let added = async {
                let account = bare(&new.jid)?;
                let role = Role::by_name(&new.role)
                    .ok_or_else(|| bad(format!("there is no role '{}'", new.role)))?;
                let credentials = decode(&new.credentials)?;
                self.admin(AdminRequest::AddAccount {
                    account,
                    role,
                    credentials,
                    replace,
                })
                .await
            };
            results.push(added.await.err().map(|refusal| words(&refusal)));
        }
        Ok(Response::Added(results))
    }

    async fn status(&mut self, deep: bool) -> Result<Response, Refusal> {
        let Some(AdminReply::Status(router)) = self.admin(AdminRequest::Status).await? else {
            return Err(unexpected());
        };
        let uptime = self.shard.clock().mono().since(Instant::default());
        let store = self.store.stats();
        let integrity = if deep {
            let store = Arc::clone(&self.store);
            let checked = tokio::task::spawn_blocking(move || store.integrity_check()).await;
            Some(match checked {
                Ok(Ok(findings)) if findings.is_empty() => "ok".to_owned(),
                Ok(Ok(findings)) => findings.join("; "),
                Ok(Err(fault)) => fault.to_string(),
                Err(_) => "the check did not finish".to_owned(),
            })
        } else {
            None
        };
        let listeners = self.core.as_ref().map(|core| {
            let name =
                |at: &crate::listener::Endpoint| (at.name().to_owned(), at.address.to_string());
            core.endpoints().iter().map(name).collect()
        });
        Ok(Response::Status(Box::new(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            domain: self.domain.clone(),
            pid: std::process::id(),
            running: self.core.is_some(),
            uptime_seconds: if self.core.is_some() {
                uptime.as_secs()
            } else {
                0
            },
            listeners: listeners.unwrap_or_default(),
            connections: self.core.as_ref().map_or(0, |core| core.connections()),
            sessions: router.sessions,
            components: router.components,
            components_attached: router.components_attached,
            accounts: router.accounts,
            nodes: router.nodes,
            nodes_resident: router.nodes_resident,
            node_cache_bytes: router.node_cache_bytes,
            items_published: router.items_published,
            deliveries: router.deliveries,
            messages: router.messages,
            failed_logins: router.failed_logins,
            mailbox_bytes: self.budget.memory(),
            mailbox_dropped: self.budget.dropped(),
            resident_bytes: resident_bytes(),
            storage: StorageStatus {
                file: self.store.file().display().to_string(),
                file_bytes: store.sizes.database + store.sizes.log,
                commits: store.commits,
                transactions: store.groups,
                commits_failed: store.commits_failed,
                queue: store.backlog,
                bytes_written: store.bytes_written,
                last_fault: store.last_fault,
                integrity,
            },
        })))
    }

    pub(super) async fn admin(
        &mut self,
        request: AdminRequest,
    ) -> Result<Option<AdminReply>, Refusal> {
        match self.ask(Command::Admin(Box::new(request))).await? {
            Reply::Admin(reply) => Ok(Some(*reply)),
            _ => Ok(None),
        }
    }

    pub(super) async fn pubsub(&mut self, action: PubsubAction) -> Result<PubsubReply, Refusal> {
        let request = PubsubRequest { host: None, action };
        match self.ask(Command::Pubsub(Box::new(request))).await? {
            Reply::Pubsub(reply) => Ok(*reply),
            // What has nothing to tell is answered with the plain "done".
            _ => Ok(PubsubReply::Subscriptions {
                node: None,
                list: Vec::new(),
                page: None,
            }),
        }
    }

    async fn ask(&mut self, command: Command) -> Result<Reply, Refusal> {
        /// Longer than any store takes that is not broken.
        const PATIENCE: Duration = Duration::from_secs(120);
        match tokio::time::timeout(PATIENCE, self.session.ask(command)).await {
            Ok(result) => result,
            Err(_) => {
                Err(Refusal::new(Reason::RemoteServerTimeout).say("the store did not answer"))
            }
        }
    }
}

fn done(_: Option<AdminReply>) -> Response {
    Response::Done
}

pub(super) fn bad(text: String) -> Refusal {
    Refusal::new(Reason::BadRequest).say(text)
}

pub(super) fn unexpected() -> Refusal {
    Refusal::new(Reason::InternalServerError).say("the hub gave an answer of another kind")
}

pub(super) fn bare(text: &str) -> Result<BareJid, Refusal> {
    BareJid::parse(text).map_err(|error| bad(format!("'{text}' is no account: {error}")))
}

fn decode(text: &str) -> Result<Box<Credentials>, Refusal> {
    let bytes = BASE64
        .decode(text)
        .map_err(|error| bad(format!("credentials: {error}")))?;
    let credentials =
        Credentials::decode(&bytes).map_err(|error| bad(format!("credentials: {error}")))?;
    Ok(Box::new(credentials))
}

fn words(refusal: &Refusal) -> String {
    let reason = match refusal.reason {
        Reason::Conflict => "it exists already",
        Reason::ItemNotFound => "it does not exist",
        Reason::Forbidden | Reason::NotAuthorized => "it is not allowed",
        Reason::ResourceConstraint => "a limit is reached, or the store cannot write",
        Reason::NotAcceptable => "a value is not acceptable",
        Reason::BadRequest => "the request is not well-formed",
        Reason::InternalServerError => "the hub has a fault",
        Reason::ServiceUnavailable => "the hub is not available",
        _ => "it cannot be done",
    };
    match (&refusal.text, &refusal.detail) {
        (Some(text), _) => text.to_string(),
        (None, Some(detail)) => format!("{reason} ({detail:?})"),
        (None, None) => reason.to_owned(),
    }
}

fn account_info(account: &Account) -> AccountInfo {
    AccountInfo {
        jid: account.jid.to_string(),
        role: account.role.name().to_owned(),
        enabled: account.enabled,
        created: account.created.to_string(),
        last_seen: account.last_seen.as_ref().map(|seen| seen.at.to_string()),
    }
}

fn session_info(session: &leveret_engine::command::SessionInfo) -> SessionInfo {
    let (presence, priority) = match session.presence {
        Some(PresenceKind::Available { show, priority }) => {
            let show = match show {
                Show::Online => "online",
                Show::Away => "away",
                Show::Chat => "chat",
                Show::Dnd => "dnd",
                Show::Xa => "xa",
            };
            (show, Some(priority))
        }
        _ => ("none", None),
    };
    SessionInfo {
        jid: session.jid.to_string(),
        protocol: session.transport.protocol.to_owned(),
        address: session.transport.peer.map(|peer| peer.to_string()),
        tls: session.transport.tls,
        mechanism: session.transport.mechanism.to_owned(),
        since: session.since.to_string(),
        presence: presence.to_owned(),
        priority,
    }
}

/// Memory of this process that is in RAM, in bytes, where the system says it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().ok()?;
    Some(kib * 1024)
}
