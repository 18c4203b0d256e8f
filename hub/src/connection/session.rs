//! What a connection asks of the session that it carries, whichever protocol that speaks.

use std::{net::IpAddr, sync::Arc};

use leveret_engine::{
    mailbox::{Entry, Mailbox},
    time::{Instant, Now},
    xmpp::{
        component::ComponentSession,
        output::{Output, WorkDone},
        session::{LinkSecurity, XmppSession},
        xml::Tree,
    },
};

use crate::hub::Core;

/// A session of the engine, as its connection drives it. Each is documented at
/// [`XmppSession`](leveret_engine::xmpp::session::XmppSession).
pub(crate) trait Session: Send + Unpin + 'static {
    /// Whether what the peer sends has a rate (`stanzas_per_second`, `bytes_per_second`).
    const HAS_RATE: bool;

    fn begin(core: &Core, peer: IpAddr, now: Now) -> Self;
    fn handle_input(&mut self, input: &[u8], tree: &mut Tree, now: Now, out: &mut Output);
    fn handle_entries(&mut self, entries: &mut Vec<Entry>, now: Now, out: &mut Output);
    fn handle_tls(&mut self, security: LinkSecurity, now: Now, out: &mut Output);
    fn handle_work(&mut self, done: WorkDone, now: Now, out: &mut Output);
    fn handle_timeout(&mut self, now: Now, out: &mut Output);
    fn handle_shutdown(&mut self, now: Now, out: &mut Output);
    fn handle_eof(&mut self, now: Now, out: &mut Output);
    fn handle_link_lost(&mut self, now: Now, out: &mut Output);
    fn next_deadline(&self) -> Option<Instant>;
    fn mailbox(&self) -> Option<&Arc<Mailbox>>;
    fn wants_input(&self) -> bool;
}

impl Session for XmppSession {
    const HAS_RATE: bool = true;

    fn begin(core: &Core, peer: IpAddr, now: Now) -> Self {
        let security = LinkSecurity::Plain;
        Self::new(core.xmpp(), security, Some(peer), core.fresh_seed(), now)
    }

    fn handle_input(&mut self, input: &[u8], tree: &mut Tree, now: Now, out: &mut Output) {
        self.handle_input(input, tree, now, out);
    }

    fn handle_entries(&mut self, entries: &mut Vec<Entry>, now: Now, out: &mut Output) {
        self.handle_entries(entries, now, out);
    }

    fn handle_tls(&mut self, security: LinkSecurity, now: Now, out: &mut Output) {
        self.handle_tls(security, now, out);
    }

    fn handle_work(&mut self, done: WorkDone, now: Now, out: &mut Output) {
        self.handle_work(done, now, out);
    }

    fn handle_timeout(&mut self, now: Now, out: &mut Output) {
        self.handle_timeout(now, out);
    }

    fn handle_shutdown(&mut self, now: Now, out: &mut Output) {
        self.handle_shutdown(now, out);
    }

    fn handle_eof(&mut self, now: Now, out: &mut Output) {
        self.handle_eof(now, out);
    }

    fn handle_link_lost(&mut self, now: Now, out: &mut Output) {
        self.handle_link_lost(now, out);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline()
    }

    fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        self.mailbox()
    }

    fn wants_input(&self) -> bool {
        self.wants_input()
    }
}

impl Session for ComponentSession {
    /// One stream carries what thousands of addresses have to say, and whoever runs the hub trusts it (XEP-0114 §4). What the
    /// router has under way for it bounds it all the same (S6).
    const HAS_RATE: bool = false;

    fn begin(core: &Core, peer: IpAddr, now: Now) -> Self {
        Self::new(core.components(), Some(peer), core.fresh_seed(), now)
    }

    fn handle_input(&mut self, input: &[u8], tree: &mut Tree, now: Now, out: &mut Output) {
        self.handle_input(input, tree, now, out);
    }

    fn handle_entries(&mut self, entries: &mut Vec<Entry>, now: Now, out: &mut Output) {
        self.handle_entries(entries, now, out);
    }

    /// Its link is never encrypted by the hub.
    fn handle_tls(&mut self, _: LinkSecurity, _: Now, _: &mut Output) {}

    /// It hands out no work.
    fn handle_work(&mut self, _: WorkDone, _: Now, _: &mut Output) {}

    fn handle_timeout(&mut self, now: Now, out: &mut Output) {
        self.handle_timeout(now, out);
    }

    fn handle_shutdown(&mut self, now: Now, out: &mut Output) {
        self.handle_shutdown(now, out);
    }

    fn handle_eof(&mut self, now: Now, out: &mut Output) {
        self.handle_link_lost(now, out);
    }

    fn handle_link_lost(&mut self, now: Now, out: &mut Output) {
        self.handle_link_lost(now, out);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline()
    }

    fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        self.mailbox()
    }

    fn wants_input(&self) -> bool {
        self.wants_input()
    }
}
