//! What a kernel and everything it started use: memory, processor, and which program runs.
//!
//! Cheap enough for every few seconds. The owner is the keeper; times are the process's own, so a jump of the
//! clock shows nowhere.

use std::collections::HashMap;
use std::time::Instant;

use super::platform;

/// Trees up to this are measured exactly whenever they changed, larger ones each [`EXACT_EVERY`]th time at most.
const EXACT_UP_TO_BYTES: u64 = 256 << 20;
const EXACT_EVERY: u32 = 6;
/// How often an idle kernel's children are looked for all the same.
const SCANNED_EVERY: u32 = 5;
/// What shares is divided anew when resident memory differs by more than a part in this many.
const CHANGED: u64 = 64;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Of the whole process tree; memory that its processes share counts once.
    pub memory_bytes: u64,
    /// Since the last sample; 100 is one core. 0 at the first.
    pub cpu_percent: f64,
    /// The program that the kernel runs, such as `git`: its newest descendant.
    pub runs: Option<String>,
    /// The processes that were measured, the kernel's first.
    pub pids: Vec<u32>,
}

/// Remembers the last sample to compute the share of the processor.
#[derive(Debug, Default)]
pub struct Sampler {
    last: Option<Instant>,
    /// Milliseconds of processor by process and start time.
    used: HashMap<(u32, u64), u64>,
    /// Proportional to resident memory, as it was when both were measured.
    share: f64,
    until_exact: u32,
    unscanned: u32,
    /// When both were measured: resident bytes, and the processes.
    exact: (u64, Vec<u32>),
}

/// One process as it is now.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub pid: u32,
    pub name: String,
    pub parent: u32,
    pub start: u64,
    pub cpu_milliseconds: u64,
    pub resident_bytes: u64,
}

pub(super) type Tree = Vec<Measured>;

impl Sampler {
    pub fn new() -> Sampler {
        Sampler::default()
    }

    /// Measures the tree under process `root`; all zero when it is gone. Of one that `is_idle` and had no children they are
    /// not looked for each time, unless it used the processor: it has a file for each of its threads.
    pub fn sample(&mut self, root: u32, is_idle: bool) -> Sample {
        let now = Instant::now();
        let alone = platform::measure(root).filter(|m| {
            let used = self.used.get(&(m.pid, m.start)).copied();
            is_idle
                && self.used.len() == 1
                && used == Some(m.cpu_milliseconds)
                && self.unscanned < SCANNED_EVERY
        });
        self.unscanned = if alone.is_some() { self.unscanned + 1 } else { 0 };
        let tree = alone.map_or_else(|| platform::tree(root), |measured| vec![measured]);
        let elapsed = self.last.replace(now).map(|last| now.duration_since(last).as_secs_f64() * 1000.0);
        Sample {
            memory_bytes: self.memory(&tree),
            cpu_percent: self.cpu(&tree, elapsed),
            runs: runs(&tree, platform::is_servant),
            pids: tree.iter().map(|p| p.pid).collect(),
        }
    }

    fn memory(&mut self, tree: &Tree) -> u64 {
        let resident: u64 = tree.iter().map(|p| p.resident_bytes).sum();
        let pids: Vec<u32> = tree.iter().map(|p| p.pid).collect();
        let is_as_before = self.exact.1 == pids && self.exact.0.abs_diff(resident) <= self.exact.0 / CHANGED;
        let may_take_time = resident <= EXACT_UP_TO_BYTES || self.until_exact == 0;
        if !is_as_before && may_take_time {
            self.exact = (resident, pids);
            self.until_exact = EXACT_EVERY;
            let exact: u64 =
                tree.iter().map(|p| platform::proportional_bytes(p.pid).unwrap_or(p.resident_bytes)).sum();
            self.share = exact as f64 / resident.max(1) as f64;
            return exact;
        }
        self.until_exact = self.until_exact.saturating_sub(1);
        (resident as f64 * self.share) as u64
    }

    fn cpu(&mut self, tree: &Tree, elapsed_milliseconds: Option<f64>) -> f64 {
        let now: HashMap<(u32, u64), u64> =
            tree.iter().map(|p| ((p.pid, p.start), p.cpu_milliseconds)).collect();
        let spent: u64 =
            now.iter().map(|(key, used)| used.saturating_sub(self.used.get(key).copied().unwrap_or(0))).sum();
        self.used = now;
        match elapsed_milliseconds {
            Some(elapsed) if elapsed > 0.0 => spent as f64 * 100.0 / elapsed,
            _ => 0.0,
        }
    }
}

/// The newest descendant that has no children of its own; shells that only wait for it do not count.
fn runs(tree: &Tree, is_servant: impl Fn(u32) -> bool) -> Option<String> {
    let root = tree.first()?.pid;
    let is_leaf = |p: &Measured| !tree.iter().any(|other| other.parent == p.pid && other.pid != p.pid);
    let mut leaves: Vec<&Measured> = tree.iter().filter(|p| p.pid != root && is_leaf(p)).collect();
    leaves.sort_by_key(|p| std::cmp::Reverse((p.start, p.pid)));
    leaves.into_iter().find(|p| !is_servant(p.pid)).map(|p| p.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, name: &str, cpu_milliseconds: u64) -> Measured {
        let start = u64::from(pid);
        Measured { pid, name: name.into(), parent, start, cpu_milliseconds, resident_bytes: 1 }
    }

    #[test]
    fn which_program_runs() {
        let check = |tree: &[(u32, u32, &str)], expect: Option<&str>| {
            let tree: Tree = tree.iter().map(|&(pid, parent, name)| process(pid, parent, name, 0)).collect();
            assert_eq!(runs(&tree, |pid| pid == 99).as_deref(), expect, "{tree:?}");
        };
        check(&[], None);
        check(&[(1, 0, "python")], None);
        check(&[(1, 0, "python"), (2, 1, "sh"), (3, 2, "git")], Some("git"));
        check(&[(1, 0, "python"), (2, 1, "sh"), (3, 2, "git"), (5, 1, "pip")], Some("pip"));
        check(&[(1, 0, "python"), (99, 1, "python")], None);
    }

    #[test]
    fn the_processor_is_counted_since_the_last_sample() {
        let mut sampler = Sampler::new();
        let mut check = |tree: &[Measured], elapsed: Option<f64>, expect: f64| {
            assert_eq!(sampler.cpu(&tree.to_vec(), elapsed), expect);
        };
        check(&[process(1, 0, "a", 5_000)], None, 0.0);
        check(&[process(1, 0, "a", 6_000)], Some(1000.0), 100.0);
        check(&[process(1, 0, "a", 6_500), process(2, 1, "b", 1_000)], Some(1000.0), 150.0);
        check(&[process(1, 0, "a", 6_500)], Some(1000.0), 0.0);
        check(&[], Some(0.0), 0.0);
    }

    #[test]
    fn a_process_that_is_gone_uses_nothing() {
        assert_eq!(Sampler::new().sample(u32::MAX, false), Sample::default());
    }
}
