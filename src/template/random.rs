//! Chance as Python has it: with a seed the same choices as `random.Random(seed)` makes, without one the system's own.
//!
//! The generator is MT19937 (Matsumoto and Nishimura, 1998); how a seed becomes its state and how numbers below a limit
//! are drawn from it follow CPython, where playbooks got their seeded choices from.

use sha2::{Digest, Sha512};

use super::error::{Fail, R};
use crate::value::Value;

/// A source of numbers.
pub(super) enum Random {
    System,
    Seeded(Box<Twister>),
}

impl Random {
    /// Returns the generator of a seed; nothing is no seed. Numbers and texts can be seeds.
    pub fn new(seed: Option<&Value>) -> R<Self> {
        let key = match seed {
            None | Some(Value::Null | Value::Omit) => return Ok(Random::System),
            Some(Value::Int(number)) => words(number.unsigned_abs()),
            Some(Value::Bool(truth)) => vec![u32::from(*truth)],
            Some(Value::Float(number)) => words(u128::from(float_hash(*number) as u64)),
            Some(text @ (Value::Str(_) | Value::Secret(_))) => text_key(&text.to_text()),
            Some(other) => {
                let kind = other.type_name();
                return Err(Fail::failed(format!("a number or a text can be a seed, not {kind}")));
            }
        };
        Ok(Random::Seeded(Box::new(Twister::new(&key))))
    }

    /// Returns a number below `n`, each equally likely; 0 when there is none.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        let bits = u64::BITS - n.leading_zeros();
        loop {
            let number = self.bits(bits);
            if number < n {
                return number;
            }
        }
    }

    /// Returns a number of so many bits, at most 64, the low words drawn first.
    fn bits(&mut self, count: u32) -> u64 {
        let low = count.min(32);
        let number = u64::from(self.word() >> (32 - low));
        if count <= 32 {
            return number;
        }
        number | (u64::from(self.word() >> (64 - count)) << 32)
    }

    fn word(&mut self) -> u32 {
        match self {
            Random::Seeded(twister) => twister.next(),
            Random::System => getrandom::u32().unwrap_or_else(|_| {
                // Without the kernel's randomness the clock must do.
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                now.map_or(0, |d| d.subsec_nanos().wrapping_mul(0x9e37_79b9))
            }),
        }
    }
}

/// A text counts together with its digest, read as one big number.
fn text_key(text: &str) -> Vec<u32> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.extend(Sha512::digest(text.as_bytes()));
    let mut key: Vec<u32> = bytes
        .rchunks(4)
        .map(|chunk| chunk.iter().fold(0, |word, byte| (word << 8) | u32::from(*byte)))
        .collect();
    while key.len() > 1 && key.last() == Some(&0) {
        key.pop();
    }
    key
}

/// The words of a number, the low ones first; zero has one.
fn words(mut number: u128) -> Vec<u32> {
    let mut words = vec![number as u32];
    number >>= 32;
    while number > 0 {
        words.push(number as u32);
        number >>= 32;
    }
    words
}

/// Python's hash of a float: its value modulo the prime 2**61 - 1, with the sign.
fn float_hash(number: f64) -> i64 {
    const BITS: u32 = 61;
    const PRIME: u64 = (1 << BITS) - 1;
    if number.is_nan() {
        return 0;
    }
    if number.is_infinite() {
        return if number > 0.0 { 314_159 } else { -314_159 };
    }
    let raw = number.to_bits();
    let exponent = i64::from((raw >> 52) as u32 & 0x7ff);
    let fraction = raw & ((1 << 52) - 1);
    // The number is `mantissa * 2**power`.
    let (mantissa, power) = match exponent {
        0 => (fraction, -1074),
        e => (fraction | (1 << 52), e - 1075),
    };
    let shift = power.rem_euclid(i64::from(BITS)) as u32;
    let hash = ((u128::from(mantissa) << shift) % u128::from(PRIME)) as i64;
    match if number < 0.0 { -hash } else { hash } {
        -1 => -2,
        hash => hash,
    }
}

const LENGTH: usize = 624;
const MIDDLE: usize = 397;

/// MT19937.
pub(super) struct Twister {
    state: [u32; LENGTH],
    next: usize,
}

impl Twister {
    /// Starts from a key of one word or more.
    fn new(key: &[u32]) -> Self {
        let mut state = [0u32; LENGTH];
        let mut last = 19_650_218u32;
        for (i, word) in state.iter_mut().enumerate() {
            if i > 0 {
                last = (last ^ (last >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
            }
            *word = last;
        }
        let mixed = |state: &[u32; LENGTH], i: usize, factor: u32| {
            let before = state[i - 1];
            state[i] ^ (before ^ (before >> 30)).wrapping_mul(factor)
        };
        let (mut i, mut j) = (1, 0);
        for _ in 0..LENGTH.max(key.len()) {
            state[i] = mixed(&state, i, 1_664_525).wrapping_add(key[j]).wrapping_add(j as u32);
            i += 1;
            j = (j + 1) % key.len();
            if i == LENGTH {
                state[0] = state[LENGTH - 1];
                i = 1;
            }
        }
        for _ in 1..LENGTH {
            state[i] = mixed(&state, i, 1_566_083_941).wrapping_sub(i as u32);
            i += 1;
            if i == LENGTH {
                state[0] = state[LENGTH - 1];
                i = 1;
            }
        }
        state[0] = 0x8000_0000;
        Twister { state, next: LENGTH }
    }

    fn next(&mut self) -> u32 {
        if self.next == LENGTH {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn twist(&mut self) {
        for i in 0..LENGTH {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % LENGTH] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + MIDDLE) % LENGTH] ^ (y >> 1) ^ odd;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from CPython 3.11: `[Random(seed)._randbelow(n) for n in limits]`, drawn one after the other.
    #[test]
    fn seeds_give_the_choices_of_python() {
        let limits = [2, 10, 60, 1000, 1 << 32, 1 << 40, u64::MAX];
        let check = |seed: Value, expect: [u64; 7]| {
            let mut random = Random::new(Some(&seed)).unwrap();
            assert_eq!(limits.map(|n| random.below(n)), expect, "{seed:?}");
        };
        check(Value::Int(0), [1, 6, 2, 265, 2087043557, 669284121952, 8791662011684601223]);
        check(Value::Int(-7), [1, 2, 25, 666, 207388624, 803563169809, 1069891289537943645]);
        check(Value::Int((1 << 70) + 5), [1, 6, 30, 640, 1582301984, 22925854691, 10146792069572081490]);
        check(Value::Float(1.5), [1, 2, 37, 459, 2370801741, 282758953666, 14707375187518769705]);
        check(Value::Float(-1e300), [0, 3, 39, 494, 2950501520, 457138506561, 9246615584155665513]);
        check(Value::Bool(true), [0, 9, 54, 821, 3280387012, 258793550908, 14037279428536751483]);
        check(Value::str(""), [1, 9, 13, 397, 3233484678, 755296819225, 11497956968902936652]);
        check(Value::str("node1.example"), [1, 7, 22, 93, 289746614, 50994831752, 4804448693325087361]);
        check(Value::str("hé"), [0, 9, 31, 417, 3651023941, 494658494185, 11190245197578173421]);
        assert!(Random::new(Some(&Value::list(Vec::new()))).is_err());
        assert!((0..100).all(|_| Random::System.below(7) < 7));
    }
}
