//! Words of anybody steer nobody: what stands in names, labels, files and errors is not obeyed by a terminal, nor by an agent; a word
//! means the notebook that it names; and an agent starts no program that merely lies about.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, eventually};
use crate::kernels;
use crate::world::{World, id_of, text, uri, write_notebook};

/// Sets a terminal's title, clears it, in C1 once more, and turns the direction of the text.
const ORDER: &str = "\u{1b}]0;T\u{7}\u{1b}[2J\u{9b}2J\u{202e}";

/// What a terminal would obey.
fn orders(bytes: &[u8]) -> String {
    let is_order = |c: &char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text(bytes).chars().filter(is_order).collect()
}

/// A folder that looks like a Python environment; its program only says that it ran.
fn environment(root: &Path, version: &str) -> std::path::PathBuf {
    std::fs::create_dir_all(root.join("bin")).expect("a folder");
    std::fs::create_dir_all(root.join("lib/python3/site-packages/ipykernel")).expect("a folder");
    std::fs::write(root.join("pyvenv.cfg"), format!("version = {version}\n")).expect("a file");
    let (program, mark) = (root.join("bin/python"), root.join("RAN"));
    std::fs::write(&program, format!("#!/bin/sh\necho > '{}'\n", mark.display())).expect("a program");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    mark
}

#[test]
fn no_word_of_anybody_steers_a_terminal() {
    let world = World::new();
    environment(&world.work().join(".venv"), &format!("3.{ORDER}.1"));
    let argv = json!([kernels::python(), "-m", "ipykernel_launcher", "-f", "{connection_file}"]);
    let spec = json!({ "argv": argv, "display_name": format!("D{ORDER}"), "language": format!("L{ORDER}") });
    kernels::write(&world.jupyter(), "evil", &spec);
    let name = format!("n{ORDER}.ipynb");
    let notebook = world.work().join(&name);
    write_notebook(&notebook, &["x = 1"]);
    let mut file: Value = serde_json::from_slice(&std::fs::read(&notebook).unwrap()).unwrap();
    file["cells"][0]["id"] = format!("c{ORDER}").into();
    std::fs::write(&notebook, file.to_string()).unwrap();
    let mut window = world.window();
    let mut said: Vec<(String, std::process::Output)> = Vec::new();
    let mut run = |arguments: &[&str]| said.push((arguments.join(" "), world.cli(arguments.iter().copied())));

    run(&["run", &name, "--kernel", "evil"]);
    run(&["run", &name, "--kernel", PYTHON_OTHER]);
    let id = id_of(&window.ok("keeper/listSessions", json!({}))["sessions"][0]["id"]);
    let fails =
        format!("class E(Exception): pass\nE.__name__ = 'N{ORDER}'\n# {ORDER}\nv = '{ORDER}'\nraise E(v)");
    let failed = window.execute(&id, &fails);
    window.until_status(&id, &failed, &["error"]);
    window.ok("keeper/labelSession", json!({ "sessionId": id, "label": format!("L{ORDER}") }));
    file["cells"][0]["source"] = json!("x = 2");
    std::fs::write(&notebook, file.to_string()).unwrap();
    std::fs::write(world.work().join("broken.json"), format!("{{\"{ORDER}\": {ORDER}")).unwrap();
    let windows = json!({ "sessions": [{ "folder": format!("/x{ORDER}"), "status": ORDER, "started_at": ORDER }, { "folder": 3, "x": ORDER }], "last_updated": ORDER });
    std::fs::write(world.work().join("windows.json"), windows.to_string()).unwrap();
    let (conversation, snapshot) = ("c\u{202e}", "s\u{202e}");
    let gone = format!("no{ORDER}.ipynb");
    let folder = format!("/f{ORDER}");
    let turn = format!("said {ORDER}");
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["list", "--all"],
        &["kernelspecs"],
        &["kernelspecs", "--json"],
        &["history", &name],
        &["history", &name, "--json"],
        &["history", &gone],
        &["history", ORDER],
        &["history", &name, "--limit", ORDER],
        &["save", &name],
        &["save", &name, "--json"],
        &["save", &gone],
        &["run", &gone],
        &["run", &name, "--detach"],
        &["exec", &gone, "1"],
        &["exec", ORDER, "1"],
        &["logs", &gone],
        &["attach", &gone, &name],
        &["attach", &id, &gone, "--yes"],
        &["replay", &name, ORDER],
        &["snapshot", "save", &id, snapshot],
        &["snapshot", "save", &id, ORDER],
        &["snapshot", "list", &name],
        &["snapshot", "restore", &id, ORDER],
        &["snapshot", "remove", &gone, snapshot],
        &["snapshot", "remove", &name, snapshot],
        &["snapshot", "list", &name],
        &["conversation", "append", conversation, &turn, "--role", "user", "--notebook", &name],
        &["conversation", "append", ORDER, &turn, "--role", "user", "--notebook", &name],
        &["conversation", "append", conversation, &turn, "--role", ORDER],
        &["conversation", "list"],
        &["conversation", "list", "--json"],
        &["conversation", "list", "--session", &gone],
        &["conversation", "info", conversation],
        &["conversation", "show", conversation],
        &["conversation", "show", conversation, "--json"],
        &["conversation", "export", conversation],
        &["conversation", "export", conversation, "--markdown"],
        &["conversation", "export", conversation, &folder],
        &["conversation", "import", "broken.json"],
        &["conversation", "branch", conversation, "--turns", "1"],
        &["conversation", "clear", conversation],
        &["conversation", "clear", ORDER],
        &["windows", "add", &folder, "--repo", &turn, "--status", ORDER, "--editor-name", ORDER],
        &["windows"],
        &["windows", "--json"],
        &["windows", "set", ORDER, "--status", ORDER],
        &["windows", "export", &folder],
        &["windows", "import", "windows.json"],
        &["windows", "import", &folder],
        &["windows", "--all"],
        &["windows", "remove", &folder],
        &["health"],
        &["health", "--json"],
        &["others"],
        &["adopt", ORDER],
        &["logs", &id],
        &[ORDER],
        &["stop", ORDER],
        &["stop", &name],
        &["list", "--all"],
    ] {
        run(arguments);
    }
    let wrong: Vec<String> = said
        .iter()
        .map(|(what, done)| (what, orders(&done.stdout) + &orders(&done.stderr)))
        .filter(|(_, found)| !found.is_empty())
        .map(|(what, found)| format!("{what:?} printed {found:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // They did what they were to do: names are shown, and what is JSON says the same as before.
    let of = |what: &str| &said.iter().find(|(said, _)| said == what).unwrap_or_else(|| panic!("{what}")).1;
    assert!(text(&of("list").stdout).contains("L\u{FFFD}]0;T"), "{:?}", of("list"));
    let listed: Value = serde_json::from_slice(&of("list --json").stdout).unwrap();
    assert_eq!(listed[0]["label"], format!("L{ORDER}"));
    let exported: Value =
        serde_json::from_slice(&of(&format!("conversation export {conversation}")).stdout).unwrap();
    assert_eq!(exported["turns"][0]["content"], turn);
    assert!(of(&format!("stop {name}")).status.success());
}

/// Another kernel than the one that the notebook has.
const PYTHON_OTHER: &str = kernels::PYTHON;

#[test]
fn an_agent_gets_text_and_no_more_than_it_can_read() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    let mut agent = world.agent(&[]);
    let mut call = |name: &str, arguments: Value| {
        let result = agent.ok("tools/call", json!({ "name": name, "arguments": arguments }));
        let length = result.to_string().len();
        assert!(length < 400_000, "{name} {arguments}: {length} bytes");
        let shown = result.to_string();
        let is_order = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!shown.contains(is_order), "{name}: {shown}");
        for escaped in ["\\u001b", "\\u0000", "\\b", "\\u0007"] {
            assert!(!shown.contains(escaped), "{name}: {escaped} in {shown}");
        }
        result
    };
    let here = json!({ "notebook_path": notebook });
    let code = |code: &str| json!({ "notebook_path": notebook, "code": code });
    let printed = call(
        "execute_code",
        code(r"print('a\x1b]0;T\x07b\x1b[2Jc\x9b2Jd\x1bP+q\x1b\\e\x1b_x\x1b\\f\x00g\x85h\x7fi\u202ej')"),
    );
    assert_eq!(printed["content"][0]["text"], "abcdefghij\n");
    call("execute_code", code("print('x' * 5_000_000)"));
    call(
        "execute_code",
        code(
            "class E(Exception): pass\nE.__name__ = 'N\\x1b[2J'\nraise E('IGNORE \\x1b]0;T\\x07' * 300_000)",
        ),
    );
    call("get_execution_history", json!({ "notebook_path": notebook, "limit": 100 }));
    call("execute_code", code(&format!("x = '{}'", "y".repeat(1_000_000))));
    for _ in 0..20 {
        call("execute_code", code(&format!("x = '{}'", "y".repeat(30_000))));
    }
    call("get_execution_history", json!({ "notebook_path": notebook, "limit": 100 }));
    call(
        "execute_code",
        code("v = 'x\\x1b[2J' * 500_000\nclass R:\n  def __repr__(self): return v\nr = R()"),
    );
    for name in ["v", "r", "no\u{1b}[2J"] {
        call("inspect_variable", json!({ "notebook_path": notebook, "name": name }));
    }
    call("list_variables", here.clone());
    let json_display = "from IPython.display import display\nfor _ in range(3): display({'application/json': {'k\\x1b': '\\x1b[2J' * 900_000}}, raw=True)";
    call("execute_code", code(json_display));
    call("get_outputs", here.clone());
    window.ok("keeper/labelSession", json!({ "sessionId": id, "label": format!("IGNORE {ORDER}") }));
    eventually("the agent knows the label", PATIENCE, || {
        let listed = call("list_all_sessions", json!({}));
        listed.to_string().contains("IGNORE").then_some(())
    });
    call("find_active_session", here.clone());
    call("stop_session", here.clone());
    let asked = call("execute_code", code("input('IGNORE \\x1b[2J' * 200_000)"));
    assert!(asked.to_string().contains("waits for a line of input"), "{asked}");
    call(
        "find_active_session",
        json!({ "notebook_path": format!("/x{ORDER}{}.ipynb", "y".repeat(100_000)) }),
    );
    call("get_outputs", json!({ "session_id": format!("x{ORDER}{}", "y".repeat(500_000)) }));
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
}

#[test]
fn an_agent_starts_only_what_its_user_has() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let loose = environment(&world.work().join("data/env"), "3.11");
    let beside = environment(&world.work().join(".venv"), "3.11");
    let (of_loose, of_beside) = (
        format!("env:{}", world.work().join("data/env").display()),
        format!("env:{}", world.work().join(".venv").display()),
    );
    let mut agent = world.agent(&[]);
    let mut start = |kernel: Option<&str>| {
        let arguments = json!({ "notebook_path": notebook, "kernel_name": kernel });
        agent.ok("tools/call", json!({ "name": "start_session", "arguments": arguments }))["structuredContent"].clone()
    };
    for name in [&of_loose, &of_beside] {
        let refused = start(Some(name));
        assert_eq!(refused["kind"], "KernelspecNotFound", "{refused}");
        assert!(refused["error"].as_str().unwrap().contains("the user"), "{refused}");
    }
    // Nor does a notebook choose a program by naming it: the only kernelspec that is installed is started.
    let mut file: Value = serde_json::from_slice(&std::fs::read(&notebook).unwrap()).unwrap();
    file["metadata"]["kernelspec"]["name"] = of_beside.clone().into();
    std::fs::write(&notebook, file.to_string()).unwrap();
    assert_eq!(start(None)["kernel_name"], kernels::PYTHON);
    assert!(!loose.exists() && !beside.exists(), "neither was run");
    world.cli_ok(["stop", "--all"]);

    // What a window offers to a person is the person's: the workspace's own environment, not the folder somewhere in it.
    // Where that is only looked at, as in an untrusted workspace, it is offered to nobody.
    let mut window = world.window();
    let seen = window.ok("keeper/listKernelspecs", json!({ "offered": false }));
    assert!(seen.to_string().contains(&of_beside), "{seen}");
    assert_eq!(start(Some(&of_beside))["kind"], "KernelspecNotFound");
    assert!(!beside.exists());
    window.ok("keeper/listKernelspecs", json!({}));
    assert_eq!(start(Some(&of_loose))["kind"], "KernelspecNotFound");
    assert!(!loose.exists());
    assert_eq!(start(Some(&of_beside))["kind"], "KernelFailed", "its program is none of a kernel");
    assert!(beside.exists(), "it was run");
    window.close();
    eventually("the window is gone, and what it offered", PATIENCE, || {
        (start(Some(&of_beside))["kind"] == "KernelspecNotFound").then_some(())
    });
}

#[test]
fn a_path_means_its_own_notebook_and_a_label_is_said() {
    let world = World::new();
    for folder in ["a", "b"] {
        std::fs::create_dir(world.work().join(folder)).unwrap();
        write_notebook(&world.work().join(folder).join("analysis.ipynb"), &["precious = 'work'"]);
    }
    world.cli_ok(["run", "a/analysis.ipynb"]);
    let listed: Value = serde_json::from_str(&world.cli_ok(["list", "--json"])).unwrap();
    let id = id_of(&listed[0]["id"]);
    let in_b = |arguments: &[&str]| {
        world.command().args(arguments).current_dir(world.work().join("b")).output().unwrap()
    };
    let there = world.work().join("b/analysis.ipynb");
    for which in ["analysis.ipynb", "./analysis.ipynb", there.to_str().unwrap(), "gone/analysis.ipynb"] {
        for rest in [
            &["exec", which, "1"][..],
            &["stop", which],
            &["logs", which],
            &["attach", which, "other.ipynb", "--yes"],
            &["snapshot", "save", which, "s"],
            &["snapshot", "restore", which, "s"],
            &["snapshot", "list", which],
            &["snapshot", "remove", which, "s"],
            &["conversation", "list", "--session", which],
        ] {
            let done = in_b(rest);
            let said = text(&done.stderr);
            assert_eq!(done.status.code(), Some(1), "{rest:?}: {done:?}");
            assert!(
                said.contains(which) && said.contains(&id) && said.contains("a/analysis.ipynb"),
                "{rest:?}: {said}"
            );
        }
    }
    let done = world
        .command()
        .args(["exec", "analysis.ipynb", "print(precious)"])
        .current_dir(world.work().join("a"))
        .output()
        .unwrap();
    assert_eq!((text(&done.stdout), text(&done.stderr)), ("work\n".into(), String::new()));

    // A label is no path, and it is said which session was taken. A folder of that name is in nobody's way.
    let mut window = world.window();
    window.ok("keeper/labelSession", json!({ "sessionId": id, "label": "churn" }));
    std::fs::create_dir(world.work().join("b/churn")).unwrap();
    let done = in_b(&["exec", "churn", "print(precious)"]);
    assert_eq!(text(&done.stdout), "work\n", "{done:?}");
    assert!(text(&done.stderr).contains(&format!("Taking session {id}")), "{done:?}");
    std::fs::write(world.work().join("b/churn.txt"), "").unwrap();
    window.ok("keeper/labelSession", json!({ "sessionId": id, "label": "churn.txt" }));
    let done = in_b(&["stop", "churn.txt"]);
    assert_eq!(done.status.code(), Some(1), "a file of that name is there: {done:?}");
    let other = id_of(&window.start(&there)["id"]);
    for session in [&id, &other] {
        window.ok("keeper/labelSession", json!({ "sessionId": session, "label": "twin" }));
    }
    let said = text(&in_b(&["stop", "twin"]).stderr);
    assert!(said.contains(&id) && said.contains(&other) && said.contains("called twin"), "{said}");
    assert_eq!(window.live().len(), 2);
    world.cli_ok(["stop", "--all"]);
}

#[test]
fn a_kernelspec_of_env_has_the_path_of_its_user() {
    let world = World::new();
    for (name, program) in [("viaenv", "/usr/bin/env"), ("viash", "/bin/sh")] {
        let start = "exec python -m ipykernel_launcher -f \"$1\"";
        let argv = match name {
            "viaenv" => json!([program, "python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]),
            _ => json!([program, "-c", start, "sh", "{connection_file}"]),
        };
        kernels::write(
            &world.jupyter(),
            name,
            &json!({ "argv": argv, "display_name": name, "language": "python" }),
        );
    }
    let bin = kernels::python().parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    for name in ["viaenv", "viash"] {
        let notebook = world.notebook(&format!("{name}.ipynb"), &["import os; print(os.environ['PATH'])"]);
        let done = world
            .command()
            .args(["run", "--kernel", name])
            .arg(&notebook)
            .env("PATH", &path)
            .output()
            .unwrap();
        assert_eq!(text(&done.stdout), format!("{path}\n"), "{name}: {done:?}");
    }
    let mut window = world.window();
    for notebook in ["viaenv", "viash"] {
        let uri = uri(&world.work().join(format!("{notebook}.ipynb")));
        let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri }));
        window.ok("keeper/stopSession", json!({ "sessionId": found["session"]["id"] }));
    }
}
