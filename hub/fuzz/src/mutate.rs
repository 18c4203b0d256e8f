//! Seeded mutation of inputs: the same seed gives the same inputs on every machine.

/// Longer inputs find nothing that these do not.
pub const INPUT_BYTES_MAX: usize = 4096;

/// Makes new inputs from old ones.
#[derive(Clone, Debug)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// A mutator that repeats itself for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self {
            state: seed ^ 0x9E37_79B9_7F4A_7C15,
        }
    }

    /// The next number of the sequence (the SplitMix64 generator).
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which must not be zero.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next_u64() % bound as u64) as usize
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() {
            None
        } else {
            from.get(self.below(from.len()))
        }
    }

    /// A new input: one of the corpus, changed `1..=changes_max` times.
    pub fn input(
        &mut self,
        corpus: &[Vec<u8>],
        dictionary: &[&str],
        changes_max: usize,
    ) -> Vec<u8> {
        let mut input = self.pick(corpus).cloned().unwrap_or_default();
        for _ in 0..=self.below(changes_max) {
            self.change(&mut input, corpus, dictionary);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>], dictionary: &[&str]) {
        let at = self.below(input.len() + 1);
        match self.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.next_u64() as u8,
            2 => {
                let end = self.end(at, input.len());
                input.drain(at..end);
            }
            3 => {
                // Repeat a piece.
                let piece = input[at..self.end(at, input.len())].to_vec();
                input.splice(at..at, piece);
            }
            4 => {
                // Splice in a piece of another input.
                if let Some(other) = self.pick(corpus) {
                    let from = self.below(other.len() + 1);
                    let piece = other[from..self.end(from, other.len())].to_vec();
                    input.splice(at..at, piece);
                }
            }
            5 => {
                // Replace as many bytes by a token.
                if let Some(token) = self.pick(dictionary) {
                    let end = (at + token.len()).min(input.len());
                    input.splice(at..end, token.bytes());
                }
            }
            _ => {
                if let Some(token) = self.pick(dictionary) {
                    input.splice(at..at, token.bytes());
                }
            }
        }
    }

    /// The end of a piece that begins at `from`: mostly short.
    fn end(&mut self, from: usize, len: usize) -> usize {
        let most = if self.below(4) == 0 { len } else { 16 };
        (from + 1 + self.below(most.max(1))).min(len).max(from)
    }
}
