//! Damaged, missing, newer and unreadable state files: a clear state, no crash, and no other session touched.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, eventually};
use crate::world::{World, id_of, is_alive, kill, pid_of, uri};

/// The ways in which a file is damaged.
const WAYS: [&str; 5] = ["truncated", "emptied", "zeroed", "garbage", "unreadable"];

fn damage(path: &Path, way: &str) {
    // A database's newest content may lie beside it.
    for beside in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{beside}", path.display()));
    }
    overwrite(path, way);
}

/// The file alone, in its place, while others may have it open.
fn overwrite(path: &Path, way: &str) {
    let bytes = std::fs::read(path).expect("the file is there");
    match way {
        "truncated" => std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap(),
        "emptied" => std::fs::write(path, b"").unwrap(),
        "zeroed" => std::fs::write(path, vec![0; bytes.len()]).unwrap(),
        "garbage" => {
            std::fs::write(path, (0..bytes.len()).map(|i| (i * 131 % 251) as u8).collect::<Vec<_>>()).unwrap()
        }
        // Root reads whatever the mode is; a folder in the file's place nobody does.
        "unreadable" => {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        other => panic!("{other}"),
    }
}

/// Two sessions: an ended one with history that will be damaged, a live one that must not be touched.
struct Pair {
    world: World,
    ended: String,
    live: Value,
}

fn pair() -> Pair {
    let world = World::new();
    let (a, b) = (world.notebook("ended.ipynb", &["1"]), world.notebook("live.ipynb", &["1"]));
    let mut window = world.window();
    let ended = id_of(&window.start(&a)["id"]);
    window.run(&ended, "print('kept')");
    window.ok("keeper/stopSession", json!({ "sessionId": ended }));
    let live = window.start(&b);
    window.run(&id_of(&live["id"]), "x = 42");
    drop(window);
    Pair { world, ended, live }
}

impl Pair {
    /// The live session is what it was.
    fn check_live(&self, what: &str) {
        let id = id_of(&self.live["id"]);
        let mut window = self.world.window();
        let now = window.session(&id);
        for field in ["pid", "keeperPid", "startedAt", "notebookPath"] {
            assert_eq!(now[field], self.live[field], "{what}: {field}");
        }
        assert_eq!(window.value_of(&id, "x"), "42", "{what}");
        // All that reads, of the damaged session too, is answered, whatever with.
        for method in ["executionHistory", "cellOutputs", "subscribe", "stopSession"] {
            if let Err(e) = window.request(&format!("keeper/{method}"), json!({ "sessionId": self.ended })) {
                assert!(["StoreFailed", "SessionNotFound"].contains(&e.kind()), "{what}, {method}: {e:?}");
                assert!(!e.message.contains("panicked"), "{what}, {method}: {e:?}");
            }
        }
        window.ok("keeper/listSessions", json!({ "includeEnded": true }));
        let notebook = uri(&self.world.work().join("ended.ipynb"));
        window.ok("keeper/findActiveSession", json!({ "notebookUri": notebook }));
        let _ = window.request("keeper/executionHistory", json!({ "notebookUri": notebook }));
    }
}

#[test]
fn a_damaged_registry_is_rebuilt() {
    let pair = pair();
    let registry = pair.world.state().join("registry.db");
    for way in WAYS {
        damage(&registry, way);
        if way == "unreadable" {
            // Nothing can be stored: said in plain words, and over when it is mended.
            let done = pair.world.cli(["list", "--json"]);
            assert_ne!(done.status.code(), Some(101), "{done:?}");
            if registry.is_dir() {
                let _ = std::fs::remove_dir(&registry);
            }
        }
        pair.check_live(way);
        let mut window = pair.world.window();
        assert_eq!(window.session(&pair.ended)["endReason"], "stopped", "{way}");
        assert_eq!(
            window.ok("keeper/executionHistory", json!({ "sessionId": pair.ended }))["executions"][0]["code"],
            "print('kept')"
        );
    }
    let aside = std::fs::read_dir(pair.world.state()).unwrap().flatten();
    assert!(
        aside.into_iter().any(|e| e.file_name().to_string_lossy().starts_with("registry.db.corrupt")),
        "set aside"
    );
}

#[test]
fn a_damaged_record_touches_no_other() {
    let pair = pair();
    let record = pair.world.session_dir(&pair.ended).join("session.json");
    let text = std::fs::read(&record).unwrap();
    for way in WAYS {
        damage(&record, way);
        pair.check_live(way);
        if record.is_dir() {
            std::fs::remove_dir(&record).unwrap();
        }
        std::fs::write(&record, &text).unwrap();
    }
}

#[test]
fn a_damaged_journal_touches_no_other() {
    let pair = pair();
    let journal = pair.world.session_dir(&pair.ended).join("journal.db");
    // All of it in one file.
    rusqlite::Connection::open(&journal)
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    let bytes = std::fs::read(&journal).unwrap();
    for way in WAYS {
        damage(&journal, way);
        pair.check_live(way);
        if journal.is_dir() {
            std::fs::remove_dir(&journal).unwrap();
        }
        std::fs::write(&journal, &bytes).unwrap();
    }
    let mut window = pair.world.window();
    let history = window.ok("keeper/executionHistory", json!({ "sessionId": pair.ended }));
    assert_eq!(history["executions"][0]["code"], "print('kept')");
}

#[test]
fn a_kernel_whose_journal_is_damaged_is_adopted_all_the_same() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    window.run(&id, "x = 42");
    window.close();
    for way in ["garbage", "zeroed", "truncated"] {
        let mut window = world.window();
        let keeper = pid_of(&window.session(&id)["keeperPid"]);
        window.close();
        kill(keeper, "KILL");
        eventually("the keeper is gone", PATIENCE, || (!is_alive(keeper)).then_some(()));
        damage(&world.session_dir(&id).join("journal.db"), way);
        let mut window = world.window();
        let now = window.session(&id);
        assert_eq!(now["pid"], session["pid"], "{way}: {now}");
        // Busy until the kernel has said that it is not.
        let begun = std::time::Instant::now();
        while window.session(&id)["state"] != "idle" {
            assert!(begun.elapsed() < PATIENCE, "{way}: {}; {}", window.session(&id), window.log_tail());
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        assert_eq!(window.value_of(&id, "x"), "42", "{way}");
        // A file that was cut may be a whole one, and empty.
        let warnings = window.session(&id)["warnings"].to_string();
        assert!(warnings.contains("damaged") || way == "truncated", "{way}: {warnings}");
    }
}

#[test]
fn a_window_that_follows_hears_on_when_the_journal_was_damaged() {
    for way in ["garbage", "zeroed", "truncated"] {
        let world = World::new();
        let notebook = world.notebook("draft.ipynb", &["1"]);
        let mut window = world.window();
        let session = window.start(&notebook);
        let id = id_of(&session["id"]);
        window.subscribe(&id, 0);
        window.run(&id, "x = 42");
        damage(&world.session_dir(&id).join("journal.db"), way);
        kill(pid_of(&session["keeperPid"]), "KILL");
        eventually("another keeper", PATIENCE, || {
            let now = window.session(&id);
            (now["keeperPid"] != session["keeperPid"] && now["responding"] == true).then_some(())
        });
        let execution = window.execute(&id, "print(x)");
        window.wait_finished(&execution);
        window.wait_for("keeper/executionEvent", |e| {
            e["executionId"] == execution.as_str() && e["event"]["output"]["text"] == "42\n"
        });
        let names = std::fs::read_dir(world.session_dir(&id)).unwrap().flatten();
        let aside = names.filter(|e| e.file_name().to_string_lossy().contains("corrupt")).count();
        assert!(aside <= 3, "{way}: set aside once, with what lies beside it: {aside}");
        window.ok("keeper/stopSession", json!({ "sessionId": id }));
    }
}

/// A keeper that was killed before its first event leaves an empty journal, and so does who cuts it off.
#[test]
fn a_journal_that_gave_no_number_yet_begins_with_one() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    for had_events in [false, true] {
        let mut window = world.window();
        let session = window.start(&notebook);
        let id = id_of(&session["id"]);
        window.run(&id, "x = 41");
        window.close();
        kill(pid_of(&session["keeperPid"]), "KILL");
        eventually("it is gone", PATIENCE, || (!is_alive(pid_of(&session["keeperPid"]))).then_some(()));
        for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
            let _ = std::fs::remove_file(world.session_dir(&id).join(file));
        }
        let path = world.session_dir(&id).join("session.json");
        let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(record["hasEvents"], true);
        record["hasEvents"] = json!(had_events);
        std::fs::write(&path, record.to_string()).unwrap();
        let mut window = world.window();
        window.run(&id, "x = 42");
        let last = window.ok("keeper/cellOutputs", json!({ "sessionId": id }))["lastSeq"].as_u64().unwrap();
        // Above are milliseconds.
        assert_eq!(last > 1 << 40, had_events, "{last}");
        window.ok("keeper/stopSession", json!({ "sessionId": id }));
    }
}

#[test]
fn a_registry_deleted_under_running_windows_is_made_anew() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    for name in ["registry.db", "registry.db-wal", "registry.db-shm"] {
        let _ = std::fs::remove_file(world.state().join(name));
    }
    assert_eq!(window.live(), std::slice::from_ref(&id));
    let asked = window.ok("keeper/ensureSession", json!({ "notebookUri": uri(&notebook) }));
    assert_eq!((&asked["outcome"], &asked["session"]["pid"]), (&json!("attached"), &session["pid"]));
    assert_eq!(window.value_of(&id, "1 + 1"), "2");
    let mut other = world.window();
    assert_eq!(other.live(), std::slice::from_ref(&id));
    let found = other.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&notebook) }));
    assert_eq!((&found["found"], &found["session"]["id"]), (&json!(true), &json!(id)));
    let _ = std::fs::remove_file(world.runtime().join("bell"));
    other.ok("keeper/stopSession", json!({ "sessionId": id }));
    window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == id.as_str());
}

#[test]
fn a_registry_overwritten_under_running_windows_is_made_anew() {
    for way in ["zeroed", "garbage", "truncated", "emptied"] {
        let world = World::new();
        let notebook = world.notebook("draft.ipynb", &["1"]);
        let mut window = world.window();
        let session = window.start(&notebook);
        let id = id_of(&session["id"]);
        overwrite(&world.state().join("registry.db"), way);
        let mut other = world.window();
        assert_eq!(other.live(), std::slice::from_ref(&id), "{way}");
        let asked = other.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&notebook) }));
        assert_eq!((&asked["found"], &asked["session"]["pid"]), (&json!(true), &session["pid"]), "{way}");
        assert_eq!(window.live(), std::slice::from_ref(&id), "{way}");
        // Both use the same one: what one of them ends, the other hears of.
        other.ok("keeper/stopSession", json!({ "sessionId": id }));
        window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == id.as_str());
        assert_eq!(window.live(), Vec::<String>::new(), "{way}");
    }
}

#[test]
fn a_swept_runtime_folder_is_said_until_a_restart() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    window.run(&id, "x = 41");
    std::fs::remove_dir_all(world.runtime()).unwrap();
    let is_said = |session: &Value| session["warnings"].to_string().contains("was emptied");
    eventually("the warning", PATIENCE, || is_said(&window.session(&id)).then_some(()));
    assert_eq!(window.value_of(&id, "x + 1"), "42");
    window.close();
    // A new window finds it, with its state; and it stays well while nobody looks.
    let mut window = world.window();
    assert_eq!(window.value_of(&id, "x + 1"), "42");
    let now = window.session(&id);
    assert_eq!((&now["pid"], &now["responding"]), (&session["pid"], &json!(true)), "{now}");
    // A restart makes everything anew: it can be adopted again.
    let restarted = window.ok("keeper/restartSession", json!({ "sessionId": id }));
    assert!(!is_said(&restarted["session"]), "{restarted}");
    window.run(&id, "x = 1");
    kill(pid_of(&restarted["session"]["keeperPid"]), "KILL");
    eventually("another keeper", PATIENCE, || {
        let now = window.session(&id);
        (now["keeperPid"] != restarted["session"]["keeperPid"] && now["responding"] == true).then_some(())
    });
    assert_eq!(window.value_of(&id, "x + 1"), "2");
}

#[test]
fn a_newer_registry_is_refused_in_plain_words() {
    let world = World::new();
    drop(world.window());
    let registry = rusqlite::Connection::open(world.state().join("registry.db")).unwrap();
    let known: i64 = registry.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    registry.pragma_update(None, "user_version", known + 1).unwrap();
    drop(registry);
    let mut window = world.spawn();
    let refused =
        window.fails("initialize", crate::world::initialize(&[world.work()], Value::Null), "StoreFailed");
    assert!(refused.message.contains("update kernel-keeper"), "{refused:?}");
    drop(window);
    let done = world.cli(["list"]);
    assert_eq!(done.status.code(), Some(1));
    let said = crate::world::text(&done.stderr);
    assert!(said.starts_with("error: ") && said.contains("update kernel-keeper"), "{said}");
    let registry = rusqlite::Connection::open(world.state().join("registry.db")).unwrap();
    let now: i64 = registry.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(now, known + 1, "it is left as it was");
    registry.pragma_update(None, "user_version", known).unwrap();
}
