//! The registry at its edges: lost while many look, filled by who is killed or frozen, kept locked, and written by somebody
//! who means ill.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::driver::{PATIENCE, eventually};
use crate::world::{World, id_of, is_alive, kill, pid_of, uri};

/// An answer that waits for nobody. A debug build beside other tests takes its time, SQLite's own wait is five seconds.
const AT_ONCE: Duration = Duration::from_secs(1);

fn lose(world: &World) {
    for name in ["registry.db", "registry.db-wal", "registry.db-shm"] {
        let _ = std::fs::remove_file(world.state().join(name));
    }
}

fn raw(world: &World, file: &str) -> rusqlite::Connection {
    rusqlite::Connection::open(world.state().join(file)).unwrap()
}

/// A living kernel, and so many sessions that ended, as copies of one.
fn crowded(ended: usize) -> (World, PathBuf, Value) {
    let world = World::new();
    let (live, old) = (world.notebook("live.ipynb", &["1"]), world.notebook("old.ipynb", &["1"]));
    let mut window = world.window();
    let session = window.start(&live);
    let gone = id_of(&window.start(&old)["id"]);
    window.ok("keeper/stopSession", json!({ "sessionId": gone }));
    window.close();
    let mut record = world.record(&gone);
    for n in 0..ended {
        let id = format!("c0py{n:04}");
        record["id"] = json!(id);
        let folder = world.session_dir(&id);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("session.json"), record.to_string()).unwrap();
    }
    (world, live, session)
}

fn begin(world: &World, arguments: &[&str]) -> Child {
    let mut command = world.command();
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn listed(world: &World) -> Vec<Value> {
    serde_json::from_str(&world.cli_ok(["list", "--all", "--json"])).unwrap()
}

#[test]
fn many_that_find_it_lost_at_once_find_the_kernel() {
    let (world, notebook, session) = crowded(150);
    for round in 0..4 {
        lose(&world);
        let path = notebook.to_str().unwrap();
        let others: Vec<Child> = (0..3).map(|_| begin(&world, &["exec", path, "1"])).collect();
        let mut window = world.window();
        let found = window.ok("keeper/ensureSession", json!({ "notebookUri": uri(&notebook), "ask": false }));
        assert_eq!(found["session"]["id"], session["id"], "round {round}");
        for other in others {
            let done = other.wait_with_output().unwrap();
            assert!(done.status.success(), "round {round}: {done:?}");
        }
        assert_eq!(window.live(), [id_of(&session["id"])], "round {round}");
        window.close();
    }
}

#[test]
fn who_is_killed_while_filling_it_leaves_none_out() {
    let (world, _, session) = crowded(150);
    for round in 0..12 {
        lose(&world);
        let mut filler = begin(&world, &["list"]);
        let begun = Instant::now();
        // At another step each time: nothing there, being filled, and whole.
        while begun.elapsed() < Duration::from_millis(round * 6) {
            std::hint::spin_loop();
        }
        let _ = filler.kill();
        let _ = filler.wait();
        let found = listed(&world);
        assert_eq!(found.len(), 152, "round {round}");
        assert!(found.iter().any(|one| one["id"] == session["id"]), "round {round}");
    }
    let names = std::fs::read_dir(world.state()).unwrap().flatten();
    let begun: Vec<_> =
        names.map(|e| e.file_name()).filter(|n| n.to_string_lossy().contains(".new-")).collect();
    assert!(begun.is_empty(), "{begun:?}");
}

#[test]
fn who_is_frozen_while_filling_it_holds_up_nobody() {
    let (world, notebook, session) = crowded(150);
    for round in 0..6 {
        lose(&world);
        let mut filler = begin(&world, &["list"]);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(round * 8) {
            std::hint::spin_loop();
        }
        kill(filler.id(), "STOP");
        let mut window = world.window();
        let found = window.ok("keeper/ensureSession", json!({ "notebookUri": uri(&notebook), "ask": false }));
        assert_eq!(found["session"]["id"], session["id"], "round {round}");
        assert_eq!(listed(&world).len(), 152, "round {round}");
        let _ = filler.kill();
        let _ = filler.wait();
        window.close();
    }
}

#[test]
fn a_lock_that_is_kept_holds_up_no_answer() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    let said = json!({ "conversationId": "c", "role": "user", "content": "a", "sessionId": id });
    window.ok("keeper/conversation/append", said.clone());
    let held = [raw(&world, "registry.db"), raw(&world, "conversations.db")];
    for database in &held {
        database.execute_batch("BEGIN IMMEDIATE").unwrap();
    }
    // What must write waits, without holding up what need not, and the kernel's outputs are kept meanwhile.
    let second = world.notebook("second.ipynb", &["1"]);
    let attached =
        window.begin("keeper/attachSession", json!({ "sessionId": id, "targetNotebookUri": uri(&second) }));
    let appended = window.begin("keeper/conversation/append", said);
    let mut slowest = Duration::ZERO;
    let begun = Instant::now();
    let mut runs = 0;
    // Longer than a sign of life takes to come round.
    while begun.elapsed() < Duration::from_secs(7) {
        for (method, asked) in [
            ("keeper/listSessions", json!({ "includeEnded": true })),
            ("keeper/findActiveSession", json!({ "notebookUri": uri(&notebook) })),
            ("keeper/conversation/list", json!({})),
            ("keeper/conversation/history", json!({ "conversationId": "c" })),
            ("keeper/executionHistory", json!({ "sessionId": id })),
        ] {
            let asked_at = Instant::now();
            window.ok(method, asked);
            slowest = slowest.max(asked_at.elapsed());
        }
        runs += 1;
        assert_eq!(window.value_of(&id, &runs.to_string()), runs.to_string());
    }
    assert!(slowest < AT_ONCE, "{slowest:?}");
    for asked in [attached, appended] {
        let refused = window.finish(asked).unwrap_err();
        assert_eq!(refused.kind(), "StoreFailed");
        assert!(refused.message.contains("locked") && refused.message.contains("end it"), "{refused:?}");
    }
    // A window that comes meanwhile sees what is there, and one that is asked to start a kernel says why it cannot.
    let mut other = world.window();
    assert_eq!(other.live(), std::slice::from_ref(&id));
    let third = world.notebook("third.ipynb", &["1"]);
    let start = json!({ "notebookUri": uri(&third), "kernelName": "kept-python" });
    other.fails("keeper/startSession", start, "StoreFailed");
    for database in &held {
        database.execute_batch("COMMIT").unwrap();
    }
    let attach = json!({ "sessionId": id, "targetNotebookUri": uri(&second) });
    assert_eq!(window.ok("keeper/attachSession", attach)["newPath"], json!(second));
    eventually("the other window is known", PATIENCE, || {
        let windows = window.ok("keeper/listWindows", json!({}));
        (windows["windows"].as_array().unwrap().len() == 2).then_some(())
    });
}

#[test]
fn what_waits_for_the_lock_is_done_in_its_turn() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    let turn =
        |text: &str| json!({ "conversationId": "c", "role": "user", "content": text, "sessionId": id });
    window.ok("keeper/conversation/append", turn("0"));
    let held = [raw(&world, "registry.db"), raw(&world, "conversations.db")];
    for database in &held {
        database.execute_batch("BEGIN IMMEDIATE").unwrap();
    }
    let appended: Vec<i64> =
        (1..20).map(|n| window.begin("keeper/conversation/append", turn(&n.to_string()))).collect();
    let second = world.notebook("second.ipynb", &["1"]);
    let attached =
        window.begin("keeper/attachSession", json!({ "sessionId": id, "targetNotebookUri": uri(&second) }));
    // All have been looked at.
    window.ok("keeper/listSessions", json!({}));
    for database in &held {
        database.execute_batch("COMMIT").unwrap();
    }
    for asked in appended {
        window.finish(asked).unwrap();
    }
    assert_eq!(window.finish(attached).unwrap()["newPath"], json!(second));
    let history = window.ok("keeper/conversation/history", json!({ "conversationId": "c" }));
    let told: Vec<&str> =
        history["history"].as_array().unwrap().iter().map(|t| t["content"].as_str().unwrap()).collect();
    assert_eq!(told, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_session_that_ends_while_it_is_locked_has_ended() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    let held = raw(&world, "registry.db");
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let stopped = window.ok("keeper/stopSession", json!({ "sessionId": id }));
    assert_eq!(stopped["session"]["endReason"], "stopped");
    let keeper = pid_of(&session["keeperPid"]);
    eventually("its keeper goes", PATIENCE, || (!is_alive(keeper)).then_some(()));
    held.execute_batch("COMMIT").unwrap();
    eventually("the registry hears of it", PATIENCE, || {
        let live: bool =
            held.query_row("SELECT live FROM sessions WHERE id = ?1", [&id], |row| row.get(0)).unwrap();
        window.live();
        (!live).then_some(())
    });
    window.start(&notebook);
}

#[test]
fn a_keeper_that_changes_and_ends_while_it_is_lost_is_in_it() {
    let (world, notebook, session) = crowded(80);
    let id = id_of(&session["id"]);
    let mut window = world.window();
    let (a, b) = (world.notebook("a.ipynb", &["1"]), world.notebook("b.ipynb", &["1"]));
    for to in [&a, &b, &notebook] {
        lose(&world);
        let filler = begin(&world, &["list"]);
        let attach = json!({ "sessionId": id, "targetNotebookUri": uri(to) });
        assert_eq!(window.ok("keeper/attachSession", attach)["newPath"], json!(to));
        filler.wait_with_output().unwrap();
        let found = world.window().ok("keeper/findActiveSession", json!({ "notebookUri": uri(to) }));
        assert_eq!((&found["match"], &found["session"]["id"]), (&json!("path"), &json!(id)));
    }
    lose(&world);
    let filler = begin(&world, &["list"]);
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
    let started = id_of(&window.start(&a)["id"]);
    filler.wait_with_output().unwrap();
    let all = listed(&world);
    let state = |id: &str| all.iter().find(|one| one["id"] == id).map(|one| one["state"].clone());
    assert_eq!((state(&id), state(&started).is_some()), (Some(json!("ended")), true));
    assert_eq!(all.len(), 83);
}

#[test]
fn what_a_row_names_outside_is_never_touched() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    let outside = world.work().join("outside");
    std::fs::create_dir_all(outside.join("deep")).unwrap();
    std::fs::write(outside.join("journal.db"), "mine").unwrap();
    let up = Path::new("../../..").join(outside.strip_prefix(outside.ancestors().nth(2).unwrap()).unwrap());
    let mut record = world.record(&id);
    for (n, name) in [outside.to_str().unwrap(), up.to_str().unwrap(), "..", ""].into_iter().enumerate() {
        record["id"] = json!(name);
        let registry = raw(&world, "registry.db");
        registry
            .execute(
                "INSERT INTO sessions VALUES (?1, ?2, '', ?3, ?4, 1, 1, 1)",
                rusqlite::params![name, record["host"].as_str(), (n % 2) as i64, record.to_string()],
            )
            .unwrap();
        registry
            .execute(
                "INSERT INTO bindings (session_id, number, key, uri, live, lineage) VALUES (?1, 1, ?2, 'file:///x', 1, 7)",
                rusqlite::params![name, format!("/x{n}.ipynb")],
            )
            .unwrap();
    }
    // An ended session of ours, whose copy names another.
    record["id"] = json!("../../x");
    let copy = rusqlite::params!["abcdefgh", record["host"].as_str(), record.to_string()];
    raw(&world, "registry.db")
        .execute("INSERT INTO sessions VALUES (?1, ?2, '', 0, ?3, 1, 1, 1)", copy)
        .unwrap();
    window.ok("keeper/listSessions", json!({ "includeEnded": true }));
    window.ok("keeper/pruneStore", json!({}));
    world.window();
    for name in ["x0", "x1", "x2", "x3"] {
        let notebook = world.work().join(format!("{name}.ipynb"));
        window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&notebook) }));
    }
    window.ok("keeper/health", json!({}));
    assert_eq!(std::fs::read_to_string(outside.join("journal.db")).unwrap(), "mine");
    assert!(outside.join("deep").is_dir() && world.session_dir(&id).is_dir());
    let all = std::fs::read_dir(&outside).unwrap().count();
    assert_eq!(all, 2, "nothing was made there");
    assert_eq!(window.live(), [id]);
}
