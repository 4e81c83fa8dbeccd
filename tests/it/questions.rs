//! Questions that change while they are open: others come, answers fail, what they are about goes on.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::kernels;
use crate::offers::{answer, ensure, pushed, withdrawn};
use crate::world::{World, id_of, kill, pid_of, uri, write_notebook};

/// The open questions that are none of the test's own canaries.
fn open_offers(window: &mut Window) -> Vec<Value> {
    window.ok("keeper/openOffers", json!({}))["offers"].as_array().unwrap().clone()
}

fn about(offers: &[Value]) -> Vec<(&str, &str)> {
    offers.iter().map(|o| (o["kind"].as_str().unwrap(), o["notebookUri"].as_str().unwrap())).collect()
}

fn ran(window: &mut Window, notebook: &Path, cells: &[&str]) -> String {
    let id = id_of(&window.start(notebook)["id"]);
    for (number, code) in cells.iter().enumerate() {
        let execution = window.execute_cell(&id, number as u32, code);
        window.done(&id, &execution);
    }
    id
}

#[test]
fn a_question_whether_to_replace_says_what_is_so() {
    let world = World::new();
    let [mine, theirs] = ["mine.ipynb", "theirs.ipynb"].map(|name| world.notebook(name, &["1"]));
    let mut window = world.window();
    let id = id_of(&window.start(&mine)["id"]);
    let holder = id_of(&window.start(&theirs)["id"]);
    let attach = json!({ "sessionId": id, "targetNotebookUri": uri(&theirs) });
    let mut asked =
        || window.fails("keeper/attachSession", attach.clone(), "NotebookHasSession").data["offer"].clone();
    let idle = asked();
    assert!(!idle["message"].as_str().unwrap().contains("busy"), "{idle}");
    assert_eq!(idle["sessions"][1]["id"], json!(holder));
    // By the next time it is busy, and the question says so: the one before is gone.
    let wait = "while not __import__('os').path.exists('go'): pass";
    let running = window.execute_cell(&holder, 0, wait);
    window.until_status(&holder, &running, &["running"]);
    let busy = eventually("the window knows that it is busy", PATIENCE, || {
        let e = window.fails("keeper/attachSession", attach.clone(), "NotebookHasSession");
        e.data["offer"]["message"].as_str()?.contains("which is busy").then(|| e.data["offer"].clone())
    });
    window.fails(
        "keeper/answerOffer",
        json!({ "offerId": idle["offerId"], "action": "replace" }),
        "OfferGone",
    );
    // The kernel that it names ends, and another takes its place: that one was never named.
    fs::write(world.work().join("go"), "").unwrap();
    window.ok("keeper/stopSession", json!({ "sessionId": holder }));
    withdrawn(&window, &busy);
    let other = id_of(&window.start(&theirs)["id"]);
    window.fails(
        "keeper/answerOffer",
        json!({ "offerId": busy["offerId"], "action": "replace" }),
        "OfferGone",
    );
    assert_eq!(window.session(&other)["state"], "idle");
    // The one that was to be attached goes elsewhere.
    let again = window.fails("keeper/attachSession", attach, "NotebookHasSession").data["offer"].clone();
    let elsewhere = world.notebook("elsewhere.ipynb", &["1"]);
    window.ok("keeper/attachSession", json!({ "sessionId": id, "targetNotebookUri": uri(&elsewhere) }));
    withdrawn(&window, &again);
    assert_eq!(window.session(&other)["state"], "idle");
}

#[test]
fn whether_to_resume_is_no_question_where_the_kernel_is_attached() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let (mut window, mut other) = (world.window(), world.window());
    let id = id_of(&window.start(&notebook)["id"]);
    let offer = ensure(&mut other, &notebook)["offer"].clone();
    assert_eq!(open_offers(&mut other).len(), 1);
    let uri = uri(&notebook);
    let asked = json!({ "sessionId": id, "targetNotebookUri": uri, "expectedNotebookUri": uri });
    other.ok("keeper/attachSession", asked);
    assert_eq!(open_offers(&mut other), [] as [Value; 0]);
    withdrawn(&other, &offer);
}

#[test]
fn of_a_dead_kernel_whose_notebook_is_renamed_one_question_is_asked() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    window.open(&draft);
    let id = ran(&mut window, &draft, &["1"]);
    kill(pid_of(&window.session(&id)["pid"]), "KILL");
    let before = pushed(&window, 0, "recover", &draft);
    let renamed = world.work().join("final.ipynb");
    fs::rename(&draft, &renamed).unwrap();
    window.open(&renamed);
    let after = pushed(&window, 0, "recover", &renamed);
    withdrawn(&window, &before);
    let open = open_offers(&mut window);
    assert_eq!(about(&open), [("recover", uri(&renamed).as_str())]);
    assert_eq!(answer(&mut window, &after, "fresh")["outcome"], "started");
}

#[test]
fn an_answer_that_cannot_be_carried_out_leaves_the_question() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let spec = json!({
        "argv": [kernels::python(), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Second", "language": "python"
    });
    kernels::write(&world.jupyter(), "second", &spec);
    let mut window = world.window();
    window.open(&notebook);
    let asked = json!({ "notebookUri": uri(&notebook), "kernelName": "second" });
    let session = window.ok("keeper/startSession", asked)["session"].clone();
    kill(pid_of(&session["pid"]), "KILL");
    let offer = pushed(&window, 0, "recover", &notebook);
    // It was removed with its environment.
    let folder = world.jupyter().join("kernels/second");
    let aside = world.jupyter().join("second");
    fs::rename(&folder, &aside).unwrap();
    let fresh = json!({ "offerId": offer["offerId"], "action": "fresh" });
    window.fails("keeper/answerOffer", fresh.clone(), "KernelspecNotFound");
    assert_eq!(about(&open_offers(&mut window)), [("recover", uri(&notebook).as_str())]);
    fs::rename(&aside, &folder).unwrap();
    assert_eq!(window.ok("keeper/answerOffer", fresh)["outcome"], "started");
    assert_eq!(open_offers(&mut window), Vec::<Value>::new());
}

#[test]
fn of_one_kernel_one_question_is_asked_and_what_is_sure_overtakes_a_guess() {
    let world = World::new();
    let cells = ["x = 1", "y = 2"];
    let draft = world.notebook("draft.ipynb", &cells);
    let mut window = world.window();
    let id = ran(&mut window, &draft, &cells);
    // Its file goes where no window looks; one that looks like it comes.
    let outside = tempfile::tempdir_in(world.work().parent().unwrap()).unwrap();
    let kept = outside.path().join("draft.ipynb");
    fs::rename(&draft, &kept).unwrap();
    let like_it = world.work().join("like it.ipynb");
    write_notebook(&like_it, &cells);
    let guess = pushed(&window, 0, "migrate", &like_it);
    // A pipe with a notebook's name would keep whoever reads it waiting.
    let pipe = Command::new("mkfifo").arg(world.work().join("pipe.ipynb")).status().unwrap();
    assert!(pipe.success());
    // The file itself turns up.
    let found = world.work().join("final.ipynb");
    fs::rename(&kept, &found).unwrap();
    let sure = pushed(&window, 0, "migrate", &found);
    withdrawn(&window, &guess);
    assert_eq!(about(&open_offers(&mut window)), [("migrate", uri(&found).as_str())]);
    // No guess takes its place any more.
    let another = world.work().join("another.ipynb");
    write_notebook(&another, &cells);
    window.open(&another);
    let asked = window.ok("keeper/ensureSession", json!({ "notebookUri": uri(&another), "ask": false }));
    assert_eq!(asked["outcome"], "started");
    assert_eq!(about(&open_offers(&mut window)), [("migrate", uri(&found).as_str())]);
    assert_eq!(answer(&mut window, &sure, "migrate")["session"]["id"], json!(id));
}

#[test]
fn a_pipe_in_the_workspace_keeps_nobody_waiting() {
    let world = World::new();
    let cells = ["x = 1", "y = 2"];
    let draft = world.notebook("draft.ipynb", &cells);
    let mut window = world.window();
    ran(&mut window, &draft, &cells);
    window.close();
    fs::remove_file(&draft).unwrap();
    let pipe = world.work().join("pipe.ipynb");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let like_it = world.work().join("like it.ipynb");
    write_notebook(&like_it, &cells);
    let mut window = world.window();
    pushed(&window, 0, "migrate", &like_it);
    window.open(&pipe);
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&pipe) }));
    assert_eq!((&found["found"], &found["candidates"]), (&json!(false), &json!([])));
}

#[test]
fn a_move_that_was_declined_and_undone_is_asked_about_again() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["1"]);
    let renamed = world.work().join("final.ipynb");
    let mut window = world.window();
    let id = id_of(&window.start(&draft)["id"]);
    fs::rename(&draft, &renamed).unwrap();
    let offer = pushed(&window, 0, "migrate", &renamed);
    answer(&mut window, &offer, "dismiss");
    eventually("its notebook is gone", PATIENCE, || {
        (window.session(&id)["notebookExists"] == false).then_some(())
    });
    fs::rename(&renamed, &draft).unwrap();
    eventually("its notebook is back", PATIENCE, || {
        (window.session(&id)["notebookExists"] == true).then_some(())
    });
    let mark = window.mark();
    fs::rename(&draft, &renamed).unwrap();
    let again = pushed(&window, mark, "migrate", &renamed);
    assert_eq!(answer(&mut window, &again, "migrate")["session"]["id"], json!(id));
}

#[test]
fn a_notebook_that_is_written_slowly_is_looked_at_again() {
    let world = World::new();
    let cells = ["x = 1", "y = 2"];
    let draft = world.notebook("draft.ipynb", &cells);
    let others = ["p = 1", "q = 2"];
    let other = world.notebook("other.ipynb", &others);
    let mut window = world.window();
    ran(&mut window, &draft, &cells);
    ran(&mut window, &other, &others);
    let text = fs::read_to_string(&draft).unwrap();
    let written = world.work().join("final.ipynb");
    fs::remove_file(&draft).unwrap();
    fs::write(&written, &text[..text.len() / 2]).unwrap();
    // Whoever finds another one that came after it has looked at it, too.
    let whole = fs::read(&other).unwrap();
    fs::remove_file(&other).unwrap();
    let found = world.work().join("found.ipynb");
    fs::write(&found, whole).unwrap();
    pushed(&window, 0, "migrate", &found);
    fs::write(&written, &text).unwrap();
    pushed(&window, 0, "migrate", &written);
}

/// What the editor does: it announces a rename, makes it, and says so.
fn rename_in_editor(window: &mut Window, from: &Path, to: &Path) {
    let files = json!({ "files": [{ "oldUri": uri(from), "newUri": uri(to) }] });
    window.ok("workspace/willRenameFiles", files.clone());
    fs::rename(from, to).unwrap();
    window.notify("workspace/didRenameFiles", files);
}

#[test]
fn renames_in_the_editor_one_upon_the_other_are_asked_about_by_nobody() {
    let world = World::new();
    let name = |number: usize| world.work().join(format!("{number}.ipynb"));
    write_notebook(&name(0), &["1"]);
    let (mut window, mut other) = (world.window(), world.window());
    let id = id_of(&window.start(&name(0))["id"]);
    let quiet = json!({ "notebookUri": uri(&name(0)), "ask": false });
    assert_eq!(other.ok("keeper/ensureSession", quiet)["outcome"], "resumed");
    let followed = |window: &mut Window, other: &mut Window, to: &Path| {
        for each in [window, other] {
            eventually("the kernel followed", PATIENCE, || {
                (each.session(&id)["notebookPath"] == json!(to)).then_some(())
            });
            assert_eq!(each.told("keeper/offer"), Vec::<Value>::new(), "at {}", to.display());
        }
    };
    for round in 0..10 {
        for step in 0..3 {
            let at = round * 3 + step;
            rename_in_editor(&mut window, &name(at), &name(at + 1));
        }
        followed(&mut window, &mut other, &name(round * 3 + 3));
    }
    // The same move on disk is another one, and asked about.
    let (there, back) = (name(30), name(31));
    rename_in_editor(&mut window, &there, &back);
    followed(&mut window, &mut other, &back);
    rename_in_editor(&mut window, &back, &there);
    followed(&mut window, &mut other, &there);
    fs::rename(&there, &back).unwrap();
    let asked = |window: &Window| {
        window.told("keeper/offer").iter().any(|p| p["offer"]["notebookUri"] == json!(uri(&back)))
    };
    let soon = Duration::from_secs(8);
    eventually("one of them is asked", soon, || (asked(&window) || asked(&other)).then_some(()));
}
