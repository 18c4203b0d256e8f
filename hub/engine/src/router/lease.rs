//! The clock behind leased subscriptions, and owners who are asked for approval when they come (XEP-0060 §12.19, §8.6).

use std::time::Duration;

use crate::{
    address::BareJid,
    command::SessionId,
    effect::StoreQuery,
    item::NodeSubscription,
    node::NodeAddress,
    router::{Router, stored::Asked, world::World},
    time::Instant,
};

/// How often the store is asked for leases of nodes that are not in memory. What is over delivers nothing meanwhile.
const SWEEP: Duration = Duration::from_secs(3_600);
/// Leases that the store names at a time.
const SWEEP_MAX: u32 = 256;

impl Router {
    /// When something is to be done about leases. The wall clock says it, which may be set meanwhile: so it is looked at again
    /// in an hour at the latest.
    pub(super) fn lease_deadline(&self) -> Option<Instant> {
        let due = self.pubsub.next_lease().filter(|_| self.now.wall_trusted);
        let due = due.map(|at| self.now.mono + at.since(self.now.wall).min(SWEEP));
        [due, self.lease_sweep].into_iter().flatten().min()
    }

    /// Ends leases that are over, and warns of those that almost are.
    pub(super) fn see_to_leases(&mut self) {
        let mut world = World {
            directory: &mut self.directory,
            residency: &self.residency,
        };
        for change in self.pubsub.leases_due(self.now, &mut world) {
            self.change(change, None);
        }
        if self.booted
            && self
                .lease_sweep
                .take_if(|at| *at <= self.now.mono)
                .is_some()
        {
            self.lease_sweep = Some(self.now.mono + SWEEP);
            self.sweep_leases();
        }
    }

    fn sweep_leases(&mut self) {
        if self.now.wall_trusted {
            let query = StoreQuery::Ended {
                before: self.now.wall,
                max: SWEEP_MAX,
            };
            self.query(query, Asked::Ended);
        }
    }

    pub(super) fn end_leases(&mut self, ended: Vec<(NodeAddress, NodeSubscription)>) {
        let all = ended.len() < SWEEP_MAX as usize;
        let mut world = World {
            directory: &mut self.directory,
            residency: &self.residency,
        };
        let changes = self.pubsub.leases_ended(ended, self.now, &mut world);
        let done = changes.is_empty();
        for change in changes {
            self.change(change, None);
        }
        // What is being removed is not answered again.
        if !all && !done {
            self.sweep_leases();
        }
    }

    /// An owner has come: requests that waited for it are sent.
    pub(super) fn start_requests(&mut self, id: SessionId, owner: &BareJid) {
        if self.pubsub.is_asked(owner) {
            let query = self.pubsub.requests_query(owner);
            self.query(query, Asked::Requests(owner.clone(), id));
        }
    }

    pub(super) fn send_requests(
        &mut self,
        owner: &BareJid,
        id: SessionId,
        waiting: Vec<(NodeAddress, NodeSubscription)>,
    ) {
        let notices = self.pubsub.requests(owner, waiting, id);
        self.notify(notices, None);
    }
}
