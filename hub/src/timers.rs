//! One wheel for the deadlines of all connections (S29): a timer of the runtime per session would cost half a kilobyte.
//!
//! A connection arms the wheel only when its deadline comes before what is armed already, and looks at its own deadline
//! when it is woken. So a deadline that moves later with every stanza costs nothing until it is due.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use leveret_engine::time::Instant;
use tokio::sync::Notify;

use crate::clock::Clock;

/// The wheel's resolution. Deadlines are met late by at most this.
const TICK: Duration = Duration::from_millis(250);

/// The deadlines of all connections.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    wheel: Mutex<Wheel>,
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Wheel {
    /// Connections to wake, by tick.
    due: BTreeMap<u64, Vec<u32>>,
    wakers: Vec<Option<Waker>>,
    free: Vec<u32>,
}

/// One connection's place on the wheel.
#[derive(Debug)]
pub(crate) struct Timer {
    timers: Arc<Timers>,
    place: u32,
    /// The earliest tick at which the wheel will wake the connection; `u64::MAX`: none.
    armed: u64,
}

const TICK_MICROS: u64 = TICK.as_micros() as u64;

/// The first tick that is not before `at`.
fn tick_after(at: Instant) -> u64 {
    at.micros().div_ceil(TICK_MICROS)
}

/// The last tick that has come.
fn tick_at(now: Instant) -> u64 {
    now.micros() / TICK_MICROS
}

impl Timers {
    /// A place for one connection.
    pub(crate) fn place(self: &Arc<Self>) -> Timer {
        let mut wheel = self.lock();
        let place = wheel.free.pop().unwrap_or_else(|| {
            wheel.wakers.push(None);
            u32::try_from(wheel.wakers.len() - 1).unwrap_or(u32::MAX)
        });
        Timer {
            timers: Arc::clone(self),
            place,
            armed: u64::MAX,
        }
    }

    /// Wakes connections as their deadlines come; runs as long as the hub.
    pub(crate) async fn run(self: Arc<Self>, clock: Clock) {
        loop {
            let next = self.lock().due.first_key_value().map(|(tick, _)| *tick);
            match next {
                None => self.earlier.notified().await,
                Some(tick) => {
                    let at = Instant::default() + TICK * u32::try_from(tick).unwrap_or(u32::MAX);
                    let sleep = tokio::time::sleep_until(clock.std(at).into());
                    tokio::select! {
                        () = sleep => self.wake_due(clock.mono()),
                        () = self.earlier.notified() => {}
                    }
                }
            }
        }
    }

    /// Wakes all that ever armed the wheel, before their time.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<Waker> = self.lock().wakers.iter().flatten().cloned().collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn wake_due(&self, now: Instant) {
        let mut wakers = Vec::new();
        let mut wheel = self.lock();
        while let Some(entry) = wheel.due.first_entry() {
            if *entry.key() > tick_at(now) {
                break;
            }
            for place in entry.remove() {
                let waker = usize::try_from(place)
                    .ok()
                    .and_then(|place| wheel.wakers[place].clone());
                wakers.extend(waker);
            }
        }
        drop(wheel);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Wheel> {
        self.wheel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timer {
    /// Sees to it that `waker` is woken at `at` or before.
    pub(crate) fn arm(&mut self, at: Instant, now: Instant, waker: &Waker) {
        let tick = tick_after(at);
        if self.armed <= tick && self.armed > tick_at(now) {
            return;
        }
        self.armed = tick;
        let mut wheel = self.timers.lock();
        let place = self.place as usize;
        if !wheel.wakers[place]
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            wheel.wakers[place] = Some(waker.clone());
        }
        let earliest = wheel
            .due
            .first_key_value()
            .is_none_or(|(first, _)| tick < *first);
        wheel.due.entry(tick).or_default().push(self.place);
        drop(wheel);
        if earliest {
            self.timers.earlier.notify_one();
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // What is still armed for this place wakes its next holder once for nothing.
        let mut wheel = self.timers.lock();
        wheel.wakers[self.place as usize] = None;
        wheel.free.push(self.place);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_connection_is_woken_at_its_earliest_deadline_and_not_before() {
        let timers = Arc::new(Timers::default());
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut timer = timers.place();
        timer.arm(Instant::from_secs(10), Instant::from_secs(0), &waker);
        timer.arm(Instant::from_secs(20), Instant::from_secs(1), &waker);
        timers.wake_due(Instant::from_micros(9_999_999));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        timers.wake_due(Instant::from_secs(10));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        timer.arm(Instant::from_secs(20), Instant::from_secs(10), &waker);
        timers.wake_due(Instant::from_secs(20));
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_dropped_connection_leaves_its_place_to_the_next() {
        let timers = Arc::new(Timers::default());
        let first = timers.place();
        let place = first.place;
        drop(first);
        assert_eq!(timers.place().place, place);
    }
}
