//! Questions for the user: what raises them, where they go, how they are answered, when they are moot.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::kernels;
use crate::world::{World, id_of, is_alive, pid_of, uri, write_notebook};

pub fn ensure(window: &mut Window, notebook: &std::path::Path) -> Value {
    window.ok("keeper/ensureSession", json!({ "notebookUri": uri(notebook) }))
}

pub fn answer(window: &mut Window, offer: &Value, action: &str) -> Value {
    window.ok("keeper/answerOffer", json!({ "offerId": offer["offerId"], "action": action }))
}

pub fn actions(offer: &Value) -> Vec<String> {
    offer["actions"].as_array().unwrap().iter().map(|a| id_of(&a["action"])).collect()
}

/// The offer of a kind on a notebook, once it is pushed.
pub fn pushed(window: &Window, mark: usize, kind: &str, notebook: &std::path::Path) -> Value {
    let is_it = |p: &Value| p["offer"]["kind"] == kind && p["offer"]["notebookUri"] == uri(notebook);
    window.wait_after(mark, "keeper/offer", is_it)["offer"].clone()
}

pub fn withdrawn(window: &Window, offer: &Value) {
    window.wait_for("keeper/offerWithdrawn", |p| p["offerId"] == offer["offerId"]);
}

#[test]
fn ensure_has_every_outcome() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    // Nothing is there: the notebook's own kernelspec is started.
    let started = ensure(&mut window, &notebook);
    assert_eq!(
        (&started["outcome"], &started["session"]["kernel"]["name"]),
        (&json!("started"), &json!(kernels::PYTHON))
    );
    assert_eq!(started["lastExecution"], Value::Null);
    let id = id_of(&started["session"]["id"]);
    window.run(&id, "x = 1");
    let attached = ensure(&mut window, &notebook);
    assert_eq!(
        (&attached["outcome"], &attached["lastExecution"]["code"]),
        (&json!("attached"), &json!("x = 1"))
    );

    // Another window is asked; without asking it resumes.
    let mut other = world.window();
    let asked = ensure(&mut other, &notebook);
    assert_eq!((&asked["outcome"], &asked["session"]["id"]), (&json!("ask"), &json!(id)));
    let offer = &asked["offer"];
    let message = id_of(&offer["message"]);
    assert!(message.ends_with(". It is open and live in another window. Resume?"), "{message}");
    assert_eq!(offer["running"], Value::Null);
    assert_eq!(
        (offer["kind"].as_str(), actions(offer)),
        (Some("resume"), vec!["resume".to_owned(), "fresh".to_owned()])
    );
    let message = offer["message"].as_str().unwrap();
    let pid = attached["session"]["pid"].as_u64().unwrap();
    assert!(
        message.starts_with(&format!("draft.ipynb's kernel (PID {pid}) has been running since ")),
        "{message}"
    );
    assert_eq!(offer["sessions"][0]["id"], json!(id));
    assert_eq!(
        ensure(&mut other, &notebook)["offer"]["offerId"],
        offer["offerId"],
        "one question a notebook"
    );
    other.refuses(
        "keeper/answerOffer",
        json!({ "offerId": offer["offerId"], "action": "migrate" }),
        "action",
    );
    let quiet = json!({ "notebookUri": uri(&notebook), "ask": false });
    assert_eq!(other.ok("keeper/ensureSession", quiet.clone())["outcome"], "resumed");
    assert_eq!(other.ok("keeper/ensureSession", quiet.clone())["outcome"], "attached");
    other.fails(
        "keeper/answerOffer",
        json!({ "offerId": offer["offerId"], "action": "resume" }),
        "OfferGone",
    );
    eventually("both windows have it", PATIENCE, || {
        (window.session(&id)["windows"].as_array()?.len() == 2).then_some(())
    });

    // Another kernel than the live one is a question too.
    kernels::write(
        &world.jupyter(),
        "second",
        &json!({ "argv": [kernels::python(), "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Second", "language": "python" }),
    );
    let second = json!({ "notebookUri": uri(&notebook), "kernelName": "second" });
    let asked = window.ok("keeper/ensureSession", second);
    assert_eq!((&asked["outcome"], &asked["offer"]["kernelName"]), (&json!("ask"), &json!("second")));
    let fresh = answer(&mut window, &asked["offer"], "fresh");
    assert_eq!(
        (&fresh["outcome"], &fresh["session"]["kernel"]["name"]),
        (&json!("started"), &json!("second"))
    );
    assert_eq!(window.session(&id)["endReason"], "stopped");
    window.fails(
        "keeper/ensureSession",
        json!({ "notebookUri": uri(&notebook), "kernelName": "none" }),
        "KernelspecNotFound",
    );

    // Moved while nobody looked: by file. Without asking it is migrated.
    let id = id_of(&fresh["session"]["id"]);
    window.close();
    other.close();
    let moved = world.work().join("moved.ipynb");
    std::fs::rename(&notebook, &moved).unwrap();
    let mut window = world.window();
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&moved) }));
    assert_eq!((&found["match"], &found["session"]["id"]), (&json!("file"), &json!(id)));
    assert_eq!(found["session"]["notebookExists"], false);
    let asked = ensure(&mut window, &moved);
    assert_eq!((&asked["outcome"], &asked["offer"]["kind"]), (&json!("ask"), &json!("migrate")));
    let quiet = json!({ "notebookUri": uri(&moved), "ask": false });
    let migrated = window.ok("keeper/ensureSession", quiet);
    assert_eq!(
        (&migrated["outcome"], &migrated["session"]["notebookPath"]),
        (&json!("migrated"), &json!(moved))
    );
    window.fails(
        "keeper/answerOffer",
        json!({ "offerId": asked["offer"]["offerId"], "action": "migrate" }),
        "OfferGone",
    );

    // No kernel is named, and several could be meant.
    let unnamed = world.work().join("unnamed.ipynb");
    write_notebook(&unnamed, &["1"]);
    let text = std::fs::read_to_string(&unnamed).unwrap().replace("\"kernelspec\"", "\"other\"");
    std::fs::write(&unnamed, text).unwrap();
    let asked = ensure(&mut window, &unnamed);
    assert_eq!((&asked["outcome"], &asked["offer"]["kind"]), (&json!("ask"), &json!("pick")));
    let picks = actions(&asked["offer"]);
    let second = picks.iter().find(|a| a.ends_with("second")).expect("each kernelspec has an action");
    let picked = answer(&mut window, &asked["offer"], second);
    assert_eq!(
        (&picked["outcome"], &picked["session"]["kernel"]["name"]),
        (&json!("started"), &json!("second"))
    );
    let specs = window.ok("keeper/listKernelspecs", json!({ "notebookUri": uri(&unnamed) }));
    let names: Vec<&Value> = specs["kernelspecs"].as_array().unwrap().iter().map(|s| &s["name"]).collect();
    assert!(names.contains(&&json!("second")) && names.contains(&&json!(kernels::PYTHON)), "{specs}");
    assert_eq!(specs["kernelspecs"][0]["source"], "jupyter");
}

#[test]
fn an_offer_goes_to_one_window_and_is_answered_once() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut first = world.window();
    let session = first.start(&notebook);
    let id = id_of(&session["id"]);
    first.close();
    let (mut one, mut two) = (world.window(), world.window());
    one.open(&notebook);
    let offer = pushed(&one, 0, "resume", &notebook);
    assert_eq!(one.ok("keeper/openOffers", json!({}))["offers"][0]["offerId"], offer["offerId"]);
    assert_eq!(two.ok("keeper/openOffers", json!({}))["offers"], json!([]));
    assert_eq!(two.told("keeper/offer"), Vec::<Value>::new());
    // The same question in the other window, and both answer: one wins.
    assert_eq!(ensure(&mut two, &notebook)["offer"]["offerId"], offer["offerId"]);
    let params = json!({ "offerId": offer["offerId"], "action": "resume" });
    let (a, b) = (one.begin("keeper/answerOffer", params.clone()), two.begin("keeper/answerOffer", params));
    let answers = [one.finish(a), two.finish(b)];
    let failures: Vec<_> = answers.iter().filter_map(|a| a.as_ref().err()).collect();
    assert_eq!(failures.len(), 1, "{answers:?}");
    assert_eq!(failures[0].kind(), "OfferGone");

    // When the window that was asked ends, the question moves on.
    let other = world.notebook("other.ipynb", &["1"]);
    let mut third = world.window();
    third.start(&other);
    third.close();
    let mark = two.mark();
    one.open(&other);
    let offer = pushed(&one, 0, "resume", &other);
    one.kill();
    two.open(&other);
    let moved = pushed(&two, mark, "resume", &other);
    assert_eq!(moved["offerId"], offer["offerId"]);
    // It is moot when the kernel is gone.
    two.ok("keeper/stopSession", json!({ "sessionId": moved["sessions"][0]["id"] }));
    withdrawn(&two, &moved);
    assert_eq!(two.ok("keeper/openOffers", json!({}))["offers"], json!([]));

    // Dismissed: not again until it is opened or run again.
    let mut late = world.window();
    late.open(&notebook);
    let offer = pushed(&late, 0, "resume", &notebook);
    assert_eq!(answer(&mut late, &offer, "dismiss")["outcome"], "dismissed");
    assert_eq!(late.ok("keeper/openOffers", json!({}))["offers"], json!([]));
    let mark = late.mark();
    late.close_notebook(&notebook);
    late.open(&notebook);
    pushed(&late, mark, "resume", &notebook);
    assert_eq!(late.session(&id)["state"], "idle");
}

#[test]
fn a_rename_on_disk_is_offered_and_followed() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let (mut window, other) = (world.window(), world.window());
    window.open(&notebook);
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    window.run(&id, "x = 40");
    let renamed = world.work().join("final.ipynb");
    let begun = Instant::now();
    std::fs::rename(&notebook, &renamed).unwrap();
    let (told, at) = window.wait_timed(0, "keeper/offer", |p| p["offer"]["kind"] == "migrate");
    let took = at.duration_since(begun);
    eprintln!("offered {took:?} after the rename");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let offer = told["offer"].clone();
    assert_eq!(offer["notebookUri"], uri(&renamed));
    assert_eq!(actions(&offer), ["migrate", "dismiss"]);
    let message = offer["message"].as_str().unwrap();
    assert!(message.contains("draft.ipynb") && message.contains("final.ipynb"), "{message}");
    assert_eq!(window.session(&id)["notebookExists"], false);
    // Moved back: moot. Moved again: another offer.
    std::fs::rename(&renamed, &notebook).unwrap();
    withdrawn(&window, &offer);
    let mark = window.mark();
    std::fs::rename(&notebook, &renamed).unwrap();
    let offer = pushed(&window, mark, "migrate", &renamed);
    let migrated = answer(&mut window, &offer, "migrate");
    assert_eq!((&migrated["outcome"], &migrated["session"]["id"]), (&json!("migrated"), &json!(id)));
    assert_eq!(migrated["session"]["label"], "final.ipynb");
    assert_eq!(migrated["session"]["startedAt"], session["startedAt"]);
    other.wait_for("keeper/sessionUpdated", |p| p["session"]["notebookPath"] == json!(renamed));
    assert_eq!(window.value_of(&id, "x + 2"), "42");
    let history = window.ok("keeper/executionHistory", json!({ "notebookUri": uri(&renamed) }));
    assert_eq!(history["executions"][1]["code"], "x = 40");
    assert_eq!(history["executions"][1]["notebookUri"], uri(&renamed));
    let old = window.ok("keeper/executionHistory", json!({ "notebookUri": uri(&notebook) }));
    assert_eq!(old["executions"], json!([]));
    // Only the window that has it attached was asked.
    assert_eq!(other.told("keeper/offer"), Vec::<Value>::new());

    // A whole folder; then one that is declined: not asked again about this move.
    let folder = world.work().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let inside = folder.join("final.ipynb");
    let mark = window.mark();
    std::fs::rename(&renamed, &inside).unwrap();
    let offer = pushed(&window, mark, "migrate", &inside);
    answer(&mut window, &offer, "migrate");
    let elsewhere = world.work().join("elsewhere");
    let mark = window.mark();
    std::fs::rename(&folder, &elsewhere).unwrap();
    let offer = pushed(&window, mark, "migrate", &elsewhere.join("final.ipynb"));
    answer(&mut window, &offer, "dismiss");
    let again = window.told("keeper/offer").len();
    window.open(&elsewhere.join("final.ipynb"));
    assert_eq!(window.ok("keeper/openOffers", json!({}))["offers"], json!([]));
    window.ok("keeper/listSessions", json!({}));
    assert_eq!(window.told("keeper/offer").len(), again, "declined moves are not asked about again");
    assert!(is_alive(pid_of(&session["pid"])));
}

#[test]
fn a_rename_while_no_editor_was_open_is_offered_when_it_is_opened() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["a = 1", "b = 2"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    window.execute_cell(&id, 0, "a = 1");
    let last = window.execute_cell(&id, 1, "b = 2");
    window.done(&id, &last);
    window.close();
    let renamed = world.work().join("final.ipynb");
    std::fs::rename(&notebook, &renamed).unwrap();
    let mut window = world.window();
    window.open(&renamed);
    let offer = pushed(&window, 0, "migrate", &renamed);
    assert_eq!(answer(&mut window, &offer, "migrate")["outcome"], "migrated");
    assert_eq!(window.value_of(&id, "a + b"), "3");
    // Another file with the same cells, in place of one that is gone: a candidate, nothing more.
    window.close();
    std::fs::remove_file(&renamed).unwrap();
    let copy = world.notebook("copy.ipynb", &["a = 1", "b = 2"]);
    let unlike = world.notebook("unlike.ipynb", &["c = 3"]);
    let mut window = world.window();
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&copy) }));
    assert_eq!(found["found"], false);
    // The probe of `value_of` is a third cell that ran.
    assert_eq!(found["candidates"][0]["session"]["id"], json!(id), "{found}");
    assert!(found["candidates"][0]["score"].as_f64() > Some(0.6));
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&unlike) }));
    assert_eq!(found["candidates"], json!([]));
}

#[test]
fn a_notebook_that_was_saved_as_a_new_file_while_nobody_watched_is_followed() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    window.run(&id, "x = 1");
    window.close();
    let mut from = notebook;
    for (round, way) in ["by us", "by another program"].into_iter().enumerate() {
        if way == "by us" {
            world.cli_ok(["save", from.to_str().unwrap()]);
        } else {
            let beside = world.work().join("beside.tmp");
            std::fs::copy(&from, &beside).unwrap();
            std::fs::rename(&beside, &from).unwrap();
        }
        let mut window = world.window();
        window.open(&from);
        let asked = window.ok("keeper/ensureSession", json!({ "notebookUri": uri(&from), "ask": false }));
        assert_eq!(asked["session"]["id"], json!(id), "{way}");
        let renamed = world.work().join(format!("final-{round}.ipynb"));
        let mark = window.mark();
        std::fs::rename(&from, &renamed).unwrap();
        let offer = pushed(&window, mark, "migrate", &renamed);
        assert_eq!(answer(&mut window, &offer, "migrate")["outcome"], "migrated", "{way}");
        window.close();
        from = renamed;
    }
}

#[test]
fn a_rename_in_the_editor_is_followed_without_a_question() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    window.open(&notebook);
    let id = id_of(&window.start(&notebook)["id"]);
    window.run(&id, "x = 40");
    let renamed = world.work().join("final name.ipynb");
    let files = json!({ "files": [{ "oldUri": uri(&notebook), "newUri": uri(&renamed) }] });
    window.ok("workspace/willRenameFiles", files.clone());
    std::fs::rename(&notebook, &renamed).unwrap();
    window.notify("workspace/didRenameFiles", files);
    window.wait_for("keeper/sessionUpdated", |p| p["session"]["notebookPath"] == json!(renamed));
    assert_eq!(window.value_of(&id, "x + 2"), "42");
    let again = ensure(&mut window, &renamed);
    assert_eq!(again["outcome"], "attached");
    // A folder with the notebook in it.
    let folder = world.work().join("folder");
    let inside = folder.join("inside.ipynb");
    std::fs::create_dir(&folder).unwrap();
    let files = json!({ "files": [{ "oldUri": uri(&renamed), "newUri": uri(&inside) }] });
    window.ok("workspace/willRenameFiles", files.clone());
    std::fs::rename(&renamed, &inside).unwrap();
    window.notify("workspace/didRenameFiles", files);
    let other = world.work().join("other folder");
    window.wait_for("keeper/sessionUpdated", |p| p["session"]["notebookPath"] == json!(inside));
    let files = json!({ "files": [{ "oldUri": uri(&folder), "newUri": uri(&other) }] });
    window.ok("workspace/willRenameFiles", files.clone());
    std::fs::rename(&folder, &other).unwrap();
    window.notify("workspace/didRenameFiles", files);
    let last = other.join("inside.ipynb");
    window.wait_for("keeper/sessionUpdated", |p| p["session"]["notebookPath"] == json!(last));
    assert_eq!(window.told("keeper/offer"), Vec::<Value>::new());
}

#[test]
fn settings_decide_without_asking() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut first = world.window();
    let session = first.start(&notebook);
    let id = id_of(&session["id"]);
    first.close();
    let mut window = world.window_with(json!({ "settings": { "onOpen": "resume", "onRename": "migrate" } }));
    let resumed = ensure(&mut window, &notebook);
    assert_eq!((&resumed["outcome"], &resumed["session"]["id"]), (&json!("resumed"), &json!(id)));
    window.open(&notebook);
    let renamed = world.work().join("renamed.ipynb");
    std::fs::rename(&notebook, &renamed).unwrap();
    window.wait_for("keeper/sessionUpdated", |p| p["session"]["notebookPath"] == json!(renamed));
    // Changed while it runs.
    window.notify(
        "workspace/didChangeConfiguration",
        json!({ "settings": { "kernelKeeper": { "onRename": "ignore" } } }),
    );
    // Answered after it was taken; the disk could be faster.
    window.ok("keeper/listSessions", json!({}));
    let again = world.work().join("again.ipynb");
    std::fs::rename(&renamed, &again).unwrap();
    eventually("the file is known to be gone", PATIENCE, || {
        (window.session(&id)["notebookExists"] == false).then_some(())
    });
    assert_eq!(window.told("keeper/offer"), Vec::<Value>::new());
    std::fs::rename(&again, &renamed).unwrap();
    window.close();
    // `fresh` acts at the first run, on a kernel that nobody uses.
    let mut window = world.window_with(json!({ "settings": { "onOpen": "fresh" } }));
    window.open(&renamed);
    window.ok("keeper/openOffers", json!({}));
    assert_eq!(window.live(), std::slice::from_ref(&id));
    let let_go = |window: &mut Window| (window.session(&id)["windows"] == json!([])).then_some(());
    eventually("the other window let go", PATIENCE, || let_go(&mut window));
    let asked = json!({ "notebookUri": uri(&renamed), "kernelName": kernels::PYTHON });
    let fresh = window.ok("keeper/ensureSession", asked);
    assert_eq!(fresh["outcome"], "started", "{fresh}");
    assert_ne!(fresh["session"]["id"], json!(id));
    assert!(!is_alive(pid_of(&session["pid"])));
    // A busy one is asked about.
    let id = id_of(&fresh["session"]["id"]);
    let busy = window.execute(&id, "import time; time.sleep(600)");
    window.until_status(&id, &busy, &["running"]);
    let mut other = world.window_with(json!({ "settings": { "onOpen": "fresh" } }));
    assert_eq!(ensure(&mut other, &renamed)["outcome"], "ask");
}
