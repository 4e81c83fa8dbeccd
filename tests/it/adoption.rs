//! The keeper dies, the kernel lives: it is adopted. Both die: the session is lost. Nothing is mistaken for alive.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::driver::{PATIENCE, eventually};
use crate::world::{World, id_of, is_alive, kill, pid_of, uri};

#[test]
fn a_killed_keeper_is_replaced_in_mid_output() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let (mut window, mut other) = (world.window(), world.window());
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    window.subscribe(&id, 0);
    window.run(&id, "x = 41");
    let code = "import time\nfor i in range(100_000):\n    print(i, flush=True); time.sleep(0.02)\n    if globals().get('enough') or i > 2_000: break";
    let running = window.execute_cell(&id, 0, code);
    let waits = [window.execute(&id, "x += 1"), window.execute_cell(&id, 1, "answer = input('what? ')")];
    window.wait_for("keeper/executionEvent", |e| {
        e["executionId"] == running.as_str() && e["event"]["kind"] == "output"
    });
    let keeper = pid_of(&session["keeperPid"]);
    kill(keeper, "KILL");
    let begun = Instant::now();
    // Both windows notice; one adopts, both go on.
    let adopted = eventually("another keeper", PATIENCE, || {
        let now = window.session(&id);
        (now["keeperPid"].is_number()
            && now["keeperPid"] != session["keeperPid"]
            && now["responding"] == true
            && now["currentExecution"]["executionId"] == running.as_str())
        .then_some(now)
    });
    let took = begun.elapsed();
    // Sooner than whoever only looks around, every five seconds.
    assert!(took < Duration::from_secs(4), "adopted after {took:?}");
    eprintln!("adopted after {took:?}");
    assert_eq!(
        (&adopted["pid"], &adopted["id"], &adopted["startedAt"]),
        (&session["pid"], &session["id"], &session["startedAt"])
    );
    assert_eq!(adopted["currentExecution"]["executionId"], running.as_str(), "{adopted}");
    assert_eq!(adopted["queued"], 2);
    eventually("both windows know the same keeper", PATIENCE, || {
        (other.session(&id)["keeperPid"] == adopted["keeperPid"]).then_some(())
    });
    let keepers = world.processes().into_iter().filter(|p| p.command.contains(" keep --session ")).count();
    assert_eq!(keepers, 1);
    // The window has it attached as before.
    eventually("the window is attached again", PATIENCE, || {
        let now = window.session(&id);
        now["windows"].as_array().unwrap().iter().any(|w| w["thisWindow"] == true).then_some(())
    });
    window.wait_for("keeper/executionEvent", |e| e["event"]["kind"] == "gap");
    let mark = window.mark();
    window.wait_after(mark, "keeper/executionEvent", |e| {
        e["executionId"] == running.as_str() && e["event"]["kind"] == "output"
    });
    window.ok("keeper/interruptSession", json!({ "sessionId": id }));
    window.wait_finished(&running);
    // It was interrupted: what waited from the same notebook is aborted, as it would have been before.
    for execution in &waits {
        assert_eq!(window.done(&id, execution)["status"], "aborted");
    }
    assert_eq!(window.value_of(&id, "x"), "41");
    window.events(&id);
    assert!(window.session(&id)["warnings"].as_array().is_some_and(|w| !w.is_empty()), "the gap is said");
}

#[test]
fn a_pending_queue_and_a_question_outlive_the_keeper() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    let asks = window.execute(&id, "name = input('Name? '); also = input('Also? ')");
    let waits: Vec<String> =
        (0..5).map(|i| window.execute(&id, &format!("order = globals().get('order', []) + [{i}]"))).collect();
    eventually("it asks", PATIENCE, || {
        window.session(&id)["currentExecution"]["input"].is_object().then_some(())
    });
    // The window is gone too: nobody notices until somebody looks.
    window.close();
    kill(pid_of(&session["keeperPid"]), "KILL");
    eventually("the keeper is gone", PATIENCE, || (!is_alive(pid_of(&session["keeperPid"]))).then_some(()));
    let begun = Instant::now();
    let mut window = world.window();
    let now = window.session(&id);
    let took = begun.elapsed();
    eprintln!("looked at and adopted, with the sidecar's start: {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!((&now["pid"], &now["state"]), (&session["pid"], &json!("busy")), "{now}");
    let input = json!({ "prompt": "Name? ", "password": false });
    assert_eq!(now["currentExecution"]["input"], input, "{now}");
    assert_eq!(now["queued"], 5);
    window.ok("keeper/replyInput", json!({ "sessionId": id, "executionId": asks, "value": "Ada" }));
    eventually("it asks again", PATIENCE, || {
        (window.session(&id)["currentExecution"]["input"]["prompt"] == "Also? ").then_some(())
    });
    window.ok("keeper/replyInput", json!({ "sessionId": id, "executionId": asks, "value": "Eve" }));
    for execution in waits.iter().chain([&asks]) {
        assert_eq!(window.done(&id, execution)["status"], "ok");
    }
    assert_eq!(window.value_of(&id, "(name, order)"), "('Ada', [0, 1, 2, 3, 4])");
    // And once more, while it is idle.
    kill(pid_of(&now["keeperPid"]), "KILL");
    eventually("another keeper", PATIENCE, || {
        (window.session(&id)["keeperPid"] != now["keeperPid"]).then_some(())
    });
    assert_eq!(window.value_of(&id, "name"), "'Ada'");
}

#[test]
fn kernel_and_keeper_killed_is_lost() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    window.open(&notebook);
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    let running = window.execute_cell(&id, 0, "print('seen', flush=True)\nimport time; time.sleep(600)");
    let pending = window.execute(&id, "1");
    eventually("it printed", PATIENCE, || (window.stream(&id, "c0") == "seen\n").then_some(()));
    // The keeper first: it must not see the kernel's end.
    kill(pid_of(&session["keeperPid"]), "STOP");
    kill(pid_of(&session["pid"]), "KILL");
    kill(pid_of(&session["keeperPid"]), "KILL");
    let told = window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == id.as_str());
    assert_eq!((&told["session"]["endReason"], &told["session"]["state"]), (&json!("lost"), &json!("ended")));
    window.wait_for("keeper/offer", |p| {
        p["offer"]["kind"] == "recover" && p["offer"]["notebookUri"] == uri(&notebook)
    });
    assert_eq!(window.done(&id, &running)["status"], "lost");
    assert_eq!(window.done(&id, &pending)["status"], "aborted");
    assert_eq!(window.stream(&id, "c0"), "seen\n");
    assert_eq!(window.live(), Vec::<String>::new());
    let offers = window.ok("keeper/openOffers", json!({}));
    let answer = json!({ "offerId": offers["offers"][0]["offerId"], "action": "fresh" });
    let fresh = window.ok("keeper/answerOffer", answer);
    assert_eq!(fresh["outcome"], "started");
    assert_ne!(fresh["session"]["id"], json!(id));
    // The notebook's history goes over both.
    window.run(&id_of(&fresh["session"]["id"]), "1");
    let history = window.ok("keeper/executionHistory", json!({ "notebookUri": uri(&notebook) }));
    assert_eq!(history["executions"].as_array().unwrap().len(), 3, "{history}");
}

#[test]
fn after_a_reboot_nothing_is_mistaken_for_alive() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    window.run(&id, "1");
    window.close();
    let (pid, keeper) = (pid_of(&session["pid"]), pid_of(&session["keeperPid"]));
    kill(keeper, "KILL");
    kill(pid, "KILL");
    eventually("both are gone", PATIENCE, || (!is_alive(pid) && !is_alive(keeper)).then_some(()));
    // Another boot; and the PIDs are others' by now: one that lives, and is not ours to touch.
    let mut bystander = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let path = world.session_dir(&id).join("session.json");
    let mut record = world.record(&id);
    record["boot"] = json!("00000000-0000-0000-0000-000000000000");
    for process in ["keeper", "kernelProcess"] {
        record[process]["pid"] = json!(bystander.id());
        record[process]["boot"] = json!("00000000-0000-0000-0000-000000000000");
    }
    std::fs::write(&path, record.to_string()).unwrap();
    let _ = std::fs::remove_dir_all(world.runtime());

    let mut window = world.window();
    assert_eq!(window.live(), Vec::<String>::new());
    let lost = window.session(&id);
    assert_eq!((&lost["state"], &lost["endReason"]), (&json!("ended"), &json!("lost")), "{lost}");
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
    assert!(is_alive(bystander.id()), "another's process was touched");
    let asked = window.ok("keeper/ensureSession", json!({ "notebookUri": uri(&notebook) }));
    assert_eq!((&asked["outcome"], &asked["offer"]["kind"]), (&json!("ask"), &json!("recover")));
    assert!(asked["offer"]["message"].as_str().unwrap().contains("draft.ipynb"), "{asked}");
    let history = window.ok("keeper/executionHistory", json!({ "sessionId": id }));
    assert_eq!(history["executions"].as_array().unwrap().len(), 1);
    let _ = bystander.kill();
    let _ = bystander.wait();
}

#[test]
fn a_kernel_that_its_keeper_could_not_record_is_no_ghost() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    // A child has the kernel's arguments, too, and outlives it.
    let child = window.value_of(&id, "import os, time\npid = os.fork()\nif pid == 0: time.sleep(600)\npid");
    let child: u32 = child.parse().unwrap();
    window.close();
    let (pid, keeper) = (pid_of(&session["pid"]), pid_of(&session["keeperPid"]));
    kill(keeper, "KILL");
    eventually("the keeper is gone", PATIENCE, || (!is_alive(keeper)).then_some(()));
    // As it is when the keeper is killed between starting the kernel and writing its PID down.
    let forget = || {
        let mut record = world.record(&id);
        record["kernelProcess"] = Value::Null;
        std::fs::write(world.session_dir(&id).join("session.json"), record.to_string()).unwrap();
    };
    forget();
    let mut window = world.window();
    assert_eq!(window.session(&id)["pid"], session["pid"]);
    assert_eq!(window.value_of(&id, "pid"), child.to_string());
    let keeper = pid_of(&window.session(&id)["keeperPid"]);
    window.close();
    // The keeper does not live to see the kernel's end.
    kill(keeper, "STOP");
    kill(pid, "KILL");
    kill(keeper, "KILL");
    eventually("both are gone", PATIENCE, || (!is_alive(pid) && !is_alive(keeper)).then_some(()));
    forget();
    let mut window = world.window();
    assert_eq!(window.session(&id)["state"], "ended", "its child is not taken for it");
    kill(child, "KILL");
}

#[test]
fn what_was_sent_to_the_kernel_is_never_sent_again() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    window.subscribe(&id, 0);
    window.run(&id, "import collections; ran = collections.Counter()");
    for round in 0..4 {
        let executions: Vec<String> =
            (0..150).map(|n| window.execute(&id, &format!("ran[{round}, {n}] += 1"))).collect();
        let keeper = pid_of(&window.session(&id)["keeperPid"]);
        window.wait_finished(&executions[20 * (round + 1)]);
        kill(keeper, "KILL");
        eventually("all have ended", PATIENCE, || {
            let now = window.session(&id);
            (now["keeperPid"] != json!(keeper) && now["state"] == "idle" && now["queued"] == 0).then_some(())
        });
    }
    assert_eq!(window.value_of(&id, "max(ran.values())"), "1");
    let history = window.ok("keeper/executionHistory", json!({ "sessionId": id, "limit": 1000 }));
    let all = history["executions"].as_array().unwrap();
    let with = |status: &str| all.iter().filter(|e| e["status"] == status).count();
    assert!(with("lost") <= 4 && with("ok") + with("lost") == all.len(), "{} {}", with("ok"), with("lost"));
    let ran: usize = window.value_of(&id, "len(ran)").parse().unwrap();
    assert!(ran >= 600 - with("lost"), "{ran}");
    let (active, started) = (window.session(&id)["lastActivityAt"].clone(), session["startedAt"].clone());
    assert!(active.as_str() > started.as_str(), "{active} {started}");
}

#[test]
fn a_kernel_that_does_not_answer_its_new_keeper_is_listed_and_stopped() {
    let world = World::new();
    let (silent, other) = (world.notebook("silent.ipynb", &["1"]), world.notebook("other.ipynb", &["1"]));
    let mut window = world.window();
    let session = window.start(&silent);
    let id = id_of(&session["id"]);
    let fine = id_of(&window.start(&other)["id"]);
    window.close();
    let (pid, keeper) = (pid_of(&session["pid"]), pid_of(&session["keeperPid"]));
    // Nobody can connect to it any more; then its connection file goes, too.
    let sockets = world.runtime().join(&id);
    for entry in std::fs::read_dir(&sockets).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("kernel-") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    kill(keeper, "KILL");
    eventually("the keeper is gone", PATIENCE, || (!is_alive(keeper)).then_some(()));
    let begun = Instant::now();
    let mut window = world.window();
    let now = window.session(&id);
    assert_eq!((&now["pid"], &now["responding"]), (&session["pid"], &json!(false)), "{now}");
    assert_eq!(window.value_of(&fine, "1 + 1"), "2");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    window.close();
    for keeper in world.processes().iter().filter(|p| p.command.contains(&format!("keep --session {id}"))) {
        kill(keeper.pid, "KILL");
    }
    std::fs::remove_file(sockets.join("kernel.json")).unwrap();
    let mut window = world.window();
    let now = window.session(&id);
    assert!(now["warnings"].to_string().contains("cannot be reached"), "{now}");
    assert!(is_alive(pid));
    assert!(world.cli_ok(["list"]).contains("silent.ipynb"));
    world.cli_ok(["stop", "--all"]);
    eventually("the kernel is gone", PATIENCE, || (!is_alive(pid)).then_some(()));
    eventually("the window knows", PATIENCE, || window.live().is_empty().then_some(()));
    window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == id.as_str());
}

#[test]
fn a_kernel_that_answers_its_new_keeper_late_is_shown_as_it_is() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    let running = window.execute_cell(&id, 0, "import time\ntime.sleep(600)");
    window.execute(&id, "1");
    eventually("it runs", PATIENCE, || {
        (window.session(&id)["currentExecution"]["executionId"] == running.as_str()).then_some(())
    });
    window.close();
    let (pid, keeper) = (pid_of(&session["pid"]), pid_of(&session["keeperPid"]));
    kill(keeper, "KILL");
    eventually("the keeper is gone", PATIENCE, || (!is_alive(keeper)).then_some(()));
    kill(pid, "STOP");
    let mut window = world.window();
    assert_eq!(window.session(&id)["responding"], false);
    // The window is connected by now: only what it is told can show it the rest.
    kill(pid, "CONT");
    let now = eventually("it is shown as it is", PATIENCE, || {
        let now = window.session(&id);
        (now["responding"] == true && now["queued"] == 1).then_some(now)
    });
    assert_eq!(now["currentExecution"]["executionId"], running.as_str(), "{now}");
    assert_eq!(now["state"], "busy");
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
}

#[test]
fn a_frozen_keeper_blocks_nobody() {
    let world = World::new();
    let (frozen, other) = (world.notebook("frozen.ipynb", &["1"]), world.notebook("other.ipynb", &["1"]));
    let mut window = world.window();
    let session = window.start(&frozen);
    let id = id_of(&session["id"]);
    let fine = id_of(&window.start(&other)["id"]);
    let keeper = pid_of(&session["keeperPid"]);
    kill(keeper, "STOP");
    let asked = window.begin("keeper/execute", json!({ "sessionId": id, "code": "1" }));
    let begun = Instant::now();
    assert_eq!(window.live().len(), 2);
    assert_eq!(window.value_of(&fine, "1 + 1"), "2");
    assert!(begun.elapsed() < Duration::from_secs(5));
    // A window that comes now.
    let mut late = world.window();
    let listed = late.ok("keeper/listSessions", json!({}));
    let listed: Vec<&Value> = listed["sessions"].as_array().unwrap().iter().collect();
    assert_eq!(listed.len(), 2, "{listed:?}");
    kill(keeper, "CONT");
    window.finish(asked).expect("it answers when it wakes");
    assert!(is_alive(pid_of(&session["pid"])));
}
