//! The one connection loop: socket ⇄ session ⇄ shard.
//!
//! One future a connection, polled by hand (S29): no read buffer, no second task, no timer and no channel of its own. What a
//! turn needs for a moment (the read buffer, the output, the parser's arena) belongs to the thread.
//!
//! A turn: write what is left of the last one; read once; hand the session's commands to the shard; take what the mailbox
//! holds, as far as it fits; write everything in one system call. Reading stops while the peer does not take what it was
//! sent, while the session waits for password work or a held-back answer, while its commands wait for the store (S6), and
//! while it has used up its rate: TCP then slows the sender.

mod link;
mod rate;
mod session;

use std::{
    cell::RefCell,
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use leveret_engine::{
    command::{Command, EndReason, SessionId, Token},
    limits::Limits,
    mailbox::Entry,
    time::{Instant, Now},
    xmpp::{
        output::{Action, Output, WorkDone},
        xml::Tree,
    },
};
use tokio::net::TcpStream;

use self::{link::Link, rate::Rate};
pub(crate) use self::{link::TlsKind, session::Session};
use crate::{hub::Core, listener::Admission, timers::Timer};

/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;
/// Bytes rendered before they are written: enough to share a system call among many events, little enough to copy.
const WRITE_BYTES: usize = 16 * 1024;
/// Mailbox entries taken at a time.
const ENTRIES: usize = 64;
/// Turns of one connection before others get theirs.
const TURNS: usize = 16;
/// How long a closing connection may take to write its last words.
const LINGER: Duration = Duration::from_secs(5);
/// How long a peer may leave what it was sent untaken before it counts as gone.
const STALL: Duration = Duration::from_secs(60);

/// What a turn needs for a moment.
struct Scratch {
    read: Box<[u8; READ_BYTES]>,
    output: Output,
    entries: Vec<Entry>,
    tree: Tree,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        read: Box::new([0; READ_BYTES]),
        output: Output::default(),
        entries: Vec::with_capacity(ENTRIES),
        tree: Tree::default(),
    });
}

/// A job of the work pool on its way (S32).
type Job = Pin<Box<dyn Future<Output = Option<WorkDone>> + Send>>;

/// One connection from accept to close.
pub(crate) struct Connection<S: Session> {
    core: Arc<Core>,
    link: Link,
    session: S,
    id: Option<SessionId>,
    peer: IpAddr,
    /// What the socket did not take.
    unwritten: Vec<u8>,
    /// Since when it does not.
    stalled: Option<Instant>,
    timer: Timer,
    rate: Rate,
    job: Option<Job>,
    /// Until when the last words may take.
    closing: Option<Instant>,
    _admission: Admission,
}

/// What a turn came to.
enum Turn {
    /// Something moved: look again.
    Progress,
    /// Nothing to do until somebody wakes us.
    Idle,
    /// The connection is over.
    Over,
}

impl<S: Session> Connection<S> {
    /// A connection that was just accepted. On direct TLS the handshake is its first business.
    pub(crate) fn new(
        core: Arc<Core>,
        socket: TcpStream,
        peer: IpAddr,
        direct_tls: bool,
        admission: Admission,
    ) -> io::Result<Self> {
        // S30: answers are small and somebody waits for each.
        socket.set_nodelay(true)?;
        let now = core.clock().now();
        let session = S::begin(&core, peer, now);
        let link = if direct_tls {
            Link::accept(socket, &core.tls(), TlsKind::Direct)
        } else {
            Link::Plain(socket)
        };
        Ok(Self {
            timer: core.timers().place(),
            rate: Rate::new(now.mono),
            core,
            link,
            session,
            id: None,
            peer,
            unwritten: Vec::new(),
            stalled: None,
            job: None,
            closing: None,
            _admission: admission,
        })
    }

    fn turn(&mut self, scratch: &mut Scratch, cx: &mut Context<'_>) -> Turn {
        let now = self.core.clock().now();
        let limits = self.core.limits();
        // The router tells those that it knows.
        let is_left_behind = self.id.is_none() && self.closing.is_none() && self.core.is_stopping();
        if let Link::Accepting(_) = self.link {
            if is_left_behind {
                return self.lost(scratch, now);
            }
            return self.handshake(scratch, now, cx);
        }
        let mut progress = false;
        if is_left_behind {
            self.session.handle_shutdown(now, &mut scratch.output);
        }
        if !self.unwritten.is_empty() {
            match self.write_left(now, cx) {
                Ok(true) => progress = true,
                Ok(false) => {}
                Err(_) => return self.lost(scratch, now),
            }
        }
        if let Some(job) = &mut self.job
            && let Poll::Ready(done) = job.as_mut().poll(cx)
        {
            self.job = None;
            progress = true;
            // A job that panicked proves nothing: the login fails.
            let done = done.unwrap_or(WorkDone::PasswordChecked(false));
            self.session.handle_work(done, now, &mut scratch.output);
        }
        if self.closing.is_none()
            && self
                .session
                .next_deadline()
                .is_some_and(|at| at <= now.mono)
        {
            self.session.handle_timeout(now, &mut scratch.output);
            progress = true;
        }
        if self.may_read(&limits, now) {
            match self.link.poll_read(cx, &mut scratch.read[..]) {
                Poll::Ready(Ok(0)) => {
                    self.session.handle_eof(now, &mut scratch.output);
                    progress = true;
                }
                Poll::Ready(Ok(count)) => {
                    let input = &scratch.read[..count];
                    let commands = scratch.output.commands.len();
                    self.session
                        .handle_input(input, &mut scratch.tree, now, &mut scratch.output);
                    let stanzas = scratch.output.commands.len() - commands;
                    if S::HAS_RATE {
                        self.rate.spend(count, stanzas, &limits, now.mono);
                    }
                    progress = true;
                }
                Poll::Ready(Err(_)) => return self.lost(scratch, now),
                Poll::Pending => {}
            }
        }
        self.submit(&mut scratch.output.commands);
        // Even an entry that writes nothing may have opened what was closed to reading (S6): look again before resting.
        progress |= self.take_mail(scratch, now, cx);
        self.submit(&mut scratch.output.commands);
        if !scratch.output.bytes.is_empty() {
            progress = true;
            let written = self.write(&scratch.output.bytes, now, cx);
            scratch.output.bytes.clear();
            if written.is_err() {
                return self.lost(scratch, now);
            }
        } else if let Poll::Ready(Err(_)) = self.link.poll_flush(cx) {
            return self.lost(scratch, now);
        }
        for action in std::mem::take(&mut scratch.output.actions) {
            self.act(action, now);
            progress = true;
        }
        if let Some(until) = self.closing
            && (self.unwritten.is_empty() || until <= now.mono)
        {
            return match self.link.poll_shutdown(cx) {
                Poll::Pending if until > now.mono => self.wait(now, cx),
                _ => Turn::Over,
            };
        }
        if self.stalled.is_some_and(|since| since + STALL <= now.mono) {
            return self.lost(scratch, now);
        }
        if progress {
            Turn::Progress
        } else {
            self.wait(now, cx)
        }
    }

    /// The TLS handshake, on direct TLS or after STARTTLS.
    fn handshake(&mut self, scratch: &mut Scratch, now: Now, cx: &mut Context<'_>) -> Turn {
        match self.link.poll_accept(cx, self.core.domain()) {
            Poll::Pending => {
                if self
                    .session
                    .next_deadline()
                    .is_some_and(|at| at <= now.mono)
                {
                    return self.lost(scratch, now);
                }
                self.wait(now, cx)
            }
            Poll::Ready(Ok(security)) => {
                self.session.handle_tls(security, now, &mut scratch.output);
                Turn::Progress
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!(peer = %self.peer, %error, "TLS handshake failed");
                self.lost(scratch, now)
            }
        }
    }

    fn may_read(&mut self, limits: &Limits, now: Now) -> bool {
        self.closing.is_none()
            && self.unwritten.is_empty()
            && self.job.is_none()
            && self.session.wants_input()
            && self.rate.allows(limits, now.mono)
            && !self.id.is_some_and(|id| self.core.shard().is_congested(id))
    }

    /// Hands the session's commands to the shard; the first one makes the session known there.
    fn submit(&mut self, commands: &mut Vec<(Token, Command)>) {
        if commands.is_empty() {
            return;
        }
        let id = match (self.id, self.session.mailbox()) {
            (Some(id), _) => id,
            (None, Some(mailbox)) => {
                let id = self.core.shard().open(Arc::clone(mailbox), Some(self.peer));
                self.id = Some(id);
                id
            }
            // Without a mailbox the session was never heard of, and has nothing to take back.
            (None, None) => return commands.clear(),
        };
        let over = matches!(commands.last(), Some((_, Command::Detach(_))));
        self.core.shard().submit(id, commands);
        if over {
            self.id = None;
        }
    }

    /// Takes what the mailbox holds, as far as there is room to write it; whether there was anything.
    fn take_mail(&mut self, scratch: &mut Scratch, now: Now, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        if self.id.is_none() {
            return any;
        }
        while self.unwritten.is_empty() && scratch.output.bytes.len() < WRITE_BYTES {
            let Some(mailbox) = self.session.mailbox() else {
                return any;
            };
            mailbox.take(ENTRIES, &mut scratch.entries, cx.waker());
            let count = scratch.entries.len();
            if count > 0 {
                any = true;
                self.session
                    .handle_entries(&mut scratch.entries, now, &mut scratch.output);
                scratch.entries.clear();
                self.submit(&mut scratch.output.commands);
            }
            if count < ENTRIES {
                // It is empty and has our waker for what comes next, or what is left is large and waits for the next turn.
                break;
            }
        }
        any
    }

    fn act(&mut self, action: Action, now: Now) {
        match action {
            Action::StartTls => {
                let tls = self.core.tls();
                self.link.start_tls(&tls);
            }
            Action::Work(work) => self.job = Some(self.core.work(self.peer, work)),
            Action::Close(reason) => {
                tracing::debug!(peer = %self.peer, ?reason, "closing");
                self.closing.get_or_insert(now.mono + LINGER);
            }
        }
    }

    /// Writes `bytes`; what the socket does not take is kept.
    fn write(&mut self, bytes: &[u8], now: Now, cx: &mut Context<'_>) -> io::Result<()> {
        let mut rest = bytes;
        if self.unwritten.is_empty() {
            while !rest.is_empty() {
                match self.link.poll_write(cx, rest)? {
                    Poll::Ready(count) => rest = &rest[count..],
                    Poll::Pending => break,
                }
            }
            if let Poll::Ready(Err(error)) = self.link.poll_flush(cx) {
                return Err(error);
            }
        }
        if !rest.is_empty() {
            self.unwritten.extend_from_slice(rest);
            self.stalled.get_or_insert(now.mono);
        }
        Ok(())
    }

    /// Writes what was kept; whether anything moved.
    fn write_left(&mut self, now: Now, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = 0;
        while moved < self.unwritten.len() {
            match self.link.poll_write(cx, &self.unwritten[moved..])? {
                Poll::Ready(count) => moved += count,
                Poll::Pending => break,
            }
        }
        if moved == self.unwritten.len() {
            self.unwritten = Vec::new();
            self.stalled = None;
        } else if moved > 0 {
            self.unwritten.drain(..moved);
            self.stalled = Some(now.mono);
        }
        Ok(moved > 0)
    }

    fn lost(&mut self, scratch: &mut Scratch, now: Now) -> Turn {
        self.session.handle_link_lost(now, &mut scratch.output);
        self.submit(&mut scratch.output.commands);
        Turn::Over
    }

    /// Arms the timer for whatever comes first.
    fn wait(&mut self, now: Now, cx: &mut Context<'_>) -> Turn {
        let limits = self.core.limits();
        let session = if self.closing.is_none() {
            self.session.next_deadline()
        } else {
            None
        };
        let deadlines = [
            session,
            self.closing,
            self.stalled.map(|since| since + STALL),
            self.rate.next(&limits, now.mono),
        ];
        if let Some(at) = deadlines.into_iter().flatten().min() {
            self.timer.arm(at, now.mono, cx.waker());
        }
        Turn::Idle
    }
}

impl<S: Session> Future for Connection<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        SCRATCH.with_borrow_mut(|scratch| {
            // What a connection that panicked left behind must not reach another peer.
            scratch.output.clear();
            scratch.entries.clear();
            for _ in 0..TURNS {
                let turn = self.turn(scratch, cx);
                scratch.output.clear();
                match turn {
                    Turn::Progress => {}
                    Turn::Idle => return Poll::Pending,
                    Turn::Over => return Poll::Ready(()),
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

impl<S: Session> Drop for Connection<S> {
    fn drop(&mut self) {
        // Whatever ended this future, nobody may be left who seems to be here.
        if let Some(id) = self.id {
            let mut farewell = vec![(Token::default(), Command::Detach(EndReason::LinkLost))];
            self.core.shard().submit(id, &mut farewell);
        }
    }
}

#[cfg(test)]
mod tests {
    use leveret_engine::xmpp::session::XmppSession;

    use super::*;

    /// S29: what an idle session owns is multiplied by all of them. Growth is allowed, by whoever raises the bound knowingly.
    #[test]
    fn an_idle_connection_is_small() {
        let sizes = [
            ("Connection", size_of::<Connection<XmppSession>>(), 416),
            ("XmppSession", size_of::<XmppSession>(), 192),
            ("Link", size_of::<Link>(), 40),
        ];
        for (what, bytes, bound) in sizes {
            assert!(bytes <= bound, "{what}: {bytes} bytes, {bound} allowed");
        }
    }
}
