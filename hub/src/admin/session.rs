//! A session of the hub's own: it asks the router as everybody does, with the rights of the operator.

use std::{future::poll_fn, sync::Arc, task::Poll};

use leveret_engine::{
    command::{Command, EndReason, Reply, SessionId, Token},
    mailbox::{Entry, Mailbox, MailboxBudget},
    refusal::{Reason, Refusal},
};

use crate::shard::Shard;

/// One operator's session.
pub(crate) struct OperatorSession {
    shard: Arc<Shard>,
    mailbox: Arc<Mailbox>,
    id: SessionId,
    asked: u32,
}

impl OperatorSession {
    /// Opens a session; it ends when this value is dropped.
    pub(crate) async fn open(
        shard: Arc<Shard>,
        budget: Arc<MailboxBudget>,
    ) -> Result<Self, Refusal> {
        let mailbox = Mailbox::new(budget);
        let id = shard.open(Arc::clone(&mailbox), None);
        let mut session = Self {
            shard,
            mailbox,
            id,
            asked: 0,
        };
        session.ask(Command::AttachOperator).await?;
        Ok(session)
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.asked += 1;
        let token = Token {
            kind: self.asked,
            ..Token::default()
        };
        self.shard.submit(self.id, &mut vec![(token, command)]);
        let mut entries = Vec::new();
        loop {
            poll_fn(|cx| {
                self.mailbox.take(16, &mut entries, cx.waker());
                if entries.is_empty() {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
            .await;
            for entry in entries.drain(..) {
                match entry {
                    Entry::Answer(answer) if answer.token.kind == self.asked => {
                        return answer.result;
                    }
                    Entry::End(_) => {
                        return Err(Refusal::new(Reason::ServiceUnavailable).say("the hub stops"));
                    }
                    // An operator's session has no address: nothing else is for it.
                    _ => {}
                }
            }
        }
    }
}

impl Drop for OperatorSession {
    fn drop(&mut self) {
        let farewell = Command::Detach(EndReason::Farewell);
        self.shard
            .submit(self.id, &mut vec![(Token::default(), farewell)]);
        self.mailbox.close();
    }
}
