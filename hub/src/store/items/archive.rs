//! A node's archive: all rows, shown or not, in the order in which they came (XEP-0313 §3.1).
//!
//! An entry's id is its number and a digest of what cannot be known beforehand, the microsecond of its publication among
//! it. So an id leads to its place without an index, is the same after a restart, and never names another item when the
//! numbers begin anew (XEP-0313 §6.2: never reused, §3: not predictable).

use std::sync::Arc;

use leveret_engine::{
    address::Jid,
    archive::{ArchiveEnd, ArchiveEntry, ArchiveFilter, ArchivePage},
    command::PageRequest,
    item::Item,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params, types::Value};
use sha2::{Digest as _, Sha256};

use super::{
    Fault, Range, SEQ_MAX, Tally,
    page::{INDEX_SCAN_MAX, micros, read, weight},
    small,
};

/// Most entries of one page.
const ENTRIES_MAX: u32 = 256;
/// Most payload bytes of one page, well below what a mailbox holds; a single larger item is a page of its own.
const BYTES_MAX: usize = 512 * 1024;
/// Bytes of the digest that go into an id.
const TAG_BYTES: usize = 9;
/// What `hidden` says of a retracted item; a replaced one is archived whole.
const RETRACTED: i64 = 2;

/// A page as asked.
pub(in crate::store) struct Wanted<'a> {
    pub(in crate::store) filter: &'a ArchiveFilter,
    pub(in crate::store) page: &'a PageRequest,
    pub(in crate::store) descending: bool,
    pub(in crate::store) since: Option<Timestamp>,
}

/// A page of what matches, in the order asked.
pub(in crate::store) fn archive(
    conn: &Connection,
    node: i64,
    wanted: &Wanted<'_>,
) -> Result<(Vec<ArchiveEntry>, ArchivePage), Fault> {
    let archive = Archive::of(conn, node, wanted.since)?;
    let filter = wanted.filter;
    let mut all = archive.span(filter)?;
    if !filter.ids.is_empty() {
        all.places = Some(archive.places_of(filter, &all)?);
    }
    let page = wanted.page;
    let given = |id: &Option<Box<str>>| -> Result<Option<i64>, Fault> {
        let id = id.as_deref().filter(|id| !id.is_empty());
        id.map(|id| archive.place_of(id)).transpose()
    };
    let (mut older, mut newer) = (given(&page.after)?, given(&page.before)?);
    if wanted.descending {
        (older, newer) = (newer, older);
    }
    if page.index.is_some() {
        (older, newer) = (None, None);
    }
    let mut part = all.clone();
    part.first = older.map_or(part.first, |place| part.first.max(place + 1));
    part.last = newer.map_or(part.last, |place| part.last.min(place - 1));
    let from_the_end = page.index.is_none() && page.before.is_some() && page.after.is_none();
    let backwards = from_the_end != wanted.descending;
    let max = page.max.unwrap_or(ENTRIES_MAX).min(ENTRIES_MAX) as usize;
    let skip = page.index.unwrap_or(0);
    let mut found = archive.read(&part, backwards, skip, max)?;
    if from_the_end {
        found.entries.reverse();
    }
    let count = archive.count(&all, all.first, all.last)?;
    let index = match found.entries.first() {
        None => None,
        Some(_) if page.index.is_some() => page.index,
        Some((place, _)) if wanted.descending => {
            archive.count(&all, place + 1, all.last)?.map(small)
        }
        Some((place, _)) => archive.count(&all, all.first, place - 1)?.map(small),
    };
    let entries: Vec<_> = found.entries.into_iter().map(|(_, entry)| entry).collect();
    let page = ArchivePage {
        first: entries.first().map(|entry| entry.id.clone()),
        last: entries.last().map(|entry| entry.id.clone()),
        index,
        count: count.map(small),
        complete: !found.more,
    };
    Ok((entries, page))
}

/// The first and the last entry, if there is any.
pub(in crate::store) fn ends(
    conn: &Connection,
    node: i64,
    since: Option<Timestamp>,
) -> Result<Option<(ArchiveEnd, ArchiveEnd)>, Fault> {
    let archive = Archive::of(conn, node, since)?;
    let all = archive.span(&ArchiveFilter::default())?;
    let end = |backwards| -> Result<Option<ArchiveEnd>, Fault> {
        let found = archive.read(&all, backwards, 0, 1)?.entries.pop();
        Ok(found.map(|(_, entry)| ArchiveEnd {
            id: entry.id,
            published: entry.item.published,
        }))
    };
    Ok(end(false)?.zip(end(true)?))
}

/// One node's rows.
struct Archive<'c> {
    conn: &'c Connection,
    range: Range,
    tally: Tally,
    since: Option<Timestamp>,
}

/// Rows that match, as far as places say it.
#[derive(Clone)]
struct Span {
    first: i64,
    last: i64,
    /// Times between which the rows must be; nothing where the places say it already.
    times: Option<(i64, i64)>,
    /// Publishers between which they must be.
    publishers: Option<(String, String)>,
    /// These places only, in order.
    places: Option<Vec<i64>>,
}

struct Found {
    /// In the order read, with their places.
    entries: Vec<(i64, ArchiveEntry)>,
    /// There are more in this direction.
    more: bool,
}

impl<'c> Archive<'c> {
    fn of(conn: &'c Connection, node: i64, since: Option<Timestamp>) -> Result<Self, Fault> {
        let range = Range::of(node);
        Ok(Self {
            conn,
            range,
            tally: Tally::read(conn, range)?,
            since,
        })
    }

    /// Where an entry lies. One that is not there, or never was, is refused as XEP-0313 §4.1.3 and §4.3.2 want it.
    fn place_of(&self, id: &str) -> Result<i64, Fault> {
        let seq = id.split('-').next().unwrap_or_default();
        let seq = i64::from_str_radix(seq, 16).map_err(|_| Fault::NotFound)?;
        if !(1..=SEQ_MAX).contains(&seq) {
            return Err(Fault::NotFound);
        }
        let place = self.range.place(seq);
        let found = self
            .conn
            .prepare_cached("SELECT id, publisher, published FROM item WHERE place = ?1")?
            .query_row([place], |row| {
                let published: i64 = row.get(2)?;
                let name: String = row.get(0)?;
                let publisher: String = row.get(1)?;
                Ok((archive_id(seq, published, &name, &publisher), published))
            })
            .optional()?;
        match found {
            Some((known, published)) if known == id && published >= micros(self.since) => Ok(place),
            _ => Err(Fault::NotFound),
        }
    }

    /// What the filter leaves, ids aside.
    fn span(&self, filter: &ArchiveFilter) -> Result<Span, Fault> {
        let given = |id: &Option<Box<str>>| -> Result<Option<i64>, Fault> {
            id.as_deref().map(|id| self.place_of(id)).transpose()
        };
        let mut span = Span {
            first: given(&filter.after)?.map_or(self.range.first, |place| place + 1),
            last: given(&filter.before)?.map_or(self.range.last, |place| place - 1),
            times: None,
            publishers: filter.publisher.as_ref().map(publishers),
            places: None,
        };
        let from = micros(self.since).max(micros(filter.start));
        let to = filter.end.map_or(i64::MAX, Timestamp::micros);
        if (from, to) == (i64::MIN, i64::MAX) {
            return Ok(span);
        }
        span.times = Some((from, to));
        let newest = self.range.place(self.tally.newest);
        if let Some(past) = self.tally.past {
            let ordered = self.range.place(past.ordered);
            let after = self.halve(ordered, newest, |published| published > to)?;
            span.last = span.last.min(after - 1);
            // What lies before is in no order, and is looked at row by row.
            let is_ordered = self.first_place()? >= ordered;
            if is_ordered {
                let start = self.halve(ordered, newest, |published| published >= from)?;
                span.first = span.first.max(start);
                span.times = None;
            }
        }
        Ok(span)
    }

    fn first_place(&self) -> Result<i64, Fault> {
        Ok(self.range.place(super::oldest(self.conn, self.range)?))
    }

    /// The least place from which on all times are `late`, between two places where times never go back.
    fn halve(&self, first: i64, last: i64, late: impl Fn(i64) -> bool) -> Result<i64, Fault> {
        let mut statement = self.conn.prepare_cached(
            "SELECT place, published FROM item WHERE place BETWEEN ?1 AND ?2 ORDER BY place LIMIT 1",
        )?;
        let (mut low, mut high) = (first, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let row = statement
                .query_row([middle, last], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get(1)?))
                })
                .optional()?;
            match row {
                Some((place, published)) if !late(published) => low = place + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The places of the ids asked for that match otherwise, in order. An id that is not there is refused.
    fn places_of(&self, filter: &ArchiveFilter, span: &Span) -> Result<Vec<i64>, Fault> {
        let mut places = Vec::with_capacity(filter.ids.len());
        for id in &filter.ids {
            places.push(self.place_of(id)?);
        }
        places.sort_unstable();
        places.dedup();
        let mut matching = Vec::with_capacity(places.len());
        for place in places {
            if self.count(span, place, place)? == Some(1) {
                matching.push(place);
            }
        }
        Ok(matching)
    }

    /// How many rows of the span lie between two places. Where no row is missing it is plain from the numbers; else rows
    /// are counted, up to a bound.
    fn count(&self, span: &Span, first: i64, last: i64) -> Result<Option<i64>, Fault> {
        let (first, last) = (first.max(span.first), last.min(span.last));
        if let Some(places) = &span.places {
            let within = places.iter().filter(|place| (first..=last).contains(place));
            return Ok(Some(super::super::signed(within.count() as u64)));
        }
        if span.times.is_none() && span.publishers.is_none() {
            let (oldest, newest) = (self.first_place()?, self.range.place(self.tally.newest));
            if newest - oldest + 1 == self.tally.count {
                return Ok(Some((last.min(newest) - first.max(oldest) + 1).max(0)));
            }
        }
        let (from, to) = span.times();
        let (least, end) = span.publishers();
        let count: i64 = self
            .conn
            .prepare_cached(
                "SELECT count(*) FROM (SELECT 1 FROM item WHERE place BETWEEN ?1 AND ?2
                 AND published BETWEEN ?3 AND ?4 AND publisher >= ?5 AND publisher < ?6 LIMIT ?7)",
            )?
            .query_row(
                params![first, last, from, to, least, end, INDEX_SCAN_MAX + 1],
                |row| row.get(0),
            )?;
        Ok((count <= INDEX_SCAN_MAX).then_some(count))
    }

    fn read(&self, span: &Span, backwards: bool, skip: u32, max: usize) -> Result<Found, Fault> {
        let mut found = Found {
            entries: Vec::new(),
            more: false,
        };
        let mut bytes = 0;
        let mut take = |row: &Row<'_>| -> Result<bool, Fault> {
            let item = read(row, true)?;
            bytes += weight(&item);
            found.more =
                found.entries.len() >= max || (bytes > BYTES_MAX && !found.entries.is_empty());
            if !found.more {
                let place: i64 = row.get(0)?;
                let is_retracted = row.get::<_, Option<i64>>(7)? == Some(RETRACTED);
                found
                    .entries
                    .push((place, entry(self.range.seq(place), item, is_retracted)));
            }
            Ok(found.more)
        };
        if let Some(places) = &span.places {
            let mut statement = self.conn.prepare_cached(
                "SELECT place, id, publisher, published, class, media, payload, hidden FROM item WHERE place = ?1",
            )?;
            let mut places: Vec<i64> = places.clone();
            if backwards {
                places.reverse();
            }
            let within = places
                .into_iter()
                .filter(|place| (span.first..=span.last).contains(place))
                .skip(skip as usize);
            for place in within {
                let mut rows = statement.query([place])?;
                if let Some(row) = rows.next()?
                    && take(row)?
                {
                    break;
                }
            }
            return Ok(found);
        }
        let order = if backwards { "DESC" } else { "ASC" };
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT place, id, publisher, published, class, media, payload, hidden FROM item
             WHERE place BETWEEN ?1 AND ?2 AND published BETWEEN ?3 AND ?4 AND publisher >= ?5 AND publisher < ?6
             ORDER BY place {order} LIMIT ?7 OFFSET ?8"
        ))?;
        let (from, to) = span.times();
        let (least, end) = span.publishers();
        let mut rows = statement.query(params![
            span.first,
            span.last,
            from,
            to,
            least,
            end,
            max.cast_signed() as i64 + 1,
            skip
        ])?;
        while let Some(row) = rows.next()? {
            if take(row)? {
                break;
            }
        }
        Ok(found)
    }
}

impl Span {
    fn times(&self) -> (i64, i64) {
        self.times.unwrap_or((i64::MIN, i64::MAX))
    }

    /// For a statement. A blob is greater than every text.
    fn publishers(&self) -> (Value, Value) {
        match &self.publishers {
            Some((least, end)) => (Value::Text(least.clone()), Value::Text(end.clone())),
            None => (Value::Text(String::new()), Value::Blob(Vec::new())),
        }
    }
}

/// The full addresses that an address matches: itself, or all of a bare one (XEP-0313 §4.1.1).
fn publishers(jid: &Jid) -> (String, String) {
    if jid.is_bare() {
        // What comes right after the slash is a zero.
        (format!("{jid}/"), format!("{jid}0"))
    } else {
        (jid.to_string(), format!("{jid}\0"))
    }
}

fn entry(seq: i64, item: Item, retracted: bool) -> ArchiveEntry {
    ArchiveEntry {
        id: archive_id(
            seq,
            item.published.micros(),
            item.id.as_str(),
            item.publisher.as_str(),
        )
        .into(),
        retracted,
        item: Arc::new(item),
    }
}

pub(in crate::store) fn archive_id(seq: i64, published: i64, id: &str, publisher: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    // Neither an id nor an address holds a NUL.
    let digest = Sha256::new()
        .chain_update(seq.to_be_bytes())
        .chain_update(published.to_be_bytes())
        .chain_update(id)
        .chain_update([0])
        .chain_update(publisher)
        .finalize();
    format!("{seq:x}-{}", URL_SAFE_NO_PAD.encode(&digest[..TAG_BYTES]))
}
