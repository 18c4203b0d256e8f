//! What must hold in every world. Each claim is a sentence; what speaks against it is a line of text.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    World,
    ledger::{Ending, Ledger, Read, Session},
    person,
    upheaval::{BOARD, TENT},
};

/// How long a word may be on its way before it counts as handed over, in microseconds: wires, a busy disk, a session
/// that waits for its turn.
const HANDED_OVER_MICROS: u64 = 10_000_000;

/// What speaks against a world.
pub type Faults = Vec<String>;

/// Judges a calm world whose people have just taken stock.
pub fn judge(world: &World) -> Faults {
    let ledger = &world.ledger;
    let mut faults = ledger.complaints.clone();
    let mut order = BTreeMap::new();
    for node in world.logs() {
        let all = last_reading(ledger, &node, &mut faults);
        order.insert(node, all);
    }
    for (node, all) in &order {
        every_answered_publish_is_readable(ledger, node, all, &mut faults);
        every_reading_is_complete(ledger, node, all, &mut faults);
        subscribers_see_each_item_once_and_in_order(ledger, node, all, &mut faults);
    }
    for index in 0..world.people.len() {
        the_newest_state_wins(ledger, &world.state_of(index), &mut faults);
    }
    the_board_is_what_was_made_of_it(ledger, &mut faults);
    for node in [BOARD, TENT] {
        no_two_sessions_disagree(ledger, node, &mut faults);
    }
    messages_arrive(ledger, &mut faults);
    contacts_see_the_truth(world, &mut faults);
    faults
}

/// Judges a world that everybody has left.
pub fn nothing_is_left(world: &World) -> Faults {
    let mut faults = Vec::new();
    let hub = world.hub();
    let mut expect_none = |what: &str, count: usize| {
        if count != 0 {
            faults.push(format!("left behind: {count} {what}"));
        }
    };
    expect_none("sessions of the router", hub.status().sessions);
    expect_none("connections", hub.connections().len());
    expect_none("bytes in mailboxes", hub.mailbox_memory());
    expect_none(
        "requests to the store",
        usize::from(!world.disk().is_idle()),
    );
    faults
}

/// What the last reading of a node found; all of the last readings must agree.
fn last_reading(ledger: &Ledger, node: &str, faults: &mut Faults) -> Vec<usize> {
    let mut last: Option<&Read> = None;
    for read in ledger.reads.iter().filter(|read| read.node == node) {
        let newer = last.is_none_or(|last| last.begun < read.begun);
        if newer {
            last = Some(read);
        } else if let Some(last) = last
            && last.begun == read.begun
            && last.found != read.found
        {
            faults.push(format!("{node}: two readings in the calm differ"));
        }
    }
    match last {
        Some(read) if read.done => read.found.clone(),
        _ => {
            faults.push(format!("{node}: cannot be read"));
            Vec::new()
        }
    }
}

fn every_answered_publish_is_readable(
    ledger: &Ledger,
    node: &str,
    all: &[usize],
    faults: &mut Faults,
) {
    let found: BTreeSet<_> = all.iter().copied().collect();
    if found.len() != all.len() {
        faults.push(format!("{node}: an item is there twice: {all:?}"));
    }
    let mut last: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for number in all {
        let publish = &ledger.published[*number];
        let before = last.insert((publish.by, publish.session), *number);
        if before.is_some_and(|before| before > *number) {
            faults.push(format!(
                "{node}: one session's items {before:?} and {number} changed places"
            ));
        }
    }
    for (number, publish) in ledger.published.iter().enumerate() {
        if publish.node != node {
            continue;
        }
        if publish.answered.is_some() && !found.contains(&number) {
            faults.push(format!(
                "{node}: publish {number} was answered and is not there: {publish:?}"
            ));
        }
        if let Some(condition) = &publish.refused {
            if !ledger.excuses(condition) {
                faults.push(format!("{node}: publish {number} was refused: {condition}"));
            }
            if found.contains(&number) {
                faults.push(format!("{node}: publish {number} was refused and is there"));
            }
        }
    }
}

fn every_reading_is_complete(ledger: &Ledger, node: &str, all: &[usize], faults: &mut Faults) {
    for read in ledger
        .reads
        .iter()
        .filter(|read| read.node == node && read.done)
    {
        if !all.starts_with(&read.found) {
            faults.push(format!("{node}: a reading has gaps: {read:?} of {all:?}"));
        }
        for (number, publish) in ledger.published.iter().enumerate() {
            let before = publish.answered.is_some_and(|at| at < read.begun);
            if publish.node == node && before && !read.found.contains(&number) {
                faults.push(format!(
                    "{node}: a reading lacks {number}, answered before: {read:?}"
                ));
            }
        }
    }
}

/// A session is told of a run of the node's items without a gap. If it is still there, the run goes to the end; in any
/// case it holds what was published after the hub knew that the session is available.
fn subscribers_see_each_item_once_and_in_order(
    ledger: &Ledger,
    node: &str,
    all: &[usize],
    faults: &mut Faults,
) {
    for session in ledger.sessions.iter().flatten() {
        let told = session.told.get(node).map_or(&[][..], Vec::as_slice);
        let start = told
            .first()
            .and_then(|first| all.iter().position(|it| it == first));
        let run = start.map_or(&[][..], |start| &all[start..]);
        if !run.starts_with(told) {
            faults.push(format!("{}: {node}: told {told:?} of {all:?}", session.jid));
            continue;
        }
        let Some(ready) = session.ready else { continue };
        let first_due = all
            .iter()
            .position(|number| ledger.published[*number].sent > ready);
        let alive = session.ended.is_none();
        if alive && first_due.is_some() && told.len() != run.len() {
            faults.push(format!(
                "{}: {node}: not told of the last of {all:?}, only {told:?}",
                session.jid
            ));
        }
        if let Some(due) = first_due {
            let late = start.map_or(alive, |start| start > due);
            if late {
                faults.push(format!(
                    "{}: {node}: not told of {}, only {told:?}",
                    session.jid, all[due]
                ));
            }
        }
    }
}

/// The one item that is kept is one that no answered publish came after.
fn the_newest_state_wins(ledger: &Ledger, node: &str, faults: &mut Faults) {
    let kept = last_reading(ledger, node, faults);
    let answered: Vec<_> = ledger
        .published
        .iter()
        .enumerate()
        .filter(|(_, publish)| publish.node == node && publish.answered.is_some())
        .collect();
    let winner = match kept.as_slice() {
        [winner] => *winner,
        [] if answered.is_empty() => return,
        _ => return faults.push(format!("{node}: keeps {kept:?} of {answered:?}")),
    };
    let won = &ledger.published[winner];
    for (number, publish) in answered {
        let after = won.answered.is_some_and(|at| at < publish.sent);
        let same = won.session == publish.session && number > winner;
        if number != winner && (after || same) {
            faults.push(format!("{node}: keeps {winner} though {number} came after"));
        }
    }
    for session in ledger.sessions.iter().flatten() {
        let told = session.told.get(node).map_or(&[][..], Vec::as_slice);
        let in_order = told.windows(2).all(|two| {
            let (one, other) = (&ledger.published[two[0]], &ledger.published[two[1]]);
            two[0] != two[1] && (one.session != other.session || two[0] < two[1])
        });
        if !in_order {
            faults.push(format!("{}: {node}: told {told:?}", session.jid));
        }
        let due = session.ready.is_some_and(|ready| won.sent > ready) && session.ended.is_none();
        if due && told.last() != Some(&winner) {
            faults.push(format!(
                "{}: {node}: told {told:?}, and {winner} is the newest",
                session.jid
            ));
        }
    }
}

/// What is on the board was put there and not taken back, each item once; and whoever is here since before it was
/// published was told of it, whatever became of the node or the item meanwhile.
fn the_board_is_what_was_made_of_it(ledger: &Ledger, faults: &mut Faults) {
    let found = last_reading(ledger, BOARD, faults);
    let distinct: BTreeSet<_> = found.iter().copied().collect();
    if distinct.len() != found.len() {
        faults.push(format!("{BOARD}: an item is there twice: {found:?}"));
    }
    for number in &found {
        if ledger.published[*number].refused.is_some() {
            faults.push(format!(
                "{BOARD}: publish {number} was refused and is there"
            ));
        }
    }
    for retracted in ledger.retracted.iter().filter(|it| it.answered) {
        if distinct.contains(&retracted.publish) {
            faults.push(format!(
                "{BOARD}: it was taken back and is there: {retracted:?}"
            ));
        }
    }
    for session in ledger.sessions.iter().flatten() {
        let (Some(ready), None) = (session.ready, session.ended) else {
            continue;
        };
        let told = session.told.get(BOARD).map_or(&[][..], Vec::as_slice);
        for (number, publish) in ledger.published.iter().enumerate() {
            let due = publish.node == BOARD && publish.answered.is_some() && publish.sent > ready;
            if due && !told.contains(&number) {
                faults.push(format!("{}: {BOARD}: not told of {number}", session.jid));
            }
        }
    }
}

/// No session is told of an item twice, and no two of them in different orders.
fn no_two_sessions_disagree(ledger: &Ledger, node: &str, faults: &mut Faults) {
    let mut orders: Vec<(&str, BTreeMap<usize, usize>)> = Vec::new();
    for session in ledger.sessions.iter().flatten() {
        let told = session.told.get(node).map_or(&[][..], Vec::as_slice);
        let places: BTreeMap<_, _> = told.iter().enumerate().map(|(at, it)| (*it, at)).collect();
        if places.len() != told.len() {
            faults.push(format!("{}: {node}: told twice: {told:?}", session.jid));
        }
        for (other, order) in &orders {
            let both: Vec<_> = told.iter().filter_map(|it| order.get(it)).collect();
            if !both.is_sorted() {
                faults.push(format!(
                    "{} and {other}: {node}: told {told:?}",
                    session.jid
                ));
            }
        }
        orders.push((&session.jid, places));
    }
}

/// Without XEP-0198 a message is lost or repeated only where a link ended while it was on its way:
///
/// - in one session it comes once, and those of one sender's session in the order in which they were sent;
/// - it comes again in another session only if the one it came in was cut, or the disk failed to forget it;
/// - it comes back only if it could not be stored;
/// - it never comes only if the sender's session was cut, or the hub crashed, before it was handed over, or if a session
///   of the receiver ended after it was sent, for its client or (a ghost) for the hub.
fn messages_arrive(ledger: &Ledger, faults: &mut Faults) {
    let mut heard: BTreeMap<usize, Vec<&Session>> = BTreeMap::new();
    for session in ledger.sessions.iter().flatten() {
        let mut last: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for number in &session.heard {
            let said = &ledger.said[*number];
            let before = last.insert((said.by, said.session), *number);
            if before.is_some_and(|before| before >= *number) {
                faults.push(format!(
                    "{}: message {number} after {before:?}",
                    session.jid
                ));
            }
            heard.entry(*number).or_default().push(session);
        }
    }
    for (number, sessions) in &heard {
        for session in &sessions[..sessions.len() - 1] {
            let cut = matches!(session.ended, Some((_, Ending::Cut)));
            if !cut && !ledger.disk_fails {
                faults.push(format!("message {number} came again after {}", session.jid));
            }
        }
    }
    for (number, said) in ledger.said.iter().enumerate() {
        let came = heard.contains_key(&number);
        if came && said.bounced {
            faults.push(format!("message {number} came, and came back"));
        }
        if came || said.bounced {
            continue;
        }
        let soon = |at: u64| at >= said.sent && at < said.sent + HANDED_OVER_MICROS;
        let sender = &ledger.sessions[said.by][said.session];
        let unsent = sender.ended.is_some_and(|(at, _)| soon(at))
            || ledger.crashes.iter().any(|at| soon(*at));
        let missed = ledger.sessions[said.to].iter().any(|session| {
            let ended = session.ended.map(|(at, _)| at);
            ended.is_some() && ended.max(session.given_up) >= Some(said.sent)
        });
        if !unsent && !missed {
            faults.push(format!("message {number} never came: {said:?}"));
        }
    }
}

/// After quiet everybody sees everybody as they are: who is here, under which address, in which mood, and nobody else.
fn contacts_see_the_truth(world: &World, faults: &mut Faults) {
    let mut truth = BTreeMap::new();
    for person in &world.people {
        match world.ledger.sessions[person.index].last() {
            Some(session) if session.ended.is_none() => {
                truth.insert(session.jid.clone(), person.show.to_owned());
            }
            _ => faults.push(format!("{} is not here", person::name(person.index))),
        }
    }
    for sessions in &world.ledger.sessions {
        if let Some(session) = sessions.last()
            && session.sees != truth
        {
            faults.push(format!(
                "{} sees {:?} and the truth is {truth:?}",
                session.jid, session.sees
            ));
        }
    }
}
