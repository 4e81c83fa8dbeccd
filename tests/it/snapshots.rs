//! Snapshots: what a Python kernel holds, kept in a file and taken back, into this kernel or another one.

mod kept;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::driver::{Failure, PATIENCE, Window, eventually};
use crate::kernels;
use crate::offers::{actions, answer, pushed};
use crate::world::{World, id_of, kill, pid_of, uri};

/// All kinds of things, and some that cannot be pickled.
const NAMESPACE: &str = r#"
import abc, enum, threading, socket, xml.etree.ElementTree
import numpy as np, pandas as pd, polars as pl
from dataclasses import dataclass
from collections import namedtuple
part = [1]
one, two = {'part': part}, (part,)
factor = 5
def scaled(x): return x * factor
def factorial(n): return 1 if n == 0 else n * factorial(n - 1)
def adder(k):
    def inner(x): return x + k + factor
    return inner
add3 = adder(3)
square = lambda x: x ** 2
class Base:
    def __init__(self, value): self.value = value
    def get(self): return self.value
class Derived(Base):
    def get(self): return ('derived', super().get(), factor)
first = Derived(part)
@dataclass
class Point:
    x: int = 1
    y: int = 2
point = Point(3)
class Colour(enum.Enum):
    RED = 1
    def words(self): return self.name.lower()
red = Colour.RED
Pair = namedtuple('Pair', 'a b')
pair = Pair(1, 2)
class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...
from typing import Generic, TypeVar
Kind = TypeVar('Kind', bound=Base)
class Box(Generic[Kind]): pass
box = Box()
array = np.arange(100_000)
view = array
frame = pd.DataFrame({'x': array, 's': ['text'] * 100_000})
table = pl.DataFrame({'x': [1, 2, 3]})
lock, plug, steps = threading.Lock(), socket.socket(), (i for i in range(3))
open_file = open('open.txt', 'w')
class Stubborn:
    def __reduce__(self): raise SystemExit(3)
stubborn = Stubborn()
mixed = [part, stubborn]
deep = []
at = deep
for _ in range(100_000):
    at.append([]); at = at[0]
del at
"#;

const SLOW: &str = "
import time
class Slow:
    def __reduce__(self):
        open('begun', 'w').close()
        time.sleep(600)
slow = Slow()
";

fn save(window: &mut Window, id: &str, name: &str) -> Value {
    window.ok("keeper/snapshot/save", json!({ "sessionId": id, "name": name }))["snapshot"].clone()
}

fn not_saved(window: &mut Window, id: &str, name: &str, kind: &str) -> Failure {
    window.fails("keeper/snapshot/save", json!({ "sessionId": id, "name": name }), kind)
}

fn restore(window: &mut Window, id: &str, name: &str, restart: bool) -> Value {
    let asked = json!({ "sessionId": id, "name": name, "restart": restart });
    window.ok("keeper/snapshot/restore", asked)
}

fn not_restored(window: &mut Window, id: &str, name: &str, kind: &str) -> Failure {
    window.fails("keeper/snapshot/restore", json!({ "sessionId": id, "name": name }), kind)
}

/// Names and sessions of a notebook's snapshots, the latest first.
fn listed(window: &mut Window, notebook: &Path) -> Vec<(String, String)> {
    let all = window.ok("keeper/snapshot/list", json!({ "notebookUri": uri(notebook) }));
    let all = all["snapshots"].as_array().unwrap().clone();
    all.iter().map(|s| (id_of(&s["name"]), id_of(&s["sessionId"]))).collect()
}

fn named(skipped: &Value) -> Vec<&str> {
    skipped.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect()
}

/// The files of a session's snapshots that end so.
fn files(world: &World, id: &str, end: &str) -> Vec<PathBuf> {
    let found = fs::read_dir(world.session_dir(id).join("snapshots")).into_iter().flatten().flatten();
    found.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(end)).collect()
}

/// Waits until a cell or a pickle has made this file in the folder of the notebooks.
fn begun(world: &World) {
    let file = world.work().join("begun");
    eventually("it has begun", PATIENCE, || file.exists().then_some(()));
    fs::remove_file(file).unwrap();
}

#[test]
fn what_a_kernel_holds_comes_back_in_a_fresh_one() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    window.run(&id, NAMESPACE);
    let saved = save(&mut window, &id, "before 🌊 / ../%");
    assert_eq!((&saved["name"], &saved["sessionId"]), (&json!("before 🌊 / ../%"), &json!(id)));
    assert_eq!(
        named(&saved["skipped"]),
        ["lock", "plug", "steps", "open_file", "stubborn", "mixed", "deep"],
        "{saved}"
    );
    assert!(saved["skipped"].as_array().unwrap().iter().all(|s| !s["reason"].as_str().unwrap().is_empty()));
    // An array is written as it lies in memory, without a copy of it.
    let described: Value =
        serde_json::from_slice(&fs::read(files(&world, &id, ".json").remove(0)).unwrap()).unwrap();
    let index = described["details"]["index"].as_array().unwrap().clone();
    let place = index.iter().find(|place| place[0] == "array").unwrap();
    assert_eq!(place[3], json!([800_000]), "{place}");
    let pickles = files(&world, &id, ".dill");
    let (folder, file) = (pickles[0].parent().unwrap().metadata().unwrap(), pickles[0].metadata().unwrap());
    assert_eq!((folder.mode() & 0o777, file.mode() & 0o777, pickles.len()), (0o700, 0o600, 1));
    assert_eq!(saved["bytes"], file.len());

    let restored = restore(&mut window, &id, "before 🌊 / ../%", true);
    assert_eq!(restored["session"]["id"], id.as_str());
    assert_eq!(restored["session"]["state"], "idle");
    assert_eq!((&restored["skipped"], &restored["warnings"]), (&json!([]), &json!([])));
    assert_eq!(restored["variables"], saved["variables"]);
    let check = |window: &mut Window, expression: &str, value: &str| {
        assert_eq!(window.value_of(&id, expression), value, "{expression}");
    };
    // What was shared is shared, over variables, classes and arrays.
    check(&mut window, "one['part'] is part and two[0] is part and first.value is part", "True");
    check(&mut window, "type(first) is Derived and isinstance(first, Base)", "True");
    check(&mut window, "view is array and view.flags.writeable", "True");
    check(
        &mut window,
        "int(array.sum()), frame.shape, frame['s'].iloc[7]",
        "(4999950000, (100000, 2), 'text')",
    );
    check(
        &mut window,
        "table['x'].to_list(), point, pair, type(pair) is Pair",
        "([1, 2, 3], Point(x=3, y=2), Pair(a=1, b=2), True)",
    );
    check(&mut window, "red is Colour.RED, red.words(), square(4), factorial(5)", "(True, 'red', 16, 120)");
    check(&mut window, "isinstance(box, Box) and Kind.__bound__ is Base", "True");
    check(&mut window, "Shape.__abstractmethods__", "frozenset({'area'})");
    check(
        &mut window,
        "np.__name__, pd.__name__, xml.etree.ElementTree.__name__",
        "('numpy', 'pandas', 'xml.etree.ElementTree')",
    );
    // Functions and classes see the namespace as it is from now on.
    window.run(&id, "factor = 100");
    check(&mut window, "scaled(2), add3(1), first.get()", "(200, 104, ('derived', [1], 100))");
    // Nothing was changed on the disk by what could not be kept.
    check(&mut window, "'stubborn' in globals() or 'open_file' in globals()", "False");
}

#[test]
fn saving_leaves_nothing_behind_and_restoring_only_what_was_saved() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    window.run(&id, "import matplotlib.pyplot as plt\nfigure = plt.figure()\nplt.plot([1, 2])\nplt.close()");
    window.run(&id, "41 + 1");
    let last = window.run(&id, "names = None; known = len(Out); names = set(globals())");
    save(&mut window, &id, "a");
    let next = window.run(&id, "assert {n for n in globals() if n not in names} <= {'_i4', '_3'}");
    let count = |execution: &Value| execution["executionCount"].as_u64().unwrap();
    assert_eq!(count(&next), count(&last) + 1);
    assert_eq!(window.value_of(&id, "_, len(Out) - known, plt.get_fignums()"), "(42, 0, [])");
    window.run(&id, "later = 1; known = 0");
    let history = |window: &mut Window| {
        let all = window.ok("keeper/executionHistory", json!({ "sessionId": id }));
        all["executions"].as_array().unwrap().len()
    };
    let before = history(&mut window);
    // Into the kernel as it is: what it has besides stays.
    let restored = restore(&mut window, &id, "a", false);
    assert_eq!(restored["skipped"], json!([]), "{restored}");
    assert_eq!(history(&mut window), before);
    let cell = json!({ "id": "c0", "index": 0 });
    let asked = json!({ "sessionId": id, "code": "later, known", "cell": cell });
    let execution = id_of(&window.ok("keeper/execute", asked)["executionId"]);
    window.done(&id, &execution);
    let outputs = window.outputs(&id, "c0");
    // A figure that came back is not drawn by the next cell.
    assert_eq!(outputs.as_array().unwrap().len(), 1, "{outputs}");
    assert_eq!(outputs[0]["data"]["text/plain"], "(1, 1)");
    assert_eq!(window.value_of(&id, "type(figure).__name__, plt.get_fignums()"), "('Figure', [])");
}

#[test]
fn an_earlier_one_stays_until_the_new_one_is_whole() {
    let mut world = World::new();
    world.kill_what_is_left = true;
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    window.run(&id, "x = 1");
    save(&mut window, &id, "a");
    window.run(&id, "x = 2");
    save(&mut window, &id, "a");
    assert_eq!((files(&world, &id, ".dill").len(), files(&world, &id, ".json").len()), (1, 1));
    window.run(&id, "x = 3; import numpy; large = numpy.ones(20_000_000)");
    window.run(&id, SLOW);
    // Interrupted: an error, and the kernel goes on with what was queued meanwhile.
    let asked = json!({ "sessionId": id, "name": "a" });
    let saving = window.begin("keeper/snapshot/save", asked.clone());
    begun(&world);
    eventually("it is shown as busy", PATIENCE, || {
        let now = window.session(&id);
        (now["state"] == "busy" && now["currentExecution"].is_null() && now["responding"] == true)
            .then_some(())
    });
    let queued = window.execute(&id, "y = x");
    assert_eq!(window.execution(&id, &queued)["status"], "pending");
    let second = not_saved(&mut window, &id, "b", "KernelFailed");
    assert!(second.data["busy"] == true && second.message.contains("interrupt"), "{second:?}");
    window.ok("keeper/interruptSession", json!({ "sessionId": id }));
    let failed = window.finish(saving).expect_err("interrupted");
    assert!(failed.kind() == "KernelFailed" && failed.data["interrupted"] == true, "{failed:?}");
    assert_eq!(window.done(&id, &queued)["status"], "ok");
    assert_eq!(files(&world, &id, ".dill").len(), 1);
    // While a cell runs, nothing is saved or restored.
    let running = window.execute(&id, "open('begun', 'w').close(); time.sleep(600)");
    begun(&world);
    assert!(not_saved(&mut window, &id, "a", "KernelFailed").message.contains("busy"));
    assert!(not_restored(&mut window, &id, "a", "KernelFailed").message.contains("busy"));
    window.ok("keeper/interruptSession", json!({ "sessionId": id }));
    window.done(&id, &running);
    // No room: what the kernel may write is limited.
    window.run(
        &id,
        "import resource; limits = resource.getrlimit(resource.RLIMIT_FSIZE); held, slow = slow, 0",
    );
    window.run(&id, "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))");
    assert!(not_saved(&mut window, &id, "a", "StoreFailed").message.contains("File too large"));
    assert_eq!(files(&world, &id, ".dill").len(), 1);
    window.run(&id, "resource.setrlimit(resource.RLIMIT_FSIZE, limits); slow = held");
    // Killed half way.
    let saving = window.begin("keeper/snapshot/save", asked);
    begun(&world);
    let queued = window.execute(&id, "y = 0");
    kill(pid_of(&window.session(&id)["pid"]), "KILL");
    assert_eq!(window.finish(saving).expect_err("it died").kind(), "KernelFailed");
    assert_eq!(window.done(&id, &queued)["status"], "aborted");
    window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == id.as_str());
    not_saved(&mut window, &id, "a", "SessionEnded");
    // An ended session is started anew, and has what was whole.
    let restored = restore(&mut window, &id, "a", false);
    assert_eq!(restored["variables"], json!(["x"]));
    assert_eq!(window.value_of(&id, "x"), "2");
    save(&mut window, &id, "a");
    assert_eq!(files(&world, &id, ".dill").len(), 1);
}

#[test]
fn a_new_keeper_lets_a_save_of_the_old_one_end() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    window.run(&id, SLOW.replace("sleep(600)", "sleep(3)").as_str());
    let saving = window.begin("keeper/snapshot/save", json!({ "sessionId": id, "name": "a" }));
    begun(&world);
    kill(pid_of(&window.session(&id)["keeperPid"]), "KILL");
    assert_eq!(window.finish(saving).expect_err("its keeper died").kind(), "KernelFailed");
    assert_eq!(window.value_of(&id, "slow.__class__.__name__"), "'Slow'");
    assert_eq!(listed(&mut window, &notebook), []);
    eventually("what nobody names is gone", PATIENCE, || {
        files(&world, &id, ".dill").is_empty().then_some(())
    });
    window.run(&id, "del slow");
    save(&mut window, &id, "a");
    assert_eq!(files(&world, &id, ".dill").len(), 1);
}

#[test]
fn saving_changes_no_pickler_of_the_user() {
    let world = World::new();
    let mut window = world.window();
    let id = id_of(&window.start(&world.notebook("n.ipynb", &["1"]))["id"]);
    let seen = "{t: f.__module__ for t, f in pickle._Pickler.dispatch.items()}, sorted(vars(pickle)), \
                sorted(vars(pickle._Pickler)), sorted(vars(pickle._Unpickler)), dict(copyreg.dispatch_table)";
    window.run(&id, &format!("import copyreg, pickle, sys\nbefore = ({seen})\ndef f(): return 1"));
    assert_eq!(window.value_of(&id, "'dill' in sys.modules"), "False");
    for _ in 0..2 {
        save(&mut window, &id, "a");
        assert_eq!(window.value_of(&id, &format!("({seen}) == before")), "True");
        // Functions and classes are kept all the same.
        assert_eq!(restore(&mut window, &id, "a", true)["skipped"], json!([]));
        assert_eq!(window.value_of(&id, &format!("f(), ({seen}) == before")), "(1, True)");
    }
    // Whoever wants dill's ways has them.
    window.ok("keeper/restartSession", json!({ "sessionId": id }));
    window.run(&id, &format!("import copyreg, dill, pickle\nbefore = ({seen})"));
    save(&mut window, &id, "a");
    assert_eq!(window.value_of(&id, &format!("({seen}) == before")), "True");
}

#[test]
fn what_is_being_saved_is_not_removed_with_what_was() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    window.run(&id, "x = 1");
    save(&mut window, &id, "a");
    let waits = "
import os, time
class Slow:
    def __reduce__(self):
        open('begun', 'w').close()
        while not os.path.exists('go'): time.sleep(0.01)
        return (int, (2,))
x = Slow()
";
    window.run(&id, waits);
    let saving = window.begin("keeper/snapshot/save", json!({ "sessionId": id, "name": "a" }));
    begun(&world);
    let asked = json!({ "sessionId": id, "name": "a" });
    assert_eq!(world.window().ok("keeper/snapshot/remove", asked)["removed"], true);
    assert_eq!(files(&world, &id, ".dill").len(), 1, "the old one is gone");
    fs::write(world.work().join("go"), "").unwrap();
    window.finish(saving).expect("saved");
    restore(&mut window, &id, "a", true);
    assert_eq!(window.value_of(&id, "x"), "2");
    // It is not answered as saved where somebody took its file away.
    fs::remove_file(world.work().join("go")).unwrap();
    window.run(&id, waits);
    let saving = window.begin("keeper/snapshot/save", json!({ "sessionId": id, "name": "b" }));
    begun(&world);
    let all = files(&world, &id, ".dill");
    let kept = fs::read_to_string(files(&world, &id, ".json").remove(0)).unwrap();
    let new = all.iter().find(|path| !kept.contains(path.file_name().unwrap().to_str().unwrap())).unwrap();
    fs::remove_file(new).unwrap();
    fs::write(world.work().join("go"), "").unwrap();
    assert_eq!(window.finish(saving).expect_err("its file is gone").kind(), "StoreFailed");
    assert_eq!(listed(&mut window, &notebook), [("a".to_owned(), id)]);
}

#[test]
fn only_ones_own_are_restored_and_other_versions_are_told() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    window.run(&id, "import pandas\nx = 1");
    save(&mut window, &id, "a");
    let (json, data) = (files(&world, &id, ".json").remove(0), files(&world, &id, ".dill").remove(0));
    let written = fs::read_to_string(&json).unwrap();
    let mut other: Value = serde_json::from_str(&written).unwrap();
    other["details"]["python"] = json!("2.7.18");
    other["details"]["packages"]["pandas"] = json!("0.1.0");
    other["details"]["packages"]["no-such-package"] = json!("7");
    fs::write(&json, other.to_string()).unwrap();
    let told = restore(&mut window, &id, "a", false)["warnings"].as_array().unwrap().clone();
    assert_eq!(told.len(), 3, "{told:?}");
    for (text, words) in
        told.iter().zip(["Python was 2.7.18 and is 3", "pandas was 0.1.0 and is ", "no-such-package was 7"])
    {
        assert!(text.as_str().unwrap().starts_with(words), "{text}");
    }
    let refused = |window: &mut Window, words: &str| {
        let failed = not_restored(window, &id, "a", "StoreFailed");
        assert!(failed.message.contains(words), "{failed:?}");
    };
    let with_mode =
        |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let folder = json.parent().unwrap().to_owned();
    for path in [&json, &data, &folder] {
        let mode = path.metadata().unwrap().mode() & 0o777;
        with_mode(path, mode | 0o020);
        refused(&mut window, "can be written by others");
        with_mode(path, mode);
    }
    let aside = world.work().join("elsewhere.dill");
    fs::rename(&data, &aside).unwrap();
    symlink(&aside, &data).unwrap();
    refused(&mut window, "symbolic link");
    fs::remove_file(&data).unwrap();
    fs::write(&data, b"cos\nsystem\n(S'touch run-by-pickle'\ntR.").unwrap();
    with_mode(&data, 0o600);
    refused(&mut window, "bytes");
    fs::rename(&aside, &data).unwrap();
    // Giving a file away is for the superuser alone.
    if data.metadata().unwrap().uid() == 0 {
        std::os::unix::fs::chown(&data, Some(12_345), None).unwrap();
        refused(&mut window, "belongs to another user");
        std::os::unix::fs::chown(&data, Some(0), None).unwrap();
    }
    fs::write(&json, "{").unwrap();
    // Not read, but not lost either.
    not_restored(&mut window, &id, "a", "NotFound");
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
    assert_eq!(window.ok("keeper/pruneStore", json!({}))["removedSessions"], 0);
    fs::write(&json, written).unwrap();
    restore(&mut window, &id, "a", false);
    assert_eq!(window.value_of(&id, "x"), "1");
    assert!(!world.work().join("run-by-pickle").exists());
}
