//! Random numbers that can be had again: a test that fails names its seed, and that seed makes the same choices.

use std::time::Duration;

/// Names the seed to run with; absent, each run has another one.
const SEED: &str = "KERNEL_KEEPER_TEST_SEED";

/// SplitMix64: small, and good enough to choose.
pub struct Random {
    pub seed: u64,
    state: u64,
}

impl Random {
    /// With the seed of the environment, else with the clock's. It is said, so that a failure can be had again.
    pub fn new(what: &str) -> Random {
        let named = std::env::var(SEED).ok().filter(|text| !text.is_empty());
        let seed = match named {
            Some(text) => text.parse().unwrap_or_else(|_| panic!("{SEED} is a number, not {text}")),
            None => std::time::UNIX_EPOCH.elapsed().map_or(0, |since| u64::from(since.subsec_nanos())),
        };
        eprintln!("{what}: {SEED}={seed}");
        Random { seed, state: seed }
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of them, if there are any.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        among.get(self.below(among.len()))
    }

    /// A span of time shorter than `limit`.
    pub fn within(&mut self, limit: Duration) -> Duration {
        limit.mul_f64(self.below(10_000) as f64 / 10_000.0)
    }
}
