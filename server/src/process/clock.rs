//! Clocks that nobody sets, of the machine and not of one process: two processes may compare what they read.

use super::platform;

/// Milliseconds since the boot, without those in which the machine slept: for how long somebody was silent.
pub fn awake_milliseconds() -> i64 {
    platform::awake_milliseconds()
}

/// Milliseconds since the boot, sleep included: for what expires.
pub fn elapsed_milliseconds() -> i64 {
    platform::elapsed_milliseconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_go_on() {
        let before = (awake_milliseconds(), elapsed_milliseconds());
        assert!(before.0 > 0 && before.0 <= before.1, "{before:?}");
        assert!(awake_milliseconds() >= before.0 && elapsed_milliseconds() >= before.1);
    }
}
