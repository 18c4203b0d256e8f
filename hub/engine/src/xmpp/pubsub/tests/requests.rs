//! What is read from XML.

use super::{super::*, bare, item_id, node};
use crate::{
    address::Jid,
    command::{Field, NewItem, PubsubAction},
    item::{Affiliation, SubscriptionState},
    message::IqKind,
    payload::Payload,
    refusal::{Detail, Reason, Refusal},
    xmpp::{
        namespace as ns,
        xml::{Scope, Tree},
    },
};

fn parse(kind: IqKind, namespace: &str, content: &str) -> Result<PubsubAction, Refusal> {
    let whole = format!("<pubsub xmlns='{namespace}'>{content}</pubsub>");
    let (mut tree, scope) = (Tree::new(), Scope::client());
    parse_pubsub(kind, tree.parse(whole.as_bytes(), &scope).unwrap())
}

fn set(content: &str) -> Result<PubsubAction, Refusal> {
    parse(IqKind::Set, ns::PUBSUB, content)
}

fn get(content: &str) -> Result<PubsubAction, Refusal> {
    parse(IqKind::Get, ns::PUBSUB, content)
}

fn owner_set(content: &str) -> Result<PubsubAction, Refusal> {
    parse(IqKind::Set, ns::PUBSUB_OWNER, content)
}

fn owner_get(content: &str) -> Result<PubsubAction, Refusal> {
    parse(IqKind::Get, ns::PUBSUB_OWNER, content)
}

#[track_caller]
fn refused(
    action: Result<PubsubAction, Refusal>,
    reason: Reason,
    detail: impl Into<Option<Detail>>,
) {
    let refusal = action.unwrap_err();
    assert_eq!((refusal.reason, refusal.detail), (reason, detail.into()));
}

fn form(form_type: &str, var: &str, value: &str) -> String {
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>{form_type}</value>\
         </field><field var='{var}'><value>{value}</value></field></x>"
    )
}

fn one_field(var: &str, value: &str) -> Vec<Field> {
    vec![Field {
        var: var.into(),
        values: vec![value.into()],
    }]
}

mod s6_requests_of_subscribers {
    use super::*;

    #[test]
    fn subscribe_with_and_without_options() {
        let plain = set("<subscribe node='a/b' jid='dev7@localhost'/>").unwrap();
        let expected = |options| PubsubAction::Subscribe {
            node: node("a/b"),
            jid: Jid::parse("dev7@localhost").unwrap(),
            options,
        };
        assert_eq!(plain, expected(None));
        let options = form(
            ns::PUBSUB_SUBSCRIBE_OPTIONS,
            "pubsub#subscription_depth",
            "all",
        );
        let with = set(&format!(
            "<subscribe node='a/b' jid='dev7@localhost'/><options>{options}</options>"
        ))
        .unwrap();
        let fields = one_field("pubsub#subscription_depth", "all");
        assert_eq!(with, expected(Some(fields)));
    }

    #[test]
    fn a_subscription_needs_a_node_and_an_address() {
        refused(
            set("<subscribe jid='dev7@localhost'/>"),
            Reason::BadRequest,
            Detail::NodeidRequired,
        );
        refused(
            set("<subscribe node='a'/>"),
            Reason::BadRequest,
            Detail::JidRequired,
        );
        refused(
            set("<subscribe node='a' jid=''/>"),
            Reason::BadRequest,
            Detail::InvalidJid,
        );
    }

    #[test]
    fn unsubscribe_may_name_its_subid() {
        let action = set("<unsubscribe node='a' jid='dev7@localhost' subid='s'/>").unwrap();
        assert!(
            matches!(action, PubsubAction::Unsubscribe { subid: Some(subid), .. } if &*subid == "s")
        );
    }

    #[test]
    fn s6_3_options_are_asked_for_and_set() {
        const FORM: &str = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
             <value>http://jabber.org/protocol/pubsub#subscribe_options</value></field>\
             <field var='pubsub#deliver'><value>0</value></field></x>";
        let jid = Jid::parse("dev7@localhost").unwrap();
        assert_eq!(
            get("<options node='a' jid='dev7@localhost' subid='s'/>").unwrap(),
            PubsubAction::GetOptions {
                node: node("a"),
                jid: jid.clone(),
                subid: Some("s".into()),
            }
        );
        let action = set(&format!(
            "<options node='a' jid='dev7@localhost'>{FORM}</options>"
        ));
        let deliver = Field {
            var: "pubsub#deliver".into(),
            values: vec!["0".into()],
        };
        assert_eq!(
            action.unwrap(),
            PubsubAction::SetOptions {
                node: node("a"),
                jid,
                subid: None,
                options: vec![deliver],
            }
        );
        refused(
            get("<options node='a'/>"),
            Reason::BadRequest,
            Detail::JidRequired,
        );
        refused(
            get("<options jid='dev7@localhost'/>"),
            Reason::BadRequest,
            Detail::NodeidRequired,
        );
        refused(
            set("<options node='a' jid='dev7@localhost'/>"),
            Reason::BadRequest,
            None,
        );
    }

    #[test]
    fn s6_3_7_options_follow_the_subscription_and_name_nobody() {
        for wrong in [
            "<options/><subscribe node='a' jid='dev7@localhost'/>",
            "<subscribe node='a' jid='dev7@localhost'/><options node='a'/>",
            "<subscribe node='a' jid='dev7@localhost'/><options jid='dev7@localhost'/>",
        ] {
            refused(set(wrong), Reason::BadRequest, None);
        }
    }

    #[test]
    fn s6_4_default_options_are_of_a_node_or_of_all() {
        for (xml, of) in [
            ("<default/>", None),
            ("<default node='a'/>", Some(node("a"))),
        ] {
            let asked = PubsubAction::DefaultOptions { node: of };
            assert_eq!(get(xml).unwrap(), asked);
        }
    }

    #[test]
    fn items_by_number_by_id_and_by_page() {
        let action = get("<items node='a' max_items='2'><item id='1'/></items>\
             <set xmlns='http://jabber.org/protocol/rsm'><max>5</max></set>")
        .unwrap();
        let PubsubAction::Items { ids, max, page, .. } = action else {
            panic!()
        };
        assert_eq!(ids, [item_id("1")]);
        assert_eq!((max, page.unwrap().max), (Some(2), Some(5)));
        refused(
            get("<items node='a' max_items='all'/>"),
            Reason::BadRequest,
            None,
        );
        refused(
            get("<items node='a'><item/></items>"),
            Reason::BadRequest,
            Detail::ItemRequired,
        );
    }

    #[test]
    fn subscriptions_and_affiliations_of_all_nodes_or_one() {
        assert_eq!(
            get("<subscriptions/>").unwrap(),
            PubsubAction::Subscriptions { node: None }
        );
        assert_eq!(
            get("<affiliations node='a'/>").unwrap(),
            PubsubAction::Affiliations {
                node: Some(node("a"))
            }
        );
    }
}

mod s7_requests_of_publishers {
    use super::*;

    #[test]
    fn publish_with_payload_id_and_options() {
        let options = form(ns::PUBSUB_PUBLISH_OPTIONS, "pubsub#persist_items", "1");
        let action = set(&format!(
            "<publish node='a'><item id='1'><t xmlns='urn:t'/></item></publish>\
             <publish-options>{options}</publish-options>"
        ))
        .unwrap();
        let item = NewItem {
            id: Some(item_id("1")),
            payload: Some(Payload::xml("<t xmlns='urn:t'/>".into())),
        };
        assert_eq!(
            action,
            PubsubAction::Publish {
                node: node("a"),
                items: vec![item],
                options: Some(one_field("pubsub#persist_items", "1")),
            }
        );
    }

    #[test]
    fn publish_without_item_and_without_id() {
        for (content, items) in [
            ("<publish node='a'/>", 0),
            ("<publish node='a'><item/></publish>", 1),
            ("<publish node='a'><item id=''/></publish>", 1),
        ] {
            let PubsubAction::Publish { items: found, .. } = set(content).unwrap() else {
                panic!()
            };
            assert_eq!(found.len(), items, "{content}");
            assert!(found.iter().all(|item| item.id.is_none()));
        }
    }

    #[test]
    fn publish_to_no_node_and_of_a_bad_payload() {
        refused(
            set("<publish><item/></publish>"),
            Reason::BadRequest,
            Detail::NodeidRequired,
        );
        refused(
            set("<publish node='a'><item><t/></item></publish>"),
            Reason::BadRequest,
            Detail::InvalidPayload,
        );
    }

    #[test]
    fn options_of_another_form_are_a_bad_request() {
        let options = form(ns::PUBSUB_NODE_CONFIG, "pubsub#persist_items", "1");
        refused(
            set(&format!(
                "<publish node='a'/><publish-options>{options}</publish-options>"
            )),
            Reason::BadRequest,
            None,
        );
    }

    #[test]
    fn retract_names_its_items_and_may_ask_for_notification() {
        let action = set("<retract node='a' notify='true'><item id='1'/></retract>").unwrap();
        assert_eq!(
            action,
            PubsubAction::Retract {
                node: node("a"),
                items: vec![item_id("1")],
                notify: true
            }
        );
        refused(
            set("<retract node='a'/>"),
            Reason::BadRequest,
            Detail::ItemRequired,
        );
        refused(
            set("<retract node='a'><item/></retract>"),
            Reason::BadRequest,
            Detail::ItemRequired,
        );
        refused(
            set("<retract><item id='1'/></retract>"),
            Reason::BadRequest,
            Detail::NodeidRequired,
        );
    }
}

mod s8_requests_of_owners {
    use super::*;

    #[test]
    fn create_named_instant_and_configured() {
        let named = PubsubAction::Create {
            node: Some(node("a")),
            config: Vec::new(),
        };
        assert_eq!(set("<create node='a'/>").unwrap(), named);
        assert_eq!(set("<create node='a'/><configure/>").unwrap(), named);
        let instant = set("<create/>").unwrap();
        assert!(matches!(instant, PubsubAction::Create { node: None, .. }));
        let config = form(ns::PUBSUB_NODE_CONFIG, "pubsub#title", "T");
        let configured = set(&format!(
            "<create node='a'/><configure>{config}</configure>"
        ))
        .unwrap();
        assert!(matches!(configured, PubsubAction::Create { config, .. } if config.len() == 1));
        let long = "x".repeat(2_000);
        refused(
            set(&format!("<create node='{long}'/>")),
            Reason::NotAcceptable,
            None,
        );
    }

    #[test]
    fn configure_asks_submits_and_cancels() {
        assert_eq!(
            owner_get("<configure node='a'/>").unwrap(),
            PubsubAction::GetConfig { node: node("a") }
        );
        refused(
            owner_get("<configure/>"),
            Reason::BadRequest,
            Detail::NodeidRequired,
        );
        refused(owner_set("<configure node='a'/>"), Reason::BadRequest, None);
        let cancelled =
            owner_set("<configure node='a'><x xmlns='jabber:x:data' type='cancel'/></configure>");
        assert!(
            matches!(cancelled.unwrap(), PubsubAction::Configure { config, .. } if config.is_empty())
        );
        assert_eq!(
            owner_get("<default/>").unwrap(),
            PubsubAction::DefaultConfig
        );
    }

    #[test]
    fn delete_may_name_a_successor_and_purge_needs_a_node() {
        let action = owner_set("<delete node='a'><redirect uri='xmpp:x'/></delete>").unwrap();
        assert!(
            matches!(action, PubsubAction::Delete { redirect: Some(uri), .. } if &*uri == "xmpp:x")
        );
        refused(
            owner_set("<purge/>"),
            Reason::BadRequest,
            Detail::NodeidRequired,
        );
    }

    #[test]
    fn s8_4_1_a_redirect_names_a_uri() {
        for redirect in ["<redirect/>", "<redirect uri=''/>", "<redirect uri='a b'/>"] {
            let action = owner_set(&format!("<delete node='a'>{redirect}</delete>"));
            refused(action, Reason::BadRequest, None);
        }
    }

    #[test]
    fn s8_3_2_defaults_are_of_a_type_of_nodes() {
        assert_eq!(
            owner_get("<default type='leaf'/>").unwrap(),
            PubsubAction::DefaultConfig
        );
        refused(
            owner_get("<default type='collection'/>"),
            Reason::FeatureNotImplemented,
            Detail::Unsupported("collections"),
        );
        refused(
            owner_get("<default type='tree'/>"),
            Reason::BadRequest,
            None,
        );
    }

    #[test]
    fn s8_1_3_the_configuration_of_a_new_node_follows_its_name() {
        let form = "<x xmlns='jabber:x:data' type='submit'/>";
        for wrong in [
            format!("<create node='a'/><configure node='a'>{form}</configure>"),
            format!("<configure>{form}</configure><create node='a'/>"),
            "<create node='a'/><configure><x xmlns='jabber:x:data' type='cancel'/></configure>"
                .into(),
            "<create node='a'/><configure><x xmlns='jabber:x:data' type='form'/></configure>"
                .into(),
        ] {
            refused(set(&wrong), Reason::BadRequest, None);
        }
    }

    #[test]
    fn s7_1_5_publish_options_are_a_form_that_is_submitted() {
        let item = "<publish node='a'><item/></publish>";
        for wrong in [
            "<publish-options/>",
            "<publish-options><x xmlns='jabber:x:data' type='cancel'/></publish-options>",
        ] {
            refused(set(&format!("{item}{wrong}")), Reason::BadRequest, None);
        }
    }

    #[test]
    fn subscriptions_and_affiliations_are_deltas() {
        let action = owner_set(
            "<affiliations node='a'><affiliation jid='dev7@localhost/x' affiliation='publish-only'/>\
             <affiliation jid='dev8@localhost'/></affiliations>",
        )
        .unwrap();
        assert_eq!(
            action,
            PubsubAction::SetAffiliations {
                node: node("a"),
                changes: vec![(bare("dev7@localhost"), Affiliation::PublishOnly)],
            }
        );
        let action = owner_set(
            "<subscriptions node='a'><subscription jid='dev7@localhost' subscription='none'/></subscriptions>",
        )
        .unwrap();
        let jid = Jid::parse("dev7@localhost").unwrap();
        assert_eq!(
            action,
            PubsubAction::SetSubscriptions {
                node: node("a"),
                changes: vec![(jid, SubscriptionState::None, None)],
            }
        );
        refused(
            owner_set(
                "<affiliations node='a'><affiliation jid='dev7@localhost' affiliation='king'/></affiliations>",
            ),
            Reason::BadRequest,
            None,
        );
        refused(
            owner_set(
                "<subscriptions node='a'><subscription subscription='none'/></subscriptions>",
            ),
            Reason::BadRequest,
            Detail::JidRequired,
        );
    }

    #[test]
    fn what_is_asked_in_the_wrong_type_or_namespace_is_a_bad_request() {
        for action in [
            set("<items node='a'/>"),
            get("<publish node='a'/>"),
            owner_get("<delete node='a'/>"),
            owner_set("<create node='a'/>"),
            set("<dance node='a'/>"),
            set(""),
        ] {
            refused(action, Reason::BadRequest, None);
        }
    }

    #[test]
    fn answers_go_into_the_namespace_of_the_request() {
        for (action, owner) in [
            (owner_get("<configure node='a'/>"), true),
            (owner_get("<subscriptions node='a'/>"), true),
            (get("<subscriptions node='a'/>"), false),
        ] {
            assert_eq!(wants_owner_reply(&action.unwrap()), owner);
        }
    }
}
