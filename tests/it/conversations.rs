//! Conversations: every method with good and bad input, whom they follow, and that nothing that was answered is lost.

mod belonging;
mod lasting;

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::world::{World, id_of, uri};

fn append(window: &mut Window, id: &str, content: &str) -> u64 {
    said(window, id, "user", content, json!({}))
}

/// A turn, with what names its session or notebook; how many there are then.
fn said(window: &mut Window, id: &str, role: &str, content: &str, of: Value) -> u64 {
    let mut asked = json!({ "conversationId": id, "role": role, "content": content });
    asked.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
    window.ok("keeper/conversation/append", asked)["turnCount"].as_u64().unwrap()
}

/// All that was said, in order.
fn contents(window: &mut Window, id: &str) -> Vec<String> {
    let asked = json!({ "conversationId": id, "maxTurns": 100_000 });
    let told = window.ok("keeper/conversation/history", asked);
    let history = told["history"].as_array().unwrap();
    assert_eq!(told["turnCount"].as_u64().unwrap(), history.len() as u64);
    history.iter().map(|turn| id_of(&turn["content"])).collect()
}

fn listed(window: &mut Window, of: Value) -> Vec<String> {
    let all = window.ok("keeper/conversation/list", of);
    all["conversations"].as_array().unwrap().iter().map(|one| id_of(&one["conversationId"])).collect()
}

fn info(window: &mut Window, id: &str) -> Value {
    window.ok("keeper/conversation/info", json!({ "conversationId": id }))
}

fn is_unknown(window: &mut Window, id: &str) {
    for (method, more) in [
        ("history", json!({})),
        ("info", json!({})),
        ("branch", json!({ "atTurn": 1 })),
        ("export", json!({})),
    ] {
        let mut asked = json!({ "conversationId": id });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let failure = window.fails(&format!("keeper/conversation/{method}"), asked, "NotFound");
        assert_eq!(failure.data["what"], "conversation", "{failure:?}");
        assert!(failure.message.contains("unknown or has expired"), "{failure:?}");
    }
}

/// A window where conversations last so many hours.
fn quick(world: &World, hours: &str, options: Value) -> Window {
    let mut command = world.command();
    command.env("KERNEL_KEEPER_CONVERSATION_EXPIRE_HOURS", hours);
    let mut window = world.spawn_with(command);
    window.initialize(crate::world::initialize(&[world.work()], options));
    window
}

/// Removes ended sessions, once their keepers are gone: that of a conversation among them.
fn prune(window: &mut Window, id: &str) {
    eventually("it is pruned", PATIENCE, || {
        window.ok("keeper/pruneStore", json!({}));
        (info(window, id)["sessionId"] == Value::Null).then_some(())
    });
}

fn remove(world: &World, database: &str) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(world.state().join(format!("{database}{suffix}")));
    }
}

#[test]
fn every_method_with_good_and_bad_input() {
    let world = World::new();
    let notebook = world.notebook("odd % # é 🍎.ipynb", &["1"]);
    let mut window = world.window();
    let method = |name: &str| format!("keeper/conversation/{name}");
    // Nothing of it exists before the first turn.
    is_unknown(&mut window, "c");
    assert_eq!(listed(&mut window, json!({})), [""; 0]);
    assert_eq!(window.ok(&method("clear"), json!({ "conversationId": "c" })), json!({ "cleared": false }));
    assert!(!world.state().join("conversations.db").exists(), "who only looks makes no file");

    let of = json!({ "notebookUri": uri(&notebook) });
    let turn = |more: Value| {
        let mut asked = json!({ "conversationId": "c", "role": "user", "content": "x" });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    for (bad, field) in [
        (turn(json!({})), "sessionId"),
        (turn(json!({ "notebookUri": "file:///a.py" })), "notebookUri"),
        (turn(json!({ "notebookUri": 7 })), "notebookUri"),
        (turn(json!({ "role": "boss", "notebookUri": uri(&notebook) })), "role"),
        (turn(json!({ "content": null })), "content"),
        (turn(json!({ "conversationId": "" })), "conversationId"),
        (turn(json!({ "conversationId": "a\nb" })), "conversationId"),
        (turn(json!({ "conversationId": "x".repeat(201) })), "conversationId"),
        (json!({ "conversationId": "c", "content": "x" }), "role"),
    ] {
        window.refuses(&method("append"), bad, field);
    }
    window.fails(&method("append"), turn(json!({ "sessionId": "nosuch00" })), "SessionNotFound");
    assert_eq!(listed(&mut window, json!({})), [""; 0]);

    let mark = window.mark();
    assert_eq!(said(&mut window, "c", "system", "be kind", of.clone()), 1);
    assert_eq!(said(&mut window, "c", "user", "\n What is x?\nI mean it.", json!({})), 2);
    window.wait_after(mark, "keeper/conversationsChanged", |_| true);
    window.fails(&method("append"), turn(json!({ "sessionId": "nosuch00" })), "SessionNotFound");
    window.refuses(&method("append"), turn(json!({ "notebookUri": "nonsense" })), "notebookUri");
    assert_eq!(said(&mut window, "c", "assistant", "", of.clone()), 3);
    assert_eq!(said(&mut window, "c", "tool", "{\"a\": \"\0\u{1f34e}\"}", json!({})), 4);
    let told = window.ok(&method("history"), json!({ "conversationId": "c", "maxTurns": 2 }));
    assert_eq!((&told["conversationId"], &told["turnCount"]), (&json!("c"), &json!(4)));
    let turns = told["history"].as_array().unwrap();
    assert_eq!((&turns[0]["role"], &turns[0]["content"]), (&json!("assistant"), &json!("")));
    assert_eq!(
        (&turns[1]["role"], &turns[1]["content"]),
        (&json!("tool"), &json!("{\"a\": \"\0\u{1f34e}\"}"))
    );
    window.refuses(&method("history"), json!({ "conversationId": "c", "maxTurns": 0 }), "maxTurns");
    window.refuses(&method("history"), json!({ "conversationId": "c", "maxTurns": -1 }), "maxTurns");
    window.refuses(&method("history"), json!({}), "conversationId");
    // A hundred of many, where nobody says how many.
    for n in 0..150 {
        said(&mut window, "many", "user", &n.to_string(), of.clone());
    }
    let told = window.ok(&method("history"), json!({ "conversationId": "many" }));
    let history = told["history"].as_array().unwrap();
    assert_eq!((&told["turnCount"], history.len(), &history[0]["content"]), (&json!(150), 100, &json!("50")));

    let all = window.ok(&method("list"), of.clone())["conversations"].clone();
    assert_eq!((&all[0]["conversationId"], &all[1]["conversationId"]), (&json!("many"), &json!("c")));
    assert_eq!((&all[1]["title"], &all[1]["turnCount"]), (&json!("What is x?"), &json!(4)));
    assert_eq!((&all[1]["notebookPath"], &all[1]["notebookUri"]), (&json!(notebook), &json!(uri(&notebook))));
    assert!(all[1]["startedAt"].as_str().unwrap() <= all[1]["lastActivityAt"].as_str().unwrap());
    window.refuses(&method("list"), json!({ "notebookUri": "x" }), "notebookUri");
    window.fails(&method("list"), json!({ "sessionId": "nosuch00" }), "SessionNotFound");
    let other = uri(&world.notebook("other.ipynb", &["1"]));
    assert_eq!(listed(&mut window, json!({ "notebookUri": other })), [""; 0]);

    let known = info(&mut window, "c");
    assert_eq!((&known["sessionId"], &known["notebookPath"]), (&Value::Null, &json!(notebook)));
    assert_eq!((&known["variables"], &known["variablesStale"]), (&json!([]), &json!(false)));

    for bad in [0, 5] {
        window.refuses(&method("branch"), json!({ "conversationId": "c", "atTurn": bad }), "atTurn");
    }
    let branch = window.ok(&method("branch"), json!({ "conversationId": "c", "atTurn": 2 }));
    let branch = id_of(&branch["conversationId"]);
    append(&mut window, &branch, "another way");
    assert_eq!(contents(&mut window, &branch), ["be kind", "\n What is x?\nI mean it.", "another way"]);
    assert_eq!(contents(&mut window, "c").len(), 4);
    assert_eq!(listed(&mut window, of).len(), 3);

    assert_eq!(window.ok(&method("clear"), json!({ "conversationId": "c" })), json!({ "cleared": true }));
    is_unknown(&mut window, "c");
    window.refuses(&method("append"), turn(json!({})), "sessionId");
    window.refuses(&method("clear"), json!({ "conversationId": "" }), "conversationId");
    // Of an untitled notebook, which is this window's own.
    assert_eq!(
        said(&mut window, "c", "user", "anew", json!({ "notebookUri": "untitled:Untitled-1.ipynb" })),
        1
    );
    assert_eq!(listed(&mut window, json!({ "notebookUri": "untitled:Untitled-1.ipynb" })), ["c"]);
    assert_eq!(info(&mut window, "c")["notebookPath"], Value::Null);
    let mut second = world.window();
    assert_eq!(listed(&mut second, json!({ "notebookUri": "untitled:Untitled-1.ipynb" })), [""; 0]);
    assert_eq!(contents(&mut second, "c"), ["anew"]);
    let mark = second.mark();
    append(&mut window, "c", "more");
    second.wait_after(mark, "keeper/conversationsChanged", |_| true);
}

#[test]
fn what_is_exported_can_be_taken_in_again() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut window = world.window();
    let of = json!({ "notebookUri": uri(&notebook) });
    for (role, content) in [
        ("user", "# Plot it\nplease"),
        ("assistant", "Like this:\n```python\n# a comment\nplot()"),
        ("tool", "{\"ok\": \"```\"}"),
        ("user", "import os\nos.getcwd()"),
    ] {
        said(&mut window, "c", role, content, of.clone());
    }
    let export = window.ok("keeper/conversation/export", json!({ "conversationId": "c" }));
    let markdown = export["markdown"].as_str().unwrap();
    let whole: Value = serde_json::from_str(export["json"].as_str().unwrap()).unwrap();
    assert_eq!((&whole["version"], &whole["conversationId"]), (&json!(1), &json!("c")));
    let turns: Vec<&str> = markdown.split("\n## ").skip(1).collect();
    let after = |n: usize| turns[n].split_once("\n\n").unwrap().1.trim_end().to_owned();
    assert!(markdown.starts_with("# # Plot it\n\n") && turns[0].starts_with("User · "), "{markdown}");
    assert_eq!(after(0), "### Plot it\nplease");
    assert_eq!(after(1), "Like this:\n```python\n# a comment\nplot()\n```", "an open fence is closed");
    assert_eq!(after(2), "````\n{\"ok\": \"```\"}\n````");
    assert_eq!(after(3), "```\nimport os\nos.getcwd()\n```");

    // As text and as it is; bound to what it says, to what is named, and to nothing where that is gone.
    let history = |window: &mut Window, id: &str| {
        window.ok("keeper/conversation/history", json!({ "conversationId": id }))["history"].clone()
    };
    let before = history(&mut window, "c");
    let import = |window: &mut Window, asked: Value| {
        id_of(&window.ok("keeper/conversation/import", asked)["conversationId"])
    };
    let other = world.notebook("other.ipynb", &["1"]);
    for (asked, place) in [
        (json!({ "json": export["json"] }), json!(notebook)),
        (json!({ "json": whole, "notebookUri": uri(&other) }), json!(other)),
    ] {
        let id = import(&mut window, asked);
        assert_eq!(history(&mut window, &id), before);
        assert_eq!(info(&mut window, &id)["notebookPath"], place);
    }
    fs::remove_file(&notebook).unwrap();
    let id = import(&mut window, json!({ "json": whole }));
    assert_eq!(info(&mut window, &id)["notebookPath"], Value::Null);
    for (bad, expect) in [
        (json!("{"), "no JSON"),
        (json!({}), "version"),
        (json!({ "version": 2, "turns": [] }), "newer"),
        (json!({ "version": 1, "turns": [] }), "turns"),
        (
            json!({ "version": 1, "turns": [{ "role": "x", "content": "", "at": "2026-01-26T17:00:00.000Z" }] }),
            "turns[0].role",
        ),
        (json!({ "version": 1, "turns": [{ "role": "user", "content": "", "at": "now" }] }), "turns[0].at"),
    ] {
        let failure = window.fails("keeper/conversation/import", json!({ "json": bad }), "InvalidParams");
        assert!(failure.field() == "json" && failure.message.contains(expect), "{failure:?}");
    }
    window.refuses("keeper/conversation/import", json!({}), "json");
    window.refuses("keeper/conversation/import", json!({ "json": whole, "notebookUri": "x" }), "notebookUri");
    let asked = json!({ "json": whole, "sessionId": "nosuch00" });
    window.fails("keeper/conversation/import", asked, "SessionNotFound");
}

#[test]
fn it_follows_its_session_and_shows_the_kernels_variables() {
    let world = World::new();
    let (a, b) = (world.notebook("a.ipynb", &["1"]), world.notebook("b.ipynb", &["1"]));
    let (mut window, mut other) = (world.window(), world.window());
    // Begun before there is a kernel, it is the kernel's once there is one, though nobody reads it meanwhile.
    let (x, y) = (world.notebook("x.ipynb", &["1"]), world.notebook("y.ipynb", &["1"]));
    said(&mut window, "unread", "user", "hello", json!({ "notebookUri": uri(&x) }));
    let id = id_of(&window.start(&x)["id"]);
    window.ok("keeper/attachSession", json!({ "sessionId": id, "targetNotebookUri": uri(&y) }));
    assert_eq!(listed(&mut other, json!({ "notebookUri": uri(&y) })), ["unread"]);
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
    said(&mut window, "early", "user", "hello", json!({ "notebookUri": uri(&a) }));
    let id = id_of(&window.start(&a)["id"]);
    said(&mut window, "c", "user", "by session", json!({ "sessionId": id }));
    said(&mut other, "n", "user", "by notebook", json!({ "notebookUri": uri(&a) }));
    window.run(&id, "answer = 42");
    let known = info(&mut other, "c");
    assert_eq!((&known["sessionId"], &known["notebookPath"]), (&json!(id), &json!(a)));
    assert_eq!(
        (&known["variables"][0]["name"], &known["variables"][0]["preview"]),
        (&json!("answer"), &json!("42"))
    );
    assert_eq!(known["variablesStale"], false);
    let mut all = listed(&mut other, json!({ "sessionId": id }));
    all.sort();
    assert_eq!(all, ["c", "early", "n"]);
    let wrong = json!({ "conversationId": "x", "role": "user", "content": "", "sessionId": id, "notebookUri": uri(&b) });
    window.refuses("keeper/conversation/append", wrong, "notebookUri");

    // Migrated: both windows see it at once under the new name, and not under the old.
    window.ok("keeper/attachSession", json!({ "sessionId": id, "targetNotebookUri": uri(&b) }));
    for window in [&mut window, &mut other] {
        let mut all = listed(window, json!({ "notebookUri": uri(&b) }));
        all.sort();
        assert_eq!(all, ["c", "early", "n"]);
        assert_eq!(listed(window, json!({ "notebookUri": uri(&a) })), [""; 0]);
        assert_eq!(info(window, "n")["notebookPath"], json!(b));
    }

    // Neither a stopped kernel, nor a new one, nor the registry's loss, nor pruning takes it.
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
    let ended = info(&mut window, "c");
    assert_eq!((&ended["variablesStale"], &ended["variables"][0]["name"]), (&json!(true), &json!("answer")));
    let new = id_of(&window.start(&b)["id"]);
    assert_eq!(listed(&mut window, json!({ "notebookUri": uri(&b) })).len(), 3);
    said(&mut window, "later", "user", "of the new kernel", json!({ "notebookUri": uri(&b) }));
    assert_eq!(listed(&mut window, json!({ "notebookUri": uri(&b) })).len(), 4);
    remove(&world, "registry.db");
    assert_eq!(listed(&mut other, json!({ "notebookUri": uri(&b) })).len(), 4);
    assert_eq!(listed(&mut window, json!({ "sessionId": new })).len(), 4);
    window.ok("keeper/stopSession", json!({ "sessionId": new }));
    prune(&mut window, "c");
    assert_eq!(listed(&mut window, json!({ "notebookUri": uri(&b) })).len(), 4);
    let known = info(&mut window, "c");
    assert_eq!((&known["sessionId"], &known["notebookPath"]), (&Value::Null, &json!(b)));
    assert_eq!(contents(&mut window, "c"), ["by session"]);
}

#[test]
fn it_follows_a_notebook_without_a_kernel() {
    let world = World::new();
    let a = world.notebook("a.ipynb", &["1"]);
    let mut window = world.window();
    said(&mut window, "c", "user", "x", json!({ "notebookUri": uri(&a) }));
    // While nobody looks, found by the file.
    window.close();
    let b = world.work().join("sub folder/b.ipynb");
    fs::create_dir(b.parent().unwrap()).unwrap();
    fs::rename(&a, &b).unwrap();
    let mut window = world.window();
    assert_eq!(listed(&mut window, json!({ "notebookUri": uri(&b) })), ["c"]);
    assert_eq!(info(&mut window, "c")["notebookPath"], json!(b));
    // While a window watches, with its folder: not in its first moments, so more than once.
    let (mut folder, mut tries) = (b.parent().unwrap().to_owned(), 0);
    let moved = loop {
        let to = world.work().join(format!("moved {tries}"));
        fs::rename(&folder, &to).unwrap();
        let begun = Instant::now();
        let is_followed =
            |window: &mut Window| info(window, "c")["notebookPath"] == json!(to.join("b.ipynb"));
        while !is_followed(&mut window) && begun.elapsed() < Duration::from_secs(2) {}
        if is_followed(&mut window) {
            break to;
        }
        assert!(tries < 10, "no move is seen");
        assert_eq!(listed(&mut window, json!({ "notebookUri": uri(&to.join("b.ipynb")) })), ["c"]);
        (folder, tries) = (to, tries + 1);
    };
    // Saved as a new file, and renamed.
    let c = moved.join("b.ipynb");
    let written = moved.join("b.ipynb.new");
    fs::copy(&c, &written).unwrap();
    fs::rename(&written, &c).unwrap();
    append(&mut window, "c", "y");
    let d = world.work().join("d.ipynb");
    fs::rename(&c, &d).unwrap();
    assert_eq!(listed(&mut window, json!({ "notebookUri": uri(&d) })), ["c"]);
    assert_eq!(listed(&mut window, json!({ "notebookUri": uri(&c) })), [""; 0]);
}

#[test]
fn two_windows_at_once_lose_and_double_nothing() {
    let world = World::new();
    let of = json!({ "notebookUri": uri(&world.notebook("n.ipynb", &["1"])) });
    let (mut one, mut two) = (world.window(), world.window());
    const EACH: usize = 200;
    std::thread::scope(|scope| {
        for (name, window) in [("one", &mut one), ("two", &mut two)] {
            let of = of.clone();
            scope.spawn(move || {
                // All sent before the first answer is read: their order is that of the requests.
                let asked = |n: usize| {
                    let mut asked =
                        json!({ "conversationId": "c", "role": "user", "content": format!("{name} {n}") });
                    asked.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
                    asked
                };
                let sent: Vec<i64> =
                    (0..EACH).map(|n| window.begin("keeper/conversation/append", asked(n))).collect();
                let counts: Vec<u64> = sent
                    .into_iter()
                    .map(|id| window.finish(id).expect("appended")["turnCount"].as_u64().unwrap())
                    .collect();
                assert!(counts.is_sorted_by(|a, b| a < b), "{counts:?}");
            });
        }
    });
    let all = contents(&mut one, "c");
    assert_eq!(all, contents(&mut two, "c"), "they agree on the order");
    assert_eq!(all.len(), 2 * EACH);
    for name in ["one", "two"] {
        let own: Vec<&String> = all.iter().filter(|content| content.starts_with(name)).collect();
        assert!((0..EACH).all(|n| *own[n] == format!("{name} {n}")), "{own:?}");
    }
}

#[test]
fn a_killed_sidecar_loses_nothing_that_it_answered() {
    let world = World::new();
    let of = json!({ "notebookUri": uri(&world.notebook("n.ipynb", &["1"])) });
    let mut answered = 0;
    for round in 0..30u64 {
        let mut window = world.window();
        let known = if round == 0 { Vec::new() } else { contents(&mut window, "c") };
        let expect: Vec<String> = (0..known.len()).map(|n| n.to_string()).collect();
        assert_eq!(known, expect, "round {round}: none twice, none missing");
        assert!(known.len() >= answered, "round {round}: {} of {answered}", known.len());
        let sent: Vec<i64> = (known.len()..known.len() + 60)
            .map(|n| {
                let mut asked = json!({ "conversationId": "c", "role": "user", "content": n.to_string() });
                asked.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
                window.begin("keeper/conversation/append", asked)
            })
            .collect();
        // After some answers, at another moment of the next each time.
        let (first, more) = sent.split_at(1 + (round as usize * 7) % 20);
        first.iter().for_each(|id| drop(window.finish(*id).expect("appended")));
        std::thread::park_timeout(Duration::from_micros(round * 137 % 4_000));
        window.kill();
        let more = more.iter().filter(|id| window.answered_before_its_end(**id)).count();
        answered = known.len() + first.len() + more;
    }
    assert!(contents(&mut world.window(), "c").len() >= answered);
}
