//! One level of the tree of names (S17): what stands right below a name, and the items of the node of that name itself.
//!
//! A name is below another if it goes on after it with a slash, so the tree is in the order of the index of names, and a level is
//! read by skipping: from one name the scan goes to the first that is not below it. A page costs what it shows, however many
//! nodes lie below what it shows.
//!
//! A level that is the name of a node stands at that name; one that only has nodes below it stands right before them. Between
//! the two lie other levels: `a`, then `a-b`, then what is below `a`. So a place in the list says which of the two it is.

use leveret_engine::{
    command::{PageInfo, PageRequest},
    item::{NodeConfig, Order},
    node::{ItemId, NodeAddress, NodeId},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    LIST_ENTRIES_MAX,
    encode::Encoded as _,
    fault::Fault,
    items::{self, ItemsWanted},
    names::{NAMES_COUNTED_MAX, Named, follower},
    nodes,
};

/// What a key of a page begins with: it names a node, a level that is none, or an item.
const NODE: &str = "n/";
const LEVEL: &str = "l/";
const ITEM: &str = "i/";

/// A page of what lies below a name.
#[derive(Debug, Default)]
pub(super) struct Branch {
    pub(super) nodes: Vec<Named>,
    pub(super) items: Vec<ItemId>,
    pub(super) page: PageInfo,
}

/// Where a level stands among its siblings.
enum Place {
    /// At the name of a node.
    Node(Box<str>),
    /// Right before what is below this name, of which there is no node.
    Level(Box<str>),
}

impl Place {
    fn of(key: &str) -> Option<Self> {
        let node = key.strip_prefix(NODE).map(|name| Self::Node(name.into()));
        node.or_else(|| key.strip_prefix(LEVEL).map(|name| Self::Level(name.into())))
    }

    /// The first name that can stand there.
    fn first(&self) -> String {
        match self {
            Self::Node(name) => name.to_string(),
            Self::Level(name) => format!("{name}/"),
        }
    }

    /// The first name that stands after it.
    fn past(&self) -> String {
        match self {
            Self::Node(name) => follower(name),
            // What comes right after everything that begins with `a/` is `a0`.
            Self::Level(name) => format!("{name}0"),
        }
    }
}

/// One level.
struct Level {
    node: NodeId,
    /// Its node's title; `None`: there is no such node.
    title: Option<Box<str>>,
}

impl Level {
    fn place(&self) -> Place {
        let name = self.node.as_str().into();
        match self.title {
            Some(_) => Place::Node(name),
            None => Place::Level(name),
        }
    }

    fn key(&self) -> Box<str> {
        let kind = if self.title.is_some() { NODE } else { LEVEL };
        format!("{kind}{}", self.node).into()
    }
}

/// The levels right below a name, or the first ones of all.
struct Levels<'c> {
    conn: &'c Connection,
    /// What their names begin with.
    prefix: String,
    /// The names that can be below.
    from: String,
    to: Option<String>,
}

impl<'c> Levels<'c> {
    fn below(conn: &'c Connection, under: Option<&NodeId>) -> Self {
        let prefix = under.map_or_else(String::new, |name| format!("{name}/"));
        let to = under.map(|name| Place::Level(name.as_str().into()).past());
        Self {
            conn,
            from: prefix.clone(),
            prefix,
            to,
        }
    }

    /// Only what stands after this place.
    fn after(mut self, place: &Place) -> Self {
        self.from = self.from.max(place.past());
        self
    }

    /// Only what stands before it.
    fn before(mut self, place: &Place) -> Self {
        let first = place.first();
        self.to = Some(match self.to {
            Some(to) => to.min(first),
            None => first,
        });
        self
    }

    /// The next one, from either end.
    fn next(&mut self, backwards: bool) -> Result<Option<Level>, Fault> {
        let order = if backwards { "DESC" } else { "ASC" };
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT name, config FROM node WHERE host = '' AND name >= ?1 AND (?2 IS NULL OR name < ?2)
             ORDER BY name {order} LIMIT 1"
        ))?;
        loop {
            let mut rows = statement.query(params![self.from, self.to])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            let name = super::text(row, 0)?;
            let rest = name.strip_prefix(&self.prefix).unwrap_or_default();
            let level = match rest.split_once('/') {
                // A name that begins with a slash has no first level that could be named: it stands for itself.
                Some(("", _)) if self.prefix.is_empty() => None,
                Some((level, _)) => Some(format!("{}{level}", self.prefix)),
                None => None,
            };
            let level = match level {
                None => {
                    let config = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
                    Level {
                        node: super::node_id(row, 0)?,
                        title: Some(NodeConfig::decode(config)?.title),
                    }
                }
                // Everything below it is passed at once.
                Some(level) => Level {
                    node: NodeId::parse(&level).map_err(|_| Fault::Damaged("node name"))?,
                    title: None,
                },
            };
            drop(rows);
            let place = level.place();
            if backwards {
                self.to = Some(place.first());
            } else {
                self.from = place.past();
            }
            // One that is a node too is told where that stands.
            if level.title.is_some() || !self.is_node(level.node.as_str())? {
                return Ok(Some(level));
            }
        }
    }

    fn is_node(&self, name: &str) -> Result<bool, Fault> {
        let mut statement = self
            .conn
            .prepare_cached("SELECT 1 FROM node WHERE host = '' AND name = ?1")?;
        Ok(statement
            .query_row([name], |_| Ok(()))
            .optional()?
            .is_some())
    }

    /// As many as fit, in order.
    fn take(mut self, max: usize, backwards: bool) -> Result<Vec<Level>, Fault> {
        let mut list = Vec::new();
        while list.len() < max
            && let Some(level) = self.next(backwards)?
        {
            list.push(level);
        }
        if backwards {
            list.reverse();
        }
        Ok(list)
    }

    /// How many there are, up to [`NAMES_COUNTED_MAX`].
    fn count(mut self) -> Result<u32, Fault> {
        let mut count = 0;
        while i64::from(count) < NAMES_COUNTED_MAX && self.next(false)?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

/// Where a page begins or ends.
enum Bound {
    First,
    Last,
    Index(u32),
    AfterLevel(Place),
    AfterItem(Box<str>),
    BeforeLevel(Place),
    BeforeItem(Box<str>),
}

impl Bound {
    fn of(page: &PageRequest) -> Result<Self, Fault> {
        if let Some(index) = page.index {
            return Ok(Self::Index(index));
        }
        let given = |key: &Option<Box<str>>| key.clone().filter(|key| !key.is_empty());
        let item = |key: &str| key.strip_prefix(ITEM).map(Into::into);
        match (given(&page.after), given(&page.before), &page.before) {
            (Some(key), ..) => Place::of(&key)
                .map(Self::AfterLevel)
                .or_else(|| item(&key).map(Self::AfterItem)),
            (None, Some(key), _) => Place::of(&key)
                .map(Self::BeforeLevel)
                .or_else(|| item(&key).map(Self::BeforeItem)),
            (None, None, Some(_)) if page.after.is_none() => Some(Self::Last),
            _ => Some(Self::First),
        }
        .ok_or(Fault::NotFound)
    }
}

/// What is listed below one name.
struct Listing<'c> {
    conn: &'c Connection,
    under: Option<&'c NodeId>,
    /// The node whose items are listed behind the levels.
    node: Option<i64>,
    since: Option<Timestamp>,
    max: usize,
}

impl Listing<'_> {
    fn levels(&self) -> Levels<'_> {
        Levels::below(self.conn, self.under)
    }

    /// A page of the items, with what it says of itself.
    fn items(&self, max: usize, page: PageRequest) -> Result<(Vec<ItemId>, PageInfo), Fault> {
        let Some(node) = self.node else {
            return Ok(Default::default());
        };
        let max = u32::try_from(max).unwrap_or(u32::MAX);
        let wanted = ItemsWanted {
            max,
            page: Some(&PageRequest {
                max: Some(max),
                ..page
            }),
            order: Order::default(),
            since: self.since,
            with_payload: false,
        };
        let (list, info) = items::page(self.conn, node, &wanted)?;
        Ok((list.iter().map(|item| item.id.clone()).collect(), info))
    }

    /// Levels from some place on, then the first items.
    fn forward(&self, levels: Levels<'_>) -> Result<Page, Fault> {
        let levels = levels.take(self.max, false)?;
        let room = self.max - levels.len();
        let items = self.items(room, PageRequest::default())?;
        Ok((levels, items))
    }

    /// The last items before some place, and before them the last levels.
    fn backward(&self, before: Box<str>) -> Result<Page, Fault> {
        let before = PageRequest {
            before: Some(before),
            ..PageRequest::default()
        };
        let items = self.items(self.max, before)?;
        let levels = self.levels().take(self.max - items.0.len(), true)?;
        Ok((levels, items))
    }

    fn page(&self, bound: Bound, levels_in_all: u32) -> Result<Page, Fault> {
        match bound {
            Bound::First => self.forward(self.levels()),
            Bound::AfterLevel(place) => self.forward(self.levels().after(&place)),
            Bound::Last => self.backward("".into()),
            Bound::BeforeItem(id) => self.backward(id),
            Bound::BeforeLevel(place) => Ok((
                self.levels().before(&place).take(self.max, true)?,
                Default::default(),
            )),
            Bound::AfterItem(id) => {
                let after = PageRequest {
                    after: Some(id),
                    ..PageRequest::default()
                };
                Ok((Vec::new(), self.items(self.max, after)?))
            }
            Bound::Index(index) if index < levels_in_all => {
                let passed = self.levels().take(index as usize, false)?;
                let levels = match passed.last() {
                    Some(last) => self.levels().after(&last.place()),
                    None => self.levels(),
                };
                self.forward(levels)
            }
            Bound::Index(index) => {
                let from = PageRequest {
                    index: Some(index - levels_in_all),
                    ..PageRequest::default()
                };
                Ok((Vec::new(), self.items(self.max, from)?))
            }
        }
    }
}

/// Levels, and items with what their page says of itself.
type Page = (Vec<Level>, (Vec<ItemId>, PageInfo));

/// A page of what is right below `under`: levels first, then, if they are asked for, the items of the node itself, those
/// published since.
pub(super) fn branch(
    conn: &Connection,
    under: Option<&NodeId>,
    items: Option<Option<Timestamp>>,
    request: &PageRequest,
) -> Result<Branch, Fault> {
    let node = match (under, items) {
        (Some(name), Some(_)) => nodes::find(conn, &NodeAddress::of_service(name.clone()))?,
        _ => None,
    };
    let max = request
        .max
        .unwrap_or(LIST_ENTRIES_MAX)
        .min(LIST_ENTRIES_MAX);
    let listing = Listing {
        conn,
        under,
        node,
        since: items.flatten(),
        max: max as usize,
    };
    let levels_in_all = listing.levels().count()?;
    let (_, of_items) = listing.items(0, PageRequest::default())?;
    let mut info = PageInfo {
        count: levels_in_all.saturating_add(of_items.count),
        ..PageInfo::default()
    };
    if max == 0 {
        return Ok(Branch {
            page: info,
            ..Branch::default()
        });
    }
    let (levels, (items, of_items)) = listing.page(Bound::of(request)?, levels_in_all)?;
    let item_key = |id: &ItemId| format!("{ITEM}{id}").into_boxed_str();
    info.index = match (levels.first(), request.index) {
        (_, Some(index)) => Some(index).filter(|_| !(levels.is_empty() && items.is_empty())),
        (Some(first), None) => Some(listing.levels().before(&first.place()).count()?),
        (None, None) => of_items
            .index
            .map(|index| index.saturating_add(levels_in_all)),
    };
    let first_item = items.first().map(item_key);
    let last_level = levels.last().map(Level::key);
    info.first = levels.first().map(Level::key).or(first_item);
    info.last = items.last().map(item_key).or(last_level);
    Ok(Branch {
        nodes: levels
            .into_iter()
            .map(|level| (level.node, level.title.unwrap_or_default()))
            .collect(),
        items,
        page: info,
    })
}
