//! The items of a node, in order of publication.
//!
//! An item's place is its node's id and its number in the node (`seq`), so a node's items lie side by side and the newest
//! is one step from the end of its range. The newest item's row carries the node's tally: how many items there are, and
//! which of them is the retained one (S4). So appending and trimming read one row, count nothing, and write no other page
//! than the one that the item goes to; the tallies of older rows are stale and never read. Whoever removes items without
//! appending one writes the tally to the row that is then the newest.
//!
//! `item_id` finds an item by its id. A node that keeps one item has no entry there, so that its publish writes a single
//! page: an item without entry is always the oldest of its node, since it was alone when it came.

use std::sync::Arc;

use bytes::Bytes;
use leveret_engine::{
    address::FullJid,
    class::Class,
    command::{PageInfo, PageRequest},
    item::Item,
    node::{ItemId, NodeAddress},
    payload::{MediaType, Payload},
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{LIST_ENTRIES_MAX, PAGE_BYTES_MAX, encode::Code as _, fault::Fault, owed};

/// Bits of a place that number the items of a node; the bits above are the node's id.
const SEQ_BITS: u32 = 35;
/// Largest number of an item. When a node comes there, its items are numbered anew.
pub(super) const SEQ_MAX: i64 = (1 << SEQ_BITS) - 1;
/// Largest id of a node.
pub(super) const NODE_ROW_MAX: i64 = (1 << (63 - SEQ_BITS)) - 1;
/// Most rows that are stepped over to tell where a page stands in its list; beyond it the index is left out, which
/// XEP-0059 §2.2 allows.
const INDEX_SCAN_MAX: i64 = 10_000;

/// Where a node's items lie.
#[derive(Clone, Copy)]
struct Range {
    first: i64,
    last: i64,
}

impl Range {
    fn of(node: i64) -> Self {
        let first = node << SEQ_BITS;
        Self {
            first,
            last: first | SEQ_MAX,
        }
    }

    fn place(self, seq: i64) -> i64 {
        self.first | seq
    }

    fn seq(self, place: i64) -> i64 {
        place & SEQ_MAX
    }
}

/// What the newest item's row knows of its node.
#[derive(Clone, Copy)]
struct Tally {
    newest: i64,
    count: i64,
    retained: Option<i64>,
}

impl Tally {
    const EMPTY: Self = Self {
        newest: 0,
        count: 0,
        retained: None,
    };

    fn read(conn: &Connection, range: Range) -> Result<Self, Fault> {
        let tally = conn
            .prepare_cached(
                "SELECT place, count, retained FROM item WHERE place BETWEEN ?1 AND ?2
                 ORDER BY place DESC LIMIT 1",
            )?
            .query_row([range.first, range.last], |row| {
                Ok(Self {
                    newest: range.seq(row.get(0)?),
                    count: row.get(1)?,
                    retained: row.get(2)?,
                })
            })
            .optional()?;
        Ok(tally.unwrap_or(Self::EMPTY))
    }

    /// After a removal: the newest row may be another one now.
    fn write(self, conn: &Connection, range: Range) -> Result<(), Fault> {
        conn.prepare_cached(
            "UPDATE item SET count = ?3, retained = ?4 WHERE place =
             (SELECT max(place) FROM item WHERE place BETWEEN ?1 AND ?2)",
        )?
        .execute(params![range.first, range.last, self.count, self.retained])?;
        Ok(())
    }

    fn without(&mut self, seq: i64) {
        self.count -= 1;
        self.retained = self.retained.filter(|&retained| retained != seq);
    }
}

/// Appends an item, replaces one of its id, and trims to `keep`.
pub(super) fn put(
    conn: &Connection,
    node: i64,
    item: &Item,
    retained: bool,
    keep: u32,
) -> Result<(), Fault> {
    let range = Range::of(node);
    let mut tally = Tally::read(conn, range)?;
    if tally.newest == SEQ_MAX {
        tally = renumber(conn, node, tally)?;
    }
    let seq = tally.newest + 1;
    if tally.count > 0
        && let Some(former) = find(conn, node, &item.id)?
    {
        delete(conn, node, former, &item.id)?;
        tally.without(former);
    }
    if retained {
        tally.retained = Some(seq);
    }
    let excess = tally.count + 1 - i64::from(keep);
    if excess > 0 {
        let many = excess.min(tally.count);
        remove_oldest(conn, node, &mut tally, many)?;
    }
    if keep == 0 {
        return Ok(()); // what is over was removed, and so is the new one
    }
    tally.count += 1;
    let Item {
        id,
        publisher,
        published,
        payload,
        class,
    } = item;
    conn.prepare_cached(
        "INSERT INTO item (place, count, retained, id, publisher, published, class, media, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        range.place(seq),
        tally.count,
        tally.retained,
        id.as_str(),
        publisher.as_str(),
        published.micros(),
        class.code(),
        payload.as_ref().map(|payload| payload.media.code()),
        payload.as_ref().map(|payload| &payload.bytes[..]),
    ])?;
    if keep > 1 {
        conn.prepare_cached("INSERT INTO item_id (node, id, seq) VALUES (?1, ?2, ?3)")?
            .execute(params![node, id.as_str(), seq])?;
    }
    Ok(())
}

/// Removes items by id, and what is owed of them; how many there were.
pub(super) fn remove(
    conn: &Connection,
    at: &NodeAddress,
    node: Option<i64>,
    ids: &[ItemId],
) -> Result<u32, Fault> {
    let mut removed = 0;
    if let Some(node) = node {
        let range = Range::of(node);
        let mut tally = Tally::read(conn, range)?;
        for id in ids {
            if let Some(seq) = find(conn, node, id)? {
                delete(conn, node, seq, id)?;
                tally.without(seq);
                removed += 1;
            }
        }
        if removed > 0 {
            tally.write(conn, range)?;
        }
    }
    ids.iter()
        .try_for_each(|id| owed::remove_item(conn, at, id))?;
    Ok(removed)
}

/// Removes the oldest beyond `keep`.
pub(super) fn trim(conn: &Connection, node: i64, keep: u32) -> Result<(), Fault> {
    let range = Range::of(node);
    let mut tally = Tally::read(conn, range)?;
    let excess = tally.count - i64::from(keep);
    if excess > 0 {
        remove_oldest(conn, node, &mut tally, excess)?;
        tally.write(conn, range)?;
    }
    Ok(())
}

/// Removes all, with the node.
pub(super) fn remove_all(conn: &Connection, node: i64) -> Result<(), Fault> {
    let range = Range::of(node);
    conn.prepare_cached("DELETE FROM item_id WHERE node = ?1")?
        .execute([node])?;
    conn.prepare_cached("DELETE FROM item WHERE place BETWEEN ?1 AND ?2")?
        .execute([range.first, range.last])?;
    Ok(())
}

fn find(conn: &Connection, node: i64, id: &ItemId) -> Result<Option<i64>, Fault> {
    let entry = conn
        .prepare_cached("SELECT seq FROM item_id WHERE node = ?1 AND id = ?2")?
        .query_row(params![node, id.as_str()], |row| row.get(0))
        .optional()?;
    if entry.is_some() {
        return Ok(entry);
    }
    let range = Range::of(node);
    let oldest = conn
        .prepare_cached(
            "SELECT place, id = ?3 FROM item WHERE place BETWEEN ?1 AND ?2 ORDER BY place LIMIT 1",
        )?
        .query_row(params![range.first, range.last, id.as_str()], |row| {
            Ok((range.seq(row.get(0)?), row.get::<_, bool>(1)?))
        })
        .optional()?;
    Ok(oldest.and_then(|(seq, is_it)| is_it.then_some(seq)))
}

fn delete(conn: &Connection, node: i64, seq: i64, id: &ItemId) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM item WHERE place = ?1")?
        .execute([Range::of(node).place(seq)])?;
    conn.prepare_cached("DELETE FROM item_id WHERE node = ?1 AND id = ?2")?
        .execute(params![node, id.as_str()])?;
    Ok(())
}

/// Costs as much as it removes. `many` is at most the number of items.
fn remove_oldest(conn: &Connection, node: i64, tally: &mut Tally, many: i64) -> Result<(), Fault> {
    if many >= tally.count {
        let retained = tally.retained.filter(|&seq| seq > tally.newest); // that of an item on its way in
        *tally = Tally {
            count: 0,
            retained,
            ..*tally
        };
        return remove_all(conn, node);
    }
    let range = Range::of(node);
    let end: i64 = conn
        .prepare_cached(
            "SELECT place FROM item WHERE place BETWEEN ?1 AND ?2 ORDER BY place LIMIT 1 OFFSET ?3",
        )?
        .query_row([range.first, range.last, many], |row| row.get(0))?;
    conn.prepare_cached(
        "DELETE FROM item_id WHERE node = ?1 AND id IN
         (SELECT id FROM item WHERE place >= ?2 AND place < ?3)",
    )?
    .execute([node, range.first, end])?;
    conn.prepare_cached("DELETE FROM item WHERE place >= ?1 AND place < ?2")?
        .execute([range.first, end])?;
    tally.count -= many;
    tally.retained = tally.retained.filter(|&seq| seq >= range.seq(end));
    Ok(())
}

/// Moves the items to the start of the node's range. At a thousand items a second this happens once a year.
fn renumber(conn: &Connection, node: i64, tally: Tally) -> Result<Tally, Fault> {
    let range = Range::of(node);
    let shift = oldest(conn, range)? - 1;
    conn.execute(
        "UPDATE item SET place = place - ?3, retained = retained - ?3 WHERE place BETWEEN ?1 AND ?2",
        [range.first, range.last, shift],
    )?;
    conn.execute(
        "UPDATE item_id SET seq = seq - ?2 WHERE node = ?1",
        [node, shift],
    )?;
    Ok(Tally {
        newest: tally.newest - shift,
        retained: tally.retained.map(|seq| seq - shift),
        ..tally
    })
}

fn oldest(conn: &Connection, range: Range) -> Result<i64, Fault> {
    let place: Option<i64> = conn
        .prepare_cached("SELECT min(place) FROM item WHERE place BETWEEN ?1 AND ?2")?
        .query_row([range.first, range.last], |row| row.get(0))?;
    Ok(place.map_or(1, |place| range.seq(place)))
}

const COLUMNS: &str = "place, id, publisher, published, class, media";

fn read(row: &Row<'_>, with_payload: bool) -> Result<Item, Fault> {
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
        published: super::time(row, 3)?,
        payload,
        class: Class::of_column(row.get(4)?)?,
    })
}

fn weight(item: &Item) -> usize {
    item.payload
        .as_ref()
        .map_or(0, |payload| payload.bytes.len())
}

/// The newest item.
pub(super) fn last(conn: &Connection, node: i64) -> Result<Option<Arc<Item>>, Fault> {
    let range = Range::of(node);
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, payload FROM item WHERE place BETWEEN ?1 AND ?2 ORDER BY place DESC LIMIT 1"
    ))?;
    let mut rows = statement.query([range.first, range.last])?;
    Ok(rows
        .next()?
        .map(|row| read(row, true))
        .transpose()?
        .map(Arc::new))
}

/// How many there are.
pub(super) fn count(conn: &Connection, node: i64) -> Result<u32, Fault> {
    Ok(small(Tally::read(conn, Range::of(node))?.count))
}

/// Bytes of all their payloads. SQLite knows a value's length without reading it.
pub(super) fn payload_bytes(conn: &Connection, node: i64) -> Result<u64, Fault> {
    let range = Range::of(node);
    let bytes: i64 = conn
        .prepare_cached(
            "SELECT coalesce(sum(length(payload)), 0) FROM item WHERE place BETWEEN ?1 AND ?2",
        )?
        .query_row([range.first, range.last], |row| row.get(0))?;
    Ok(bytes.cast_unsigned())
}

/// Those that exist, in the order asked; the first of them up to [`PAGE_BYTES_MAX`], since a short request can name much.
pub(super) fn by_id(conn: &Connection, node: i64, ids: &[ItemId]) -> Result<Vec<Arc<Item>>, Fault> {
    let range = Range::of(node);
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, payload FROM item WHERE place = ?1"
    ))?;
    let (mut items, mut bytes) = (Vec::new(), 0);
    for id in ids {
        if let Some(seq) = find(conn, node, id)? {
            let mut rows = statement.query([range.place(seq)])?;
            if let Some(row) = rows.next()? {
                let item = read(row, true)?;
                bytes += weight(&item);
                if bytes > PAGE_BYTES_MAX && !items.is_empty() {
                    break;
                }
                items.push(Arc::new(item));
            }
        }
    }
    Ok(items)
}

/// A page of the items, oldest first; without `page` the newest `max`. Never more than [`PAGE_BYTES_MAX`] of payload,
/// but for a single item that is larger.
pub(super) fn page(
    conn: &Connection,
    node: i64,
    max: u32,
    page: Option<&PageRequest>,
    with_payload: bool,
) -> Result<(Vec<Arc<Item>>, PageInfo), Fault> {
    let range = Range::of(node);
    let tally = Tally::read(conn, range)?;
    let mut info = PageInfo {
        count: small(tally.count),
        ..PageInfo::default()
    };
    let newest = PageRequest {
        before: Some("".into()),
        ..PageRequest::default()
    };
    let page = page.unwrap_or(&newest);
    let max = page.max.unwrap_or(max).min(max).min(LIST_ENTRIES_MAX);
    let bounds = bounds(conn, node, page)?;
    if max == 0 || tally.count == 0 {
        return Ok((Vec::new(), info));
    }
    let payload = if with_payload { "payload" } else { "NULL" };
    let order = if bounds.backwards { "DESC" } else { "ASC" };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, {payload} FROM item WHERE place BETWEEN ?1 AND ?2
         ORDER BY place {order} LIMIT ?3 OFFSET ?4"
    ))?;
    let mut rows = statement.query([bounds.first, bounds.last, max.into(), bounds.skip])?;
    let (mut items, mut bytes, mut first) = (Vec::new(), 0, None);
    while let Some(row) = rows.next()? {
        let item = read(row, with_payload)?;
        bytes += weight(&item);
        if bytes > PAGE_BYTES_MAX && !items.is_empty() {
            break;
        }
        if bounds.backwards || first.is_none() {
            first = Some(range.seq(row.get(0)?));
        }
        items.push(Arc::new(item));
    }
    if bounds.backwards {
        items.reverse();
    }
    info.first = items.first().map(|item| item.id.as_str().into());
    info.last = items.last().map(|item| item.id.as_str().into());
    info.index = match (first, page.index) {
        (Some(_), Some(index)) => Some(index), // XEP-0059 §2.6: the same as asked
        (Some(seq), None) => index_of(conn, range, tally, seq)?,
        (None, _) => None,
    };
    Ok((items, info))
}

struct Bounds {
    first: i64,
    last: i64,
    skip: i64,
    backwards: bool,
}

fn bounds(conn: &Connection, node: i64, page: &PageRequest) -> Result<Bounds, Fault> {
    let range = Range::of(node);
    let Range { first, last } = range;
    if let Some(index) = page.index {
        return Ok(Bounds {
            first,
            last,
            skip: index.into(),
            backwards: false,
        });
    }
    // An item's id says nothing of its place, and of removed ones nothing is remembered (XEP-0059 §2.4).
    let place = |id: &str| -> Result<i64, Fault> {
        let id = ItemId::parse(id).map_err(|_| Fault::NotFound)?;
        Ok(range.place(find(conn, node, &id)?.ok_or(Fault::NotFound)?))
    };
    let after = page.after.as_deref().filter(|id| !id.is_empty());
    let before = page.before.as_deref().filter(|id| !id.is_empty());
    Ok(Bounds {
        first: after.map_or(Ok(first), |id| Ok::<_, Fault>(place(id)? + 1))?,
        last: before.map_or(Ok(last), |id| Ok::<_, Fault>(place(id)? - 1))?,
        skip: 0,
        backwards: page.before.is_some() && page.after.is_none(),
    })
}

/// How many items are older. Where nothing was retracted it is plain from the numbers; else rows are counted from the
/// nearer end, up to a bound.
fn index_of(conn: &Connection, range: Range, tally: Tally, seq: i64) -> Result<Option<u32>, Fault> {
    let oldest = oldest(conn, range)?;
    if tally.newest - oldest + 1 == tally.count {
        return Ok(Some(small(seq - oldest)));
    }
    let count = |first: i64, last: i64| -> Result<Option<i64>, Fault> {
        let count: i64 = conn
            .prepare_cached(
                "SELECT count(*) FROM (SELECT 1 FROM item WHERE place BETWEEN ?1 AND ?2 LIMIT ?3)",
            )?
            .query_row([first, last, INDEX_SCAN_MAX + 1], |row| row.get(0))?;
        Ok((count <= INDEX_SCAN_MAX).then_some(count))
    };
    let place = range.place(seq);
    let index = if seq - oldest <= tally.newest - seq {
        count(range.first, place - 1)?
    } else {
        count(place, range.last)?.map(|rest| tally.count - rest)
    };
    Ok(index.map(small))
}

fn small(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The retained item of a node (S4).
#[cfg(test)]
pub(super) fn stored_retained(
    conn: &Connection,
    at: &NodeAddress,
) -> Result<Option<ItemId>, Fault> {
    let Some(node) = super::nodes::find(conn, at)? else {
        return Ok(None);
    };
    let range = Range::of(node);
    let Some(seq) = Tally::read(conn, range)?.retained else {
        return Ok(None);
    };
    let id: String = conn.query_row(
        "SELECT id FROM item WHERE place = ?1",
        [range.place(seq)],
        |row| row.get(0),
    )?;
    Ok(ItemId::parse(&id).ok())
}
