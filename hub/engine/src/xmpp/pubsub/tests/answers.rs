//! What is written as XML.

use std::sync::Arc;

use super::{super::*, bare, item_id, node};
use crate::{
    address::{FullJid, Jid},
    class::Class,
    command::{PageInfo, PubsubReply},
    event::{NodeChange, NodeEvent, ReplyTo},
    item::{Affiliation, Item, NodeConfig, NodeSubscription, SubscriptionState},
    mailbox::SubscriptionTag,
    message::MessageKind,
    node::{Filter, NodeAddress},
    payload::Payload,
    refusal::Detail,
    time::Timestamp,
    xmpp::{
        data_form::Submitted,
        namespace as ns,
        xml::{Scope, Tree, Writer},
    },
};

fn item(id: &str, payload: Option<&'static str>) -> Arc<Item> {
    Arc::new(Item {
        id: item_id(id),
        publisher: FullJid::parse("dev7@localhost/x").unwrap(),
        published: Timestamp::default(),
        payload: payload.map(|xml| Payload::xml(xml.as_bytes().into())),
        class: Class::Event,
    })
}

fn reply(reply: &PubsubReply, as_owner: bool) -> String {
    let mut out = Vec::new();
    render_reply(reply, as_owner, "pubsub.localhost", &mut out);
    well_formed(&out)
}

fn event(change: NodeChange) -> String {
    let event = NodeEvent {
        at: NodeAddress::of_service(node("a/b")),
        kind: MessageKind::Headline,
        change,
    };
    well_formed(&render_event(&event))
}

/// The text, proven to be one element that stands alone.
fn well_formed(bytes: &[u8]) -> String {
    let (mut tree, scope) = (Tree::new(), Scope::empty());
    tree.parse(bytes, &scope).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

mod replies {
    use super::*;

    #[test]
    fn to_subscribers_and_publishers() {
        let subscribed = PubsubReply::Subscribed {
            node: node("a&b"),
            jid: Jid::parse("dev7@localhost").unwrap(),
            subid: "s".into(),
            state: SubscriptionState::Subscribed,
            options: None,
        };
        assert_eq!(
            reply(&subscribed, false),
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><subscription node='a&amp;b' \
             jid='dev7@localhost' subid='s' subscription='subscribed'/></pubsub>"
        );
        let published = PubsubReply::Published {
            node: node("a"),
            items: vec![item_id("1")],
        };
        assert_eq!(
            reply(&published, false),
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='a'><item id='1'/>\
             </publish></pubsub>"
        );
        let items = PubsubReply::Items {
            node: node("a"),
            items: vec![item("1", Some("<t xmlns='urn:t'/>")), item("2", None)],
            page: Some(PageInfo {
                first: Some("1".into()),
                index: Some(0),
                last: Some("2".into()),
                count: 9,
            }),
            publisher: false,
        };
        assert_eq!(
            reply(&items, false),
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='a'><item id='1'>\
             <t xmlns='urn:t'/></item><item id='2'/></items><set xmlns='http://jabber.org/protocol/rsm'>\
             <first index='0'>1</first><last>2</last><count>9</count></set></pubsub>"
        );
    }

    #[test]
    fn to_owners_lists_name_the_subscriber_and_to_others_the_node() {
        let subscriptions = PubsubReply::Subscriptions {
            node: Some(node("a")),
            list: vec![(
                node("a"),
                NodeSubscription {
                    jid: Jid::parse("dev7@localhost").unwrap(),
                    subid: "s".into(),
                    state: SubscriptionState::Subscribed,
                    options: None,
                },
            )],
            page: Some(PageInfo {
                count: 7,
                ..PageInfo::default()
            }),
        };
        let owners = reply(&subscriptions, true);
        assert!(
            owners.contains("<subscription jid=")
                && owners.contains("</subscriptions><set xmlns='http://jabber.org/protocol/rsm'>"),
            "{owners}"
        );
        assert!(reply(&subscriptions, false).contains("<subscription node='a' jid="));
        let affiliations = PubsubReply::Affiliations {
            node: None,
            list: vec![(node("a"), bare("dev7@localhost"), Affiliation::Owner)],
        };
        assert!(reply(&affiliations, true).contains("<affiliation jid='dev7@localhost' aff"));
        assert!(
            reply(&affiliations, false).contains("<affiliation node='a' affiliation='owner'/>")
        );
    }

    #[test]
    fn a_configuration_form_comes_back_as_it_was_given() {
        let config = NodeConfig {
            title: "A < B".into(),
            max_items: u32::MAX,
            notify_sub: true,
            ..NodeConfig::default()
        };
        let text = reply(
            &PubsubReply::Config {
                node: Some(node("a")),
                config: Box::new(config),
            },
            true,
        );
        let text = text.replace("type='form'", "type='submit'");
        let (mut tree, scope) = (Tree::new(), Scope::empty());
        let pubsub = tree.parse(text.as_bytes(), &scope).unwrap();
        let configure = pubsub.child("configure", ns::PUBSUB_OWNER).unwrap();
        let form = configure.child("x", ns::DATA_FORM).unwrap();
        let fields = Submitted::read(form)
            .unwrap()
            .fields_of(ns::PUBSUB_NODE_CONFIG)
            .unwrap();
        let value = |var: &str| {
            let field = fields.iter().find(|field| &*field.var == var).unwrap();
            field.values[0].to_string()
        };
        assert_eq!(value("pubsub#title"), "A < B");
        assert_eq!(value("pubsub#max_items"), "max");
        assert_eq!(value("pubsub#notify_sub"), "1");
        assert_eq!(value("pubsub#access_model"), "open");
        assert_eq!(value("pubsub#notification_type"), "headline");
        assert_eq!(fields.len(), 33, "every field of the configuration");
    }

    #[test]
    fn the_default_configuration_names_no_node() {
        let config = PubsubReply::Config {
            node: None,
            config: Box::default(),
        };
        let text = reply(&config, true);
        assert!(
            text.starts_with(
                "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><default><x "
            )
        );
    }

    #[test]
    fn to_disco() {
        let info = PubsubReply::NodeInfo {
            node: node("a"),
            config: Box::default(),
            creator: bare("dev7@localhost"),
            created: Timestamp::default(),
            owners: vec![bare("dev7@localhost")],
            publishers: vec![bare("dev8@localhost")],
            items: 1,
            subscribers: 2,
        };
        let text = reply(&info, false);
        assert!(text.starts_with(
            "<query xmlns='http://jabber.org/protocol/disco#info' node='a'>\
             <identity category='pubsub' type='leaf'/>"
        ));
        for (var, kind, value) in [
            ("owner", "jid-multi", "dev7@localhost"),
            ("publisher", "jid-multi", "dev8@localhost"),
            ("creator", "jid-single", "dev7@localhost"),
            ("access_model", "list-single", "open"),
        ] {
            let field = format!("<field var='pubsub#{var}' type='{kind}'><value>{value}</value>");
            assert!(text.contains(&field), "{var}");
        }
        assert!(
            text.contains(
                "<field var='pubsub#num_subscribers' type='text-single'><value>2</value>"
            )
        );
        let nodes = PubsubReply::Nodes {
            list: vec![(node("a"), "T".into()), (node("b"), "".into())],
            page: None,
        };
        assert_eq!(
            reply(&nodes, false),
            "<query xmlns='http://jabber.org/protocol/disco#items'>\
             <item jid='pubsub.localhost' node='a' name='T'/><item jid='pubsub.localhost' node='b'/></query>"
        );
        let branch = PubsubReply::Branch {
            node: Some(node("a")),
            nodes: vec![(node("a/b"), "".into())],
            items: vec![item_id("1")],
            page: None,
        };
        assert_eq!(
            reply(&branch, false),
            "<query xmlns='http://jabber.org/protocol/disco#items' node='a'>\
             <item jid='pubsub.localhost' node='a/b'/><item jid='pubsub.localhost' name='1'/></query>"
        );
        let level = PubsubReply::Level { node: node("a") };
        assert_eq!(
            reply(&level, false),
            "<query xmlns='http://jabber.org/protocol/disco#info' node='a'>\
             <identity category='pubsub' type='collection'/></query>"
        );
    }

    #[test]
    fn details_are_empty_elements_of_the_errors_namespace() {
        let mut out = Vec::new();
        render_detail(
            Detail::Unsupported("collections"),
            &mut Writer::new(&mut out),
        );
        assert_eq!(
            well_formed(&out),
            "<unsupported xmlns='http://jabber.org/protocol/pubsub#errors' feature='collections'/>"
        );
    }
}

mod notifications {
    use super::*;

    const EVENT: &str = "<event xmlns='http://jabber.org/protocol/pubsub#event'>";

    #[test]
    fn of_items_with_and_without_payload() {
        let published = |payload| NodeChange::Published {
            item: item("1", Some("<t xmlns='urn:t'>1</t>")),
            payload,
            reply: None,
        };
        assert_eq!(
            event(published(true)),
            format!(
                "{EVENT}<items node='a/b'><item id='1'><t xmlns='urn:t'>1</t></item></items></event>"
            )
        );
        assert_eq!(
            event(published(false)),
            format!("{EVENT}<items node='a/b'><item id='1'/></items></event>")
        );
    }

    #[test]
    fn s7_1_2_3_the_publisher_is_shown_where_the_node_shows_it_and_s12_17_replies_find_their_way() {
        let published = |reply| NodeChange::Published {
            item: item("1", None),
            payload: true,
            reply: Some(reply),
        };
        let publisher = item("1", None).publisher.bare();
        let publisher = publisher.as_str();
        assert_eq!(
            event(published(ReplyTo::Publisher)),
            format!(
                "{EVENT}<items node='a/b'><item id='1' publisher='{publisher}'/></items></event>"
            )
        );
        let owners = ReplyTo::Owners([bare("o@localhost"), bare("p@localhost")].into());
        assert_eq!(
            event(published(owners.clone())),
            format!("{EVENT}<items node='a/b'><item id='1'/></items></event>")
        );
        let addresses = |reply| {
            let mut out = Vec::new();
            let event = NodeEvent {
                at: NodeAddress::of_service(node("a/b")),
                kind: MessageKind::Headline,
                change: published(reply),
            };
            write_reply_to(&event, &mut Writer::new(&mut out));
            String::from_utf8(out).unwrap()
        };
        const ADDRESSES: &str = "<addresses xmlns='http://jabber.org/protocol/address'>";
        assert_eq!(
            addresses(owners),
            format!(
                "{ADDRESSES}<address type='replyto' jid='o@localhost'/>\
                 <address type='replyto' jid='p@localhost'/></addresses>"
            )
        );
        assert_eq!(
            addresses(ReplyTo::Publisher),
            format!("{ADDRESSES}<address type='replyto' jid='{publisher}'/></addresses>")
        );
        let reply_items = PubsubReply::Items {
            node: node("a"),
            items: vec![item("1", None)],
            page: None,
            publisher: true,
        };
        let text = reply(&reply_items, false);
        assert!(
            text.contains(&format!("<item id='1' publisher='{publisher}'/>")),
            "{text}"
        );
    }

    #[test]
    fn of_what_goes() {
        let gone = NodeChange::Retracted(vec![item_id("1"), item_id("2")]);
        assert_eq!(
            event(gone),
            format!("{EVENT}<items node='a/b'><retract id='1'/><retract id='2'/></items></event>")
        );
        assert_eq!(
            event(NodeChange::Purged),
            format!("{EVENT}<purge node='a/b'/></event>")
        );
        let deleted = NodeChange::Deleted {
            redirect: Some("xmpp:x?;node=b".into()),
        };
        assert_eq!(
            event(deleted),
            format!("{EVENT}<delete node='a/b'><redirect uri='xmpp:x?;node=b'/></delete></event>")
        );
    }

    #[test]
    fn of_configuration_and_subscription() {
        assert_eq!(
            event(NodeChange::Configured(None)),
            format!("{EVENT}<configuration node='a/b'/></event>")
        );
        let with = event(NodeChange::Configured(Some(Box::default())));
        assert!(with.contains("<x xmlns='jabber:x:data' type='result'>"));
        let subscription = NodeChange::Subscription {
            jid: Jid::parse("dev7@localhost").unwrap(),
            state: SubscriptionState::None,
            subid: None,
            expiry: None,
        };
        assert_eq!(
            event(subscription),
            format!(
                "{EVENT}<subscription node='a/b' jid='dev7@localhost' subscription='none'/></event>"
            )
        );
        let affiliation = NodeChange::Affiliation {
            jid: bare("dev7@localhost"),
            affiliation: Affiliation::Publisher,
        };
        assert_eq!(
            event(affiliation),
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><affiliations node='a/b'>\
             <affiliation jid='dev7@localhost' affiliation='publisher'/></affiliations></pubsub>"
        );
    }

    #[test]
    fn s12_16_headers_name_the_subscriptions_and_the_filter() {
        let mut out = Vec::new();
        let items = NodeChange::Retracted(Vec::new());
        render_headers(&SubscriptionTag::default(), &items, &mut out);
        assert!(out.is_empty());
        let tag = SubscriptionTag {
            to: None,
            subids: vec!["1".into(), "2".into()],
            collection: Some(Filter::parse("a/#").unwrap()),
            ..SubscriptionTag::default()
        };
        render_headers(&tag, &items, &mut out);
        assert_eq!(
            well_formed(&out),
            "<headers xmlns='http://jabber.org/protocol/shim'><header name='Collection'>a/#</header>\
             <header name='SubID'>1</header><header name='SubID'>2</header></headers>"
        );
        out.clear();
        render_headers(&tag, &NodeChange::Purged, &mut out);
        assert!(!well_formed(&out).contains("SubID"));
    }
}
