//! What people do to nodes while others publish to them: set them otherwise, take items back, purge and delete them and
//! make them anew, come and go as subscribers (XEP-0060 §6.1, §6.2, §7.2, §8.2, §8.4, §8.5).

use crate::client::{stanza, xml::Element};

use super::{
    SERVICE,
    chance::Chance,
    ledger::{Ledger, Retracted},
    person::{self, Asked, Person},
};

/// A node that everybody is subscribed to, and that changes under their hands.
pub const BOARD: &str = "site/board";
/// A node that comes and goes, as its subscribers do.
pub const TENT: &str = "site/tent";

/// After its start a session's own questions may still overtake what the one before it had on the wire.
const SETTLED_MICROS: u64 = 5_000_000;

/// Conditions that a question about a node which somebody else may just have deleted, made or emptied may meet.
const RACE: &[&str] = &["item-not-found", "conflict", "unexpected-request"];

/// What one session knows of its subscription to the tent.
#[derive(Debug, Default)]
pub struct Seat {
    /// Questions to be let in that are not answered.
    joining: u32,
    /// The session knows that it is not subscribed: the node is gone, or it has left, and did not ask to be let in since.
    outside: bool,
}

impl Person {
    /// Does something to one of the two nodes.
    pub fn upheave(&mut self, now: u64, chance: &mut Chance, ledger: &mut Ledger) {
        match chance.between(0, 99) {
            0..30 => self.publish(BOARD, now, ledger),
            30..50 => self.publish(TENT, now, ledger),
            50..62 => {
                let max = ["3", "10", "max"][chance.index(3)];
                let notify = ["0", "1"][chance.index(2)];
                let options = [
                    ("pubsub#max_items", max),
                    ("pubsub#notify_retract", notify),
                    ("pubsub#notify_config", notify),
                    ("pubsub#title", "The board"),
                ];
                self.ask(
                    |id| stanza::configure(id, SERVICE, BOARD, &options),
                    Asked::Attempt,
                );
            }
            62..72 => self.retract(now, chance, ledger),
            72..75 => self.ask(|id| stanza::purge(id, SERVICE, BOARD), Asked::Attempt),
            75..80 => {
                self.ask(|id| stanza::delete(id, SERVICE, TENT), Asked::Attempt);
                self.ask(|id| stanza::create(id, SERVICE, TENT, &[]), Asked::Attempt);
            }
            80..84 => {
                let model = ["open", "whitelist"][chance.index(2)];
                let options = [("pubsub#access_model", model)];
                self.ask(
                    |id| stanza::configure(id, SERVICE, TENT, &options),
                    Asked::Attempt,
                );
            }
            84..92 => self.join(),
            _ => {
                let jid = person::bare(self.index);
                self.ask(
                    |id| stanza::unsubscribe(id, SERVICE, TENT, &jid),
                    Asked::Leave,
                );
            }
        }
    }

    /// Subscribes to the tent.
    pub fn join(&mut self) {
        self.seat.joining += 1;
        self.seat.outside = false;
        let jid = person::bare(self.index);
        self.ask(|id| stanza::subscribe(id, SERVICE, TENT, &jid), Asked::Join);
    }

    /// Takes back one of the items that it knows to be on the board.
    fn retract(&mut self, now: u64, chance: &mut Chance, ledger: &mut Ledger) {
        let there: Vec<usize> = (0..ledger.published.len())
            .filter(|&number| {
                let publish = &ledger.published[number];
                publish.node == BOARD && publish.answered.is_some()
            })
            .collect();
        let Some(&number) = there.get(chance.index(there.len().max(1))) else {
            return;
        };
        let question = ledger.retracted.len();
        ledger.retracted.push(Retracted {
            publish: number,
            sent: now,
            answered: false,
        });
        let item = Ledger::item_id(number);
        self.ask(
            |id| stanza::retract(id, SERVICE, BOARD, &item),
            Asked::Retract(question),
        );
    }

    /// The hub has answered a question of this module; false if it should not have answered so.
    pub(super) fn upheaved(
        &mut self,
        asked: &Asked,
        refused: Option<&str>,
        ledger: &mut Ledger,
    ) -> bool {
        let began = ledger
            .session(self.index)
            .map_or(u64::MAX, |session| session.began);
        let is_settled = |now: u64| now >= began.saturating_add(SETTLED_MICROS);
        match asked {
            Asked::Join => self.seat.joining = self.seat.joining.saturating_sub(1),
            Asked::Leave if refused.is_none() => self.leave_tent(is_settled(self.now)),
            Asked::Retract(number) if refused.is_none() => {
                ledger.retracted[*number].answered = true
            }
            _ => {}
        }
        refused.is_none_or(|condition| RACE.contains(&condition) || ledger.excuses(condition))
    }

    fn leave_tent(&mut self, is_settled: bool) {
        self.seat.outside = is_settled && self.seat.joining == 0;
    }

    /// A notification that is none of an item; false if it makes no sense.
    pub(super) fn hear_upheaval(&mut self, event: &Element, ledger: &mut Ledger) -> bool {
        let Some(what) = event.children.first() else {
            return false;
        };
        let began = ledger
            .session(self.index)
            .map_or(u64::MAX, |session| session.began);
        let is_settled = self.now >= began.saturating_add(SETTLED_MICROS);
        match (what.name.as_str(), what.attribute("node")) {
            ("delete", TENT) => self.leave_tent(is_settled),
            ("subscription", TENT) if what.attribute("subscription") == "none" => {
                self.leave_tent(is_settled)
            }
            ("configuration" | "purge", BOARD) => {}
            _ => return false,
        }
        true
    }

    /// An item of the tent has come: whether it may.
    pub(super) fn is_outside(&self) -> bool {
        self.seat.outside
    }
}
