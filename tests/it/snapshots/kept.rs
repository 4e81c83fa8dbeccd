//! How long snapshots are kept, who is offered them, and what stops make of them.

use super::*;

#[test]
fn they_are_a_notebooks_and_hold_up_pruning() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let old = id_of(&window.start(&notebook)["id"]);
    window.run(&old, "x = 1");
    save(&mut window, &old, "a");
    save(&mut window, &old, "b");
    window.ok("keeper/stopSession", json!({ "sessionId": old }));
    let new = id_of(&window.start(&notebook)["id"]);
    window.run(&new, "x = 2");
    save(&mut window, &new, "a");
    let pairs = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        all.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect()
    };
    assert_eq!(listed(&mut window, &notebook), pairs(&[("a", &new), ("b", &old), ("a", &old)]));
    // Its own comes first, else another session's.
    window.run(&new, "x = 3");
    restore(&mut window, &new, "a", false);
    assert_eq!(window.value_of(&new, "x"), "2");
    restore(&mut window, &new, "b", false);
    assert_eq!(window.value_of(&new, "x"), "1");
    let unknown = not_restored(&mut window, &new, "c", "NotFound");
    assert_eq!(unknown.data["what"], "snapshot");
    // They follow the notebook.
    let moved = world.work().join("moved.ipynb");
    fs::copy(&notebook, &moved).unwrap();
    window.ok("keeper/attachSession", json!({ "sessionId": new, "targetNotebookUri": uri(&moved) }));
    assert_eq!(listed(&mut window, &moved).len(), 3);
    // Nothing that a person saved goes with what is old.
    assert_eq!(window.ok("keeper/pruneStore", json!({}))["removedSessions"], 0);
    let remove = |window: &mut Window, name: &str| {
        window.ok("keeper/snapshot/remove", json!({ "sessionId": old, "name": name }))["removed"].clone()
    };
    assert_eq!(
        [remove(&mut window, "a"), remove(&mut window, "a"), remove(&mut window, "b")],
        [true, false, true]
    );
    assert_eq!(files(&world, &old, "").len(), 0);
    assert_eq!(window.ok("keeper/pruneStore", json!({}))["removedSessions"], 1);
    assert_eq!(listed(&mut window, &moved), pairs(&[("a", &new)]));
    for name in [json!(""), json!("x".repeat(101)), json!("a\nb"), json!("On stop")] {
        window.refuses("keeper/snapshot/save", json!({ "sessionId": new, "name": name }), "name");
    }
    window.refuses("keeper/snapshot/save", json!({ "sessionId": new }), "name");
    window.fails("keeper/snapshot/save", json!({ "sessionId": "nobody", "name": "a" }), "SessionNotFound");
    save(&mut window, &new, &"é".repeat(100));
}

#[test]
fn without_dill_it_says_how_to_get_it_and_other_languages_have_none() {
    let world = World::new();
    kernels::install_other(&world.jupyter());
    let shadow = world.work().join("shadow");
    fs::create_dir(&shadow).unwrap();
    fs::write(shadow.join("dill.py"), "raise ImportError('none here')").unwrap();
    let mut window = world.window();
    let asked = json!({
        "notebookUri": uri(&world.notebook("n.ipynb", &["1"])), "kernelName": kernels::PYTHON,
        "env": { "PYTHONPATH": shadow },
    });
    let id = id_of(&window.ok("keeper/startSession", asked)["session"]["id"]);
    let failed = not_saved(&mut window, &id, "a", "KernelFailed");
    assert_eq!(failed.data["missing"], "dill", "{failed:?}");
    let interpreter = id_of(&failed.data["interpreter"]);
    assert!(Path::new(&interpreter).exists() && failed.message.contains("pip install dill"), "{failed:?}");
    assert_eq!(files(&world, &id, "").len(), 0);
    window.run(&id, "'usable'");
    let asked =
        json!({ "notebookUri": uri(&world.notebook("o.ipynb", &["1"])), "kernelName": kernels::OTHER });
    let other = id_of(&window.ok("keeper/startSession", asked)["session"]["id"]);
    window.refuses("keeper/snapshot/save", json!({ "sessionId": other, "name": "a" }), "sessionId");
    window.refuses("keeper/snapshot/restore", json!({ "sessionId": other, "name": "a" }), "sessionId");
}

#[test]
fn a_kernel_that_died_is_offered_its_snapshot() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    window.open(&notebook);
    let id = id_of(&window.start(&notebook)["id"]);
    window.run(&id, "x = 1");
    save(&mut window, &id, "a");
    window.run(&id, "x = 2");
    let mark = window.mark();
    kill(pid_of(&window.session(&id)["pid"]), "KILL");
    let offer = pushed(&window, mark, "recover", &notebook);
    assert_eq!(actions(&offer), ["fresh", "restore", "rebuild", "history"]);
    let restored = answer(&mut window, &offer, "restore");
    assert_eq!(restored["outcome"], "started");
    assert_eq!(restored["restored"]["variables"], json!(["x"]));
    let new = id_of(&restored["session"]["id"]);
    assert_ne!(new, id);
    assert_eq!(window.value_of(&new, "x"), "1");
    // A snapshot that cannot be had: the kernel is there all the same.
    let mark = window.mark();
    kill(pid_of(&window.session(&new)["pid"]), "KILL");
    let offer = pushed(&window, mark, "recover", &notebook);
    fs::remove_file(files(&world, &id, ".dill").remove(0)).unwrap();
    let started = answer(&mut window, &offer, "restore");
    assert_eq!((&started["outcome"], &started["restored"]), (&json!("started"), &Value::Null));
    window.run(&id_of(&started["session"]["id"]), "'usable'");
    window
        .wait_for("window/logMessage", |p| p["message"].as_str().is_some_and(|m| m.contains("not restored")));
}

#[test]
fn a_stop_saves_first_where_the_setting_says_so() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window_with(json!({ "settings": { "snapshotOnStop": true } }));
    let id = id_of(&window.start(&notebook)["id"]);
    let stop = |window: &mut Window| window.ok("keeper/stopSession", json!({ "sessionId": id }));
    stop(&mut window);
    assert_eq!(listed(&mut window, &notebook), [], "there was nothing to save");
    window.ok("keeper/restartSession", json!({ "sessionId": id }));
    window.run(&id, "x = 1");
    stop(&mut window);
    restore(&mut window, &id, "On stop", false);
    window.run(&id, "x += 1");
    window.ok("keeper/stopAllSessions", json!({}));
    assert_eq!(listed(&mut window, &notebook), [("On stop".to_owned(), id.clone())]);
    restore(&mut window, &id, "On stop", false);
    assert_eq!(window.value_of(&id, "x"), "2");
    // A busy kernel is stopped as ever, and that it was not saved is told.
    let running = window.execute(&id, "import time; open('begun', 'w').close(); time.sleep(600)");
    begun(&world);
    assert_eq!(stop(&mut window)["session"]["endReason"], "stopped");
    window.wait_for("window/logMessage", |p| p["message"].as_str().is_some_and(|m| m.contains("not saved")));
    window.done(&id, &running);
    // Nobody asked for it: it goes with its session, once its keeper is gone.
    eventually("it is pruned", PATIENCE, || {
        (window.ok("keeper/pruneStore", json!({}))["removedSessions"] == 1).then_some(())
    });
}

#[test]
fn a_stop_saves_first_where_the_kernel_was_out_of_reach_until_now() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let (id, keeper) = (id_of(&session["id"]), pid_of(&session["keeperPid"]));
    window.run(&id, "x = 1");
    let with_setting = || world.window_with(json!({ "settings": { "snapshotOnStop": true } }));
    kill(keeper, "STOP");
    let mut late = with_setting();
    assert_eq!(late.session(&id)["responding"], false);
    kill(keeper, "CONT");
    late.ok("keeper/stopSession", json!({ "sessionId": id }));
    assert_eq!(listed(&mut late, &notebook), [("On stop".to_owned(), id.clone())]);
    // Frozen for good: it is stopped, and that nothing was saved is told.
    let keeper =
        pid_of(&window.ok("keeper/restartSession", json!({ "sessionId": id }))["session"]["keeperPid"]);
    kill(keeper, "STOP");
    let mut late = with_setting();
    assert_eq!(late.session(&id)["responding"], false);
    assert_eq!(late.ok("keeper/stopSession", json!({ "sessionId": id }))["session"]["endReason"], "stopped");
    late.wait_for("window/logMessage", |p| p["message"].as_str().is_some_and(|m| m.contains("not saved")));
}

#[test]
fn the_command_line_has_them_too() {
    let world = World::new();
    let notebook = world.notebook("my draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    window.run(&id, "x = 1; lock = __import__('threading').Lock()");
    let path = notebook.to_str().unwrap();
    let said = world.cli_ok(["snapshot", "save", path, "a b"]);
    assert!(said.contains("a b") && said.contains("lock"), "{said}");
    window.run(&id, "x = 2");
    let listed: Value = serde_json::from_str(&world.cli_ok(["snapshot", "list", path, "--json"])).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["variables"]), (&json!("a b"), &json!(["x"])));
    assert!(world.cli_ok(["snapshot", "list", path]).contains("a b"));
    let said: Value =
        serde_json::from_str(&world.cli_ok(["snapshot", "restore", path, "a b", "--json"])).unwrap();
    assert_eq!(said["variables"], json!(["x"]));
    assert_eq!(window.value_of(&id, "x"), "1");
    world.cli_ok(["snapshot", "remove", path, "a b"]);
    let none = world.cli(["snapshot", "remove", path, "a b"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(world.cli_ok(["snapshot", "list", path]).contains("no snapshots"));
}
