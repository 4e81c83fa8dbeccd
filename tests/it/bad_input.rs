//! No request crashes or hangs the sidecar: ill-formed ones are refused with the field's name, strange ones are served.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::kernels;
use crate::world::{World, id_of, uri, write_notebook};

/// A method, the fields that it needs, and its optional ones with a value of a wrong type.
type Method<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a Value)]);

#[test]
fn what_is_ill_formed_is_refused_by_name() {
    let world = World::new();
    let notebook = uri(&world.notebook("draft.ipynb", &["1"]));
    let mut window = world.window();
    let good = json!({
        "notebookUri": notebook, "kernelName": kernels::PYTHON, "sessionId": "abc", "code": "1", "executionId": "e",
        "offerId": "o", "action": "resume", "label": "l", "pinned": true, "value": "v",
        "targetNotebookUri": notebook,
    });
    // Of each method: the fields that it cannot do without, and the optional ones with a value of a wrong type.
    let text = json!("text");
    let one = json!(1);
    let methods: &[Method] = &[
        ("listSessions", &[], &[("includeEnded", &text)]),
        ("findActiveSession", &["notebookUri"], &[]),
        ("listKernelspecs", &[], &[("notebookUri", &one)]),
        ("ensureSession", &["notebookUri"], &[("kernelName", &one), ("ask", &text)]),
        ("answerOffer", &["offerId", "action"], &[]),
        ("startSession", &["notebookUri", "kernelName"], &[("label", &one), ("cwd", &one), ("env", &text)]),
        (
            "attachSession",
            &["targetNotebookUri"],
            &[("sourcePid", &text), ("replace", &one), ("share", &one)],
        ),
        ("detachSession", &["sessionId"], &[("notebookUri", &one)]),
        ("stopSession", &["sessionId"], &[]),
        ("interruptSession", &["sessionId"], &[]),
        ("restartSession", &["sessionId"], &[]),
        ("labelSession", &["sessionId", "label"], &[]),
        ("pinSession", &["sessionId", "pinned"], &[]),
        ("execute", &["sessionId", "code"], &[("notebookUri", &one), ("cell", &text), ("stopOnError", &one)]),
        ("cancelExecution", &["sessionId", "executionId"], &[]),
        ("replyInput", &["sessionId", "executionId", "value"], &[]),
        ("executionHistory", &[], &[("limit", &text), ("sessionId", &one)]),
        ("cellOutputs", &["sessionId"], &[("maxBytesPerCell", &text), ("notebookUri", &one)]),
        ("subscribe", &["sessionId"], &[("afterSeq", &text)]),
        ("unsubscribe", &["sessionId"], &[]),
        ("pruneStore", &[], &[("endedBefore", &text)]),
    ];
    for (name, needed, optional) in methods {
        let method = format!("keeper/{name}");
        let with = |field: &str, value: Option<&Value>| {
            let mut params: serde_json::Map<String, Value> =
                needed.iter().map(|f| ((*f).to_owned(), good[*f].clone())).collect();
            match value {
                Some(value) => params.insert(field.to_owned(), value.clone()),
                None => params.shift_remove(field),
            };
            Value::Object(params)
        };
        for field in *needed {
            window.refuses(&method, with(field, None), field);
            window.refuses(&method, with(field, Some(&json!({ "no": "such" }))), field);
            window.refuses(&method, with(field, Some(&Value::Null)), field);
        }
        for (field, wrong) in *optional {
            window.refuses(&method, with(field, Some(wrong)), field);
        }
        if needed.contains(&"sessionId") {
            window.fails(&method, with("unknown", Some(&json!(1))), "SessionNotFound");
            for odd in ["", "../..", "a/b", "\u{0}", "ä", &"x".repeat(5_000)] {
                window.fails(&method, with("sessionId", Some(&json!(odd))), "SessionNotFound");
            }
        }
        if needed.contains(&"notebookUri") {
            for odd in [
                "",
                "draft.ipynb",
                "file:///notebooks/draft.txt",
                "file://host/draft.ipynb",
                "http://x/draft.ipynb",
                "file:///%zz%00.ipynb",
                "file:draft.ipynb",
                "file:///",
            ] {
                window.refuses(&method, with("notebookUri", Some(&json!(odd))), "notebookUri");
            }
        }
    }
    window.fails("keeper/answerOffer", json!({ "offerId": "none", "action": "resume" }), "OfferGone");
    window.refuses("keeper/executionHistory", json!({}), "sessionId");
    window.refuses(
        "keeper/executionHistory",
        json!({ "sessionId": "abc", "notebookUri": notebook }),
        "sessionId",
    );
    window.fails("keeper/executionHistory", json!({ "sessionId": "abc" }), "SessionNotFound");
    let never_run = window.ok("keeper/executionHistory", json!({ "notebookUri": notebook }));
    assert_eq!(never_run, json!({ "executions": [] }));
    for (name, value) in [("A", "x\0y"), ("A=B", "1"), ("", "1")] {
        let env = json!({ "notebookUri": notebook, "kernelName": kernels::PYTHON, "env": { name: value } });
        window.refuses("keeper/startSession", env, "env");
    }
    let env = json!({ "notebookUri": notebook, "kernelName": kernels::PYTHON, "env": { "A": 1 } });
    window.refuses("keeper/startSession", env, "env.A");
    let cwd = json!({ "notebookUri": notebook, "kernelName": kernels::PYTHON, "cwd": "/no/such" });
    window.refuses("keeper/startSession", cwd, "cwd");
    assert_eq!(window.ok("keeper/stopAllSessions", Value::Null), json!({ "stopped": 0 }));
    assert_eq!(window.ok("keeper/openOffers", json!({})), json!({ "offers": [] }));
}

#[test]
fn what_is_no_json_ends_nothing() {
    let world = World::new();
    let mut window = world.window();
    for body in [
        &b"{"[..],
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{}",
        b"{\"jsonrpc\":\"2.0\"}",
        b"",
        b"[1,2]",
        b"\"text\"",
        b"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":1}",
    ] {
        window.send_raw(body);
        assert_eq!(window.ok("keeper/listSessions", json!({}))["sessions"], json!([]), "after {body:?}");
    }
    let unknown = window.request("keeper/noSuchMethod", json!({})).expect_err("there is no such method");
    assert_eq!(unknown.code, -32601);
    window.notify("keeper/noSuchNotification", json!({}));
    window.notify("$/cancelRequest", json!({ "id": 12345 }));
    // Parameters as an array, or of a wrong type altogether.
    for params in [json!([]), json!([1]), json!("text"), json!(1)] {
        let answer = window.request("keeper/stopSession", params.clone());
        assert_eq!(answer.expect_err("no parameters of it").code, -32602, "{params}");
    }
    window.ok("keeper/listSessions", json!({}));
}

#[test]
fn nothing_is_answered_before_initialize() {
    let world = World::new();
    let mut window = world.spawn();
    let early = window.request("keeper/listSessions", json!({})).expect_err("not initialized");
    assert_eq!(early.code, -32002);
    window.initialize(crate::world::initialize(&[world.work()], Value::Null));
    window.ok("keeper/listSessions", json!({}));
}

#[test]
fn strange_names_are_names() {
    let world = World::new();
    let mut window = world.window();
    let work = world.work();
    // 200 bytes a name is what file systems take; 4,000 characters in all what Linux takes.
    let deep: PathBuf = std::iter::repeat_n("d".repeat(190), 19).collect();
    let deep = work.join(deep);
    std::fs::create_dir_all(&deep).unwrap();
    let names = [
        "with space.ipynb",
        "100%.ipynb",
        "%20.ipynb",
        "a#b?c.ipynb",
        "Ünï 😀 汉字.ipynb",
        "-rf.ipynb",
        "a+b&c=d;e'f\"g.ipynb",
    ];
    let mut paths: Vec<PathBuf> = names.iter().map(|name| work.join(name)).collect();
    paths.push(deep.join(format!("{}.ipynb", "n".repeat(100))));
    assert!(paths.last().unwrap().as_os_str().len() > 3_600);
    for path in &paths {
        write_notebook(path, &["1"]);
    }
    let session = window.start(&paths[0]);
    let id = id_of(&session["id"]);
    let mut before = paths[0].clone();
    for path in &paths[1..] {
        let asked = json!({
            "sessionId": id, "targetNotebookUri": uri(path), "expectedNotebookUri": uri(&before),
        });
        let moved = window.ok("keeper/attachSession", asked);
        assert_eq!(moved["oldPath"], before.to_str().unwrap());
        assert_eq!(moved["newPath"], path.to_str().unwrap());
        let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(path) }));
        assert_eq!(
            (&found["found"], &found["session"]["notebookUri"]),
            (&json!(true), &json!(uri(path))),
            "{path:?}"
        );
        assert_eq!(found["session"]["notebookExists"], true);
        assert_eq!(found["session"]["label"], path.file_name().unwrap().to_str().unwrap());
        before = path.clone();
    }
    // Another spelling of the same path is the same notebook.
    let asked = json!({ "sessionId": id, "targetNotebookUri": uri(&paths[2]) });
    window.ok("keeper/attachSession", asked);
    let spelt = format!("file://{}/%2520.ipynb", work.display());
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": spelt }));
    assert_eq!(found["found"], true, "{spelt}");
    let spelt = format!("file://{}/./x/../%2520%2Eipynb", work.display());
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": spelt }));
    assert_eq!(found["found"], true, "{spelt}");
    assert_eq!(window.value_of(&id, "6 * 7"), "42");
}

#[test]
fn a_link_and_its_file_are_one_notebook() {
    let world = World::new();
    let notebook = world.notebook("real.ipynb", &["1"]);
    let link = world.work().join("link.ipynb");
    std::os::unix::fs::symlink(&notebook, &link).unwrap();
    let mut window = world.window();
    let id = id_of(&window.start(&link)["id"]);
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&link) }));
    assert_eq!((&found["match"], &found["session"]["id"]), (&json!("path"), &json!(id)));
    assert_eq!(found["session"]["notebookPath"], link.to_str().unwrap());
    // The file behind it is not taken for a renamed one while the link is there: it is this very notebook.
    let target = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&notebook) }));
    assert_eq!((&target["match"], &target["session"]["id"]), (&json!("path"), &json!(id)), "{target}");
    assert_eq!(window.session(&id)["notebookPath"], link.to_str().unwrap());
}

#[test]
fn an_untitled_notebook_belongs_to_its_window() {
    let world = World::new();
    let of_editor = |pid: u32| json!({ "window": { "editorPid": pid } });
    let (mut window, mut other) = (world.window_with(of_editor(11)), world.window_with(of_editor(12)));
    let untitled = "untitled:Untitled-1.ipynb?jupyter-notebook";
    let asked = json!({ "notebookUri": untitled, "kernelName": kernels::PYTHON });
    let session = window.ok("keeper/startSession", asked)["session"].clone();
    let id = id_of(&session["id"]);
    assert_eq!((&session["notebookPath"], &session["notebookUri"]), (&Value::Null, &json!(untitled)));
    assert_eq!((&session["notebookExists"], &session["label"]), (&json!(true), &json!("Untitled-1.ipynb")));
    window.run(&id, "x = 5");
    let theirs = other.ok("keeper/findActiveSession", json!({ "notebookUri": untitled }));
    assert_eq!(theirs["found"], false, "another window's untitled notebook is another one");
    let again = window.ok("keeper/ensureSession", json!({ "notebookUri": untitled }));
    assert_eq!(again["outcome"], "attached");
    // The sidecar crashes: the next one of the same editor is the same window, no other is.
    window.kill();
    let theirs = other.ok("keeper/findActiveSession", json!({ "notebookUri": untitled }));
    assert_eq!(theirs["found"], false);
    let mut window = world.window_with(of_editor(11));
    let again = window.ok(
        "keeper/ensureSession",
        json!({ "notebookUri": untitled, "kernelName": kernels::PYTHON, "ask": false }),
    );
    assert_eq!((&again["outcome"], &again["session"]["id"]), (&json!("resumed"), &json!(id)));
    // The first save.
    let saved = world.notebook("saved.ipynb", &["x = 5"]);
    let asked = json!({ "sessionId": id, "targetNotebookUri": uri(&saved), "expectedNotebookUri": untitled });
    let moved = window.ok("keeper/attachSession", asked);
    assert_eq!((&moved["oldPath"], &moved["newPath"]), (&Value::Null, &json!(saved)));
    assert_eq!(window.value_of(&id, "x"), "5");
}
