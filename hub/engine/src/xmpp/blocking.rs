//! Block lists: XML to commands, and answers and pushes back.
//!
//! Implements: XEP-0191 1.3 §3.2 to §3.5.

use crate::{
    address::Jid,
    command::Command,
    event::BlockListPush,
    message::IqKind,
    refusal::{Reason, Refusal},
    xmpp::{
        namespace as ns,
        xml::{Element, Writer},
    },
};

/// What a request to the own account asks.
pub fn read(child: Element<'_>, kind: IqKind) -> Result<Command, Refusal> {
    match (child.name(), kind) {
        ("blocklist", IqKind::Get) => Ok(Command::GetBlockList),
        ("block", IqKind::Set) => {
            let jids = items(child)?;
            if jids.is_empty() {
                return Err(Refusal::new(Reason::BadRequest).say("whom?"));
            }
            Ok(Command::Block(jids))
        }
        // §3.5: nobody named is everybody.
        ("unblock", IqKind::Set) => {
            let jids = items(child)?;
            Ok(Command::Unblock((!jids.is_empty()).then_some(jids)))
        }
        ("blocklist" | "block" | "unblock", _) => Err(Reason::NotAllowed.into()),
        _ => Err(Reason::ServiceUnavailable.into()),
    }
}

/// A child that is no item makes the whole request bad: to take `<unblock/>` with a misspelt item for one without would unblock
/// everybody.
fn items(list: Element<'_>) -> Result<Vec<Jid>, Refusal> {
    list.children()
        .map(|item| {
            if !item.is("item", ns::BLOCKING) {
                return Err(Refusal::new(Reason::BadRequest).say("a block list has items"));
            }
            let jid = item
                .attr("jid")
                .ok_or(Refusal::new(Reason::BadRequest).say("an item has a jid"))?;
            Jid::parse(jid)
                .map_err(|_| Refusal::new(Reason::JidMalformed).say("'jid' is not an address"))
        })
        .collect()
}

/// Writes the list.
pub fn write(jids: &[Jid], w: &mut Writer<'_>) {
    write_items("blocklist", jids, w);
}

/// Writes a push: without `from`, which means the account itself.
pub fn write_push(push: &BlockListPush, id: &str, to: &str, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("iq")
        .attr("type", "set")
        .attr("id", id)
        .attr("to", to);
    let name = if push.blocked { "block" } else { "unblock" };
    write_items(name, &push.jids, &mut w);
    w.close("iq");
}

fn write_items(name: &str, jids: &[Jid], w: &mut Writer<'_>) {
    w.open(name).attr("xmlns", ns::BLOCKING);
    for jid in jids {
        w.open("item").attr("jid", jid.as_str()).close("item");
    }
    w.close(name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::xml::{Scope, Tree};

    fn asked(xml: &str, kind: IqKind) -> Result<String, Reason> {
        let (mut tree, scope) = (Tree::new(), Scope::client());
        let command = read(tree.parse(xml.as_bytes(), &scope).unwrap(), kind);
        match command {
            Ok(command) => Ok(format!("{command:?}")),
            Err(refusal) => Err(refusal.reason),
        }
    }

    #[test]
    fn s3_3_a_block_names_somebody_and_each_is_an_address() {
        use Reason::{BadRequest, JidMalformed, NotAllowed};
        for (xml, kind, reason) in [
            (
                "<block xmlns='urn:xmpp:blocking'/>",
                IqKind::Set,
                BadRequest,
            ),
            (
                "<block xmlns='urn:xmpp:blocking'><item/></block>",
                IqKind::Set,
                BadRequest,
            ),
            (
                "<block xmlns='urn:xmpp:blocking'><item jid='@'/></block>",
                IqKind::Set,
                JidMalformed,
            ),
            (
                "<block xmlns='urn:xmpp:blocking'><x xmlns='y' jid='a@b'/></block>",
                IqKind::Set,
                BadRequest,
            ),
            (
                "<unblock xmlns='urn:xmpp:blocking'><itm jid='a@b'/></unblock>",
                IqKind::Set,
                BadRequest,
            ),
            (
                "<block xmlns='urn:xmpp:blocking'><item jid='a@b'/></block>",
                IqKind::Get,
                NotAllowed,
            ),
            (
                "<blocklist xmlns='urn:xmpp:blocking'/>",
                IqKind::Set,
                NotAllowed,
            ),
        ] {
            assert_eq!(asked(xml, kind), Err(reason), "{xml}");
        }
    }

    #[test]
    fn s3_3_to_s3_5_what_is_asked() {
        let two = "<item jid='A@b'/><item jid='c'/>";
        let (block, unblock) = (
            format!("<block xmlns='urn:xmpp:blocking'>{two}</block>"),
            format!("<unblock xmlns='urn:xmpp:blocking'>{two}</unblock>"),
        );
        let jids = vec![Jid::parse("a@b").unwrap(), Jid::parse("c").unwrap()];
        for (xml, kind, command) in [
            (&*block, IqKind::Set, Command::Block(jids.clone())),
            (&*unblock, IqKind::Set, Command::Unblock(Some(jids))),
            (
                "<unblock xmlns='urn:xmpp:blocking'/>",
                IqKind::Set,
                Command::Unblock(None),
            ),
            (
                "<blocklist xmlns='urn:xmpp:blocking'/>",
                IqKind::Get,
                Command::GetBlockList,
            ),
        ] {
            assert_eq!(asked(xml, kind), Ok(format!("{command:?}")), "{xml}");
        }
    }

    #[test]
    fn s3_3_example_5_a_push() {
        let push = BlockListPush {
            blocked: true,
            jids: vec![Jid::parse("romeo@montague.net").unwrap()],
        };
        let mut out = Vec::new();
        write_push(&push, "push1", "juliet@capulet.com/chamber", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "<iq type='set' id='push1' to='juliet@capulet.com/chamber'>\
             <block xmlns='urn:xmpp:blocking'><item jid='romeo@montague.net'/></block></iq>"
        );
    }
}
