//! Files that are missing, broken, newer or not ours to read: a clear state, and never a panic.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn set_aside(folder: &Path) -> usize {
    let is_it = |name: &&String| {
        name.starts_with("registry.db.corrupt-") && !name.ends_with("-wal") && !name.ends_with("-shm")
    };
    names(folder).iter().filter(is_it).count()
}

/// Session folders without a session, and how often they were looked into.
fn counted() -> (Source, impl Fn() -> usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let source = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(Vec::new())
    };
    (Arc::new(source), move || asked.load(Ordering::Relaxed))
}

/// A registry with content, closed.
fn filled() -> TempDir {
    let (folder, registry) = fresh();
    for n in 0..50 {
        start(&registry, &format!("s{n}"), &format!("/{n}.ipynb"));
    }
    folder
}

#[test]
fn files_are_private_from_the_beginning() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let (source, asked) = counted();
    let registry = Registry::open(&state, source.clone()).unwrap();
    assert_eq!(asked(), 1);
    registry.put_session(&session("a", 1)).unwrap();
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    for name in ["registry.db", "registry.db-wal", "registry.db-shm", "registry.lock"] {
        let mode = fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    Registry::open(&state, source).unwrap();
    assert_eq!(asked(), 1);
}

#[test]
fn broken_files_are_set_aside() {
    type Break = fn(&mut Vec<u8>);
    let cases: [(&str, Break); 6] = [
        ("truncated", |bytes| bytes.truncate(bytes.len() / 2)),
        ("cut within the first page", |bytes| bytes.truncate(700)),
        ("zeroed", |bytes| bytes.fill(0)),
        ("garbage", |bytes| bytes.iter_mut().enumerate().for_each(|(n, byte)| *byte = (n * 7 + 13) as u8)),
        ("not a database", |bytes| *bytes = b"hello".to_vec()),
        ("a damaged schema", |bytes| bytes[100..4096].fill(0xff)),
    ];
    for (what, damage) in cases {
        let folder = filled();
        let path = folder.path().join("registry.db");
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let (source, asked) = counted();
        let registry =
            Registry::open(folder.path(), source.clone()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(asked(), 1, "{what}");
        let warnings = registry.take_warnings();
        assert!(warnings[0].contains("registry.db.corrupt-"), "{what}: {warnings:?}");
        assert_eq!(set_aside(folder.path()), 1, "{what}");
        assert_eq!(registry.sessions(true).unwrap(), [], "{what}");
        start(&registry, "a", "/a.ipynb");
        let again = Registry::open(folder.path(), source).unwrap();
        assert!(asked() == 1 && again.take_warnings().is_empty(), "{what}");
        assert_eq!(again.sessions(true).unwrap().len(), 1, "{what}");
    }
}

#[test]
fn an_empty_file_is_a_missing_one() {
    let folder = filled();
    fs::write(folder.path().join("registry.db"), "").unwrap();
    let (source, asked) = counted();
    let registry = Registry::open(folder.path(), source).unwrap();
    assert!(asked() == 1 && registry.take_warnings().is_empty());
}

#[test]
fn a_log_that_outlived_its_database_is_not_read() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("registry.db-wal"), vec![7; 9_000]).unwrap();
    fs::write(folder.path().join("registry.db-shm"), vec![7; 9_000]).unwrap();
    let (source, asked) = counted();
    let registry = Registry::open(folder.path(), source).unwrap();
    assert_eq!(asked(), 1);
    start(&registry, "a", "/a.ipynb");
}

#[test]
fn damage_deeper_down_is_met_later_and_recovered_from() {
    let folder = filled();
    let path = folder.path().join("registry.db");
    let (source, asked) = counted();
    let registry = Registry::open(folder.path(), source).unwrap();
    let other = open(folder.path());
    drop(registry.sessions(true).unwrap());
    // Behind the back of both, as a failing disk does; page 3 and on, so that opening sees nothing.
    let mut bytes = fs::read(&path).unwrap();
    bytes[8192..].fill(0x5a);
    {
        use std::io::{Seek, SeekFrom, Write};
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(8192)).unwrap();
        file.write_all(&bytes[8192..]).unwrap();
    }
    let broken = Connection::open(&path).unwrap();
    broken.execute_batch("PRAGMA user_version = 1").unwrap();
    drop(broken);
    // Whoever meets it has a whole one at once.
    assert!(registry.sessions(true).unwrap().is_empty() && registry.live_bindings().unwrap().is_empty());
    assert_eq!(registry.take_warnings().len(), 1);
    assert!(asked() == 1 && registry.was_replaced());
    start(&registry, "new", "/new.ipynb");
    // The other one changes over by itself, and recovering again throws nothing away.
    assert_eq!(other.sessions(true).unwrap().len(), 1);
    assert!(other.take_warnings().is_empty());
    start(&other, "more", "/more.ipynb");
    drop(other);
    assert_eq!(registry.sessions(true).unwrap().len(), 2);
    assert_eq!(set_aside(folder.path()), 1);
}

#[test]
fn two_that_find_it_broken_do_not_lose_what_the_first_has_made() {
    for _ in 0..6 {
        let folder = filled();
        fs::write(folder.path().join("registry.db"), vec![7; 10_000]).unwrap();
        let barrier = Barrier::new(4);
        let said: usize = thread::scope(|scope| {
            let one = |n: usize| {
                barrier.wait();
                let registry = Registry::open(folder.path(), nothing()).unwrap();
                let id = format!("s{n}");
                let (row, bound) = (session(&id, 1), [binding(&id, 0, &format!("/{n}.ipynb"))]);
                wait(registry.patiently(|registry| registry.reserve(&row, &bound))).unwrap();
                registry.take_warnings().len()
            };
            let all: Vec<_> = (0..4).map(|n| scope.spawn(move || one(n))).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(said, 1);
        assert_eq!(set_aside(folder.path()), 1);
        assert_eq!(open(folder.path()).sessions(true).unwrap().len(), 4);
    }
}

#[test]
fn a_deleted_registry_is_made_anew_under_our_feet() {
    let folder = filled();
    let (source, asked) = counted();
    let registry = Registry::open(folder.path(), source).unwrap();
    let before = registry.change_counter().unwrap();
    for name in names(folder.path()) {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    assert_eq!(registry.sessions(true).unwrap(), []);
    assert_eq!(asked(), 1);
    assert_ne!(registry.change_counter().unwrap(), before);
    start(&registry, "a", "/a.ipynb");
    assert_eq!(open(folder.path()).sessions(true).unwrap().len(), 1);
}

#[test]
fn a_newer_registry_is_refused_and_untouched() {
    let folder = filled();
    let path = folder.path().join("registry.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(connection);
    let before = (fs::read(&path).unwrap(), names(folder.path()));
    match Registry::open(folder.path(), nothing()).map(|_| ()) {
        Err(error @ Error::Newer { file: "registry.db", found: 99, known: 1 }) => {
            assert!(error.to_string().contains("update kernel-keeper"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert!(before == (fs::read(&path).unwrap(), names(folder.path())));
}

#[test]
fn what_cannot_be_read_is_an_error_and_left_alone() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("registry.db")).unwrap();
    let error = Registry::open(folder.path(), nothing()).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("directory"), "{error}");

    let folder = filled();
    let path = folder.path().join("registry.db");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read everything.
    match Registry::open(folder.path(), nothing()).map(|_| ()) {
        Ok(()) => assert!(rustix::process::geteuid().is_root()),
        Err(error) => assert!(error.to_string().contains("denied"), "{error}"),
    }
    assert_eq!(set_aside(folder.path()), 0);

    let error = Registry::open(Path::new("/dev/null/state"), nothing()).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
}
