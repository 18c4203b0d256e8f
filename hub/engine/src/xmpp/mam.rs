//! Archives on the wire, whoever's they are: queries in; entries, the end of a page and meta-data out.
//!
//! Implements: XEP-0313 1.1.3 §4, §5, §7 (`urn:xmpp:mam:2#extended`); XEP-0297 1.0 §3 for what is forwarded; XEP-0413 0.2.1
//! §4.3; XEP-0122 1.0.2 §3.2.2 for the field `ids`. Not: `include-groupchat` (§4.1.4): there are no rooms.

use crate::{
    address::Jid,
    archive::{ArchiveEnd, ArchiveFilter, ArchivePage},
    command::{ArchiveRequest, Field},
    message::IqKind,
    refusal::{Reason, Refusal},
    time::Timestamp,
    xmpp::{
        data_form::{FormWriter, Purpose, Submitted},
        namespace as ns,
        order::read_order,
        rsm::{read_page, write_set},
        xml::{Element, Writer},
    },
};

/// What is asked of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// §4.1.5: which fields a query may have.
    Form,
    /// §4.
    Query(Box<ArchiveRequest>),
    /// §5.
    MetaData,
}

/// Reads a `<query/>` or `<metadata/>`.
pub fn read(child: Element<'_>, kind: IqKind) -> Result<Asked, Refusal> {
    match (child.name(), kind) {
        ("query", IqKind::Get) => Ok(Asked::Form),
        ("query", IqKind::Set) => query(child).map(Box::new).map(Asked::Query),
        ("metadata", IqKind::Get) => Ok(Asked::MetaData),
        _ => Err(Reason::BadRequest.into()),
    }
}

fn query(query: Element<'_>) -> Result<ArchiveRequest, Refusal> {
    let filter = match query.child("x", ns::DATA_FORM) {
        Some(form) => filter(Submitted::read(form)?)?,
        None => ArchiveFilter::default(),
    };
    Ok(ArchiveRequest {
        reference: query.attr("queryid").map(Into::into),
        filter,
        page: read_page(query)?.unwrap_or_default(),
        // In an archive nothing is overwritten: what is created last is modified last.
        descending: read_order(query)?.is_some_and(|order| order.descending),
        flipped: query.child("flip-page", ns::MAM).is_some(),
    })
}

fn filter(form: Submitted) -> Result<ArchiveFilter, Refusal> {
    // §4.1: the FORM_TYPE must be there.
    if form.form_type.as_deref() != Some(ns::MAM) {
        return Err(Refusal::new(Reason::BadRequest).say("the form is of another type"));
    }
    let mut filter = ArchiveFilter::default();
    for field in &form.fields {
        match &*field.var {
            "start" => filter.start = time(field)?,
            // Shown are milliseconds, so those of this one are all of this time.
            "end" => filter.end = time(field)?.map(end_of_millisecond),
            "with" => {
                filter.publisher = match one(field)? {
                    Some(jid) => Some(Jid::parse(jid).map_err(|_| {
                        Refusal::new(Reason::JidMalformed).say("'with' is not an address")
                    })?),
                    None => None,
                }
            }
            "after-id" => filter.after = one(field)?.map(Into::into),
            "before-id" => filter.before = one(field)?.map(Into::into),
            "ids" => filter.ids.extend(field.values.iter().cloned()),
            // §4.1.5: a field that is not known.
            _ => {
                return Err(Refusal::new(Reason::FeatureNotImplemented)
                    .say(format!("{} is no field of a query here", field.var)));
            }
        }
    }
    Ok(filter)
}

fn one(field: &Field) -> Result<Option<&str>, Refusal> {
    match field.values.as_slice() {
        [] => Ok(None),
        [value] => Ok(Some(&**value).filter(|value| !value.is_empty())),
        _ => Err(wrong(field, "one value")),
    }
}

fn time(field: &Field) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = one(field)? else {
        return Ok(None);
    };
    let time = Timestamp::parse(text.trim_ascii());
    time.map(Some)
        .ok_or_else(|| wrong(field, "a time such as 2026-11-22T21:28:51Z"))
}

fn wrong(field: &Field, wanted: &str) -> Refusal {
    Refusal::new(Reason::BadRequest).say(format!("{} is {wanted}", field.var))
}

fn end_of_millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.micros().div_euclid(1_000) * 1_000 + 999)
}

/// Writes the form that a query may fill in (§4.1.5). Nothing in it is required.
pub fn write_form(w: &mut Writer<'_>) {
    w.open("query").attr("xmlns", ns::MAM);
    let mut form = FormWriter::begin(w, Purpose::Form, ns::MAM);
    for (var, kind, label) in [
        ("with", "jid-single", "From whom"),
        ("start", "text-single", "Not before this time"),
        ("end", "text-single", "Not after this time"),
        ("before-id", "text-single", "Before this entry"),
        ("after-id", "text-single", "After this entry"),
    ] {
        form.field(var, kind, Some(label), []);
    }
    // The list of all is open: its values are not given.
    form.open_list("ids", "Only these entries");
    form.end();
    w.close("query");
}

/// Writes the message that brings one entry (§4.2); `stanza` writes what was archived, if it still is.
pub fn write_result(
    envelope: &Envelope<'_>,
    id: &str,
    at: Timestamp,
    w: &mut Writer<'_>,
    stanza: impl FnOnce(&mut Writer<'_>),
) {
    w.open("message").attr("to", envelope.to);
    w.attr_opt("from", envelope.from);
    w.open("result").attr("xmlns", ns::MAM);
    w.attr_opt("queryid", envelope.reference).attr("id", id);
    w.open("forwarded").attr("xmlns", ns::FORWARD);
    w.open("delay").attr("xmlns", ns::DELAY);
    w.attr("stamp", &at.to_string()).close("delay");
    stanza(w);
    w.close("forwarded").close("result").close("message");
}

/// What the messages of one answer have in common.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// Who asked.
    pub to: &'a str,
    /// The address that was asked (§8.2: a client checks it).
    pub from: Option<&'a str>,
    /// What the asker called its query.
    pub reference: Option<&'a str>,
}

/// Writes the end of a page (§4.3.2). What was committed does not change any more.
pub fn write_fin(page: &ArchivePage, w: &mut Writer<'_>) {
    let complete = if page.complete { "true" } else { "false" };
    w.open("fin").attr("xmlns", ns::MAM);
    w.attr("complete", complete).attr("stable", "true");
    let (first, last) = (page.first.as_deref(), page.last.as_deref());
    write_set(first, page.index, last, page.count, w);
    w.close("fin");
}

/// Writes the ends of an archive (§5); an empty one has none.
pub fn write_meta_data(ends: Option<&(ArchiveEnd, ArchiveEnd)>, w: &mut Writer<'_>) {
    w.open("metadata").attr("xmlns", ns::MAM);
    if let Some((start, end)) = ends {
        for (name, entry) in [("start", start), ("end", end)] {
            w.open(name).attr("id", &entry.id);
            w.attr("timestamp", &entry.published.to_string());
            w.close(name);
        }
    }
    w.close("metadata");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::xml::{Scope, Tree};

    fn read_as(kind: IqKind, child: &str) -> Result<Asked, Refusal> {
        let (mut tree, scope) = (Tree::new(), Scope::client());
        read(tree.parse(child.as_bytes(), &scope).unwrap(), kind)
    }

    fn request(content: &str) -> Result<ArchiveRequest, Refusal> {
        let query =
            format!("<query xmlns='urn:xmpp:mam:2' node='a' queryid='f27'>{content}</query>");
        match read_as(IqKind::Set, &query)? {
            Asked::Query(request) => Ok(*request),
            other => panic!("{other:?}"),
        }
    }

    fn form(fields: &[(&str, &[&str])]) -> String {
        let mut form = String::from(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>",
        );
        for (var, values) in fields {
            let values = values.iter().map(|value| format!("<value>{value}</value>"));
            let values: String = values.collect();
            form.push_str(&format!("<field var='{var}'>{values}</field>"));
        }
        form + "</x>"
    }

    fn filtered(var: &str, value: &str) -> Result<ArchiveFilter, Reason> {
        let read = request(&form(&[(var, &[value])]));
        read.map(|request| request.filter)
            .map_err(|refusal| refusal.reason)
    }

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut Writer::new(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn s4_1_a_query_without_a_form_asks_for_all() {
        let request = request("").unwrap();
        assert_eq!(request.reference.as_deref(), Some("f27"));
        assert_eq!(request.filter, ArchiveFilter::default());
        assert!(!request.descending && !request.flipped);
    }

    #[test]
    fn s4_1_each_field_of_the_form_is_read() {
        let request = request(&form(&[
            ("start", &["2026-11-22T21:28:51Z"]),
            ("end", &["2026-11-22T21:28:52.5Z"]),
            ("with", &["dev7@localhost"]),
            ("after-id", &["1-a"]),
            ("before-id", &["9-z"]),
            ("ids", &["3-c", "4-d"]),
        ]))
        .unwrap();
        let filter = request.filter;
        assert_eq!(filter.start, Timestamp::parse("2026-11-22T21:28:51Z"));
        // Until the end of the millisecond that is shown.
        assert_eq!(filter.end, Timestamp::parse("2026-11-22T21:28:52.500999Z"));
        assert_eq!(filter.publisher.unwrap().as_str(), "dev7@localhost");
        assert_eq!(
            (filter.after.as_deref(), filter.before.as_deref()),
            (Some("1-a"), Some("9-z"))
        );
        assert_eq!(filter.ids, ["3-c".into(), "4-d".into()]);
    }

    #[test]
    fn s4_1_5_a_field_that_is_not_known_is_not_implemented() {
        let known = filtered("{http://example.com/}free-text-search", "x");
        assert_eq!(known, Err(Reason::FeatureNotImplemented));
        assert_eq!(
            filtered("include-groupchat", "true"),
            Err(Reason::FeatureNotImplemented)
        );
    }

    #[test]
    fn s4_1_a_form_that_makes_no_sense_is_refused() {
        assert_eq!(filtered("start", "yesterday"), Err(Reason::BadRequest));
        assert_eq!(filtered("with", "@"), Err(Reason::JidMalformed));
        let twice = request(&form(&[(
            "start",
            &["2026-11-22T21:28:51Z", "2026-11-22T21:28:51Z"],
        )]));
        assert_eq!(twice.unwrap_err().reason, Reason::BadRequest);
        let other = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:x</value></field></x>";
        assert_eq!(request(other).unwrap_err().reason, Reason::BadRequest);
        let untyped = "<x xmlns='jabber:x:data' type='submit'/>";
        assert_eq!(request(untyped).unwrap_err().reason, Reason::BadRequest);
        let max = "<set xmlns='http://jabber.org/protocol/rsm'><max>many</max></set>";
        assert_eq!(request(max).unwrap_err().reason, Reason::BadRequest);
    }

    #[test]
    fn s4_3_pages_are_flipped_and_xep_0413_turns_the_order_of_all() {
        assert!(request("<flip-page/>").unwrap().flipped);
        let order = "<order xmlns='urn:xmpp:order-by:1' by='creation' desc='true'/>";
        assert!(request(order).unwrap().descending);
    }

    #[test]
    fn s4_1_5_and_s5_the_form_and_the_meta_data_are_asked_for() {
        let form = read_as(IqKind::Get, "<query xmlns='urn:xmpp:mam:2' node='a'/>");
        assert_eq!(form.unwrap(), Asked::Form);
        let data = read_as(IqKind::Get, "<metadata xmlns='urn:xmpp:mam:2' node='a'/>");
        assert_eq!(data.unwrap(), Asked::MetaData);
        let set = read_as(IqKind::Set, "<metadata xmlns='urn:xmpp:mam:2' node='a'/>");
        assert_eq!(set.unwrap_err().reason, Reason::BadRequest);
    }

    #[test]
    fn s4_1_5_no_field_is_required_and_the_list_of_ids_is_open() {
        let form = written(write_form);
        for var in ["with", "start", "end", "before-id", "after-id", "ids"] {
            assert!(form.contains(&format!("var='{var}'")), "{form}");
        }
        assert!(
            !form.contains("required") && form.contains("<open/></validate>"),
            "{form}"
        );
    }

    #[test]
    fn s4_2_a_result_carries_the_id_the_reference_and_the_time() {
        let envelope = Envelope {
            to: "a@localhost/x",
            from: Some("pubsub.localhost"),
            reference: Some("f27"),
        };
        let result = written(|w| {
            write_result(&envelope, "1-a", Timestamp::from_micros(0), w, |w| {
                w.open("message").close("message");
            });
        });
        assert_eq!(
            result,
            "<message to='a@localhost/x' from='pubsub.localhost'><result xmlns='urn:xmpp:mam:2' queryid='f27' id='1-a'>\
             <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:00.000Z'/>\
             <message/></forwarded></result></message>"
        );
    }

    #[test]
    fn s4_3_2_the_end_of_a_page_says_whether_there_is_more() {
        let page = ArchivePage {
            first: Some("1-a".into()),
            last: Some("2-b".into()),
            index: Some(0),
            count: None,
            complete: false,
        };
        assert_eq!(
            written(|w| write_fin(&page, w)),
            "<fin xmlns='urn:xmpp:mam:2' complete='false' stable='true'><set xmlns='http://jabber.org/protocol/rsm'>\
             <first index='0'>1-a</first><last>2-b</last></set></fin>"
        );
        let empty = ArchivePage {
            complete: true,
            ..ArchivePage::default()
        };
        assert!(written(|w| write_fin(&empty, w)).contains("complete='true'"));
    }

    #[test]
    fn s5_an_empty_archive_has_no_ends() {
        assert_eq!(
            written(|w| write_meta_data(None, w)),
            "<metadata xmlns='urn:xmpp:mam:2'/>"
        );
        let end = |id: &str| ArchiveEnd {
            id: id.into(),
            published: Timestamp::from_micros(0),
        };
        let both = (end("1-a"), end("2-b"));
        assert_eq!(
            written(|w| write_meta_data(Some(&both), w)),
            "<metadata xmlns='urn:xmpp:mam:2'><start id='1-a' timestamp='1970-01-01T00:00:00.000Z'/>\
             <end id='2-b' timestamp='1970-01-01T00:00:00.000Z'/></metadata>"
        );
    }
}
