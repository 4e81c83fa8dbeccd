//! Sessions from start to end: what is listed, what is told, what is refused.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::driver::{PATIENCE, eventually};
use crate::kernels;
use crate::world::{World, id_of, is_alive, kill, pid_of, uri};

#[test]
fn a_session_has_what_the_protocol_says() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1 + 1"]);
    let mut window = world.window();
    let ours = &window.initialized["capabilities"]["experimental"]["kernelKeeper"];
    assert_eq!(ours["protocolVersion"], 1);
    assert_eq!(ours["reconnect"], json!({ "outcome": "new", "count": 0 }));

    assert_eq!(window.ok("keeper/listSessions", json!({})), json!({ "sessions": [] }));
    let nothing = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&notebook) }));
    assert_eq!(nothing["found"], false);
    assert_eq!((&nothing["match"], &nothing["candidates"]), (&Value::Null, &json!([])));

    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    assert!(id.len() <= 12 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{id}");
    let fields: Vec<&str> = session.as_object().expect("an object").keys().map(String::as_str).collect();
    for field in [
        "id",
        "label",
        "notebookUri",
        "notebookPath",
        "notebookExists",
        "notebooks",
        "kernel",
        "pid",
        "keeperPid",
        "host",
        "startedAt",
        "lastActivityAt",
        "busySeconds",
        "state",
        "responding",
        "pinned",
        "warnings",
        "currentExecution",
        "queued",
        "runs",
        "windows",
        "memoryBytes",
        "cpuPercent",
        "endedAt",
        "endReason",
    ] {
        assert!(fields.contains(&field), "{field} is not in {fields:?}");
    }
    assert_eq!(session["label"], "draft.ipynb");
    assert_eq!(session["notebookUri"], uri(&notebook));
    assert_eq!(session["notebookPath"], notebook.to_str().unwrap());
    assert_eq!(session["notebookExists"], true);
    assert_eq!(session["notebooks"][0]["notebookPath"], notebook.to_str().unwrap());
    let kernel = json!({ "name": kernels::PYTHON, "displayName": "Kept Python", "language": "python" });
    assert_eq!(session["kernel"], kernel);
    assert_eq!((&session["state"], &session["responding"]), (&json!("idle"), &json!(true)));
    assert_eq!(session["warnings"], json!([]));
    assert_eq!(
        session["windows"],
        json!([{ "windowId": window.id, "folder": world.work(), "thisWindow": true }])
    );
    let time = session["startedAt"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[19] == b'.', "{time}");
    let (pid, keeper) = (pid_of(&session["pid"]), pid_of(&session["keeperPid"]));
    assert!(is_alive(pid) && is_alive(keeper));
    window.wait_for("keeper/sessionCreated", |p| p["session"]["id"] == session["id"]);

    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&notebook) }));
    assert_eq!((&found["found"], &found["match"]), (&json!(true), &json!("path")));
    assert_eq!(found["session"]["id"], session["id"]);
    assert_eq!(window.live(), std::slice::from_ref(&id));
    eventually("memory is sampled", PATIENCE, || {
        let now = window.session(&id);
        now["memoryBytes"].as_u64().filter(|bytes| *bytes > 10 << 20)
    });

    let again = json!({ "notebookUri": uri(&notebook), "kernelName": kernels::PYTHON });
    let refused = window.fails("keeper/startSession", again, "NotebookHasSession");
    assert_eq!(refused.data["session"]["id"], session["id"]);

    let stopped = window.ok("keeper/stopSession", json!({ "sessionId": id }))["session"].clone();
    assert_eq!((&stopped["state"], &stopped["endReason"]), (&json!("ended"), &json!("stopped")));
    assert_eq!((&stopped["memoryBytes"], &stopped["cpuPercent"]), (&Value::Null, &Value::Null));
    assert!(stopped["endedAt"].is_string());
    window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == session["id"]);
    eventually("kernel and keeper are gone", PATIENCE, || {
        (!is_alive(pid) && !is_alive(keeper)).then_some(())
    });
    let again = window.ok("keeper/stopSession", json!({ "sessionId": id }))["session"].clone();
    assert_eq!((&again["endReason"], &again["endedAt"]), (&stopped["endReason"], &stopped["endedAt"]));
    assert_eq!(window.live(), Vec::<String>::new());
    assert_eq!(window.session(&id)["state"], "ended");

    // What an ended session still can, and what not.
    let label = window.ok("keeper/labelSession", json!({ "sessionId": id, "label": "old" }));
    assert_eq!(label["session"]["label"], "old");
    window.ok("keeper/executionHistory", json!({ "sessionId": id }));
    window.ok("keeper/cellOutputs", json!({ "sessionId": id }));
    for (method, params) in [
        ("keeper/execute", json!({ "sessionId": id, "code": "1" })),
        ("keeper/interruptSession", json!({ "sessionId": id })),
        ("keeper/pinSession", json!({ "sessionId": id, "pinned": true })),
        ("keeper/attachSession", json!({ "sessionId": id, "targetNotebookUri": uri(&notebook) })),
        ("keeper/detachSession", json!({ "sessionId": id })),
        ("keeper/replyInput", json!({ "sessionId": id, "executionId": "x", "value": "" })),
    ] {
        window.fails(method, params, "SessionEnded");
    }
    let pruned = window.ok("keeper/pruneStore", json!({}));
    assert_eq!(pruned["removedSessions"], 1, "{pruned}");
    assert!(pruned["freedBytes"].as_u64() > Some(0));
    window.fails("keeper/stopSession", json!({ "sessionId": id }), "SessionNotFound");
    assert!(!world.session_dir(&id).exists());
}

#[test]
fn label_pin_restart_interrupt_and_two_windows() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1 + 1"]);
    let (mut window, mut other) = (world.window(), world.window());
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    let about = |kind: &str, id: &str| {
        let (kind, id) = (format!("keeper/{kind}"), id.to_owned());
        (kind, move |p: &Value| p["session"]["id"] == id.as_str())
    };
    let (created, is_it) = about("sessionCreated", &id);
    other.wait_for(&created, is_it);
    assert_eq!(other.live(), std::slice::from_ref(&id));

    let begun = Instant::now();
    let named = window.ok("keeper/labelSession", json!({ "sessionId": id, "label": " my draft " }));
    assert_eq!(named["session"]["label"], "my draft");
    let is_named = |p: &Value| p["session"]["label"] == "my draft";
    let (told, at) = other.wait_timed(0, "keeper/sessionUpdated", is_named);
    assert_eq!(told["session"]["windows"][0]["thisWindow"], false);
    // Sooner than whoever only looks around, every five seconds.
    assert!(at.duration_since(begun) < Duration::from_secs(4), "{:?}", at.duration_since(begun));
    let derived = window.ok("keeper/labelSession", json!({ "sessionId": id, "label": "" }));
    assert_eq!(derived["session"]["label"], "draft.ipynb");
    let pinned = other.ok("keeper/pinSession", json!({ "sessionId": id, "pinned": true }));
    assert_eq!(pinned["session"]["pinned"], true);
    window.wait_for("keeper/sessionUpdated", |p| p["session"]["pinned"] == true);

    window.run(&id, "x = 1");
    let busy = window
        .execute(&id, "import time\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    x = 2; raise");
    window.until_status(&id, &busy, &["running"]);
    let is_busy = |p: &Value| p["session"]["currentExecution"]["executionId"] == busy.as_str();
    other.wait_for("keeper/sessionUpdated", is_busy);
    window.ok("keeper/interruptSession", json!({ "sessionId": id }));
    let interrupted = window.done(&id, &busy);
    assert_eq!(
        (&interrupted["status"], &interrupted["error"]["ename"]),
        (&json!("error"), &json!("KeyboardInterrupt"))
    );
    assert_eq!(window.value_of(&id, "x"), "2");
    assert!(window.session(&id)["busySeconds"].as_f64() > Some(0.0));

    let mark = other.mark();
    let restarted = window.ok("keeper/restartSession", json!({ "sessionId": id }))["session"].clone();
    assert_eq!(
        (&restarted["id"], &restarted["label"], &restarted["pinned"]),
        (&json!(id), &json!("draft.ipynb"), &json!(true))
    );
    assert_ne!(restarted["pid"], session["pid"]);
    assert_eq!(restarted["keeperPid"], session["keeperPid"]);
    assert!(restarted["startedAt"].as_str() > session["startedAt"].as_str());
    other.wait_after(mark, "keeper/sessionUpdated", |p| p["session"]["pid"] == restarted["pid"]);
    assert_eq!(window.value_of(&id, "'x' in globals()"), "False");
    let history = window.ok("keeper/executionHistory", json!({ "sessionId": id }));
    assert!(history["executions"].as_array().unwrap().len() >= 4, "the history stays: {history}");

    window.ok("keeper/detachSession", json!({ "sessionId": id }));
    let (disconnected, is_it) = about("sessionDisconnected", &id);
    other.wait_for(&disconnected, is_it);
    assert_eq!(window.session(&id)["windows"], json!([]));
    window.ok("keeper/detachSession", json!({ "sessionId": id }));

    assert_eq!(other.ok("keeper/stopAllSessions", json!({})), json!({ "stopped": 1 }));
    let (ended, is_it) = about("sessionEnded", &id);
    let told = window.wait_for(&ended, is_it);
    assert_eq!(told["session"]["endReason"], "stopped");

    // An ended one starts anew under the same session.
    let anew = other.ok("keeper/restartSession", json!({ "sessionId": id }))["session"].clone();
    assert_eq!((&anew["id"], &anew["state"], &anew["endedAt"]), (&json!(id), &json!("idle"), &Value::Null));
    assert_eq!(other.value_of(&id, "40 + 2"), "42");
    let history = window.ok("keeper/executionHistory", json!({ "notebookUri": uri(&notebook) }));
    assert!(history["executions"].as_array().unwrap().len() >= 5, "{history}");
}

#[test]
fn endings_are_told_as_they_were() {
    let world = World::new();
    let mut window = world.window();
    let (exits, dies, busy) = (
        world.notebook("exits.ipynb", &["exit()"]),
        world.notebook("dies.ipynb", &["1"]),
        world.notebook("busy.ipynb", &["1"]),
    );
    for notebook in [&exits, &dies, &busy] {
        window.open(notebook);
    }
    let exiting = id_of(&window.start(&exits)["id"]);
    let dying = window.start(&dies);
    let stubborn = window.start(&busy);

    let last = window.execute(&exiting, "print('bye'); exit()");
    let waits = window.execute(&exiting, "print('never')");
    let told = window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == exiting.as_str());
    assert_eq!(
        (&told["session"]["endReason"], &told["session"]["state"]),
        (&json!("exited"), &json!("ended"))
    );
    assert_eq!(window.done(&exiting, &last)["status"], "ok");
    assert_eq!(window.done(&exiting, &waits)["status"], "aborted");

    let id = id_of(&dying["id"]);
    let ran = window.execute_cell(&id, 0, "print('one', flush=True)\nimport time; time.sleep(600)");
    window.until_status(&id, &ran, &["running"]);
    eventually("it printed", PATIENCE, || (window.stream(&id, "c0") == "one\n").then_some(()));
    kill(pid_of(&dying["pid"]), "KILL");
    let told = window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == id.as_str());
    assert_eq!(told["session"]["endReason"], "crashed");
    assert_eq!(window.done(&id, &ran)["status"], "lost");
    assert_eq!(window.stream(&id, "c0"), "one\n");
    let offer = window.wait_for("keeper/offer", |p| p["offer"]["kind"] == "recover");
    let offer = &offer["offer"];
    assert_eq!(offer["notebookUri"], uri(&dies));
    let actions: Vec<&Value> = offer["actions"].as_array().unwrap().iter().map(|a| &a["action"]).collect();
    assert_eq!(actions, ["fresh", "history"]);
    // Asked again, it is the same question.
    let asked = window.ok("keeper/ensureSession", json!({ "notebookUri": uri(&dies) }));
    assert_eq!((&asked["outcome"], &asked["offer"]["offerId"]), (&json!("ask"), &offer["offerId"]));
    let history = json!({ "offerId": offer["offerId"], "action": "history" });
    assert_eq!(window.ok("keeper/answerOffer", history)["outcome"], "dismissed");

    // One that ignores what it is asked, and SIGTERM.
    let id = id_of(&stubborn["id"]);
    let code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n    try:\n        time.sleep(1)\n    except BaseException:\n        pass";
    let running = window.execute(&id, code);
    window.until_status(&id, &running, &["running"]);
    let begun = Instant::now();
    let stop = window.begin("keeper/stopSession", json!({ "sessionId": id }));
    // Nothing else waits for it.
    window.ok("keeper/listSessions", json!({}));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let stopped = window.finish(stop).expect("stopped")["session"].clone();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!((&stopped["state"], &stopped["endReason"]), (&json!("ended"), &json!("stopped")));
    assert!(!is_alive(pid_of(&stubborn["pid"])));
}

#[test]
fn kernels_that_cannot_start_say_why() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let spec = |argv: Value| json!({ "argv": argv, "display_name": "Broken", "language": "python" });
    kernels::write(&world.jupyter(), "absent", &spec(json!(["/no/such/program", "{connection_file}"])));
    kernels::write(&world.jupyter(), "ends", &spec(json!(["/bin/sh", "-c", "echo the reason >&2; exit 3"])));
    std::fs::create_dir_all(world.jupyter().join("kernels/garbage")).unwrap();
    std::fs::write(world.jupyter().join("kernels/garbage/kernel.json"), "{").unwrap();
    let mut window = world.window();
    let start = |kernel: &str| json!({ "notebookUri": uri(&notebook), "kernelName": kernel });

    let unknown = window.fails("keeper/startSession", start("no-such"), "KernelspecNotFound");
    let available = unknown.data["available"].as_array().expect("what is available");
    assert!(available.iter().any(|name| name == kernels::PYTHON), "{available:?}");
    let failed = window.fails("keeper/startSession", start("ends"), "KernelFailed");
    assert_eq!(failed.data["exitCode"], 3, "{failed:?}");
    assert!(failed.data["stderrTail"].as_str().unwrap().contains("the reason"), "{failed:?}");
    let failed = window.fails("keeper/startSession", start("absent"), "KernelFailed");
    assert!(failed.message.contains("/no/such/program"), "{failed:?}");
    assert_eq!(window.live(), Vec::<String>::new());
    // The notebook is free for another.
    let session = window.start(&notebook);
    assert_eq!(session["state"], "idle");
}

#[test]
fn two_windows_that_start_at_once_get_one_kernel() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let (mut one, mut two) = (world.window(), world.window());
    let asked = json!({ "notebookUri": uri(&notebook), "kernelName": kernels::PYTHON });
    let (first, second) =
        (one.begin("keeper/startSession", asked.clone()), two.begin("keeper/startSession", asked));
    let answers = [one.finish(first), two.finish(second)];
    let refused: Vec<_> = answers.iter().filter_map(|a| a.as_ref().err()).collect();
    assert_eq!(refused.len(), 1, "{answers:?}");
    assert_eq!(refused[0].kind(), "NotebookHasSession");
    assert_eq!(one.live().len(), 1);
}

#[test]
fn the_window_goes_and_the_kernel_stays() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut first = world.window();
    let session = first.start(&notebook);
    let id = id_of(&session["id"]);
    let long = first.execute_cell(
        &id,
        0,
        "import time\nfor i in range(40):\n    print(i, flush=True); time.sleep(0.05)",
    );
    first.until_status(&id, &long, &["running"]);
    let took = first.close();
    assert!(took < Duration::from_secs(1), "end of input to exit: {took:?}");

    let mut second = world.window();
    let now = second.session(&id);
    assert_eq!((&now["pid"], &now["keeperPid"]), (&session["pid"], &session["keeperPid"]));
    let asked = second.ok("keeper/ensureSession", json!({ "notebookUri": uri(&notebook) }));
    assert_eq!((&asked["outcome"], &asked["offer"]["kind"]), (&json!("ask"), &json!("resume")));
    let answer = json!({ "offerId": asked["offer"]["offerId"], "action": "resume" });
    let resumed = second.ok("keeper/answerOffer", answer);
    assert_eq!((&resumed["outcome"], &resumed["session"]["id"]), (&json!("resumed"), &json!(id)));
    assert_eq!(resumed["lastExecution"]["executionId"], long.as_str());
    second.done(&id, &long);
    let lines: String = (0..40).map(|i| format!("{i}\n")).collect();
    assert_eq!(second.stream(&id, "c0"), lines);

    // `shutdown` and `exit` end it in the regular way.
    assert_eq!(second.ok("shutdown", Value::Null), Value::Null);
    second.notify("exit", Value::Null);
    assert_eq!(second.wait_exit(), Some(0));
    assert!(is_alive(pid_of(&session["pid"])));
}
