//! After a kernel's death: what it was, what it ran, and a kernel anew with that in it.

use std::fs;

use serde_json::{Value, json};

use crate::driver::Window;
use crate::offers::{actions, answer, pushed};
use crate::world::{World, id_of, kill, pid_of, uri};

/// Code and status of what a notebook ran, the oldest first.
fn history(window: &mut Window, session: &str) -> Vec<(String, String)> {
    let all = window.ok("keeper/executionHistory", json!({ "sessionId": session, "limit": 1000 }));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let executions = all["executions"].as_array().unwrap().iter().rev();
    executions.map(|e| (text(&e["code"]), text(&e["status"]))).collect()
}

fn pair(code: &str, status: &str) -> (String, String) {
    (code.to_owned(), status.to_owned())
}

#[test]
fn what_had_succeeded_is_run_again_in_its_order() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1", "2", "3"]);
    let other = world.notebook("other.ipynb", &["1"]);
    let mut window = world.window();
    window.open(&notebook);
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    let ran = |window: &mut Window, id: &str, cell: u32, code: &str| {
        let execution = window.execute_cell(id, cell, code);
        window.done(id, &execution)
    };
    // What was run before a restart was not in the kernel's memory.
    ran(&mut window, &id, 0, "before = 1");
    window.ok("keeper/restartSession", json!({ "sessionId": id }));
    ran(&mut window, &id, 1, "x = [1]");
    ran(&mut window, &id, 0, "x.append(2)");
    ran(&mut window, &id, 0, "x.append(3)");
    ran(&mut window, &id, 2, "1 / 0");
    // It shared the kernel: its cells are none of this notebook's.
    let shared = json!({ "sessionId": id, "targetNotebookUri": uri(&other), "share": true });
    window.ok("keeper/attachSession", shared);
    let cell = json!({ "id": "c0", "index": 0 });
    let asked = json!({ "sessionId": id, "notebookUri": uri(&other), "code": "x.append(4)", "cell": cell });
    let execution = id_of(&window.ok("keeper/execute", asked)["executionId"]);
    window.done(&id, &execution);
    let mark = window.mark();
    kill(pid_of(&window.session(&id)["pid"]), "KILL");
    let offer = pushed(&window, mark, "recover", &notebook);
    assert_eq!(actions(&offer), ["fresh", "rebuild", "history"]);
    let rebuilt = answer(&mut window, &offer, "rebuild");
    assert_eq!(rebuilt["outcome"], "started");
    let new = id_of(&rebuilt["session"]["id"]);
    assert_ne!(new, id);
    let queued = rebuilt["rebuild"]["executionIds"].as_array().unwrap().clone();
    window.done(&new, queued.last().unwrap().as_str().unwrap());
    let codes = ["x = [1]", "x.append(2)", "x.append(3)", "x.append(4)"];
    assert_eq!(history(&mut window, &new), codes.map(|code| pair(code, "ok")));
    assert_eq!(window.execution(&new, queued[1].as_str().unwrap())["cellId"], "c0");
    assert_eq!(window.execution(&new, queued[3].as_str().unwrap())["cellId"], Value::Null);
    assert_eq!(window.value_of(&new, "x"), "[1, 2, 3, 4]");
    // The notebook's history has both.
    let all = window.ok("keeper/executionHistory", json!({ "notebookUri": uri(&notebook) }));
    let codes: Vec<&str> =
        all["executions"].as_array().unwrap().iter().filter_map(|e| e["code"].as_str()).collect();
    assert_eq!(codes.iter().filter(|code| **code == "x = [1]").count(), 2, "{codes:?}");
}

#[test]
fn a_rebuild_stops_at_the_first_failure_and_where_it_is_cancelled() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let file = world.work().join("data.txt");
    fs::write(&file, "7").unwrap();
    let mut window = world.window();
    window.open(&notebook);
    let id = id_of(&window.start(&notebook)["id"]);
    let codes = ["import time; y = open('data.txt').read()", "time.sleep(0.01)", "z = 1"];
    codes.iter().for_each(|code| drop(window.run(&id, code)));
    let killed = |window: &mut Window, id: &str| {
        let mark = window.mark();
        kill(pid_of(&window.session(id)["pid"]), "KILL");
        pushed(window, mark, "recover", &notebook)
    };
    // The cell had read a file that is gone by now.
    fs::remove_file(&file).unwrap();
    let offer = killed(&mut window, &id);
    let rebuilt = answer(&mut window, &offer, "rebuild");
    let new = id_of(&rebuilt["session"]["id"]);
    let last = rebuilt["rebuild"]["executionIds"][2].as_str().unwrap();
    window.done(&new, last);
    let got = history(&mut window, &new);
    assert_eq!(got, [pair(codes[0], "error"), pair(codes[1], "aborted"), pair(codes[2], "aborted")]);
    // Nothing of the new one had succeeded: there is nothing to rebuild.
    let offer = killed(&mut window, &new);
    assert_eq!(actions(&offer), ["fresh", "history"]);
    let fresh = id_of(&answer(&mut window, &offer, "fresh")["session"]["id"]);

    // Cancelled: what waits is taken back from the end, what runs is interrupted.
    for code in ["import time", "a = 1", "time.sleep(0.2 if a == 1 else 600)", "b = 1"] {
        window.run(&fresh, code);
    }
    let offer = killed(&mut window, &fresh);
    let rebuilt = answer(&mut window, &offer, "rebuild");
    let new = id_of(&rebuilt["session"]["id"]);
    let queued = rebuilt["rebuild"]["executionIds"].as_array().unwrap().clone();
    for execution in queued.iter().rev() {
        window.ok("keeper/cancelExecution", json!({ "sessionId": new, "executionId": execution }));
    }
    for execution in &queued {
        window.done(&new, execution.as_str().unwrap());
    }
    let got = history(&mut window, &new);
    assert_eq!(got[3].1, "aborted", "{got:?}");
    window.run(&new, "'usable'");
}

#[test]
fn a_rebuild_goes_on_where_the_window_that_asked_for_it_ends() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    window.open(&notebook);
    let id = id_of(&window.start(&notebook)["id"]);
    for code in ["x = [1]", "x.append(2)", "x.append(3)"] {
        window.run(&id, code);
    }
    let mark = window.mark();
    kill(pid_of(&window.session(&id)["pid"]), "KILL");
    let offer = pushed(&window, mark, "recover", &notebook);
    window.begin("keeper/answerOffer", json!({ "offerId": offer["offerId"], "action": "rebuild" }));
    // Its keeper is there, and the kernel is not yet.
    window.wait_after(mark, "keeper/sessionCreated", |p| p["session"]["id"] != id.as_str());
    window.kill();
    let mut window = world.window();
    let new = crate::driver::eventually("the new kernel", crate::driver::PATIENCE, || window.live().pop());
    let ran = || {
        let all = history(&mut window, &new);
        (all.len() == 3 && all.iter().all(|(_, status)| status == "ok")).then_some(())
    };
    crate::driver::eventually("all of it ran again", crate::driver::PATIENCE, ran);
    assert_eq!(window.value_of(&new, "x"), "[1, 2, 3]");
}

#[test]
fn a_history_follows_its_notebook_without_a_kernel_too() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&draft)["id"]);
    window.run(&id, "x = 1");
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
    let codes = |window: &mut Window, notebook: &std::path::Path| {
        let all = window.ok("keeper/executionHistory", json!({ "notebookUri": uri(notebook) }));
        all["executions"].as_array().unwrap().iter().map(|e| id_of(&e["code"])).collect::<Vec<_>>()
    };
    // Under the eyes of a window, with its folder.
    let folder = world.work().join("folder");
    fs::create_dir(&folder).unwrap();
    let canary = world.notebook("canary.ipynb", &["1"]);
    window.start(&canary);
    fs::rename(&draft, folder.join("final.ipynb")).unwrap();
    fs::rename(&folder, world.work().join("moved")).unwrap();
    let seen = world.work().join("seen.ipynb");
    fs::rename(&canary, &seen).unwrap();
    pushed(&window, 0, "migrate", &seen);
    let moved = world.work().join("moved/final.ipynb");
    assert_eq!(codes(&mut window, &moved), ["x = 1"]);
    assert_eq!(codes(&mut window, &draft), Vec::<String>::new());
    window.close();
    // While nobody looked: when it is opened. A copy has none.
    let last = world.work().join("last.ipynb");
    fs::rename(&moved, &last).unwrap();
    fs::copy(&last, &moved).unwrap();
    fs::remove_file(&moved).unwrap();
    let copy = world.work().join("copy.ipynb");
    fs::copy(&last, &copy).unwrap();
    let mut window = world.window();
    window.open(&last);
    window.open(&copy);
    window.ok("keeper/openOffers", json!({}));
    assert_eq!(codes(&mut window, &last), ["x = 1"]);
    assert_eq!(codes(&mut window, &copy), Vec::<String>::new());
}
