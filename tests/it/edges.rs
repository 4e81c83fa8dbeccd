//! Nothing that keepers do, and nothing that is done to them, ends a kernel, runs code twice, or loses what it waits for.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::kernels;
use crate::races::random::Random;
use crate::world::{World, id_of, is_alive, kill, pid_of, uri};

/// Counts are smaller where the run says so.
fn stress() -> f64 {
    std::env::var("KERNEL_KEEPER_STRESS").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1.0)
}

fn gaps(window: &Window, session: &str) -> Vec<Value> {
    window.events(session).into_iter().filter(|event| event["event"]["kind"] == "gap").collect()
}

#[test]
fn bursts_of_huge_outputs_leave_the_kernel_alive_and_nothing_out() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    window.subscribe(&id, 0);
    let code = "from IPython.display import display\nb = 'A' * 9_000_000\nfor i in range(10): display({'image/png': b}, raw=True)";
    for _ in 0..(4.0 * stress()).ceil() as u32 {
        let execution = window.execute(&id, code);
        let long = PATIENCE * 4;
        window.wait_for_long(long, "keeper/executionEvent", |event| {
            event["executionId"] == execution.as_str() && event["event"]["kind"] == "finished"
        });
        let displays = window
            .events(&id)
            .into_iter()
            .filter(|event| event["executionId"] == execution.as_str() && event["event"]["kind"] == "output");
        assert_eq!(displays.count(), 10);
    }
    // The socket that held them is exchanged meanwhile.
    window.run(&id, "import time; time.sleep(4)");
    window.run(&id, "print('after')");
    assert_eq!(gaps(&window, &id), [] as [Value; 0]);
    assert!(is_alive(pid_of(&session["pid"])));
}

#[test]
fn keepers_that_die_young_take_no_kernel_along() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    window.run(&id, "x = 41");
    let mut random = Random::new("keepers that die young");
    for _ in 0..(40.0 * stress()).ceil() as u32 {
        let keeper = eventually("a keeper", PATIENCE, || {
            let keeper = pid_of(&world.record(&id)["keeper"]["pid"]);
            is_alive(keeper).then_some(keeper)
        });
        std::thread::park_timeout(random.within(std::time::Duration::from_millis(40)));
        kill(keeper, "KILL");
        eventually("it is replaced", PATIENCE, || {
            let _ = window.request("keeper/listSessions", json!({}));
            (pid_of(&world.record(&id)["keeper"]["pid"]) != keeper).then_some(())
        });
    }
    assert_eq!(window.value_of(&id, "x"), "41");
    assert_eq!(window.session(&id)["pid"], session["pid"]);
}

#[test]
fn what_is_stopped_outlives_its_keeper() {
    for (what, signal) in [("kernel", "KILL"), ("kernel", "TERM"), ("child", "KILL"), ("child", "TERM")] {
        let world = World::new();
        let notebook = world.notebook("draft.ipynb", &["1"]);
        let mut window = world.window();
        let session = window.start(&notebook);
        let id = id_of(&session["id"]);
        let (kernel, keeper) = (pid_of(&session["pid"]), pid_of(&session["keeperPid"]));
        let start = "import os, signal, subprocess; x = 41; child = subprocess.Popen(['sleep', '600'])";
        window.run(&id, start);
        let child: u32 = window.value_of(&id, "child.pid").parse().unwrap();
        let stopped = if what == "kernel" { kernel } else { child };
        kill(stopped, "STOP");
        kill(keeper, signal);
        eventually("the keeper is gone", PATIENCE, || (!is_alive(keeper)).then_some(()));
        eventually("another keeper", PATIENCE, || {
            (window.session(&id)["keeperPid"] != session["keeperPid"]).then_some(())
        });
        assert!(is_alive(kernel) && is_alive(child), "{what} stopped, keeper got {signal}");
        kill(stopped, "CONT");
        assert_eq!(window.value_of(&id, "x"), "41", "{what} {signal}");
    }
}

#[test]
fn what_a_killed_kernel_had_started_ends_with_it() {
    let world = World::new();
    let mut window = world.window();
    for keeper_too in [false, true] {
        let notebook = world.notebook(&format!("draft-{keeper_too}.ipynb"), &["1"]);
        let session = window.start(&notebook);
        let id = id_of(&session["id"]);
        let start = "import subprocess; own = subprocess.Popen(['sleep', '600'])\n\
                     apart = subprocess.Popen(['sleep', '600'], start_new_session=True)";
        window.run(&id, start);
        let pid =
            |window: &mut Window, name: &str| window.value_of(&id, &format!("{name}.pid")).parse().unwrap();
        let (own, apart): (u32, u32) = (pid(&mut window, "own"), pid(&mut window, "apart"));
        if keeper_too {
            kill(pid_of(&session["keeperPid"]), "KILL");
        }
        kill(pid_of(&session["pid"]), "KILL");
        eventually("the session has ended", PATIENCE, || {
            (window.session(&id)["state"] == "ended").then_some(())
        });
        eventually("its child has ended", PATIENCE, || (!is_alive(own)).then_some(()));
        assert!(is_alive(apart), "a session of its own was made on purpose");
        kill(apart, "KILL");
    }
}

#[test]
fn a_limit_of_file_sizes_kills_no_keeper() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = limited(&world, "ulimit -f 2048");
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    let flood = window.execute(&id, "for i in range(40_000): print('line', i, 'y' * 100)\nx = 41");
    eventually("the journal cannot grow", PATIENCE, || {
        let warnings = window.session(&id)["warnings"].to_string();
        warnings.contains("cannot be written").then_some(())
    });
    let now = window.session(&id);
    assert_eq!((&now["keeperPid"], &now["pid"]), (&session["keeperPid"], &session["pid"]));
    assert!(is_alive(pid_of(&session["keeperPid"])));
    drop(flood);
}

/// A window whose sidecar, and whatever that starts, has less than it might.
fn limited(world: &World, limit: &str) -> Window {
    let script = world.work().join("limited");
    let program = world.command();
    let program = program.get_program().to_string_lossy().into_owned();
    std::fs::write(&script, format!("#!/bin/bash\n{limit}\nexec '{program}' \"$@\"\n")).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = std::process::Command::new(&script);
    for (name, value) in world.command().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(world.work());
    let mut window = world.spawn_with(command);
    window.initialize(crate::world::initialize(&[world.work()], json!({})));
    window
}

/// Fifteen descriptors for itself, and four for each kernel.
#[test]
fn a_window_that_may_open_few_files_follows_many_kernels() {
    let world = World::new();
    let mut other = world.window();
    let mut window = limited(&world, "ulimit -n 32");
    for number in 0..4 {
        let notebook = world.notebook(&format!("draft-{number}.ipynb"), &["1"]);
        let id = id_of(&other.start(&notebook)["id"]);
        window.subscribe(&id, 0);
        let execution = other.execute(&id, "print('said')");
        other.done(&id, &execution);
        eventually("it is told", PATIENCE, || {
            let events = window.events(&id);
            let is_over = events.iter().any(|event| event["event"]["kind"] == "finished");
            let is_said = events.iter().any(|event| event["event"]["output"]["text"] == "said\n");
            (is_over && is_said).then_some(())
        });
    }
}

/// A kernelspec whose kernel is started through a script.
fn through(world: &World, name: &str, script: &str, metadata: Value) {
    let folder = world.jupyter().join("kernels").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join("start");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let spec = json!({
        "argv": [program, kernels::python(), "{connection_file}"], "display_name": name, "language": "python",
        "metadata": metadata,
    });
    std::fs::write(folder.join("kernel.json"), spec.to_string()).unwrap();
}

fn transport(world: &World, id: &str) -> Value {
    let file = world.runtime().join(id).join("kernel.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn a_kernel_is_spoken_with_in_the_way_that_works() {
    let world = World::new();
    let run = "exec \"$1\" -m ipykernel_launcher -f \"$2\"\n";
    // Another machine, or a container: sockets in our folders are nothing there.
    through(&world, "elsewhere", &format!("#!/bin/sh\ngrep -q tcp \"$2\" || exit 3\n{run}"), json!({}));
    // xeus: endpoints of 31 characters at most.
    let short = format!("#!/bin/sh\ngrep -q '\"/tmp/kk-....../k\"' \"$2\" || exit 3\n{run}");
    through(&world, "short", &short, json!({}));
    through(&world, "told", &format!("#!/bin/sh\n{run}"), json!({ "kernel_keeper": { "transport": "tcp" } }));
    let mut window = world.window();
    for (name, expect) in [("elsewhere", "tcp"), ("short", "ipc"), ("told", "tcp")] {
        let notebook = world.notebook(&format!("{name}.ipynb"), &["1"]);
        let asked = json!({ "notebookUri": uri(&notebook), "kernelName": name });
        let session = window.ok("keeper/startSession", asked)["session"].clone();
        let id = id_of(&session["id"]);
        assert_eq!(window.value_of(&id, "6 * 7"), "42", "{name}");
        let before = transport(&world, &id);
        assert_eq!(before["transport"], expect, "{name}");
        assert_eq!(session["warnings"], json!([]), "{name}");
        // What was found is known at a restart, and to whoever adopts it.
        window.ok("keeper/restartSession", json!({ "sessionId": id }));
        let keeper = window.session(&id)["keeperPid"].clone();
        kill(pid_of(&keeper), "KILL");
        eventually("another keeper", PATIENCE, || (window.session(&id)["keeperPid"] != keeper).then_some(()));
        assert_eq!(window.value_of(&id, "6 * 7"), "42", "{name}");
        assert_eq!(transport(&world, &id)["transport"], expect, "{name}");
        window.ok("keeper/stopSession", json!({ "sessionId": id }));
        if let Some(folder) = Path::new(before["ip"].as_str().unwrap()).parent().filter(|_| name == "short") {
            assert!(!folder.exists(), "{} is left", folder.display());
        }
    }
}

#[test]
fn a_kernel_that_may_open_few_files_lives() {
    let world = World::new();
    let script = "#!/bin/sh\nulimit -n 64\nexec \"$1\" -m ipykernel_launcher -f \"$2\"\n";
    through(&world, "few", script, json!({}));
    let mut window = world.window();
    let asked = json!({ "notebookUri": uri(&world.notebook("draft.ipynb", &["1"])), "kernelName": "few" });
    let session = window.ok("keeper/startSession", asked)["session"].clone();
    let id = id_of(&session["id"]);
    assert!(session["warnings"].to_string().contains("may drop output"), "{session}");
    // Two files are left to it: code may find that too few, but nothing of ours takes them.
    for _ in 0..3 {
        let execution = window.execute(&id, "x = 42");
        window.done(&id, &execution);
        let keeper = window.session(&id)["keeperPid"].clone();
        kill(pid_of(&keeper), "KILL");
        eventually("another keeper", PATIENCE, || {
            let now = window.session(&id);
            (now["keeperPid"] != keeper && now["state"] == "idle").then_some(())
        });
    }
    assert_eq!(window.session(&id)["pid"], session["pid"]);
}

#[test]
fn a_kernel_that_cannot_start_says_why_whatever_was_tried() {
    let world = World::new();
    through(&world, "broken", "#!/bin/sh\necho 'no such module' >&2\nexit 3\n", json!({}));
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let asked = json!({ "notebookUri": uri(&notebook), "kernelName": "broken" });
    let failure = window.fails("keeper/startSession", asked, "KernelFailed");
    assert!(failure.message.contains("no such module"), "{failure:?}");
    assert_eq!(window.live(), [] as [String; 0]);
}

#[test]
fn a_question_that_nobody_heard_is_asked_after_the_adoption() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    let asked = world.work().join("asked");
    let code = format!(
        "import time\nwhile not __import__('os').path.exists({asked:?}): time.sleep(0.05)\nx = input('name? ')"
    );
    let execution = window.execute(&id, &code);
    window.until_status(&id, &execution, &["running"]);
    window.close();
    kill(pid_of(&session["keeperPid"]), "KILL");
    eventually("the keeper is gone", PATIENCE, || (!is_alive(pid_of(&session["keeperPid"]))).then_some(()));
    std::fs::write(&asked, "").unwrap();
    // Its thread waits in a system call of its own by then.
    let waits = || {
        let tasks = format!("/proc/{}/task/{}/syscall", session["pid"], session["pid"]);
        std::fs::read_to_string(tasks).is_ok_and(|call| call.starts_with("7 ") || call.starts_with("270 "))
    };
    eventually("it asks", PATIENCE, || waits().then_some(()));
    let mut window = world.window();
    eventually("the question is had again", PATIENCE, || {
        (window.session(&id)["currentExecution"]["input"]["prompt"] == "name? ").then_some(())
    });
    window.ok("keeper/replyInput", json!({ "sessionId": id, "executionId": execution, "value": "Ada" }));
    assert_eq!(window.done(&id, &execution)["status"], "ok");
    assert_eq!(window.value_of(&id, "x"), "'Ada'");
}

#[test]
fn a_journal_that_is_removed_under_its_keeper_comes_back() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    window.subscribe(&id, 0);
    let first = window.execute_cell(&id, 0, "print('before')");
    window.done(&id, &first);
    for end in ["", "-wal", "-shm"] {
        std::fs::remove_file(world.session_dir(&id).join(format!("journal.db{end}"))).unwrap();
    }
    eventually("it is there again", PATIENCE, || {
        world.session_dir(&id).join("journal.db").exists().then_some(())
    });
    window.run(&id, "print('after')");
    assert_eq!(window.stream(&id, "c0"), "before\n");
    window.wait_for("keeper/executionEvent", |event| event["event"]["output"]["text"] == "after\n");
    assert_eq!(window.session(&id)["keeperPid"], session["keeperPid"]);
}

#[test]
fn who_follows_a_journal_that_was_away_misses_nothing() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    window.subscribe(&id, 0);
    window.run(&id, "1");
    let (journal, away) = (world.session_dir(&id).join("journal.db"), world.work().join("away"));
    std::fs::rename(&journal, &away).unwrap();
    std::fs::create_dir(&journal).unwrap();
    let execution = window.execute(&id, "print('meanwhile')");
    window.wait_for_long(PATIENCE, "window/logMessage", |said| {
        said["message"].as_str().is_some_and(|text| text.contains("cannot read"))
    });
    std::fs::remove_dir(&journal).unwrap();
    std::fs::rename(&away, &journal).unwrap();
    window.wait_finished(&execution);
    window.wait_for("keeper/executionEvent", |event| event["event"]["output"]["text"] == "meanwhile\n");
}

#[test]
fn a_kernel_is_not_ended_where_it_could_not_be_started_again() {
    let world = World::new();
    let folder = world.work().join("project");
    std::fs::create_dir(&folder).unwrap();
    let notebook = folder.join("draft.ipynb");
    crate::world::write_notebook(&notebook, &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    let ran = window.run(&id, "x = 41");
    let gone = world.work().join("renamed");
    std::fs::rename(&folder, &gone).unwrap();
    let said = window.fails("keeper/restartSession", json!({ "sessionId": id }), "KernelFailed");
    assert!(said.message.contains(&*folder.to_string_lossy()), "{said:?}");
    let replay = json!({ "sessionId": id, "executionId": ran["executionId"] });
    window.fails("keeper/replayTo", replay, "KernelFailed");
    assert_eq!(window.value_of(&id, "x"), "41", "nothing was ended");
    assert_eq!(window.live().len(), 1, "and nothing else is left");
    // Where the notebook is known to have moved along, its folder is the kernel's.
    let target = json!({ "sessionId": id, "targetNotebookUri": uri(&gone.join("draft.ipynb")) });
    window.ok("keeper/attachSession", target);
    window.ok("keeper/restartSession", json!({ "sessionId": id }));
    let here = window.value_of(&id, "__import__('os').getcwd()");
    assert_eq!(here, format!("'{}'", gone.canonicalize().unwrap().display()));
}

#[test]
fn what_a_kernel_said_after_its_keeper_and_before_its_end_is_told_as_a_gap() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    let execution =
        window.execute(&id, "import time\nwhile True: print('line', flush=True); time.sleep(0.05)");
    eventually("it prints", PATIENCE, || {
        window.execution(&id, &execution)["startedAt"].is_string().then_some(())
    });
    window.close();
    kill(pid_of(&session["keeperPid"]), "KILL");
    kill(pid_of(&session["pid"]), "KILL");
    let mut window = world.window();
    eventually("it is lost", PATIENCE, || (window.session(&id)["endReason"] == "lost").then_some(()));
    window.subscribe(&id, 0);
    window.wait_for("keeper/executionEvent", |event| {
        event["executionId"] == execution.as_str() && event["event"]["status"] == "lost"
    });
    assert_eq!(gaps(&window, &id).len(), 1);
}
