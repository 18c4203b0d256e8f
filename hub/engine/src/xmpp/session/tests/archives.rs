//! Archives, of the service's nodes and of personal ones (XEP-0442): from bytes to commands and back.

use super::approvals::{action, after, answered};
use crate::{
    address::{BareJid, FullJid},
    archive::ArchivePage,
    class::Class,
    command::{PubsubAction, PubsubReply, Reply},
    event::{Archived, NodeChange, NodeEvent},
    item::Item,
    message::MessageKind,
    node::{ItemId, NodeAddress, NodeId},
    time::Timestamp,
};

fn iq(kind: &str, to: &str, inside: &str) -> String {
    let to = match to {
        "" => String::new(),
        to => format!("to='{to}'"),
    };
    format!("<iq type='{kind}' id='m1' {to}>{inside}</iq>")
}

const QUERY: &str = "<query xmlns='urn:xmpp:mam:2' queryid='q' node='urn:mood'/>";

#[test]
fn xep_0442_s2_a_query_with_a_node_reaches_the_service_and_personal_nodes() {
    for (to, host) in [
        ("pubsub.localhost", None),
        ("", Some("juliet@localhost")),
        ("juliet@localhost", Some("juliet@localhost")),
        ("romeo@localhost", Some("romeo@localhost")),
    ] {
        let (_, out) = after(&iq("set", to, QUERY));
        let (at, action) = action(&out);
        assert_eq!(at, host);
        assert!(
            matches!(action, PubsubAction::Archive { node, .. } if node.as_str() == "urn:mood"),
            "{action:?}"
        );
        let ends = "<metadata xmlns='urn:xmpp:mam:2' node='urn:mood'/>";
        let (_, out) = after(&iq("get", to, ends));
        let (at, action) = super::approvals::action(&out);
        assert_eq!(at, host);
        assert!(matches!(action, PubsubAction::ArchiveEnds { .. }));
        let form = "<query xmlns='urn:xmpp:mam:2' node='urn:mood'/>";
        let (_, out) = after(&iq("get", to, form));
        let heard = String::from_utf8(out.bytes).unwrap();
        assert!(
            out.commands.is_empty()
                && heard.contains("type='result'")
                && heard.contains("'after-id'"),
            "{heard}"
        );
    }
}

#[test]
fn xep_0313_s3_an_account_has_no_archive_of_messages_and_says_what_there_is() {
    for to in ["", "juliet@localhost", "romeo@localhost"] {
        for (kind, asked) in [("get", "query"), ("set", "query"), ("get", "metadata")] {
            let asked = format!("<{asked} xmlns='urn:xmpp:mam:2'/>");
            let (_, out) = after(&iq(kind, to, &asked));
            let heard = String::from_utf8(out.bytes).unwrap();
            assert!(
                out.commands.is_empty()
                    && heard.contains("<feature-not-implemented ")
                    && heard.contains("with 'node' reads"),
                "{heard}"
            );
        }
    }
    // At the service a node is missing.
    let (_, out) = after(&iq(
        "set",
        "pubsub.localhost",
        "<query xmlns='urn:xmpp:mam:2'/>",
    ));
    let heard = String::from_utf8(out.bytes).unwrap();
    assert!(heard.contains("<nodeid-required "), "{heard}");
}

#[test]
fn xep_0442_s3_entries_of_a_personal_node_come_from_its_account() {
    let host = BareJid::parse("romeo@localhost").unwrap();
    let item = Item {
        id: ItemId::parse("now").unwrap(),
        publisher: FullJid::parse("romeo@localhost/x").unwrap(),
        published: Timestamp::from_micros(1_000_000),
        payload: None,
        class: Class::State,
    };
    let entry = Archived {
        id: "7".into(),
        published: item.published,
        event: Some(NodeEvent {
            at: NodeAddress {
                host: Some(host),
                node: NodeId::parse("urn:mood").unwrap(),
            },
            kind: MessageKind::Headline,
            change: NodeChange::Published {
                item: item.into(),
                payload: true,
                reply: None,
            },
        }),
    };
    let reply = PubsubReply::Archive {
        reference: Some("q".into()),
        entries: vec![entry],
        page: ArchivePage {
            complete: true,
            ..ArchivePage::default()
        },
    };
    let heard = answered(
        &iq("set", "romeo@localhost", QUERY),
        Ok(Reply::Pubsub(reply.into())),
    );
    let (message, fin) = heard
        .split_once("</message><iq ")
        .unwrap_or_else(|| heard.split_once("<iq ").unwrap());
    assert!(
        message.matches("from='romeo@localhost'").count() == 2,
        "{heard}"
    );
    assert!(
        message.contains("queryid='q'") && message.contains("node='urn:mood'"),
        "{heard}"
    );
    assert!(
        fin.contains("from='romeo@localhost'") && fin.contains("<fin "),
        "{heard}"
    );
}
