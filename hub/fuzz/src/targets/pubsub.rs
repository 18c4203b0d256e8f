//! Three sessions of two accounts and the router between them, with a store in memory that sometimes fails: whatever they
//! say, all hear well-formed XML, every question is answered once, and nothing of them stays behind.

mod store;

use std::{sync::Arc, time::Duration};

use leveret_engine::{
    access::{AccessRules, Action as AccessAction, Rule, Who},
    address::BareJid,
    class::{Class, ClassRule, ClassRules},
    command::{Command, SessionId},
    history::{HistoryRule, HistoryRules},
    item::History,
    limits::Limits,
    mailbox::{Entry, MailboxBudget},
    router::{Router, RouterSettings},
    time::{Now, Timestamp},
    xmpp::{
        framing::Content,
        output::{Action, Output},
        session::{LinkSecurity, XmppSession, XmppShared},
        xml::Tree,
    },
};

use self::store::Store;
use super::session::{AUTH, AUTH_ROMEO, BIND, HEADER, assert_well_formed};

/// What clients say to pubsub and to each other.
pub const DICTIONARY: &[&str] = &[
    // Ends one session's turn: the next one speaks. After the second, time has passed.
    "\0",
    "\u{1}",
    "<presence/>",
    "<presence type='unavailable'/>",
    "<presence type='subscribe' to='juliet@localhost'/>",
    "<presence type='subscribed' to='juliet@localhost'/>",
    "<presence to='juliet@localhost/r'/>",
    "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='juliet@localhost'/></query></iq>",
    "<message to='juliet@localhost' type='chat'><body>x</body></message>",
    "<iq type='get' id='1' to='pubsub.localhost'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    "<iq type='get' id='1' to='pubsub.localhost'><query xmlns='http://jabber.org/protocol/disco#info' node='devices/juliet/t'/></iq>",
    "<iq type='set' id='1' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub'>",
    "<iq type='get' id='1' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub'>",
    "<iq type='set' id='1' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>",
    "<iq type='get' id='1' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>",
    "</pubsub></iq>",
    "<create node='devices/juliet/t'/>",
    "<publish node='devices/juliet/t'><item id='a'><t xmlns='urn:t'>1</t></item></publish>",
    "<publish node='devices/juliet/alarm'><item id='a'><t xmlns='urn:t'>1</t></item></publish>",
    "<retract node='devices/juliet/t' notify='1'><item id='a'/></retract>",
    "<subscribe node='devices/juliet/t' jid='juliet@localhost'/>",
    "<subscribe node='devices/juliet/t' jid='juliet@localhost/r'/>",
    "<subscribe node='devices/juliet/#' jid='juliet@localhost'/>",
    "<subscribe node='devices/juliet/+' jid='juliet@localhost/r'/>",
    "<unsubscribe node='devices/juliet/t' jid='juliet@localhost'/>",
    "<unsubscribe node='devices/juliet/#' jid='juliet@localhost'/>",
    "<items node='devices/juliet/t'/>",
    "<items node='devices/juliet/t' max_items='1'><item id='a'/></items>",
    "<subscriptions/>",
    "<affiliations/>",
    "<configure node='devices/juliet/t'/>",
    "<configure node='devices/juliet/t'><x xmlns='jabber:x:data' type='submit'>",
    "<field var='pubsub#access_model'><value>whitelist</value></field>",
    "<field var='pubsub#max_items'><value>1</value></field>",
    "<field var='pubsub#persist_items'><value>0</value></field>",
    "<field var='pubsub#notify_sub'><value>1</value></field>",
    "</x></configure>",
    "<delete node='devices/juliet/t'/>",
    "<purge node='devices/juliet/t'/>",
    "<affiliations node='devices/juliet/t'><affiliation jid='juliet@localhost' affiliation='owner'/></affiliations>",
    "<affiliations node='devices/juliet/t'><affiliation jid='romeo@localhost' affiliation='outcast'/></affiliations>",
    "<subscriptions node='devices/juliet/t'><subscription jid='juliet@localhost' subscription='none'/></subscriptions>",
    // Personal nodes, of the speaker and of the other account.
    "<iq type='set' id='1'><pubsub xmlns='http://jabber.org/protocol/pubsub'>",
    "<iq type='get' id='1'><pubsub xmlns='http://jabber.org/protocol/pubsub'>",
    "<iq type='set' id='1'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>",
    "<iq type='get' id='1' to='juliet@localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub'>",
    "<iq type='set' id='1' to='juliet@localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub'>",
    "<iq type='get' id='1' to='juliet@localhost'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    "<iq type='get' id='1' to='juliet@localhost'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:mood'/></iq>",
    "<publish node='urn:mood'><item id='current'><m xmlns='urn:mood'>fine</m></item></publish>",
    "<items node='urn:mood'/>",
    "<subscribe node='urn:mood' jid='romeo@localhost'/>",
    // What is another account's.
    "<subscribe node='devices/juliet/t' jid='romeo@localhost'/>",
    "<subscribe node='devices/juliet/alarm' jid='romeo@localhost'/>",
    "<create node='devices/juliet/alarm'/>",
    // What else may be asked, by XEP-0060's use cases.
    "<default/>",
    "<default node='devices/juliet/t'/>",
    "<create/><configure/>",
    "<delete node='devices/juliet/t'><redirect uri='xmpp:x'/></delete>",
    "<subscriptions node='devices/juliet/t'/>",
    "<affiliations node='devices/juliet/t'/>",
    "<subscriptions node='devices/juliet/t'><subscription jid='romeo@localhost' subscription='subscribed'/><subscription jid='juliet@localhost' subscription='pending'/></subscriptions>",
    "<affiliations node='devices/juliet/t'><affiliation jid='romeo@localhost' affiliation='publisher'/></affiliations>",
    "<affiliations node='devices/juliet/t'><affiliation jid='romeo@localhost' affiliation='publish-only'/></affiliations>",
    "<publish node='devices/juliet/t'><item id='a'/><item id='b'><t xmlns='urn:t'>2</t></item><item/></publish>",
    "<retract node='devices/juliet/t'><item id='a'/><item id='b'/></retract>",
    "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>",
    "</x></publish-options>",
    "<unsubscribe node='devices/juliet/t' jid='juliet@localhost' subid='x'/>",
    // Forms of options.
    "<options node='devices/juliet/t' jid='juliet@localhost'/>",
    "<options node='devices/juliet/t' jid='juliet@localhost'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#subscribe_options</value></field>",
    "<options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#subscribe_options</value></field>",
    "</x></options>",
    "<field var='pubsub#deliver'><value>0</value></field>",
    "<field var='pubsub#digest'><value>1</value></field><field var='pubsub#digest_frequency'><value>5000</value></field>",
    "<field var='pubsub#expire'><value>1970-01-01T00:01:00Z</value></field>",
    "<field var='pubsub#include_body'><value>1</value></field>",
    "<field var='pubsub#show-values'><value>away</value><value>dnd</value></field>",
    "<field var='pubsub#subscription_type'><value>nodes</value></field>",
    "<field var='pubsub#subscription_depth'><value>all</value></field>",
    // Fields of a node.
    "<field var='pubsub#access_model'><value>authorize</value></field>",
    "<field var='pubsub#access_model'><value>presence</value></field>",
    "<field var='pubsub#access_model'><value>roster</value></field><field var='pubsub#roster_groups_allowed'><value>g</value></field>",
    "<field var='pubsub#access_model'><value>open</value></field>",
    "<field var='pubsub#publish_model'><value>open</value></field>",
    "<field var='pubsub#publish_model'><value>subscribers</value></field>",
    "<field var='pubsub#send_last_published_item'><value>on_sub_and_presence</value></field>",
    "<field var='pubsub#presence_based_delivery'><value>1</value></field>",
    "<field var='pubsub#purge_offline'><value>1</value></field>",
    "<field var='pubsub#tempsub'><value>1</value></field>",
    "<field var='pubsub#item_expire'><value>30</value></field>",
    "<field var='pubsub#itemreply'><value>publisher</value></field>",
    "<field var='pubsub#publish_node_full'><value>reject</value></field>",
    "<field var='pubsub#max_items'><value>max</value></field>",
    "<field var='leveret#class'><value>alarm</value></field>",
    "<field var='leveret#history_items'><value>5</value></field>",
    // Approval (XEP-0060 §8.6, §8.7).
    "<message to='pubsub.localhost'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field><field var='pubsub#node'><value>devices/juliet/t</value></field><field var='pubsub#subscriber_jid'><value>romeo@localhost</value></field><field var='pubsub#allow'><value>true</value></field></x></message>",
    "<field var='pubsub#allow'><value>false</value></field>",
    "<iq type='set' id='1' to='pubsub.localhost'><command xmlns='http://jabber.org/protocol/commands' node='http://jabber.org/protocol/pubsub#get-pending' action='execute'/></iq>",
    "<iq type='set' id='1' to='pubsub.localhost'><command xmlns='http://jabber.org/protocol/commands' node='http://jabber.org/protocol/pubsub#get-pending' sessionid='0-1' action='execute'><x xmlns='jabber:x:data' type='submit'><field var='pubsub#node'><value>devices/juliet/t</value></field></x></command></iq>",
    "<iq type='get' id='1' to='pubsub.localhost'><query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/></iq>",
    // Archives (XEP-0313, XEP-0442).
    "<iq type='set' id='1' to='pubsub.localhost'><query xmlns='urn:xmpp:mam:2' queryid='q' node='devices/juliet/t'>",
    "<iq type='set' id='1'><query xmlns='urn:xmpp:mam:2' node='urn:mood'>",
    "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>",
    "<field var='start'><value>1970-01-01T00:00:00Z</value></field>",
    "<field var='with'><value>juliet@localhost</value></field>",
    "<field var='ids'><value>1</value></field>",
    "<flip-page/>",
    "<order xmlns='urn:xmpp:order-by:1' field='creation' desc='true'/>",
    "</x></query></iq>",
    "</query></iq>",
    "<iq type='get' id='1' to='pubsub.localhost'><metadata xmlns='urn:xmpp:mam:2' node='devices/juliet/t'/></iq>",
    "<iq type='get' id='1' to='pubsub.localhost'><query xmlns='urn:xmpp:mam:2' node='devices/juliet/t'/></iq>",
    // Who sees whom, and what clients say of themselves.
    "<presence type='subscribe' to='romeo@localhost'/>",
    "<presence type='subscribed' to='romeo@localhost'/>",
    "<presence type='unsubscribe' to='juliet@localhost'/>",
    "<presence type='probe' to='juliet@localhost'/>",
    "<presence to='romeo@localhost/t'/>",
    "<presence><show>away</show><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:c' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>",
    "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='romeo@localhost' name='R'><group>g</group></item></query></iq>",
    "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='romeo@localhost' subscription='remove'/></query></iq>",
    "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
    // What is kept beside pubsub, and what stands between two.
    "<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='romeo@localhost'/></block></iq>",
    "<iq type='set' id='1'><unblock xmlns='urn:xmpp:blocking'/></iq>",
    "<iq type='get' id='1'><blocklist xmlns='urn:xmpp:blocking'/></iq>",
    "<iq type='set' id='1'><enable xmlns='urn:xmpp:carbons:2'/></iq>",
    "<iq type='set' id='1'><query xmlns='jabber:iq:private'><n xmlns='urn:n'>1</n></query></iq>",
    "<iq type='get' id='1'><query xmlns='jabber:iq:private'><n xmlns='urn:n'/></query></iq>",
    "<iq type='set' id='1'><vCard xmlns='vcard-temp'><FN>J</FN></vCard></iq>",
    "<iq type='get' id='1' to='juliet@localhost'><vCard xmlns='vcard-temp'/></iq>",
    "<message to='romeo@localhost' type='chat'><body>x</body></message>",
    "<message to='juliet@localhost/r' type='chat'><body>x</body></message>",
    "<iq type='set' id='1'><query xmlns='jabber:iq:register'><remove/></query></iq>",
    "<set xmlns='http://jabber.org/protocol/rsm'><max>1</max><before/></set>",
];

/// The first byte says how the store fares: each of its bits, in turn, whether a request fails.
pub fn run(data: &[u8]) {
    let [luck, bytes @ ..] = data else { return };
    let mut world = World::new();
    for (auth, resource) in [(AUTH, "r"), (AUTH, "s"), (AUTH_ROMEO, "t")] {
        world.connect(auth, resource);
    }
    world.luck = *luck;
    for (turn, part) in bytes.split_inclusive(|byte| *byte <= 1).enumerate() {
        let (said, pause) = match part {
            [said @ .., 0] => (said, Duration::from_millis(1)),
            [said @ .., 1] => (said, PAUSE),
            said => (said, Duration::from_millis(1)),
        };
        world.receive(turn % world.peers.len(), said);
        world.pass(pause);
    }
    world.luck = 0;
    // Whatever was put off because the store failed is done, and then nobody is owed anything.
    world.pass(PAUSE);
    world.pass(PAUSE);
    for peer in world.peers.iter().filter(|peer| !peer.closed) {
        assert_eq!(peer.owed, 0, "a question without its one answer");
    }
    for at in 0..world.peers.len() {
        world.hang_up(at);
    }
    assert_eq!(world.router.status().sessions, 0, "a session stays");
    for peer in &world.peers {
        assert_well_formed(Content::Client, &peer.said);
    }
    let budget = Arc::clone(&world.shared.budget);
    drop(world);
    assert_eq!(budget.memory(), 0, "a mailbox forgot what it holds");
}

/// Longer than the hub waits for anything but a ping.
const PAUSE: Duration = Duration::from_secs(31);

/// The kind of token that the session gives to what is not answered.
const NO_ANSWER: u32 = 0;

struct Peer {
    session: XmppSession,
    id: Option<SessionId>,
    said: Vec<u8>,
    /// Questions less answers, while the session lives.
    owed: i64,
    closed: bool,
}

struct World {
    router: Router,
    store: Store,
    shared: Arc<XmppShared>,
    peers: Vec<Peer>,
    tree: Tree,
    now: Now,
    luck: u8,
}

impl World {
    fn new() -> Self {
        let domain = |name| BareJid::domain_only(name).expect("a domain");
        let budget = MailboxBudget::new(100, 1 << 18, 1 << 20);
        let limits = Limits {
            nodes_per_account: 8,
            subscriptions_per_account: 8,
            ..Limits::default()
        };
        let shared = XmppShared {
            domain: domain("localhost"),
            service: domain("pubsub.localhost"),
            limits: limits.clone(),
            require_tls: false,
            registration: false,
            tls_available: false,
            decoy_secret: [3; 32],
            known_passwords: Arc::new(leveret_engine::credentials::KnownPasswords::new([3; 32])),
            software: "Leveret",
            version: "0",
            contacts: Default::default(),
            budget: Arc::clone(&budget),
            started: Now::default(),
        };
        // Besides the defaults, by which a device hears of nobody else's.
        let hear = [AccessAction::Subscribe].into_iter().collect();
        let hears = Rule::new(Who::Account("romeo".into()), hear, "devices/#", true);
        let kept = History {
            items: 4,
            age_seconds: None,
            bytes: None,
        };
        let router = Router::new(RouterSettings {
            domain: shared.domain.clone(),
            service: shared.service.clone(),
            access: AccessRules::new(hears.into_iter().collect()),
            classes: ClassRules(ClassRule::new("devices/+/alarm", Class::Alarm).into_iter().collect()),
            history: HistoryRules(HistoryRule::new("devices/#", kept).into_iter().collect()),
            roster_groups: Default::default(),
            limits,
            registration: false,
            seed: [9; 32],
            budget,
        });
        let mut world = Self {
            router,
            store: Store::default(),
            shared: Arc::new(shared),
            peers: Vec::new(),
            tree: Tree::new(),
            now: Now {
                wall_trusted: true,
                ..Now::default()
            },
            luck: 0,
        };
        world.settle();
        world
    }

    fn connect(&mut self, auth: &str, resource: &str) {
        let at = self.peers.len();
        let seed = [at as u8 + 1; 32];
        self.peers.push(Peer {
            session: XmppSession::new(Arc::clone(&self.shared), LinkSecurity::Plain, None, seed, self.now),
            id: None,
            said: Vec::new(),
            owed: 0,
            closed: false,
        });
        let bind = BIND.replace(">r<", &format!(">{resource}<"));
        for step in [HEADER, auth, HEADER, &bind] {
            self.receive(at, step.as_bytes());
        }
        assert!(self.peers[at].session.address().is_some(), "bound");
    }

    fn receive(&mut self, at: usize, bytes: &[u8]) {
        let mut out = Output::default();
        self.peers[at].session.handle_input(bytes, &mut self.tree, self.now, &mut out);
        self.carry_out(at, out);
        self.settle();
    }

    /// Time passes, and whoever wanted to be called by now is.
    fn pass(&mut self, span: Duration) {
        self.now.mono = self.now.mono + span;
        let wall = self.now.wall.micros() + span.as_micros() as i64;
        self.now.wall = Timestamp::from_micros(wall);
        if self.router.next_deadline().is_some_and(|at| at <= self.now.mono) {
            self.router.handle_timeout(self.now);
        }
        for at in 0..self.peers.len() {
            let mut out = Output::default();
            let peer = &mut self.peers[at];
            if peer.session.next_deadline().is_some_and(|at| at <= self.now.mono) {
                peer.session.handle_timeout(self.now, &mut out);
            }
            self.carry_out(at, out);
        }
        self.settle();
    }

    fn hang_up(&mut self, at: usize) {
        let mut out = Output::default();
        self.peers[at].session.handle_eof(self.now, &mut out);
        self.carry_out(at, out);
        self.settle();
    }

    fn carry_out(&mut self, at: usize, mut out: Output) {
        loop {
            self.submit(at, &mut out);
            let actions = std::mem::take(&mut out.actions);
            if actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::StartTls => {}
                    Action::Work(work) => {
                        let done = (work.0)();
                        self.peers[at].session.handle_work(done, self.now, &mut out);
                    }
                    Action::Close(_) => self.peers[at].closed = true,
                }
            }
        }
    }

    fn submit(&mut self, at: usize, out: &mut Output) {
        let peer = &mut self.peers[at];
        peer.said.append(&mut out.bytes);
        for (token, command) in out.commands.drain(..) {
            let id = match (peer.id, peer.session.mailbox()) {
                (Some(id), _) => id,
                (None, Some(mailbox)) => *peer.id.insert(self.router.open(Arc::clone(mailbox), None)),
                (None, None) => continue,
            };
            match command {
                Command::Detach(_) => peer.owed = 0,
                _ if token.kind != NO_ANSWER => peer.owed += 1,
                _ => {}
            }
            self.router.handle(id, token, command, self.now);
        }
    }

    /// Until nothing moves: the store answers, mailboxes are emptied.
    fn settle(&mut self) {
        let mut requests = Vec::new();
        for _ in 0..10_000 {
            while self.router.work() {}
            self.router.take_store_requests(&mut requests);
            let mut moved = !requests.is_empty();
            for request in requests.drain(..) {
                let fails = self.luck & 1 == 1;
                self.luck = self.luck.rotate_right(1);
                let response = self.store.answer(request, fails);
                self.router.handle_stored(response, self.now);
            }
            for at in 0..self.peers.len() {
                moved |= self.read(at);
            }
            if !moved {
                return;
            }
        }
        panic!("the router and the store ask each other for ever");
    }

    fn read(&mut self, at: usize) -> bool {
        let peer = &mut self.peers[at];
        let Some(mailbox) = peer.session.mailbox() else {
            return false;
        };
        let mut entries = Vec::new();
        mailbox.take(16, &mut entries, std::task::Waker::noop());
        if entries.is_empty() {
            return false;
        }
        for entry in &entries {
            match entry {
                Entry::Answer(answer) if answer.token.kind != NO_ANSWER => peer.owed -= 1,
                Entry::End(_) => peer.owed = 0,
                _ => {}
            }
        }
        let mut out = Output::default();
        peer.session.handle_entries(&mut entries, self.now, &mut out);
        self.carry_out(at, out);
        true
    }
}
