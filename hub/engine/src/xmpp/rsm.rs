//! Paging through results.
//!
//! Implements: XEP-0059 1.0 §2.1 to §2.7: limits, both directions, the count alone, jumping to an index.

use crate::{
    command::{PageInfo, PageRequest},
    refusal::{Reason, Refusal},
    xmpp::{
        namespace as ns,
        xml::{Element, Writer},
    },
};

/// The page that a request asks for, if there is a `<set/>` among the children of `holder`.
pub fn read_page(holder: Element<'_>) -> Result<Option<PageRequest>, Refusal> {
    let Some(set) = holder.child("set", ns::RSM) else {
        return Ok(None);
    };
    let number = |name| -> Result<Option<u32>, Refusal> {
        let Some(element) = set.child(name, ns::RSM) else {
            return Ok(None);
        };
        let number = element.text().trim_ascii().parse();
        number.map(Some).map_err(|_| Reason::BadRequest.into())
    };
    let key = |name| {
        set.child(name, ns::RSM)
            .map(|key| key.text().as_ref().into())
    };
    Ok(Some(PageRequest {
        max: number("max")?,
        after: key("after"),
        before: key("before"),
        index: number("index")?,
    }))
}

/// Writes where a page stands. §2.6: an empty page has a count and nothing else.
pub fn write_page(page: &PageInfo, w: &mut Writer<'_>) {
    let (first, last) = (page.first.as_deref(), page.last.as_deref());
    write_set(first, page.index, last, Some(page.count), w);
}

/// The same for a list whose length may not be known (§2.2).
pub fn write_set(
    first: Option<&str>,
    index: Option<u32>,
    last: Option<&str>,
    count: Option<u32>,
    w: &mut Writer<'_>,
) {
    w.open("set").attr("xmlns", ns::RSM);
    if let Some(first) = first {
        w.open("first");
        if let Some(index) = index {
            w.attr("index", &index.to_string());
        }
        w.text(first).close("first");
    }
    if let Some(last) = last {
        w.element("last", last);
    }
    if let Some(count) = count {
        w.element("count", &count.to_string());
    }
    w.close("set");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::xml::{Scope, Tree};

    fn read(set: &str) -> Result<Option<PageRequest>, Refusal> {
        let whole = format!("<query>{set}</query>");
        let (mut tree, scope) = (Tree::new(), Scope::client());
        read_page(tree.parse(whole.as_bytes(), &scope).unwrap())
    }

    #[test]
    fn s2_1_a_page_is_asked_for_by_size_and_place() {
        let set =
            "<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><after>a&amp;b</after></set>";
        let page = read(set).unwrap().unwrap();
        assert_eq!(page.max, Some(10));
        assert_eq!(page.after.as_deref(), Some("a&b"));
        assert_eq!(page.before, None);
        assert_eq!(read("").unwrap(), None);
    }

    #[test]
    fn s2_5_an_empty_before_asks_for_the_last_page() {
        let set = "<set xmlns='http://jabber.org/protocol/rsm'><before/></set>";
        assert_eq!(read(set).unwrap().unwrap().before.as_deref(), Some(""));
    }

    #[test]
    fn a_size_that_is_no_number_is_a_bad_request() {
        let set = "<set xmlns='http://jabber.org/protocol/rsm'><max>-1</max></set>";
        assert_eq!(read(set).unwrap_err().reason, Reason::BadRequest);
    }

    #[test]
    fn s2_6_an_empty_page_has_a_count_alone() {
        let mut out = Vec::new();
        write_page(&PageInfo::default(), &mut Writer::new(&mut out));
        assert_eq!(
            out,
            b"<set xmlns='http://jabber.org/protocol/rsm'><count>0</count></set>"
        );
    }
}
