//! The command line does from a shell what the editor does.

use serde_json::{Value, json};

use crate::driver::{PATIENCE, eventually};
use crate::kernels;
use crate::world::{World, id_of, is_alive, memory, pid_of, text, uri};

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn run_exec_list_history_save_attach_stop() {
    let world = World::new();
    let cells =
        ["print('one')\nx = 41", "x + 1", "# nothing", "from IPython.display import HTML\nHTML('<b>1</b>')"];
    let notebook = world.notebook("draft.ipynb", &cells);
    let path = notebook.to_str().unwrap();
    assert_eq!(parse(&world.cli_ok(["list", "--json"])), json!([]));
    let done = world.cli(["run", path]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let out = text(&done.stdout);
    assert!(out.contains("one\n") && out.contains("42\n"), "{out}");

    let listed = parse(&world.cli_ok(["list", "--json"]));
    let session = &listed[0];
    let (id, pid) = (id_of(&session["id"]), pid_of(&session["pid"]).to_string());
    assert_eq!(
        (&session["label"], &session["state"], &session["windows"]),
        (&json!("draft.ipynb"), &json!("idle"), &json!([]))
    );
    let table = world.cli_ok(["list"]);
    assert!(
        table.contains("draft.ipynb")
            && table.contains(&pid)
            && table.contains("idle")
            && !table.contains('\u{1b}'),
        "{table}"
    );
    // The window sees what the shell did, objects alike.
    let mut window = world.window();
    assert_eq!(window.session(&id)["startedAt"], session["startedAt"]);

    // By id, PID, and notebook; exit codes.
    assert_eq!(world.cli_ok(["exec", &id, "print(x)"]), "41\n");
    assert_eq!(world.cli_ok(["exec", &pid, "x + 2"]), "43\n");
    assert_eq!(world.cli_ok(["exec", path, "print('ä', end='')"]), "ä");
    let failed = world.cli(["exec", &id, "1/0"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("ZeroDivisionError"), "{failed:?}");
    let unknown = world.cli(["exec", "no-such", "1"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        text(&unknown.stderr).starts_with("error: ") && text(&unknown.stderr).contains("help: "),
        "{unknown:?}"
    );
    let odd = world.work().join("notes.txt");
    std::fs::write(&odd, "{").unwrap();
    let broken = world.work().join("broken.ipynb");
    std::fs::write(&broken, "{").unwrap();
    for (command, path) in
        [("run", "absent.ipynb"), ("run", "broken.ipynb"), ("save", "notes.txt"), ("history", "notes.txt")]
    {
        let done = world.cli([command, path]);
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{command} {path}: {said}");
        assert!(said.starts_with("error: ") && said.contains("help: ") && said.contains(path), "{said}");
        assert!(!said.contains("notebook: ") && !said.contains("Uri"), "{said}");
    }
    for wrong in [
        &["exec"][..],
        &["no-such-command"],
        &["list", "--no-such"],
        &["stop"],
        &["history", path, "--limit", "0"],
    ] {
        let done = world.cli(wrong.iter().copied());
        assert_eq!(done.status.code(), Some(2), "{wrong:?}: {done:?}");
        assert!(done.stdout.is_empty());
    }

    let history = parse(&world.cli_ok(["history", path, "--json", "--limit", "100"]));
    assert!(history.as_array().unwrap().len() >= 6, "{history}");
    let origins: Vec<&Value> = history.as_array().unwrap().iter().map(|e| &e["origin"]).collect();
    assert!(origins.iter().all(|o| **o == "cli"), "{origins:?}");
    assert_eq!(
        parse(&world.cli_ok(["history", path, "--json", "--limit", "1"])).as_array().unwrap().len(),
        1
    );
    assert!(world.cli_ok(["history", path]).contains("ZeroDivisionError"));

    // Into the file: outputs and counts, only where the source is what ran.
    let mut changed: Value = parse(&std::fs::read_to_string(&notebook).unwrap());
    changed["cells"][3]["source"] = json!("edited()");
    std::fs::write(&notebook, changed.to_string()).unwrap();
    let said = world.cli(["save", path]);
    assert!(said.status.success(), "{said:?}");
    let saved: Value = parse(&std::fs::read_to_string(&notebook).unwrap());
    let of = |i: usize| saved["cells"][i]["outputs"].clone();
    let lines = |v: &Value| match v {
        Value::Array(lines) => lines.iter().map(|l| l.as_str().unwrap()).collect::<String>(),
        text => text.as_str().unwrap_or_default().to_owned(),
    };
    assert_eq!(lines(&of(0)[0]["text"]), "one\n", "{saved}");
    assert_eq!(saved["cells"][0]["execution_count"], 1);
    assert_eq!(lines(&of(1)[0]["data"]["text/plain"]), "42");
    assert_eq!((of(3), &saved["cells"][3]["source"]), (json!([]), &json!("edited()")));
    assert!(
        (text(&said.stdout) + &text(&said.stderr)).contains("c3"),
        "the edited cell is listed as left out: {said:?}"
    );
    // Refused while an editor has edits that are not saved.
    window.open(&notebook);
    let change = json!({ "notebookDocument": { "uri": uri(&notebook), "version": 2 }, "change": {} });
    window.notify("notebookDocument/didChange", change);
    eventually("save is refused", PATIENCE, || {
        (world.cli(["save", path]).status.code() == Some(1)).then_some(())
    });

    // Given to another notebook.
    let other = world.notebook("other.ipynb", &["1"]);
    let mark = window.mark();
    world.cli_ok(["attach", &id, other.to_str().unwrap()]);
    window.wait_after(mark, "keeper/sessionUpdated", |p| p["session"]["notebookPath"] == json!(other));
    assert_eq!(window.session(&id)["notebookPath"], json!(other));
    let absent = world.cli(["attach", &id, "absent.ipynb"]);
    assert_eq!(absent.status.code(), Some(1));
    world.cli_ok(["logs", &id]);

    world.cli_ok(["stop", "other.ipynb"]);
    window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == id.as_str());
    assert!(!is_alive(pid.parse().unwrap()));
    assert_eq!(parse(&world.cli_ok(["list", "--json"])), json!([]));
    assert_eq!(parse(&world.cli_ok(["list", "--json", "--all"]))[0]["endReason"], "stopped");
    world.cli_ok(["stop", "--all"]);
}

#[test]
fn run_detached_goes_on_without_us() {
    let world = World::new();
    let cells =
        ["import time\nfor i in range(60):\n    print(i, flush=True); time.sleep(0.05)", "done = True"];
    let notebook = world.notebook("night.ipynb", &cells);
    let path = notebook.to_str().unwrap();
    world.cli_ok(["run", path, "--detach"]);
    let session = parse(&world.cli_ok(["list", "--json"]))[0].clone();
    assert!(session["state"] == "busy" || session["queued"] != 0, "{session}");
    eventually("both cells have run", PATIENCE, || {
        let history = parse(&world.cli_ok(["history", path, "--json"]));
        history.as_array().unwrap().iter().all(|e| e["status"] == "ok").then_some(())
    });
    // Nobody looks: the keeper waits with one thread, and takes little; that of a debug build more.
    let keeper = pid_of(&session["keeperPid"]);
    let most = if std::env::var_os("KERNEL_KEEPER_BINARY").is_some() { 6_000_000 } else { 24_000_000 };
    eventually("an idle keeper is small", PATIENCE, || {
        (memory(keeper, "smaps_rollup", "Pss") <= most).then_some(())
    });
    assert_eq!(std::fs::read_dir(format!("/proc/{keeper}/task")).unwrap().count(), 1);
    let id = id_of(&session["id"]);
    let mut window = world.window();
    assert_eq!(window.stream(&id, "c0"), (0..60).map(|i| format!("{i}\n")).collect::<String>());
    // A failing cell stops the run, and is the exit code.
    let fails = world.notebook("fails.ipynb", &["1/0", "print('never')"]);
    let done = world.cli(["run", fails.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(!text(&done.stdout).contains("never"));
    let unknown = world.cli(["run", fails.to_str().unwrap(), "--kernel", "no-such"]);
    assert_eq!(unknown.status.code(), Some(1));
}

#[test]
fn completions_man_and_version() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(world.cli_ok(["completions", shell]).contains("kernel-keeper"));
    }
    assert!(world.cli_ok(["man"]).contains(".TH"));
    assert!(world.cli_ok(["--version"]).starts_with("kernel-keeper "));
    assert!(world.cli_ok(["--help"]).contains("list"));
    assert!(!world.cli_ok(["--help"]).contains("keep --session"));
    assert_eq!(world.cli(["completions", "no-such-shell"]).status.code(), Some(2));
    let specs = parse(&world.cli_ok(["kernelspecs", "--json"]));
    assert!(specs.as_array().unwrap().iter().any(|s| s["name"] == kernels::PYTHON), "{specs}");
}

#[test]
fn a_kernel_that_is_not_pythons() {
    let world = World::new();
    let language = kernels::install_other(&world.jupyter());
    assert_ne!(language, "python");
    let notebook = world.notebook("other.ipynb", &["1"]);
    let mut window = world.window();
    let asked = json!({ "notebookUri": uri(&notebook), "kernelName": kernels::OTHER });
    let session = window.ok("keeper/startSession", asked)["session"].clone();
    let id = id_of(&session["id"]);
    assert_eq!(session["kernel"]["language"], json!(language));
    // What most languages read as a number, and print as it is.
    let answer = window.value_of(&id, "40 + 2");
    assert!(answer.contains("42"), "{answer}");
    let keeper = pid_of(&session["keeperPid"]);
    window.close();
    crate::world::kill(keeper, "KILL");
    let mut window = world.window();
    assert_eq!(window.session(&id)["pid"], session["pid"], "it is adopted as well");
    assert!(window.value_of(&id, "20 + 1").contains("21"));
    let anew = window.ok("keeper/restartSession", json!({ "sessionId": id }))["session"].clone();
    assert_ne!(anew["pid"], session["pid"]);
    assert!(window.value_of(&id, "20 + 2").contains("22"));
}

#[test]
fn who_begins_to_look_is_told_what_is_so_now() {
    let world = World::new();
    let notebook =
        world.notebook("draft.ipynb", &["x = bytearray(b'1') * 300_000_000", "import time; time.sleep(600)"]);
    world.cli_ok(["run", notebook.to_str().unwrap(), "--detach"]);
    eventually("the second cell runs", PATIENCE, || {
        let listed = parse(&world.cli_ok(["list", "--json"]));
        (listed[0]["currentExecution"]["cellIndex"] == 1).then_some(())
    });
    // Who saw it begin may have been told of the memory a moment before; who looks now is not.
    let bytes = parse(&world.cli_ok(["list", "--json"]))[0]["memoryBytes"].as_u64().unwrap();
    assert!(bytes > 300_000_000, "{bytes}");
    world.cli_ok(["stop", "--all"]);
}

/// Gives a cell tags.
fn tag(notebook: &std::path::Path, cell: usize, tags: &[&str]) {
    let mut file = parse(&std::fs::read_to_string(notebook).unwrap());
    file["cells"][cell]["metadata"] = json!({ "tags": tags });
    std::fs::write(notebook, file.to_string()).unwrap();
}

#[test]
fn tags_say_which_cells_may_fail_and_which_are_not_run() {
    let world = World::new();
    let notebook =
        world.notebook("draft.ipynb", &["1/0", "print('goes on')", "print('never')", "print('end')"]);
    let path = notebook.to_str().unwrap();
    tag(&notebook, 0, &["other", "raises-exception"]);
    tag(&notebook, 2, &["skip-execution"]);
    let mut file = parse(&std::fs::read_to_string(&notebook).unwrap());
    let old = json!([{ "output_type": "stream", "name": "stdout", "text": "of before\n" }]);
    file["cells"][2]["outputs"] = old.clone();
    std::fs::write(&notebook, file.to_string()).unwrap();
    let done = world.cli(["run", path]);
    let (out, said) = (text(&done.stdout), text(&done.stderr));
    assert_eq!(done.status.code(), Some(0), "{out}{said}");
    assert!(out.contains("goes on\nend\n") && !out.contains("never"), "{out}");
    assert!(said.contains("cell 1: failed, which its tag") && said.contains("3 cells"), "{said}");
    assert!(said.contains("1 tagged skip-execution"), "{said}");
    world.cli_ok(["save", path]);
    let saved = parse(&std::fs::read_to_string(&notebook).unwrap());
    assert_eq!(saved["cells"][0]["outputs"][0]["ename"], "ZeroDivisionError", "the error stands in its cell");
    assert_eq!(saved["cells"][2]["outputs"], old, "what is not run keeps its outputs");
    // One that is not tagged ends it as ever, whatever failed before.
    tag(&notebook, 2, &[]);
    let mut file = parse(&std::fs::read_to_string(&notebook).unwrap());
    file["cells"][2]["source"] = "undefined".into();
    std::fs::write(&notebook, file.to_string()).unwrap();
    let done = world.cli(["run", path]);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let (out, said) = (text(&done.stdout), text(&done.stderr));
    assert!(out.contains("goes on\n") && !out.contains("end"), "{out}");
    assert!(said.contains("cell 3: failed\n") && said.contains("cell 4: aborted"), "{said}");
}
