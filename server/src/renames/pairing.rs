//! Turns what `notify` reports into changes, the two halves of a rename put together.
//!
//! The system reports a rename as two events with one cookie. The other half comes at once or never; so one waits a
//! moment for it, and is taken for a departure or an arrival when the moment is over. Pure: time is a parameter.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify::event::{EventKind, ModifyKind, RemoveKind, RenameMode};

/// How long a half of a rename waits for the other. The system sends them together; only a machine under load lets
/// time pass between them. From one folder to another they may come in any order (`system.rs`).
const PATIENCE: Duration = Duration::from_millis(25);

/// One thing that happened to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Renamed {
        from: PathBuf,
        to: PathBuf,
    },
    Appeared(PathBuf),
    Gone(PathBuf),
    /// A watched folder itself was moved, by whatever name: only the disk knows more.
    Unsure(PathBuf),
}

/// The halves that wait.
#[derive(Default)]
pub(super) struct Pairing {
    waiting: Vec<Half>,
}

struct Half {
    cookie: Option<usize>,
    path: PathBuf,
    since: Instant,
    what: What,
}

/// What half of a rename it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Left,
    Came,
    /// A watched folder says that it was moved, without a cookie; its parent says more.
    MovedItself,
}

impl Pairing {
    /// The changes that this event completes, in their order.
    pub(super) fn take(&mut self, event: notify::Event, now: Instant) -> Vec<Change> {
        let cookie = event.tracker();
        let mut paths = event.paths.into_iter();
        let Some(path) = paths.next() else { return Vec::new() };
        match event.kind {
            EventKind::Create(_) => self.appeared(path),
            EventKind::Remove(RemoveKind::Other) => vec![Change::Unsure(path)],
            EventKind::Remove(_) => vec![Change::Gone(path)],
            EventKind::Modify(ModifyKind::Name(mode)) => match mode {
                // Linux tells a folder that it was moved, without a cookie; Windows never sends one.
                RenameMode::From if cookie.is_none() && cfg!(target_os = "linux") => {
                    let known = self.waiting.iter().any(|half| half.what == What::Left && half.path == path);
                    if known { Vec::new() } else { self.wait(cookie, path, now, What::MovedItself) }
                }
                RenameMode::From => match self.other_half(cookie, What::Came) {
                    Some(to) => self.renamed(path, to),
                    None => self.wait(cookie, path, now, What::Left),
                },
                RenameMode::To => match self.other_half(cookie, What::Left) {
                    Some(from) => self.renamed(from, path),
                    None if cookie.is_some() => self.wait(cookie, path, now, What::Came),
                    None => self.appeared(path),
                },
                // With a cookie it repeats the two halves that came before it.
                RenameMode::Both if cookie.is_none() => match paths.next() {
                    Some(to) => vec![Change::Renamed { from: path, to }],
                    None => Vec::new(),
                },
                RenameMode::Any => vec![Change::Unsure(path)],
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn other_half(&mut self, cookie: Option<usize>, what: What) -> Option<PathBuf> {
        let at = self.waiting.iter().position(|half| half.cookie == cookie && half.what == what)?;
        Some(self.waiting.remove(at).path)
    }

    /// What the folder said of itself is known now.
    fn renamed(&mut self, from: PathBuf, to: PathBuf) -> Vec<Change> {
        self.waiting.retain(|half| half.what != What::MovedItself || half.path != from);
        vec![Change::Renamed { from, to }]
    }

    fn wait(&mut self, cookie: Option<usize>, path: PathBuf, since: Instant, what: What) -> Vec<Change> {
        self.waiting.push(Half { cookie, path, since, what });
        Vec::new()
    }

    /// The halves whose moment is over.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<Change> {
        self.part(|half| now.duration_since(half.since) >= PATIENCE)
    }

    /// When the next of them will be over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|half| half.since + PATIENCE).min()
    }

    /// A file that left and one that came under the same name: in this order.
    fn appeared(&mut self, path: PathBuf) -> Vec<Change> {
        let mut changes = self.part(|half| half.what == What::Left && half.path == Path::new(&path));
        changes.push(Change::Appeared(path));
        changes
    }

    fn part(&mut self, over: impl Fn(&Half) -> bool) -> Vec<Change> {
        let parted = self.waiting.extract_if(.., |half| over(half));
        let change = |half: Half| match half.what {
            What::Left => Change::Gone(half.path),
            What::Came => Change::Appeared(half.path),
            What::MovedItself => Change::Unsure(half.path),
        };
        parted.map(change).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::Event;
    use notify::event::{CreateKind, Flag};

    fn name(mode: RenameMode, cookie: Option<usize>, paths: &[&str]) -> Event {
        let mut event = Event::new(EventKind::Modify(ModifyKind::Name(mode)));
        event.paths = paths.iter().map(PathBuf::from).collect();
        match cookie {
            Some(cookie) => event.set_tracker(cookie),
            None => event,
        }
    }

    fn create(path: &str) -> Event {
        Event::new(EventKind::Create(CreateKind::File)).add_path(path.into())
    }

    fn renamed(from: &str, to: &str) -> Change {
        Change::Renamed { from: from.into(), to: to.into() }
    }

    /// Feeds events at one moment, then lets the patience end.
    fn check(events: Vec<Event>, at_once: &[Change], later: &[Change]) {
        let (mut pairing, now) = (Pairing::default(), Instant::now());
        let got: Vec<_> = events.into_iter().flat_map(|event| pairing.take(event, now)).collect();
        assert_eq!(got, at_once);
        assert_eq!(pairing.expired(now), []);
        assert_eq!(pairing.expired(now + PATIENCE), later);
        assert_eq!(pairing.deadline(), None);
    }

    #[test]
    fn halves_are_put_together() {
        use RenameMode::{Both, From, To};
        let (one, two) = (Some(1), Some(2));
        check(
            vec![name(From, one, &["a"]), name(To, one, &["b"]), name(Both, one, &["a", "b"])],
            &[renamed("a", "b")],
            &[],
        );
        check(vec![name(From, one, &["a"])], &[], &[Change::Gone("a".into())]);
        check(vec![name(To, one, &["b"])], &[], &[Change::Appeared("b".into())]);
        check(vec![name(To, one, &["b"]), name(From, one, &["a"])], &[renamed("a", "b")], &[]);
        check(
            vec![
                name(From, one, &["a"]),
                name(From, two, &["c"]),
                name(To, two, &["d"]),
                name(To, one, &["b"]),
            ],
            &[renamed("c", "d"), renamed("a", "b")],
            &[],
        );
        check(
            vec![name(From, one, &["a"]), create("a")],
            &[Change::Gone("a".into()), Change::Appeared("a".into())],
            &[],
        );
        check(vec![name(Both, None, &["a", "b"])], &[renamed("a", "b")], &[]);
    }

    #[test]
    fn a_folder_that_says_that_it_was_moved_is_not_a_half() {
        let moved = || name(RenameMode::From, None, &["a"]);
        if cfg!(target_os = "linux") {
            check(vec![moved()], &[], &[Change::Unsure("a".into())]);
            let both = [name(RenameMode::From, Some(1), &["a"]), name(RenameMode::To, Some(1), &["b"])];
            check([vec![moved()], both.into()].concat(), &[renamed("a", "b")], &[]);
            check(vec![name(RenameMode::From, Some(1), &["a"]), moved()], &[], &[Change::Gone("a".into())]);
        }
    }

    #[test]
    fn events_without_a_path_are_passed_over() {
        check(vec![Event::new(EventKind::Other).set_flag(Flag::Rescan)], &[], &[]);
        check(vec![name(RenameMode::From, Some(1), &[])], &[], &[]);
    }
}
