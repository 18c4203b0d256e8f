//! Names of nodes in the order of their bytes, in pages (XEP-0059).

use leveret_engine::{
    address::BareJid,
    command::{PageInfo, PageRequest},
    item::NodeConfig,
    node::NodeId,
};
use rusqlite::{Connection, params, types::Value};

use super::{LIST_ENTRIES_MAX, encode::Encoded as _, fault::Fault};

/// Names are counted up to here; in a longer list the count of a page is this one, which XEP-0059 §2.2 allows. Each page
/// counts twice, so who reads a million names page by page pays for it a thousand times.
pub(super) const NAMES_COUNTED_MAX: i64 = 10_000;
/// A page may begin at this index at most: names are passed one by one on the way to it.
const NAMES_SKIPPED_MAX: i64 = 100_000;

/// A node's name and title.
pub(super) type Named = (NodeId, Box<str>);

/// Names from `from` up to but without `to`, in the order of their bytes.
#[derive(Clone)]
struct Span {
    from: String,
    /// `None`: to the end.
    to: Option<String>,
}

impl Span {
    /// `under` itself and what is below it. Between the two lie names like `a-b` and `a.b`, which are neither: `-` and `.`
    /// come before `/`. What comes right after `a/…` is `a0`.
    fn all_under(under: Option<&NodeId>) -> Vec<Self> {
        match under.map(NodeId::as_str) {
            None => vec![Self {
                from: String::new(),
                to: None,
            }],
            Some(name) => vec![
                Self {
                    from: name.into(),
                    to: Some(follower(name)),
                },
                Self {
                    from: format!("{name}/"),
                    to: Some(format!("{name}0")),
                },
            ],
        }
    }

    fn after(mut self, name: &str) -> Self {
        self.from = self.from.max(follower(name));
        self
    }

    fn before(mut self, name: &str) -> Self {
        self.to = Some(self.to.map_or(name.into(), |to| to.min(name.into())));
        self
    }

    /// For a statement. A blob is greater than every text.
    fn to_value(&self) -> Value {
        self.to.clone().map_or(Value::Blob(Vec::new()), Value::Text)
    }

    fn count(&self, conn: &Connection, host: &str) -> Result<i64, Fault> {
        Ok(conn
            .prepare_cached(
                "SELECT count(*) FROM (SELECT 1 FROM node WHERE host = ?1 AND name >= ?2 AND name < ?3 LIMIT ?4)",
            )?
            .query_row(params![host, self.from, self.to_value(), NAMES_COUNTED_MAX], |row| row.get(0))?)
    }

    fn read(
        &self,
        conn: &Connection,
        host: &str,
        backwards: bool,
        max: usize,
        skip: i64,
    ) -> Result<Vec<Named>, Fault> {
        let order = if backwards { "DESC" } else { "ASC" };
        let mut statement = conn.prepare_cached(&format!(
            "SELECT name, config FROM node WHERE host = ?1 AND name >= ?2 AND name < ?3
             ORDER BY name {order} LIMIT ?4 OFFSET ?5"
        ))?;
        let mut rows = statement.query(params![
            host,
            self.from,
            self.to_value(),
            max.cast_signed(),
            skip
        ])?;
        super::collect(&mut rows, |row| {
            let config = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            Ok((super::node_id(row, 0)?, NodeConfig::decode(config)?.title))
        })
    }
}

/// The least text that is greater than `name`: names hold no control characters, so nothing lies between.
pub(super) fn follower(name: &str) -> String {
    format!("{name}\0")
}

/// A page of names with their titles. A name says where it stands, whether its node is still there or not: pages go on
/// (XEP-0059 §2.4 asks for an error only where that cannot be known).
pub(super) fn page(
    conn: &Connection,
    host: Option<&BareJid>,
    under: Option<&NodeId>,
    page: &PageRequest,
) -> Result<(Vec<Named>, PageInfo), Fault> {
    let host = host.map_or("", BareJid::as_str);
    let all = Span::all_under(under);
    let count = |spans: &[Span]| -> Result<i64, Fault> {
        let count = spans
            .iter()
            .map(|span| span.count(conn, host))
            .sum::<Result<i64, Fault>>()?;
        Ok(count.min(NAMES_COUNTED_MAX))
    };
    let total = count(&all)?;
    let mut info = PageInfo {
        count: total as u32,
        ..PageInfo::default()
    };
    let max = page.max.unwrap_or(LIST_ENTRIES_MAX).min(LIST_ENTRIES_MAX) as usize;
    let mut skip = page.index.map_or(0, i64::from);
    let past = skip >= total && total < NAMES_COUNTED_MAX || skip >= NAMES_SKIPPED_MAX;
    if max == 0 || past {
        return Ok((Vec::new(), info));
    }
    let given = |name: &Option<Box<str>>| {
        name.clone()
            .filter(|name| !name.is_empty() && page.index.is_none())
    };
    let mut spans = all.clone();
    if let Some(after) = given(&page.after) {
        spans = spans.into_iter().map(|span| span.after(&after)).collect();
    }
    if let Some(before) = given(&page.before) {
        spans = spans.into_iter().map(|span| span.before(&before)).collect();
    }
    let backwards = page.before.is_some() && page.after.is_none() && page.index.is_none();
    if backwards {
        spans.reverse();
    }
    let mut list = Vec::new();
    for span in &spans {
        if skip > 0 {
            let many = span.count(conn, host)?;
            if skip >= many && many < NAMES_COUNTED_MAX {
                skip -= many;
                continue;
            }
        }
        list.extend(span.read(conn, host, backwards, max - list.len(), skip)?);
        skip = 0;
        if list.len() >= max {
            break;
        }
    }
    if backwards {
        list.reverse();
    }
    if let (Some((first, _)), Some((last, _))) = (list.first(), list.last()) {
        let older: Vec<_> = all
            .into_iter()
            .map(|span| span.before(first.as_str()))
            .collect();
        let index = count(&older)?;
        info.index = (index < NAMES_COUNTED_MAX).then_some(index as u32);
        info.first = Some(first.as_str().into());
        info.last = Some(last.as_str().into());
    }
    Ok((list, info))
}
