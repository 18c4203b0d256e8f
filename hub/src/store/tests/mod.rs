//! Tests of the store as a whole.

mod faults;
mod history;
mod kill;
mod model;
mod ops;
mod plans;
mod random;
mod subscriptions;
mod threads;
mod tree;

use std::sync::Arc;

use bytes::Bytes;
use leveret_engine::{
    account::{Account, Contact, LastSeen, Role, Subscription},
    address::{BareJid, FullJid, Jid},
    class::Class,
    command::{PageInfo, PageRequest},
    credentials::{Credentials, ScramHash, ScramKey},
    effect::{Commit, Keep, StoreAnswer, StoreOp, StoreQuery, Urgency},
    item::{
        AccessModel, Affiliation, History, Item, ItemReply, NodeConfig, NodeFull, NodeSubscription,
        Order, PublishModel, SendLastItem, SubscriptionOptions, SubscriptionState,
    },
    message::{Hints, Message, MessageKind, Show},
    node::{ItemId, NodeAddress, NodeId},
    payload::Payload,
    time::Timestamp,
};

use super::{Database, Fault};

/// Numbers that look random and come again with the same seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn at(name: &str) -> NodeAddress {
    NodeAddress::of_service(NodeId::parse(name).unwrap())
}

fn id(text: &str) -> ItemId {
    ItemId::parse(text).unwrap()
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn item_of(name: &str, payload: &str, published: i64) -> Arc<Item> {
    Arc::new(Item {
        id: id(name),
        publisher: FullJid::parse("dev7@localhost/board").unwrap(),
        published: time(published),
        payload: (!payload.is_empty())
            .then(|| Payload::xml(Bytes::copy_from_slice(payload.as_bytes()))),
        class: Class::Event,
    })
}

fn item(name: &str) -> Arc<Item> {
    item_of(name, "<t xmlns='urn:x'>21.5</t>", 7)
}

fn config() -> NodeConfig {
    NodeConfig {
        title: "".into(),
        description: "".into(),
        payload_type: "urn:x".into(),
        access_model: AccessModel::Whitelist,
        publish_model: PublishModel::Open,
        max_items: u32::MAX,
        max_payload_size: 65_536,
        persist_items: true,
        deliver_payloads: true,
        deliver_notifications: false,
        notify_config: true,
        notify_delete: false,
        notify_retract: true,
        notify_sub: false,
        notification_type: MessageKind::Headline,
        send_last_published_item: SendLastItem::OnSubAndPresence,
        language: "de".into(),
        contact: [bare("owner@localhost").into()].into(),
        roster_groups_allowed: ["Family".into(), "Nurses".into()].into(),
        subscribe: false,
        item_expire: Some(86_400),
        publish_node_full: NodeFull::Reject,
        presence_based_delivery: true,
        purge_offline: false,
        tempsub: true,
        itemreply: Some(ItemReply::Publisher),
        body_xslt: "https://example.org/b.xsl".into(),
        dataform_xslt: "".into(),
        class: Some(Class::Alarm),
        history: Some(History {
            items: 1_000,
            age_seconds: Some(3_600),
            bytes: None,
        }),
    }
}

fn credentials() -> Credentials {
    let key = |hash: ScramHash| {
        let digest = vec![7; hash.digest_bytes()];
        ScramKey::from_parts(hash, b"0123456789abcdef", 10_000, &digest, &digest).unwrap()
    };
    Credentials::from_keys(key(ScramHash::Sha1), key(ScramHash::Sha256)).unwrap()
}

fn account(jid: &str) -> Account {
    Account {
        jid: bare(jid),
        role: Role::Operator,
        enabled: true,
        credentials: credentials(),
        created: time(1_000_000),
        last_seen: None,
    }
}

fn contact(jid: &str) -> Contact {
    Contact {
        jid: bare(jid),
        name: None,
        groups: Vec::new(),
        subscription: Subscription::Both,
        pending_out: false,
        pending_in: None,
        approved: false,
        listed: true,
        version: 1,
    }
}

fn message(body: &str) -> Message {
    Message {
        from: Jid::parse("a@localhost/x").unwrap(),
        to: Jid::parse("b@localhost").unwrap(),
        kind: MessageKind::Chat,
        id: Some("m1".into()),
        lang: None,
        content: Bytes::copy_from_slice(body.as_bytes()),
        hints: Hints {
            body: true,
            ..Hints::default()
        },
    }
}

fn subscription(jid: &str, subid: &str) -> NodeSubscription {
    NodeSubscription {
        jid: Jid::parse(jid).unwrap(),
        subid: subid.into(),
        state: SubscriptionState::Subscribed,
        options: None,
    }
}

fn put_node(name: &str) -> StoreOp {
    StoreOp::PutNode {
        at: at(name),
        config: Box::new(config()),
        creator: bare("owner@localhost"),
        created: time(5),
    }
}

fn put_item(node: &str, item: &Arc<Item>, shown: u32) -> StoreOp {
    put_kept(node, item, Keep::window(shown))
}

fn put_kept(node: &str, item: &Arc<Item>, keep: Keep) -> StoreOp {
    StoreOp::PutItem {
        at: at(node),
        item: item.clone(),
        retained: true,
        keep,
    }
}

fn commit(seq: u64, ops: Vec<StoreOp>) -> Commit {
    Commit {
        seq,
        urgency: Urgency::Group,
        ops,
    }
}

fn memory() -> Database {
    Database::open_in_memory("localhost").unwrap()
}

impl Database {
    /// Applies one commit and answers what its removals removed.
    fn done(&mut self, ops: impl Into<Vec<StoreOp>>) -> Vec<u32> {
        self.apply(&[commit(0, ops.into())]).unwrap().remove(0)
    }

    fn asked(&self, query: StoreQuery) -> StoreAnswer {
        self.query(&query).unwrap()
    }

    /// Ids of a page, and the page.
    fn items(&self, node: &str, page: PageRequest) -> Result<(Vec<String>, PageInfo), Fault> {
        let query = StoreQuery::Items {
            at: at(node),
            max: 100,
            page: Some(page),
            order: Order::default(),
            since: None,
            with_payload: true,
        };
        match self.query(&query)? {
            StoreAnswer::Items { items, page } => {
                Ok((items.iter().map(|item| item.id.to_string()).collect(), page))
            }
            other => panic!("{other:?}"),
        }
    }

    /// No row is left of what was removed.
    fn assert_no_orphans(&self) {
        for (what, statement) in [
            (
                "item without node",
                "SELECT count(*) FROM item WHERE place >> 35 NOT IN (SELECT id FROM node)",
            ),
            (
                "item id without item",
                "SELECT count(*) FROM item_id AS entry WHERE NOT EXISTS (SELECT 1 FROM item
                 WHERE place = (entry.node << 35 | entry.seq) AND item.id = entry.id AND hidden IS NULL)",
            ),
            (
                "affiliation",
                "SELECT count(*) FROM affiliation WHERE node NOT IN (SELECT id FROM node)",
            ),
            (
                "subscription",
                "SELECT count(*) FROM subscription WHERE node NOT IN (SELECT id FROM node)",
            ),
            (
                "owed without item",
                "SELECT count(*) FROM owed WHERE seq NOT IN (SELECT seq FROM owed_item)",
            ),
            (
                "owed item",
                "SELECT count(*) FROM owed_item WHERE seq NOT IN (SELECT seq FROM owed)",
            ),
        ] {
            let count: i64 = self
                .connection()
                .query_row(statement, (), |row| row.get(0))
                .unwrap();
            assert_eq!(count, 0, "{what}");
        }
    }

    fn ids(&self, node: &str) -> Vec<String> {
        self.items(node, PageRequest::default()).unwrap().0
    }
}

fn page(max: u32) -> PageRequest {
    PageRequest {
        max: Some(max),
        ..PageRequest::default()
    }
}
