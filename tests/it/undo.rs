//! Undo: a fresh kernel as of one execution, beside the old one, which nothing happens to.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::kernels;
use crate::offers::{answer, pushed};
use crate::world::{World, id_of, is_alive, kill, pid_of, uri};

fn replay(window: &mut Window, id: &str, execution: &Value) -> Value {
    window.ok("keeper/replayTo", json!({ "sessionId": id, "executionId": execution }))
}

/// The session that has a notebook.
fn holder(window: &mut Window, notebook: &Path) -> String {
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(notebook) }));
    assert_eq!((&found["found"], &found["match"]), (&json!(true), &json!("path")), "{found}");
    assert_eq!(found["candidates"], json!([]));
    id_of(&found["session"]["id"])
}

/// Kills a session's keeper, and waits for the next one.
fn kill_keeper(window: &mut Window, id: &str) {
    let pid = pid_of(&window.session(id)["keeperPid"]);
    kill(pid, "KILL");
    eventually("it is adopted", PATIENCE, || {
        let now = window.session(id);
        (now["keeperPid"].as_u64().is_some_and(|now| now != u64::from(pid)) && now["state"] == "idle")
            .then_some(())
    });
}

/// Without the time that it takes to start a program.
fn kill_at_once(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn lose_registry(world: &World) {
    for file in ["registry.db", "registry.db-wal", "registry.db-shm"] {
        let _ = fs::remove_file(world.state().join(file));
    }
}

fn no_offers(window: &mut Window, notebook: &Path) {
    window.open(notebook);
    assert_eq!(window.ok("keeper/openOffers", json!({}))["offers"], json!([]));
    window.close_notebook(notebook);
}

#[test]
fn a_fresh_kernel_is_as_it_was_then_and_the_old_one_stays() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1", "2"]);
    let other = world.notebook("other.ipynb", &["1"]);
    let mut window = world.window();
    window.open(&notebook);
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    let before = window.run(&id, "gone = 1");
    window.ok("keeper/restartSession", json!({ "sessionId": id }));
    let pid = pid_of(&window.session(&id)["pid"]);
    window.run(&id, "x = [1]");
    let failed = window.execute(&id, "x.append(9); 1 / 0");
    window.done(&id, &failed);
    let cell = window.execute_cell(&id, 1, "x.append(2)");
    window.done(&id, &cell);
    let last = window.run(&id, "x.append(3)");
    let mut second = world.window();
    second.open(&notebook);
    let asked = second.ok("keeper/ensureSession", json!({ "notebookUri": uri(&notebook), "ask": false }));
    assert_eq!(asked["session"]["id"], id.as_str());

    let replayed = replay(&mut window, &id, &json!(cell));
    let new = id_of(&replayed["session"]["id"]);
    let queued = replayed["rebuild"]["executionIds"].as_array().unwrap().clone();
    assert_eq!(queued.len(), 2, "{replayed}");
    window.done(&new, queued[1].as_str().unwrap());
    assert_eq!(window.execution(&new, queued[1].as_str().unwrap())["cellId"], "c1");
    assert_eq!(window.value_of(&new, "x"), "[1, 2]");
    let fresh = window.session(&new);
    assert_eq!((&fresh["label"], &fresh["kernel"]), (&json!("n.ipynb"), &session["kernel"]));
    assert_eq!(fresh["notebookExists"], true);
    assert!(fresh["windows"].as_array().unwrap().iter().any(|w| w["thisWindow"] == true), "{fresh}");
    assert_eq!(holder(&mut window, &notebook), new);
    // The other window that shows the notebook follows.
    second.wait_for("keeper/followed", |p| p["session"]["id"] == new.as_str());

    // The old one is as it was, and is told apart.
    let old = window.session(&id);
    assert_eq!((&old["label"], &old["state"]), (&json!("n.ipynb before replay"), &json!("idle")));
    // Its notebook is there as it was, with another kernel.
    let told = |one: &Value| {
        [&one["notebookExists"], &one["notebooks"][0]["notebookExists"], &one["replaced"]].map(|b| b == true)
    };
    assert_eq!((told(&old), told(&window.session(&new))), ([true, true, true], [true, true, false]));
    let listed = world.cli_ok(["list"]);
    assert!(!listed.contains("(gone)") && listed.matches("(has another kernel)").count() == 1, "{listed}");
    assert_eq!(pid_of(&old["pid"]), pid);
    eventually("no window shows it", PATIENCE, || {
        (window.session(&id)["windows"] == json!([])).then_some(())
    });
    assert_eq!(window.value_of(&id, "x"), "[1, 9, 2, 3]");
    let all = window.ok("keeper/executionHistory", json!({ "notebookUri": uri(&notebook) }));
    let ran = |code: &str| all["executions"].as_array().unwrap().iter().filter(|e| e["code"] == code).count();
    assert_eq!([ran("x = [1]"), ran("x.append(3)")], [2, 1], "{all}");

    // Refused, with nothing done.
    for execution in [&before["executionId"], &json!(failed)] {
        window.refuses(
            "keeper/replayTo",
            json!({ "sessionId": id, "executionId": execution }),
            "executionId",
        );
    }
    let asked = json!({ "sessionId": id, "executionId": "nothing" });
    assert_eq!(window.fails("keeper/replayTo", asked, "SessionNotFound").data["executionId"], "nothing");
    window.fails("keeper/replayTo", json!({ "sessionId": "nobody", "executionId": "x" }), "SessionNotFound");
    assert_eq!(window.live().len(), 2);

    // Its keeper dies, and the registry is lost: it does not grab the notebook back.
    kill_keeper(&mut window, &id);
    assert_eq!(window.value_of(&id, "len(x)"), "4");
    assert_eq!(holder(&mut window, &notebook), new);
    kill_keeper(&mut window, &new);
    assert_eq!(window.value_of(&new, "len(x)"), "2");
    assert_eq!(holder(&mut window, &notebook), new);
    second.close();
    window.close();
    lose_registry(&world);
    let mut window = world.window();
    assert_eq!(holder(&mut window, &notebook), new);
    assert_eq!(window.live().len(), 2);
    // From the old one, too, once more; a label of one's own stays.
    window.ok("keeper/labelSession", json!({ "sessionId": new, "label": "mine" }));
    let third = id_of(&replay(&mut window, &id, &last["executionId"])["session"]["id"]);
    assert_eq!(holder(&mut window, &notebook), third);
    assert_eq!(window.session(&new)["label"], "mine");
    // It can be given to another notebook, and stopped; what it had stays with what it was.
    let asked = json!({
        "sessionId": id, "targetNotebookUri": uri(&other), "expectedNotebookUri": uri(&notebook),
    });
    window.ok("keeper/attachSession", asked);
    assert_eq!(holder(&mut window, &other), id);
    assert_eq!(holder(&mut window, &notebook), third);
    window.ok("keeper/stopSession", json!({ "sessionId": new }));
    assert_eq!(holder(&mut window, &notebook), third);
    assert_eq!(window.value_of(&third, "x"), "[1, 2, 3]");
}

#[test]
fn the_old_one_raises_no_questions() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["x = 1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    let cell = window.execute_cell(&id, 0, "x = 1");
    window.done(&id, &cell);
    let new = id_of(&replay(&mut window, &id, &json!(cell))["session"]["id"]);
    // Neither a copy, nor the notebook under another name.
    let copy = world.work().join("copy.ipynb");
    fs::copy(&notebook, &copy).unwrap();
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&copy) }));
    assert_eq!((&found["found"], &found["candidates"]), (&json!(false), &json!([])));
    no_offers(&mut window, &copy);
    // The notebook gets another name: that is asked about its own kernel alone.
    let moved = world.work().join("moved.ipynb");
    fs::rename(&notebook, &moved).unwrap();
    let offer = pushed(&window, 0, "migrate", &moved);
    assert_eq!(offer["sessions"][0]["id"], new.as_str());
    answer(&mut window, &offer, "migrate");
    assert_eq!(holder(&mut window, &moved), new);
    let notebook = moved;
    let all = window.ok("keeper/executionHistory", json!({ "notebookUri": uri(&notebook) }));
    assert_eq!(all["executions"].as_array().unwrap().len(), 2, "{all}");
    // It dies, while the notebook is open, and when it has no kernel.
    window.open(&notebook);
    kill(pid_of(&window.session(&id)["pid"]), "KILL");
    window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == id.as_str());
    window.ok("keeper/stopSession", json!({ "sessionId": new }));
    window.close_notebook(&notebook);
    no_offers(&mut window, &notebook);
    // Of its own kernel, when it was opened again; never of the old one.
    let asked = window.told("keeper/offer");
    assert!(asked.iter().all(|p| !p["offer"]["sessions"].to_string().contains(&id)), "{asked:?}");
    // What has ended can be replayed, too: the notebook gets a kernel.
    let again = id_of(&replay(&mut window, &id, &json!(cell))["session"]["id"]);
    assert_eq!(holder(&mut window, &notebook), again);
    assert_eq!(window.value_of(&again, "x"), "1");
    // A restart of the ended one takes nothing away.
    window.ok("keeper/restartSession", json!({ "sessionId": id }));
    assert_eq!(holder(&mut window, &notebook), again);
}

#[test]
fn a_kernel_that_does_not_start_changes_nothing() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let folder = world.work().join("folder");
    fs::create_dir(&folder).unwrap();
    let mut window = world.window();
    let asked = json!({ "notebookUri": uri(&notebook), "kernelName": kernels::PYTHON, "cwd": folder });
    let id = id_of(&window.ok("keeper/startSession", asked)["session"]["id"]);
    let ran = window.run(&id, "x = 1");
    let asked = json!({ "sessionId": id, "executionId": ran["executionId"] });
    world.window_with(json!({ "settings": { "maxSessions": 1 } })).fails(
        "keeper/replayTo",
        asked,
        "LimitReached",
    );
    fs::remove_dir(&folder).unwrap();
    let asked = json!({ "sessionId": id, "executionId": ran["executionId"] });
    window.fails("keeper/replayTo", asked, "KernelFailed");
    assert_eq!(holder(&mut window, &notebook), id);
    assert_eq!(window.session(&id)["label"], "n.ipynb");
    assert_eq!(window.value_of(&id, "x"), "1");
    let all = window.ok("keeper/listSessions", json!({ "includeEnded": true }));
    assert_eq!(all["sessions"].as_array().unwrap().len(), 1, "{all}");
    assert_eq!(fs::read_dir(world.state().join("sessions")).unwrap().count(), 1);
}

#[test]
fn whoever_is_killed_one_of_the_two_has_the_notebook() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let mut id = id_of(&window.start(&notebook)["id"]);
    window.run(&id, "x = 1");
    let ran = window.ok("keeper/executionHistory", json!({ "sessionId": id }));
    let execution = ran["executions"][0]["executionId"].clone();
    let first = replay(&mut window, &id, &execution);
    window.ok("keeper/stopSession", json!({ "sessionId": first["session"]["id"] }));
    let asked = json!({ "sessionId": id, "targetNotebookUri": uri(&notebook) });
    window.ok("keeper/attachSession", asked);
    assert_eq!(holder(&mut window, &notebook), id, "it can have its notebook back");
    for round in 0..8u32 {
        let before = window.live();
        match round / 2 {
            0 => drop(until_started(&world, &mut window, &id, &execution, |_| true)),
            1 => drop(until_started(&world, &mut window, &id, &execution, has_kernel)),
            2 => drop(until_taken(&world, &mut window, &id, &execution)),
            _ => drop(replay(&mut window, &id, &execution)),
        }
        window.kill();
        // Not the window alone.
        let keepers =
            world.processes().into_iter().filter(|p| round % 2 == 1 && p.command.contains(" keep "));
        keepers.for_each(|keeper| kill(keeper.pid, "KILL"));
        window = world.window();
        let has_it = holder(&mut window, &notebook);
        let others: Vec<String> = window.live().into_iter().filter(|other| *other != has_it).collect();
        assert!(has_it == id || !before.contains(&has_it), "round {round}");
        eventually("the old kernel lives", PATIENCE, || window.live().contains(&id).then_some(()));
        assert_eq!(window.value_of(&id, "x"), "1");
        // The records say the same as the registry.
        lose_registry(&world);
        assert_eq!(holder(&mut window, &notebook), has_it, "round {round}");
        for other in others.iter().chain([&has_it]).filter(|other| **other != id) {
            window.ok("keeper/stopSession", json!({ "sessionId": other }));
        }
        if has_it != id {
            window
                .ok("keeper/attachSession", json!({ "sessionId": id, "targetNotebookUri": uri(&notebook) }));
        }
        id = holder(&mut window, &notebook);
    }
}

/// Begins a replay, and returns once its session has come so far: the request, the session's id and record.
fn until_started(
    world: &World,
    window: &mut Window,
    id: &str,
    execution: &Value,
    is_so_far: fn(&Value) -> bool,
) -> (i64, String, Value) {
    let mark = window.mark();
    let asked = window.begin("keeper/replayTo", json!({ "sessionId": id, "executionId": execution }));
    let created = window.wait_after(mark, "keeper/sessionCreated", |_| true);
    let new = id_of(&created["session"]["id"]);
    let record = eventually("its kernel starts", PATIENCE, || world.try_record(&new).filter(is_so_far));
    (asked, new, record)
}

fn has_kernel(record: &Value) -> bool {
    record["kernelProcess"].is_object()
}

/// Begins a replay, and returns once the registry has given its session the notebook: the request, the session's id, its
/// record with the processes, and the registry.
fn until_taken(
    world: &World,
    window: &mut Window,
    id: &str,
    execution: &Value,
) -> (i64, String, Value, rusqlite::Connection) {
    let registry = rusqlite::Connection::open(world.state().join("registry.db")).unwrap();
    registry.busy_timeout(PATIENCE).unwrap();
    let mut asks =
        registry.prepare("SELECT count(*) FROM bindings WHERE session_id = ?1 AND live = 1").unwrap();
    let (asked, new, record) = until_started(world, window, id, execution, has_kernel);
    let begun = Instant::now();
    while asks.query_row([&new], |row| row.get::<_, u32>(0)).unwrap() == 0 {
        assert!(begun.elapsed() < PATIENCE, "it takes the notebook");
    }
    drop(asks);
    (asked, new, record, registry)
}

/// The moments that chance seldom finds: the fresh keeper dies once the registry has its notebook, before it says so.
#[test]
fn a_fresh_keeper_that_dies_as_it_takes_the_notebook_has_it() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    let execution = window.run(&id, "x = 1")["executionId"].clone();
    let mut before = id.clone();
    for (is_recorded, with_window) in [(true, false), (false, false), (false, true), (false, true)] {
        let (asked, new, record, registry) = until_taken(&world, &mut window, &id, &execution);
        if is_recorded {
            // It writes its record, and waits for the registry to take that in.
            registry.execute_batch("BEGIN IMMEDIATE").unwrap();
        }
        kill_at_once(pid_of(&record["keeper"]["pid"]));
        if with_window {
            kill_at_once(window.pid());
        }
        if is_recorded {
            registry.execute_batch("COMMIT").unwrap();
        }
        drop(registry);
        if with_window {
            window.kill();
            window = world.window();
        } else {
            let answer = window.finish(asked).expect("it has the notebook");
            assert_eq!(answer["session"]["id"], new.as_str());
            assert_eq!(window.session(&before)["label"], "n.ipynb before replay");
        }
        assert_eq!(holder(&mut window, &notebook), new);
        assert_eq!(window.session(&new)["label"], "n.ipynb");
        eventually("it has another keeper", PATIENCE, || {
            let now = window.session(&new);
            (now["keeperPid"] != record["keeper"]["pid"] && now["responding"] == true).then_some(())
        });
        assert_eq!([window.value_of(&new, "x"), window.value_of(&id, "x")], ["1", "1"]);
        let live = window.live();
        // The records say the same, whether the old one's keeper has heard of it or not; and none is lost.
        window.close();
        lose_registry(&world);
        window = world.window();
        assert_eq!(holder(&mut window, &notebook), new);
        assert_eq!(window.live().len(), live.len());
        if before != id {
            window.ok("keeper/stopSession", json!({ "sessionId": before }));
        }
        before = new;
    }
    // With its kernel: whoever had the notebook has it back. It may have answered already: once more then.
    for _ in 0..10 {
        let (asked, new, record, _registry) = until_taken(&world, &mut window, &id, &execution);
        for process in ["keeper", "kernelProcess"] {
            kill_at_once(pid_of(&record[process]["pid"]));
        }
        match window.finish(asked) {
            Ok(_) => before = id_of(&replay(&mut window, &id, &execution)["session"]["id"]),
            Err(failure) => {
                assert_eq!(failure.kind(), "KernelFailed");
                assert_eq!(holder(&mut window, &notebook), before);
                let all = window.ok("keeper/listSessions", json!({ "includeEnded": true }));
                assert!(!all.to_string().contains(&new), "{all}");
                return;
            }
        }
    }
    panic!("it was never killed in time");
}

#[test]
fn the_old_one_is_not_stopped_for_being_idle() {
    let world = World::new();
    let [notebook, other, idle] =
        ["n", "other", "idle"].map(|name| world.notebook(&format!("{name}.ipynb"), &["1"]));
    let mut window = world.window_with(json!({ "settings": { "stopIdleAfter": 0.05 } }));
    let id = id_of(&window.start(&notebook)["id"]);
    let execution = window.run(&id, "x = 1")["executionId"].clone();
    let left = id_of(&window.start(&idle)["id"]);
    replay(&mut window, &id, &execution);
    eventually("no window shows it", PATIENCE, || {
        (window.session(&id)["windows"] == json!([])).then_some(())
    });
    window.ok("keeper/detachSession", json!({ "sessionId": left }));
    // The clock of this one began later.
    window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == left.as_str());
    let old = window.session(&id);
    assert_eq!((&old["state"], &old["stopsAt"]), (&json!("idle"), &Value::Null));
    assert_eq!(window.value_of(&id, "x"), "1");
    // With a notebook it is like any other.
    window.ok("keeper/attachSession", json!({ "sessionId": id, "targetNotebookUri": uri(&other) }));
    window.ok("keeper/detachSession", json!({ "sessionId": id }));
    window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == id.as_str());
}

#[test]
fn nothing_is_taken_from_another_host() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let old = id_of(&window.start(&notebook)["id"]);
    let execution = window.run(&old, "x = 1")["executionId"].clone();
    window.ok("keeper/stopSession", json!({ "sessionId": old }));
    let id = id_of(&window.start(&notebook)["id"]);
    let registry = rusqlite::Connection::open(world.state().join("registry.db")).unwrap();
    let host = world.record(&id)["host"].clone();
    let lives_on = |host: &str| {
        assert_eq!(registry.execute("UPDATE sessions SET host = ?1 WHERE id = ?2", [host, &id]).unwrap(), 1);
    };
    lives_on("elsewhere");
    let asked = json!({ "sessionId": old, "executionId": execution });
    let refused = window.fails("keeper/replayTo", asked, "ForeignHost");
    lives_on(host.as_str().unwrap());
    assert_eq!(refused.data["host"], "elsewhere");
    assert_eq!(holder(&mut window, &notebook), id);
    assert_eq!(window.live(), [id.as_str()]);
}

/// Its keeper dies while its kernel starts: neither is left.
#[test]
fn what_did_not_come_to_be_leaves_no_kernel() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    let execution = window.run(&id, "x = 1")["executionId"].clone();
    let mark = window.mark();
    let asked = window.begin("keeper/replayTo", json!({ "sessionId": id, "executionId": execution }));
    let created = window.wait_after(mark, "keeper/sessionCreated", |_| true);
    let new = id_of(&created["session"]["id"]);
    let record = eventually("its kernel starts", PATIENCE, || {
        world.try_record(&new).filter(|record| record["kernelProcess"].is_object())
    });
    kill_at_once(pid_of(&record["keeper"]["pid"]));
    let kernel = pid_of(&record["kernelProcess"]["pid"]);
    assert_eq!(window.finish(asked).expect_err("its keeper died").kind(), "KernelFailed");
    eventually("its kernel is gone", PATIENCE, || (!is_alive(kernel)).then_some(()));
    assert_eq!(window.live(), [id.as_str()]);
    assert_eq!(holder(&mut window, &notebook), id);
    assert_eq!(fs::read_dir(world.state().join("sessions")).unwrap().count(), 1);
    assert_eq!(window.value_of(&id, "x"), "1");
}

#[test]
fn other_languages_and_the_command_line_have_it() {
    let world = World::new();
    kernels::install_other(&world.jupyter());
    let notebook = world.notebook("o.ipynb", &["1"]);
    let mut window = world.window();
    let asked = json!({ "notebookUri": uri(&notebook), "kernelName": kernels::OTHER });
    let id = id_of(&window.ok("keeper/startSession", asked)["session"]["id"]);
    let first = window.run(&id, "globalThis.x = 1");
    window.run(&id, "globalThis.x = 2");
    let execution = id_of(&first["executionId"]);
    let path = notebook.to_str().unwrap();
    let said: Value = serde_json::from_str(&world.cli_ok(["replay", path, &execution, "--json"])).unwrap();
    let new = id_of(&said["session"]["id"]);
    window.done(&new, said["rebuild"]["executionIds"][0].as_str().unwrap());
    assert_eq!(holder(&mut window, &notebook), new);
    // Coloured where the environment says so.
    let mut plain = |id: &str| window.value_of(id, "x").replace("\u{1b}[33m", "").replace("\u{1b}[39m", "");
    assert_eq!([plain(&new), plain(&id)], ["1", "2"]);
    let unknown = world.cli(["replay", path, "nothing"]);
    assert_eq!(unknown.status.code(), Some(1));
}
