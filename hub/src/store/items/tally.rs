//! What the newest row of a node knows of all of them.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Fault, Range};

/// The tally of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    /// Number of the newest row; 0 without any.
    pub(super) newest: i64,
    /// When that was published, in microseconds.
    pub(super) published: i64,
    /// Rows, shown or not.
    pub(super) count: i64,
    /// Number of the retained item (S4).
    pub(super) retained: Option<i64>,
    /// Of a node that keeps more than it shows. `None`: it shows every row.
    pub(super) past: Option<Past>,
}

/// What is counted only where there is history: a node without it must not pay for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Past {
    /// Payload bytes of all rows.
    pub(super) bytes: i64,
    /// Rows that are shown.
    pub(super) shown: i64,
    /// Number of the oldest that is shown; without one, the number that comes after the newest. It never goes back.
    pub(super) first: i64,
    /// From this number on, times never go back: where a time stands can be found by halving.
    pub(super) ordered: i64,
}

impl Tally {
    const EMPTY: Self = Self {
        newest: 0,
        published: i64::MIN,
        count: 0,
        retained: None,
        past: None,
    };

    pub(super) fn read(conn: &Connection, range: Range) -> Result<Self, Fault> {
        let tally = conn
            .prepare_cached(
                "SELECT place, published, count, retained, bytes, shown, first, ordered FROM item
                 WHERE place BETWEEN ?1 AND ?2 ORDER BY place DESC LIMIT 1",
            )?
            .query_row([range.first, range.last], |row| {
                let shown: Option<i64> = row.get(5)?;
                Ok(Self {
                    newest: range.seq(row.get(0)?),
                    published: row.get(1)?,
                    count: row.get(2)?,
                    retained: row.get(3)?,
                    past: match shown {
                        Some(shown) => Some(Past {
                            bytes: row.get(4)?,
                            shown,
                            first: row.get(6)?,
                            ordered: row.get(7)?,
                        }),
                        None => None,
                    },
                })
            })
            .optional()?;
        Ok(tally.unwrap_or(Self::EMPTY))
    }

    /// After a change that appended nothing: the newest row may be another one now.
    pub(super) fn write(self, conn: &Connection, range: Range) -> Result<(), Fault> {
        let past = self.past;
        conn.prepare_cached(
            "UPDATE item SET count = ?3, retained = ?4, bytes = ?5, shown = ?6, first = ?7, ordered = ?8
             WHERE place = (SELECT max(place) FROM item WHERE place BETWEEN ?1 AND ?2)",
        )?
        .execute(params![
            range.first,
            range.last,
            self.count,
            self.retained,
            past.map(|past| past.bytes),
            past.map(|past| past.shown),
            past.map(|past| past.first),
            past.map(|past| past.ordered),
        ])?;
        Ok(())
    }

    /// Rows that are shown.
    pub(super) fn shown(&self) -> i64 {
        self.past.map_or(self.count, |past| past.shown)
    }

    /// Where the rows that are shown begin; some of those behind it may be hidden.
    pub(super) fn window(&self, range: Range) -> Range {
        match self.past {
            Some(past) => Range {
                first: range.place(past.first),
                ..range
            },
            None => range,
        }
    }

    /// The retained item is gone, if it was this one.
    pub(super) fn forget_retained(&mut self, is_gone: impl FnOnce(i64) -> bool) {
        if self.retained.is_some_and(is_gone) {
            self.retained = None;
        }
    }
}
