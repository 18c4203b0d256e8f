//! Requests of the command line about nodes, carried out as commands to the pubsub service.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use leveret_engine::{
    address::Jid,
    command::{
        AdminReply, AdminRequest, Field, NewItem, NodeUsage, PageRequest, PubsubAction, PubsubReply,
    },
    item::{Affiliation, SubscriptionState},
    node::{ItemId, NodeAddress, NodeId},
    refusal::{Reason, Refusal},
    xmpp::pubsub::{affiliation_name, subscription_name},
};

use crate::config::nearest;

use super::{
    convert,
    execute::{Executor, bad, bare, unexpected},
    protocol::{ItemInfo, NodeFigures, NodeInfo, NodeRequest, NodeSummary, Response},
};

/// Items that `node items` shows at most.
const ITEMS_MAX: u32 = 10_000;
/// Payload bytes after which `node items` goes no further back.
const ITEMS_BYTES_MAX: usize = 16 << 20;
/// Affiliations, and subscriptions, that `node show` lists at most; it counts all.
const SHOWN_MAX: usize = 1_000;
/// Nodes in one answer of a list with figures: each of them is looked up.
const LONG_PAGE_MAX: u32 = 100;

/// Names that follow each other.
enum Span {
    Prefix(String),
    Subtree(NodeId),
}

impl Span {
    /// All that follow this one, up to the end of the span.
    fn start(&self) -> String {
        match self {
            Self::Prefix(prefix) => prefix.clone(),
            Self::Subtree(root) => format!("{root}/"),
        }
    }

    /// Names of the span that do not follow the start.
    fn firsts(&self) -> Vec<String> {
        match self {
            Self::Prefix(prefix) => vec![prefix.clone()],
            Self::Subtree(root) => vec![root.to_string(), format!("{root}/")],
        }
    }

    fn contains(&self, name: &str) -> bool {
        match self {
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
            Self::Subtree(root) => name
                .strip_prefix(root.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

impl Executor {
    pub(super) async fn execute_node(&mut self, request: NodeRequest) -> Result<Response, Refusal> {
        let name = request.node().map(str::to_owned);
        let done = self.execute_of_node(request).await;
        match (done, name) {
            // Here nobody sees the request beside its refusal.
            (Err(refusal), Some(name))
                if refusal.reason == Reason::ItemNotFound && refusal.text.is_none() =>
            {
                let is_filter = NodeId::parse(&name).is_ok_and(|node| node.is_filter());
                Err(refusal.say(if is_filter {
                    format!("'{name}' is a filter over nodes, not a node")
                } else {
                    format!("there is no node '{name}'")
                }))
            }
            (done, _) => done,
        }
    }

    async fn execute_of_node(&mut self, request: NodeRequest) -> Result<Response, Refusal> {
        match request {
            NodeRequest::List {
                under,
                prefix,
                after,
                max,
                long,
            } => {
                let span = match (under, prefix) {
                    (Some(under), _) => Span::Subtree(parse(&under)?),
                    (None, Some(prefix)) => Span::Prefix(prefix),
                    (None, None) => Span::Prefix(String::new()),
                };
                self.list_nodes(span, after, max, long).await
            }
            NodeRequest::Show { node } => self.show_node(&node).await,
            NodeRequest::Create { node, config } => {
                let config = self.fields(config).await?;
                let node = Some(parse(&node)?);
                self.pubsub(PubsubAction::Create { node, config }).await?;
                Ok(Response::Done)
            }
            NodeRequest::Configure { node, config } => {
                let config = self.fields(config).await?;
                let node = parse(&node)?;
                self.pubsub(PubsubAction::Configure { node, config })
                    .await?;
                Ok(Response::Done)
            }
            NodeRequest::Delete { node } => {
                let node = parse(&node)?;
                self.pubsub(PubsubAction::Delete {
                    node,
                    redirect: None,
                })
                .await?;
                Ok(Response::Done)
            }
            NodeRequest::Items { node, max } => self.list_items(&node, max).await,
            NodeRequest::Publish { node, id, payload } => {
                self.publish_item(&node, id, &payload).await
            }
            NodeRequest::Affiliate {
                node,
                jid,
                affiliation,
            } => {
                let all = [
                    Affiliation::Owner,
                    Affiliation::Publisher,
                    Affiliation::PublishOnly,
                    Affiliation::Member,
                    Affiliation::None,
                    Affiliation::Outcast,
                ];
                let to = all
                    .into_iter()
                    .find(|one| affiliation_name(*one) == affiliation)
                    .ok_or_else(|| bad(format!("there is no affiliation '{affiliation}'")))?;
                let (node, changes) = (parse(&node)?, vec![(bare(&jid)?, to)]);
                self.pubsub(PubsubAction::SetAffiliations { node, changes })
                    .await?;
                Ok(Response::Done)
            }
            NodeRequest::Retract { node, ids } => {
                let items = ids.iter().map(|id| {
                    ItemId::parse(id).map_err(|error| bad(format!("'{id}' is no item: {error}")))
                });
                let items = items.collect::<Result<Vec<_>, _>>()?;
                let retract = PubsubAction::Retract {
                    node: parse(&node)?,
                    items,
                    notify: true,
                };
                match self.pubsub(retract).await {
                    Err(refusal) if refusal.reason == Reason::ItemNotFound => {
                        let said = format!("there is no node '{node}', or no such item in it");
                        Err(refusal.say(said))
                    }
                    done => done.map(|_| Response::Done),
                }
            }
            NodeRequest::Purge { node } => {
                let node = parse(&node)?;
                self.pubsub(PubsubAction::Purge { node }).await?;
                Ok(Response::Done)
            }
            NodeRequest::Subscribe {
                node,
                jid,
                subscribed,
            } => {
                let jid = Jid::parse(&jid)
                    .map_err(|error| bad(format!("'{jid}' is no address: {error}")))?;
                let state = if subscribed {
                    SubscriptionState::Subscribed
                } else {
                    SubscriptionState::None
                };
                let (node, changes) = (parse(&node)?, vec![(jid, state, None)]);
                self.pubsub(PubsubAction::SetSubscriptions { node, changes })
                    .await?;
                Ok(Response::Done)
            }
        }
    }

    /// A page of names: of all, of those that begin with a prefix, or of a subtree. Those are spans in the order of names, so
    /// the page is one of all names, begun where the span begins and cut where it ends.
    async fn list_nodes(
        &mut self,
        span: Span,
        after: Option<String>,
        max: u32,
        long: bool,
    ) -> Result<Response, Refusal> {
        let max = if long { max.min(LONG_PAGE_MAX) } else { max };
        let mut nodes = Vec::new();
        let begun = |start: &str| after.as_deref().is_some_and(|after| after >= start);
        for first in span.firsts() {
            if !begun(&first)
                && let Ok(node) = parse(&first)
                && let Some(title) = self.title(&node).await?
            {
                nodes.push((node, title));
            }
        }
        let start = span.start();
        let after = match &after {
            Some(after) if begun(&start) => after.clone(),
            _ => start,
        };
        let page = Some(PageRequest {
            max: Some(max),
            after: Some(after.into()),
            ..PageRequest::default()
        });
        match self.pubsub(PubsubAction::List { node: None, page }).await? {
            PubsubReply::Nodes { list, .. } => nodes.extend(list),
            _ => return Err(unexpected()),
        }
        nodes.retain(|(node, _)| span.contains(node.as_str()));
        let mut summaries = Vec::with_capacity(nodes.len());
        for (node, title) in nodes {
            let figures = if long {
                self.figures(&node).await?
            } else {
                None
            };
            summaries.push(NodeSummary {
                node: node.to_string(),
                title: title.to_string(),
                figures,
            });
        }
        Ok(Response::Nodes(summaries))
    }

    async fn title(&mut self, node: &NodeId) -> Result<Option<Box<str>>, Refusal> {
        match self
            .pubsub(PubsubAction::GetConfig { node: node.clone() })
            .await
        {
            Ok(PubsubReply::Config { config, .. }) => Ok(Some(config.title.clone())),
            Ok(_) => Err(unexpected()),
            Err(refusal) if refusal.reason == Reason::ItemNotFound => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// `None`: the node has gone meanwhile.
    async fn figures(&mut self, node: &NodeId) -> Result<Option<Box<NodeFigures>>, Refusal> {
        let described = self
            .pubsub(PubsubAction::Describe { node: node.clone() })
            .await;
        let (items, subscribers) = match described {
            Ok(PubsubReply::NodeInfo {
                items, subscribers, ..
            }) => (items, subscribers),
            Ok(_) => return Err(unexpected()),
            Err(refusal) if refusal.reason == Reason::ItemNotFound => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
        let (payload_bytes, memory) = self.usage(node).await?;
        let traffic = memory.map(|memory| memory.traffic);
        Ok(Some(Box::new(NodeFigures {
            items,
            subscribers,
            payload_bytes,
            class: memory.map(|memory| memory.class.name().to_owned()),
            memory_bytes: memory.map(|memory| memory.memory_bytes),
            published: traffic.map(|traffic| traffic.published),
            delivered: traffic.map(|traffic| traffic.delivered),
            within_seconds: traffic.map(|traffic| traffic.within.as_secs()),
        })))
    }

    async fn usage(&mut self, node: &NodeId) -> Result<(u64, Option<NodeUsage>), Refusal> {
        let at = NodeAddress::of_service(node.clone());
        match self.admin(AdminRequest::NodeUsage { at }).await? {
            Some(AdminReply::NodeUsage {
                payload_bytes,
                memory,
            }) => Ok((payload_bytes, memory)),
            _ => Err(unexpected()),
        }
    }

    async fn show_node(&mut self, name: &str) -> Result<Response, Refusal> {
        let node = parse(name)?;
        let described = self
            .pubsub(PubsubAction::Describe { node: node.clone() })
            .await?;
        let PubsubReply::NodeInfo {
            config,
            creator,
            created,
            ..
        } = described
        else {
            return Err(unexpected());
        };
        let figures = self.figures(&node).await?;
        let figures = figures.ok_or(Refusal::new(Reason::ItemNotFound))?;
        let affiliations: Vec<_> = match self
            .pubsub(PubsubAction::NodeAffiliations { node: node.clone() })
            .await?
        {
            PubsubReply::Affiliations { list, .. } => list
                .into_iter()
                .filter(|(_, _, affiliation)| *affiliation != Affiliation::None)
                .map(|(_, jid, affiliation)| {
                    (jid.to_string(), affiliation_name(affiliation).to_owned())
                })
                .take(SHOWN_MAX)
                .collect(),
            _ => return Err(unexpected()),
        };
        let subscriptions = match self
            .pubsub(PubsubAction::NodeSubscriptions {
                node,
                page: Some(PageRequest {
                    max: u32::try_from(SHOWN_MAX).ok(),
                    ..PageRequest::default()
                }),
            })
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
            figures: *figures,
            config: convert::config(&config),
            affiliations,
            subscriptions,
        })))
    }

    /// The fields of a form. A field that no node has is a mistyped one: on the wire it is passed over (XEP-0060 §8.2.4), here
    /// somebody waits for what they typed to happen.
    async fn fields(&mut self, config: Vec<(String, String)>) -> Result<Vec<Field>, Refusal> {
        let PubsubReply::Config { config: known, .. } =
            self.pubsub(PubsubAction::DefaultConfig).await?
        else {
            return Err(unexpected());
        };
        let known = convert::config(&known);
        let mut fields: Vec<Field> = Vec::new();
        let known: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        for (name, value) in config {
            let short = name.strip_prefix("pubsub#").unwrap_or(&name);
            // The hub's own options go by their short names, too.
            let own = format!("leveret#{name}");
            let var: Box<str> = if known.contains(&&*own) {
                own.into()
            } else if !known.contains(&short) {
                let advice = match nearest(short, &known) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("there are {}", known.join(", ")),
                };
                return Err(bad(format!("no node has a field '{short}'; {advice}")));
            } else if short.contains('#') {
                name.into()
            } else {
                format!("pubsub#{short}").into()
            };
            // A field that is named again has several values.
            match fields.iter_mut().find(|field| field.var == var) {
                Some(field) => field.values.push(value.into()),
                None => fields.push(Field {
                    var,
                    values: vec![value.into()],
                }),
            }
        }
        Ok(fields)
    }

    /// The newest items, oldest first; an answer of the service holds some hundreds, so they are read page by page, backwards.
    async fn list_items(&mut self, node: &str, max: u32) -> Result<Response, Refusal> {
        let node = parse(node)?;
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
                order: leveret_engine::item::Order::default(),
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

    async fn publish_item(
        &mut self,
        node: &str,
        id: Option<String>,
        payload: &str,
    ) -> Result<Response, Refusal> {
        let node = parse(node)?;
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
}

fn parse(text: &str) -> Result<NodeId, Refusal> {
    NodeId::parse(text).map_err(|error| bad(format!("'{text}' is no node: {error}")))
}
