//! How busy a node is, for who operates the hub: publishes and deliveries of this minute and the last, while it is in memory.

use std::time::Duration;

use crate::{
    command::{NodeTraffic, NodeUsage},
    node::NodeAddress,
    time::{Instant, Now},
};

use super::Pubsub;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// When the first of them was counted, in seconds.
    since: u32,
    minute: u32,
    this: Counts,
    last: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    published: u32,
    delivered: u32,
}

impl Traffic {
    /// An item was published, for so many.
    pub(super) fn count(&mut self, deliveries: usize, now: Now) {
        let seconds = seconds(now);
        if self.this.published == 0 && self.last.published == 0 {
            self.since = seconds;
        }
        self.turn(seconds / 60);
        let more = u32::try_from(deliveries).unwrap_or(u32::MAX);
        self.this.published = self.this.published.saturating_add(1);
        self.this.delivered = self.this.delivered.saturating_add(more);
    }

    fn turn(&mut self, minute: u32) {
        if minute != self.minute {
            self.last = if minute == self.minute + 1 {
                self.this
            } else {
                Counts::default()
            };
            self.this = Counts::default();
            self.minute = minute;
        }
    }

    /// Those of the last minute and of this one, as far as it has gone.
    fn lately(&mut self, now: Now) -> NodeTraffic {
        let seconds = seconds(now);
        self.turn(seconds / 60);
        let from = self.since.max((seconds / 60).saturating_sub(1) * 60);
        NodeTraffic {
            published: self.this.published.saturating_add(self.last.published),
            delivered: self.this.delivered.saturating_add(self.last.delivered),
            within: Duration::from_secs(u64::from(seconds.saturating_sub(from)) + 1),
        }
    }
}

impl Pubsub {
    /// What is known of a node beside what the store has; `None` if it is not in memory.
    pub fn usage(&mut self, at: &NodeAddress, now: Now) -> Option<NodeUsage> {
        let memory_bytes = self.nodes.weight_of(at)?;
        let class = self.class_at(at)?;
        let node = self.nodes.get_mut(at)?;
        Some(NodeUsage {
            class,
            memory_bytes,
            traffic: node.traffic.lately(now),
        })
    }
}

fn seconds(now: Now) -> u32 {
    u32::try_from(now.mono.since(Instant::default()).as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now {
            mono: Instant::default() + Duration::from_secs(seconds),
            ..Now::default()
        }
    }

    fn lately(traffic: &mut Traffic, seconds: u64) -> (u32, u32, u64) {
        let lately = traffic.lately(at(seconds));
        (lately.published, lately.delivered, lately.within.as_secs())
    }

    #[test]
    fn this_minute_and_the_last_are_counted_and_older_ones_forgotten() {
        let mut traffic = Traffic::default();
        traffic.count(10, at(3_630));
        traffic.count(10, at(3_659));
        assert_eq!(lately(&mut traffic, 3_659), (2, 20, 30));
        traffic.count(5, at(3_661));
        assert_eq!(lately(&mut traffic, 3_670), (3, 25, 41));
        assert_eq!(lately(&mut traffic, 3_725), (1, 5, 66));
        assert_eq!(lately(&mut traffic, 3_785), (0, 0, 66));
        traffic.count(1, at(9_000));
        assert_eq!(lately(&mut traffic, 9_000), (1, 1, 1));
    }
}
