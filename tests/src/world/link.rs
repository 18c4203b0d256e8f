//! A bad wire: it delays, breaks what it carries into pieces at any byte, stalls, and is cut with bytes on it.

use std::collections::VecDeque;

use super::chance::Chance;

/// How bad the wires are.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// The longest time that a piece is on its way, in microseconds.
    pub delay_micros_max: u64,
    /// The largest piece, in bytes; what is larger is broken at any byte.
    pub piece_bytes_max: usize,
}

impl Weather {
    /// Whole writes, a millisecond long.
    pub const FAIR: Self = Self {
        delay_micros_max: 1_000,
        piece_bytes_max: usize::MAX,
    };
}

/// One direction of a link.
#[derive(Debug, Default)]
pub struct Pipe {
    /// Pieces on their way, by time of arrival.
    pieces: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
    /// Nothing arrives before.
    stalled_until: u64,
    end: Option<End>,
}

/// How a direction ends, once what is on it has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The receiver learns it at that time.
    Told(u64),
    /// The receiver never learns it.
    Silent,
}

/// What arrives.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Bytes.
    Bytes(Vec<u8>),
    /// The end of the direction.
    End,
}

impl Pipe {
    /// Puts bytes on the wire.
    pub fn send(&mut self, bytes: &[u8], now: u64, weather: Weather, chance: &mut Chance) {
        if self.end.is_some() {
            return;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let largest = u64::try_from(rest.len().min(weather.piece_bytes_max)).unwrap_or(1);
            let length = match weather.piece_bytes_max {
                usize::MAX => rest.len(),
                _ => usize::try_from(chance.between(1, largest)).unwrap_or(1),
            };
            let (piece, after) = rest.split_at(length);
            let last = self.pieces.back().map_or(0, |(at, _)| *at);
            let at = last.max(now + chance.between(0, weather.delay_micros_max));
            self.bytes += piece.len();
            self.pieces.push_back((at, piece.to_vec()));
            rest = after;
        }
    }

    /// When something arrives next.
    pub fn next_arrival(&self) -> Option<u64> {
        match (self.pieces.front(), self.end) {
            (Some((at, _)), _) => Some((*at).max(self.stalled_until)),
            (None, Some(End::Told(at))) => Some(at),
            (None, _) => None,
        }
    }

    /// What has arrived by now.
    pub fn receive(&mut self, now: u64) -> Option<Arrival> {
        if self.next_arrival()? > now {
            return None;
        }
        match self.pieces.pop_front() {
            Some((_, piece)) => {
                self.bytes -= piece.len();
                Some(Arrival::Bytes(piece))
            }
            None => {
                self.end = Some(End::Silent);
                Some(Arrival::End)
            }
        }
    }

    /// Bytes on their way: a socket with too many of them takes no more.
    pub const fn in_flight(&self) -> usize {
        self.bytes
    }

    /// Nothing arrives for a while; the receiver does not read.
    pub const fn stall(&mut self, until: u64) {
        self.stalled_until = until;
    }

    /// The sender is done; the receiver learns it after the last byte.
    pub fn close(&mut self, now: u64) {
        if self.end.is_none() {
            let last = self.pieces.back().map_or(now, |(at, _)| now.max(*at));
            self.end = Some(End::Told(last.max(self.stalled_until)));
        }
    }

    /// The wire breaks: a part of what is on it still arrives, cut at any byte. `told` says when the receiver learns it.
    pub fn cut(&mut self, told: Option<u64>, chance: &mut Chance) {
        let kept = chance.index(self.bytes + 1);
        let mut left = kept;
        for (_, piece) in &mut self.pieces {
            piece.truncate(left);
            left -= piece.len();
        }
        self.pieces.retain(|(_, piece)| !piece.is_empty());
        self.bytes = kept;
        self.end = Some(told.map_or(End::Silent, End::Told));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORM: Weather = Weather {
        delay_micros_max: 50,
        piece_bytes_max: 7,
    };

    fn received(pipe: &mut Pipe) -> (Vec<u8>, bool) {
        let (mut all, mut ended) = (Vec::new(), false);
        while let Some(arrival) = pipe.receive(1_000_000) {
            match arrival {
                Arrival::Bytes(bytes) => all.extend(bytes),
                Arrival::End => ended = true,
            }
        }
        (all, ended)
    }

    #[test]
    fn pieces_arrive_whole_and_in_order() {
        for seed in 0..100 {
            let (mut pipe, mut chance) = (Pipe::default(), Chance::seeded(seed));
            let sent: Vec<u8> = (0..200).collect();
            for (write, bytes) in sent.chunks(23).enumerate() {
                pipe.send(bytes, write as u64, STORM, &mut chance);
            }
            assert_eq!(pipe.in_flight(), 200);
            pipe.close(0);
            assert_eq!(received(&mut pipe), (sent, true));
        }
    }

    #[test]
    fn a_cut_leaves_a_prefix() {
        for seed in 0..100 {
            let (mut pipe, mut chance) = (Pipe::default(), Chance::seeded(seed));
            let sent: Vec<u8> = (0..50).collect();
            pipe.send(&sent, 0, STORM, &mut chance);
            pipe.cut(Some(60), &mut chance);
            pipe.send(b"late", 0, STORM, &mut chance);
            let (all, ended) = received(&mut pipe);
            assert!(sent.starts_with(&all) && ended, "{all:?}");
            assert_eq!(pipe.in_flight(), 0);
        }
    }
}
