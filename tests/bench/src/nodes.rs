//! Scale: nodes by the million, and one node with subscribers by the hundred thousand.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::client::{BenchError, Needle, Session, Target};
use crate::measure::{Report, Server};
use crate::scenario::{PUBSUB, REST, Tally, all, create, present, publish};

/// Steps of a pseudo-random walk through the nodes: prime to every count of nodes that anybody asks for.
const STRIDE: u64 = 2_654_435_761;

pub(crate) struct Nodes {
    pub(crate) nodes: u32,
    pub(crate) sessions: u32,
    pub(crate) in_flight: u32,
    pub(crate) payload: usize,
    pub(crate) probes: u32,
}

/// Each node is made by its first publish (XEP-0060 §7.1.4) and keeps its items. Then: what a publish costs at one node that is in
/// use, and at nodes all over the tree; what a page of the list of nodes costs. Counted: publishes that made a node.
pub(crate) async fn nodes(
    target: Arc<Target>,
    server: u32,
    load: Nodes,
) -> Result<Report, BenchError> {
    let server = Server::new(server);
    let service = target.pubsub();
    let sessions = load.sessions.max(1);
    let crowd = present(&target, 0, sessions).await?;
    tokio::time::sleep(REST).await;
    let empty = server.memory_kib();
    let written = server.written_bytes();
    let text = Rc::new("x".repeat(load.payload));
    let node = |number: u64| format!("bench/nodes/{}/{number}", number % 1000);

    let mark = server.mark();
    let mut tasks = JoinSet::new();
    for (lane, mut session) in (0..).zip(crowd) {
        let (service, text) = (service.clone(), Rc::clone(&text));
        let mine = (lane..load.nodes).step_by(sessions as usize);
        tasks.spawn_local(async move {
            let requests = mine.map(|number| publish(&service, &node(number.into()), 0, &text));
            pipeline(&mut session, requests, load.in_flight).await?;
            Ok::<_, BenchError>((lane, session))
        });
    }
    let mut crowd = all(tasks).await?;
    let (cpu, wall) = server.since(&mark);
    tokio::time::sleep(2 * REST).await;
    let full = server.memory_kib();
    let written = server.written_bytes().saturating_sub(written);
    crowd.sort_by_key(|(lane, _)| *lane);
    let mut report = Report::new("nodes")
        .add("nodes", f64::from(load.nodes))
        .add_cost(u64::from(load.nodes), cpu, wall)
        .add("empty_kib", empty as f64)
        .add("full_kib", full as f64)
        .add(
            "written_bytes_each",
            written as f64 / f64::from(load.nodes.max(1)),
        );

    let Some((_, session)) = crowd.first_mut() else {
        return Ok(report);
    };
    let one = (0..load.probes).map(|number| publish(&service, &node(0), number, &text));
    let mark = server.mark();
    pipeline(session, one, load.in_flight).await?;
    report = report.add("one_node_cpu_us", each(server.since(&mark).0, load.probes));

    // Every session publishes at its own nodes only: it owns no others.
    let steps = (0..u64::from(load.probes)).map(|step| {
        let number = step.wrapping_mul(STRIDE) % u64::from(load.nodes.max(1));
        number - number % u64::from(sessions)
    });
    let apart = steps.map(|number| publish(&service, &node(number), 1, &text));
    let mark = server.mark();
    pipeline(session, apart, load.in_flight).await?;
    report = report.add("any_node_cpu_us", each(server.since(&mark).0, load.probes));

    for (name, after) in [
        ("first_page_ms", String::new()),
        ("a_page_ms", node(load.nodes.into())),
    ] {
        let began = Instant::now();
        let page = format!(
            "<query xmlns='http://jabber.org/protocol/disco#items'>\
             <set xmlns='http://jabber.org/protocol/rsm'><max>100</max><after>{after}</after></set></query>"
        );
        session.ask("get", Some(&service), &page).await?;
        session.until(&["</iq>"]).await?;
        report = report.add(name, began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(report)
}

pub(crate) struct Subscribers {
    pub(crate) subscribers: u32,
    pub(crate) online: u32,
    pub(crate) items: u32,
    pub(crate) payload: usize,
}

/// One node with many subscribers of which some are online. All of them sign in once to subscribe, some at a time. Counted:
/// deliveries to those who are online. Then a publish after each of some more who come, which must not cost a list each.
pub(crate) async fn subscribers(
    target: Arc<Target>,
    server: u32,
    load: Subscribers,
) -> Result<Report, BenchError> {
    const LANES: u32 = 32;
    let server = Server::new(server);
    let service = target.pubsub();
    let node = format!("bench/crowd-{}", std::process::id());
    let mut publisher = Session::present(&target, 0).await?;
    create(&mut publisher, &service, &node, false).await?;
    let empty = server.memory_kib();
    let per_account = target.sessions_per_account;

    let next = Rc::new(Cell::new(load.online));
    let mut tasks = JoinSet::new();
    for _ in 0..LANES {
        let (target, next) = (Arc::clone(&target), Rc::clone(&next));
        let request = subscription(&service, &node);
        tasks.spawn_local(async move {
            while next.get() < load.subscribers {
                let number = next.replace(next.get() + 1);
                let mut session = Session::sign_in(&target, per_account * (1 + number)).await?;
                let bare = session.jid.split('/').next().unwrap_or_default().to_owned();
                session
                    .ask("set", Some(&request.0), &request.1.replace("{}", &bare))
                    .await?;
                session.leave().await?;
            }
            Ok::<_, BenchError>(())
        });
    }
    all(tasks).await?;
    let mut crowd = present(&target, per_account, load.online * per_account).await?;
    for session in crowd.iter_mut().step_by(per_account as usize) {
        let bare = session.jid.split('/').next().unwrap_or_default().to_owned();
        let request = subscription(&service, &node);
        session
            .ask("set", Some(&request.0), &request.1.replace("{}", &bare))
            .await?;
    }
    let heard = u64::from(load.online) * u64::from(per_account);
    let tally = Tally::listen(crowd, "<item ");
    tokio::time::sleep(2 * REST).await;
    let full = server.memory_kib();

    let text = "x".repeat(load.payload);
    // The first publish makes the list.
    let request = [publish(&service, &node, 0, &text)];
    pipeline(&mut publisher, request.into_iter(), 1).await?;
    tally.reach(heard).await?;
    let mark = server.mark();
    let requests = (1..=load.items).map(|number| publish(&service, &node, number, &text));
    pipeline(&mut publisher, requests, 4).await?;
    let expected = heard * u64::from(load.items);
    tally.reach(heard + expected).await?;
    let (cpu, wall) = server.since(&mark);

    // One comes and one goes before each publish.
    let mut guest = Session::sign_in(&target, per_account * (1 + load.subscribers)).await?;
    let bare = guest.jid.split('/').next().unwrap_or_default().to_owned();
    let (to, subscribe) = subscription(&service, &node);
    let subscribe = subscribe.replace("{}", &bare);
    let unsubscribe = subscribe.replace("<subscribe ", "<unsubscribe ");
    let mark = server.mark();
    for number in 0..load.items {
        let request = if number % 2 == 0 {
            &subscribe
        } else {
            &unsubscribe
        };
        guest.ask("set", Some(&to), request).await?;
        let request = [publish(&service, &node, number, &text)];
        pipeline(&mut publisher, request.into_iter(), 1).await?;
        tally
            .reach(heard + expected + heard * u64::from(number + 1))
            .await?;
    }
    let (changing, _) = server.since(&mark);
    Ok(Report::new("subscribers")
        .add("subscribers", f64::from(load.subscribers))
        .add("online", heard as f64)
        .add_cost(expected.max(u64::from(load.items)), cpu, wall)
        .add("publish_cpu_us", each(cpu, load.items))
        .add("publish_after_change_cpu_us", each(changing, load.items))
        .add("empty_kib", empty as f64)
        .add("full_kib", full as f64))
}

/// Whom to ask, and a subscription of the bare address that stands for `{}`.
fn subscription(service: &str, node: &str) -> (String, String) {
    let request =
        format!("<pubsub xmlns='{PUBSUB}'><subscribe node='{node}' jid='{{}}'/></pubsub>");
    (service.to_owned(), request)
}

/// Sends requests with so many unanswered at a time, and waits for all answers; an error among them is one of the server.
async fn pipeline(
    session: &mut Session,
    requests: impl Iterator<Item = String>,
    in_flight: u32,
) -> Result<(), BenchError> {
    session.forget();
    let mut answered = Needle::new("<iq");
    let mut under_way = 0;
    let mut requests = requests.peekable();
    let mut batch = String::new();
    while under_way > 0 || requests.peek().is_some() {
        batch.clear();
        while under_way < u64::from(in_flight.max(1))
            && let Some(request) = requests.next()
        {
            batch.push_str(&request);
            under_way += 1;
        }
        if !batch.is_empty() {
            session.send(&batch).await?;
        }
        under_way -= session.count(&mut answered).await?.min(under_way);
    }
    Ok(())
}

fn each(cpu: Duration, count: u32) -> f64 {
    cpu.as_secs_f64() * 1e6 / f64::from(count.max(1))
}
