//! Password work off the shard (S32): key derivation costs milliseconds, so it runs in a pool as wide as the machine,
//! behind a bounded line. Ten thousand devices that return at once wait in it and starve nobody else.
//!
//! Each network address has a line of its own, and only the first few of it stand in the line of the pool: who sends a
//! thousand guesses from one place waits behind itself, and somebody elsewhere for a few jobs at most.

use std::{
    collections::HashMap,
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    thread::available_parallelism,
};

use leveret_engine::xmpp::output::{Work, WorkDone};
use tokio::sync::Semaphore;

/// Jobs at a time.
pub(crate) struct WorkPool {
    width: usize,
    places: Arc<Semaphore>,
    lines: Arc<Lines>,
}

/// The lines of the addresses that have work. Its size is bounded by the number of connections.
type Lines = Mutex<HashMap<IpAddr, Arc<Semaphore>>>;

impl WorkPool {
    /// As many as the machine has processors.
    pub(crate) fn new() -> Self {
        Self::with_width(available_parallelism().map_or(1, usize::from))
    }

    fn with_width(width: usize) -> Self {
        Self {
            width,
            places: Arc::new(Semaphore::new(width)),
            lines: Arc::default(),
        }
    }

    /// Runs a job when its turn comes; `None` if it panicked or the hub stops. The line's length is bounded by the number
    /// of connections: each has at most one job, and is not read from meanwhile.
    pub(crate) fn run(
        &self,
        peer: IpAddr,
        work: Work,
    ) -> Pin<Box<dyn Future<Output = Option<WorkDone>> + Send>> {
        let places = Arc::clone(&self.places);
        let line = Line::join(&self.lines, network(peer), self.width);
        Box::pin(async move {
            let _turn = line.semaphore.acquire().await.ok()?;
            let _place = places.acquire_owned().await.ok()?;
            tokio::task::spawn_blocking(work.0).await.ok()
        })
    }
}

/// What counts as one address: an IPv6 host owns a whole /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

/// A place in the line of an address, which is forgotten when the last one leaves it.
struct Line {
    lines: Arc<Lines>,
    peer: IpAddr,
    semaphore: Arc<Semaphore>,
}

impl Line {
    fn join(lines: &Arc<Lines>, peer: IpAddr, width: usize) -> Self {
        let semaphore = Arc::clone(
            lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(peer)
                .or_insert_with(|| Arc::new(Semaphore::new(width))),
        );
        Self {
            lines: Arc::clone(lines),
            peer,
            semaphore,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // One in the table, one here.
        if Arc::strong_count(&self.semaphore) <= 2 {
            lines.remove(&self.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;

    #[tokio::test]
    async fn s32_a_thousand_jobs_of_one_address_do_not_delay_another() {
        let pool = WorkPool::with_width(2);
        let done = Arc::new(AtomicUsize::new(0));
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..1_000 {
            let done = Arc::clone(&done);
            crowd.spawn(pool.run(
                [192, 0, 2, 1].into(),
                job(move || {
                    std::thread::sleep(Duration::from_millis(1));
                    done.fetch_add(1, Ordering::Relaxed);
                }),
            ));
        }
        // All of them are in line before the other comes.
        while done.load(Ordering::Relaxed) < 3 {
            tokio::task::yield_now().await;
        }
        let other = pool.run([192, 0, 2, 2].into(), job(|| {}));
        assert!(other.await.is_some());
        let before = done.load(Ordering::Relaxed);
        assert!(before < 500, "{before} jobs went before");
        assert_eq!(crowd.join_all().await.len(), 1_000);
        assert!(
            pool.lines.lock().unwrap().is_empty(),
            "no line is left behind"
        );
    }

    fn job(what: impl FnOnce() + Send + 'static) -> Work {
        Work(Box::new(move || {
            what();
            WorkDone::PasswordChecked(true)
        }))
    }
}
