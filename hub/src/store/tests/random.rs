//! Random operations on the store and on the model; after each group every kind of question must have equal answers.

use leveret_engine::{
    account::PendingIn, archive::ArchiveFilter, document::DocumentKey, item::OrderBy,
    node::NodeAddress,
};

use super::{model::Model, *};
use crate::store::items::stored_retained;

const NODES: [&str; 9] = ["a", "a/b", "a/b/c", "a-b", "a.b", "a0", "a/", "b", "ä/ö"];
const FILTERS: [&str; 3] = ["#", "a/+", "+/b/#"];
const ACCOUNTS: [&str; 4] = [
    "dev7@localhost",
    "op@localhost",
    "a@localhost",
    "zoë@localhost",
];
const ITEMS: [&str; 7] = ["1", "2", "3", "4", "current", "Ω", "0"];

impl Random {
    fn account(&mut self) -> BareJid {
        bare(self.pick(&ACCOUNTS))
    }

    fn at(&mut self) -> NodeAddress {
        let mut node = at(self.pick(&NODES));
        if self.one_in(4) {
            node.host = Some(self.account());
        }
        node
    }

    fn item(&mut self) -> Arc<Item> {
        let payload = ["", "<a xmlns='x'/>", "<b xmlns='y'>23</b>"];
        let mut item =
            (*item_of(self.pick(&ITEMS), self.pick(&payload), self.below(4) as i64)).clone();
        item.publisher = self.account().with_resource("r").unwrap();
        item.class = self.pick(&[Class::State, Class::Event, Class::Alarm]);
        Arc::new(item)
    }

    fn contact(&mut self) -> Contact {
        let pending = PendingIn {
            id: self.text(),
            lang: self.text(),
            content: Bytes::from_static(b"<x/>"),
        };
        Contact {
            jid: self.account(),
            name: self.text(),
            groups: (0..self.below(3)).filter_map(|_| self.text()).collect(),
            subscription: self.pick(&[Subscription::None, Subscription::To, Subscription::Both]),
            pending_out: self.one_in(2),
            pending_in: self.one_in(2).then_some(pending),
            approved: self.one_in(2),
            listed: self.one_in(2),
            version: self.next(),
        }
    }

    fn text(&mut self) -> Option<Box<str>> {
        let texts = [None, Some(""), Some("Pendant 7"), Some("Küche")];
        self.pick(&texts).map(Into::into)
    }

    fn subscription(&mut self) -> StoreOp {
        let mut node = self.at();
        if self.one_in(3) {
            node.node = NodeId::parse(self.pick(&FILTERS)).unwrap();
        }
        let subscription = NodeSubscription {
            jid: self.account().into(),
            subid: self.pick(&["s1", "s2", "s3"]).into(),
            state: self.pick(&[SubscriptionState::Pending, SubscriptionState::Subscribed]),
            options: self.one_in(3).then(|| {
                Box::new(SubscriptionOptions {
                    deliver: self.one_in(2),
                    digest_millis: self.one_in(2).then_some(1_000),
                    expire: self.one_in(2).then(|| time(self.next() as i64)),
                    shows: self
                        .one_in(2)
                        .then(|| [Show::Online, Show::Chat].into_iter().collect()),
                    ..SubscriptionOptions::default()
                })
            }),
        };
        match self.one_in(3) {
            true => StoreOp::RemoveSubscription {
                at: node,
                subid: subscription.subid,
            },
            false => StoreOp::PutSubscription {
                at: node,
                subscription,
            },
        }
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.one_in(2).then(|| time(self.below(150) as i64))
    }

    fn keep(&mut self) -> Keep {
        let window = Keep::window(self.pick(&[0, 1, 1, 1, 1, 2, 3, 5, 100]));
        if self.one_in(2) {
            return window;
        }
        let unexpired = self.time().filter(|_| self.one_in(4));
        Keep {
            history: self.pick(&[0, 1, 3, 8, 8, 100, u32::MAX]),
            bytes: self.pick(&[None, None, Some(20), Some(70), Some(1_000)]),
            since: self.time().filter(|_| self.one_in(3)),
            unexpired,
            ..window
        }
    }

    /// A question to an archive that holds these ids.
    fn archive(&mut self, at: NodeAddress, ids: &[String]) -> StoreQuery {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut keys = ids.clone();
        if keys.is_empty() || self.one_in(8) {
            keys.push("1-AAAAAAAAAAAA");
        }
        let key = |random: &mut Self| random.one_in(4).then(|| random.pick(&keys).into());
        let publisher = self.one_in(4).then(|| {
            let bare = self.account();
            match self.one_in(2) {
                true => bare.with_resource("r").unwrap().into(),
                false => bare.into(),
            }
        });
        let filter = ArchiveFilter {
            start: self.time(),
            end: self.time(),
            publisher,
            after: key(self),
            before: key(self),
            ids: match self.one_in(5) {
                true => (0..3).map(|_| self.pick(&keys).into()).collect(),
                false => Vec::new(),
            },
        };
        StoreQuery::Archive {
            at,
            filter: Box::new(filter),
            page: self.page(&keys),
            descending: self.one_in(2),
            since: self.time().filter(|_| self.one_in(3)),
        }
    }

    fn op(&mut self) -> StoreOp {
        let (account, at) = (self.account(), self.at());
        match self.below(46) {
            40 | 41 => StoreOp::PutBlocked {
                account,
                jid: self.account().into(),
            },
            42 => StoreOp::RemoveBlocked {
                account,
                jid: self.one_in(2).then(|| self.account().into()),
            },
            43..=45 => StoreOp::PutDocument {
                account,
                key: DocumentKey::new("ns", self.pick(&["a", "b"])),
                content: self.text().map(|text| text.as_bytes().to_vec().into()),
            },
            0 | 1 => {
                let mut made = super::account(account.as_str());
                made.enabled = self.one_in(2);
                made.role = self.pick(&Role::ALL);
                let seen = LastSeen {
                    at: time(self.next() as i64),
                    status: self.text(),
                };
                made.last_seen = self.one_in(2).then_some(seen);
                StoreOp::PutAccount(Box::new(made))
            }
            2 => StoreOp::RemoveAccount { account },
            3 => StoreOp::LastSeen {
                account,
                seen: LastSeen {
                    at: time(-(self.next() as i64)),
                    status: self.text(),
                },
            },
            4 | 5 => StoreOp::PutContact {
                account,
                contact: Box::new(self.contact()),
                version: self.next(),
            },
            6 => StoreOp::RemoveContact {
                account,
                contact: self.account(),
                version: self.next(),
            },
            7 | 8 => StoreOp::PutOffline {
                account,
                message: Box::new(message(self.pick(&["<body>1</body>", "<body>2</body>"]))),
                at: time(self.next() as i64),
            },
            9 => StoreOp::RemoveOffline {
                account,
                up_to: self.below(40),
            },
            10..=13 => StoreOp::PutNode {
                at,
                config: Box::new(NodeConfig {
                    title: self.text().unwrap_or_default(),
                    max_items: self.next() as u32,
                    ..config()
                }),
                creator: account,
                created: time(self.next() as i64),
            },
            14 => StoreOp::RemoveNode { at },
            15 | 16 => StoreOp::PutAffiliation {
                at,
                jid: account,
                affiliation: self.pick(&[
                    Affiliation::Owner,
                    Affiliation::None,
                    Affiliation::Outcast,
                ]),
            },
            17..=19 => self.subscription(),
            20..=30 => StoreOp::PutItem {
                at,
                item: self.item(),
                retained: self.one_in(2),
                keep: self.keep(),
            },
            31 | 32 => {
                let ids = (0..1 + self.below(3))
                    .map(|_| id(self.pick(&ITEMS)))
                    .collect();
                StoreOp::RemoveItems { at, ids }
            }
            33 => StoreOp::TrimItems {
                at,
                keep: match self.one_in(3) {
                    true => Keep::NOTHING,
                    false => self.keep(),
                },
            },
            34..=37 => StoreOp::PutOwed {
                account,
                at,
                item: self.item(),
            },
            _ => StoreOp::RemoveOwed {
                account,
                at,
                item: id(self.pick(&ITEMS)),
                publisher: bare("whoever@localhost"),
            },
        }
    }

    fn page(&mut self, keys: &[&str]) -> PageRequest {
        let key = |random: &mut Self| match random.below(4) {
            0 => Some("".into()),
            1 | 2 => Some(random.pick(keys).into()),
            _ => Some("none such".into()),
        };
        let mut page = PageRequest {
            max: self.pick(&[None, Some(0), Some(1), Some(2), Some(50)]),
            ..PageRequest::default()
        };
        match self.below(6) {
            0 | 1 => page.after = key(self),
            2 | 3 => page.before = key(self),
            4 => page.index = Some(self.below(8) as u32),
            _ => {}
        }
        if self.one_in(12) {
            (page.after, page.before) = (key(self), key(self));
        }
        page
    }
}

/// One of each kind for every account and node, and some pages.
fn questions(random: &mut Random, model: &Model) -> Vec<StoreQuery> {
    let mut all = vec![StoreQuery::Boot, StoreQuery::Totals];
    let mut hosts = vec![None];
    for account in ACCOUNTS.map(bare) {
        hosts.push(Some(account.clone()));
        let (after, max) = (random.below(30), 1 + random.below(20) as u32);
        all.extend([
            StoreQuery::Account(account.clone()),
            StoreQuery::Roster(account.clone()),
            StoreQuery::DocumentSizes(account.clone()),
            StoreQuery::Document {
                account: account.clone(),
                key: DocumentKey::new("ns", "a"),
            },
            StoreQuery::Offline {
                account: account.clone(),
                after,
                max,
            },
            StoreQuery::Owed {
                account: account.clone(),
                after,
                max,
            },
            StoreQuery::AccountsOfRole {
                role: random.pick(&Role::ALL),
                start: random.pick(&["", "r", account.as_str()]).into(),
                after: random.one_in(2).then(|| account.clone()),
                max,
            },
            StoreQuery::RolesOf(ACCOUNTS.map(bare).into()),
            StoreQuery::Accounts {
                after: random.one_in(2).then(|| account.clone()),
                max,
            },
        ]);
    }
    for host in hosts {
        for account in ACCOUNTS.map(bare) {
            all.push(StoreQuery::SubscriptionsOf {
                host: host.clone(),
                account: account.clone(),
            });
            all.push(StoreQuery::AffiliationsOf {
                host: host.clone(),
                account,
            });
        }
        for name in NODES {
            let node = NodeId::parse(name).unwrap();
            let at = NodeAddress {
                host: host.clone(),
                node: node.clone(),
            };
            all.push(StoreQuery::Node(at.clone()));
            all.push(StoreQuery::NodeCounts(at.clone()));
            all.push(StoreQuery::NodeBytes(at.clone()));
            all.push(StoreQuery::ItemsById {
                at: at.clone(),
                ids: ["2", "1", "none", "Ω"].map(id).into(),
                since: random.time(),
            });
            let ids = model.archive_ids(&at);
            all.push(random.archive(at.clone(), &ids));
            all.push(StoreQuery::ArchiveEnds {
                at: at.clone(),
                since: random.time(),
            });
            let page = (!random.one_in(6)).then(|| random.page(&ITEMS));
            let with_payload = random.one_in(2);
            // How many are expired is told rightly where the clock did not go back.
            let since = random.time().filter(|_| model.is_in_order(&at));
            all.push(StoreQuery::Items {
                at,
                max: 3,
                page,
                order: Order {
                    by: random.pick(&[OrderBy::Creation, OrderBy::Modification]),
                    descending: random.one_in(2),
                },
                since,
                with_payload,
            });
            let page = random.page(&NODES);
            all.push(StoreQuery::Nodes {
                host: host.clone(),
                under: Some(node),
                page,
            });
        }
        all.push(StoreQuery::Awaiting {
            account: random.account(),
            after: random.one_in(2).then(|| NodeId::parse("a").unwrap()),
            max: 1 + random.below(3) as u32,
        });
        if let Some(host) = &host {
            all.push(StoreQuery::Present {
                hosts: vec![host.clone(), random.account()],
                names: NODES.map(|name| NodeId::parse(name).unwrap()).into(),
            });
            all.push(StoreQuery::PersonalNodes {
                host: host.clone(),
                asker: random.account(),
                page: random.page(&NODES),
            });
        }
        all.push(StoreQuery::Nodes {
            host,
            under: None,
            page: random.page(&NODES),
        });
    }
    all
}

fn agree(seed: u64, groups: usize) {
    let mut random = Random::new(seed);
    let (mut store, mut model) = (memory(), Model::default());
    let mut faults = 0;
    for group in 0..groups {
        let mut ops: Vec<_> = (0..1 + random.below(6)).map(|_| random.op()).collect();
        for op in &mut ops {
            // Most clocks go on.
            if let StoreOp::PutItem { item, .. } = op
                && !random.one_in(8)
            {
                Arc::make_mut(item).published = time(group as i64);
            }
        }
        let mut expected = model.clone();
        let removed: Result<Vec<_>, _> = ops.iter().map(|op| expected.apply(op)).collect();
        let place = format!("seed {seed}, group {group}: {ops:?}");
        match (store.apply(&[commit(0, ops)]), removed) {
            (Ok(mut got), Ok(removed)) => {
                let removed: Vec<u32> = removed.into_iter().flatten().collect();
                assert_eq!(got.remove(0), removed, "{place}");
                model = expected;
            }
            (Err(Fault::NoSuchNode(_)), Err(_)) => {
                faults += 1;
                model.skip_numbers_to(store.numbers());
            }
            (got, expected) => panic!("{place}\nstore {got:?}\nmodel {expected:?}"),
        }
        for query in questions(&mut random, &model) {
            match (store.query(&query), model.answer(&query)) {
                (Ok(got), Ok(answer)) => assert_eq!(got, answer, "{place}\n{query:?}"),
                (Err(Fault::NotFound), Err(_)) => {}
                (got, answer) => panic!("{place}\n{query:?}\nstore {got:?}\nmodel {answer:?}"),
            }
        }
        for name in NODES {
            let retained = stored_retained(store.connection(), &at(name)).unwrap();
            assert_eq!(
                retained,
                model.retained(&at(name)),
                "{place}\nretained of {name}"
            );
        }
    }
    assert!(
        faults > 0 || groups < 20,
        "no group failed: the test does not see rollbacks"
    );
    assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
    store.assert_no_orphans();
}

/// `LEVERET_TEST_ROUNDS=200 cargo test --release -p leveret-hub store` for a longer look.
#[test]
fn the_store_and_the_model_agree_on_everything() {
    for seed in 1..=12 {
        agree(seed, 150);
    }
    let rounds = std::env::var("LEVERET_TEST_ROUNDS").map_or(0, |rounds| rounds.parse().unwrap());
    for seed in 1_000..1_000 + rounds {
        agree(seed, 400);
    }
}
