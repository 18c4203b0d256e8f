//! One request of the command line, carried out as commands to the router.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use leveret_engine::{
    account::{Account, Role},
    address::{BareJid, Jid},
    command::{
        AdminReply, AdminRequest, Command, Field, NewItem, PageRequest, PubsubAction, PubsubReply,
        PubsubRequest, Reply,
    },
    credentials::Credentials,
    item::Affiliation,
    mailbox::MailboxBudget,
    message::{PresenceKind, Show},
    node::{ItemId, NodeId},
    refusal::{Reason, Refusal},
    time::Instant,
    xmpp::pubsub::{affiliation_name, subscription_name},
};

use super::{
    convert,
    protocol::{
        AccountInfo, ItemInfo, NewAccount, NodeInfo, NodeSummary, Request, Response, SessionInfo,
        Status, StorageStatus,
    },
    session::OperatorSession,
};
use crate::{
    config::Config,
    hub::{Core, Inner},
    shard::Shard,
    store::Store,
};

/// Items that `node items` shows at most.
const ITEMS_MAX: u32 = 10_000;
/// Payload bytes after which `node items` goes no further back.
const ITEMS_BYTES_MAX: usize = 16 << 20;

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
            Request::ListNodes { under, after, max } => self.list_nodes(under, after, max).await,
            Request::ShowNode { node } => self.show_node(&node).await,
            Request::CreateNode { node, config } => {
                let node = Some(parse_node(&node)?);
                self.pubsub(PubsubAction::Create {
                    node,
                    config: fields(config),
                })
                .await?;
                Ok(Response::Done)
            }
            Request::ConfigureNode { node, config } => {
                let node = parse_node(&node)?;
                self.pubsub(PubsubAction::Configure {
                    node,
                    config: fields(config),
                })
                .await?;
                Ok(Response::Done)
            }
            Request::DeleteNode { node } => {
                let node = parse_node(&node)?;
                self.pubsub(PubsubAction::Delete {
                    node,
                    redirect: None,
                })
                .await?;
                Ok(Response::Done)
            }
            Request::ListItems { node, max } => self.list_items(&node, max).await,
            Request::Publish { node, id, payload } => self.publish(&node, id, &payload).await,
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

    async fn list_nodes(
        &mut self,
        under: Option<String>,
        after: Option<String>,
        max: u32,
    ) -> Result<Response, Refusal> {
        let node = under.as_deref().map(parse_node).transpose()?;
        let after = after.map(String::into_boxed_str);
        let page = Some(PageRequest {
            max: Some(max),
            after,
            ..PageRequest::default()
        });
        match self.pubsub(PubsubAction::List { node, page }).await? {
            PubsubReply::Nodes { list, page } => Ok(Response::Nodes {
                total: page.map_or(list.len() as u32, |page| page.count),
                nodes: list
                    .iter()
                    .map(|(node, title)| NodeSummary {
                        node: node.to_string(),
                        title: title.to_string(),
                    })
                    .collect(),
            }),
            _ => Err(unexpected()),
        }
    }

    async fn show_node(&mut self, name: &str) -> Result<Response, Refusal> {
        let node = parse_node(name)?;
        let described = self
            .pubsub(PubsubAction::Describe { node: node.clone() })
            .await?;
        let PubsubReply::NodeInfo {
            config,
            creator,
            created,
            items,
            subscribers,
            ..
        } = described
        else {
            return Err(unexpected());
        };
        let affiliations = match self
            .pubsub(PubsubAction::NodeAffiliations { node: node.clone() })
            .await?
        {
            PubsubReply::Affiliations { list, .. } => list
                .into_iter()
                .filter(|(_, _, affiliation)| *affiliation != Affiliation::None)
                .map(|(_, jid, affiliation)| {
                    (jid.to_string(), affiliation_name(affiliation).to_owned())
                })
                .collect(),
            _ => return Err(unexpected()),
        };
        let subscriptions = match self
            .pubsub(PubsubAction::NodeSubscriptions { node })
            .await?
        {
            PubsubReply::Subscriptions { list, .. } => list
                .into_iter()
                .map(|(_, one)| (one.jid.to_string(), subscription_name(one.state).to_owned()))
                .collect(),
            _ => return Err(unexpected()),
        };
        Ok(Response::Node(Box::new(NodeInfo {
            node: name.to_owned(),
            creator: creator.to_string(),
            created: created.to_string(),
            items,
            subscribers,
            config: convert::config(&config),
            affiliations,
            subscriptions,
        })))
    }

    /// The newest items, oldest first; an answer of the service holds some hundreds, so they are read page by page, backwards.
    async fn list_items(&mut self, node: &str, max: u32) -> Result<Response, Refusal> {
        let node = parse_node(node)?;
        let wanted = max.min(ITEMS_MAX) as usize;
        let (mut shown, mut bytes) = (Vec::new(), 0);
        // The newest page first, then those before it: one answer of the service holds a few hundred.
        let mut before: Box<str> = "".into();
        while shown.len() < wanted && bytes < ITEMS_BYTES_MAX {
            let left = wanted - shown.len();
            let page = PageRequest {
                max: u32::try_from(left).ok(),
                before: Some(before),
                ..PageRequest::default()
            };
            let action = PubsubAction::Items {
                node: node.clone(),
                ids: Vec::new(),
                max: None,
                subid: None,
                page: Some(page),
            };
            let items = match self.pubsub(action).await {
                Ok(PubsubReply::Items { items, .. }) => items,
                Ok(_) => return Err(unexpected()),
                // The item that the page was to stand before has just been removed, and the older ones with it.
                Err(refusal) if refusal.reason == Reason::ItemNotFound && !shown.is_empty() => {
                    break;
                }
                Err(refusal) => return Err(refusal),
            };
            let Some(first) = items.first() else { break };
            before = first.id.as_str().into();
            for item in items.iter().rev() {
                let payload = item
                    .payload
                    .as_ref()
                    .map(|payload| String::from_utf8_lossy(&payload.bytes).into_owned());
                bytes += payload.as_ref().map_or(0, String::len);
                shown.push(ItemInfo {
                    id: item.id.to_string(),
                    publisher: item.publisher.to_string(),
                    published: item.published.to_string(),
                    class: item.class.name().to_owned(),
                    payload,
                });
            }
        }
        shown.reverse();
        Ok(Response::Items(shown))
    }

    async fn publish(
        &mut self,
        node: &str,
        id: Option<String>,
        payload: &str,
    ) -> Result<Response, Refusal> {
        let node = parse_node(node)?;
        let bytes = BASE64
            .decode(payload)
            .map_err(|error| bad(format!("payload: {error}")))?;
        let id = id
            .as_deref()
            .map(ItemId::parse)
            .transpose()
            .map_err(|error| bad(format!("item id: {error}")))?;
        let payload = Some(convert::payload(&bytes));
        let items = vec![NewItem { id, payload }];
        match self
            .pubsub(PubsubAction::Publish {
                node,
                items,
                options: None,
            })
            .await?
        {
            PubsubReply::Published { items, .. } => Ok(Response::Published {
                id: items.first().map(ToString::to_string).unwrap_or_default(),
            }),
            _ => Err(unexpected()),
        }
    }

    async fn admin(&mut self, request: AdminRequest) -> Result<Option<AdminReply>, Refusal> {
        match self.ask(Command::Admin(Box::new(request))).await? {
            Reply::Admin(reply) => Ok(Some(*reply)),
            _ => Ok(None),
        }
    }

    async fn pubsub(&mut self, action: PubsubAction) -> Result<PubsubReply, Refusal> {
        let request = PubsubRequest { host: None, action };
        match self.ask(Command::Pubsub(Box::new(request))).await? {
            Reply::Pubsub(reply) => Ok(*reply),
            // What has nothing to tell is answered with the plain "done".
            _ => Ok(PubsubReply::Subscriptions {
                node: None,
                list: Vec::new(),
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

fn bad(text: String) -> Refusal {
    Refusal::new(Reason::BadRequest).say(text)
}

fn unexpected() -> Refusal {
    Refusal::new(Reason::InternalServerError).say("the hub gave an answer of another kind")
}

fn bare(text: &str) -> Result<BareJid, Refusal> {
    BareJid::parse(text).map_err(|error| bad(format!("'{text}' is no account: {error}")))
}

fn parse_node(text: &str) -> Result<NodeId, Refusal> {
    NodeId::parse(text).map_err(|error| bad(format!("'{text}' is no node: {error}")))
}

fn decode(text: &str) -> Result<Box<Credentials>, Refusal> {
    let bytes = BASE64
        .decode(text)
        .map_err(|error| bad(format!("credentials: {error}")))?;
    let credentials =
        Credentials::decode(&bytes).map_err(|error| bad(format!("credentials: {error}")))?;
    Ok(Box::new(credentials))
}

fn fields(config: Vec<(String, String)>) -> Vec<Field> {
    let field = |(name, value): (String, String)| {
        let var = if name.contains('#') {
            name
        } else {
            format!("pubsub#{name}")
        };
        Field {
            var: var.into(),
            values: vec![value.into()],
        }
    };
    config.into_iter().map(field).collect()
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
