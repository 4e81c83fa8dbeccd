//! Whose a conversation is: the notebook's kernel, whichever it is by now, and no other notebook's.

use std::fs;

use serde_json::{Value, json};

use super::{contents, info, listed, prune, quick, said};
use crate::driver::{PATIENCE, Window, eventually};
use crate::world::{World, id_of, uri};

fn shows(window: &mut Window, session: &str, answer: &str) {
    let known = info(window, "c");
    let variables = known["variables"].as_array().unwrap();
    let shown = variables.iter().find(|variable| variable["name"] == "answer");
    assert_eq!((&known["sessionId"], &known["variablesStale"]), (&json!(session), &json!(false)));
    assert_eq!(shown.map(|variable| &variable["preview"]), Some(&json!(answer)), "{known}");
}

#[test]
fn it_goes_with_its_notebook_into_a_new_kernel() {
    let world = World::new();
    let a = world.notebook("a.ipynb", &["1"]);
    let (mut window, mut other) = (world.window(), world.window());
    let dead = id_of(&window.start(&a)["id"]);
    window.run(&dead, "answer = 41");
    said(&mut window, "c", "user", "x", json!({ "sessionId": dead }));
    window.ok("keeper/stopSession", json!({ "sessionId": dead }));
    assert_eq!(info(&mut other, "c")["sessionId"], json!(dead), "it has no other");
    let fresh = id_of(&window.start(&a)["id"]);
    let ran = window.run(&fresh, "answer = 42");
    shows(&mut other, &fresh, "42");
    assert_eq!(listed(&mut window, json!({ "sessionId": fresh })), ["c"]);
    assert_eq!(listed(&mut window, json!({ "sessionId": dead })), [""; 0]);

    // Replayed: the kernel that let go of the notebook lives, and is not its.
    window.run(&fresh, "answer = 43");
    let asked = json!({ "sessionId": fresh, "executionId": ran["executionId"] });
    let replayed = id_of(&window.ok("keeper/replayTo", asked)["session"]["id"]);
    assert_eq!(listed(&mut other, json!({ "sessionId": replayed })), ["c"]);
    eventually("the history has run", PATIENCE, || {
        (info(&mut other, "c")["variables"][0]["preview"] == "42").then_some(())
    });
    shows(&mut window, &replayed, "42");
    assert_eq!(window.value_of(&fresh, "answer"), "43");
    // The same where a turn comes before anybody looks.
    window.ok("keeper/stopSession", json!({ "sessionId": replayed }));
    let last = id_of(&window.start(&a)["id"]);
    said(&mut other, "c", "user", "y", json!({}));
    let export = window.ok("keeper/conversation/export", json!({ "conversationId": "c" }));
    let export: Value = serde_json::from_str(export["json"].as_str().unwrap()).unwrap();
    assert_eq!((&export["sessionId"], &export["notebookPath"]), (&json!(last), &json!(a)));
}

#[test]
fn it_lasts_as_long_as_its_notebook_has_a_kernel() {
    let world = World::new();
    let notebook = |name: &str| world.notebook(name, &["1"]);
    let (a, b, early, none) =
        (notebook("a.ipynb"), notebook("b.ipynb"), notebook("c.ipynb"), notebook("d.ipynb"));
    let mut window = quick(&world, "0.001", json!({}));
    let dead = id_of(&window.start(&a)["id"]);
    said(&mut window, "of the dead", "user", "x", json!({ "sessionId": dead }));
    window.ok("keeper/stopSession", json!({ "sessionId": dead }));
    said(&mut window, "early", "user", "x", json!({ "notebookUri": uri(&early) }));
    window.start(&a);
    window.start(&early);
    let ending = id_of(&window.start(&b)["id"]);
    said(&mut window, "ending", "user", "x", json!({ "sessionId": ending }));
    said(&mut window, "gone", "user", "x", json!({ "notebookUri": uri(&none) }));
    eventually("the one without a kernel expires", PATIENCE, || {
        let asked = json!({ "conversationId": "gone" });
        window.request("keeper/conversation/history", asked).is_err().then_some(())
    });
    for id in ["of the dead", "early", "ending"] {
        assert_eq!(contents(&mut window, id), ["x"], "{id}");
    }
    // The hours begin with the session's end, though it is forgotten at once.
    window.ok("keeper/stopSession", json!({ "sessionId": ending }));
    prune(&mut window, "ending");
    assert_eq!(contents(&mut window, "ending"), ["x"]);
}

#[test]
fn an_id_is_one_notebooks() {
    let world = World::new();
    let notebook = |name: &str| world.notebook(name, &["1"]);
    let (a, b) = (notebook("a.ipynb"), notebook("b.ipynb"));
    let mut window = world.window();
    let of = |notebook: &std::path::Path| json!({ "notebookUri": uri(notebook) });
    let turn = |more: Value| {
        let mut asked = json!({ "conversationId": "main", "role": "user", "content": "wrong" });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    const APPEND: &str = "keeper/conversation/append";
    said(&mut window, "main", "user", "1", of(&a));
    said(&mut window, "main", "user", "2", of(&a));
    let failure = window.fails(APPEND, turn(of(&b)), "InvalidParams");
    assert_eq!(failure.field(), "notebookUri");
    assert!(
        failure.message.contains("\"main\" is taken by a.ipynb") && failure.message.contains("another id")
    );
    let (ours, theirs) = (id_of(&window.start(&a)["id"]), id_of(&window.start(&b)["id"]));
    let failure = window.fails(APPEND, turn(json!({ "sessionId": theirs })), "InvalidParams");
    assert_eq!(failure.field(), "sessionId", "{failure:?}");
    window.refuses(APPEND, turn(of(&b)), "notebookUri");
    window.refuses(APPEND, turn(json!({ "sessionId": ours, "notebookUri": uri(&b) })), "notebookUri");
    said(&mut window, "main", "user", "3", json!({ "sessionId": ours, "notebookUri": uri(&a) }));
    // Its next kernel's, and its last one's.
    window.ok("keeper/stopSession", json!({ "sessionId": ours }));
    said(&mut window, "main", "user", "4", json!({ "sessionId": ours }));
    let new = id_of(&window.start(&a)["id"]);
    said(&mut window, "main", "user", "5", json!({ "sessionId": new }));
    said(&mut window, "main", "user", "6", json!({ "sessionId": ours }));
    // Under another name it is the same; its old name is, until another notebook has it.
    let moved = world.work().join("moved.ipynb");
    fs::rename(&a, &moved).unwrap();
    window.ok("keeper/attachSession", json!({ "sessionId": new, "targetNotebookUri": uri(&moved) }));
    said(&mut window, "main", "user", "7", of(&moved));
    said(&mut window, "main", "user", "8", of(&a));
    crate::world::write_notebook(&a, &["2"]);
    let failure = window.fails(APPEND, turn(of(&a)), "InvalidParams");
    assert!(failure.message.contains("taken by moved.ipynb"), "{failure:?}");
    let said: Vec<String> = (1..=8).map(|n| n.to_string()).collect();
    assert_eq!(contents(&mut window, "main"), said);
}
