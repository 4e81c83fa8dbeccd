//! What is huge, and what would grow without end: texts for people, outputs, logs, and the files that a kernel leaves.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::world::{World, id_of, is_alive, kill, pid_of, uri};

#[test]
fn what_people_are_told_is_short_whatever_the_code_calls_it() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["1"]);
    let (mut window, mut other) = (world.window(), world.window());
    let id = id_of(&window.start(&draft)["id"]);
    let execution = window.execute(&id, "input('P' * 3_000_000)");
    let prompt_in = |window: &mut Window| {
        eventually("the prompt", PATIENCE, || {
            let session = window.session(&id);
            session["currentExecution"]["input"]["prompt"].as_str().map(str::to_owned)
        })
    };
    for window in [&mut window, &mut other] {
        let prompt = prompt_in(window);
        assert!(prompt.starts_with("PPP") && prompt.ends_with('…') && prompt.chars().count() == 4_096);
    }
    other.subscribe(&id, 0);
    let asked = other.wait_for("keeper/executionEvent", |e| e["event"]["kind"] == "inputRequest");
    assert!(asked["event"]["prompt"].as_str().unwrap().len() < 5_000);
    let reply = json!({ "sessionId": id, "executionId": execution, "value": "x" });
    other.ok("keeper/replyInput", reply);
    assert_eq!(window.done(&id, &execution)["status"], "ok");

    // An error beside its execution is cut, and stands in the cell.
    let failed = window.execute_cell(&id, 0, "class E(Exception): pass\nraise E('e' * 400_000)");
    let done = window.done(&id, &failed);
    assert!(done["error"]["evalue"].as_str().unwrap().chars().count() == 8_192, "{}", done["error"]["ename"]);
    assert!(done.to_string().len() < 200_000);
    let outputs = window.outputs(&id, "c0");
    assert_eq!(outputs[0]["evalue"].as_str().unwrap().len(), 400_000);

    for (label, characters) in [("Ü".repeat(200), 200), ("L".repeat(1_000_000), 200), (" short ".into(), 5)]
    {
        let labelled = window.ok("keeper/labelSession", json!({ "sessionId": id, "label": label }));
        assert_eq!(labelled["session"]["label"].as_str().unwrap().chars().count(), characters);
    }
    let long = "x".repeat(2_000);
    let start = json!({ "notebookUri": uri(&world.work().join("b.ipynb")), "kernelName": "kept-python", "label": long });
    let started = window.ok("keeper/startSession", start);
    assert_eq!(started["session"]["label"], format!("{}…", "x".repeat(199)));
    let cell = json!({ "sessionId": id, "code": "1", "cell": { "id": long, "index": 0 } });
    window.refuses("keeper/execute", cell, "cell.id");
    let added = json!({ "folder": "/w", "status": long });
    window.refuses("keeper/addWindow", added, "status");
    let uri = format!("file:///{}b.ipynb", "./".repeat(20_000));
    window.refuses("keeper/findActiveSession", json!({ "notebookUri": uri }), "notebookUri");
}

#[test]
fn an_output_that_no_answer_can_hold_goes_by_asset() {
    let world = World::new();
    let mut window = world.window();
    let id = id_of(&window.start(&world.notebook("draft.ipynb", &["1"]))["id"]);
    window.subscribe(&id, 0);
    let code = "from IPython.display import display\n\
                display({'image/png': 'QUJD' * 9_000_000, 'text/plain': 'a figure'}, raw=True)\nprint('after')";
    let execution = window.execute_cell(&id, 0, code);
    window.done(&id, &execution);
    let found = window.ok("keeper/cellOutputs", json!({ "sessionId": id }));
    let cell = &found["cells"][0];
    let text = cell["outputs"][0]["data"]["text/plain"].as_str().unwrap();
    assert!(text.starts_with("a figure\n[image/png takes 27000000 bytes"), "{text}");
    assert_eq!(
        (&cell["outputs"][0]["data"]["image/png"], &cell["outputs"][1]["text"]),
        (&Value::Null, &json!("after\n"))
    );
    assert_eq!(cell["truncated"]["totalBytes"], 27_000_000);
    let asset =
        url::Url::parse(cell["truncated"]["assetUri"].as_str().unwrap()).unwrap().to_file_path().unwrap();
    assert!(asset.starts_with(world.session_dir(&id).join("assets")) && asset.extension().unwrap() == "png");
    assert!(std::fs::read(asset).unwrap() == "ABC".repeat(9_000_000).as_bytes());
    let event =
        window.wait_for("keeper/executionEvent", |e| e["event"]["output"]["output_type"] == "display_data");
    assert!(event.to_string().len() < 5_000);
    // What is written into the file is whole.
    let alone = json!({ "sessionId": id, "executionId": execution });
    assert_eq!(window.ok("keeper/cellOutputs", alone)["cells"][0]["outputs"], cell["outputs"]);
}

/// The kernel's sockets that are left in a session's runtime folder.
fn sockets(world: &World, id: &str) -> Vec<String> {
    let entries = std::fs::read_dir(world.runtime().join(id)).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("kernel-") || name == "keeper.sock").collect()
}

#[test]
fn a_session_that_ended_leaves_no_sockets_however_it_ended() {
    let world = World::new();
    let mut window = world.window();
    let mut start = |name: &str| window.start(&world.notebook(name, &["1"]));
    let (stopped, exited, died) = (start("a.ipynb"), start("b.ipynb"), start("c.ipynb"));
    let (stopped, exited) = (id_of(&stopped["id"]), id_of(&exited["id"]));
    for id in [&stopped, &exited] {
        assert!(sockets(&world, id).len() >= 5);
    }
    window.ok("keeper/stopSession", json!({ "sessionId": stopped }));
    window.execute(&exited, "import os; os._exit(0)");
    let id = id_of(&died["id"]);
    for process in ["keeperPid", "pid"] {
        kill(pid_of(&died[process]), "KILL");
    }
    for id in [&stopped, &exited, &id] {
        eventually("no sockets are left", PATIENCE, || {
            (window.session(id)["state"] == "ended" && sockets(&world, id).is_empty()).then_some(())
        });
    }
    // With the keeper killed alone its kernel keeps them.
    let adopted = window.start(&world.notebook("d.ipynb", &["1"]));
    let (id, keeper) = (id_of(&adopted["id"]), pid_of(&adopted["keeperPid"]));
    kill(keeper, "KILL");
    eventually("another keeper has it", PATIENCE, || {
        let now = window.session(&id);
        (now["keeperPid"] != keeper && now["state"] == "idle").then_some(())
    });
    assert_eq!(window.value_of(&id, "40 + 2"), "42");
    assert!(sockets(&world, &id).len() >= 5 && is_alive(pid_of(&adopted["pid"])));
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

#[test]
fn the_logs_of_a_session_have_a_bound_while_nobody_looks() {
    let world = World::new();
    let mut window = world.window();
    let id = id_of(&window.start(&world.notebook("draft.ipynb", &["1"]))["id"]);
    let log = world.session_dir(&id).join("kernel.log");
    // Its own standard error, as what a library writes past Python's.
    let flood = format!(
        "import threading\ndef flood():\n    with open({:?}, 'ab', 0) as log:\n        for i in range(60):\n            \
         log.write(b'x' * 999_999 + b'\\n')\n            pause.wait(0.02)\n\
         pause = threading.Event()\nthread = threading.Thread(target=flood)\nthread.start()",
        log
    );
    window.run(&id, &flood);
    window.close();
    let mut peak = 0;
    eventually("the log is cut back", Duration::from_secs(20), || {
        peak = peak.max(length(&log));
        let text = std::fs::read(&log).unwrap_or_default();
        (text.starts_with(b"[This log was over") && text.len() < 12 << 20).then_some(())
    });
    assert!(peak < 40 << 20, "{peak}");
    let mut window = world.window();
    window.run(&id, "thread.join()");
    eventually("it is short", PATIENCE, || (length(&log) <= 11 << 20).then_some(()));

    // Sixty thousand messages that cannot be read are one line, and its number.
    let bad = "socket = get_ipython().kernel.iopub_socket\n\
               for i in range(20_000): socket.send_multipart([b't', b'<IDS|MSG>', b'bad'])";
    window.run(&id, bad);
    let text = std::fs::read_to_string(world.session_dir(&id).join("keeper.log")).unwrap();
    assert!(text.contains("cannot be read") && text.len() < 100_000, "{}", text.len());
}

#[test]
fn what_nobody_reads_and_what_failed_count_against_the_limit() {
    let world = World::new();
    let limit = 4 << 20;
    let options = json!({ "settings": { "journal": { "maxBytesPerSession": limit } } });
    let mut window = world.window_with(options);
    let id = id_of(&window.start(&world.notebook("draft.ipynb", &["1"]))["id"]);
    let precious = window.execute_cell(&id, 0, "print('precious')");
    window.done(&id, &precious);
    let unknown = "kernel = get_ipython().kernel\n\
                   for i in range(40): kernel.session.send(kernel.iopub_socket, 'unknown_type', content={'x': 'A' * 300_000})";
    window.run(&id, unknown);
    let journal = world.session_dir(&id).join("journal.db");
    let is_within = |what: &str| {
        eventually(what, PATIENCE, || (length(&journal) <= limit + (1 << 20)).then_some(()));
    };
    is_within("unknown messages went");
    assert_eq!(window.stream(&id, "c0"), "precious\n", "they go before any output");
    for _ in 0..4 {
        let failed = window.execute_cell(&id, 1, "raise Exception('x' * 2_000_000)");
        window.done(&id, &failed);
    }
    is_within("errors went");
    window.run(&id, "1");
}
