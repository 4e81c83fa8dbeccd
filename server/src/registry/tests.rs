//! Races, damage and the rules of the registry, on real files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;

use tempfile::TempDir;

use super::*;
use crate::protocol::{OfferKind, Time};

mod conversations;
mod damage;
mod making;
mod rules;

fn open(folder: &Path) -> Registry {
    let registry = Registry::open(folder, nothing()).unwrap();
    assert_eq!(registry.take_warnings(), Vec::<String>::new());
    registry
}

/// Awaits what waits for another process.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// Session folders without a session.
fn nothing() -> Source {
    Arc::new(|| Ok(Vec::new()))
}

/// An id that a test knows by a short name.
fn sid(short: &str) -> String {
    format!("{:z<6}", short.replace('-', "x").replace('o', "0"))
}

fn short(id: &str) -> &str {
    id.trim_end_matches('z')
}

fn fresh() -> (TempDir, Registry) {
    let folder = TempDir::new().unwrap();
    let registry = open(folder.path());
    (folder, registry)
}

fn session(id: &str, activity: i64) -> SessionRow {
    SessionRow {
        id: sid(id),
        host: "host".into(),
        boot: "boot".into(),
        live: true,
        document: "{}".into(),
        created_at: Time(1),
        last_activity_at: Time(activity),
        ended_at: None,
    }
}

fn binding(session_id: &str, number: u32, key: &str) -> Binding {
    Binding {
        session_id: sid(session_id),
        number,
        key: key.into(),
        uri: format!("file://{key}"),
        file: Some(FileIdentity { device: u64::MAX, inode: key.len() as u64, born: Some(7) }),
        live: true,
        given_up: false,
    }
}

fn start(registry: &Registry, id: &str, key: &str) {
    registry.reserve(&session(id, 1), &[binding(id, 0, key)]).unwrap();
}

fn end(registry: &Registry, id: &str) {
    registry.end_session(&sid(id), Time(9), "{\"ended\":true}").unwrap();
}

fn rebind(registry: &Registry, id: &str, from: &str, to: &str, release: &[(&str, u32)]) -> Result<Binding> {
    let release: Vec<_> = release.iter().map(|(id, number)| (sid(id), *number)).collect();
    registry.rebind(&sid(id), 0, Some(from), &binding(id, 0, to), &release)
}

fn offer(id: &str, kind: OfferKind, key: &str, sessions: &[&str]) -> OfferRow {
    OfferRow {
        id: id.into(),
        kind,
        notebook_key: key.into(),
        session_ids: sessions.iter().map(|id| sid(id)).collect(),
        window_id: None,
        document: "{}".into(),
        raised_at: Time(1),
    }
}

/// The sessions of a notebook, as `"b a"`: the live one first, then the newest.
fn history(registry: &Registry, key: &str) -> String {
    let sessions = registry.sessions_of_notebook(key).unwrap();
    sessions.iter().map(|(id, _)| short(id)).collect::<Vec<_>>().join(" ")
}

/// Runs the same on two connections at once, many times, and gives how often each result came.
fn race<T: Send>(
    folder: &Path,
    rounds: usize,
    act: impl Fn(&Registry, usize, usize) -> T + Sync,
) -> Vec<[T; 2]> {
    let barrier = Barrier::new(2);
    let one = |who: usize| {
        let registry = open(folder);
        (0..rounds)
            .map(|round| {
                barrier.wait();
                act(&registry, who, round)
            })
            .collect::<Vec<_>>()
    };
    let (first, second) = thread::scope(|scope| {
        let other = scope.spawn(|| one(1));
        (one(0), other.join().unwrap())
    });
    first.into_iter().zip(second).map(|(a, b)| [a, b]).collect()
}

#[test]
fn one_of_two_reserves_a_notebook() {
    let (folder, registry) = fresh();
    let results = race(folder.path(), 40, |registry, who, round| {
        let id = format!("s{who}-{round}");
        let (row, bindings) = (session(&id, 1), [binding(&id, 0, &format!("/n{round}.ipynb"))]);
        wait(registry.patiently(|registry| registry.reserve(&row, &bindings)))
    });
    for (round, results) in results.into_iter().enumerate() {
        let winner = registry.binding_by_key(&format!("/n{round}.ipynb")).unwrap().unwrap().session_id;
        let lost: Vec<_> = results.into_iter().filter_map(std::result::Result::err).collect();
        assert!(matches!(&lost[..], [Error::Taken { session_id }] if *session_id == winner), "{lost:?}");
    }
    // The losers left nothing behind.
    assert_eq!(registry.sessions(true).unwrap().len(), 40);
}

#[test]
fn one_of_two_migrates_a_session() {
    let (folder, registry) = fresh();
    start(&registry, "s", "/0.ipynb");
    let results = race(folder.path(), 40, |registry, who, round| {
        let to = format!("/{}-{who}.ipynb", round + 1);
        let from = registry.bindings(&sid("s")).unwrap().remove(0).key;
        // Where the other was faster than this look, both steps of the round are taken in turn.
        let rebound = wait(registry.patiently(|registry| rebind(registry, "s", &from, &to, &[])));
        (from, rebound.map(|old| old.key))
    });
    for [(from_a, a), (from_b, b)] in results {
        assert!(from_a != from_b || a.is_ok() != b.is_ok(), "{from_a}: {a:?} {b:?}");
    }
}

#[test]
fn one_of_two_answers_an_offer() {
    let (folder, registry) = fresh();
    for round in 0..40 {
        let row = offer(&format!("o{round}"), OfferKind::Resume, &format!("/{round}.ipynb"), &["s"]);
        assert_eq!(registry.raise_offer(&row, None).unwrap(), Raised::New);
    }
    let results = race(folder.path(), 40, |registry, _, round| {
        wait(registry.patiently(|registry| registry.take_offer(&format!("o{round}")))).unwrap()
    });
    for [a, b] in results {
        assert!(a.is_some() != b.is_some(), "{a:?} {b:?}");
    }
    assert_eq!(registry.open_offers().unwrap(), []);
}

#[test]
fn one_of_two_raises_an_offer() {
    let (folder, registry) = fresh();
    let results = race(folder.path(), 40, |registry, who, round| {
        let row = offer(&format!("o{who}-{round}"), OfferKind::Resume, &format!("/{round}.ipynb"), &["s"]);
        wait(registry.patiently(|registry| registry.raise_offer(&row, None))).unwrap()
    });
    for pair in results {
        assert_eq!(pair.iter().filter(|raised| **raised == Raised::New).count(), 1, "{pair:?}");
    }
    assert_eq!(registry.open_offers().unwrap().len(), 40);
}
