//! The items of a node, in order of publication.
//!
//! An item's place is its node's id and its number in the node (`seq`), so a node's items lie side by side and the newest
//! is one step from the end of its range. The newest item's row carries the node's [`Tally`]: how many items there are, and
//! which of them is the retained one (S4). So appending and trimming read one row, count nothing, and write no other page
//! than the one that the item goes to; the tallies of older rows are stale and never read. Whoever removes items without
//! appending one writes the tally to the row that is then the newest.
//!
//! A node with history keeps rows that it does not show: those behind the window of its newest items, which begins at
//! `first`, and within the window those that are `hidden`, replaced by a newer item of their id or retracted. Of the latter
//! only the payload goes: an archive has no holes (XEP-0313 §3.2). So history costs nothing but the row itself.
//!
//! `item_id` finds a shown item by its id. A node that shows one item has no entry there, so that its publish writes a
//! single page: a shown item without entry is always the oldest that is shown, since it was alone when it came.

mod archive;
mod page;
mod tally;
mod trim;

#[cfg(test)]
pub(super) use self::{archive::archive_id, trim::REMOVED_MAX};
pub(super) use self::{
    archive::{Wanted as ArchiveWanted, archive, ends},
    page::{Wanted as ItemsWanted, by_id, last, page},
};

use self::{
    tally::{Past, Tally},
    trim::{is_due, leave_window, retire, set_history, shown_after},
};

use leveret_engine::{
    effect::Keep,
    item::Item,
    node::{ItemId, NodeAddress},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{encode::Code as _, fault::Fault, owed};

/// Bits of a place that number the items of a node; the bits above are the node's id.
const SEQ_BITS: u32 = 35;
/// Largest number of an item. When a node comes there, its items are numbered anew.
pub(super) const SEQ_MAX: i64 = (1 << SEQ_BITS) - 1;
/// Largest id of a node.
pub(super) const NODE_ROW_MAX: i64 = (1 << (63 - SEQ_BITS)) - 1;

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

    /// One number may lie beyond the last: nothing is there, and it is within no range of this node.
    fn place(self, seq: i64) -> i64 {
        self.first + seq
    }

    fn seq(self, place: i64) -> i64 {
        place & SEQ_MAX
    }
}

/// Appends an item, replaces one of its id, and trims to `keep`.
pub(super) fn put(
    conn: &Connection,
    node: i64,
    item: &Item,
    retained: bool,
    keep: &Keep,
) -> Result<(), Fault> {
    if keep.shown == 0 {
        return remove_all(conn, node); // the new one is over too
    }
    let range = Range::of(node);
    let mut tally = Tally::read(conn, range)?;
    if tally.newest == SEQ_MAX {
        tally = renumber(conn, node, tally)?;
    }
    set_history(conn, node, &mut tally, keep.history > 0)?;
    let mut born = None;
    if let Some(former) = find(conn, node, &tally, &item.id)? {
        let place = range.place(former);
        born = Some(born_of(conn, place)?.unwrap_or(former));
        forget_id(conn, node, &item.id)?;
        // S11: a raise that is stored again is the same one, and is archived once.
        let is_the_same = is_of(conn, place, item)?;
        if tally.past.is_some() {
            hide(conn, range, &mut tally, former)?;
        }
        if tally.past.is_none() || is_the_same {
            delete(conn, range, &mut tally, former)?;
        }
    }
    let published = item.published.micros();
    let weight = payload_bytes(item);
    let (newest_before, published_before) = (tally.newest, tally.published);
    tally.newest += 1;
    tally.published = published;
    tally.count += 1;
    if retained {
        tally.retained = Some(tally.newest);
    }
    if let Some(past) = &mut tally.past {
        past.shown += 1;
        past.bytes += weight;
        if newest_before == 0 || published < published_before {
            past.ordered = tally.newest;
        }
    }
    let excess = tally.shown() - i64::from(keep.shown);
    if excess > 0 {
        leave_window(conn, node, &mut tally, excess)?;
    }
    if is_due(&tally, keep) {
        retire(conn, node, &mut tally, keep)?;
    }
    insert(conn, range, &tally, item, born)?;
    if keep.shown > 1 {
        conn.prepare_cached("INSERT INTO item_id (node, id, seq) VALUES (?1, ?2, ?3)")?
            .execute(params![node, item.id.as_str(), tally.newest])?;
    }
    Ok(())
}

fn insert(
    conn: &Connection,
    range: Range,
    tally: &Tally,
    item: &Item,
    born: Option<i64>,
) -> Result<(), Fault> {
    let Item {
        id,
        publisher,
        published,
        payload,
        class,
    } = item;
    let past = tally.past;
    conn.prepare_cached(
        "INSERT INTO item (place, count, retained, id, publisher, published, class, media, payload,
                           bytes, shown, first, ordered, born)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        range.place(tally.newest),
        tally.count,
        tally.retained,
        id.as_str(),
        publisher.as_str(),
        published.micros(),
        class.code(),
        payload.as_ref().map(|payload| payload.media.code()),
        payload.as_ref().map(|payload| &payload.bytes[..]),
        past.map(|past| past.bytes),
        past.map(|past| past.shown),
        past.map(|past| past.first),
        past.map(|past| past.ordered),
        born,
    ])?;
    Ok(())
}

fn payload_bytes(item: &Item) -> i64 {
    let bytes = item
        .payload
        .as_ref()
        .map_or(0, |payload| payload.bytes.len());
    super::signed(bytes as u64)
}

/// Removes shown items by id, and what is owed of them; how many there were, those included that were purged and still owed.
/// Where there is history, it keeps that they
/// were and when.
pub(super) fn remove(
    conn: &Connection,
    at: &NodeAddress,
    node: Option<i64>,
    ids: &[ItemId],
) -> Result<u32, Fault> {
    let mut found = Vec::new();
    if let Some(node) = node {
        let range = Range::of(node);
        let mut tally = Tally::read(conn, range)?;
        for id in ids {
            let Some(seq) = find(conn, node, &tally, id)? else {
                continue;
            };
            forget_id(conn, node, id)?;
            if tally.past.is_some() {
                empty(conn, range, &mut tally, seq)?;
                hide(conn, range, &mut tally, seq)?;
            } else {
                delete(conn, range, &mut tally, seq)?;
            }
            found.push(id);
        }
        if !found.is_empty() {
            tally.write(conn, range)?;
        }
    }
    let mut removed = u32::try_from(found.len()).unwrap_or(u32::MAX);
    for id in ids {
        let was_owed = owed::remove_item(conn, at, id)?;
        removed += u32::from(was_owed && !found.contains(&id));
    }
    Ok(removed)
}

/// Removes what `keep` does not keep.
pub(super) fn trim(conn: &Connection, node: i64, keep: &Keep) -> Result<(), Fault> {
    if keep.shown == 0 {
        return remove_all(conn, node);
    }
    let range = Range::of(node);
    let before = Tally::read(conn, range)?;
    let mut tally = before;
    if tally.count == 0 {
        return Ok(());
    }
    let excess = tally.shown() - i64::from(keep.shown);
    if excess > 0 || keep.history == 0 {
        set_history(conn, node, &mut tally, keep.history > 0)?;
    }
    if excess > 0 {
        leave_window(conn, node, &mut tally, excess)?;
    }
    retire(conn, node, &mut tally, keep)?;
    if tally != before {
        tally.write(conn, range)?;
    }
    Ok(())
}

/// Removes all, with the node or without.
pub(super) fn remove_all(conn: &Connection, node: i64) -> Result<(), Fault> {
    let range = Range::of(node);
    conn.prepare_cached("DELETE FROM item_id WHERE node = ?1")?
        .execute([node])?;
    conn.prepare_cached("DELETE FROM item WHERE place BETWEEN ?1 AND ?2")?
        .execute([range.first, range.last])?;
    Ok(())
}

/// The number of a shown item.
fn find(conn: &Connection, node: i64, tally: &Tally, id: &ItemId) -> Result<Option<i64>, Fault> {
    if tally.shown() == 0 {
        return Ok(None);
    }
    let entry = conn
        .prepare_cached("SELECT seq FROM item_id WHERE node = ?1 AND id = ?2")?
        .query_row(params![node, id.as_str()], |row| row.get(0))
        .optional()?;
    if entry.is_some() {
        return Ok(entry);
    }
    let range = Range::of(node);
    let window = tally.window(range);
    let oldest = conn
        .prepare_cached(
            "SELECT place, id = ?3 FROM item WHERE place BETWEEN ?1 AND ?2 ORDER BY place LIMIT 1",
        )?
        .query_row(params![window.first, window.last, id.as_str()], |row| {
            Ok((range.seq(row.get(0)?), row.get::<_, bool>(1)?))
        })
        .optional()?;
    Ok(oldest.and_then(|(seq, is_it)| is_it.then_some(seq)))
}

fn forget_id(conn: &Connection, node: i64, id: &ItemId) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM item_id WHERE node = ?1 AND id = ?2")?
        .execute(params![node, id.as_str()])?;
    Ok(())
}

fn delete(conn: &Connection, range: Range, tally: &mut Tally, seq: i64) -> Result<(), Fault> {
    let place = range.place(seq);
    if let Some(past) = &mut tally.past {
        past.bytes -= stored_bytes(conn, place)?;
    }
    conn.prepare_cached("DELETE FROM item WHERE place = ?1")?
        .execute([place])?;
    tally.count -= 1;
    tally.forget_retained(|retained| retained == seq);
    Ok(())
}

/// Shows a row no longer. That of the oldest shown one needs not be touched: the window begins after it.
fn hide(conn: &Connection, range: Range, tally: &mut Tally, seq: i64) -> Result<(), Fault> {
    tally.forget_retained(|retained| retained == seq);
    let newest = tally.newest;
    let Some(past) = &mut tally.past else {
        return Ok(());
    };
    past.shown -= 1;
    if seq > past.first {
        conn.prepare_cached("UPDATE item SET hidden = coalesce(hidden, 1) WHERE place = ?1")?
            .execute([range.place(seq)])?;
        return Ok(());
    }
    let rest = Range {
        first: range.place(seq + 1),
        ..range
    };
    past.first = shown_after(conn, rest, 0)?.map_or(newest + 1, |place| range.seq(place));
    Ok(())
}

/// Takes the payload of a retracted item, and leaves that it was.
fn empty(conn: &Connection, range: Range, tally: &mut Tally, seq: i64) -> Result<(), Fault> {
    let place = range.place(seq);
    let bytes = stored_bytes(conn, place)?;
    conn.prepare_cached(
        "UPDATE item SET media = NULL, payload = NULL, hidden = 2 WHERE place = ?1",
    )?
    .execute([place])?;
    if let Some(past) = &mut tally.past {
        past.bytes -= bytes;
    }
    Ok(())
}

fn stored_bytes(conn: &Connection, place: i64) -> Result<i64, Fault> {
    let bytes: Option<i64> = conn
        .prepare_cached("SELECT length(payload) FROM item WHERE place = ?1")?
        .query_row([place], |row| row.get(0))?;
    Ok(bytes.unwrap_or(0))
}

/// Whether the row is of the same publication.
fn is_of(conn: &Connection, place: i64, item: &Item) -> Result<bool, Fault> {
    Ok(conn
        .prepare_cached("SELECT published = ?2 AND publisher = ?3 FROM item WHERE place = ?1")?
        .query_row(
            params![place, item.published.micros(), item.publisher.as_str()],
            |row| row.get(0),
        )?)
}

/// Under which number an item's id came first.
fn born_of(conn: &Connection, place: i64) -> Result<Option<i64>, Fault> {
    Ok(conn
        .prepare_cached("SELECT born FROM item WHERE place = ?1")?
        .query_row([place], |row| row.get(0))?)
}

/// Moves the items to the start of the node's range. At a thousand items a second this happens once a year.
fn renumber(conn: &Connection, node: i64, tally: Tally) -> Result<Tally, Fault> {
    let range = Range::of(node);
    let shift = match tally.count {
        0 => tally.newest,
        _ => oldest(conn, range)? - 1,
    };
    conn.execute(
        "UPDATE item SET place = place - ?3, retained = retained - ?3, born = born - ?3 WHERE place BETWEEN ?1 AND ?2",
        [range.first, range.last, shift],
    )?;
    conn.execute(
        "UPDATE item_id SET seq = seq - ?2 WHERE node = ?1",
        [node, shift],
    )?;
    Ok(Tally {
        newest: tally.newest - shift,
        retained: tally.retained.map(|seq| seq - shift),
        past: tally.past.map(|past| Past {
            first: past.first - shift,
            ordered: past.ordered - shift,
            ..past
        }),
        ..tally
    })
}

fn oldest(conn: &Connection, range: Range) -> Result<i64, Fault> {
    let place: Option<i64> = conn
        .prepare_cached("SELECT min(place) FROM item WHERE place BETWEEN ?1 AND ?2")?
        .query_row([range.first, range.last], |row| row.get(0))?;
    Ok(place.map_or(1, |place| range.seq(place)))
}

/// How many are shown.
pub(super) fn count(conn: &Connection, node: i64) -> Result<u32, Fault> {
    Ok(small(Tally::read(conn, Range::of(node))?.shown()))
}

/// How many there are, those that are not shown too, and the bytes of their payloads. SQLite knows a value's length without
/// reading it.
pub(super) fn kept(conn: &Connection, node: i64) -> Result<(u64, u64), Fault> {
    let range = Range::of(node);
    let tally = Tally::read(conn, range)?;
    let bytes = match tally.past {
        Some(past) => past.bytes,
        None => conn
            .prepare_cached(
                "SELECT coalesce(sum(length(payload)), 0) FROM item WHERE place BETWEEN ?1 AND ?2",
            )?
            .query_row([range.first, range.last], |row| row.get(0))?,
    };
    Ok((tally.count.cast_unsigned(), bytes.cast_unsigned()))
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
