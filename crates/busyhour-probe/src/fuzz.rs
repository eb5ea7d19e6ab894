//! Fuzz bodies as ordinary functions: each cuts any bytes into what a network may do to an engine and
//! asserts the engine's laws. Tests replay them, a fuzzer explores them.

mod reflector;
mod sender;

use std::time::{Duration, Instant};

use busyhour_model::{BootMicros, ClockPair};

pub use reflector::fuzz_reflector_engine;
pub use sender::{fuzz_sender_engine, fuzz_sender_session};

/// Where wall clocks begin: in 2026.
const WALL_NS: i64 = 1_790_000_000_000_000_000;

/// Bytes that decisions are cut from; zeros when they are used up.
struct Cut<'a>(&'a [u8]);

impl<'a> Cut<'a> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let cut = self.slice(N);
        array[..cut.len()].copy_from_slice(cut);
        array
    }

    fn slice(&mut self, length: usize) -> &'a [u8] {
        let (cut, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        cut
    }

    fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }
}

/// Time that only passes when told to.
struct Time {
    origin: Instant,
    elapsed: Duration,
    step_ns: i64,
}

impl Time {
    const fn new(origin: Instant) -> Self {
        Self { origin, elapsed: Duration::ZERO, step_ns: 0 }
    }

    fn now(&self) -> ClockPair {
        ClockPair {
            monotonic: self.origin + self.elapsed,
            wall_ns: WALL_NS + self.step_ns + self.elapsed.as_nanos() as i64,
            boot: BootMicros(self.elapsed.as_micros() as u64),
        }
    }
}
