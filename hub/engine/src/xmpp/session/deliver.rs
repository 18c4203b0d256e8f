//! What the mailbox brings, written for the peer.
//!
//! Implements: the answers to `queries`; RFC 6121 §8.5.3 deliveries, §2.1.6 roster pushes; XEP-0203 delays; S23; copies (`carbons`) and
//! pushes of block lists (`blocking`).
//!
//! What all receivers of an event share is rendered once and kept in the event; here only the envelope is added, straight
//! into the connection's buffer.

use crate::{
    address::Jid,
    command::{Answer, PubsubReply, Reply},
    event::{Event, What},
    mailbox::{Addressed, SubscriptionTag},
    message::Iq,
    refusal::Refusal,
    time::Timestamp,
    xmpp::{
        blocking, caps, carbons, disco, last, message, presence, private, roster,
        stanza::{StanzaName, open_result, write_error},
        vcard,
        xml::Writer,
    },
};

use super::{asked::Asked, bound::Bound, service, shared::Surroundings};

impl Bound {
    /// Writes the answer to one of the session's commands.
    pub(super) fn answer(&mut self, answer: &Answer, around: &Surroundings, out: &mut Vec<u8>) {
        let asked = Asked::of(&answer.token);
        if asked == Asked::Nothing {
            return;
        }
        self.owed = self.owed.saturating_sub(1);
        let id = &*answer.token.id;
        let from = answer.token.to.as_ref().map(Jid::as_str);
        let to = self.jid.as_str();
        write_answer(asked, &answer.result, id, from, to, around, out);
    }

    /// Writes an event.
    pub(super) fn event(
        &mut self,
        event: &Event,
        addressed: Addressed,
        tag: Option<&SubscriptionTag>,
        delay: Option<Timestamp>,
        around: &Surroundings,
        out: &mut Vec<u8>,
    ) {
        let delay = delay.map(|at| (&around.shared.domain, at));
        let id = match event.what {
            What::Roster(_) | What::BlockList(_) => self.next_id(),
            _ => String::new(),
        };
        let to = match addressed {
            Addressed::Bare => self.bare_text(),
            Addressed::Full => self.jid.as_str(),
        };
        match &event.what {
            What::Message(message) => message::write(message, to, delay, out),
            What::Iq(iq) => write_iq(iq, to, out),
            What::Presence(_) => {
                presence::write(event.xmpp(presence::render_shared), to, delay, out);
            }
            What::Subscription(stanza) => presence::write_handshake(stanza, out),
            What::Probe(probe) => presence::write_probe(probe, out),
            What::Roster(push) => {
                roster::write_push(push, &id, self.jid.as_str(), out);
            }
            What::BlockList(push) => {
                blocking::write_push(push, &id, self.jid.as_str(), out);
            }
            What::Carbon(_) => {
                // XEP-0280 §7: to the resource that gets the copy, however it was addressed.
                let to = self.jid.as_str();
                carbons::write(event.xmpp(carbons::render_shared), to, out);
            }
            What::Question(question) => {
                let (hub, to) = (&around.shared.domain, self.jid.as_str());
                caps::write_question(question.number, &question.node, hub, to, out);
            }
            What::Node(node) => service::write_event(event, node, to, tag, delay, around, out),
        }
    }
}

/// Writes the answer to a command.
pub(in crate::xmpp) fn write_answer(
    asked: Asked,
    result: &Result<Reply, Refusal>,
    id: &str,
    from: Option<&str>,
    to: &str,
    around: &Surroundings,
    out: &mut Vec<u8>,
) {
    // Without a `to` the question was to the asker's own account.
    let own = to.split_once('/').map_or(to, |(bare, _)| bare);
    let asker = to;
    let to = Some(to);
    let reply = match result {
        Ok(reply) => reply,
        Err(refusal) if asked == Asked::Approval => {
            let id = Some(id).filter(|id| !id.is_empty());
            return write_error(StanzaName::Message, id, from, to, refusal, out);
        }
        Err(refusal) => {
            return write_error(StanzaName::Iq, Some(id), from, to, refusal, out);
        }
    };
    if asked == Asked::Approval {
        return;
    }
    if let Reply::Pubsub(reply) = reply
        && matches!(**reply, PubsubReply::SubscriptionsRefused { .. })
    {
        return service::write_partly_refused(reply, asked, id, from, asker, out);
    }
    if let Reply::Pubsub(reply) = reply {
        service::write_entries(reply, from, asker, around, out);
    }
    let mut w = Writer::new(out);
    open_result(&mut w, id, from, to);
    match (asked, reply) {
        (Asked::PubsubCommand, Reply::Pubsub(reply)) => service::write_step(reply, &mut w),
        (
            Asked::Roster,
            Reply::Roster {
                contacts,
                shared,
                version,
            },
        ) => {
            roster::write(contacts.as_deref(), shared, version, &mut w);
        }
        (Asked::Activity, Reply::Activity { seconds, status }) => {
            last::write(*seconds, status.as_deref(), &mut w);
        }
        (Asked::AccountInfo, Reply::Described { .. }) => disco::write_account_info(&mut w),
        (Asked::AccountItems, Reply::Belongings { resources, nodes }) => {
            disco::write_account_items(resources, nodes, from.unwrap_or(own), &mut w);
        }
        (Asked::HubItems, Reply::Components(components)) => {
            disco::write_hub_items(&around.shared.service, components, &mut w);
        }
        (Asked::BlockList, Reply::BlockList(jids)) => blocking::write(jids, &mut w),
        (Asked::Private, Reply::Document { key, content }) => {
            private::write(key, content.as_ref(), &mut w);
        }
        (Asked::VCard, Reply::Document { content, .. }) => {
            vcard::write(content.as_ref(), &mut w);
        }
        (Asked::Pubsub | Asked::PubsubOwner, Reply::Pubsub(reply)) => {
            w.finish_tag();
            service::write_reply(reply, asked, from, out);
            Writer::new(out).close("iq");
            return;
        }
        // What was asked is done, and there is nothing to tell.
        _ => {}
    }
    w.close("iq");
}

pub(in crate::xmpp) fn write_iq(iq: &Iq, to: &str, out: &mut Vec<u8>) {
    Writer::new(out)
        .open("iq")
        .attr("to", to)
        .attr("from", iq.from.as_str())
        .attr("type", iq.kind.name())
        .attr("id", &iq.id)
        .attr_opt("xml:lang", iq.lang.as_deref())
        .raw(&iq.content)
        .close("iq");
}
