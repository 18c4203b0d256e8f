//! The form of what is stored as bytes: a version, then fields in order. Numbers are little-endian base 128, texts and
//! bytes are preceded by their length. Whoever adds a field adds a version, reads the older ones, and raises the schema's
//! number, so that an older program refuses the database instead of misreading it.

use bytes::Bytes;
use leveret_engine::{
    account::{Contact, PendingIn, Subscription},
    address::{BareJid, FullJid, Jid},
    class::Class,
    item::{
        AccessModel, Affiliation, History, Item, ItemReply, NodeConfig, NodeFull, PublishModel,
        SendLastItem, Shows, SubscriptionDepth, SubscriptionOptions, SubscriptionState,
        SubscriptionType,
    },
    message::{Hints, Message, MessageKind},
    node::ItemId,
    payload::{MediaType, Payload},
    time::Timestamp,
};

use super::fault::Fault;

/// A value that the store keeps as bytes.
pub(super) trait Encoded: Sized {
    /// What it is, for the message when it cannot be read.
    const WHAT: &'static str;
    /// The version that is written.
    const VERSION: u8;

    /// Appends the fields.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads the fields back; `None` if that is not what they are.
    fn take(input: &mut Reader<'_>) -> Option<Self>;

    /// The stored form.
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![Self::VERSION];
        self.put(&mut out);
        out
    }

    /// Reads a stored form, strictly.
    fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let mut input = Reader {
            left: bytes,
            version: 0,
        };
        let value = match input.byte() {
            Some(version) if (1..=Self::VERSION).contains(&version) => {
                input.version = version;
                Self::take(&mut input)
            }
            _ => None,
        };
        match value {
            Some(value) if input.left.is_empty() => Ok(value),
            _ => Err(Fault::Damaged(Self::WHAT)),
        }
    }
}

/// An enumeration by a number that never changes.
pub(super) trait Code: Copy + PartialEq + 'static {
    /// Every value at its number.
    const TABLE: &'static [Self];

    /// Its number.
    fn code(self) -> u8 {
        // Each table holds every value of its type; a test walks them.
        let place = Self::TABLE.iter().position(|&value| value == self);
        place.map_or(u8::MAX, |place| place as u8)
    }

    /// The value of a number.
    fn of_code(code: u8) -> Option<Self> {
        Self::TABLE.get(usize::from(code)).copied()
    }

    /// The value of a stored number.
    fn of_column(code: i64) -> Result<Self, Fault> {
        let value = u8::try_from(code).ok().and_then(Self::of_code);
        value.ok_or(Fault::Damaged("number"))
    }
}

macro_rules! code {
    ($($name:ident: $($value:ident),+;)*) => {$(
        impl Code for $name {
            const TABLE: &'static [Self] = &[$(Self::$value),+];
        }
    )*};
}
// Append only: the place in the list is what is stored.
code! {
    Subscription: None, To, From, Both;
    Class: State, Event, Alarm;
    MediaType: Xml;
    MessageKind: Chat, Error, Groupchat, Headline, Normal;
    AccessModel: Open, Presence, Roster, Authorize, Whitelist;
    PublishModel: Publishers, Subscribers, Open;
    SendLastItem: Never, OnSub, OnSubAndPresence;
    Affiliation: Owner, Publisher, PublishOnly, Member, None, Outcast;
    SubscriptionState: None, Pending, Unconfigured, Subscribed;
    NodeFull: RetractOldest, DiscardOldest, Reject;
    ItemReply: Owner, Publisher;
    SubscriptionType: Items, Nodes;
    SubscriptionDepth: One, All;
}

/// What is left to read.
pub(super) struct Reader<'a> {
    left: &'a [u8],
    /// Which version of the form it is; a field that came later is not in an older one.
    version: u8,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.left.split_first()?;
        self.left = rest;
        Some(first)
    }

    fn flags<const N: usize>(&mut self) -> Option<[bool; N]> {
        let bits = self.number()?;
        (bits >> N == 0).then(|| std::array::from_fn(|at| bits >> at & 1 == 1))
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            value |= part << shift;
            if (value >> shift) & 0x7f != part {
                return None; // more than 64 bits
            }
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    fn time(&mut self) -> Option<Timestamp> {
        let (head, rest) = self.left.split_first_chunk()?;
        self.left = rest;
        Some(Timestamp::from_micros(i64::from_le_bytes(*head)))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.small::<usize>()?;
        let (head, rest) = self.left.split_at_checked(count)?;
        self.left = rest;
        Some(head)
    }

    fn shared(&mut self) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(self.bytes()?))
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn boxed(&mut self) -> Option<Box<str>> {
        self.text().map(Into::into)
    }

    fn maybe<T>(&mut self, take: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => take(self).map(Some),
            _ => None,
        }
    }

    fn list<T>(&mut self, mut take: impl FnMut(&mut Self) -> Option<T>) -> Option<Box<[T]>> {
        let count = self.number()?;
        (0..count).map(|_| take(self)).collect()
    }

    fn code<T: Code>(&mut self) -> Option<T> {
        T::of_code(self.byte()?)
    }
}

fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_flags<const N: usize>(out: &mut Vec<u8>, flags: [bool; N]) {
    let bits = flags
        .iter()
        .rev()
        .fold(0, |bits, &flag| bits << 1 | u64::from(flag));
    put_number(out, bits);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

fn put_time(out: &mut Vec<u8>, at: Timestamp) {
    out.extend_from_slice(&at.micros().to_le_bytes());
}

fn put_maybe<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

/// A contact without its address, which is its key.
pub(super) struct ContactBody {
    name: Option<Box<str>>,
    groups: Vec<Box<str>>,
    subscription: Subscription,
    pending_out: bool,
    pending_in: Option<PendingIn>,
    approved: bool,
    listed: bool,
    version: u64,
}

impl ContactBody {
    /// Splits a contact.
    pub(super) fn of(contact: &Contact) -> Self {
        let Contact {
            jid: _,
            name,
            groups,
            subscription,
            pending_out,
            pending_in,
            approved,
            listed,
            version,
        } = contact.clone();
        Self {
            name,
            groups,
            subscription,
            pending_out,
            pending_in,
            approved,
            listed,
            version,
        }
    }

    /// Puts a contact together.
    pub(super) fn with(self, jid: BareJid) -> Contact {
        let Self {
            name,
            groups,
            subscription,
            pending_out,
            pending_in,
            approved,
            listed,
            version,
        } = self;
        Contact {
            jid,
            name,
            groups,
            subscription,
            pending_out,
            pending_in,
            approved,
            listed,
            version,
        }
    }
}

impl Encoded for ContactBody {
    const WHAT: &'static str = "contact";
    const VERSION: u8 = 1;

    fn put(&self, out: &mut Vec<u8>) {
        put_flags(out, [self.pending_out, self.approved, self.listed]);
        out.push(self.subscription.code());
        put_number(out, self.version);
        put_maybe(out, self.name.as_deref(), put_text);
        put_number(out, self.groups.len() as u64);
        for group in &self.groups {
            put_text(out, group);
        }
        put_maybe(out, self.pending_in.as_ref(), |out, pending| {
            put_maybe(out, pending.id.as_deref(), put_text);
            put_maybe(out, pending.lang.as_deref(), put_text);
            put_bytes(out, &pending.content);
        });
    }

    fn take(input: &mut Reader<'_>) -> Option<Self> {
        let [pending_out, approved, listed] = input.flags()?;
        let subscription = input.code()?;
        let version = input.number()?;
        let name = input.maybe(Reader::boxed)?;
        let count = input.number()?;
        let groups = (0..count).map(|_| input.boxed()).collect::<Option<_>>()?;
        let pending_in = input.maybe(|input| {
            Some(PendingIn {
                id: input.maybe(Reader::boxed)?,
                lang: input.maybe(Reader::boxed)?,
                content: input.shared()?,
            })
        })?;
        Some(Self {
            name,
            groups,
            subscription,
            pending_out,
            pending_in,
            approved,
            listed,
            version,
        })
    }
}

impl Encoded for Message {
    const WHAT: &'static str = "message";
    const VERSION: u8 = 1;

    fn put(&self, out: &mut Vec<u8>) {
        let Self {
            from,
            to,
            kind,
            id,
            lang,
            content,
            hints,
        } = self;
        let Hints {
            no_store,
            store,
            body,
            chat_state_only,
            // What decides about copies: those are made when it is sent.
            no_copy: _,
            instant: _,
            room: _,
        } = *hints;
        put_text(out, from.as_str());
        put_text(out, to.as_str());
        out.push(kind.code());
        put_maybe(out, id.as_deref(), put_text);
        put_maybe(out, lang.as_deref(), put_text);
        put_flags(out, [no_store, store, body, chat_state_only]);
        put_bytes(out, content);
    }

    fn take(input: &mut Reader<'_>) -> Option<Self> {
        let from = Jid::parse(input.text()?).ok()?;
        let to = Jid::parse(input.text()?).ok()?;
        let kind = input.code()?;
        let id = input.maybe(Reader::boxed)?;
        let lang = input.maybe(Reader::boxed)?;
        let [no_store, store, body, chat_state_only] = input.flags()?;
        let content = input.shared()?;
        let hints = Hints {
            no_store,
            store,
            body,
            chat_state_only,
            ..Hints::default()
        };
        Some(Self {
            from,
            to,
            kind,
            id,
            lang,
            content,
            hints,
        })
    }
}

impl Encoded for Item {
    const WHAT: &'static str = "owed item";
    const VERSION: u8 = 1;

    fn put(&self, out: &mut Vec<u8>) {
        let Self {
            id,
            publisher,
            published,
            payload,
            class,
        } = self;
        put_text(out, id.as_str());
        put_text(out, publisher.as_str());
        put_time(out, *published);
        out.push(class.code());
        put_maybe(out, payload.as_ref(), |out, Payload { bytes, media }| {
            out.push(media.code());
            put_bytes(out, bytes);
        });
    }

    fn take(input: &mut Reader<'_>) -> Option<Self> {
        let id = ItemId::parse(input.text()?).ok()?;
        let publisher = FullJid::parse(input.text()?).ok()?;
        let published = input.time()?;
        let class = input.code()?;
        let payload = input.maybe(|input| {
            Some(Payload {
                media: input.code()?,
                bytes: input.shared()?,
            })
        })?;
        Some(Self {
            id,
            publisher,
            published,
            payload,
            class,
        })
    }
}

impl Encoded for NodeConfig {
    const WHAT: &'static str = "node configuration";
    const VERSION: u8 = 2;

    fn put(&self, out: &mut Vec<u8>) {
        let Self {
            title,
            description,
            payload_type,
            access_model,
            publish_model,
            max_items,
            max_payload_size,
            persist_items,
            deliver_payloads,
            deliver_notifications,
            notify_config,
            notify_delete,
            notify_retract,
            notify_sub,
            notification_type,
            send_last_published_item,
            language,
            contact,
            roster_groups_allowed,
            subscribe,
            item_expire,
            publish_node_full,
            presence_based_delivery,
            purge_offline,
            tempsub,
            itemreply,
            body_xslt,
            dataform_xslt,
            class,
            history,
        } = self;
        for text in [title, description, payload_type] {
            put_text(out, text);
        }
        out.push(access_model.code());
        out.push(publish_model.code());
        put_number(out, (*max_items).into());
        put_number(out, (*max_payload_size).into());
        let deliver = [*persist_items, *deliver_payloads, *deliver_notifications];
        put_flags(out, deliver);
        put_flags(
            out,
            [*notify_config, *notify_delete, *notify_retract, *notify_sub],
        );
        out.push(notification_type.code());
        out.push(send_last_published_item.code());
        for text in [language, body_xslt, dataform_xslt] {
            put_text(out, text);
        }
        put_number(out, contact.len() as u64);
        for jid in contact {
            put_text(out, jid.as_str());
        }
        put_number(out, roster_groups_allowed.len() as u64);
        for group in roster_groups_allowed {
            put_text(out, group);
        }
        put_flags(
            out,
            [
                *subscribe,
                *presence_based_delivery,
                *purge_offline,
                *tempsub,
            ],
        );
        put_maybe(out, *item_expire, |out, seconds| {
            put_number(out, seconds.into())
        });
        out.push(publish_node_full.code());
        put_maybe(out, *itemreply, |out, to| out.push(to.code()));
        put_maybe(out, *class, |out, class| out.push(class.code()));
        put_maybe(out, *history, |out, history| {
            put_number(out, history.items.into());
            put_maybe(out, history.age_seconds, |out, age| {
                put_number(out, age.into())
            });
            put_maybe(out, history.bytes, put_number);
        });
    }

    fn take(input: &mut Reader<'_>) -> Option<Self> {
        let title = input.boxed()?;
        let description = input.boxed()?;
        let payload_type = input.boxed()?;
        let access_model = input.code()?;
        let publish_model = input.code()?;
        let max_items = input.small()?;
        let max_payload_size = input.small()?;
        let [persist_items, deliver_payloads, deliver_notifications] = input.flags()?;
        let [notify_config, notify_delete, notify_retract, notify_sub] = input.flags()?;
        let notification_type = input.code()?;
        let send_last_published_item = input.code()?;
        if input.version == 1 {
            return Some(Self {
                title,
                description,
                payload_type,
                access_model,
                publish_model,
                max_items,
                max_payload_size,
                persist_items,
                deliver_payloads,
                deliver_notifications,
                notify_config,
                notify_delete,
                notify_retract,
                notify_sub,
                notification_type,
                send_last_published_item,
                ..Self::default()
            });
        }
        let language = input.boxed()?;
        let body_xslt = input.boxed()?;
        let dataform_xslt = input.boxed()?;
        let contact = input.list(|input| Jid::parse(input.text()?).ok())?;
        let roster_groups_allowed = input.list(Reader::boxed)?;
        let [subscribe, presence_based_delivery, purge_offline, tempsub] = input.flags()?;
        let item_expire = input.maybe(Reader::small)?;
        let publish_node_full = input.code()?;
        let itemreply = input.maybe(Reader::code)?;
        let class = input.maybe(Reader::code)?;
        let history = input.maybe(|input| {
            Some(History {
                items: input.small()?,
                age_seconds: input.maybe(Reader::small)?,
                bytes: input.maybe(Reader::number)?,
            })
        })?;
        Some(Self {
            title,
            description,
            payload_type,
            access_model,
            publish_model,
            max_items,
            max_payload_size,
            persist_items,
            deliver_payloads,
            deliver_notifications,
            notify_config,
            notify_delete,
            notify_retract,
            notify_sub,
            notification_type,
            send_last_published_item,
            language,
            contact,
            roster_groups_allowed,
            subscribe,
            item_expire,
            publish_node_full,
            presence_based_delivery,
            purge_offline,
            tempsub,
            itemreply,
            body_xslt,
            dataform_xslt,
            class,
            history,
        })
    }
}

impl Encoded for SubscriptionOptions {
    const WHAT: &'static str = "subscription options";
    const VERSION: u8 = 1;

    fn put(&self, out: &mut Vec<u8>) {
        let Self {
            deliver,
            digest_millis,
            expire,
            include_body,
            shows,
            kind,
            depth,
        } = self;
        put_flags(out, [*deliver, *include_body]);
        put_maybe(out, *digest_millis, |out, millis| {
            put_number(out, millis.into())
        });
        put_maybe(out, *expire, put_time);
        put_maybe(out, *shows, |out, shows| out.push(shows.bits()));
        out.push(kind.code());
        out.push(depth.code());
    }

    fn take(input: &mut Reader<'_>) -> Option<Self> {
        let [deliver, include_body] = input.flags()?;
        Some(Self {
            deliver,
            include_body,
            digest_millis: input.maybe(Reader::small)?,
            expire: input.maybe(Reader::time)?,
            shows: input.maybe(Reader::byte)?.map(Shows::from_bits),
            kind: input.code()?,
            depth: input.code()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(left: &[u8]) -> Reader<'_> {
        Reader { left, version: 1 }
    }

    #[test]
    fn a_node_configuration_of_the_first_version_has_the_defaults_of_what_came_later() {
        let config = NodeConfig {
            title: "t".into(),
            max_items: 3,
            ..NodeConfig::default()
        };
        let newest = config.encode();
        // The fields of version 2 stand at the end; all of them are defaults here.
        let mut first = newest[..newest.len() - 11].to_vec();
        first[0] = 1;
        assert_eq!(NodeConfig::decode(&first).unwrap(), config);
        assert_eq!(NodeConfig::decode(&newest).unwrap(), config);
    }

    #[test]
    fn numbers_of_every_size_come_back_and_longer_ones_are_refused() {
        for value in [
            0,
            1,
            127,
            128,
            16_383,
            16_384,
            u64::from(u32::MAX),
            u64::MAX,
        ] {
            let mut out = Vec::new();
            put_number(&mut out, value);
            let mut input = reader(&out);
            assert_eq!(input.number(), Some(value));
            assert!(input.left.is_empty());
        }
        assert_eq!(reader(&[0xff; 9]).number(), None);
        let too_long = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(reader(&too_long).number(), None);
    }

    #[test]
    fn every_value_has_a_number_of_its_own() {
        fn walk<T: Code + std::fmt::Debug>() {
            for (place, &value) in T::TABLE.iter().enumerate() {
                assert_eq!(usize::from(value.code()), place, "{value:?}");
                assert_eq!(T::of_code(value.code()), Some(value));
            }
            assert_eq!(T::of_code(T::TABLE.len() as u8), None);
        }
        walk::<Subscription>();
        walk::<Class>();
        walk::<MediaType>();
        walk::<MessageKind>();
        walk::<AccessModel>();
        walk::<PublishModel>();
        walk::<SendLastItem>();
        walk::<Affiliation>();
        walk::<SubscriptionState>();
        walk::<NodeFull>();
        walk::<ItemReply>();
        walk::<SubscriptionType>();
        walk::<SubscriptionDepth>();
    }

    #[test]
    fn what_is_cut_short_too_long_or_of_another_version_is_damaged() {
        let message = Message {
            from: Jid::parse("a@x/1").unwrap(),
            to: Jid::parse("b@x").unwrap(),
            kind: MessageKind::Chat,
            id: Some("i".into()),
            lang: None,
            content: Bytes::from_static(b"<body>hi</body>"),
            hints: Hints {
                body: true,
                ..Hints::default()
            },
        };
        let bytes = message.encode();
        assert_eq!(Message::decode(&bytes).unwrap(), message);
        for end in 0..bytes.len() {
            assert!(Message::decode(&bytes[..end]).is_err(), "{end}");
        }
        assert!(Message::decode(&[bytes.clone(), vec![0]].concat()).is_err());
        let mut newer = bytes;
        newer[0] += 1;
        assert!(Message::decode(&newer).is_err());
    }
}
