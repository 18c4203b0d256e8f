//! The roster: XML to commands, and answers and pushes back.
//!
//! Implements: RFC 6121 §2.1 syntax, §2.1.6 pushes, §2.3.3 what a set may not be, §2.6 versions, §3.4 `approved`.

use crate::{
    account::Contact,
    address::Jid,
    command::Command,
    event::RosterPush,
    message::IqKind,
    refusal::{Reason, Refusal},
    roster_group::SharedContacts,
    xmpp::{
        namespace as ns,
        xml::{Element, Writer},
    },
};

/// Longest name of a contact or group, in bytes of UTF-8 (RFC 6121 §2.3.3: the server's to say).
const NAME_BYTES_MAX: usize = 1023;
/// Most groups of one contact.
const GROUPS_MAX: usize = 64;

/// What a roster request asks.
pub fn read(query: Element<'_>, kind: IqKind) -> Result<Command, Refusal> {
    if kind == IqKind::Get {
        return Ok(Command::GetRoster {
            version: query.attr("ver").map(Into::into),
        });
    }
    // RFC 6121 §2.1.5, §2.3.3: a set has exactly one item.
    let mut children = query.children();
    let (Some(item), None) = (children.next(), children.next()) else {
        return Err(Refusal::new(Reason::BadRequest).say("a roster set has exactly one item"));
    };
    if !item.is("item", ns::ROSTER) {
        return Err(Reason::BadRequest.into());
    }
    let jid = item
        .attr("jid")
        .ok_or(Refusal::new(Reason::BadRequest).say("an item has a jid"))?;
    let jid = Jid::parse(jid)
        .map_err(|_| Refusal::new(Reason::JidMalformed))?
        .bare();
    // RFC 6121 §2.1.2.5: of what a client says of the subscription only `remove` counts.
    if item.attr("subscription") == Some("remove") {
        return Ok(Command::RemoveContact { jid });
    }
    let name = item.attr("name").filter(|name| !name.is_empty());
    if name.is_some_and(|name| name.len() > NAME_BYTES_MAX) {
        return Err(too_long());
    }
    Ok(Command::SetContact {
        jid,
        name: name.map(Into::into),
        groups: groups(item)?,
    })
}

fn groups(item: Element<'_>) -> Result<Vec<Box<str>>, Refusal> {
    let mut groups: Vec<Box<str>> = Vec::new();
    for group in item
        .children()
        .filter(|child| child.is("group", ns::ROSTER))
    {
        let name: Box<str> = group.text().into();
        // RFC 6121 §2.3.3: a group said twice is a bad request, one of zero length not acceptable, nor one too long.
        if groups.contains(&name) {
            return Err(Refusal::new(Reason::BadRequest).say("the same group twice"));
        }
        if name.is_empty() {
            return Err(Refusal::new(Reason::NotAcceptable).say("a group needs a name"));
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(too_long());
        }
        if groups.len() == GROUPS_MAX {
            return Err(Refusal::new(Reason::NotAcceptable).say("too many groups"));
        }
        groups.push(name);
    }
    Ok(groups)
}

fn too_long() -> Refusal {
    Refusal::new(Reason::NotAcceptable).say("a name may have at most 1023 bytes")
}

/// Writes the roster. `None`: the client's version is the newest, so there is nothing in the result (§2.6.3).
/// The version is always said, whether or not the client speaks of versions.
/// `shared` are the contacts that the account has besides, by roster groups of the hub's.
pub fn write(
    contacts: Option<&[Contact]>,
    shared: &SharedContacts,
    version: &str,
    w: &mut Writer<'_>,
) {
    let Some(contacts) = contacts else { return };
    w.open("query")
        .attr("xmlns", ns::ROSTER)
        .attr("ver", version);
    for contact in contacts.iter().filter(|contact| contact.listed) {
        write_item(contact, w);
    }
    for (jid, subscription, groups) in shared.iter() {
        w.open("item")
            .attr("jid", jid)
            .attr("subscription", subscription.name());
        for group in groups {
            w.element("group", group);
        }
        w.close("item");
    }
    w.close("query");
}

/// Writes a push (§2.1.6): without `from`, which means the account itself.
pub fn write_push(push: &RosterPush, id: &str, to: &str, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("iq")
        .attr("type", "set")
        .attr("id", id)
        .attr("to", to)
        .open("query")
        .attr("xmlns", ns::ROSTER)
        .attr("ver", &push.version);
    match push.contact.as_deref().filter(|contact| contact.listed) {
        Some(contact) => write_item(contact, &mut w),
        None => {
            w.open("item")
                .attr("jid", push.jid.as_str())
                .attr("subscription", "remove")
                .close("item");
        }
    }
    w.close("query").close("iq");
}

fn write_item(contact: &Contact, w: &mut Writer<'_>) {
    w.open("item")
        .attr("jid", contact.jid.as_str())
        .attr_opt("name", contact.name.as_deref())
        .attr("subscription", contact.subscription.name());
    if contact.pending_out {
        w.attr("ask", "subscribe");
    }
    if contact.approved {
        w.attr("approved", "true");
    }
    for group in &contact.groups {
        w.element("group", group);
    }
    w.close("item");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::xml::{Scope, Tree};

    fn set(items: &str) -> Result<Command, Refusal> {
        let (mut tree, scope) = (Tree::new(), Scope::client());
        let xml = format!("<query xmlns='jabber:iq:roster'>{items}</query>");
        read(tree.parse(xml.as_bytes(), &scope).unwrap(), IqKind::Set)
    }

    #[test]
    fn s2_3_3_what_a_set_may_not_be() {
        let long = "g".repeat(NAME_BYTES_MAX + 1);
        for (items, reason) in [
            ("", Reason::BadRequest),
            ("<item jid='a@b'/><item jid='c@b'/>", Reason::BadRequest),
            ("<item/>", Reason::BadRequest),
            ("<item jid='@'/>", Reason::JidMalformed),
            (
                "<item jid='a@b'><group>x</group><group>x</group></item>",
                Reason::BadRequest,
            ),
            ("<item jid='a@b'><group/></item>", Reason::NotAcceptable),
            (
                &format!("<item jid='a@b' name='{long}'/>"),
                Reason::NotAcceptable,
            ),
            (
                &format!("<item jid='a@b'><group>{long}</group></item>"),
                Reason::NotAcceptable,
            ),
        ] {
            assert_eq!(set(items).unwrap_err().reason, reason, "{items}");
        }
    }

    #[test]
    fn s2_1_2_5_a_client_can_say_nothing_of_a_subscription_but_remove() {
        assert!(matches!(
            set("<item jid='a@b/c' subscription='both'/>").unwrap(),
            Command::SetContact { jid, .. } if jid.as_str() == "a@b"
        ));
        assert!(matches!(
            set("<item jid='a@b' subscription='remove'/>").unwrap(),
            Command::RemoveContact { .. }
        ));
    }
}
