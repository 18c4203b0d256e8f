//! Carbons: what a client asks, and the copy as it is written.
//!
//! Implements: XEP-0280 1.0.1 §3 to §5, §7, §8 (the wrapping); XEP-0297 1.0 §3 (`<forwarded/>`). What claims to be a copy and comes from
//! somebody else is passed on like any content (§12): clients must look at `from`, which nobody can forge here.

use bytes::Bytes;

use crate::{
    command::Command,
    event::{Carbon, Way, What},
    message::IqKind,
    refusal::{Reason, Refusal},
    xmpp::{
        message::{self, write_kind},
        namespace as ns,
        xml::{Element, Writer, escape_attr_into},
    },
};

/// What a request to the own account asks.
pub fn read(child: Element<'_>, kind: IqKind) -> Result<Command, Refusal> {
    match (child.name(), kind) {
        ("enable", IqKind::Set) => Ok(Command::SetCarbons(true)),
        ("disable", IqKind::Set) => Ok(Command::SetCarbons(false)),
        ("enable" | "disable", _) => Err(Reason::NotAllowed.into()),
        _ => Err(Reason::ServiceUnavailable.into()),
    }
}

/// Writes a copy for one of the resources; `shared` is the same for all ([`render_shared`]).
pub fn write(shared: &Bytes, to: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<message to='");
    escape_attr_into(to, out);
    out.push(b'\'');
    out.extend_from_slice(shared);
}

/// All of a copy that follows `to`.
pub fn render_shared(what: &What) -> Bytes {
    let What::Carbon(carbon) = what else {
        return Bytes::new();
    };
    let Carbon {
        account,
        way,
        message,
    } = &**carbon;
    let mut out = Vec::with_capacity(message.content.len() + 512);
    let mut w = Writer::new(&mut out);
    w.open("message").attr("from", account.as_str());
    write_kind(message.kind, &mut w);
    let name = match way {
        Way::Sent => "sent",
        Way::Received => "received",
    };
    w.open(name).attr("xmlns", ns::CARBONS);
    w.open("forwarded").attr("xmlns", ns::FORWARD);
    w.finish_tag();
    message::write_whole(message, &mut out);
    let mut w = Writer::new(&mut out);
    w.close("forwarded").close(name).close("message");
    Bytes::copy_from_slice(&out["<message".len()..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        address::{BareJid, Jid},
        event::Event,
        message::{Hints, Message, MessageKind},
    };

    #[test]
    fn s7_example_8_a_received_copy() {
        let message = Message {
            from: Jid::parse("juliet@capulet.example/balcony").unwrap(),
            to: Jid::parse("romeo@montague.example/garden").unwrap(),
            kind: MessageKind::Chat,
            id: Some("m".into()),
            lang: Some("en".into()),
            content: "<body>What man art thou?</body>".into(),
            hints: Hints::default(),
        };
        let event = Event::new(What::Carbon(Box::new(Carbon {
            account: BareJid::parse("romeo@montague.example").unwrap(),
            way: Way::Received,
            message,
        })));
        let mut out = Vec::new();
        write(
            event.xmpp(render_shared),
            "romeo@montague.example/home",
            &mut out,
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "<message to='romeo@montague.example/home' from='romeo@montague.example' type='chat'>\
             <received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:client' to='romeo@montague.example/garden' from='juliet@capulet.example/balcony' \
             type='chat' id='m' xml:lang='en'><body>What man art thou?</body></message>\
             </forwarded></received></message>"
        );
    }
}
