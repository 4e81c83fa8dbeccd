//! What is a rename on disk, and what only looks like one: a table of what people and programs do to files, each row done
//! on a real disk under the eyes of a window.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::driver::Window;
use crate::kernels;
use crate::offers::{answer, pushed};
use crate::world::{World, id_of, uri};

/// One thing that is done in a folder of its own, which has the notebooks `a.ipynb` and `b.ipynb`.
struct Row {
    what: &'static str,
    /// The notebooks that have a kernel.
    kernels: &'static [&'static str],
    act: fn(&Path),
    /// Which of them are offered to be followed, and to where.
    offered: &'static [(&'static str, &'static str)],
}

const ONE: &[&str] = &["a.ipynb"];
const BOTH: &[&str] = &["a.ipynb", "b.ipynb"];

const ROWS: &[Row] = &[
    Row {
        what: "plain",
        kernels: ONE,
        act: |d| mv(d, "a.ipynb", "c.ipynb"),
        offered: &[("a.ipynb", "c.ipynb")],
    },
    Row { what: "an atomic save", kernels: ONE, act: |d| saved_through(d, "a.ipynb.tmp"), offered: &[] },
    Row {
        what: "an atomic save through a notebook",
        kernels: ONE,
        act: |d| saved_through(d, ".~a.ipynb"),
        offered: &[],
    },
    Row {
        what: "a save that keeps the old file",
        kernels: ONE,
        act: |d| {
            mv(d, "a.ipynb", "a.ipynb~");
            write_notebook(&d.join("a.ipynb"), &["x = 1", "y = 3"]);
            fs::remove_file(d.join("a.ipynb~")).unwrap();
        },
        offered: &[],
    },
    Row {
        what: "a save that keeps the old file as a notebook",
        kernels: ONE,
        act: |d| {
            mv(d, "a.ipynb", "a-backup.ipynb");
            write_notebook(&d.join("a.ipynb"), &["x = 1", "y = 3"]);
        },
        offered: &[],
    },
    Row { what: "sed -i", kernels: ONE, act: |d| run(d, "sed -i s/x/z/ a.ipynb"), offered: &[] },
    Row {
        what: "a copy",
        kernels: ONE,
        act: |d| run(d, "cp a.ipynb c.ipynb && cp -p a.ipynb d.ipynb"),
        offered: &[],
    },
    Row {
        what: "a copy of the folder",
        kernels: ONE,
        act: |d| run(d, "mkdir in && cp *.ipynb in && cp -r in out"),
        offered: &[],
    },
    Row {
        what: "git checkout and stash of the same path",
        kernels: ONE,
        act: |d| {
            run(d, "git init -q . && git add . && git -c user.name=x -c user.email=x@x commit -qm x");
            run(d, "sed -i s/x/z/ a.ipynb && git checkout -q a.ipynb");
            run(
                d,
                "sed -i s/x/z/ a.ipynb && git -c user.name=x -c user.email=x@x stash -q && git stash pop -q",
            );
            run(d, "rm a.ipynb && git checkout -q a.ipynb");
        },
        offered: &[],
    },
    Row {
        what: "git mv",
        kernels: ONE,
        act: |d| {
            run(d, "git init -q . && git add . && git -c user.name=x -c user.email=x@x commit -qm x");
            run(d, "git mv a.ipynb c.ipynb");
        },
        offered: &[("a.ipynb", "c.ipynb")],
    },
    Row {
        what: "away and back",
        kernels: ONE,
        act: |d| {
            mv(d, "a.ipynb", "c.ipynb");
            mv(d, "c.ipynb", "a.ipynb");
        },
        offered: &[],
    },
    Row {
        what: "a swap",
        kernels: BOTH,
        act: |d| run(d, "mv a.ipynb t.ipynb && mv b.ipynb a.ipynb && mv t.ipynb b.ipynb"),
        offered: &[("a.ipynb", "b.ipynb"), ("b.ipynb", "a.ipynb")],
    },
    Row {
        what: "a swap with a notebook without a kernel",
        kernels: ONE,
        act: |d| run(d, "mv a.ipynb t.ipynb && mv b.ipynb a.ipynb && mv t.ipynb b.ipynb"),
        offered: &[("a.ipynb", "b.ipynb")],
    },
    Row {
        what: "a slow swap with a notebook without a kernel",
        kernels: ONE,
        act: |d| {
            run(
                d,
                "mv a.ipynb t.ipynb && sleep 0.3 && mv b.ipynb a.ipynb && sleep 0.3 && mv t.ipynb b.ipynb",
            );
        },
        offered: &[("a.ipynb", "b.ipynb")],
    },
    Row {
        what: "another notebook over it, renamed at once",
        kernels: ONE,
        act: |d| run(d, "mv b.ipynb a.ipynb && sleep 0.2 && mv a.ipynb c.ipynb"),
        offered: &[("a.ipynb", "c.ipynb")],
    },
    Row {
        what: "a chain",
        kernels: ONE,
        act: |d| run(d, "mv a.ipynb c.ipynb && mv c.ipynb d.ipynb && mkdir in && mv d.ipynb in/e.ipynb"),
        offered: &[("a.ipynb", "in/e.ipynb")],
    },
    Row {
        what: "over another notebook",
        kernels: ONE,
        act: |d| mv(d, "a.ipynb", "b.ipynb"),
        offered: &[("a.ipynb", "b.ipynb")],
    },
    Row {
        what: "over another kernel's notebook",
        kernels: BOTH,
        act: |d| mv(d, "a.ipynb", "b.ipynb"),
        offered: &[("a.ipynb", "b.ipynb")],
    },
    Row {
        what: "by case alone",
        kernels: ONE,
        act: |d| mv(d, "a.ipynb", "A.ipynb"),
        offered: &[("a.ipynb", "A.ipynb")],
    },
    Row {
        what: "a symbolic link",
        kernels: ONE,
        act: |d| run(d, "ln -s a.ipynb l.ipynb && mv l.ipynb m.ipynb && rm m.ipynb"),
        offered: &[],
    },
    Row { what: "a hard link", kernels: ONE, act: |d| run(d, "ln a.ipynb l.ipynb"), offered: &[] },
    Row {
        what: "to the trash",
        kernels: ONE,
        act: |d| {
            run(d, "mkdir -p .Trash-1000/files .Trash-1000/info && touch .Trash-1000/info/a.ipynb.trashinfo");
            mv(d, "a.ipynb", ".Trash-1000/files/a.ipynb");
        },
        offered: &[],
    },
    Row {
        what: "to a trash that is watched",
        kernels: ONE,
        act: |d| run(d, "mkdir -p Trash/files && sleep 0.1 && mv a.ipynb Trash/files/a.ipynb"),
        offered: &[],
    },
    Row {
        what: "by a link and a removal",
        kernels: ONE,
        act: |d| run(d, "ln a.ipynb c.ipynb && rm a.ipynb"),
        offered: &[("a.ipynb", "c.ipynb")],
    },
    Row {
        what: "over each other in a ring",
        kernels: BOTH,
        act: |d| run(d, "mv a.ipynb b.ipynb && mv b.ipynb a.ipynb"),
        offered: &[],
    },
    Row {
        what: "to another extension, and back",
        kernels: ONE,
        act: |d| {
            mv(d, "a.ipynb", "a.txt");
            mv(d, "a.txt", "a.ipynb");
        },
        offered: &[],
    },
    Row { what: "to another extension", kernels: ONE, act: |d| mv(d, "a.ipynb", "a.txt"), offered: &[] },
    Row {
        what: "through another extension",
        kernels: ONE,
        act: |d| {
            mv(d, "a.ipynb", "a.txt");
            mv(d, "a.txt", "c.ipynb");
        },
        offered: &[("a.ipynb", "c.ipynb")],
    },
    Row { what: "deleted", kernels: ONE, act: |d| run(d, "rm a.ipynb"), offered: &[] },
    Row {
        what: "deleted, and its inode taken by another notebook",
        kernels: ONE,
        act: |d| {
            fs::remove_file(d.join("a.ipynb")).unwrap();
            for n in 0..20 {
                write_notebook(&d.join(format!("n{n}.ipynb")), &["other = 1"]);
            }
        },
        offered: &[],
    },
    Row {
        what: "a folder",
        kernels: BOTH,
        act: |d| run(d, "mkdir in && mv a.ipynb b.ipynb in && mv in out"),
        offered: &[("a.ipynb", "out/a.ipynb"), ("b.ipynb", "out/b.ipynb")],
    },
    Row {
        what: "and another notebook copied to the old name",
        kernels: ONE,
        act: |d| run(d, "mv a.ipynb c.ipynb && cp b.ipynb a.ipynb"),
        offered: &[("a.ipynb", "c.ipynb")],
    },
    Row {
        what: "and another notebook moved to the old name",
        kernels: ONE,
        act: |d| run(d, "mv a.ipynb c.ipynb && mv b.ipynb a.ipynb"),
        offered: &[("a.ipynb", "c.ipynb")],
    },
    Row {
        what: "and an empty notebook at the old name, a moment later",
        kernels: ONE,
        act: |d| {
            run(d, "mv a.ipynb c.ipynb && sleep 0.2");
            write_notebook(&d.join("a.ipynb"), &[]);
        },
        offered: &[("a.ipynb", "c.ipynb")],
    },
    Row {
        what: "odd names",
        kernels: ONE,
        act: |d| mv(d, "a.ipynb", "50% of #1 – 🎉 it's.ipynb"),
        offered: &[("a.ipynb", "50% of #1 – 🎉 it's.ipynb")],
    },
];

thread_local! {
    /// Bytes of metadata in each notebook that the rows write.
    static WEIGHT: Cell<usize> = const { Cell::new(0) };
}

fn write_notebook(path: &Path, cells: &[&str]) {
    crate::world::write_notebook(path, cells);
    if WEIGHT.get() == 0 {
        return;
    }
    let mut notebook: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    notebook["metadata"]["weight"] = "x".repeat(WEIGHT.get()).into();
    fs::write(path, notebook.to_string()).unwrap();
}

fn mv(folder: &Path, from: &str, to: &str) {
    fs::rename(folder.join(from), folder.join(to)).unwrap();
}

fn run(folder: &Path, script: &str) {
    let done = Command::new("sh").args(["-ec", script]).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{script}: {done:?}");
}

fn saved_through(folder: &Path, beside: &str) {
    write_notebook(&folder.join(beside), &["x = 1", "y = 3"]);
    mv(folder, beside, "a.ipynb");
}

/// The open `migrate` offers about notebooks in a folder: from where to where, by name in it.
fn offers(window: &mut Window, folder: &Path) -> BTreeMap<String, String> {
    let all = window.ok("keeper/openOffers", json!({}));
    let below =
        |path: &str| Path::new(path).strip_prefix(folder).ok().map(|p| p.to_string_lossy().into_owned());
    let mut found = BTreeMap::new();
    for offer in all["offers"].as_array().into_iter().flatten().filter(|o| o["kind"] == "migrate") {
        let to = url::Url::parse(offer["notebookUri"].as_str().unwrap()).unwrap().to_file_path().unwrap();
        let from = offer["sessions"][0]["notebookPath"].as_str().and_then(below);
        if let Some(from) = from {
            let twice = found.insert(from, below(&to.to_string_lossy()).unwrap_or_default());
            assert_eq!(twice, None, "{all}");
        }
    }
    found
}

/// Renames a notebook that has a kernel and waits for the offer: what happened on disk before has been dealt with then.
struct Canary {
    round: u32,
}

impl Canary {
    fn new(world: &World, window: &mut Window) -> Canary {
        let notebook = world.notebook("canary-0.ipynb", &["1"]);
        window.start(&notebook);
        Canary { round: 0 }
    }

    fn sing(&mut self, world: &World, window: &mut Window) {
        let name = |round: u32| world.work().join(format!("canary-{round}.ipynb"));
        let mark = window.mark();
        fs::rename(name(self.round), name(self.round + 1)).unwrap();
        self.round += 1;
        let to = uri(&name(self.round));
        window.wait_after(mark, "keeper/offer", |p| p["offer"]["notebookUri"] == json!(to));
    }
}

#[test]
fn what_is_a_rename_and_what_is_not() {
    act_and_look();
}

#[test]
fn the_same_of_large_notebooks() {
    WEIGHT.set(3 << 20);
    act_and_look();
}

/// The first move is offered, and what lies over `b.ipynb` is being read, when the second one comes.
#[test]
fn a_large_notebook_that_went_over_another_and_back_is_itself() {
    WEIGHT.set(16 << 20);
    let world = World::new();
    let folder = world.work().join("over");
    fs::create_dir(&folder).unwrap();
    let mut window = world.window();
    let [a, b] = BOTH else { unreachable!() };
    let [(here, first), (there, second)] =
        [(a, ["x = 1", "y = 2"]), (b, ["p = 1", "q = 2"])].map(|(name, cells)| {
            let notebook = folder.join(name);
            write_notebook(&notebook, &cells);
            let id = id_of(&window.start(&notebook)["id"]);
            window.subscribe(&id, 0);
            let last = window.execute_cell(&id, 0, cells[0]);
            window.done(&id, &last);
            (notebook, id)
        });
    fs::rename(&here, &there).unwrap();
    pushed(&window, 0, "migrate", &there);
    fs::rename(&there, &here).unwrap();
    Canary::new(&world, &mut window).sing(&world, &mut window);
    assert_eq!(offers(&mut window, &folder), BTreeMap::new());
    assert_eq!(
        [first, second].map(|id| window.session(&id)["notebookPath"].clone()),
        [json!(here), json!(there)]
    );
}

fn act_and_look() {
    let world = World::new();
    let mut window = world.window();
    let mut canary = Canary::new(&world, &mut window);
    let mut wrong = Vec::new();
    for (number, row) in ROWS.iter().enumerate() {
        let folder = world.work().join(format!("row {number}"));
        fs::create_dir(&folder).unwrap();
        write_notebook(&folder.join("a.ipynb"), &["x = 1", "y = 2"]);
        write_notebook(&folder.join("b.ipynb"), &["p = 1", "q = 2"]);
        let begun: Vec<(i64, &str)> = row
            .kernels
            .iter()
            .map(|name| {
                let asked = json!({ "notebookUri": uri(&folder.join(name)), "kernelName": kernels::PYTHON });
                (window.begin("keeper/startSession", asked), *name)
            })
            .collect();
        let sessions: Vec<(String, &str)> = begun
            .into_iter()
            .map(|(id, name)| (id_of(&window.finish(id).unwrap()["session"]["id"]), name))
            .collect();
        for (id, name) in &sessions {
            let cells = if *name == "a.ipynb" { ["x = 1", "y = 2"] } else { ["p = 1", "q = 2"] };
            window.execute_cell(id, 0, cells[0]);
            let last = window.execute_cell(id, 1, cells[1]);
            window.done(id, &last);
        }
        (row.act)(&folder);
        canary.sing(&world, &mut window);
        let expected: BTreeMap<String, String> =
            row.offered.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let mut got = BTreeMap::new();
        // A first half of a rename waits a moment for its second.
        for _ in 0..20 {
            got = offers(&mut window, &folder);
            if got == expected {
                break;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        if got != expected {
            wrong.push(format!("{}: offered {got:?}, not {expected:?}", row.what));
        }
        // Each is followed, in the order of the table, and nothing else moves.
        for (from, to) in row.offered.iter().filter(|(from, _)| got.contains_key(*from)) {
            let all = window.ok("keeper/openOffers", json!({}));
            let target = uri(&folder.join(to));
            let offer = all["offers"].as_array().unwrap().iter().find(|o| o["notebookUri"] == json!(target));
            let Some(offer) = offer else {
                wrong.push(format!("{}: {from} → {to} is not open any more", row.what));
                continue;
            };
            let params = json!({ "offerId": offer["offerId"], "action": "migrate" });
            match window.request("keeper/answerOffer", params) {
                Ok(answer) if answer["session"]["notebookPath"] == json!(folder.join(to)) => {}
                other => wrong.push(format!("{}: {from} → {to}: {other:?}", row.what)),
            }
        }
        for (id, name) in &sessions {
            let moved = row.offered.iter().find(|(from, _)| from == name).map(|(_, to)| *to);
            let expected = folder.join(moved.unwrap_or(name));
            let session = window.session(id);
            if session["notebookPath"] != json!(expected) || session["state"] == "ended" {
                wrong.push(format!("{}: {name} is {}", row.what, session["notebookPath"]));
            }
            window.ok("keeper/stopSession", json!({ "sessionId": id }));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn across_workspace_folders_and_while_cells_run_and_wait() {
    let world = World::new();
    let [one, two] = ["one", "two"].map(|name| {
        let folder = world.work().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    });
    let draft = one.join("draft.ipynb");
    write_notebook(&draft, &["1", "2"]);
    let mut window = world.window_on(&[one, two.clone()], json!({}));
    window.open(&draft);
    let id = id_of(&window.start(&draft)["id"]);
    window.subscribe(&id, 0);
    let running =
        window.execute_cell(&id, 0, "while not __import__('os').path.exists('go'): pass\nprint('went')");
    let waiting = window.execute_cell(&id, 1, "print('waited')");
    window.until_status(&id, &running, &["running"]);
    let renamed = two.join("final.ipynb");
    fs::rename(&draft, &renamed).unwrap();
    let offer = pushed(&window, 0, "migrate", &renamed);
    assert_eq!(answer(&mut window, &offer, "migrate")["outcome"], "migrated");
    // What runs and what waits is the new one's from then on.
    assert_eq!(window.session(&id)["currentExecution"]["notebookUri"], uri(&renamed));
    for execution in [&running, &waiting] {
        assert_eq!(window.execution(&id, execution)["notebookUri"], uri(&renamed));
    }
    fs::write(draft.with_file_name("go"), "").unwrap();
    window.wait_finished(&waiting);
    let events = window.events(&id);
    let last = |execution: &str| {
        events.iter().rfind(|e| e["executionId"] == execution).unwrap()["notebookUri"].clone()
    };
    assert_eq!([last(&running), last(&waiting)], [uri(&renamed), uri(&renamed)]);
    assert_eq!(window.stream(&id, "c0") + &window.stream(&id, "c1"), "went\nwaited\n");
}

#[test]
fn the_same_rename_in_the_editor_and_on_disk_is_one_offer() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["1"]);
    let mut starter = world.window();
    let id = id_of(&starter.start(&draft)["id"]);
    starter.close();
    // Its kernel is not shown in the window in which it is renamed, so it is asked about.
    let mut window = world.window();
    let renamed = world.work().join("final.ipynb");
    let files = json!({ "files": [{ "oldUri": uri(&draft), "newUri": uri(&renamed) }] });
    window.ok("workspace/willRenameFiles", files.clone());
    fs::rename(&draft, &renamed).unwrap();
    window.notify("workspace/didRenameFiles", files);
    let offer = pushed(&window, 0, "migrate", &renamed);
    // Both were seen by the time another rename is.
    Canary::new(&world, &mut window).sing(&world, &mut window);
    let offers =
        window.told("keeper/offer").into_iter().filter(|p| p["offer"]["sessions"][0]["id"] == json!(id));
    assert_eq!(offers.count(), 1);
    assert_eq!(answer(&mut window, &offer, "migrate")["session"]["id"], json!(id));
}
