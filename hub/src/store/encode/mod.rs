//! The form of what is stored as bytes: a version, then fields in order. Numbers are little-endian base 128, texts and
//! bytes are preceded by their length. Whoever adds a field adds a version, reads the older ones, and raises the schema's
//! number, so that an older program refuses the database instead of misreading it.

mod contact;
mod item;
mod message;
mod node;
mod subscription;

use bytes::Bytes;
use leveret_engine::{
    account::Subscription,
    class::Class,
    item::{
        AccessModel, Affiliation, ItemReply, NodeFull, PublishModel, SendLastItem,
        SubscriptionDepth, SubscriptionState, SubscriptionType,
    },
    message::MessageKind,
    payload::MediaType,
    time::Timestamp,
};

use super::fault::Fault;

pub(super) use self::contact::ContactBody;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(left: &[u8]) -> Reader<'_> {
        Reader { left, version: 1 }
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
}
