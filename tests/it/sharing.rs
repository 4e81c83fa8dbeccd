//! One kernel for two notebooks, on purpose.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::offers::{answer, pushed};
use crate::world::{World, id_of, is_alive, kill, pid_of, uri};

fn share(window: &mut Window, id: &str, notebook: &Path) -> Value {
    let asked = json!({ "sessionId": id, "targetNotebookUri": uri(notebook), "share": true });
    window.ok("keeper/attachSession", asked)
}

/// Runs the first cell of one of the notebooks, both of which call it `c0`.
fn run_first(window: &mut Window, id: &str, notebook: &Path, code: &str) {
    let cell = json!({ "id": "c0", "index": 0 });
    let asked = json!({ "sessionId": id, "notebookUri": uri(notebook), "code": code, "cell": cell });
    let execution = id_of(&window.ok("keeper/execute", asked)["executionId"]);
    assert_eq!(window.done(id, &execution)["status"], "ok");
}

/// What the only cell of one of the notebooks printed.
fn printed(window: &mut Window, id: &str, notebook: &Path) -> Vec<String> {
    let asked = json!({ "sessionId": id, "notebookUri": uri(notebook) });
    let all = window.ok("keeper/cellOutputs", asked);
    let cells = all["cells"].as_array().unwrap();
    assert!(cells.iter().all(|cell| cell["notebookUri"] == uri(notebook)), "{all}");
    cells.iter().map(|cell| cell["outputs"][0]["text"].as_str().unwrap_or_default().to_owned()).collect()
}

fn notebooks(session: &Value) -> Vec<Value> {
    session["notebooks"].as_array().unwrap().iter().map(|n| n["notebookPath"].clone()).collect()
}

#[test]
fn two_notebooks_share_one_kernel_and_nothing_else() {
    let world = World::new();
    let (a, b) = (world.notebook("a.ipynb", &["1"]), world.notebook("b.ipynb", &["1"]));
    let (mut window, mut other) = (world.window(), world.window());
    let session = window.start(&a);
    let id = id_of(&session["id"]);
    window.open(&a);
    window.open(&b);
    let shared = share(&mut window, &id, &b);
    assert_eq!(
        (&shared["success"], &shared["oldPath"], &shared["newPath"]),
        (&json!(true), &json!(a), &json!(b))
    );
    assert_eq!(notebooks(&shared["session"]), [json!(a), json!(b)]);
    assert_eq!(shared["session"]["notebookPath"], json!(a));
    other.wait_for("keeper/sessionUpdated", |p| notebooks(&p["session"]) == [json!(a), json!(b)]);
    // Again: nothing is written.
    let before = fs::metadata(world.session_dir(&id).join("session.json")).unwrap().modified().unwrap();
    share(&mut window, &id, &b);
    assert_eq!(
        fs::metadata(world.session_dir(&id).join("session.json")).unwrap().modified().unwrap(),
        before
    );
    // Both find it, and neither can get another one.
    for notebook in [&a, &b] {
        let found = other.ok("keeper/findActiveSession", json!({ "notebookUri": uri(notebook) }));
        assert_eq!((&found["session"]["id"], &found["match"]), (&json!(id), &json!("path")));
        let asked = json!({ "notebookUri": uri(notebook), "kernelName": crate::kernels::PYTHON });
        other.fails("keeper/startSession", asked, "NotebookHasSession");
    }

    // One memory, and each its own cells, though they are called the same.
    window.subscribe(&id, 0);
    run_first(&mut window, &id, &a, "x = 40; print('from a')");
    run_first(&mut window, &id, &b, "print('from b', x + 2)");
    assert_eq!(printed(&mut window, &id, &a), ["from a\n"]);
    assert_eq!(printed(&mut window, &id, &b), ["from b 42\n"]);
    let events = window.events(&id);
    let is_output = |e: &&Value| e["event"]["kind"] == "output" && !e["executionId"].is_null();
    let outputs: Vec<&Value> = events.iter().filter(is_output).collect();
    let from: Vec<&Value> = outputs.iter().map(|e| &e["notebookUri"]).collect();
    assert_eq!(from, [&json!(uri(&a)), &json!(uri(&b))]);
    for (notebook, code) in [(&a, "from a"), (&b, "from b")] {
        let history = window.ok("keeper/executionHistory", json!({ "notebookUri": uri(notebook) }));
        let executions = history["executions"].as_array().unwrap();
        assert_eq!(executions.len(), 1, "{history}");
        assert!(executions[0]["code"].as_str().unwrap().contains(code), "{history}");
    }

    // The second one is renamed: the question is about that one.
    let c = world.work().join("c.ipynb");
    let mark = window.mark();
    fs::rename(&b, &c).unwrap();
    let offer = pushed(&window, mark, "migrate", &c);
    assert!(offer["message"].as_str().unwrap().starts_with("b.ipynb is now c.ipynb."), "{offer}");
    assert_eq!(offer["fromNotebookUri"], uri(&b));
    let migrated = answer(&mut window, &offer, "migrate");
    assert_eq!(notebooks(&migrated["session"]), [json!(a), json!(c)]);
    assert_eq!(printed(&mut window, &id, &c), ["from b 42\n"]);
    window.open(&c);
    window.close_notebook(&b);

    // A dead keeper, and a lost registry, change nothing of it.
    let mark = window.mark();
    kill(pid_of(&window.session(&id)["keeperPid"]), "KILL");
    window.wait_after(mark, "keeper/sessionUpdated", |p| {
        !p["session"]["warnings"].as_array().unwrap().is_empty()
    });
    assert_eq!(notebooks(&window.session(&id)), [json!(a), json!(c)]);

    // One lets go, and the other stays.
    window.ok("keeper/detachSession", json!({ "sessionId": id, "notebookUri": uri(&a) }));
    let left = window.session(&id);
    assert_eq!(notebooks(&left), [json!(c)]);
    assert_eq!((&left["notebookPath"], &left["label"]), (&json!(c), &json!("c.ipynb")));
    assert_eq!(left["windows"].as_array().unwrap().len(), 1, "the window shows the other one still");
    let found = other.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&a) }));
    assert_eq!(found["found"], false);
    // What it ran there stays in its history, and follows neither file.
    let history = window.ok("keeper/executionHistory", json!({ "notebookUri": uri(&a) }));
    assert_eq!(history["executions"].as_array().unwrap().len(), 1);
    let own = window.start(&a);
    window.ok("keeper/stopSession", json!({ "sessionId": own["id"] }));
    // Where nothing is said, the one that is left is meant.
    let execution = window.execute(&id, "x");
    assert_eq!(window.done(&id, &execution)["notebookUri"], uri(&c));
    // It shares again, under the number that it had.
    share(&mut window, &id, &a);
    assert_eq!(notebooks(&window.session(&id)), [json!(c), json!(a)]);
    assert_eq!(printed(&mut window, &id, &a), ["from a\n"]);

    // Closing one in a window lets the window go only with the last.
    window.close_notebook(&c);
    run_first(&mut window, &id, &a, "print('still here')");
    assert_eq!(window.session(&id)["windows"].as_array().unwrap().len(), 1);
    window.open(&c);
    window.close_notebook(&a);
    window.close_notebook(&c);
    eventually("the window let go", PATIENCE, || (window.session(&id)["windows"] == json!([])).then_some(()));
    assert!(is_alive(pid_of(&session["pid"])));
}

#[test]
fn what_shares_and_what_does_not() {
    let world = World::new();
    let [a, b, c] = ["a.ipynb", "b.ipynb", "c.ipynb"].map(|name| world.notebook(name, &["1"]));
    let mut window = world.window();
    let id = id_of(&window.start(&a)["id"]);
    let other = id_of(&window.start(&c)["id"]);
    let to = |target: &Path, more: Value| {
        let mut asked = json!({ "sessionId": id, "targetNotebookUri": uri(target), "share": true });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    window.fails("keeper/attachSession", to(&c, json!({})), "NotebookHasSession");
    window.fails("keeper/attachSession", to(&b, json!({ "expectedNotebookUri": uri(&c) })), "SessionMoved");
    window.ok("keeper/attachSession", to(&b, json!({ "expectedNotebookUri": uri(&a) })));
    window.ok("keeper/attachSession", to(&c, json!({ "replace": true })));
    assert_eq!(window.session(&other)["endReason"], "stopped");
    assert_eq!(notebooks(&window.session(&id)), [json!(a), json!(b), json!(c)]);
    // Of several notebooks the expected one moves.
    let d = world.notebook("d.ipynb", &["1"]);
    let asked = json!({ "sessionId": id, "targetNotebookUri": uri(&d), "expectedNotebookUri": uri(&b) });
    let moved = window.ok("keeper/attachSession", asked);
    assert_eq!((&moved["oldPath"], &moved["newPath"]), (&json!(b), &json!(d)));
    assert_eq!(notebooks(&moved["session"]), [json!(a), json!(d), json!(c)]);
    // A lost registry is made anew from the sessions.
    window.ok("keeper/detachSession", json!({ "sessionId": id, "notebookUri": uri(&c) }));
    for name in ["registry.db", "registry.db-wal", "registry.db-shm"] {
        let _ = fs::remove_file(world.state().join(name));
    }
    assert_eq!(notebooks(&window.session(&id)), [json!(a), json!(d)]);
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&d) }));
    assert_eq!(found["session"]["id"], json!(id));
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&c) }));
    assert_eq!(found["found"], false);
    // The kernel ends for all of them, and lives again for all of them.
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&d) }));
    assert_eq!(found["found"], false);
    let again = window.ok("keeper/restartSession", json!({ "sessionId": id }));
    assert_eq!(notebooks(&again["session"]), [json!(a), json!(d)]);
}
