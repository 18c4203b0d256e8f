//! What a node shows: single items, and pages of them.

use std::sync::Arc;

use bytes::Bytes;
use leveret_engine::{
    address::FullJid,
    class::Class,
    command::{PageInfo, PageRequest},
    item::{Item, Order, OrderBy},
    node::ItemId,
    payload::{MediaType, Payload},
    time::Timestamp,
};
use rusqlite::{Connection, Row, params};

use super::{
    super::{LIST_ENTRIES_MAX, PAGE_BYTES_MAX, encode::Code as _, time},
    Fault, Range, Tally, find, small,
};

/// Most rows that are stepped over to tell where a page stands in its list; beyond it the index is left out, which
/// XEP-0059 §2.2 allows.
pub(super) const INDEX_SCAN_MAX: i64 = 10_000;

/// What [`read`] expects, before the payload.
const COLUMNS: &str = "place, id, publisher, published, class, media";

/// Reads an item from these columns and, if it is wanted, the payload after them.
pub(super) fn read(row: &Row<'_>, with_payload: bool) -> Result<Item, Fault> {
    let text = |at: usize| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
    let media: Option<i64> = row.get(5)?;
    let payload = match media {
        Some(media) if with_payload => {
            let bytes = row.get_ref(6)?.as_blob().map_err(rusqlite::Error::from)?;
            Some(Payload {
                bytes: Bytes::copy_from_slice(bytes),
                media: MediaType::of_column(media)?,
            })
        }
        _ => None,
    };
    Ok(Item {
        id: ItemId::parse(text(1)?).map_err(|_| Fault::Damaged("item id"))?,
        publisher: FullJid::parse(text(2)?).map_err(|_| Fault::Damaged("address"))?,
        published: time(row, 3)?,
        payload,
        class: Class::of_column(row.get(4)?)?,
    })
}

pub(super) fn weight(item: &Item) -> usize {
    item.payload
        .as_ref()
        .map_or(0, |payload| payload.bytes.len())
}

/// A time as rows are compared with it; without one all are later.
pub(super) fn micros(since: Option<Timestamp>) -> i64 {
    since.map_or(i64::MIN, Timestamp::micros)
}

/// The newest item that is shown.
pub(in crate::store) fn last(conn: &Connection, node: i64) -> Result<Option<Arc<Item>>, Fault> {
    let range = Range::of(node);
    let tally = Tally::read(conn, range)?;
    if tally.shown() == 0 {
        return Ok(None);
    }
    let window = tally.window(range);
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, payload FROM item WHERE place BETWEEN ?1 AND ?2 AND hidden IS NULL
         ORDER BY place DESC LIMIT 1"
    ))?;
    let mut rows = statement.query([window.first, window.last])?;
    Ok(rows
        .next()?
        .map(|row| read(row, true))
        .transpose()?
        .map(Arc::new))
}

/// Those that are shown and were published since then, in the order asked; the first of them up to [`PAGE_BYTES_MAX`],
/// since a short request can name much. With it, how many items are shown.
pub(in crate::store) fn by_id(
    conn: &Connection,
    node: i64,
    ids: &[ItemId],
    since: Option<Timestamp>,
) -> Result<(Vec<Arc<Item>>, u32), Fault> {
    let range = Range::of(node);
    let tally = Tally::read(conn, range)?;
    let (mut items, mut bytes) = (Vec::new(), 0);
    for id in ids {
        let Some(seq) = find(conn, node, &tally, id)? else {
            continue;
        };
        let Some(item) = at_place(conn, range.place(seq), true)? else {
            continue;
        };
        if since.is_some_and(|since| item.published < since) {
            continue;
        }
        bytes += weight(&item);
        if bytes > PAGE_BYTES_MAX && !items.is_empty() {
            break;
        }
        items.push(Arc::new(item));
    }
    Ok((items, small(tally.shown())))
}

fn at_place(conn: &Connection, place: i64, with_payload: bool) -> Result<Option<Item>, Fault> {
    let payload = if with_payload { "payload" } else { "NULL" };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, {payload} FROM item WHERE place = ?1"
    ))?;
    let mut rows = statement.query([place])?;
    rows.next()?.map(|row| read(row, with_payload)).transpose()
}

/// Which items are asked for.
pub(in crate::store) struct Wanted<'a> {
    pub(in crate::store) max: u32,
    pub(in crate::store) page: Option<&'a PageRequest>,
    pub(in crate::store) order: Order,
    pub(in crate::store) since: Option<Timestamp>,
    pub(in crate::store) with_payload: bool,
}

/// A page of the shown items in their order; without a page the newest `max`. Never more than [`PAGE_BYTES_MAX`] of
/// payload, but for a single item that is larger.
pub(in crate::store) fn page(
    conn: &Connection,
    node: i64,
    wanted: &Wanted<'_>,
) -> Result<(Vec<Arc<Item>>, PageInfo), Fault> {
    let range = Range::of(node);
    let tally = Tally::read(conn, range)?;
    let shown = Shown::since(conn, range, &tally, wanted.since)?;
    // Without a page the newest, whatever the order (XEP-0060 §6.5.7).
    let mut page = wanted.page.cloned().unwrap_or(PageRequest {
        before: Some("".into()),
        ..PageRequest::default()
    });
    if wanted.page.is_none() && wanted.order.descending {
        (page.after, page.before) = (page.before, page.after);
    }
    let max = page.max.unwrap_or(wanted.max).min(wanted.max);
    page.max = Some(max.min(LIST_ENTRIES_MAX));
    match wanted.order.by {
        OrderBy::Creation if shown.count > 1 => {
            by_creation(conn, node, &tally, shown, &page, wanted)
        }
        // Where an item is published again it becomes the newest: the order of the rows is that of modification.
        _ => by_place(conn, node, &tally, shown, &page, wanted),
    }
}

/// The part of the window that is not expired.
#[derive(Clone, Copy)]
struct Shown {
    window: Range,
    count: i64,
    newest: i64,
}

impl Shown {
    /// Steps over as many as are expired and still there.
    fn since(
        conn: &Connection,
        range: Range,
        tally: &Tally,
        since: Option<Timestamp>,
    ) -> Result<Self, Fault> {
        let mut shown = Self {
            window: tally.window(range),
            count: tally.shown(),
            newest: range.place(tally.newest),
        };
        let Some(since) = since else {
            return Ok(shown);
        };
        let mut statement = conn.prepare_cached(
            "SELECT place, published FROM item WHERE place BETWEEN ?1 AND ?2 AND hidden IS NULL ORDER BY place",
        )?;
        let mut rows = statement.query([shown.window.first, shown.window.last])?;
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(1)? >= since.micros() {
                break;
            }
            shown.window.first = row.get::<_, i64>(0)? + 1;
            shown.count -= 1;
        }
        Ok(shown)
    }

    /// How many of them are older than this one. Where nothing was retracted it is plain from the numbers; else rows are
    /// counted from the nearer end, up to a bound.
    fn index_of(self, conn: &Connection, place: i64) -> Result<Option<i64>, Fault> {
        let oldest = super::shown_after(conn, self.window, 0)?.unwrap_or(place);
        if self.newest - oldest + 1 == self.count {
            return Ok(Some(place - oldest));
        }
        let count = |first: i64, last: i64| -> Result<Option<i64>, Fault> {
            let count: i64 = conn
                .prepare_cached(
                    "SELECT count(*) FROM (SELECT 1 FROM item WHERE place BETWEEN ?1 AND ?2 AND hidden IS NULL LIMIT ?3)",
                )?
                .query_row([first, last, INDEX_SCAN_MAX + 1], |row| row.get(0))?;
            Ok((count <= INDEX_SCAN_MAX).then_some(count))
        };
        if place - oldest <= self.newest - place {
            count(self.window.first, place - 1)
        } else {
            Ok(count(place, self.window.last)?.map(|rest| self.count - rest))
        }
    }
}

fn by_place(
    conn: &Connection,
    node: i64,
    tally: &Tally,
    shown: Shown,
    page: &PageRequest,
    wanted: &Wanted<'_>,
) -> Result<(Vec<Arc<Item>>, PageInfo), Fault> {
    let mut info = PageInfo {
        count: small(shown.count),
        ..PageInfo::default()
    };
    let descending = wanted.order.descending;
    let bounds = Bounds::of(conn, node, tally, shown, page, descending)?;
    let max = page.max.unwrap_or(0);
    if max == 0 || shown.count == 0 {
        return Ok((Vec::new(), info));
    }
    let payload = if wanted.with_payload {
        "payload"
    } else {
        "NULL"
    };
    let order = if bounds.backwards { "DESC" } else { "ASC" };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, {payload} FROM item WHERE place BETWEEN ?1 AND ?2 AND hidden IS NULL AND published >= ?5
         ORDER BY place {order} LIMIT ?3 OFFSET ?4"
    ))?;
    let mut rows = statement.query(params![
        bounds.first,
        bounds.last,
        max,
        bounds.skip,
        micros(wanted.since)
    ])?;
    let (mut items, mut places, mut bytes) = (Vec::new(), Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let item = read(row, wanted.with_payload)?;
        bytes += weight(&item);
        if bytes > PAGE_BYTES_MAX && !items.is_empty() {
            break;
        }
        places.push(row.get::<_, i64>(0)?);
        items.push(Arc::new(item));
    }
    if bounds.backwards != descending {
        items.reverse();
        places.reverse();
    }
    name_ends(&mut info, &items);
    info.index = match (places.first(), page.index) {
        (Some(_), Some(index)) => Some(index), // XEP-0059 §2.6: the same as asked
        (Some(&place), None) => shown.index_of(conn, place)?.map(|older| {
            small(if descending {
                shown.count - 1 - older
            } else {
                older
            })
        }),
        (None, _) => None,
    };
    Ok((items, info))
}

fn name_ends(info: &mut PageInfo, items: &[Arc<Item>]) {
    info.first = items.first().map(|item| item.id.as_str().into());
    info.last = items.last().map(|item| item.id.as_str().into());
}

/// Between which places a page lies, and from which end.
struct Bounds {
    first: i64,
    last: i64,
    skip: i64,
    backwards: bool,
}

impl Bounds {
    fn of(
        conn: &Connection,
        node: i64,
        tally: &Tally,
        shown: Shown,
        page: &PageRequest,
        descending: bool,
    ) -> Result<Self, Fault> {
        let Range { first, last } = shown.window;
        if let Some(index) = page.index {
            return Ok(Self {
                first,
                last,
                skip: index.into(),
                backwards: descending,
            });
        }
        // An item's id says nothing of its place, and of removed ones nothing is remembered (XEP-0059 §2.4).
        let place = |id: &str| -> Result<i64, Fault> {
            let id = ItemId::parse(id).map_err(|_| Fault::NotFound)?;
            let seq = find(conn, node, tally, &id)?.ok_or(Fault::NotFound)?;
            let place = Range::of(node).place(seq);
            // One that is expired is gone, whether it is still there or not.
            if place < first {
                Err(Fault::NotFound)
            } else {
                Ok(place)
            }
        };
        let given = |id: &Option<Box<str>>| -> Result<Option<i64>, Fault> {
            let id = id.as_deref().filter(|id| !id.is_empty());
            id.map(&place).transpose()
        };
        let (mut older, mut newer) = (given(&page.after)?, given(&page.before)?);
        if descending {
            (older, newer) = (newer, older);
        }
        let from_the_end = page.before.is_some() && page.after.is_none();
        Ok(Self {
            first: older.map_or(first, |place| first.max(place + 1)),
            last: newer.map_or(last, |place| place - 1),
            skip: 0,
            backwards: from_the_end != descending,
        })
    }
}

/// XEP-0413 §4.1: by when an item's id came first. That is the order of the rows but for those that came again, so the
/// window is listed, which `items_per_node` bounds, and only the page is read.
fn by_creation(
    conn: &Connection,
    node: i64,
    tally: &Tally,
    shown: Shown,
    page: &PageRequest,
    wanted: &Wanted<'_>,
) -> Result<(Vec<Arc<Item>>, PageInfo), Fault> {
    let range = Range::of(node);
    let mut statement = conn.prepare_cached(
        "SELECT place, born FROM item WHERE place BETWEEN ?1 AND ?2 AND hidden IS NULL AND published >= ?3
         ORDER BY place",
    )?;
    let mut rows =
        statement.query([shown.window.first, shown.window.last, micros(wanted.since)])?;
    let mut list = super::super::collect(&mut rows, |row| {
        let place: i64 = row.get(0)?;
        let born: Option<i64> = row.get(1)?;
        Ok((born.unwrap_or(range.seq(place)), place))
    })?;
    list.sort_unstable();
    if wanted.order.descending {
        list.reverse();
    }
    let at = |id: &Option<Box<str>>| -> Result<Option<usize>, Fault> {
        let Some(id) = id.as_deref().filter(|id| !id.is_empty()) else {
            return Ok(None);
        };
        let id = ItemId::parse(id).map_err(|_| Fault::NotFound)?;
        let seq = find(conn, node, tally, &id)?.ok_or(Fault::NotFound)?;
        let found = list.iter().position(|(_, place)| range.seq(*place) == seq);
        found.map(Some).ok_or(Fault::NotFound)
    };
    let max = page.max.unwrap_or(0) as usize;
    let from_the_end = page.index.is_none() && page.before.is_some() && page.after.is_none();
    let (mut start, mut end) = match page.index {
        Some(index) => ((index as usize).min(list.len()), list.len()),
        None => (
            at(&page.after)?.map_or(0, |place| place + 1),
            at(&page.before)?.unwrap_or(list.len()),
        ),
    };
    end = end.max(start);
    if from_the_end {
        start = start.max(end.saturating_sub(max));
    } else {
        end = end.min(start.saturating_add(max));
    }
    let mut info = PageInfo {
        count: small(list.len().cast_signed() as i64),
        ..PageInfo::default()
    };
    let (mut items, mut bytes) = (Vec::new(), 0);
    let mut places: Vec<i64> = list[start..end].iter().map(|(_, place)| *place).collect();
    if from_the_end {
        places.reverse();
    }
    for place in places {
        let Some(item) = at_place(conn, place, wanted.with_payload)? else {
            continue;
        };
        bytes += weight(&item);
        if bytes > PAGE_BYTES_MAX && !items.is_empty() {
            break;
        }
        items.push(Arc::new(item));
    }
    if from_the_end {
        items.reverse();
        start = end - items.len();
    }
    name_ends(&mut info, &items);
    info.index = (!items.is_empty()).then_some(small(start.cast_signed() as i64));
    Ok((items, info))
}
