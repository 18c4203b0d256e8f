//! What a session hands back after each `handle_*`: bytes for its peer, commands for the router, work for the shell.

use crate::{
    command::{Command, EndReason, Token},
    credentials::Credentials,
};

/// Collects what one turn of a session produces. The connection owns one and reuses it.
#[derive(Default)]
pub struct Output {
    /// For the peer, in order.
    pub bytes: Vec<u8>,
    /// For the router, in order, as one batch (S31).
    pub commands: Vec<(Token, Command)>,
    /// For the shell, after the bytes are written.
    pub actions: Vec<Action>,
}

impl Output {
    /// Empties it for the next turn; what it holds of memory it keeps, within a bound.
    pub fn clear(&mut self) {
        const BYTES_KEPT: usize = 256 * 1024;
        self.bytes.clear();
        self.bytes.shrink_to(BYTES_KEPT);
        self.commands.clear();
        self.actions.clear();
    }
}

/// Something that only the shell can do.
pub enum Action {
    /// Negotiate TLS now; then [`handle_tls`](super::session::XmppSession::handle_tls). Input read before is void.
    StartTls,
    /// Run the job off the shard (S32); then [`handle_work`](super::session::XmppSession::handle_work).
    Work(Work),
    /// Write what is left, then close the link. The session has sent its `Detach`.
    Close(EndReason),
}

/// A job that costs milliseconds of CPU time.
pub struct Work(pub Box<dyn FnOnce() -> WorkDone + Send>);

/// What became of a job.
pub enum WorkDone {
    /// A password was compared with the stored keys.
    PasswordChecked(bool),
    /// Keys were derived of a new password; `None` where the password is not acceptable.
    Derived(Option<Box<Credentials>>),
}
