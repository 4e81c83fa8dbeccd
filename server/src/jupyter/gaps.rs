//! Counting messages that the kernel made and that never came.
//!
//! ipykernel (and what uses `jupyter_client`'s Session) numbers its messages: `SESSION_PID_COUNTER`, one counter for
//! all channels. A number is lost at most (it can have been for another client) when output with a later number came,
//! and a grace period after that it did not: what waits behind much output, in the kernel or in a socket, is not lost.
//! Never reports for kernels with other ids. Pure: time is a parameter.

use std::collections::VecDeque;

use crate::protocol::Time;

/// The channels are separate sockets, so a later number can come first; longer than this it does not take once output that
/// was made later is here.
const GRACE_MILLISECONDS: i64 = 2_000;
/// More holes than this are counted together, to bound memory.
const HOLES_MAX: usize = 1_024;
/// Forked children number on their own: so many senders are told apart.
const SENDERS_MAX: usize = 4;

/// Sees every message id of one kernel, of every channel.
#[derive(Debug, Default)]
pub struct Counter {
    senders: VecDeque<Sender>,
}

#[derive(Debug)]
struct Sender {
    /// `SESSION_PID`: changes when the kernel restarts.
    prefix: String,
    next: u64,
    /// The highest number that came as output, which comes in order.
    told: u64,
    holes: Vec<Hole>,
    /// Of holes that there was no room for.
    overflowed: u64,
}

#[derive(Debug)]
struct Hole {
    from: u64,
    to: u64,
    /// Since output with a later number came; `None`: it may still be on its way.
    overtaken: Option<Time>,
}

impl Counter {
    pub fn new() -> Counter {
        Counter::default()
    }

    /// Takes note of a message that came, as output (on iopub) or as an answer.
    pub fn saw(&mut self, msg_id: &str, is_output: bool, now: Time) {
        let Some((prefix, number)) = split(msg_id) else { return };
        if let Some(sender) = self.senders.iter_mut().find(|s| s.prefix == prefix) {
            return sender.saw(number, is_output, now);
        }
        if self.senders.len() == SENDERS_MAX {
            self.senders.pop_front();
        }
        // What the sender said before we listened is none of our concern.
        let told = if is_output { number } else { 0 };
        let prefix = prefix.to_owned();
        let sender = Sender { prefix, next: number + 1, told, holes: Vec::new(), overflowed: 0 };
        self.senders.push_back(sender);
    }

    /// How many were lost at most, each told once; `None` when none.
    pub fn missing(&mut self, now: Time) -> Option<u64> {
        self.take(|overtaken| {
            // A clock that was set back must not keep a hole for ever.
            !(0..GRACE_MILLISECONDS).contains(&now.since(overtaken))
        })
    }

    /// The same once nothing comes any more: there is no grace.
    pub fn missing_at_last(&mut self) -> Option<u64> {
        self.take(|_| true)
    }

    /// What did not come so far is not missing. What came still counts: an answer to a greeting can be behind, and its number
    /// would seem to be the first one.
    pub fn forgive(&mut self) {
        for sender in &mut self.senders {
            sender.holes.clear();
            sender.overflowed = 0;
        }
    }

    fn take(&mut self, is_over: impl Fn(Time) -> bool) -> Option<u64> {
        let lost: u64 = self.senders.iter_mut().map(|sender| sender.take(&is_over)).sum();
        (lost > 0).then_some(lost)
    }
}

impl Sender {
    fn saw(&mut self, number: u64, is_output: bool, now: Time) {
        if number >= self.next {
            if number > self.next {
                self.open(Hole { from: self.next, to: number - 1, overtaken: None });
            }
            self.next = number + 1;
        } else if !self.fill(number) {
            // Seen twice. Python's counter is not locked: two threads can both get the later of two numbers,
            // and the earlier one is then nobody's.
            self.fill(number.wrapping_sub(1));
        }
        if is_output && number > self.told {
            self.told = number;
            for hole in self.holes.iter_mut().filter(|hole| hole.to < number) {
                hole.overtaken.get_or_insert(now);
            }
        }
    }

    fn open(&mut self, hole: Hole) {
        if self.holes.len() == HOLES_MAX {
            self.overflowed += hole.to - hole.from + 1;
        } else {
            self.holes.push(hole);
        }
    }

    fn fill(&mut self, number: u64) -> bool {
        let Some(at) = self.holes.iter().position(|h| (h.from..=h.to).contains(&number)) else {
            return false;
        };
        let hole = self.holes.swap_remove(at);
        let parts = [(hole.from, number - 1), (number + 1, hole.to)];
        for (from, to) in parts.into_iter().filter(|(from, to)| from <= to) {
            self.holes.push(Hole { from, to, overtaken: hole.overtaken });
        }
        true
    }

    fn take(&mut self, is_over: impl Fn(Time) -> bool) -> u64 {
        let mut lost = std::mem::take(&mut self.overflowed);
        self.holes.retain(|hole| {
            let kept = hole.overtaken.is_none_or(|at| !is_over(at));
            if !kept {
                lost += hole.to - hole.from + 1;
            }
            kept
        });
        lost
    }
}

/// `SESSION_PID` and the counter.
fn split(msg_id: &str) -> Option<(&str, u64)> {
    let (prefix, number) = msg_id.rsplit_once('_')?;
    let (session, pid) = prefix.rsplit_once('_')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if session.is_empty() || !digits(pid) || !digits(number) {
        return None;
    }
    Some((prefix, number.parse().ok().filter(|&n| n < u64::MAX)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids with the second at which each comes; `expect` is what is missing at second 10.
    fn check(ids: &[(&str, i64)], expect: Option<u64>) {
        let ids: Vec<(&str, bool, i64)> = ids.iter().map(|(id, second)| (*id, true, *second)).collect();
        check_both(&ids, expect);
    }

    /// The same, and whether each is output.
    fn check_both(ids: &[(&str, bool, i64)], expect: Option<u64>) {
        let mut counter = Counter::new();
        let mut early = 0;
        for (id, is_output, second) in ids {
            counter.saw(id, *is_output, Time(second * 1000));
            early += counter.missing(Time(second * 1000)).unwrap_or(0);
        }
        assert_eq!(early, 0, "reported before the grace was over: {ids:?}");
        assert_eq!(counter.missing(Time(10_000)), expect, "{ids:?}");
        assert_eq!(counter.missing(Time(10_000)), None, "told twice: {ids:?}");
    }

    #[test]
    fn counts_what_never_came() {
        check(&[], None);
        check(&[("s_1_7", 0), ("s_1_8", 0)], None);
        check(&[("s_1_7", 0), ("s_1_9", 0)], Some(1));
        check(&[("s_1_7", 0), ("s_1_20", 0), ("s_1_10", 1), ("s_1_12", 1)], Some(10));
        check(&[("s_1_7", 0), ("s_1_9", 0), ("s_1_8", 1)], None);
        check(&[("s_1_7", 0), ("s_1_6", 0), ("s_1_7", 0)], None);
    }

    #[test]
    fn what_waits_behind_much_output_is_not_lost() {
        // The reply comes before the displays that were made before it.
        check_both(&[("s_1_7", true, 0), ("s_1_10", false, 0)], None);
        check_both(&[("s_1_7", true, 0), ("s_1_10", false, 0), ("s_1_8", true, 4), ("s_1_9", true, 8)], None);
        check_both(&[("s_1_7", true, 0), ("s_1_10", false, 0), ("s_1_11", true, 1)], Some(2));
        check_both(&[("s_1_7", true, 0), ("s_1_9", true, 0), ("s_1_8", false, 1)], None);
    }

    #[test]
    fn what_was_before_a_greeting_ended_is_not_missing() {
        let mut counter = Counter::new();
        // Two questions: outputs come first, one was before we listened, and an answer is behind.
        for (number, is_output) in [(3, true), (4, true), (6, true), (2, false)] {
            counter.saw(&format!("s_1_{number}"), is_output, Time(0));
        }
        counter.forgive();
        counter.saw("s_1_5", false, Time(0));
        counter.saw("s_1_7", true, Time(0));
        assert_eq!(counter.missing(Time(10_000)), None);
        counter.saw("s_1_9", true, Time(10_000));
        assert_eq!(counter.missing(Time(10_000)), None);
        assert_eq!(counter.missing_at_last(), Some(1), "nothing comes any more");
        assert_eq!(counter.missing(Time(20_000)), None, "told twice");
    }

    #[test]
    fn a_new_kernel_starts_anew() {
        check(&[("s_1_7", 0), ("t_2_1", 0), ("t_2_2", 0)], None);
        check(&[("s_1_7", 0), ("s_2_1", 0), ("s_1_8", 0), ("s_2_3", 0)], Some(1));
    }

    #[test]
    fn a_number_given_out_twice_is_no_loss() {
        check(&[("s_1_4", 0), ("s_1_6", 0), ("s_1_6", 0)], None);
    }

    #[test]
    fn foreign_ids_report_nothing() {
        let uuid = ["0e2e9b52-6f3a-4a5c-8d0a-b3f9d5bd8f10", "x_y", "_1_2", "a_b_3", "s_1_", ""];
        check(&uuid.map(|id| (id, 0)), None);
        check(&[("s_1_18446744073709551615", 0), ("s_1_99999999999999999999", 0)], None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut counter = Counter::new();
        for number in 0..10_000 {
            counter.saw(&format!("s_1_{}", number * 2), true, Time(0));
        }
        assert_eq!(counter.senders[0].holes.len(), HOLES_MAX);
        assert_eq!(counter.missing(Time(5_000)), Some(9_999));
    }
}
