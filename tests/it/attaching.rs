//! Giving a kernel to another notebook.

use serde_json::{Value, json};

use crate::world::{World, id_of, is_alive, pid_of, uri};

#[test]
fn attach_in_every_way() {
    let world = World::new();
    let (a, b) = (world.notebook("a.ipynb", &["1"]), world.notebook("b.ipynb", &["1"]));
    let mut window = world.window();
    let session = window.start(&a);
    let id = id_of(&session["id"]);
    window.run(&id, "x = 42");

    // What is no target.
    let to = |target: &str| json!({ "sessionId": id, "targetNotebookUri": target });
    let absent = uri(&world.work().join("absent.ipynb"));
    std::fs::create_dir(world.work().join("folder.ipynb")).unwrap();
    let folder = uri(&world.work().join("folder.ipynb"));
    let script = world.work().join("b.py");
    std::fs::write(&script, "").unwrap();
    for target in [absent, folder, uri(&script), uri(&world.work())] {
        window.refuses("keeper/attachSession", to(&target), "targetNotebookUri");
    }
    let both = json!({ "sessionId": id, "sourcePid": session["pid"], "targetNotebookUri": uri(&b) });
    window.fails("keeper/attachSession", both, "InvalidParams");
    window.fails("keeper/attachSession", json!({ "targetNotebookUri": uri(&b) }), "InvalidParams");
    let stranger = json!({ "sourcePid": std::process::id(), "targetNotebookUri": uri(&b) });
    window.fails("keeper/attachSession", stranger, "SessionNotFound");

    // Target = source: success, nothing written.
    let before = std::fs::metadata(world.session_dir(&id).join("session.json")).unwrap().modified().unwrap();
    let same = window.ok("keeper/attachSession", to(&uri(&a)));
    assert_eq!((&same["success"], &same["oldPath"], &same["newPath"]), (&json!(true), &json!(a), &json!(a)));
    let after = std::fs::metadata(world.session_dir(&id).join("session.json")).unwrap().modified().unwrap();
    assert_eq!(before, after);

    // By PID.
    let by_pid =
        json!({ "sourcePid": session["pid"], "targetNotebookUri": uri(&b), "expectedNotebookUri": uri(&a) });
    let moved = window.ok("keeper/attachSession", by_pid.clone());
    assert_eq!(
        (&moved["success"], &moved["oldPath"], &moved["newPath"]),
        (&json!(true), &json!(a), &json!(b))
    );
    assert_eq!((&moved["session"]["id"], &moved["session"]["pid"]), (&session["id"], &session["pid"]));
    assert_eq!(moved["session"]["label"], "b.ipynb");
    assert_eq!(world.record(&id)["notebooks"][0]["path"], json!(b));
    assert_eq!(window.value_of(&id, "x"), "42");
    let gone = window.fails("keeper/attachSession", by_pid, "SessionMoved");
    assert_eq!(gone.data["session"]["notebookPath"], json!(b));
    // The place it left is free, and its history went along.
    let history = window.ok("keeper/executionHistory", json!({ "notebookUri": uri(&a) }));
    assert_eq!(history["executions"], json!([]));
    let other = window.start(&a);

    // A live kernel is on the target.
    let taken = window.fails("keeper/attachSession", to(&uri(&a)), "NotebookHasSession");
    assert_eq!(taken.data["session"]["id"], other["id"]);
    let offer = &taken.data["offer"];
    assert_eq!(offer["kind"], "replace");
    let actions: Vec<&Value> = offer["actions"].as_array().unwrap().iter().map(|a| &a["action"]).collect();
    assert_eq!(actions, ["replace", "dismiss"]);
    let answered =
        window.ok("keeper/answerOffer", json!({ "offerId": offer["offerId"], "action": "replace" }));
    assert_eq!((&answered["outcome"], &answered["session"]["id"]), (&json!("migrated"), &json!(id)));
    assert!(!is_alive(pid_of(&other["pid"])));
    let third = window.start(&b);
    let replaced = json!({ "sessionId": id, "targetNotebookUri": uri(&b), "replace": true });
    assert_eq!(window.ok("keeper/attachSession", replaced)["session"]["id"], json!(id));
    assert_eq!(window.session(&id_of(&third["id"]))["endReason"], "stopped");
    assert_eq!(window.value_of(&id, "x"), "42");

    // Not this notebook's.
    let detach = json!({ "sessionId": id, "notebookUri": uri(&a) });
    window.refuses("keeper/detachSession", detach, "notebookUri");
}

#[test]
fn of_two_windows_that_migrate_at_once_one_wins() {
    let world = World::new();
    let names = ["a.ipynb", "b.ipynb", "c.ipynb"];
    let [a, b, c] = names.map(|name| world.notebook(name, &["1"]));
    let (mut one, mut two) = (world.window(), world.window());
    let id = id_of(&one.start(&a)["id"]);
    two.wait_for("keeper/sessionCreated", |p| p["session"]["id"] == id.as_str());
    let to =
        |target| json!({ "sessionId": id, "targetNotebookUri": uri(target), "expectedNotebookUri": uri(&a) });
    let (first, second) =
        (one.begin("keeper/attachSession", to(&b)), two.begin("keeper/attachSession", to(&c)));
    let answers = [one.finish(first), two.finish(second)];
    let failures: Vec<_> = answers.iter().filter_map(|a| a.as_ref().err()).collect();
    assert_eq!(failures.len(), 1, "{answers:?}");
    assert_eq!(failures[0].kind(), "SessionMoved");
    let bound = one.session(&id)["notebookPath"].clone();
    let winner = answers.iter().find_map(|a| a.as_ref().ok()).unwrap();
    assert_eq!(bound, winner["newPath"]);
}
