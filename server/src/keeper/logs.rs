//! A session's two logs: neither grows without bound, whoever writes into it, and whether or not anybody looks.
//!
//! Both are written by descriptors that append: what is written after a log was cut back follows what was left of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Where what the kernel's processes write on their own output is cut back.
const LONGEST_KERNEL_LOG: u64 = 10 << 20;
/// The same for what the keeper says.
const LONGEST_KEEPER_LOG: u64 = 2 << 20;
/// What is left of the end.
const LEFT: u64 = 128 << 10;
/// How often the kernel's log is looked at: no kernel tells that it writes. A look costs microseconds, a wake-up a hundred.
const LOOK: Duration = Duration::from_millis(500);
/// The same while it grows fast.
const LOOK_AT_FLOOD: Duration = Duration::from_millis(50);
/// What it grows by between two looks in a flood.
const FLOOD: u64 = 1 << 20;
/// A kernel that does nothing, and whose log did not grow for so long, is looked at when its keeper wakes up anyway: a
/// hundred of them must not be felt.
const STILL_AFTER: Duration = Duration::from_secs(10);

/// Keeps the kernel's log within its bound, for ever. `is_quiet`: the kernel is known to do nothing; `woken`: the keeper
/// looks after itself.
pub async fn keep_short(log: PathBuf, is_quiet: impl Fn() -> bool, woken: Arc<Notify>) {
    let mut before = 0;
    let mut stirred = Instant::now();
    loop {
        let length = std::fs::metadata(&log).map_or(0, |found| found.len());
        let mut left = length;
        if length > LONGEST_KERNEL_LOG {
            let opened = File::options().read(true).append(true).open(&log);
            match opened.and_then(|mut file| cut_back(&mut file, LONGEST_KERNEL_LOG)) {
                Ok(()) => left = LEFT,
                Err(e) => tracing::warn!("{} could not be cut back: {e}", log.display()),
            }
        }
        if length != before || !is_quiet() {
            stirred = Instant::now();
        }
        if length > before + FLOOD {
            tokio::time::sleep(LOOK_AT_FLOOD).await;
        } else if stirred.elapsed() < STILL_AFTER {
            tokio::time::sleep(LOOK).await;
        } else {
            woken.notified().await;
        }
        before = left;
    }
}

/// Leaves the end of a log that is too long.
fn cut_back(file: &mut File, most: u64) -> io::Result<()> {
    let found = file.metadata()?;
    if !found.is_file() || found.len() <= most {
        return Ok(());
    }
    let mut end = format!("[This log was over {most} bytes: what came before was removed.]\n").into_bytes();
    file.seek(SeekFrom::Start(found.len() - LEFT.min(found.len())))?;
    Read::by_ref(file).take(LEFT).read_to_end(&mut end)?;
    file.set_len(0)?;
    file.write_all(&end)
}

/// Standard error as the keeper's log: within its bound, and a line that is repeated is counted.
#[derive(Default)]
pub struct KeeperLog {
    /// The last line, without its time.
    last: Vec<u8>,
    repeated: u64,
}

impl KeeperLog {
    /// What is to be written of a line.
    fn taken(&mut self, line: &[u8]) -> Vec<u8> {
        let from = line.iter().position(|byte| *byte == b' ').unwrap_or(0);
        let counted = |repeated: u64| format!("[the last line, {repeated} times more]\n").into_bytes();
        if line[from..] == self.last {
            self.repeated += 1;
            // Now and then, for a line that is never followed by another one.
            return if self.repeated.is_power_of_two() && self.repeated > 2 {
                counted(self.repeated)
            } else {
                Vec::new()
            };
        }
        let mut taken = match std::mem::take(&mut self.repeated) {
            0 => Vec::new(),
            repeated => counted(repeated),
        };
        self.last = line[from..].to_vec();
        taken.extend_from_slice(line);
        taken
    }
}

impl Write for KeeperLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let taken = self.taken(line);
        if !taken.is_empty() {
            io::stderr().write_all(&taken)?;
            // Its own descriptor, which reads, too; a terminal is no file, and stays as it is.
            cut_back(&mut File::from(io::stderr().as_fd().try_clone_to_owned()?), LONGEST_KEEPER_LOG)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_cut_back_keeps_its_end_and_is_written_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = crate::paths::open_private(&dir.path().join("kernel.log")).unwrap();
        let mut writer = file.try_clone().unwrap();
        let read = || std::fs::read_to_string(dir.path().join("kernel.log")).unwrap();
        for i in 0..50_000 {
            writeln!(writer, "line {i}").unwrap();
        }
        let whole = read();
        cut_back(&mut file, 1 << 30).unwrap();
        assert_eq!(read(), whole);
        cut_back(&mut file, 200_000).unwrap();
        assert!(read().starts_with("[This log was over 200000 bytes") && read().ends_with("line 49999\n"));
        assert!(read().len() < 140_000);
        writeln!(writer, "more").unwrap();
        assert!(read().ends_with("line 49999\nmore\n"));
    }

    #[test]
    fn repeated_lines_are_counted() {
        let mut log = KeeperLog::default();
        let mut written = String::new();
        let mut say = |second: u32, what: &str| {
            let taken = log.taken(format!("2026-01-01T00:00:{second:02}Z  WARN k: {what}\n").as_bytes());
            written.push_str(&String::from_utf8(taken).unwrap());
        };
        say(0, "a");
        (1..4).for_each(|second| say(second, "a"));
        say(4, "b");
        say(5, "a");
        assert_eq!(
            written,
            "2026-01-01T00:00:00Z  WARN k: a\n[the last line, 3 times more]\n2026-01-01T00:00:04Z  WARN k: b\n\
             2026-01-01T00:00:05Z  WARN k: a\n"
        );
        let mut log = KeeperLog::default();
        let bytes: usize = (0..100_000).map(|i| log.taken(format!("{i} the same\n").as_bytes()).len()).sum();
        assert!(bytes < 2_000, "{bytes}");
    }
}
