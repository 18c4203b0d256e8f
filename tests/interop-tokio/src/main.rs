//! Two tokio-xmpp clients meet on a running server: a device over STARTTLS, a console over direct TLS.
//!
//! Given by the environment: `XMPP_ADDR`, `XMPP_TLS_ADDR`, `XMPP_DEVICE`, `XMPP_CONSOLE` (bare JIDs), `XMPP_PASSWORD` (of
//! both), `XMPP_PUBSUB`; and `SSL_CERT_FILE`, the authority that the library checks the server's certificate with. The
//! library binds SCRAM to the TLS session (`tls-exporter`) by itself where the server offers a -PLUS mechanism.
//! Prints one line per claim that held; exit status 0 if all did.

mod strict;

use std::env;
use std::error::Error;
use std::time::Duration;

use futures::StreamExt;
use tokio_xmpp::connect::DnsConfig;
use tokio_xmpp::jid::{BareJid, Jid};
use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::message::{Lang, Message, MessageType};
use tokio_xmpp::parsers::presence::{Presence, Type};
use tokio_xmpp::xmlstream::Timeouts;
use tokio_xmpp::{Client, Event, IqRequest, IqResponse, Stanza};

type Outcome<T> = Result<T, Box<dyn Error>>;

const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long to wait for the first sign-in, unless `XMPP_PATIENCE_SECONDS` says otherwise: the library goes on trying.
const SIGN_IN_TIME: Duration = Duration::from_secs(10);
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
const EVENT: &str = "http://jabber.org/protocol/pubsub#event";
const JSON: &str = "urn:xmpp:json:0";

/// One client, and the stanzas that came in and were not yet expected.
struct Side {
    name: &'static str,
    client: Client,
    jid: Jid,
    waiting: Vec<Stanza>,
}

impl Side {
    /// Waits until the client is online.
    async fn online(name: &'static str, mut client: Client, patience: Duration) -> Outcome<Side> {
        let online = async {
            loop {
                match client.next().await {
                    Some(Event::Online { bound_jid, .. }) => return Ok(bound_jid),
                    Some(Event::Disconnected(error)) => return Err(format!("{name}: {error}")),
                    Some(Event::Stanza(_)) => {}
                    None => return Err(format!("{name}: the stream ended")),
                }
            }
        };
        let jid = tokio::time::timeout(patience, online)
            .await
            .map_err(|_| format!("{name}: not online in time"))??;
        println!("ok {name} is online as {jid}");
        Ok(Side {
            name,
            client,
            jid,
            waiting: Vec::new(),
        })
    }

    async fn send(&mut self, stanza: impl Into<Stanza>) -> Outcome<()> {
        self.client.send_stanza(stanza.into()).await?;
        Ok(())
    }

    /// Sends an IQ and returns the result's payload.
    async fn ask(&mut self, to: Option<&str>, request: IqRequest) -> Outcome<Option<Element>> {
        let to = to.map(Jid::new).transpose()?;
        let mut answer = self.client.send_iq(to, request).await;
        let answer = tokio::time::timeout(ANSWER_TIME, async {
            loop {
                tokio::select! {
                    answer = &mut answer => return answer,
                    event = self.client.next() => if let Some(Event::Stanza(stanza)) = event {
                        self.waiting.push(stanza);
                    },
                }
            }
        });
        match answer
            .await
            .map_err(|_| format!("{}: no answer", self.name))?
        {
            Ok(IqResponse::Result(payload)) => Ok(payload),
            Ok(IqResponse::Error(error)) => {
                Err(format!("{}: refused: {:?}", self.name, error.defined_condition).into())
            }
            Err(failure) => Err(format!("{}: {failure}", self.name).into()),
        }
    }

    /// Takes the first stanza for which `wanted` finds something, waiting for it if need be.
    async fn expect<T>(
        &mut self,
        claim: &str,
        wanted: impl Fn(&Stanza) -> Option<T>,
    ) -> Outcome<T> {
        let found = tokio::time::timeout(ANSWER_TIME, async {
            loop {
                if let Some((at, found)) = self
                    .waiting
                    .iter()
                    .enumerate()
                    .find_map(|(at, stanza)| Some((at, wanted(stanza)?)))
                {
                    self.waiting.remove(at);
                    return Ok(found);
                }
                match self.client.next().await {
                    Some(Event::Stanza(stanza)) => self.waiting.push(stanza),
                    Some(Event::Disconnected(error)) => return Err(error.to_string()),
                    Some(Event::Online { .. }) => {
                        return Err("a second stream was needed".to_owned());
                    }
                    None => return Err("the stream ended".to_owned()),
                }
            }
        });
        let found = found.await.map_err(|_| {
            format!(
                "{} waited in vain: {claim}; it holds {:?}",
                self.name, self.waiting
            )
        })?;
        let found = found.map_err(|error| format!("{}: {claim}: {error}", self.name))?;
        println!("ok {claim}");
        Ok(found)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let given = |name: &str| env::var(name).map_err(|_| format!("{name} is not set"));
    let (device_jid, console_jid) = (
        BareJid::new(&given("XMPP_DEVICE")?)?,
        BareJid::new(&given("XMPP_CONSOLE")?)?,
    );
    let (password, service) = (given("XMPP_PASSWORD")?, given("XMPP_PUBSUB")?);
    let (addr, tls_addr) = (given("XMPP_ADDR")?, given("XMPP_TLS_ADDR")?);

    let patience = match env::var("XMPP_PATIENCE_SECONDS") {
        Ok(seconds) => Duration::from_secs(seconds.parse()?),
        Err(_) => SIGN_IN_TIME,
    };

    let client = Client::new_starttls(
        device_jid.clone(),
        password.clone(),
        DnsConfig::addr(&addr),
        Timeouts::default(),
    );
    let mut device = Side::online("device", client, patience).await?;
    let client = Client::new_direct_tls_with_config(
        console_jid.clone(),
        password,
        DnsConfig::addr(&tls_addr),
        Timeouts::default(),
    );
    let mut console = Side::online("console", client, patience).await?;

    rosters(&mut console, &device_jid).await?;
    subscriptions(&mut device, &mut console, &device_jid, &console_jid).await?;
    messages(&mut device, &mut console).await?;
    publishing(&mut device, &mut console, &service, &console_jid).await?;
    strict::service(&mut device, &mut console, &service).await?;
    strict::personal(&mut device, &mut console, &device_jid).await?;

    let gone = device.jid.clone();
    device.client.send_end().await?;
    console
        .expect("the console sees the device go", |stanza| {
            presence_of(stanza, &gone, Type::Unavailable)
        })
        .await?;
    console.client.send_end().await?;
    println!("all held");
    Ok(())
}

async fn rosters(console: &mut Side, device: &BareJid) -> Outcome<()> {
    let get = || IqRequest::Get(element("<query xmlns='jabber:iq:roster'/>"));
    let items = |roster: Option<Element>| {
        roster
            .map(|roster| roster.children().count())
            .unwrap_or_default()
    };
    if items(console.ask(None, get()).await?) != 0 {
        return Err("a new roster holds something".into());
    }
    console
        .ask(
            None,
            IqRequest::Set(element(&format!(
                "<query xmlns='jabber:iq:roster'><item jid='{device}' name='D'/></query>"
            ))),
        )
        .await?;
    if items(console.ask(None, get()).await?) != 1 {
        return Err("the roster does not hold what was put there".into());
    }
    println!("ok the console's roster holds the device");
    Ok(())
}

async fn subscriptions(
    device: &mut Side,
    console: &mut Side,
    device_jid: &BareJid,
    console_jid: &BareJid,
) -> Outcome<()> {
    device.send(Presence::available()).await?;
    console.send(Presence::available()).await?;
    console
        .send(Presence::subscribe().with_to(device_jid.clone()))
        .await?;
    let from = Jid::from(console_jid.clone());
    device
        .expect("the device is asked for its presence", |stanza| {
            presence_of(stanza, &from, Type::Subscribe)
        })
        .await?;
    device
        .send(Presence::subscribed().with_to(console_jid.clone()))
        .await?;
    let from = Jid::from(device_jid.clone());
    console
        .expect("the console may see it", |stanza| {
            presence_of(stanza, &from, Type::Subscribed)
        })
        .await?;
    let from = device.jid.clone();
    console
        .expect("the console sees the device", |stanza| {
            presence_of(stanza, &from, Type::None)
        })
        .await
}

async fn messages(device: &mut Side, console: &mut Side) -> Outcome<()> {
    let mut message = Message::new(Some(device.jid.clone()));
    message.type_ = MessageType::Chat;
    message
        .bodies
        .insert(Lang::default(), "blink <twice> & \u{1f407}".to_owned());
    console.send(message).await?;
    let from = console.jid.clone();
    device
        .expect(
            "the device gets a message, its text whole",
            |stanza| match stanza {
                Stanza::Message(message) if message.from.as_ref() == Some(&from) => message
                    .bodies
                    .values()
                    .any(|body| body == "blink <twice> & \u{1f407}")
                    .then_some(()),
                _ => None,
            },
        )
        .await
}

async fn publishing(
    device: &mut Side,
    console: &mut Side,
    service: &str,
    console_jid: &BareJid,
) -> Outcome<()> {
    let node = format!(
        "devices/{}/temperature",
        device.jid.node().ok_or("a JID without a name")?
    );
    let create = format!("<pubsub xmlns='{PUBSUB}'><create node='{node}'/></pubsub>");
    device
        .ask(Some(service), IqRequest::Set(element(&create)))
        .await?;
    let subscribe =
        format!("<pubsub xmlns='{PUBSUB}'><subscribe node='{node}' jid='{console_jid}'/></pubsub>");
    console
        .ask(Some(service), IqRequest::Set(element(&subscribe)))
        .await?;
    println!("ok the console subscribes to {node}");

    for celsius in ["21.5", "22.0", "22.5"] {
        let json = format!("{{\"celsius\": {celsius}}}");
        let publish = format!(
            "<pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='t{celsius}'><json xmlns='{JSON}'>{json}</json></item></publish></pubsub>"
        );
        device
            .ask(Some(service), IqRequest::Set(element(&publish)))
            .await?;
        let heard = console
            .expect("the console hears a reading", |stanza| {
                reading(stanza, &node)
            })
            .await?;
        if heard != (format!("t{celsius}"), json.clone()) {
            return Err(format!("heard {heard:?}, published {json}").into());
        }
    }
    let items = format!("<pubsub xmlns='{PUBSUB}'><items node='{node}' max_items='1'/></pubsub>");
    let kept = console
        .ask(Some(service), IqRequest::Get(element(&items)))
        .await?
        .ok_or("an empty answer")?;
    let last = kept
        .get_child("items", PUBSUB)
        .and_then(|items| items.get_child("item", PUBSUB))
        .and_then(|item| item.attr("id"));
    if last != Some("t22.5") {
        return Err(format!("the last item is {last:?}").into());
    }
    println!("ok the last reading is kept");
    Ok(())
}

/// Item id and text of the JSON payload of an event of this node.
fn reading(stanza: &Stanza, node: &str) -> Option<(String, String)> {
    let Stanza::Message(message) = stanza else {
        return None;
    };
    let event = message
        .payloads
        .iter()
        .find(|payload| payload.is("event", EVENT))?;
    let items = event
        .get_child("items", EVENT)
        .filter(|items| items.attr("node") == Some(node))?;
    let item = items.get_child("item", EVENT)?;
    Some((
        item.attr("id")?.to_owned(),
        item.get_child("json", JSON)?.text(),
    ))
}

fn presence_of(stanza: &Stanza, from: &Jid, kind: Type) -> Option<()> {
    matches!(stanza, Stanza::Presence(presence) if presence.from.as_ref() == Some(from) && presence.type_ == kind).then_some(())
}

/// An element written in this file, so that it cannot be wrong at run time.
fn element(text: &str) -> Element {
    text.parse().expect("well-formed")
}
