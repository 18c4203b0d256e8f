//! The items of a node, said plainly: a list of all that were published, each with what became of it.

use std::sync::Arc;

use leveret_engine::{
    archive::{ArchiveEnd, ArchiveEntry, ArchiveFilter, ArchivePage},
    command::{PageInfo, PageRequest},
    effect::Keep,
    item::{Item, Order, OrderBy},
    node::ItemId,
    time::Timestamp,
};

use super::{NotFound, page::cut};
use crate::store::items::archive_id;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Shown,
    /// It left the window.
    Behind,
    Replaced,
    Retracted,
}

#[derive(Clone)]
struct Row {
    seq: i64,
    /// Under which number its id came first.
    born: i64,
    item: Arc<Item>,
    state: State,
}

/// Oldest first.
#[derive(Clone, Default)]
pub(super) struct Items {
    rows: Vec<Row>,
    retained: Option<i64>,
    /// What leaves the window stays.
    has_past: bool,
}

fn weight(item: &Item) -> u64 {
    item.payload
        .as_ref()
        .map_or(0, |payload| payload.bytes.len()) as u64
}

fn is_since(row: &Row, since: Option<Timestamp>) -> bool {
    since.is_none_or(|since| row.item.published >= since)
}

impl Row {
    fn archive_id(&self) -> String {
        let Item {
            id,
            publisher,
            published,
            ..
        } = &*self.item;
        archive_id(
            self.seq,
            published.micros(),
            id.as_str(),
            publisher.as_str(),
        )
    }
}

impl Items {
    pub(super) fn retained(&self) -> Option<ItemId> {
        let row = self
            .rows
            .iter()
            .find(|row| Some(row.seq) == self.retained)?;
        Some(row.item.id.clone())
    }

    fn shown(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows.iter().filter(|row| row.state == State::Shown)
    }

    pub(super) fn last(&self) -> Option<Arc<Item>> {
        self.shown().next_back().map(|row| Arc::clone(&row.item))
    }

    /// Whether times never go back among those that are shown.
    pub(super) fn are_in_order(&self) -> bool {
        self.shown().is_sorted_by_key(|row| row.item.published)
    }

    pub(super) fn archive_ids(&self) -> Vec<String> {
        self.rows.iter().map(Row::archive_id).collect()
    }

    /// Items shown, items kept, payload bytes.
    pub(super) fn counts(&self) -> (u32, u64, u64) {
        let bytes = self.rows.iter().map(|row| weight(&row.item)).sum();
        (self.shown().count() as u32, self.rows.len() as u64, bytes)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn tidy(&mut self) {
        let rows = &self.rows;
        self.retained.take_if(|seq| {
            let row = rows.iter().find(|row| row.seq == *seq);
            row.is_none_or(|row| row.state != State::Shown)
        });
        if rows.is_empty() {
            self.clear();
        }
    }

    fn set_history(&mut self, is_kept: bool) {
        if self.has_past && !is_kept {
            self.rows.retain(|row| row.state == State::Shown);
        }
        self.has_past = is_kept;
    }

    fn leave_window(&mut self, keep: &Keep) {
        while self.shown().count() > keep.shown as usize {
            let oldest = self.rows.iter().position(|row| row.state == State::Shown);
            let Some(oldest) = oldest else { return };
            if self.has_past {
                self.rows[oldest].state = State::Behind;
            } else {
                self.rows.remove(oldest);
            }
        }
    }

    /// Removes from the front what has no right to stay; the last `spared` are not looked at.
    fn retire(&mut self, keep: &Keep, spared: usize) {
        let first = self.rows.iter().position(|row| row.state == State::Shown);
        let first = first.unwrap_or(self.rows.len());
        let mut gone = 0;
        while gone + spared < self.rows.len() {
            let row = &self.rows[gone];
            let left = &self.rows[gone..];
            let bytes: u64 = left.iter().map(|row| weight(&row.item)).sum();
            let is_over = self.has_past
                && gone < first
                && (left.len() > keep.history as usize
                    || keep.bytes.is_some_and(|most| bytes > most)
                    || !is_since(row, keep.since));
            if is_since(row, keep.unexpired) && !is_over {
                break;
            }
            gone += 1;
        }
        self.rows.drain(..gone);
    }

    pub(super) fn put(&mut self, item: Arc<Item>, retained: bool, keep: &Keep) {
        if keep.shown == 0 {
            return self.clear();
        }
        let seq = self.rows.last().map_or(0, |row| row.seq) + 1;
        self.set_history(keep.history > 0);
        let mut born = seq;
        let is_former = |row: &Row| row.state == State::Shown && row.item.id == item.id;
        if let Some(former) = self.rows.iter().position(is_former) {
            let row = &mut self.rows[former];
            born = row.born;
            let same =
                (&row.item.published, &row.item.publisher) == (&item.published, &item.publisher);
            if self.has_past && !same {
                row.state = State::Replaced;
            } else {
                self.rows.remove(former);
            }
        }
        if retained {
            self.retained = Some(seq);
        }
        self.rows.push(Row {
            seq,
            born,
            item,
            state: State::Shown,
        });
        self.leave_window(keep);
        let count = self.rows.len() as i64;
        let bytes: u64 = self.rows.iter().map(|row| weight(&row.item)).sum();
        let is_large = keep.bytes.is_some_and(|most| bytes > most + most / 16);
        let is_bound = self.has_past || keep.unexpired.is_some();
        if is_bound && (seq % (count / 16).clamp(1, 64) == 0 || (self.has_past && is_large)) {
            self.retire(keep, 1);
        }
        self.tidy();
    }

    pub(super) fn remove(&mut self, ids: &[ItemId]) -> usize {
        let mut removed = 0;
        for id in ids {
            let is_it = |row: &Row| row.state == State::Shown && row.item.id == *id;
            let Some(place) = self.rows.iter().position(is_it) else {
                continue;
            };
            removed += 1;
            if self.has_past {
                let row = &mut self.rows[place];
                row.state = State::Retracted;
                Arc::make_mut(&mut row.item).payload = None;
            } else {
                self.rows.remove(place);
            }
        }
        self.tidy();
        removed
    }

    pub(super) fn trim(&mut self, keep: &Keep) {
        if keep.shown == 0 {
            return self.clear();
        }
        if self.rows.is_empty() {
            return;
        }
        if self.shown().count() > keep.shown as usize || keep.history == 0 {
            self.set_history(keep.history > 0);
        }
        self.leave_window(keep);
        self.retire(keep, 0);
        self.tidy();
    }

    pub(super) fn by_id(&self, ids: &[ItemId], since: Option<Timestamp>) -> (Vec<Arc<Item>>, u32) {
        let found = ids
            .iter()
            .filter_map(|id| self.shown().find(|row| row.item.id == *id));
        let found = found.filter(|row| is_since(row, since));
        let items = found.map(|row| Arc::clone(&row.item)).collect();
        (items, self.shown().count() as u32)
    }

    pub(super) fn page(
        &self,
        max: u32,
        page: Option<&PageRequest>,
        order: Order,
        since: Option<Timestamp>,
        with_payload: bool,
    ) -> Result<(Vec<Arc<Item>>, PageInfo), NotFound> {
        let mut all: Vec<_> = self.shown().filter(|row| is_since(row, since)).collect();
        if order.by == OrderBy::Creation {
            all.sort_by_key(|row| row.born);
        }
        if order.descending {
            all.reverse();
        }
        let newest = match order.descending {
            true => PageRequest::default(),
            false => PageRequest {
                before: Some("".into()),
                ..PageRequest::default()
            },
        };
        let asked = page.unwrap_or(&newest);
        let keys: Vec<_> = all.iter().map(|row| row.item.id.as_str()).collect();
        for key in [&asked.after, &asked.before].into_iter().flatten() {
            let is_known = key.is_empty() || keys.contains(&&**key);
            if !is_known && asked.index.is_none() {
                return Err(NotFound);
            }
        }
        let place = |key: &str| keys.iter().position(|other| *other == key).unwrap_or(0);
        let max = asked.max.unwrap_or(max).min(max);
        let (range, page) = cut(&keys, asked, max, |key| place(key), |key| place(key) + 1);
        let shown = |row: &&Row| match with_payload {
            true => Arc::clone(&row.item),
            false => Arc::new(Item {
                payload: None,
                ..(*row.item).clone()
            }),
        };
        Ok((all[range].iter().map(shown).collect(), page))
    }

    fn seq_of(&self, id: &str, since: Option<Timestamp>) -> Result<i64, NotFound> {
        let mut rows = self.rows.iter().filter(|row| is_since(row, since));
        let row = rows.find(|row| row.archive_id() == id).ok_or(NotFound)?;
        Ok(row.seq)
    }

    pub(super) fn archive(
        &self,
        filter: &ArchiveFilter,
        page: &PageRequest,
        descending: bool,
        since: Option<Timestamp>,
    ) -> Result<(Vec<ArchiveEntry>, ArchivePage), NotFound> {
        let given = |id: &Option<Box<str>>| -> Result<Option<i64>, NotFound> {
            let id = id.as_deref().filter(|id| !id.is_empty());
            id.map(|id| self.seq_of(id, since)).transpose()
        };
        let (after, before) = (given(&filter.after)?, given(&filter.before)?);
        let ids = filter.ids.iter().map(|id| self.seq_of(id, since));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        let (page_after, page_before) = (given(&page.after)?, given(&page.before)?);
        let matches = |row: &&Row| {
            let by = |jid: &leveret_engine::address::Jid| {
                row.item.publisher.as_jid() == jid || row.item.publisher.bare().as_jid() == jid
            };
            is_since(row, since)
                && is_since(row, filter.start)
                && filter.end.is_none_or(|end| row.item.published <= end)
                && filter.publisher.as_ref().is_none_or(by)
                && after.is_none_or(|seq| row.seq > seq)
                && before.is_none_or(|seq| row.seq < seq)
                && (ids.is_empty() || ids.contains(&row.seq))
        };
        let mut all: Vec<_> = self.rows.iter().filter(matches).collect();
        if descending {
            all.reverse();
        }
        let order = |seq: i64| if descending { -seq } else { seq };
        let from = |seq: i64| all.iter().filter(|row| order(row.seq) < order(seq)).count();
        let past = |seq: i64| {
            all.iter()
                .filter(|row| order(row.seq) <= order(seq))
                .count()
        };
        let names: Vec<_> = all.iter().map(|row| row.archive_id()).collect();
        let keys: Vec<_> = names.iter().map(String::as_str).collect();
        let max = page.max.unwrap_or(256).min(256);
        let (range, info) = cut(
            &keys,
            page,
            max,
            |_| page_before.map_or(0, from),
            |_| page_after.map_or(0, past),
        );
        // What the page could have held, had it been larger.
        let larger = PageRequest {
            max: Some(u32::MAX),
            ..page.clone()
        };
        let (whole, _) = cut(
            &keys,
            &larger,
            u32::MAX,
            |_| page_before.map_or(0, from),
            |_| page_after.map_or(0, past),
        );
        let entries = all[range.clone()].iter().map(|row| ArchiveEntry {
            id: row.archive_id().into(),
            item: Arc::clone(&row.item),
            retracted: row.state == State::Retracted,
        });
        let page = ArchivePage {
            first: info.first,
            last: info.last,
            index: info.index,
            count: Some(info.count),
            complete: range.len() == whole.len(),
        };
        Ok((entries.collect(), page))
    }

    pub(super) fn ends(&self, since: Option<Timestamp>) -> Option<(ArchiveEnd, ArchiveEnd)> {
        let mut rows = self.rows.iter().filter(|row| is_since(row, since));
        let end = |row: &Row| ArchiveEnd {
            id: row.archive_id().into(),
            published: row.item.published,
        };
        let first = rows.next()?;
        Some((end(first), end(rows.next_back().unwrap_or(first))))
    }
}
