//! Whom an event is for: a list in pieces that are shared until they change.
//!
//! A node's list is resolved once and then shared by all its events (S18). When one subscriber of a hundred thousand comes or
//! goes, one piece is copied and all others stay what they are: who has an older list, an event that is under way for example,
//! keeps it.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Delivery, Recipient};

/// Most deliveries in one piece; a longer one is cut in two.
const PIECE_MAX: usize = 512;

/// Whom an event is for. The pieces of the list are shared with all that was made of the same one, until they change.
#[derive(Debug, Clone, Default)]
pub struct Deliveries {
    /// None is empty.
    pieces: SmallVec<[Arc<[Delivery]>; 1]>,
    len: usize,
}

impl Deliveries {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it is for nobody.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Delivery> {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    /// At most `max` of them, from the one at `start` on.
    pub fn range(&self, start: usize, max: usize) -> impl Iterator<Item = &Delivery> {
        let (mut at, mut within) = (0, start);
        while let Some(piece) = self.pieces.get(at)
            && within >= piece.len()
        {
            within -= piece.len();
            at += 1;
        }
        let pieces = self.pieces.iter().skip(at);
        pieces.flat_map(|piece| piece.iter()).skip(within).take(max)
    }

    /// Adds a delivery, or replaces those to the same recipient, in a list that is in order of recipients.
    pub fn put(&mut self, delivery: Delivery) {
        self.replace(delivery.to, SmallVec::from([delivery]));
    }

    /// Replaces all deliveries to a recipient by these to it, in a list that is in order of recipients. Nearly always it is one
    /// by one, and that is one piece.
    pub fn replace(&mut self, to: Recipient, mut deliveries: SmallVec<[Delivery; 1]>) {
        if deliveries.len() == 1
            && let Some((at, Ok(place))) = self.find(to)
            && self.is_only(at, place, to)
            && let Some(delivery) = deliveries.pop()
        {
            let mut piece = self.pieces[at].to_vec();
            piece[place] = delivery;
            self.pieces[at] = piece.into();
            return;
        }
        self.remove(to);
        for delivery in deliveries {
            self.insert(delivery);
        }
    }

    fn insert(&mut self, delivery: Delivery) {
        let Some((at, place)) = self.find(delivery.to) else {
            *self = [delivery].into();
            return;
        };
        let mut piece = self.pieces[at].to_vec();
        piece.insert(place.unwrap_or_else(|place| place), delivery);
        self.len += 1;
        if piece.len() > PIECE_MAX {
            let rest = piece.split_off(PIECE_MAX / 2);
            self.pieces.insert(at + 1, rest.into());
        }
        self.pieces[at] = piece.into();
    }

    /// Removes the deliveries to a recipient from a list that is in order of recipients.
    pub fn remove(&mut self, to: Recipient) {
        while let Some((at, Ok(_))) = self.find(to) {
            let mut piece = self.pieces[at].to_vec();
            let before = piece.len();
            piece.retain(|one| one.to != to);
            self.len -= before - piece.len();
            if piece.is_empty() {
                self.pieces.remove(at);
            } else {
                self.pieces[at] = piece.into();
            }
        }
    }

    /// Whether the delivery there is the only one to its recipient.
    fn is_only(&self, at: usize, place: usize, to: Recipient) -> bool {
        let piece = &self.pieces[at];
        let beside = match place.checked_sub(1) {
            Some(before) => piece.get(before),
            None => at.checked_sub(1).and_then(|at| self.pieces[at].last()),
        };
        let after = piece.get(place + 1);
        let after = after.or_else(|| self.pieces.get(at + 1).and_then(|piece| piece.first()));
        [beside, after]
            .into_iter()
            .flatten()
            .all(|one| one.to != to)
    }

    /// The piece where a recipient stands or would stand, and the place in it; `None` of an empty list.
    fn find(&self, to: Recipient) -> Option<(usize, Result<usize, usize>)> {
        let starts_before = |piece: &Arc<[Delivery]>| piece.first().is_some_and(|one| one.to <= to);
        let at = self.pieces.partition_point(starts_before).saturating_sub(1);
        let piece = self.pieces.get(at)?;
        Some((at, piece.binary_search_by_key(&to, |one| one.to)))
    }
}

impl From<Vec<Delivery>> for Deliveries {
    fn from(list: Vec<Delivery>) -> Self {
        let len = list.len();
        let pieces = if len <= PIECE_MAX {
            (len > 0).then(|| list.into()).into_iter().collect()
        } else {
            list.chunks(PIECE_MAX).map(Arc::from).collect()
        };
        Self { pieces, len }
    }
}

impl<const N: usize> From<[Delivery; N]> for Deliveries {
    fn from(list: [Delivery; N]) -> Self {
        list.into_iter().collect()
    }
}

impl FromIterator<Delivery> for Deliveries {
    fn from_iter<I: IntoIterator<Item = Delivery>>(list: I) -> Self {
        list.into_iter().collect::<Vec<_>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::AccountId;

    fn to(account: u32) -> Delivery {
        Delivery::plain(Recipient::Account(AccountId(account)))
    }

    fn accounts<'a>(list: impl Iterator<Item = &'a Delivery>) -> Vec<u32> {
        let account = |one: &Delivery| match one.to {
            Recipient::Account(account) => account.0,
            Recipient::Session(_) => unreachable!("there are no sessions here"),
        };
        list.map(account).collect()
    }

    #[test]
    fn what_is_put_and_removed_one_by_one_is_what_is_made_at_once() {
        let mut list = Deliveries::default();
        // 7 is prime to 5,000: each once, in no order.
        for number in 0..5_000 {
            list.put(to(number * 7 % 5_000));
            list.put(to(number * 7 % 5_000));
        }
        assert_eq!(list.len(), 5_000);
        assert_eq!(accounts(list.iter()), (0..5_000).collect::<Vec<_>>());
        assert!(list.pieces.iter().all(|piece| piece.len() <= PIECE_MAX));
        for number in (1..5_000).step_by(2) {
            list.remove(Recipient::Account(AccountId(number)));
            list.remove(Recipient::Account(AccountId(number)));
        }
        let even: Vec<u32> = (0..5_000).step_by(2).collect();
        assert_eq!(accounts(list.iter()), even);
        let at_once: Deliveries = even.iter().copied().map(to).collect();
        assert_eq!((at_once.len(), list.len()), (2_500, 2_500));
        for (start, max) in [
            (0, 10),
            (500, 30),
            (1_023, 1_024),
            (2_400, 1_024),
            (2_500, 1),
        ] {
            let end = even.len().min(start + max);
            assert_eq!(accounts(list.range(start, max)), even[start..end]);
            assert_eq!(accounts(at_once.range(start, max)), even[start..end]);
        }
        for number in even {
            list.remove(Recipient::Account(AccountId(number)));
        }
        assert!(list.is_empty() && list.pieces.is_empty());
    }

    #[test]
    fn one_recipient_may_have_several_and_they_come_and_go_together() {
        let mut list: Deliveries = (0..2_000).map(|number| to(2 * number)).collect();
        let several = |many: usize| -> SmallVec<[Delivery; 1]> { vec![to(1_023); many].into() };
        let has = |list: &Deliveries| {
            let recipient = Recipient::Account(AccountId(1_023));
            list.iter().filter(|one| one.to == recipient).count()
        };
        for many in [1, 700, 1, 5, 0, 3, 2, 1, 1] {
            list.replace(Recipient::Account(AccountId(1_023)), several(many));
            assert_eq!((list.len(), has(&list)), (2_000 + many, many));
            assert!(accounts(list.iter()).is_sorted());
        }
    }

    #[test]
    fn one_who_comes_costs_one_piece_and_an_older_list_stays_as_it_was() {
        let mut list: Deliveries = (0..100_000).map(|number| to(2 * number)).collect();
        let before = list.clone();
        list.put(to(77_777));
        assert_eq!((before.len(), list.len()), (100_000, 100_001));
        let shared =
            |piece: &Arc<[Delivery]>| before.pieces.iter().any(|other| Arc::ptr_eq(piece, other));
        let copied = list.pieces.iter().filter(|piece| !shared(piece)).count();
        assert!(copied <= 2, "{copied}");
    }
}
