//! Password work off the shard (S32): key derivation costs milliseconds, so it runs in a pool as wide as the machine,
//! behind a bounded line. Ten thousand devices that return at once wait in it and starve nobody else.

use std::{future::Future, pin::Pin, sync::Arc, thread::available_parallelism};

use leveret_engine::xmpp::output::{Work, WorkDone};
use tokio::sync::Semaphore;

/// Jobs at a time.
pub(crate) struct WorkPool {
    places: Arc<Semaphore>,
}

impl WorkPool {
    /// As many as the machine has processors.
    pub(crate) fn new() -> Self {
        let places = available_parallelism().map_or(1, usize::from);
        Self {
            places: Arc::new(Semaphore::new(places)),
        }
    }

    /// Runs a job when its turn comes; `None` if it panicked or the hub stops. The line's length is bounded by the number
    /// of connections: each has at most one job, and is not read from meanwhile.
    pub(crate) fn run(&self, work: Work) -> Pin<Box<dyn Future<Output = Option<WorkDone>> + Send>> {
        let places = Arc::clone(&self.places);
        Box::pin(async move {
            let _place = places.acquire_owned().await.ok()?;
            tokio::task::spawn_blocking(work.0).await.ok()
        })
    }
}
