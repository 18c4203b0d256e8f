//! What the hub answers goes through the library's typed parsers, which refuse each element and attribute that their
//! document does not name: configuration, items, notifications, personal nodes, discovery, the archive of a node.

use tokio_xmpp::jid::BareJid;
use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::{
    blocking::BlocklistResult,
    bookmarks2::Conference,
    data_forms::DataForm,
    disco::{DiscoInfoResult, DiscoItemsResult},
    mam::{Fin, Result_},
    pubsub::{Event, Owner, PubSub, event, owner},
};
use tokio_xmpp::{IqRequest, Stanza};

use crate::{Outcome, PUBSUB, Side, element};

const OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
const BOOKMARKS: &str = "urn:xmpp:bookmarks:1";
const MAM: &str = "urn:xmpp:mam:2";

/// Parses an answer as the library's type for it.
fn typed<T: TryFrom<Element>>(what: &str, answer: Option<Element>) -> Outcome<T>
where
    T::Error: std::fmt::Debug,
{
    let answer = answer.ok_or_else(|| format!("{what}: an empty answer"))?;
    let text = String::from(&answer);
    let parsed = T::try_from(answer).map_err(|error| format!("{what}: {error:?} in {text}"))?;
    println!("ok {what}");
    Ok(parsed)
}

fn claim(holds: bool, what: &str, seen: &dyn std::fmt::Debug) -> Outcome<()> {
    if holds {
        println!("ok {what}");
        Ok(())
    } else {
        Err(format!("{what}: {seen:?}").into())
    }
}

impl Side {
    async fn get(&mut self, to: Option<&str>, query: &str) -> Outcome<Option<Element>> {
        self.ask(to, IqRequest::Get(element(query))).await
    }

    async fn set(&mut self, to: Option<&str>, query: &str) -> Outcome<Option<Element>> {
        self.ask(to, IqRequest::Set(element(query))).await
    }
}

/// A node of the service, from its form to its archive.
pub async fn service(device: &mut Side, console: &mut Side, service: &str) -> Outcome<()> {
    let info: DiscoInfoResult = typed(
        "the service describes itself",
        device
            .get(
                Some(service),
                "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            )
            .await?,
    )?;
    let is_service = |identity: &tokio_xmpp::parsers::disco::Identity| {
        (&*identity.category, &*identity.type_) == ("pubsub", "service")
    };
    claim(
        info.identities.iter().any(is_service),
        "it is a pubsub service",
        &info.identities,
    )?;
    let node = format!(
        "devices/{}/strict",
        device.jid.node().ok_or("a JID without a name")?
    );
    let form = |fields: &str| {
        format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
             <value>{PUBSUB}#node_config</value></field>{fields}</x>"
        )
    };
    let history = "<field var='leveret#history_items'><value>100</value></field>\
                   <field var='pubsub#max_items'><value>2</value></field>\
                   <field var='pubsub#notify_config'><value>1</value></field>";
    device
        .set(
            Some(service),
            &format!(
                "<pubsub xmlns='{PUBSUB}'><create node='{node}'/><configure>{}</configure></pubsub>",
                form(history)
            ),
        )
        .await?;
    let configured: Owner = typed(
        "a node's configuration is a form",
        device
            .get(
                Some(service),
                &format!("<pubsub xmlns='{OWNER}'><configure node='{node}'/></pubsub>"),
            )
            .await?,
    )?;
    let kept = match &configured.payload {
        owner::Payload::Configure {
            form: Some(form), ..
        } => value(form, "pubsub#max_items"),
        _ => None,
    };
    claim(
        kept.as_deref() == Some("2"),
        "it says how many items are kept",
        &configured,
    )?;
    let console_jid = console.jid.to_bare();
    let joined: PubSub = typed(
        "a subscription is answered as one",
        console
            .set(
                Some(service),
                &format!(
                    "<pubsub xmlns='{PUBSUB}'><subscribe node='{node}' jid='{console_jid}'/></pubsub>"
                ),
            )
            .await?,
    )?;
    claim(
        matches!(joined, PubSub::Subscription(_)),
        "it is a subscription",
        &joined,
    )?;
    for number in 0..5 {
        publish(device, Some(service), &node, &format!("s{number}"), number).await?;
        let heard = console.event("a notification is one", &node).await?;
        let event::Payload::Items { published, .. } = heard else {
            return Err(format!("{heard:?}").into());
        };
        let id = published.first().and_then(|item| item.id.clone());
        claim(
            id.is_some_and(|id| id.0 == format!("s{number}")),
            "it tells of the item",
            &published,
        )?;
    }
    let items: PubSub = typed(
        "items are answered as items",
        console
            .get(
                Some(service),
                &format!("<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>"),
            )
            .await?,
    )?;
    match items {
        PubSub::Items(items) => claim(
            items.items.len() == 2,
            "two of them, as configured",
            &items.items,
        )?,
        other => return Err(format!("{other:?}").into()),
    }
    archive(console, service, &node).await?;
    let tree: DiscoItemsResult = typed(
        "the tree can be walked",
        device
            .get(
                Some(service),
                "<query xmlns='http://jabber.org/protocol/disco#items'/>",
            )
            .await?,
    )?;
    let first = |item: &tokio_xmpp::parsers::disco::Item| item.node.as_deref() == Some("devices");
    claim(
        tree.items.iter().any(first),
        "its first level has the devices",
        &tree.items,
    )?;
    device
        .set(
            Some(service),
            &format!("<pubsub xmlns='{OWNER}'><delete node='{node}'/></pubsub>"),
        )
        .await?;
    let heard = console.event("the end is told", &node).await?;
    claim(
        matches!(heard, event::Payload::Delete { .. }),
        "it says deleted",
        &heard,
    )
}

/// XEP-0313, XEP-0442: what the node no longer shows is still in its history, in pages.
async fn archive(console: &mut Side, service: &str, node: &str) -> Outcome<()> {
    let fin: Fin = typed(
        "a query of the archive ends as it should",
        console
            .set(
                Some(service),
                &format!(
                    "<query xmlns='{MAM}' queryid='q' node='{node}'>\
                     <set xmlns='http://jabber.org/protocol/rsm'><max>4</max></set></query>"
                ),
            )
            .await?,
    )?;
    claim(!fin.complete, "there is more than a page", &fin)?;
    for _ in 0..4 {
        console
            .expect("an archived item is a forwarded notification", |stanza| {
                let Stanza::Message(message) = stanza else {
                    return None;
                };
                let result = message.payloads.iter().find(|it| it.is("result", MAM))?;
                Result_::try_from(result.clone()).ok().map(drop)
            })
            .await?;
    }
    Ok(())
}

/// Personal nodes: a bookmark is kept, heard by the account's own resource, and by nobody else.
pub async fn personal(device: &mut Side, console: &mut Side, owner: &BareJid) -> Outcome<()> {
    let info: DiscoInfoResult = typed(
        "an account describes itself",
        device
            .get(
                Some(owner.as_str()),
                "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            )
            .await?,
    )?;
    let is_pep = |identity: &tokio_xmpp::parsers::disco::Identity| {
        (&*identity.category, &*identity.type_) == ("pubsub", "pep")
    };
    claim(
        info.identities.iter().any(is_pep),
        "it has personal nodes",
        &info.identities,
    )?;
    let options = format!(
        "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>{PUBSUB}#publish-options</value></field>\
         <field var='pubsub#persist_items'><value>true</value></field>\
         <field var='pubsub#max_items'><value>max</value></field>\
         <field var='pubsub#send_last_published_item'><value>never</value></field>\
         <field var='pubsub#access_model'><value>whitelist</value></field></x></publish-options>"
    );
    let bookmark = format!("<conference xmlns='{BOOKMARKS}' name='Night shift' autojoin='true'/>");
    device
        .set(
            None,
            &format!(
                "<pubsub xmlns='{PUBSUB}'><publish node='{BOOKMARKS}'><item id='night@muc.localhost'>{bookmark}</item>\
                 </publish>{options}</pubsub>"
            ),
        )
        .await?;
    let kept: PubSub = typed(
        "a bookmark can be read",
        device
            .get(
                None,
                &format!("<pubsub xmlns='{PUBSUB}'><items node='{BOOKMARKS}'/></pubsub>"),
            )
            .await?,
    )?;
    let payload = match kept {
        PubSub::Items(items) => items.items.into_iter().next().and_then(|item| item.payload),
        other => return Err(format!("{other:?}").into()),
    };
    let conference: Conference = typed("it is a bookmark", payload)?;
    claim(
        conference.autojoin && conference.name.as_deref() == Some("Night shift"),
        "it is as it was",
        &conference,
    )?;
    let others = console
        .get(
            Some(owner.as_str()),
            &format!("<pubsub xmlns='{PUBSUB}'><items node='{BOOKMARKS}'/></pubsub>"),
        )
        .await;
    claim(others.is_err(), "it is nobody else's to read", &others)?;
    let blocked: BlocklistResult = typed(
        "the list of the blocked is one",
        device
            .get(None, "<blocklist xmlns='urn:xmpp:blocking'/>")
            .await?,
    )?;
    claim(blocked.items.is_empty(), "it is empty", &blocked)
}

impl Side {
    /// The next event of a node, by the library's type.
    async fn event(&mut self, what: &str, node: &str) -> Outcome<event::Payload> {
        self.expect(what, |stanza| {
            let Stanza::Message(message) = stanza else {
                return None;
            };
            let event = message
                .payloads
                .iter()
                .find(|it| it.is("event", crate::EVENT))?;
            let event = Event::try_from(event.clone()).ok()?;
            (event.payload.node_name().0 == node).then_some(event.payload)
        })
        .await
    }
}

async fn publish(
    side: &mut Side,
    to: Option<&str>,
    node: &str,
    id: &str,
    number: u32,
) -> Outcome<()> {
    side.set(
        to,
        &format!(
            "<pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='{id}'>\
             <reading xmlns='urn:example:reading'>{number}</reading></item></publish></pubsub>"
        ),
    )
    .await?;
    Ok(())
}

fn value(form: &DataForm, var: &str) -> Option<String> {
    let field = form
        .fields
        .iter()
        .find(|field| field.var.as_deref() == Some(var))?;
    field.values.first().cloned()
}
