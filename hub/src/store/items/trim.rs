//! What leaves: the window that is shown, and the history behind it.
//!
//! Each row that goes was paid for by one that came, and nobody counts what stays. History goes in batches, so that the
//! page of the oldest rows is not written with each new one: a node may hold a sixteenth more than its bound of items,
//! at most [`BATCH_MAX`].

use leveret_engine::effect::Keep;
use rusqlite::Connection;

use super::{Fault, Past, Range, Tally};

/// Most rows that wait to be removed with the next batch.
const BATCH_MAX: i64 = 64;
/// Which part of a node's rows a batch is at most.
const BATCH_PART: i64 = 16;
/// Most rows of history that go at once: after a bound was narrowed the rest goes with later items, or with the sweeper.
pub(in crate::store) const REMOVED_MAX: i64 = 4_096;

/// Begins to count what a node with history must know, or ends it and removes what was behind the window.
pub(super) fn set_history(
    conn: &Connection,
    node: i64,
    tally: &mut Tally,
    is_kept: bool,
) -> Result<(), Fault> {
    let range = Range::of(node);
    match tally.past {
        None if is_kept => {
            let bytes = conn
                .prepare_cached(
                    "SELECT coalesce(sum(length(payload)), 0) FROM item WHERE place BETWEEN ?1 AND ?2",
                )?
                .query_row([range.first, range.last], |row| row.get(0))?;
            let first = match tally.count {
                0 => tally.newest + 1,
                _ => super::oldest(conn, range)?,
            };
            tally.past = Some(Past {
                bytes,
                shown: tally.count,
                first,
                // Of what came before nobody knows whether the clock went back.
                ordered: tally.newest,
            });
        }
        Some(past) if !is_kept => {
            conn.prepare_cached("DELETE FROM item WHERE place >= ?1 AND place < ?2")?
                .execute([range.first, range.place(past.first)])?;
            conn.prepare_cached(
                "DELETE FROM item WHERE place BETWEEN ?1 AND ?2 AND hidden IS NOT NULL",
            )?
            .execute([range.place(past.first), range.last])?;
            tally.count = past.shown;
            tally.past = None;
        }
        _ => {}
    }
    Ok(())
}

/// The oldest `many` that are shown leave the window; `many` is less than their number, one that is on its way in
/// included. Without history they are removed.
pub(super) fn leave_window(
    conn: &Connection,
    node: i64,
    tally: &mut Tally,
    many: i64,
) -> Result<(), Fault> {
    let range = Range::of(node);
    let window = tally.window(range);
    // Without an end it is the item on its way in that stays alone.
    let end = shown_after(conn, window, many)?.unwrap_or(range.place(tally.newest));
    forget_ids(conn, node, window.first, end)?;
    tally.forget_retained(|seq| seq < range.seq(end));
    match &mut tally.past {
        Some(past) => {
            past.shown -= many;
            past.first = range.seq(end);
        }
        None => {
            conn.prepare_cached("DELETE FROM item WHERE place >= ?1 AND place < ?2")?
                .execute([range.first, end])?;
            tally.count -= many;
        }
    }
    Ok(())
}

/// The place of the shown row that comes after `skip` others.
pub(super) fn shown_after(
    conn: &Connection,
    window: Range,
    skip: i64,
) -> Result<Option<i64>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT place FROM item WHERE place BETWEEN ?1 AND ?2 AND hidden IS NULL
         ORDER BY place LIMIT 1 OFFSET ?3",
    )?;
    let mut rows = statement.query([window.first, window.last, skip])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

/// Removes the entries of shown rows from `first` up to but without `end`.
fn forget_ids(conn: &Connection, node: i64, first: i64, end: i64) -> Result<(), Fault> {
    conn.prepare_cached(
        "DELETE FROM item_id WHERE node = ?1 AND id IN
         (SELECT id FROM item WHERE place >= ?2 AND place < ?3 AND hidden IS NULL)",
    )?
    .execute([node, first, end])?;
    Ok(())
}

/// Whether a batch is due with the item that comes, which the tally counts already.
pub(super) fn is_due(tally: &Tally, keep: &Keep) -> bool {
    if keep.unexpired.is_none() && tally.past.is_none() {
        return false;
    }
    let batch = (tally.count / BATCH_PART).clamp(1, BATCH_MAX);
    let too_large = |past: Past| {
        let most = keep.bytes.map_or(i64::MAX, super::super::signed);
        past.bytes > most.saturating_add(most / BATCH_PART)
    };
    tally.newest % batch == 0 || tally.past.is_some_and(too_large)
}

/// Removes the oldest rows as far as they are expired, or behind the window and beyond a bound. Looks at as many as it
/// removes, and one more. `coming`: the newest that the tally counts has no row yet.
pub(super) fn retire(
    conn: &Connection,
    node: i64,
    tally: &mut Tally,
    keep: &Keep,
) -> Result<(), Fault> {
    let range = Range::of(node);
    let window = tally.window(range);
    let most = |bound: Option<u64>| bound.map_or(i64::MAX, super::super::signed);
    let after = |time: Option<leveret_engine::time::Timestamp>| {
        time.map_or(i64::MIN, leveret_engine::time::Timestamp::micros)
    };
    let (items, bytes) = (i64::from(keep.history), most(keep.bytes));
    let (since, unexpired) = (after(keep.since), after(keep.unexpired));
    let mut statement = conn.prepare_cached(
        "SELECT place, published, length(payload), hidden FROM item WHERE place BETWEEN ?1 AND ?2
         ORDER BY place LIMIT ?3",
    )?;
    let mut rows = statement.query([range.first, range.last, REMOVED_MAX])?;
    let mut end = None;
    let mut left = *tally;
    while let Some(row) = rows.next()? {
        let (place, published): (i64, i64) = (row.get(0)?, row.get(1)?);
        let is_shown = place >= window.first && row.get::<_, Option<i64>>(3)?.is_none();
        let is_over = |past: Past| {
            place < window.first && (left.count > items || past.bytes > bytes || published < since)
        };
        if published >= unexpired && !left.past.is_some_and(is_over) {
            break;
        }
        left.count -= 1;
        if let Some(past) = &mut left.past {
            past.bytes -= row.get::<_, Option<i64>>(2)?.unwrap_or(0);
            past.shown -= i64::from(is_shown);
        }
        end = Some(place + 1);
    }
    drop(rows);
    let Some(end) = end else {
        return Ok(());
    };
    if end > window.first {
        forget_ids(conn, node, window.first, end)?;
    }
    conn.prepare_cached("DELETE FROM item WHERE place >= ?1 AND place < ?2")?
        .execute([range.first, end])?;
    left.forget_retained(|seq| seq < range.seq(end));
    if let Some(past) = &mut left.past
        && end > window.first
    {
        let rest = Range {
            first: end,
            ..range
        };
        let next = shown_after(conn, rest, 0)?.map(|place| range.seq(place));
        // Where no row is left that is shown: the one on its way in, or what comes after the newest.
        past.first = next.unwrap_or(tally.newest + 1 - past.shown);
    }
    *tally = left;
    Ok(())
}
