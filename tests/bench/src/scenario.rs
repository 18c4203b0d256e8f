//! The loads: each sets its sessions up, marks the server's CPU, runs, and divides.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::client::{BenchError, Needle, Session, Target};
use crate::measure::{Report, Server};

/// Sign-ins under way at once while a scenario is set up.
const SET_UP_AT_ONCE: u32 = 32;
/// Rest before a measurement, so that work left from the set-up does not count.
pub(crate) const REST: Duration = Duration::from_millis(1500);
const POLL: Duration = Duration::from_millis(2);

pub(crate) const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

/// Memory of idle sessions, and what stays when they have gone.
pub(crate) async fn idle(
    target: Arc<Target>,
    server: u32,
    sessions: u32,
    settle: Duration,
) -> Result<Report, BenchError> {
    let server = Server::new(server);
    let empty = server.memory_kib();
    let crowd = present(&target, 0, sessions).await?;
    tokio::time::sleep(settle).await;
    let full = server.memory_kib();
    let mark = server.mark();
    tokio::time::sleep(2 * REST).await;
    let (idle_cpu, idle_wall) = server.since(&mark);
    drop(crowd);
    tokio::time::sleep(settle.max(2 * REST)).await;
    let after = server.memory_kib();
    Ok(Report::new("idle")
        .add("sessions", f64::from(sessions))
        .add(
            "kib_per_session",
            full.saturating_sub(empty) as f64 / f64::from(sessions),
        )
        .add("empty_kib", empty as f64)
        .add("full_kib", full as f64)
        .add("after_kib", after as f64)
        .add(
            "idle_cpu_percent",
            100.0 * idle_cpu.as_secs_f64() / idle_wall.as_secs_f64(),
        ))
}

pub(crate) struct Fanout {
    pub(crate) subscribers: u32,
    pub(crate) payload: usize,
    pub(crate) in_flight: u32,
    pub(crate) items: u32,
    pub(crate) stored: bool,
    pub(crate) paced: bool,
    /// Publishes a second; 0 is as fast as they are answered.
    pub(crate) rate: u32,
}

/// One node, one publisher, many subscribers. Counted: notifications that arrived.
pub(crate) async fn fanout(
    target: Arc<Target>,
    server: u32,
    load: Fanout,
) -> Result<Report, BenchError> {
    let server = Server::new(server);
    let service = target.pubsub();
    let mut publisher = Session::present(&target, 0).await?;
    let node = format!("bench/fanout-{}", std::process::id());
    create(&mut publisher, &service, &node, load.stored).await?;
    let mut crowd = present(&target, target.sessions_per_account, load.subscribers).await?;
    for subscriber in &mut crowd {
        subscribe(subscriber, &service, &node).await?;
    }
    let tally = Tally::listen(crowd, "<item ");
    tokio::time::sleep(REST).await;

    let mark = server.mark();
    let text = "x".repeat(load.payload);
    let mut answered = Needle::new("<iq");
    let began = tokio::time::Instant::now();
    let (mut sent, mut done) = (0, 0);
    while done < load.items {
        while sent < load.items && sent - done < load.in_flight.max(1) {
            if load.rate > 0 {
                tokio::time::sleep_until(began + sent * Duration::from_secs(1) / load.rate).await;
            }
            publisher
                .send(&publish(&service, &node, sent, &text))
                .await?;
            sent += 1;
        }
        done += u32::try_from(publisher.count(&mut answered).await?).unwrap_or(u32::MAX);
        if load.paced {
            tally
                .reach(u64::from(done) * u64::from(load.subscribers))
                .await?;
        }
    }
    let expected = u64::from(load.items) * u64::from(load.subscribers);
    tally.reach(expected).await?;
    let (cpu, wall) = server.since(&mark);
    delete(&mut publisher, &service, &node).await?;
    Ok(Report::new("fanout")
        .add("subscribers", f64::from(load.subscribers))
        .add("payload", load.payload as f64)
        .add_cost(expected, cpu, wall))
}

pub(crate) struct Fanin {
    pub(crate) devices: u32,
    pub(crate) payload: usize,
    pub(crate) rounds: u32,
    pub(crate) stored: bool,
    pub(crate) filter: bool,
}

/// Each device publishes to its own node, one at a time; one console hears all. Counted: what the console heard.
pub(crate) async fn fanin(
    target: Arc<Target>,
    server: u32,
    load: Fanin,
) -> Result<Report, BenchError> {
    let server = Server::new(server);
    let service = target.pubsub();
    let run = std::process::id();
    let mut console = Session::present(&target, 0).await?;
    let devices = present(&target, target.sessions_per_account, load.devices).await?;
    let nodes: Vec<String> = (0..load.devices)
        .map(|number| format!("bench/fanin-{run}/{number}"))
        .collect();
    if load.filter {
        subscribe(&mut console, &service, &format!("bench/fanin-{run}/#")).await?;
    }
    let devices = create_all(devices, &nodes, &service, load.stored).await?;
    if !load.filter {
        subscribe_all(&mut console, &service, &nodes).await?;
    }
    let tally = Tally::listen(vec![console], "<item ");
    tokio::time::sleep(REST).await;

    let written = server.written_bytes();
    let mark = server.mark();
    let mut tasks = JoinSet::new();
    for (mut device, node) in devices.into_iter().zip(nodes) {
        let (service, text, rounds) = (service.clone(), "x".repeat(load.payload), load.rounds);
        tasks.spawn_local(async move {
            device.forget();
            let mut answered = Needle::new("<iq");
            for round in 0..rounds {
                device.send(&publish(&service, &node, round, &text)).await?;
                while device.count(&mut answered).await? == 0 {}
            }
            Ok::<_, BenchError>((device, node))
        });
    }
    let finished = all(tasks).await?;
    let expected = u64::from(load.devices) * u64::from(load.rounds);
    tally.reach(expected).await?;
    let (cpu, wall) = server.since(&mark);
    // What may still be written a while later is written by now.
    tokio::time::sleep(2 * REST).await;
    let written = server.written_bytes().saturating_sub(written);
    for (mut device, node) in finished {
        delete(&mut device, &service, &node).await?;
    }
    Ok(Report::new("fanin")
        .add("devices", f64::from(load.devices))
        .add("stored", f64::from(u8::from(load.stored)))
        .add(
            "written_bytes_each",
            written as f64 / expected.max(1) as f64,
        )
        .add_cost(expected, cpu, wall))
}

/// Pairs send each other messages in turn. Counted: messages that arrived.
pub(crate) async fn messages(
    target: Arc<Target>,
    server: u32,
    pairs: u32,
    rounds: u32,
    payload: usize,
) -> Result<Report, BenchError> {
    let server = Server::new(server);
    let crowd = present(&target, 0, 2 * pairs).await?;
    let mut sides = crowd.into_iter();
    let mut tasks = JoinSet::new();
    tokio::time::sleep(REST).await;
    let mark = server.mark();
    while let (Some(mut one), Some(mut other)) = (sides.next(), sides.next()) {
        let body = "x".repeat(payload);
        tasks.spawn_local(async move {
            one.forget();
            other.forget();
            let (mut heard_by_one, mut heard_by_other) =
                (Needle::new("</message>"), Needle::new("</message>"));
            let there = format!(
                "<message type='chat' to='{}'><body>{body}</body></message>",
                other.jid
            );
            let back = format!(
                "<message type='chat' to='{}'><body>{body}</body></message>",
                one.jid
            );
            for _ in 0..rounds {
                one.send(&there).await?;
                while other.count(&mut heard_by_other).await? == 0 {}
                other.send(&back).await?;
                while one.count(&mut heard_by_one).await? == 0 {}
            }
            Ok::<_, BenchError>((one, other))
        });
    }
    all(tasks).await?;
    let (cpu, wall) = server.since(&mark);
    Ok(Report::new("messages")
        .add("pairs", f64::from(pairs))
        .add_cost(2 * u64::from(pairs) * u64::from(rounds), cpu, wall))
}

/// Connections that sign in, bind and leave. Counted: sign-ins.
pub(crate) async fn sign_in(
    target: Arc<Target>,
    server: u32,
    times: u32,
    at_once: u32,
) -> Result<Report, BenchError> {
    let server = Server::new(server);
    Session::sign_in(&target, 0).await?.leave().await?;
    let mark = server.mark();
    let mut tasks = JoinSet::new();
    for lane in 0..at_once {
        let target = Arc::clone(&target);
        tasks.spawn_local(async move {
            for number in (lane..times).step_by(at_once as usize) {
                Session::sign_in(&target, number).await?.leave().await?;
            }
            Ok::<_, BenchError>(())
        });
    }
    all(tasks).await?;
    let (cpu, wall) = server.since(&mark);
    let each = cpu.as_secs_f64() * 1e3 / f64::from(times.max(1));
    Ok(Report::new("signin")
        .add_cost(u64::from(times), cpu, wall)
        .add("cpu_ms_each", each))
}

/// One watcher subscribed to many contacts, who change their presence. Counted: changes that the watcher saw.
pub(crate) async fn presence(
    target: Arc<Target>,
    server: u32,
    contacts: u32,
    rounds: u32,
) -> Result<Report, BenchError> {
    let server = Server::new(server);
    let mut watcher = Session::present(&target, 0).await?;
    watcher
        .ask("get", None, "<query xmlns='jabber:iq:roster'/>")
        .await?;
    let mut crowd = present(&target, target.sessions_per_account, contacts).await?;
    for (number, contact) in crowd.iter_mut().enumerate() {
        let place = u32::try_from(number).unwrap_or(u32::MAX);
        let jid = target.jid(target.sessions_per_account + place);
        watcher
            .send(&format!("<presence type='subscribe' to='{jid}'/>"))
            .await?;
        contact
            .send(&format!(
                "<presence type='subscribed' to='{}'/>",
                target.jid(0)
            ))
            .await?;
        // The watcher reads as it goes: a client that does not is sent away once its mailbox is full (S9).
        if number % 32 == 31 {
            watcher
                .ask("get", Some(&target.domain), "<ping xmlns='urn:xmpp:ping'/>")
                .await?;
            watcher.forget();
        }
    }
    // Pings push everything before them through; then a contact asked again is answered by the subscription it has.
    for (number, contact) in crowd.iter_mut().enumerate() {
        if number % 32 == 31 {
            watcher
                .ask("get", Some(&target.domain), "<ping xmlns='urn:xmpp:ping'/>")
                .await?;
            watcher.forget();
        }
        contact
            .ask("get", Some(&target.domain), "<ping xmlns='urn:xmpp:ping'/>")
            .await?;
        contact
            .send(&format!(
                "<presence type='subscribed' to='{}'/>",
                target.jid(0)
            ))
            .await?;
        contact
            .ask("get", Some(&target.domain), "<ping xmlns='urn:xmpp:ping'/>")
            .await?;
        contact.forget();
    }
    tokio::time::sleep(REST).await;
    watcher
        .ask("get", Some(&target.domain), "<ping xmlns='urn:xmpp:ping'/>")
        .await?;
    watcher.forget();
    let tally = Tally::listen(vec![watcher], "bench-status-");
    tokio::time::sleep(REST).await;

    let mark = server.mark();
    for round in 0..rounds {
        for contact in &mut crowd {
            contact
                .send(&format!(
                    "<presence><show>away</show><status>bench-status-{round}</status></presence>"
                ))
                .await?;
        }
        tally
            .reach(u64::from(round + 1) * u64::from(contacts))
            .await?;
    }
    let (cpu, wall) = server.since(&mark);
    Ok(Report::new("presence")
        .add("contacts", f64::from(contacts))
        .add_cost(u64::from(rounds) * u64::from(contacts), cpu, wall))
}

/// Signs in sessions `first..first + count`, some at a time, in order of their numbers.
pub(crate) async fn present(
    target: &Arc<Target>,
    first: u32,
    count: u32,
) -> Result<Vec<Session>, BenchError> {
    let mut tasks = JoinSet::new();
    let next = Rc::new(Cell::new(0));
    let ready = Rc::new(RefCell::new(Vec::with_capacity(count as usize)));
    for _ in 0..SET_UP_AT_ONCE.min(count) {
        let (target, next, ready) = (Arc::clone(target), Rc::clone(&next), Rc::clone(&ready));
        tasks.spawn_local(async move {
            while next.get() < count {
                let number = next.replace(next.get() + 1);
                let session = Session::present(&target, first + number).await?;
                ready.borrow_mut().push((number, session));
            }
            Ok::<_, BenchError>(())
        });
    }
    all(tasks).await?;
    let mut ready = std::mem::take(&mut *ready.borrow_mut());
    ready.sort_by_key(|(number, _)| *number);
    Ok(ready.into_iter().map(|(_, session)| session).collect())
}

pub(crate) async fn all<T: 'static>(
    mut tasks: JoinSet<Result<T, BenchError>>,
) -> Result<Vec<T>, BenchError> {
    let mut results = Vec::new();
    while let Some(result) = tasks.join_next().await {
        results.push(result.map_err(|error| BenchError::Protocol(error.to_string()))??);
    }
    Ok(results)
}

/// Sessions that only listen, and how often the needle has come to all of them together.
pub(crate) struct Tally {
    heard: Rc<Cell<u64>>,
    failure: Rc<RefCell<Option<BenchError>>>,
    _tasks: JoinSet<()>,
}

impl Tally {
    pub(crate) fn listen(sessions: Vec<Session>, needle: &'static str) -> Tally {
        let (heard, failure) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(None)));
        let mut tasks = JoinSet::new();
        for mut session in sessions {
            session.forget();
            let (heard, failure) = (Rc::clone(&heard), Rc::clone(&failure));
            tasks.spawn_local(async move {
                let mut needle = Needle::new(needle);
                loop {
                    match session.count(&mut needle).await {
                        Ok(count) => heard.set(heard.get() + count),
                        Err(error) => {
                            *failure.borrow_mut() = Some(error);
                            return;
                        }
                    }
                }
            });
        }
        Tally {
            heard,
            failure,
            _tasks: tasks,
        }
    }

    /// Waits until the needle has come this often; more is an error of the server.
    pub(crate) async fn reach(&self, expected: u64) -> Result<(), BenchError> {
        while self.heard.get() < expected {
            if let Some(error) = self.failure.borrow_mut().take() {
                return Err(error);
            }
            tokio::time::sleep(POLL).await;
        }
        match self.heard.get() {
            heard if heard == expected => Ok(()),
            heard => Err(BenchError::Protocol(format!(
                "{heard} arrived, {expected} were due"
            ))),
        }
    }
}

pub(crate) async fn create(
    owner: &mut Session,
    service: &str,
    node: &str,
    stored: bool,
) -> Result<(), BenchError> {
    let field = |name: &str, value: &str| {
        format!("<field var='pubsub#{name}'><value>{value}</value></field>")
    };
    let form = format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>{PUBSUB}#node_config</value></field>{}{}{}{}</x>",
        field("persist_items", if stored { "true" } else { "false" }),
        field("max_items", "10"),
        field("access_model", "open"),
        field("send_last_published_item", "never"),
    );
    let request = format!(
        "<pubsub xmlns='{PUBSUB}'><create node='{node}'/><configure>{form}</configure></pubsub>"
    );
    owner.ask("set", Some(service), &request).await
}

/// Each device makes its node, all at the same time: a store that groups its commits is not waited for a thousand times.
async fn create_all(
    devices: Vec<Session>,
    nodes: &[String],
    service: &str,
    stored: bool,
) -> Result<Vec<Session>, BenchError> {
    let mut tasks = JoinSet::new();
    for (place, (mut device, node)) in devices.into_iter().zip(nodes).enumerate() {
        let (service, node) = (service.to_owned(), node.clone());
        tasks.spawn_local(async move {
            create(&mut device, &service, &node, stored).await?;
            Ok::<_, BenchError>((place, device))
        });
    }
    let mut made = all(tasks).await?;
    made.sort_by_key(|(place, _)| *place);
    Ok(made.into_iter().map(|(_, device)| device).collect())
}

/// Subscribes to all nodes, some requests under way at a time.
async fn subscribe_all(
    who: &mut Session,
    service: &str,
    nodes: &[String],
) -> Result<(), BenchError> {
    const UNDER_WAY: usize = 32;
    let bare = who.jid.split('/').next().unwrap_or_default().to_owned();
    for some in nodes.chunks(UNDER_WAY) {
        for node in some {
            let request = format!(
                "<iq type='set' id='s' to='{service}'><pubsub xmlns='{PUBSUB}'><subscribe node='{node}' jid='{bare}'/></pubsub></iq>"
            );
            who.send(&request).await?;
        }
        who.forget();
        let mut answered = Needle::new("<iq");
        let mut done = 0;
        while done < some.len() as u64 {
            done += who.count(&mut answered).await?;
        }
    }
    Ok(())
}

async fn subscribe(who: &mut Session, service: &str, node: &str) -> Result<(), BenchError> {
    let bare = who.jid.split('/').next().unwrap_or_default().to_owned();
    let request =
        format!("<pubsub xmlns='{PUBSUB}'><subscribe node='{node}' jid='{bare}'/></pubsub>");
    who.ask("set", Some(service), &request).await
}

async fn delete(owner: &mut Session, service: &str, node: &str) -> Result<(), BenchError> {
    owner
        .ask(
            "set",
            Some(service),
            &format!("<pubsub xmlns='{PUBSUB}#owner'><delete node='{node}'/></pubsub>"),
        )
        .await
}

pub(crate) fn publish(service: &str, node: &str, number: u32, text: &str) -> String {
    format!(
        "<iq type='set' id='p{number}' to='{service}'><pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='i{number}'>\
         <data xmlns='urn:leveret:bench:0'>{text}</data></item></publish></pubsub></iq>"
    )
}
