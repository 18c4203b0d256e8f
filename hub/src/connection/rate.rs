//! What one session may send a second (`stanzas_per_second`, `bytes_per_second`), enforced by not reading.

use leveret_engine::{limits::Limits, time::Instant};

/// Bursts may hold this many seconds' worth.
const BURST_SECS: f32 = 4.0;

/// What a session has left of its rates. Below zero it is not read from until that has been made up for.
pub(crate) struct Rate {
    bytes: f32,
    stanzas: f32,
    at: Instant,
}

impl Rate {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            bytes: f32::MAX,
            stanzas: f32::MAX,
            at: now,
        }
    }

    pub(crate) fn spend(&mut self, bytes: usize, stanzas: usize, limits: &Limits, now: Instant) {
        self.refill(limits, now);
        self.bytes -= bytes as f32;
        self.stanzas -= stanzas as f32;
    }

    pub(crate) fn allows(&mut self, limits: &Limits, now: Instant) -> bool {
        if self.bytes >= 0.0 && self.stanzas >= 0.0 {
            return true;
        }
        self.refill(limits, now);
        self.bytes >= 0.0 && self.stanzas >= 0.0
    }

    /// When reading may go on; `None`: now.
    pub(crate) fn next(&self, limits: &Limits, now: Instant) -> Option<Instant> {
        let debt = |left: f32, rate: u32| {
            if left < 0.0 {
                -left / rate.max(1) as f32
            } else {
                0.0
            }
        };
        let secs = debt(self.bytes, limits.bytes_per_second)
            .max(debt(self.stanzas, limits.stanzas_per_second));
        (secs > 0.0).then(|| now + std::time::Duration::from_secs_f32(secs))
    }

    fn refill(&mut self, limits: &Limits, now: Instant) {
        let secs = now.since(self.at).as_secs_f32();
        self.at = now;
        let fill = |left: f32, rate: u32| {
            let rate = rate as f32;
            (left + secs * rate).min(BURST_SECS * rate)
        };
        self.bytes = fill(self.bytes, limits.bytes_per_second);
        self.stanzas = fill(self.stanzas, limits.stanzas_per_second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_four_seconds_passes_and_then_the_sustained_rate() {
        let limits = Limits {
            stanzas_per_second: 10,
            ..Limits::default()
        };
        let mut rate = Rate::new(Instant::from_secs(0));
        rate.spend(0, 40, &limits, Instant::from_secs(1));
        assert!(rate.allows(&limits, Instant::from_secs(1)));
        rate.spend(0, 10, &limits, Instant::from_secs(1));
        assert!(!rate.allows(&limits, Instant::from_secs(1)));
        assert_eq!(
            rate.next(&limits, Instant::from_secs(1)),
            Some(Instant::from_secs(2))
        );
        assert!(rate.allows(&limits, Instant::from_secs(2)));
    }
}
