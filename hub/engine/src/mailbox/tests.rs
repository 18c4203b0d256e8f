use super::*;
use crate::{
    address::{FullJid, Jid},
    event::{NodeChange, NodeEvent},
    item::Item,
    message::{Hints, Message, MessageKind, Presence, PresenceKind, Show},
    node::{ItemId, NodeAddress, NodeId},
    payload::Payload,
};

fn item(node: &str, id: u32, class: Class) -> Entry {
    let item = Item {
        id: ItemId::parse(&id.to_string()).unwrap(),
        publisher: FullJid::parse("dev7@localhost/a").unwrap(),
        published: Timestamp::default(),
        payload: Some(Payload::xml(bytes::Bytes::from_static(
            b"<t xmlns='urn:t'/>",
        ))),
        class,
    };
    event(What::Node(NodeEvent {
        at: NodeAddress::of_service(NodeId::parse(node).unwrap()),
        kind: MessageKind::Headline,
        change: NodeChange::Published {
            item: Arc::new(item),
            payload: true,
            reply: None,
        },
    }))
}

fn message(size: usize) -> Entry {
    event(What::Message(Message {
        from: Jid::parse("a@localhost/x").unwrap(),
        to: Jid::parse("b@localhost").unwrap(),
        kind: MessageKind::Chat,
        id: None,
        lang: None,
        content: vec![b'x'; size].into(),
        hints: Hints::default(),
    }))
}

fn presence(from: &str) -> Entry {
    event(What::Presence(Presence {
        from: Jid::parse(from).unwrap(),
        kind: PresenceKind::Available {
            show: Show::Online,
            priority: 0,
        },
        id: None,
        lang: None,
        status: None,
        content: bytes::Bytes::new(),
        at: Timestamp::default(),
    }))
}

fn event(what: What) -> Entry {
    Entry::Event {
        event: Arc::new(Event::new(what)),
        to: Addressed::Full,
        tag: None,
        delay: None,
    }
}

fn mailbox(events: usize) -> (Arc<Mailbox>, Arc<MailboxBudget>) {
    let budget = MailboxBudget::new(events, 1 << 20, 1 << 24);
    (Mailbox::new(Arc::clone(&budget)), budget)
}

/// The item ids that wait, in order; other entries are `0`.
fn taken(mailbox: &Mailbox) -> Vec<u32> {
    let mut entries = Vec::new();
    mailbox.take(usize::MAX, &mut entries, Waker::noop());
    let id = |entry: &Entry| match entry {
        Entry::Event { event, .. } => match &event.what {
            What::Node(NodeEvent {
                change: NodeChange::Published { item, .. },
                ..
            }) => item.id.as_str().parse().unwrap_or(0),
            _ => 0,
        },
        _ => 0,
    };
    entries.iter().map(id).collect()
}

fn push(mailbox: &Mailbox, entries: impl IntoIterator<Item = Entry>) {
    for entry in entries {
        assert!(!matches!(mailbox.push(entry), Pushed::Closed));
    }
}

#[test]
fn a_receiver_that_is_a_little_late_gets_every_value_in_order() {
    let (mailbox, budget) = mailbox(100);
    push(&mailbox, (1..=20).map(|id| item("temp", id, Class::State)));
    assert_eq!(taken(&mailbox), (1..=20).collect::<Vec<_>>());
    assert_eq!(budget.memory(), 0);
}

#[test]
fn s9_behind_a_quarter_state_is_conflated_by_node_and_events_are_not() {
    let (mailbox, budget) = mailbox(40);
    push(&mailbox, (1..=10).map(|id| item("log", id, Class::Event)));
    push(
        &mailbox,
        [
            item("temp", 11, Class::State),
            item("hum", 12, Class::State),
        ],
    );
    push(&mailbox, (13..=20).map(|id| item("temp", id, Class::State)));
    push(&mailbox, [item("log", 21, Class::Event)]);
    assert_eq!(taken(&mailbox), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 12, 21]);
    assert_eq!((budget.memory(), budget.dropped()), (0, 8));
}

#[test]
fn s9_full_of_events_the_oldest_give_way_and_alarms_never_do() {
    let (mailbox, budget) = mailbox(4);
    push(&mailbox, [item("fall", 1, Class::Alarm)]);
    push(&mailbox, (2..=9).map(|id| item("log", id, Class::Event)));
    push(&mailbox, [item("fall", 10, Class::Alarm), message(10)]);
    assert_eq!(taken(&mailbox), [1, 9, 10, 0]);
    assert_eq!((budget.memory(), budget.dropped()), (0, 7));
}

#[test]
fn s9_a_mailbox_that_alarms_and_messages_alone_fill_ends_its_session() {
    let (mailbox, budget) = mailbox(3);
    push(&mailbox, (1..=3).map(|id| item("fall", id, Class::Alarm)));
    assert!(matches!(mailbox.push(message(1)), Pushed::Closed));
    let mut entries = Vec::new();
    mailbox.take(9, &mut entries, Waker::noop());
    assert!(matches!(entries[..], [Entry::End(EndReason::Overflow)]));
    assert!(matches!(mailbox.push(message(1)), Pushed::Closed));
    assert_eq!(budget.memory(), 0);
}

#[test]
fn an_event_is_dropped_rather_than_a_message_that_waits() {
    let (mailbox, _) = mailbox(2);
    push(
        &mailbox,
        [message(1), message(1), item("log", 7, Class::Event)],
    );
    assert_eq!(taken(&mailbox), [0, 0]);
}

#[test]
fn s10_presence_is_conflated_by_resource() {
    let (mailbox, _) = mailbox(4);
    push(&mailbox, [message(1)]);
    push(&mailbox, (0..50).map(|_| presence("dev7@localhost/a")));
    push(&mailbox, [presence("dev8@localhost/a")]);
    assert_eq!(taken(&mailbox).len(), 3);
}

#[test]
fn s31_only_the_first_entry_of_an_empty_mailbox_wakes() {
    let (mailbox, _) = mailbox(9);
    mailbox.take(1, &mut Vec::new(), Waker::noop());
    assert!(matches!(mailbox.push(message(1)), Pushed::Wake(_)));
    assert!(matches!(mailbox.push(message(1)), Pushed::Queued));
}

#[test]
fn all_mailboxes_together_have_a_bound_and_give_back_what_they_held() {
    let memory_max = 100_000;
    let budget = MailboxBudget::new(1_000, 1 << 20, memory_max);
    let mailboxes: Vec<_> = (0..3).map(|_| Mailbox::new(Arc::clone(&budget))).collect();
    for (mailbox, id) in mailboxes.iter().cycle().zip(1..3_000) {
        mailbox.push(item("log", id, Class::Event));
    }
    let held = budget.memory();
    assert!(held <= memory_max + 3 * RESERVED_BYTES, "{held}");
    drop(mailboxes);
    assert_eq!(budget.memory(), 0);
}

#[test]
fn who_does_not_read_does_not_end_the_sessions_of_who_does() {
    let budget = MailboxBudget::new(1_000, 1 << 20, 100_000);
    let deaf = Mailbox::new(Arc::clone(&budget));
    push(&deaf, (0..9).map(|_| message(10_000)));
    let reader = Mailbox::new(Arc::clone(&budget));
    push(&reader, (0..20).map(|_| message(500)));
    assert_eq!(taken(&reader).len(), 20);
    // The bound holds for whoever goes on to take more than its share.
    assert!(matches!(deaf.push(message(10_000)), Pushed::Closed));
}

#[test]
fn large_entries_are_taken_a_few_at_a_time() {
    let (mailbox, budget) = mailbox(100);
    push(&mailbox, (0..8).map(|_| message(30_000)));
    let mut entries = Vec::new();
    mailbox.take(64, &mut entries, Waker::noop());
    assert_eq!(entries.len(), 3);
    assert!(budget.memory() >= 5 * 30_000);
    assert!(!mailbox.is_empty());
}

#[test]
fn an_event_weighs_all_that_its_sender_can_make_long() {
    let Entry::Event { event, .. } = message(0) else {
        return;
    };
    let What::Message(mut long) = event.what.clone() else {
        return;
    };
    long.id = Some("i".repeat(10_000).into());
    assert!(Event::new(What::Message(long)).weight() > 10_000);
}

#[test]
fn s8_an_entry_is_a_pointer_and_a_small_envelope() {
    assert!(size_of::<Entry>() <= 48, "{}", size_of::<Entry>());
    assert!(size_of::<Mailbox>() <= 152, "{}", size_of::<Mailbox>());
}
