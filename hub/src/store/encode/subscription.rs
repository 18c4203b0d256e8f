//! The options of a subscription, as bytes.

use leveret_engine::item::{Shows, SubscriptionOptions};

use super::{Code as _, Encoded, Reader, put_flags, put_maybe, put_number, put_time};

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
