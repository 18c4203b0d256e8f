//! Items that are owed to somebody, as bytes. Those of nodes have columns of their own.

use leveret_engine::{address::FullJid, item::Item, node::ItemId, payload::Payload};

use super::{Code as _, Encoded, Reader, put_bytes, put_maybe, put_text, put_time};

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
