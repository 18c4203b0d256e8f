//! Messages that wait for somebody absent, as bytes.

use leveret_engine::{
    address::Jid,
    message::{Hints, Message},
};

use super::{Code as _, Encoded, Reader, put_bytes, put_flags, put_maybe, put_text};

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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use leveret_engine::message::MessageKind;

    use super::*;

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
