//! How the file comes to be: whole or not at all, whoever is killed, frozen or faster.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Session folders with so many sessions.
fn folders(count: usize) -> Source {
    Arc::new(move || {
        let one = |n: usize| {
            let id = format!("d{n}");
            (session(&id, n as i64), vec![binding(&id, 1, &format!("/d{n}.ipynb"))])
        };
        Ok((0..count).map(one).collect())
    })
}

#[test]
fn who_cannot_know_all_sessions_makes_none_that_counts_as_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions");
    let full = move || Err(Error::Io { path: path.clone(), source: std::io::ErrorKind::Other.into() });
    let error = Registry::open(folder.path(), Arc::new(full)).map(drop).unwrap_err();
    assert!(error.to_string().contains("sessions"), "{error}");
    let registry = Registry::open(folder.path(), folders(7)).unwrap();
    assert_eq!(registry.sessions(true).unwrap().len(), 7);
}

fn lose(folder: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(folder.join(format!("registry.db{suffix}")));
    }
}

fn begun(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().contains(".new-")).count()
}

/// Another process's connection to the registry.
fn raw(folder: &Path) -> Connection {
    Connection::open(folder.join("registry.db")).unwrap()
}

#[test]
fn nobody_looks_into_a_half_filled_one() {
    for _ in 0..5 {
        let folder = TempDir::new().unwrap();
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for n in 0..4 {
                let (barrier, folder) = (&barrier, folder.path());
                scope.spawn(move || {
                    barrier.wait();
                    let registry = Registry::open(folder, folders(60)).unwrap();
                    let rows = registry.sessions(false).unwrap();
                    assert!(rows.iter().filter(|row| row.id.starts_with('d')).count() == 60);
                    let own = session(&format!("s{n}"), 1);
                    wait(registry.patiently(|registry| registry.reserve(&own, &[]))).unwrap();
                });
            }
        });
        assert_eq!(open(folder.path()).sessions(true).unwrap().len(), 64);
        assert_eq!(begun(folder.path()), 0);
    }
}

#[test]
fn who_is_killed_while_filling_leaves_nothing_that_counts() {
    let folder = TempDir::new().unwrap();
    let dies: Source = Arc::new(|| panic!("killed"));
    assert!(catch_unwind(AssertUnwindSafe(|| Registry::open(folder.path(), dies).map(drop))).is_err());
    assert!(!folder.path().join("registry.db").exists());
    // As a killed process leaves it, that removes nothing any more.
    fs::write(folder.path().join("registry.db.new-0123456789ab"), vec![7; 5_000]).unwrap();
    fs::write(folder.path().join("registry.db.new-0123456789ab-wal"), vec![7; 5_000]).unwrap();
    let registry = Registry::open(folder.path(), folders(7)).unwrap();
    assert_eq!(registry.sessions(true).unwrap().len(), 7);
    assert_eq!(begun(folder.path()), 0);
}

#[test]
fn one_of_an_earlier_build_is_completed_and_keeps_what_it_has() {
    let (folder, registry) = fresh();
    start(&registry, "d2", "/moved.ipynb");
    start(&registry, "extra", "/d4.ipynb");
    registry.put_window(&Window { id: "w".into(), ..Window::default() }).unwrap();
    drop(registry);
    let earlier = raw(folder.path());
    earlier.pragma_update(None, "application_id", 1).unwrap();
    // Kept locked, it is looked at as it is.
    earlier.execute_batch("BEGIN IMMEDIATE").unwrap();
    let early = Registry::open(folder.path(), folders(5)).unwrap();
    assert_eq!(early.sessions(true).unwrap().len(), 2);
    earlier.execute_batch("COMMIT").unwrap();
    let registry = Registry::open(folder.path(), folders(5)).unwrap();
    assert_eq!(registry.sessions(true).unwrap().len(), 6);
    assert_eq!(history(&registry, "/moved.ipynb"), "d2", "what it knew, it knew better");
    assert_eq!(registry.windows().unwrap().len(), 1);
    // Of two that have one notebook, the one that was there keeps it.
    assert_eq!(history(&registry, "/d4.ipynb"), "extra d4");
    assert!(registry.bindings(&sid("d4")).unwrap()[0].given_up);
    assert!(registry.take_warnings().is_empty() && early.sessions(true).unwrap().len() == 6);
}

#[test]
fn what_was_written_into_a_file_that_is_gone_is_written_again() {
    let folder = TempDir::new().unwrap();
    let registry = Registry::open(folder.path(), folders(3)).unwrap();
    let mut times = 0;
    let put = registry.write(|transaction| {
        times += 1;
        if times == 1 {
            // Another process finds it damaged, or a person deletes it.
            lose(folder.path());
        }
        Ok(transaction.execute("UPDATE sessions SET document = 'new' WHERE id = ?1", [sid("d1")])?)
    });
    assert_eq!((put.unwrap(), times), (1, 2));
    let other = open(folder.path());
    assert_eq!(other.sessions(true).unwrap().len(), 3);
    assert_eq!(other.session(&sid("d1")).unwrap().unwrap().document, "new");
    assert!(registry.was_replaced());
}

#[test]
fn a_log_of_the_old_file_never_meets_the_new_one() {
    let (folder, registry) = fresh();
    start(&registry, "a", "/a.ipynb");
    // The log of a process that still lives, and that of one that was killed.
    fs::remove_file(folder.path().join("registry.db")).unwrap();
    let other = Registry::open(folder.path(), folders(2)).unwrap();
    assert_eq!(other.sessions(true).unwrap().len(), 2);
    start(&registry, "b", "/b.ipynb");
    drop(registry);
    assert_eq!(other.sessions(true).unwrap().len(), 3);
    let whole: String = raw(folder.path()).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
}

#[test]
fn who_cannot_have_the_lock_looks_at_what_it_made_for_itself() {
    let lock = |folder: &Path| {
        let file = fs::File::create(folder.join("registry.lock")).unwrap();
        file.lock().unwrap();
        file
    };
    for damaged in [false, true] {
        let (folder, registry) = fresh();
        drop(registry);
        lose(folder.path());
        if damaged {
            fs::write(folder.path().join("registry.db"), vec![7; 9_000]).unwrap();
        }
        // Its holder is frozen.
        let held = lock(folder.path());
        let begun_at = Instant::now();
        let registry = Registry::open(folder.path(), folders(4)).unwrap();
        assert_eq!(registry.sessions(true).unwrap().len(), 4);
        assert!(matches!(registry.put_session(&session("a", 1)), Err(Error::Busy)));
        assert!(begun_at.elapsed() < Duration::from_secs(2), "{:?}", begun_at.elapsed());
        drop(held);
        wait(registry.patiently(|registry| registry.put_session(&session("a", 1)))).unwrap();
        assert_eq!(open(folder.path()).sessions(true).unwrap().len(), 5);
        assert_eq!(begun(folder.path()), 0);
    }
}

#[test]
fn who_keeps_the_file_holds_up_no_look_and_no_thread() {
    let (folder, registry) = fresh();
    start(&registry, "a", "/a.ipynb");
    let frozen = raw(folder.path());
    frozen.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(matches!(registry.put_session(&session("b", 1)), Err(Error::Busy)));
        assert_eq!(open(folder.path()).sessions(true).unwrap().len(), 1);
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let said = registry.put_session(&session("b", 1)).unwrap_err().to_string();
    assert!(said.contains("suspended") && said.contains("end it"), "{said}");
    // Those that wait take turns, in the order in which they came.
    let order = Mutex::new(Vec::new());
    let put = |name: &'static str| {
        let (registry, order) = (&registry, &order);
        registry.patiently(move |registry| {
            registry.put_session(&session(name, 1))?;
            order.lock().unwrap().push(name);
            Ok(())
        })
    };
    let done = wait(async {
        let release = async { frozen.execute_batch("COMMIT").unwrap() };
        tokio::join!(put("b"), put("c"), put("d"), release)
    });
    assert!(done.0.and(done.1).and(done.2).is_ok());
    assert_eq!(*order.lock().unwrap(), ["b", "c", "d"]);
}

#[test]
fn damage_that_no_opening_sees_is_mended_where_it_is_met() {
    let damages = [
        "DROP TABLE bindings",
        "UPDATE sessions SET created_at = 'yesterday'",
        "UPDATE sessions SET document = x'ff00'",
        "ALTER TABLE bindings RENAME COLUMN lineage TO strain",
    ];
    for damage in damages {
        let folder = TempDir::new().unwrap();
        let registry = Registry::open(folder.path(), folders(3)).unwrap();
        raw(folder.path()).execute_batch(damage).unwrap();
        let other = Registry::open(folder.path(), folders(3)).unwrap();
        assert_eq!(other.sessions(true).unwrap().len(), 3, "{damage}");
        // By a look, or by what is written.
        other.reserve(&session("a", 9), &[binding("a", 1, "/a.ipynb")]).unwrap();
        assert_eq!(other.live_bindings().unwrap().len(), 4, "{damage}");
        assert_eq!(registry.sessions(true).unwrap().len(), 4, "{damage}");
        let said = [registry.take_warnings(), other.take_warnings()].concat();
        assert!(said.len() == 1 && said[0].contains("set aside"), "{damage}: {said:?}");
    }
}

#[test]
fn rows_without_an_id_are_passed_over() {
    let (folder, registry) = fresh();
    start(&registry, "a", "/a.ipynb");
    let hostile = raw(folder.path());
    for id in ["../../outside", "/etc", "", ".", "abc", "s/../../x", "ABCDEFGH"] {
        let insert = "INSERT INTO sessions VALUES (?1, 'host', 'boot', 1, '{}', 1, 1, 1)";
        hostile.execute(insert, [id]).unwrap();
        hostile
            .execute(
                "INSERT INTO bindings (session_id, number, key, uri, live, lineage) VALUES (?1, 1, ?2, 'u', 1, 9)",
                [id, &format!("/taken{id}.ipynb")],
            )
            .unwrap();
        assert_eq!(registry.session(id).unwrap(), None, "{id}");
        assert_eq!(registry.bindings(id).unwrap(), [], "{id}");
        // Nor does it keep a notebook from anybody.
        let key = format!("/taken{id}.ipynb");
        let own = format!("b{}", id.len());
        assert_eq!(registry.binding_by_key(&key).unwrap(), None);
        registry.reserve(&session(&own, 1), &[binding(&own, 1, &key)]).unwrap();
        assert_eq!(history(&registry, &key), own);
        registry.remove_session(&sid(&own)).unwrap();
    }
    assert_eq!(registry.sessions(true).unwrap().len(), 1);
    assert_eq!(registry.live_bindings().unwrap().len(), 1);
    let row = offer("1", OfferKind::Resume, "/a.ipynb", &["a"]);
    registry.raise_offer(&row, None).unwrap();
    hostile.execute("UPDATE offers SET session_ids = '[\"../../x\", \"azzzzz\"]'", []).unwrap();
    assert_eq!(registry.open_offers().unwrap(), [row]);
    assert_eq!(registry.take_warnings(), Vec::<String>::new());
}
