//! A file is one notebook, whatever it is called: links, renames, and what we write ourselves.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::driver::Window;
use crate::kernels;
use crate::world::{World, id_of, text, uri, write_notebook};

fn ensure(window: &mut Window, notebook: &Path) -> Value {
    let asked = json!({ "notebookUri": uri(notebook), "kernelName": kernels::PYTHON, "ask": false });
    window.ok("keeper/ensureSession", asked)
}

#[test]
fn a_notebook_has_one_kernel_under_all_its_spellings() {
    let world = World::new();
    let work = world.work();
    std::fs::create_dir(work.join("real")).unwrap();
    let real = work.join("real/a.ipynb");
    write_notebook(&real, &["x = 41", "x + 1"]);
    std::os::unix::fs::symlink(work.join("real"), work.join("link")).unwrap();
    std::os::unix::fs::symlink(&real, work.join("b.ipynb")).unwrap();
    std::fs::hard_link(&real, work.join("c.ipynb")).unwrap();
    let mut first = world.window();
    first.open(&real);
    let id = id_of(&first.start(&real)["id"]);
    let done = first.execute_cell(&id, 0, "x = 41");
    first.done(&id, &done);

    for spelling in ["link/a.ipynb", "b.ipynb", "c.ipynb", "link/../real/../b.ipynb"] {
        let notebook: PathBuf = work.join(spelling);
        let here = uri(&notebook);
        let mut window = world.window_on(&[work.join("link")], json!({}));
        window.open(&notebook);
        let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": here }));
        assert_eq!((&found["session"]["id"], &found["match"]), (&json!(id), &json!("path")), "{spelling}");
        let ensured = ensure(&mut window, &notebook);
        assert_eq!(
            (&ensured["session"]["id"], &ensured["outcome"]),
            (&json!(id), &json!("resumed")),
            "{spelling}"
        );
        // It is told of under the spelling that it uses, in answers and events.
        assert_eq!(ensured["session"]["notebookUri"], here);
        assert_eq!(window.session(&id)["notebooks"][0]["notebookUri"], here);
        window.subscribe(&id, 0);
        let run = json!({ "sessionId": id, "notebookUri": here, "code": "x + 1", "cell": { "id": "c1", "index": 1 } });
        let execution = id_of(&window.ok("keeper/execute", run)["executionId"]);
        assert_eq!(window.wait_finished(&execution)["notebookUri"], here);
        let cells = window.ok("keeper/cellOutputs", json!({ "sessionId": id, "notebookUri": here }));
        let cell = cells["cells"].as_array().unwrap().iter().find(|cell| cell["cellId"] == "c1").unwrap();
        assert_eq!(
            (&cell["notebookUri"], &cell["outputs"][0]["data"]["text/plain"]),
            (&json!(here), &json!("42"))
        );
        let history = window.ok("keeper/executionHistory", json!({ "notebookUri": here }));
        assert!(history["executions"].as_array().unwrap().iter().all(|e| e["notebookUri"] == here));
        let started = json!({ "notebookUri": here, "kernelName": kernels::PYTHON });
        window.fails("keeper/startSession", started, "NotebookHasSession");
        // The other window has its own.
        assert_eq!(first.session(&id)["notebookUri"], uri(&real));
        assert_eq!(world.cli_ok(["exec", &notebook.to_string_lossy(), "print(x)"]), "41\n");
        window.close_notebook(&notebook);
        assert_eq!(window.live(), std::slice::from_ref(&id), "{spelling}");
    }
    world.cli_ok(["run", &work.join("link/a.ipynb").to_string_lossy()]);
    assert_eq!(first.live(), std::slice::from_ref(&id));
    // A link that leads elsewhere by now is another notebook.
    std::fs::remove_file(work.join("b.ipynb")).unwrap();
    let other = world.notebook("other.ipynb", &["1"]);
    std::os::unix::fs::symlink(&other, work.join("b.ipynb")).unwrap();
    assert_eq!(ensure(&mut first, &work.join("b.ipynb"))["outcome"], "started");
}

#[test]
fn two_spellings_that_one_window_shows_are_two_notebooks() {
    let world = World::new();
    let real = world.notebook("a.ipynb", &["1"]);
    let link = world.work().join("b.ipynb");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let mut window = world.window();
    window.open(&real);
    let id = id_of(&window.start(&real)["id"]);
    window.open(&link);
    let other = ensure(&mut window, &link);
    assert_eq!(other["outcome"], "started");
    assert_ne!(other["session"]["id"], id);
    assert_eq!(ensure(&mut window, &real)["session"]["id"], id);
}

#[test]
fn a_rename_right_after_our_own_save_is_one() {
    for order in ["save, then rename", "rename, then save", "save, rename, run in a shell"] {
        let world = World::new();
        let mut window = world.window_on(&[world.work().join("elsewhere")], json!({}));
        let (draft, other) =
            (world.notebook("draft.ipynb", &["a = 1", "b = 2"]), world.work().join("final.ipynb"));
        let id = id_of(&window.start(&draft)["id"]);
        // What ran is not what stands there: by its content it looks like another notebook.
        let ran = window.execute_cell(&id, 0, "print('ran')");
        window.done(&id, &ran);
        let save = |path: &Path| world.cli_ok(["save", &path.to_string_lossy()]);
        let rename = || std::fs::rename(&draft, &other).unwrap();
        match order {
            "rename, then save" => {
                rename();
                save(&other);
            }
            _ => {
                save(&draft);
                rename();
            }
        }
        if order.ends_with("shell") {
            let done = world.cli(["run", &other.to_string_lossy()]);
            assert!(text(&done.stderr).contains(&id), "{order}: {done:?}");
        }
        let ensured = ensure(&mut window, &other);
        assert_eq!(ensured["session"]["id"], id, "{order}: {ensured}");
        assert_eq!(window.live(), [id], "{order}");
    }
}
