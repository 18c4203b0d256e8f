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
