//! One person (or device) of a world: a client, what it waits for, and what it does with what it hears.

use std::collections::HashMap;

use crate::client::{Client, Event, Login, stanza, xml::Element};

use super::{
    DOMAIN, SERVICE,
    chance::Chance,
    hub::LinkId,
    ledger::{Ending, Ledger, Published, Read, Said, Session},
    upheaval::{BOARD, Seat, TENT},
};

/// Items asked for at a time: small, so that reading takes several pages.
const PAGE_ITEMS: u32 = 20;

/// What a query was for.
#[derive(Debug)]
pub(super) enum Asked {
    Publish(usize),
    Page(usize),
    Chore,
    /// Something that others may have made impossible.
    Attempt,
    Join,
    Leave,
    Retract(usize),
}

/// See the module.
pub struct Person {
    /// By number.
    pub index: usize,
    /// The link that is up.
    pub link: Option<LinkId>,
    /// When to sign in again.
    pub comeback: Option<u64>,
    /// When to do something.
    pub next_act: Option<u64>,
    /// What it last announced.
    pub show: &'static str,
    client: Option<Client>,
    asked: HashMap<String, Asked>,
    saying_goodbye: bool,
    sign_ins: u64,
    /// The time of what is being heard.
    pub(super) now: u64,
    pub(super) seat: Seat,
}

/// The localpart of a person.
pub fn name(index: usize) -> String {
    format!("person{index}")
}

/// The bare address of a person.
pub fn bare(index: usize) -> String {
    format!("{}@{DOMAIN}", name(index))
}

/// The password of a person.
pub fn password(index: usize) -> String {
    format!("secret-of-{index}")
}

fn index_of(jid: &str) -> Option<usize> {
    let local = jid.split('@').next()?;
    local.strip_prefix("person")?.parse().ok()
}

impl Person {
    /// Somebody who was never here.
    pub fn new(index: usize) -> Self {
        Self {
            index,
            link: None,
            comeback: None,
            next_act: None,
            show: "",
            client: None,
            asked: HashMap::new(),
            saying_goodbye: false,
            sign_ins: 0,
            now: 0,
            seat: Seat::default(),
        }
    }

    /// Signs in over a new link. Some resources are new each time, so that ghosts of lost links stay for a while; some
    /// are the same, so that they conflict.
    pub fn sign_in(&mut self, link: LinkId, chance: &mut Chance) {
        self.sign_ins += 1;
        let resource = match chance.happens(500) {
            true => "desk".to_owned(),
            false => format!("r{}", self.sign_ins),
        };
        self.client = Some(Client::new(Login {
            name: name(self.index),
            domain: DOMAIN.into(),
            password: password(self.index),
            resource,
            scram: chance.happens(500),
            nonce: format!("nonce{}", self.sign_ins),
        }));
        self.link = Some(link);
        self.comeback = None;
        self.saying_goodbye = false;
        self.asked.clear();
        self.seat = Seat::default();
    }

    /// Whether there is a client, in whatever state.
    pub const fn is_here(&self) -> bool {
        self.client.is_some()
    }

    /// Whether nothing that it asked is unanswered.
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }

    /// Whether it can do something now.
    pub fn can_act(&self, ledger: &Ledger) -> bool {
        let ready = ledger.sessions[self.index]
            .last()
            .is_some_and(|session| session.ready.is_some() && session.ended.is_none());
        ready && !self.saying_goodbye && self.client.as_ref().is_some_and(Client::is_bound)
    }

    /// What is to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.client
            .as_mut()
            .map_or_else(Vec::new, Client::take_output)
    }

    /// Bytes from the hub.
    pub fn input(&mut self, bytes: &[u8], now: u64, ledger: &mut Ledger) {
        let Some(client) = &mut self.client else {
            return;
        };
        if let Err(why) = client.handle_input(bytes) {
            self.complain(ledger, &why);
            return;
        }
        self.now = now;
        while let Some(event) = self.client.as_mut().and_then(Client::next_event) {
            match event {
                Event::Bound(jid) => self.bound(jid, now, ledger),
                Event::Stanza(stanza) => self.hear(&stanza, now, ledger),
                Event::Closed(None) => {
                    let ending = match self.saying_goodbye {
                        true => Ending::Farewell,
                        false => Ending::Cut,
                    };
                    self.end(ending, now, ledger);
                }
                Event::Closed(Some(condition)) => {
                    // A newer session of its own took the resource, or it did not answer a ping in time.
                    let own = ["conflict", "connection-timeout"].contains(&condition.as_str());
                    if !own && !ledger.excuses(&condition) {
                        self.complain(ledger, &format!("stream error {condition}"));
                    }
                    self.end(Ending::Cut, now, ledger);
                }
            }
        }
    }

    /// The link is gone.
    pub fn lost(&mut self, now: u64, ledger: &mut Ledger) {
        self.end(Ending::Cut, now, ledger);
        self.link = None;
    }

    fn end(&mut self, ending: Ending, now: u64, ledger: &mut Ledger) {
        self.client = None;
        if let Some(session) = ledger.session(self.index) {
            session.ended.get_or_insert((now, ending));
        }
        self.asked.clear();
    }

    fn complain(&self, ledger: &mut Ledger, what: &str) {
        ledger
            .complaints
            .push(format!("{}: {what}", name(self.index)));
    }

    fn bound(&mut self, jid: String, now: u64, ledger: &mut Ledger) {
        ledger.sessions[self.index].push(Session {
            jid,
            began: now,
            ready: None,
            ended: None,
            link: self.link.unwrap_or_default(),
            given_up: None,
            told: Default::default(),
            heard: Vec::new(),
            sees: Default::default(),
        });
        self.ask(stanza::roster, Asked::Chore);
        self.show = "";
        self.send(&stanza::presence(""));
    }

    pub(super) fn ask(&mut self, query: impl FnOnce(&str) -> String, asked: Asked) {
        if let Some(client) = &mut self.client {
            let id = client.fresh_id();
            client.send(&query(&id));
            self.asked.insert(id, asked);
        }
    }

    fn send(&mut self, stanza: &str) {
        if let Some(client) = &mut self.client {
            client.send(stanza);
        }
    }

    /// Asks for something whose answer must be a result, and nothing else.
    pub fn chore(&mut self, query: impl FnOnce(&str) -> String) {
        self.ask(query, Asked::Chore);
    }

    /// Publishes the next reading.
    pub fn publish(&mut self, node: &str, now: u64, ledger: &mut Ledger) {
        let number = ledger.published.len();
        let session = ledger.sessions[self.index].len().saturating_sub(1);
        ledger.published.push(Published {
            node: node.into(),
            by: self.index,
            session,
            sent: now,
            answered: None,
            refused: None,
        });
        let item = Ledger::item_id(number);
        let reading = u64::try_from(number).unwrap_or_default();
        self.ask(
            |id| stanza::publish(id, SERVICE, node, &item, reading),
            Asked::Publish(number),
        );
    }

    /// Reads all items of a node.
    pub fn read(&mut self, node: &str, now: u64, ledger: &mut Ledger) {
        let number = ledger.reads.len();
        ledger.reads.push(Read {
            node: node.into(),
            begun: now,
            found: Vec::new(),
            done: false,
        });
        self.ask(
            |id| stanza::items(id, SERVICE, node, PAGE_ITEMS, None),
            Asked::Page(number),
        );
    }

    /// Says something to somebody.
    pub fn say(&mut self, to: usize, now: u64, ledger: &mut Ledger) {
        let number = ledger.said.len();
        let session = ledger.sessions[self.index].len().saturating_sub(1);
        ledger.said.push(Said {
            by: self.index,
            to,
            sent: now,
            session,
            bounced: false,
        });
        self.send(&stanza::chat(
            &format!("m{number}"),
            &bare(to),
            &number.to_string(),
        ));
    }

    /// Announces another availability.
    pub fn announce(&mut self, show: &'static str) {
        self.show = show;
        self.send(&stanza::presence(show));
    }

    /// Asks to see somebody.
    pub fn befriend(&mut self, other: usize) {
        self.send(&stanza::handshake("subscribe", &bare(other)));
    }

    /// Leaves politely.
    pub fn say_goodbye(&mut self) {
        self.saying_goodbye = true;
        if let Some(client) = &mut self.client {
            client.say_goodbye();
        }
    }

    fn hear(&mut self, stanza: &Element, now: u64, ledger: &mut Ledger) {
        match stanza.name.as_str() {
            "presence" => self.hear_presence(stanza, now, ledger),
            "message" => self.hear_message(stanza, ledger),
            "iq" => self.hear_answer(stanza, now, ledger),
            _ => self.complain(ledger, &format!("{stanza:?}")),
        }
    }

    fn hear_presence(&mut self, stanza: &Element, now: u64, ledger: &mut Ledger) {
        let from = stanza.attribute("from").to_owned();
        match stanza.attribute("type") {
            "" => {
                let show = stanza.text_of("show").to_owned();
                if let Some(session) = ledger.session(self.index) {
                    if session.jid == from {
                        session.ready.get_or_insert(now);
                    }
                    session.sees.insert(from, show);
                }
            }
            "unavailable" => {
                if let Some(session) = ledger.session(self.index) {
                    session.sees.remove(&from);
                }
            }
            "subscribe" => self.send(&stanza::handshake("subscribed", &from)),
            "subscribed" => {}
            _ => self.complain(ledger, &format!("{stanza:?}")),
        }
    }

    fn hear_message(&mut self, stanza: &Element, ledger: &mut Ledger) {
        if stanza.attribute("type") == "error" {
            let id = stanza.attribute("id").strip_prefix('m');
            let number = id.and_then(|id| id.parse::<usize>().ok());
            return match number.filter(|_| ledger.excuses(condition(stanza))) {
                Some(number) => ledger.said[number].bounced = true,
                None => self.complain(ledger, &format!("{stanza:?}")),
            };
        }
        if let Some(body) = stanza.child("body") {
            let number = body.text.parse().ok();
            let told = number.and_then(|number: usize| {
                let said = ledger.said.get(number)?;
                let right =
                    index_of(stanza.attribute("from")) == Some(said.by) && said.to == self.index;
                right.then_some(number)
            });
            match (told, ledger.session(self.index)) {
                (Some(number), Some(session)) => session.heard.push(number),
                _ => self.complain(ledger, &format!("nobody said {stanza:?}")),
            }
            return;
        }
        let Some(items) = stanza.at(&["event", "items"]) else {
            let event = stanza.child("event");
            if !event.is_some_and(|event| self.hear_upheaval(event, ledger)) {
                self.complain(ledger, &format!("{stanza:?}"));
            }
            return;
        };
        let node = items.attribute("node");
        if node == TENT && self.is_outside() {
            self.complain(ledger, &format!("told outside of {stanza:?}"));
        }
        if node == TENT && stanza.child("delay").is_some() {
            // Who comes anew is shown the last item, and may have been told of it before.
            return;
        }
        for item in &items.children {
            if item.name == "retract" && node == BOARD {
                continue;
            }
            match (number_of(item, node, ledger), ledger.session(self.index)) {
                (Some(number), Some(session)) => {
                    session.told.entry(node.into()).or_default().push(number);
                }
                _ => self.complain(ledger, &format!("nobody published {item:?} to {node}")),
            }
        }
    }

    fn hear_answer(&mut self, stanza: &Element, now: u64, ledger: &mut Ledger) {
        if ["get", "set"].contains(&stanza.attribute("type")) {
            return; // A ping or a roster push; the client has answered.
        }
        let ok = stanza.attribute("type") == "result";
        match self.asked.remove(stanza.attribute("id")) {
            None => self.complain(ledger, &format!("nobody asked for {stanza:?}")),
            Some(Asked::Publish(number)) => {
                let publish = &mut ledger.published[number];
                match ok {
                    true => publish.answered = Some(now),
                    false => publish.refused = Some(condition(stanza).into()),
                }
            }
            Some(Asked::Page(number)) if ok => self.turn_page(number, stanza, ledger),
            Some(Asked::Chore) if ok => {}
            Some(Asked::Page(_) | Asked::Chore) if ledger.excuses(condition(stanza)) => {}
            Some(asked @ (Asked::Attempt | Asked::Join | Asked::Leave | Asked::Retract(_))) => {
                let refused = (!ok).then(|| condition(stanza));
                if !self.upheaved(&asked, refused, ledger) {
                    self.complain(ledger, &format!("{asked:?} refused: {stanza:?}"));
                }
            }
            Some(asked) => self.complain(ledger, &format!("{asked:?} refused: {stanza:?}")),
        }
    }

    fn turn_page(&mut self, number: usize, stanza: &Element, ledger: &mut Ledger) {
        let node = ledger.reads[number].node.clone();
        let Some(pubsub) = stanza.child("pubsub") else {
            return self.complain(ledger, &format!("{stanza:?}"));
        };
        let items = pubsub.child("items").map_or(&[][..], |it| &it.children);
        for item in items {
            match number_of(item, &node, ledger) {
                Some(found) => ledger.reads[number].found.push(found),
                None => self.complain(ledger, &format!("nobody published {item:?} to {node}")),
            }
        }
        let last = pubsub.at(&["set", "last"]).map(|it| it.text.clone());
        let read = &mut ledger.reads[number];
        // The hub may give fewer than were asked for: only an empty page, or the count, says that it was the last.
        let all = pubsub
            .at(&["set", "count"])
            .and_then(|it| it.text.parse().ok());
        match last {
            Some(last)
                if !items.is_empty() && all.is_none_or(|all: usize| read.found.len() < all) =>
            {
                self.ask(
                    |id| stanza::items(id, SERVICE, &node, PAGE_ITEMS, Some(&last)),
                    Asked::Page(number),
                )
            }
            _ => read.done = true,
        }
    }
}

/// The condition of an error.
fn condition(stanza: &Element) -> &str {
    let error = stanza.child("error").and_then(|it| it.children.first());
    error.map_or("", |it| &it.name)
}

/// Which publish an item came from; `None` if its id, its payload or its node are not those of one.
fn number_of(item: &Element, node: &str, ledger: &Ledger) -> Option<usize> {
    let number = Ledger::publish_of(item.attribute("id"))?;
    let payload = item.child("reading")?;
    let right = payload.text == number.to_string()
        && payload.attribute("xmlns") == stanza::READING
        && ledger.published.get(number)?.node == node;
    right.then_some(number)
}
