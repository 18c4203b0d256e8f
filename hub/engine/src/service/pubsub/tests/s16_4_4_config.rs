//! XEP-0060 §16.4.4: every field of the configuration is kept as it was set, and the hub's own options with their bounds.

use super::world::*;
use crate::{
    address::Jid,
    class::Class,
    command::{Field, PubsubAction, PubsubReply, Reply},
    item::{AccessModel, History, ItemReply, NodeConfig, NodeFull, PublishModel, SendLastItem},
    limits::Limits,
    message::MessageKind,
    refusal::{Reason, Refusal},
};

fn field(var: &str, values: &[&str]) -> Field {
    Field {
        var: var.into(),
        values: values.iter().map(|&value| value.into()).collect(),
    }
}

fn own(pairs: &[(&str, &str)]) -> Vec<Field> {
    let field = |&(var, value): &(&str, &str)| field(&format!("leveret#{var}"), &[value]);
    pairs.iter().map(field).collect()
}

fn configure(world: &mut World, config: Vec<Field>) -> Result<Reply, Refusal> {
    let action = PubsubAction::Configure {
        node: node("free/a"),
        config,
    };
    world.ask(&device("owner"), action)
}

fn config(world: &mut World) -> NodeConfig {
    let get = PubsubAction::GetConfig {
        node: node("free/a"),
    };
    match pubsub(world.ask(&device("owner"), get)) {
        PubsubReply::Config { config, .. } => *config,
        other => panic!("{other:?}"),
    }
}

fn with_node() -> World {
    let mut world = World::new();
    world.create(&device("owner"), "free/a", &[]);
    world
}

#[test]
fn every_field_is_kept_as_it_was_set_and_survives_the_store() {
    let mut world = with_node();
    let fields = vec![
        field("pubsub#title", &["T"]),
        field("pubsub#description", &["D", "second line"]),
        field("pubsub#type", &["urn:t"]),
        field("pubsub#language", &["de"]),
        field("pubsub#contact", &["help@localhost", "x@localhost/r"]),
        field("pubsub#body_xslt", &["https://localhost/b.xsl"]),
        field("pubsub#dataform_xslt", &["https://localhost/d.xsl"]),
        field("pubsub#access_model", &["roster"]),
        field("pubsub#roster_groups_allowed", &["Family", "Work"]),
        field("pubsub#publish_model", &["subscribers"]),
        field("pubsub#subscribe", &["0"]),
        field("pubsub#max_items", &["7"]),
        field("pubsub#max_payload_size", &["1000"]),
        field("pubsub#item_expire", &["3600"]),
        field("pubsub#publish_node_full", &["reject"]),
        field("pubsub#deliver_payloads", &["0"]),
        field("pubsub#presence_based_delivery", &["1"]),
        field("pubsub#purge_offline", &["1"]),
        field("pubsub#tempsub", &["1"]),
        field("pubsub#notify_config", &["1"]),
        field("pubsub#notify_delete", &["0"]),
        field("pubsub#notify_retract", &["0"]),
        field("pubsub#notify_sub", &["1"]),
        field("pubsub#notification_type", &["chat"]),
        field("pubsub#send_last_published_item", &["on_sub_and_presence"]),
        field("pubsub#itemreply", &["publisher"]),
        field("leveret#class", &["state"]),
        field("leveret#history_items", &["100"]),
        field("leveret#history_age", &["86400"]),
        field("leveret#history_bytes", &["65536"]),
    ];
    configure(&mut world, fields).unwrap();
    world.restart();
    let expected = NodeConfig {
        title: "T".into(),
        description: "D\nsecond line".into(),
        payload_type: "urn:t".into(),
        language: "de".into(),
        contact: ["help@localhost", "x@localhost/r"]
            .map(|jid| Jid::parse(jid).unwrap())
            .into(),
        body_xslt: "https://localhost/b.xsl".into(),
        dataform_xslt: "https://localhost/d.xsl".into(),
        access_model: AccessModel::Roster,
        roster_groups_allowed: ["Family".into(), "Work".into()].into(),
        publish_model: PublishModel::Subscribers,
        subscribe: false,
        max_items: 7,
        max_payload_size: 1_000,
        item_expire: Some(3_600),
        publish_node_full: NodeFull::Reject,
        persist_items: true,
        deliver_payloads: false,
        deliver_notifications: true,
        presence_based_delivery: true,
        purge_offline: true,
        tempsub: true,
        notify_config: true,
        notify_delete: false,
        notify_retract: false,
        notify_sub: true,
        notification_type: MessageKind::Chat,
        send_last_published_item: SendLastItem::OnSubAndPresence,
        itemreply: Some(ItemReply::Publisher),
        class: Some(Class::State),
        history: Some(History {
            items: 100,
            age_seconds: Some(86_400),
            bytes: Some(65_536),
        }),
    };
    assert_eq!(config(&mut world), expected);
}

#[test]
fn a_field_without_value_empties_a_text_or_list_and_is_wrong_elsewhere() {
    let mut world = with_node();
    configure(&mut world, fields(&[("title", "T"), ("language", "de")])).unwrap();
    let empty = |var| vec![field(var, &[])];
    for var in [
        "pubsub#title",
        "pubsub#language",
        "pubsub#contact",
        "pubsub#roster_groups_allowed",
    ] {
        configure(&mut world, empty(var)).unwrap();
    }
    let config = config(&mut world);
    assert_eq!((&*config.title, &*config.language), ("", ""));
    for var in [
        "pubsub#max_items",
        "pubsub#persist_items",
        "pubsub#publish_model",
    ] {
        refused(
            configure(&mut world, empty(var)),
            Reason::NotAcceptable,
            None,
        );
    }
}

#[test]
fn xep0004_s3_2_a_field_that_is_there_twice_changes_nothing() {
    let mut world = with_node();
    let reply = configure(&mut world, fields(&[("title", "A"), ("title", "B")]));
    refused(reply, Reason::NotAcceptable, None);
    assert_eq!(&*config(&mut world).title, "");
}

#[test]
fn the_history_is_one_option_in_three_fields_with_bounds() {
    let mut world = World::with(Limits {
        items_per_node: 50,
        ..Limits::default()
    });
    world.create(&device("owner"), "free/a", &[]);
    for contradiction in [
        &[("history_age", "60")][..],
        &[("history_bytes", "60")],
        &[("history_items", "51")],
        &[("history_items", "-1")],
        &[("history_items", "9"), ("history_age", "0")],
        &[("history_items", "default"), ("history_age", "60")],
    ] {
        let reply = configure(&mut world, own(contradiction));
        refused(reply, Reason::NotAcceptable, None);
    }
    configure(
        &mut world,
        own(&[("history_items", "max"), ("history_age", "60")]),
    )
    .unwrap();
    configure(&mut world, own(&[("history_bytes", "1000")])).unwrap();
    let history = config(&mut world).history.unwrap();
    assert_eq!((history.items, history.age_seconds), (50, Some(60)));
    assert_eq!(history.bytes, Some(1_000));
    // What is not kept has no past.
    let reply = configure(&mut world, fields(&[("persist_items", "0")]));
    refused(reply, Reason::NotAcceptable, None);
    configure(
        &mut world,
        own(&[("history_items", "default"), ("history_age", "max")]),
    )
    .unwrap();
    assert_eq!(config(&mut world).history, None);
}

#[test]
fn s1_the_owner_chooses_a_class_and_the_rules_decide_before() {
    let mut world = with_node();
    configure(&mut world, own(&[("class", "state")])).unwrap();
    world.publish(&device("owner"), "free/a", "1").unwrap();
    let class = |world: &World, name: &str| {
        let at = crate::node::NodeAddress::of_service(node(name));
        world.store.nodes[&at].1.last().unwrap().class
    };
    assert_eq!(class(&world, "free/a"), Class::State);
    let action = PubsubAction::Create {
        node: Some(node("free/fall/a")),
        config: own(&[("class", "state")]),
    };
    world.ask(&device("owner"), action).unwrap();
    world.publish(&device("owner"), "free/fall/a", "1").unwrap();
    assert_eq!(class(&world, "free/fall/a"), Class::Alarm);
}

#[test]
fn only_whom_a_rule_lets_configure_may_choose_alarm() {
    let mut world = with_node();
    let reply = configure(&mut world, own(&[("class", "alarm")]));
    refused(reply, Reason::Forbidden, None);
    assert_eq!(config(&mut world).class, None);
    // A device's own place is the device's by the rules (DESIGN §7).
    let action = PubsubAction::Create {
        node: Some(node("devices/owner/fall")),
        config: own(&[("class", "alarm")]),
    };
    world.ask(&device("owner"), action).unwrap();
    let deaf = PubsubAction::Configure {
        node: node("devices/owner/fall"),
        config: fields(&[("deliver_notifications", "0")]),
    };
    refused(
        world.ask(&device("owner"), deaf),
        Reason::NotAcceptable,
        None,
    );
}
