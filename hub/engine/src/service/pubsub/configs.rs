//! Configurations of nodes, each kept once however many nodes are set so: a fleet's million nodes have a handful.

use std::{collections::HashSet, sync::Arc};

use crate::item::NodeConfig;

/// The pool is not swept below this.
const SWEEP_MIN: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Configs {
    pool: HashSet<Arc<NodeConfig>>,
    sweep_at: usize,
}

impl Configs {
    /// Makes an equal configuration the same one. One that is shared already is in the pool.
    pub(super) fn share(&mut self, config: &mut Arc<NodeConfig>) {
        if Arc::strong_count(config) > 1 {
            return;
        }
        if let Some(known) = self.pool.get(config) {
            *config = Arc::clone(known);
            return;
        }
        if self.pool.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.pool.retain(|known| Arc::strong_count(known) > 1);
            self.sweep_at = self.pool.len() * 2;
        }
        self.pool.insert(Arc::clone(config));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limits::Limits, service::pubsub::config::default_config};

    fn titled(title: usize) -> Arc<NodeConfig> {
        let mut config = default_config(None, &Limits::default());
        config.title = title.to_string().into();
        Arc::new(config)
    }

    #[test]
    fn equal_configurations_are_one_and_those_of_nobody_are_let_go() {
        let mut configs = Configs::default();
        let (mut one, mut other) = (titled(0), titled(0));
        configs.share(&mut one);
        configs.share(&mut other);
        assert!(Arc::ptr_eq(&one, &other));
        for title in 1..10 * SWEEP_MIN {
            configs.share(&mut titled(title));
        }
        assert!(
            configs.pool.len() <= 2 * SWEEP_MIN,
            "{}",
            configs.pool.len()
        );
        let mut again = titled(0);
        configs.share(&mut again);
        assert!(Arc::ptr_eq(&one, &again), "what is in use is not let go");
    }
}
