//! Notebooks that went and came back as another file: found by what is in them, and offered as the guess it is.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::offers::{actions, answer, ensure, pushed};
use crate::world::{World, id_of, uri, write_notebook};

const CELLS: &[&str] = &["a = 1", "b = 2", "c = 3"];

/// A notebook whose cells ran.
fn ran(world: &World, window: &mut Window, name: &str) -> (std::path::PathBuf, String) {
    let notebook = world.notebook(name, CELLS);
    let id = id_of(&window.start(&notebook)["id"]);
    for (number, code) in CELLS.iter().enumerate() {
        let execution = window.execute_cell(&id, number as u32, code);
        window.done(&id, &execution);
    }
    (notebook, id)
}

fn message(offer: &Value) -> &str {
    offer["message"].as_str().unwrap()
}

/// As version control does it: the old file goes, a new one comes.
fn written_anew(from: &Path, to: &Path, cells: &[&str]) {
    fs::remove_file(from).unwrap();
    write_notebook(to, cells);
}

#[test]
fn a_notebook_that_was_written_anew_under_another_name_is_a_guess() {
    let world = World::new();
    let mut window = world.window();
    let (draft, id) = ran(&world, &mut window, "draft.ipynb");
    let renamed = world.work().join("final.ipynb");
    written_anew(&draft, &renamed, &["a = 1", "b = 2", "c = 4"]);
    let offer = pushed(&window, 0, "migrate", &renamed);
    assert!(message(&offer).starts_with("final.ipynb looks like draft.ipynb, which is gone."), "{offer}");
    assert_eq!(offer["fromNotebookUri"], uri(&draft));
    assert_eq!(actions(&offer), ["migrate", "dismiss"]);
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&renamed) }));
    assert_eq!((&found["found"], &found["match"]), (&json!(false), &Value::Null));
    let candidate = &found["candidates"][0];
    assert_eq!((&candidate["session"]["id"], &candidate["match"]), (&json!(id), &json!("content")));
    assert!((candidate["score"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9, "{found}");
    // Nobody is there to say yes: a guess is left alone, whatever the setting.
    let unasked = json!({ "notebookUri": uri(&renamed), "ask": false });
    let fresh = window.ok("keeper/ensureSession", unasked);
    assert_eq!(fresh["outcome"], "started");
    window.ok("keeper/stopSession", json!({ "sessionId": fresh["session"]["id"] }));
    let asked = ensure(&mut window, &renamed);
    assert_eq!((&asked["outcome"], &asked["offer"]["kind"]), (&json!("ask"), &json!("migrate")), "{asked}");
    let migrated = answer(&mut window, &asked["offer"], "migrate");
    assert_eq!((&migrated["outcome"], &migrated["session"]["id"]), (&json!("migrated"), &json!(id)));
    assert_eq!(window.value_of(&id, "a + b + c"), "6");

    // Declined: not asked again for this move, however it is seen.
    let again = world.work().join("again.ipynb");
    let mark = window.mark();
    written_anew(&renamed, &again, CELLS);
    let offer = pushed(&window, mark, "migrate", &again);
    answer(&mut window, &offer, "dismiss");
    let mark = window.mark();
    window.open(&again);
    let third = world.notebook("third.ipynb", &["other = 1"]);
    let canary = id_of(&window.start(&third)["id"]);
    fs::rename(&third, world.work().join("fourth.ipynb")).unwrap();
    pushed(&window, mark, "migrate", &world.work().join("fourth.ipynb"));
    let offers = window.ok("keeper/openOffers", json!({}));
    assert_eq!(offers["offers"].as_array().unwrap().len(), 1, "{offers}");
    assert_eq!(window.session(&canary)["notebookExists"], false);
}

#[test]
fn one_that_was_written_anew_while_no_editor_was_open_is_found_by_the_next() {
    let world = World::new();
    let mut window = world.window();
    let (draft, id) = ran(&world, &mut window, "draft.ipynb");
    // A copy that was there before the last run is no successor.
    fs::copy(&draft, world.work().join("old copy.ipynb")).unwrap();
    window.run(&id, "d = 4");
    let (moved, other) = ran(&world, &mut window, "moved.ipynb");
    window.close();
    fs::rename(&moved, world.work().join("by mv.ipynb")).unwrap();
    let folder = world.work().join("deep/er");
    fs::create_dir_all(&folder).unwrap();
    let renamed = folder.join("final.ipynb");
    written_anew(&draft, &renamed, CELLS);
    fs::write(world.work().join("broken.ipynb"), "{").unwrap();
    // On starting in that workspace, without opening it.
    let mut window = world.window_with(json!({ "settings": { "onRename": "migrate" } }));
    let offer = pushed(&window, 0, "migrate", &renamed);
    assert!(message(&offer).contains("looks like"), "a guess is asked about whatever the setting: {offer}");
    answer(&mut window, &offer, "dismiss");
    // Another one, whose file was renamed, follows by the setting.
    eventually("the other kernel followed its file", PATIENCE, || {
        (window.session(&other)["notebookPath"] == json!(world.work().join("by mv.ipynb"))).then_some(())
    });
    window.close();
    // On opening it, wherever it is.
    let outside = tempfile::tempdir().unwrap();
    let elsewhere = outside.path().join("elsewhere.ipynb");
    written_anew(&renamed, &elsewhere, CELLS);
    let mut window = world.window();
    window.open(&elsewhere);
    let offer = pushed(&window, 0, "migrate", &elsewhere);
    let migrated = answer(&mut window, &offer, "migrate");
    assert_eq!(migrated["session"]["id"], json!(id));
    assert_eq!(window.value_of(&id, "a + d"), "5");
}

#[test]
fn one_whose_old_name_another_notebook_has_is_found_by_its_file_at_the_next_start() {
    let world = World::new();
    let mut window = world.window();
    let (draft, id) = ran(&world, &mut window, "draft.ipynb");
    let other = world.notebook("other.ipynb", &["p = 1", "q = 2"]);
    window.close();
    let renamed = world.work().join("final.ipynb");
    fs::rename(&draft, &renamed).unwrap();
    fs::rename(&other, &draft).unwrap();
    let mut window = world.window();
    let offer = pushed(&window, 0, "migrate", &renamed);
    assert!(
        message(&offer).starts_with("draft.ipynb is now final.ipynb."),
        "its own file: no guess: {offer}"
    );
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&renamed) }));
    assert_eq!((&found["match"], &found["session"]["id"]), (&json!("file"), &json!(id)));
    answer(&mut window, &offer, "migrate");
    assert_eq!(window.value_of(&id, "a + b + c"), "6");
    assert_eq!(window.session(&id)["notebookPath"], json!(renamed));
}

#[test]
fn what_is_not_clear_is_asked_when_it_is_opened() {
    let world = World::new();
    let mut window = world.window();
    let (one, first) = ran(&world, &mut window, "one.ipynb");
    let (two, second) = ran(&world, &mut window, "two.ipynb");
    // Two that are gone, and one that looks like both.
    let both = world.work().join("both.ipynb");
    fs::remove_file(&two).unwrap();
    written_anew(&one, &both, CELLS);
    window.open(&both);
    let offer = pushed(&window, 0, "pick", &both);
    let (pick_one, pick_two) = (format!("session:{first}"), format!("session:{second}"));
    let mut can = actions(&offer);
    can.sort();
    let mut expected = vec!["fresh".to_owned(), pick_one, pick_two.clone()];
    expected.sort();
    assert_eq!(can, expected, "{offer}");
    let picked = answer(&mut window, &offer, &pick_two);
    assert_eq!((&picked["outcome"], &picked["session"]["id"]), (&json!("migrated"), &json!(second)));
    // The other one alone is left: it is looked for among those that come.
    let mark = window.mark();
    let came = world.notebook("came.ipynb", CELLS);
    let offer = pushed(&window, mark, "migrate", &came);
    assert_eq!(offer["sessions"][0]["id"], json!(first));
}

#[test]
fn a_folder_with_many_notebooks_asks_for_those_that_run() {
    let world = World::new();
    let mut window = world.window();
    let folder = world.work().join("folder");
    fs::create_dir(&folder).unwrap();
    for number in 0..1_000 {
        write_notebook(&folder.join(format!("n{number}.ipynb")), CELLS);
    }
    let running = [3, 500, 999].map(|number| {
        let notebook = folder.join(format!("n{number}.ipynb"));
        let id = id_of(&window.start(&notebook)["id"]);
        let execution = window.execute_cell(&id, 0, CELLS[0]);
        window.done(&id, &execution);
        (number, id)
    });
    let moved = world.work().join("moved");
    let mark = window.mark();
    fs::rename(&folder, &moved).unwrap();
    for (number, id) in &running {
        let offer = pushed(&window, mark, "migrate", &moved.join(format!("n{number}.ipynb")));
        assert_eq!(offer["sessions"][0]["id"], json!(id));
        assert!(!message(&offer).contains("looks like"));
    }
    // All of them are looked at: one that came last is heard of after them.
    let last = world.notebook("last.ipynb", &["1"]);
    let id = id_of(&window.start(&last)["id"]);
    let renamed = world.work().join("renamed.ipynb");
    fs::rename(&last, &renamed).unwrap();
    pushed(&window, mark, "migrate", &renamed);
    let offers = window.ok("keeper/openOffers", json!({}))["offers"].as_array().unwrap().len();
    assert_eq!(offers, 4);
    for (number, id) in &running {
        let all = window.ok("keeper/openOffers", json!({}));
        let target = uri(&moved.join(format!("n{number}.ipynb")));
        let offer =
            all["offers"].as_array().unwrap().iter().find(|o| o["notebookUri"] == json!(target)).unwrap();
        assert_eq!(answer(&mut window, offer, "migrate")["session"]["id"], json!(id));
    }
    eventually("the others are as they were", PATIENCE, || {
        (window.session(&id)["state"] == "idle").then_some(())
    });
}
