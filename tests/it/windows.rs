//! Who is looking: windows with and without a sidecar, their life, and what becomes of their kernels' attachments.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::world::{World, id_of, kill};

/// A process that is called as an editor is.
pub struct Editor(Child);

impl Editor {
    pub fn start(folder: &Path, name: &str) -> Editor {
        let program = folder.join(name);
        std::fs::copy(which("sleep"), &program).expect("a program");
        Editor(Command::new(program).arg("600").spawn().expect("a process"))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        self.end();
    }
}

fn which(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file()).expect("a program")
}

fn windows(window: &mut Window, asked: Value) -> (Vec<Value>, u64) {
    let answer = window.ok("keeper/listWindows", asked);
    (answer["windows"].as_array().expect("windows").clone(), answer["active"].as_u64().expect("active"))
}

fn about(editor: u32, folder: &str, issue: u32) -> Value {
    json!({ "window": { "editorPid": editor, "editorName": "Code", "folder": folder, "repo": "owner/name",
        "issueNumber": issue, "status": "coding", "isIntervention": issue == 2 } })
}

#[test]
fn windows_are_found_by_repository_and_issue() {
    let world = World::new();
    let mut editor = Editor::start(&world.work(), "code");
    let other = Editor::start(&world.work(), "codec");
    let mut first = world.window_with(about(editor.pid(), "/one", 1));
    let mut second = world.window_with(about(other.pid(), "/two", 2));
    let (found, active) = windows(&mut first, json!({}));
    assert_eq!((found.len(), active), (2, 1), "{found:?}");
    let (found, active) = windows(&mut first, json!({ "repo": "Owner/Name", "issueNumber": 2 }));
    assert_eq!((found.len(), active), (1, 0), "{found:?}");
    let expected = json!({ "folder": "/two", "repo": "owner/name", "issueNumber": 2, "status": "coding",
        "isIntervention": true, "editorPid": other.pid(), "editorName": "Code", "state": "active",
        "thisWindow": false, "reconnectCount": 0, "sessions": [] });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&found[0][name], value, "{name}");
    }
    assert_eq!(found[0]["windowId"], second.id.as_str());
    assert!(found[0]["startedAt"].is_string() && found[0]["lastSeenAt"].is_string());
    let (mine, _) = windows(&mut second, json!({ "folder": "/two" }));
    assert_eq!(mine[0]["thisWindow"], true);
    assert_eq!(windows(&mut first, json!({ "repo": "no/body" })).0.len(), 0);
    // What others say of a window is not taken back by its sidecar's signs of life.
    let said = json!({ "windowId": second.id, "status": "review", "issueNumber": null });
    let changed = first.ok("keeper/updateWindow", said)["window"].clone();
    assert_eq!((&changed["status"], &changed["issueNumber"]), (&json!("review"), &Value::Null));
    second.open(&world.notebook("draft.ipynb", &["1"]));
    second.ok("keeper/openOffers", json!({}));
    assert_eq!(windows(&mut first, json!({ "folder": "/two" })).0[0]["status"], "review");
    editor.end();
    assert_eq!(windows(&mut second, json!({})).1, 0);
    second.close();
    let (left, _) = windows(&mut first, json!({}));
    assert_eq!(left.len(), 1);
    let (all, _) = windows(&mut first, json!({ "includeDisconnected": true }));
    let gone = all.iter().find(|w| w["folder"] == "/two").expect("the window that is gone");
    assert_eq!(gone["state"], "disconnected");
    first.fails("keeper/updateWindow", json!({ "windowId": "nobody" }), "NotFound");
    first.refuses("keeper/updateWindow", json!({ "windowId": second.id, "issueNumber": "x" }), "issueNumber");
    first.refuses("keeper/listWindows", json!({ "repo": 3 }), "repo");
    first.refuses("keeper/addWindow", json!({}), "folder");
}

#[test]
fn repository_and_issue_come_from_the_folder() {
    let world = World::new();
    let git = world.work().join(".git");
    std::fs::create_dir(&git).unwrap();
    std::fs::write(git.join("config"), "[remote \"origin\"]\n\turl = git@github.com:owner/name.git\n")
        .unwrap();
    std::fs::write(git.join("HEAD"), "ref: refs/heads/123-fix-x\n").unwrap();
    let quick = json!({ "settings": { "windows": { "cleanUpIntervalSeconds": 0.2 } } });
    let mut window = world.window_with(quick);
    let (found, _) = windows(&mut window, json!({ "issueNumber": 123 }));
    assert_eq!(found[0]["repo"], "owner/name");
    std::fs::write(git.join("HEAD"), "ref: refs/heads/124-y\n").unwrap();
    eventually("the other branch is seen", PATIENCE, || {
        (windows(&mut window, json!({ "issueNumber": 124 })).0.len() == 1).then_some(())
    });
}

#[test]
fn windows_without_a_sidecar() {
    let world = World::new();
    let mut window = world.window();
    let mut editor = Editor::start(&world.work(), "codium");
    let added = json!({ "folder": "/elsewhere", "repo": "o/n", "issueNumber": 7, "editorPid": editor.pid() });
    let added = window.ok("keeper/addWindow", added)["window"].clone();
    assert_eq!((&added["state"], &added["repo"]), (&json!("active"), &json!("o/n")));
    let again =
        window.ok("keeper/addWindow", json!({ "folder": "/elsewhere", "status": "done" }))["window"].clone();
    assert_eq!((&again["windowId"], &again["issueNumber"]), (&added["windowId"], &json!(7)));
    let (found, active) = windows(&mut window, json!({ "repo": "o/n" }));
    assert_eq!((found.len(), active, &found[0]["status"]), (1, 1, &json!("done")));
    editor.end();
    let (found, active) = windows(&mut window, json!({ "repo": "o/n" }));
    assert_eq!((found.len(), active), (0, 0));
    // A process of that number that is no editor.
    let changed = json!({ "windowId": added["windowId"], "editorPid": std::process::id() });
    assert_eq!(window.ok("keeper/updateWindow", changed)["window"]["state"], "disconnected");
    assert_eq!(
        window.ok("keeper/removeWindow", json!({ "folder": "/elsewhere" })),
        json!({ "removed": true })
    );
    assert_eq!(
        window.ok("keeper/removeWindow", json!({ "folder": "/elsewhere" })),
        json!({ "removed": false })
    );
    // A window that is there is not forgotten.
    let folder = world.work().to_string_lossy().into_owned();
    assert_eq!(window.ok("keeper/removeWindow", json!({ "folder": folder })), json!({ "removed": false }));
    assert_eq!(windows(&mut window, json!({})).0.len(), 1);
}

#[test]
fn a_silent_window_is_disconnected_and_comes_back() {
    let world = World::new();
    let quick = json!({ "settings": { "windows": { "silentAfterSeconds": 4, "cleanUpIntervalSeconds": 0.3,
        "forgetAfterHours": 0.0005 } } });
    let mut frozen = world.window_with(quick.clone());
    let mut other = world.window_with(quick);
    let id = id_of(&frozen.start(&world.notebook("draft.ipynb", &["1"]))["id"]);
    frozen.run(&id, "x = 42");
    eventually("the other window sees who looks", PATIENCE, || {
        (other.session(&id)["windows"].as_array()?.len() == 1).then_some(())
    });
    let mark = other.mark();
    kill(frozen.pid(), "STOP");
    other.wait_after(mark, "keeper/sessionDisconnected", |p| p["session"]["id"] == id.as_str());
    assert_eq!(other.session(&id)["windows"], json!([]));
    let (there, _) = windows(&mut other, json!({}));
    assert_eq!(there.len(), 1);
    let health = other.ok("keeper/health", json!({}));
    assert_eq!(health["windows"], json!({ "active": 1, "disconnected": 1, "total": 2 }));
    assert_eq!(health["sessions"], json!({ "active": 0, "disconnected": 1, "ended": 0, "total": 1 }));
    kill(frozen.pid(), "CONT");
    eventually("it is there again", PATIENCE, || (windows(&mut other, json!({})).0.len() == 2).then_some(()));
    eventually("it looks again", PATIENCE, || {
        (other.session(&id)["windows"].as_array()?.len() == 1).then_some(())
    });
    assert_eq!(frozen.value_of(&id, "x"), "42");
    // One that was killed, and one that left, are forgotten after a while.
    frozen.kill();
    let all = json!({ "includeDisconnected": true });
    eventually("it is forgotten", PATIENCE, || (windows(&mut other, all.clone()).0.len() == 1).then_some(()));
    assert_eq!(other.session(&id)["state"], "idle");
}

#[test]
fn there_is_a_limit_for_live_sessions() {
    let world = World::new();
    let mut window = world.window_with(json!({ "settings": { "maxSessions": 1 } }));
    let first = window.start(&world.notebook("a.ipynb", &["1"]));
    let asked = json!({ "notebookUri": crate::world::uri(&world.notebook("b.ipynb", &["1"])),
        "kernelName": crate::kernels::PYTHON });
    let refused = window.fails("keeper/startSession", asked.clone(), "LimitReached");
    assert!(refused.message.contains("maxSessions"), "{}", refused.message);
    window.ok("keeper/stopSession", json!({ "sessionId": first["id"] }));
    window.ok("keeper/startSession", asked);
}

#[test]
fn health_tells_what_happened() {
    let world = World::new();
    let mut window = world.window();
    let id = id_of(&window.start(&world.notebook("draft.ipynb", &["1"]))["id"]);
    let mut short = world.window();
    short.close();
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
    let health = window.ok("keeper/health", json!({}));
    assert_eq!(health["sessions"], json!({ "active": 0, "disconnected": 0, "ended": 1, "total": 1 }));
    // The bands are those of windows: both were heard of just now, and no kernel is left.
    assert_eq!(health["ages"], json!({ "healthy": 2, "aging": 0, "stale": 0 }));
    let day =
        json!({ "connects": 2, "disconnects": 1, "reconnects": 0, "expiredTokens": 0, "rejectedTokens": 0 });
    assert_eq!(health["last24h"], day);
    let kinds: Vec<&str> =
        health["recent"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["sessionEnded", "windowDisconnected", "windowConnected", "sessionStarted", "windowConnected"]
    );
    let ended = &health["recent"][0];
    assert_eq!(
        (&ended["sessionId"], &ended["label"], &ended["detail"]),
        (&json!(id), &json!("draft.ipynb"), &json!("stopped"))
    );
    for bytes in ["registryBytes", "journalBytes"] {
        assert!(health["store"][bytes].as_u64().unwrap() > 1_000, "{health}");
    }
    assert_eq!(health["store"]["assetBytes"], 0);
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn windows_and_health_from_a_shell() {
    let world = World::new();
    let mut window = world.window();
    let folder = world.work().join("elsewhere");
    let shown = folder.to_string_lossy().into_owned();
    let added = world.cli_ok(["windows", "add", "elsewhere/", "--repo", "o/n", "--issue", "7", "--json"]);
    let added = json_of(&added);
    assert_eq!((&added["folder"], &added["issueNumber"]), (&json!(shown), &json!(7)));
    let id = id_of(&added["windowId"]);
    world.cli_ok(["windows", "set", &id, "--status", "review", "--intervention", "--repo", ""]);
    let found = json_of(&world.cli_ok(["windows", "--json", "--issue", "7"]));
    let found = &found["windows"][0];
    assert_eq!(
        (&found["status"], &found["isIntervention"], &found["repo"]),
        (&json!("review"), &json!(true), &Value::Null)
    );
    let text = world.cli_ok(["windows"]);
    assert!(text.contains(&window.id) && text.contains(&shown), "{text}");
    // A coordinator's file, there and back.
    let file = world.work().join("a/b/store.json");
    world.cli_ok(["windows", "export", &file.to_string_lossy()]);
    let store = json_of(&std::fs::read_to_string(&file).unwrap());
    let entry = store["sessions"].as_array().unwrap().iter().find(|e| e["folder"] == shown.as_str()).unwrap();
    let fields: Vec<&str> = entry.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["folder", "repo", "issue_number", "status", "vscode_pid", "started_at", "is_intervention"];
    assert_eq!(fields, expected);
    assert!(store["last_updated"].is_string());
    assert_eq!(world.cli_ok(["windows", "remove", "elsewhere"]), format!("Forgot {shown}.\n"));
    assert_eq!(json_of(&world.cli_ok(["windows", "--json"]))["windows"].as_array().unwrap().len(), 1);
    world.cli_ok(["windows", "import", &file.to_string_lossy()]);
    let back = json_of(&world.cli_ok(["windows", "--json", "--issue", "7"]))["windows"][0].clone();
    assert_eq!((&back["status"], &back["startedAt"]), (&json!("review"), &entry["started_at"]));
    // Absent, damaged, and half right.
    let gone = world.cli(["windows", "import", "no/such.json"]);
    assert!(gone.status.success() && gone.stderr.is_empty(), "{gone:?}");
    std::fs::write(&file, "{ not json").unwrap();
    let damaged = world.cli(["windows", "import", &file.to_string_lossy()]);
    assert!(damaged.status.success(), "{damaged:?}");
    assert!(String::from_utf8_lossy(&damaged.stderr).starts_with("warning: "), "{damaged:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{ not json");
    let editor = Editor::start(&world.work(), "cursor");
    let entries = json!([{ "folder": "/f", "repo": "x/y", "issue_number": 3, "status": "s", "vscode_pid": editor.pid(),
        "started_at": "2020-01-01T00:00:00Z", "is_intervention": false }, { "nothing": 1 }]);
    std::fs::write(&file, json!({ "sessions": entries, "last_updated": "2020-01-01T00:00:00Z" }).to_string())
        .unwrap();
    let half = world.cli(["windows", "import", &file.to_string_lossy()]);
    assert!(String::from_utf8_lossy(&half.stderr).contains("passed over"), "{half:?}");
    // The process of that number began later than the window: it is another one.
    let all = json_of(&world.cli_ok(["windows", "--json", "--all", "--repo", "x/y"]));
    assert_eq!((&all["windows"][0]["state"], &all["active"]), (&json!("disconnected"), &json!(0)));
    let missing = world.cli(["windows", "set", "nobody", "--status", "x"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&missing.stderr).contains("help: kernel-keeper windows --all"),
        "{missing:?}"
    );
    let health = world.cli_ok(["health"]);
    assert!(health.contains("Windows") && health.contains("window connected"), "{health}");
    let same = window.ok("keeper/health", json!({}));
    let shell = json_of(&world.cli_ok(["health", "--json"]));
    for part in ["sessions", "windows", "last24h"] {
        assert_eq!(shell[part], same[part], "{part}");
    }
}
