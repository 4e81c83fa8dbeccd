//! Steering at bad moments: while a kernel restarts, while its keeper is frozen, when a client is sparse with words.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::driver::{PATIENCE, eventually};
use crate::kernels;
use crate::world::{World, id_of, is_alive, kill, pid_of, uri};

#[test]
fn code_sent_during_a_restart_runs_on_the_new_kernel() {
    let world = World::new();
    let mut window = world.window();
    let session = window.start(&world.notebook("draft.ipynb", &["1"]));
    let id = id_of(&session["id"]);
    let long = window.execute(&id, "old = 1\nimport time\ntime.sleep(60)");
    let waiting = window.execute(&id, "old = 2");
    window.until_status(&id, &long, &["running"]);
    let restart = window.begin("keeper/restartSession", json!({ "sessionId": id }));
    let next = window.execute(&id, "'old' in globals()");
    let restarted = window.finish(restart).unwrap()["session"].clone();
    assert_ne!(restarted["pid"], session["pid"]);
    assert_eq!(window.done(&id, &next)["status"], "ok");
    assert_eq!(window.value_of(&id, "'old' in globals()"), "False");
    let ends = [&long, &waiting].map(|execution| window.execution(&id, execution)["status"].clone());
    assert_eq!(ends, [json!("aborted"), json!("aborted")]);
    // Interrupted while it starts it goes on starting.
    let restart = window.begin("keeper/restartSession", json!({ "sessionId": id }));
    window.ok("keeper/interruptSession", json!({ "sessionId": id }));
    assert_ne!(window.finish(restart).unwrap()["session"]["pid"], restarted["pid"]);
}

#[test]
fn a_session_that_is_stopped_while_it_starts_ends_in_plain_words() {
    let world = World::new();
    kernels::install_other(&world.jupyter());
    let mut window = world.window();
    // It is known; its process runs; it has answered.
    let is_so_far: [fn(&Value) -> bool; 3] =
        [|_| true, |session| session["pid"].is_number(), |session| session["state"] == "idle"];
    let rounds = [kernels::PYTHON, kernels::OTHER].iter().flat_map(|kernel| is_so_far.map(|is| (kernel, is)));
    for (round, (kernel, is_so_far)) in rounds.enumerate() {
        let notebook = world.notebook(&format!("draft-{round}.ipynb"), &["1"]);
        let params = json!({ "notebookUri": uri(&notebook), "kernelName": kernel });
        let start = window.begin("keeper/startSession", params);
        let id = eventually("a session", PATIENCE, || {
            let sessions = window.ok("keeper/listSessions", json!({}))["sessions"].clone();
            let found = sessions.as_array()?.iter().find(|one| one["notebookPath"] == json!(notebook))?;
            is_so_far(found).then(|| id_of(&found["id"]))
        });
        let stopped = window.ok("keeper/stopSession", json!({ "sessionId": id }));
        assert_eq!(stopped["session"]["endReason"], "stopped", "{stopped}");
        if let Err(failure) = window.finish(start) {
            let message = &failure.message;
            assert!(message.ends_with("was stopped before it was ready"), "{message}");
        }
    }
}

#[test]
fn what_a_kernel_runs_and_whether_its_notebook_is_there_is_told() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    let runs = |value: Value| move |p: &Value| p["session"]["runs"] == value;
    let execution = window.execute(&id, "import subprocess; subprocess.run(['sleep', '5'])");
    window.wait_for("keeper/sessionUpdated", runs(json!("sleep")));
    let mark = window.mark();
    window.done(&id, &execution);
    window.wait_after(mark, "keeper/sessionUpdated", runs(Value::Null));
    for exists in [false, true] {
        let mark = window.mark();
        if exists {
            std::fs::write(&notebook, "{}").unwrap();
        } else {
            std::fs::remove_file(&notebook).unwrap();
        }
        window.wait_after(mark, "keeper/sessionUpdated", |p| p["session"]["notebookExists"] == exists);
    }
}

#[test]
fn what_is_frozen_blocks_nothing_and_is_told() {
    let world = World::new();
    let mut window = world.window();
    let sessions: Vec<Value> = ["keeper", "kernel", "other"]
        .map(|name| window.start(&world.notebook(&format!("{name}.ipynb"), &["1"])))
        .into();
    let ids: Vec<String> = sessions.iter().map(|session| id_of(&session["id"])).collect();
    let frozen = [pid_of(&sessions[0]["keeperPid"]), pid_of(&sessions[1]["pid"])];
    let begun = Instant::now();
    frozen.iter().for_each(|pid| kill(*pid, "STOP"));
    for id in &ids[..2] {
        window.wait_for("keeper/sessionUpdated", |p| {
            p["session"]["id"] == id.as_str() && p["session"]["responding"] == false
        });
        assert_eq!(window.session(id)["responding"], false);
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    // Neither a list, nor another session, nor a window that opens now waits for them.
    let begun = Instant::now();
    assert_eq!(window.value_of(&ids[2], "6 * 7"), "42");
    let mut second = world.window();
    assert_eq!(second.session(&ids[0])["responding"], false);
    assert_eq!(second.session(&ids[1])["responding"], false);
    assert_eq!(second.session(&ids[2])["responding"], true);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    frozen.iter().for_each(|pid| kill(*pid, "CONT"));
    for id in &ids[..2] {
        eventually("it responds again", PATIENCE, || {
            (window.session(id)["responding"] == true).then_some(())
        });
        eventually("for both", PATIENCE, || (second.session(id)["responding"] == true).then_some(()));
        assert_eq!(window.value_of(id, "1 + 1"), "2");
    }
}

#[test]
fn a_frozen_keeper_is_no_reason_to_keep_a_kernel() {
    let mut world = World::new();
    world.kill_what_is_left = true;
    let mut window = world.window();
    let session = window.start(&world.notebook("draft.ipynb", &["1"]));
    let id = id_of(&session["id"]);
    let (pid, keeper) = (pid_of(&session["pid"]), pid_of(&session["keeperPid"]));
    kill(keeper, "STOP");
    let begun = Instant::now();
    let stopped = window.ok("keeper/stopSession", json!({ "sessionId": id }))["session"].clone();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!((&stopped["state"], &stopped["endReason"]), (&json!("ended"), &json!("stopped")));
    eventually("both are gone", PATIENCE, || (!is_alive(pid) && !is_alive(keeper)).then_some(()));
    assert_eq!(window.live(), Vec::<String>::new());
}

#[test]
fn a_client_may_be_sparse_with_words() {
    let world = World::new();
    let mut window = world.window();
    window.send_raw(br#"{"jsonrpc":"2.0","id":77,"method":"keeper/openOffers"}"#);
    assert_eq!(window.finish(77).unwrap(), json!({ "offers": [] }));
    window.send_raw(br#"{"jsonrpc":"2.0","id":78,"method":"keeper/listSessions","params":null}"#);
    assert_eq!(window.finish(78).unwrap(), json!({ "sessions": [] }));
    // An end without a shutdown is an error, says LSP.
    window.notify("exit", Value::Null);
    assert_eq!(window.wait_exit(), Some(1));
}

#[test]
fn a_reader_that_leaves_ends_a_command_quietly() {
    let world = World::new();
    for arguments in [&["list"][..], &["kernelspecs"], &["man"], &["completions", "bash"]] {
        let mut command: Command = world.command();
        let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = reader.stdin.take().unwrap();
        reader.wait().unwrap();
        assert!(pipe.write(b"x").is_err(), "nobody reads");
        let done = command.args(arguments).stdout(pipe).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!said.contains("panicked") && done.status.code() == Some(1), "{arguments:?}: {done:?}");
    }
}
