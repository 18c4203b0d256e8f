//! Pages, by the letter of XEP-0059.

use leveret_engine::command::{PageInfo, PageRequest};

/// Which entries are on the page, and what is said of it. `from` and `past`: how many entries come
/// before a key, and how many before or at it.
pub(super) fn cut(
    keys: &[&str],
    asked: &PageRequest,
    max: u32,
    from: impl Fn(&str) -> usize,
    past: impl Fn(&str) -> usize,
) -> (std::ops::Range<usize>, PageInfo) {
    let max = max as usize;
    let given = |key: &Option<Box<str>>| key.clone().filter(|key| !key.is_empty());
    let mut start = given(&asked.after).map_or(0, |key| past(&key));
    let mut end = given(&asked.before).map_or(keys.len(), |key| from(&key));
    if let Some(index) = asked.index {
        (start, end) = ((index as usize).min(keys.len()), keys.len());
    }
    end = end.max(start);
    if asked.index.is_none() && asked.before.is_some() && asked.after.is_none() {
        start = start.max(end.saturating_sub(max));
    } else {
        end = end.min(start.saturating_add(max));
    }
    let mut info = PageInfo {
        count: keys.len() as u32,
        ..PageInfo::default()
    };
    if start < end {
        info.first = Some(keys[start].into());
        info.last = Some(keys[end - 1].into());
        info.index = Some(start as u32);
    }
    (start..end, info)
}
