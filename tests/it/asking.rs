//! What a kernel is asked beside executions: variables as they are, and help while typing, never of a busy kernel.

use std::time::Instant;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, SOON, Window, eventually};
use crate::kernels;
use crate::world::{World, id_of, kill, pid_of, uri};

/// A namespace in which almost everything goes wrong where it is touched.
const HOSTILE: &str = r#"
import collections, datetime, os
import numpy as np, pandas as pd, polars as pl
calls = []
class Evil:
    def __getattribute__(self, name): calls.append(name); os.abort()
    def __repr__(self): calls.append('repr'); os.abort()
    def __len__(self): calls.append('len'); os.abort()
    def __sizeof__(self): calls.append('sizeof'); os.abort()
class Meta(type):
    def __getattribute__(cls, name): os.abort()
    def __hash__(cls): os.abort()
class Made(metaclass=Meta): pass
class Slow(list):
    def __len__(self): os.abort()
    def __iter__(self): os.abort()
    def __repr__(self): os.abort()
def count(series): calls.append('map'); return series
evil, made, slow = Evil(), Made(), Slow([1, 2, 3])
big = np.zeros(2 * 1024 ** 3 // 8)
frame = pd.DataFrame({'a': range(1000), 'b': 'x'})
column = frame['a']
eager = pl.DataFrame({'x': [1, 2, 3]})
lazy = eager.lazy().map_batches(count)
numbers, nested, text = [1, 2.5, None], {'k': [evil, {'deep': evil}]}, 'x' * 5000
huge, when, pair = 10 ** 5000, datetime.date(2026, 1, 26), collections.Counter('abca')
password = 'hunter2-' + 'secret'
globals().update({f'v{i}': i for i in range(10_000)})
def function(): pass
"#;

fn variables(window: &mut Window, id: &str) -> Value {
    window.ok("keeper/sessionVariables", json!({ "sessionId": id }))
}

/// The same of a kernel that is free: on a busy machine it may take longer than a look waits, and the last known are told.
fn fresh_variables(window: &mut Window, id: &str) -> Value {
    eventually("the variables as they are", PATIENCE, || {
        Some(variables(window, id)).filter(|listed| listed["stale"] == false)
    })
}

fn named<'a>(listed: &'a Value, name: &str) -> Option<&'a Value> {
    listed["variables"].as_array().expect("variables").iter().find(|v| v["name"] == name)
}

#[test]
fn variables_are_right_and_nothing_is_evaluated() {
    let world = World::new();
    let mut window = world.window();
    let id = id_of(&window.start(&world.notebook("draft.ipynb", &["1"]))["id"]);
    window.run(&id, HOSTILE);
    let before = window.session(&id)["lastActivityAt"].clone();
    let begun = Instant::now();
    let listed = fresh_variables(&mut window, &id);
    let took = begun.elapsed();
    assert!(took < SOON, "{took:?}");
    assert_eq!((&listed["supported"], &listed["stale"]), (&json!(true), &json!(false)));
    let check = |name: &str, class: &str, shape: Value, size: Value, preview: &str| {
        let found = named(&listed, name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!((&found["type"], &found["shape"]), (&json!(class), &shape), "{found}");
        assert!(size.is_null() || found["size"] == size, "{found}");
        assert!(found["preview"].as_str().unwrap().contains(preview), "{found}");
    };
    check("evil", "Evil", Value::Null, Value::Null, "<Evil>");
    check("made", "Made", Value::Null, Value::Null, "<Made>");
    check("slow", "Slow", json!([3]), Value::Null, "[1, 2, 3]");
    check("big", "ndarray", json!([1 << 28]), json!(2u64 << 30), "float64");
    check("frame", "DataFrame", json!([1000, 2]), Value::Null, "a, b");
    check("column", "Series", json!([1000]), json!(8000), "int64");
    check("eager", "DataFrame", json!([3, 1]), json!(24), "x");
    check("lazy", "LazyFrame", Value::Null, Value::Null, "not evaluated");
    check("numbers", "list", json!([3]), Value::Null, "[1, 2.5, None]");
    check("nested", "dict", json!([1]), Value::Null, "<Evil>");
    check("text", "str", json!([5000]), Value::Null, "xxx");
    check("huge", "int", Value::Null, Value::Null, "bits");
    check("when", "date", Value::Null, Value::Null, "2026-01-26");
    check("pair", "Counter", json!([3]), Value::Null, "'a': 2");
    check("v9999", "int", Value::Null, json!(28), "9999");
    for none in ["np", "function", "Evil", "In", "_"] {
        assert!(named(&listed, none).is_none(), "{none}");
    }
    let previews = listed["variables"].as_array().unwrap().iter().map(|v| v["preview"].as_str().unwrap());
    assert_eq!(previews.map(|p| p.chars().count()).filter(|length| *length > 210).count(), 0);
    // No activity, no execution, no name, no number used up.
    assert_eq!(window.session(&id)["lastActivityAt"], before);
    let after = window.run(&id, "assert calls == []");
    assert_eq!(after["executionCount"], 2);
    assert_eq!(window.value_of(&id, "len(globals()) == len(set(globals()))"), "True");
}

#[test]
fn variables_of_a_busy_or_ended_kernel_are_the_last_known() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    assert_eq!(variables(&mut window, &id)["variables"], json!([]));
    let secrets = "a = 1; api_key = 'very-secret-text'; pin_token = 4711; numbers = [1, 2.5]\n\
        import uuid, pathlib, collections, numpy, pandas\n\
        pw = 'very-secret-text'; raw = pw.encode(); array = bytearray(raw); login = {'user': pw}; nested = [1, (pw,)]\n\
        keys = {pw: 1}; line = collections.deque([pw]); place = pathlib.Path('/very-secret'); scalar = numpy.str_(pw)\n\
        table = pandas.DataFrame({pw: [1, 2]}); texts = numpy.array([pw]); class_of = type('int', (dict,), {})\n\
        own = class_of(a=pw); shape = numpy.zeros((30, 40))\n";
    window.run(&id, secrets);
    let known = fresh_variables(&mut window, &id);
    assert_eq!(named(&known, "a").unwrap()["preview"], "1");
    assert_eq!(named(&known, "api_key").unwrap()["preview"], "'very-secret-text'");
    let long = window.execute(&id, "a = 2\nimport time\ntime.sleep(60)");
    window.until_status(&id, &long, &["running"]);
    let busy = variables(&mut window, &id);
    assert_eq!((&busy["stale"], &busy["variables"]), (&json!(true), &known["variables"]));
    assert!(busy["asOf"].as_str() >= known["asOf"].as_str());
    window.ok("keeper/interruptSession", json!({ "sessionId": id }));
    window.done(&id, &long);
    // Nobody asks, and it is known all the same once the kernel has rested a moment.
    let file = world.session_dir(&id).join("variables.json");
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    eventually("the keeper looks by itself", PATIENCE, || read().contains("\"preview\":\"2\"").then_some(()));
    assert!(!read().contains("very-secret") && !read().contains("4711"), "{}", read());
    kill(pid_of(&session["pid"]), "KILL");
    window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == id.as_str());
    let ended = variables(&mut window, &id);
    assert_eq!(ended["stale"], true);
    // Numbers, types and shapes are known still, and no text.
    for (name, kind, shape, preview) in [
        ("a", "int", Value::Null, "2"),
        ("numbers", "list", json!([2]), "[1, 2.5]"),
        ("shape", "ndarray", json!([30, 40]), "float64"),
        ("pw", "str", json!([16]), "…"),
        ("raw", "bytes", json!([16]), "…"),
        ("login", "dict", json!([1]), "…"),
        ("nested", "list", json!([2]), "…"),
        ("own", "int", json!([1]), "…"),
        ("table", "DataFrame", json!([2, 1]), "…"),
        ("texts", "ndarray", json!([1]), "<U16"),
        ("pin_token", "int", Value::Null, "…"),
    ] {
        let known = named(&ended, name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(
            (&known["type"], &known["shape"], &known["preview"]),
            (&json!(kind), &shape, &json!(preview))
        );
    }
    // A new kernel has none.
    window.ok("keeper/restartSession", json!({ "sessionId": id }));
    assert_eq!(fresh_variables(&mut window, &id)["variables"], json!([]));
    window.fails("keeper/sessionVariables", json!({ "sessionId": "nobody" }), "SessionNotFound");
    window.refuses("keeper/sessionVariables", json!({}), "sessionId");
}

#[test]
fn another_language_says_that_it_cannot_tell() {
    let world = World::new();
    kernels::install_other(&world.jupyter());
    let mut window = world.window();
    let asked =
        json!({ "notebookUri": uri(&world.notebook("o.ipynb", &["1"])), "kernelName": kernels::OTHER });
    let id = id_of(&window.ok("keeper/startSession", asked)["session"]["id"]);
    let listed = variables(&mut window, &id);
    assert_eq!((&listed["supported"], &listed["variables"]), (&json!(false), &json!([])));
}

/// Opens a notebook with one cell, in which help is asked for.
fn open_cell(window: &mut Window, notebook: &std::path::Path, text: &str) -> Value {
    let cell = format!("vscode-notebook-cell:{}#c0", notebook.display());
    let cells = json!([{ "kind": 2, "document": cell }]);
    let document =
        json!({ "uri": uri(notebook), "notebookType": "jupyter-notebook", "version": 1, "cells": cells });
    let item = json!({ "uri": cell, "languageId": "python", "version": 1, "text": text });
    window.notify(
        "notebookDocument/didOpen",
        json!({ "notebookDocument": document, "cellTextDocuments": [item] }),
    );
    json!({ "uri": cell })
}

fn at(cell: &Value, line: u32, character: u32) -> Value {
    json!({ "textDocument": cell, "position": { "line": line, "character": character } })
}

#[test]
fn who_types_faster_than_the_kernel_helps_holds_up_no_cell() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    let slow = "import time\nkernel = get_ipython().kernel\nhelp = kernel.do_complete\nasked = []\n\
        def slow(*of):\n    asked.append(of)\n    time.sleep(1)\n    return help(*of)\nkernel.do_complete = slow";
    window.run(&id, slow);
    let cell = open_cell(&mut window, &notebook, "asked");
    let typed: Vec<i64> =
        (0..20).map(|n| window.begin("textDocument/completion", at(&cell, 0, n % 6))).collect();
    for request in typed {
        assert!(window.finish(request).is_ok());
    }
    // The first and the last, and maybe one between.
    let asked = window.value_of(&id, "len(asked)");
    assert!(["1", "2", "3"].contains(&asked.as_str()), "{asked}");
}

#[test]
fn help_while_typing_comes_from_the_kernel() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    window.run(&id, "größe_1 = 7\ndef scale(matrix, factor=2, *, power=1):\n    'Scales a matrix.'\nscale");
    let cell = open_cell(&mut window, &notebook, "x = '🦀'; größe_\nscale(größe_1, ");
    // The first may find the kernel's completer still loading, and is empty then.
    let found = eventually("a completion", PATIENCE, || {
        let answer = window.ok("textDocument/completion", at(&cell, 0, 16));
        answer.as_array().filter(|items| !items.is_empty()).cloned()
    });
    assert_eq!(found[0]["label"], "größe_1", "{found:?}");
    let range = &found[0]["textEdit"]["range"];
    assert_eq!(
        (&range["start"]["character"], &range["end"]["character"]),
        (&json!(10), &json!(16)),
        "{range}"
    );
    let hover = eventually("a hover", PATIENCE, || {
        Some(window.ok("textDocument/hover", at(&cell, 1, 2))).filter(|hover| !hover.is_null())
    });
    let said = hover["contents"]["value"].as_str().unwrap();
    assert!(said.contains("Scales a matrix.") && !said.contains('\u{1b}'), "{said}");
    let help = eventually("a signature", PATIENCE, || {
        Some(window.ok("textDocument/signatureHelp", at(&cell, 1, 15))).filter(|help| !help.is_null())
    });
    assert!(help["signatures"][0]["label"].as_str().unwrap().starts_with("scale(matrix, factor=2"), "{help}");
    assert_eq!(help["activeParameter"], 1);
    // Edited since.
    let change = json!({ "range": { "start": { "line": 0, "character": 10 }, "end": { "line": 0, "character": 16 } },
        "text": "scal" });
    let document = json!({ "uri": cell["uri"], "version": 2 });
    let changed = json!({ "cells": { "textContent": [{ "document": document, "changes": [change] }] } });
    let notebook_document = json!({ "uri": uri(&notebook), "version": 2 });
    window.notify(
        "notebookDocument/didChange",
        json!({ "notebookDocument": notebook_document, "change": changed }),
    );
    let edited = eventually("a completion of what is there now", PATIENCE, || {
        let answer = window.ok("textDocument/completion", at(&cell, 0, 14));
        answer.as_array().filter(|items| !items.is_empty()).cloned()
    });
    assert_eq!(edited[0]["label"], "scale", "{edited:?}");
    // A completion that nobody waits for any more may keep the kernel busy still.
    let inspected = eventually("what the kernel knows of a name", PATIENCE, || {
        let asked = json!({ "sessionId": id, "code": "scale", "cursor": 5 });
        Some(window.ok("keeper/inspect", asked)).filter(|found| found["found"] == true)
    });
    assert!(inspected["data"]["text/plain"].as_str().unwrap().contains("Scales a matrix."));
    let nothing = window.ok("keeper/inspect", json!({ "sessionId": id, "code": "nobody", "cursor": 3 }));
    assert_eq!(nothing, json!({ "found": false, "data": {} }));
    // A busy kernel is not asked, and nobody waits for it.
    let long = window.execute(&id, "import time\ntime.sleep(60)");
    window.until_status(&id, &long, &["running"]);
    let begun = Instant::now();
    assert_eq!(window.ok("textDocument/completion", at(&cell, 0, 14)), Value::Null);
    assert_eq!(window.ok("textDocument/hover", at(&cell, 1, 2)), Value::Null);
    assert_eq!(
        window.ok("keeper/inspect", json!({ "sessionId": id, "code": "scale", "cursor": 5 }))["found"],
        false
    );
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    window.ok("keeper/interruptSession", json!({ "sessionId": id }));
    window.done(&id, &long);
    assert_eq!(window.ok("textDocument/hover", at(&json!({ "uri": "untitled:nothing" }), 0, 0)), Value::Null);
}

/// ipykernel says of what a thread shows that the latest request brought it about, and that was a question of ours.
#[test]
fn what_a_thread_shows_after_a_question_is_told() {
    let world = World::new();
    let mut window = world.window();
    let id = id_of(&window.start(&world.notebook("draft.ipynb", &["1"]))["id"]);
    window.subscribe(&id, 0);
    let go = world.work().join("go");
    let code = format!(
        "import os, threading, time\nhandle = display('waits', display_id='later')\ndef show():\n    \
         while not os.path.exists({go:?}): time.sleep(0.02)\n    \
         handle.update('came later')\n    display('and this')\n    threading.Event().wait()\n\
         threading.Thread(target=show, daemon=True).start()"
    );
    let execution = window.execute_cell(&id, 0, &code);
    window.done(&id, &execution);
    let known = window.ok("keeper/sessionVariables", json!({ "sessionId": id }));
    assert!(known.to_string().contains("handle"), "{known}");
    std::fs::write(&go, "").unwrap();
    window.wait_for("keeper/executionEvent", |e| e["event"]["data"]["text/plain"] == "'came later'");
    let shown = window
        .wait_for("keeper/executionEvent", |e| e["event"]["output"]["data"]["text/plain"] == "'and this'");
    assert_eq!(shown["executionId"], execution.as_str());
}
