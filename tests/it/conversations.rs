//! Conversations: every method with good and bad input, whom they follow, and that nothing that was answered is lost.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::world::{World, id_of, text, uri};

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
    // What a later turn names is not looked at.
    assert_eq!(said(&mut window, "c", "assistant", "", json!({ "sessionId": "nosuch00" })), 3);
    assert_eq!(
        said(&mut window, "c", "tool", "{\"a\": \"\0\u{1f34e}\"}", json!({ "notebookUri": "nonsense" })),
        4
    );
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
    assert!(markdown.starts_with("# # Plot it\n\n") && turns[0].starts_with("User · 20"), "{markdown}");
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
    // Begun before there is a kernel, it is the kernel's once there is one.
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
    assert_eq!(listed(&mut window, json!({ "sessionId": new })), ["later"]);
    remove(&world, "registry.db");
    assert_eq!(listed(&mut other, json!({ "notebookUri": uri(&b) })).len(), 4);
    assert_eq!(listed(&mut window, json!({ "sessionId": id })).len(), 3);
    window.ok("keeper/stopSession", json!({ "sessionId": new }));
    window.ok("keeper/pruneStore", json!({}));
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

#[test]
fn lost_and_broken_files() {
    let world = World::new();
    let a = world.notebook("a.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&a)["id"]);
    said(&mut window, "c", "user", "x", json!({ "sessionId": id }));
    remove(&world, "registry.db");
    assert_eq!(contents(&mut window, "c"), ["x"]);
    assert_eq!(info(&mut window, "c")["sessionId"], json!(id));

    // Broken: set aside, said, and no kernel minds.
    window.close();
    let database = world.state().join("conversations.db");
    fs::write(&database, vec![7; 9_000]).unwrap();
    let _ = fs::remove_file(world.state().join("conversations.db-wal"));
    let mut window = world.window();
    assert_eq!(listed(&mut window, json!({})), [""; 0]);
    window.wait_for("window/logMessage", |p| id_of(&p["message"]).contains("conversations.db.corrupt-"));
    is_unknown(&mut window, "c");
    said(&mut window, "d", "user", "y", json!({ "sessionId": id }));
    assert_eq!(window.value_of(&id, "6 * 7"), "42");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&database).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    // Damage that shows only where it is read.
    said(&mut window, "d", "user", &"x".repeat(100_000), json!({}));
    window.close();
    // A command ends in order, and leaves no log that has it all once more.
    world.cli_ok(["conversation", "list"]);
    assert!(!world.state().join("conversations.db-wal").exists());
    let mut bytes = fs::read(&database).unwrap();
    bytes[8 * 4_096..].fill(0x5a);
    fs::write(&database, &bytes).unwrap();
    let mut window = world.window();
    assert_eq!(listed(&mut window, json!({})), ["d"]);
    is_unknown(&mut window, "d");
    window.wait_for("window/logMessage", |p| id_of(&p["message"]).contains("conversations.db.corrupt-"));
    assert_eq!(said(&mut window, "d", "user", "y", json!({ "sessionId": id })), 1);

    // Removed under our feet: empty, and of use.
    remove(&world, "conversations.db");
    is_unknown(&mut window, "d");
    assert_eq!(said(&mut window, "d", "user", "z", json!({ "sessionId": id })), 1);

    // Of a newer version: refused, in plain words; all else works.
    window.close();
    let format = |number: u32| {
        // SQLite's `user_version`.
        let mut bytes = fs::read(&database).unwrap();
        bytes[60..64].copy_from_slice(&number.to_be_bytes());
        fs::write(&database, &bytes).unwrap();
    };
    format(99);
    let mut window = world.window();
    let failure = window.fails("keeper/conversation/list", json!({}), "StoreFailed");
    assert!(
        failure.message.contains("conversations.db") && failure.message.contains("update"),
        "{failure:?}"
    );
    assert_eq!(window.live(), [id]);
    window.close();
    format(1);
    assert_eq!(contents(&mut world.window(), "d"), ["z"], "it was left as it is");
}

#[test]
fn they_expire_and_there_are_only_so_many() {
    let world = World::new();
    let (a, b) = (world.notebook("a.ipynb", &["1"]), world.notebook("b.ipynb", &["1"]));
    let window = |options: Value| {
        let mut command = world.command();
        command
            .env("KERNEL_KEEPER_CONVERSATION_EXPIRE_HOURS", "0.0006")
            .env("KERNEL_KEEPER_CONVERSATION_MAX_TURNS", "3")
            .env("KERNEL_KEEPER_MAX_CONVERSATIONS", "2");
        let mut window = world.spawn_with(command);
        window.initialize(crate::world::initialize(&[world.work()], options));
        window
    };
    let mut quick = window(json!({}));
    let id = id_of(&quick.start(&a)["id"]);
    said(&mut quick, "kept", "user", "x", json!({ "sessionId": id }));
    said(&mut quick, "gone", "user", "y", json!({ "notebookUri": uri(&b) }));
    let more = json!({ "conversationId": "more", "role": "user", "content": "", "notebookUri": uri(&b) });
    let failure = quick.fails("keeper/conversation/append", more.clone(), "LimitReached");
    assert_eq!(failure.data["limit"], 2);
    assert!(failure.message.contains("maxConversations") && failure.message.contains("clear"), "{failure:?}");
    quick.fails(
        "keeper/conversation/branch",
        json!({ "conversationId": "kept", "atTurn": 1 }),
        "LimitReached",
    );
    let export = quick.ok("keeper/conversation/export", json!({ "conversationId": "kept" }))["json"].clone();
    quick.fails("keeper/conversation/import", json!({ "json": export }), "LimitReached");
    // A setting that is given counts more than the environment.
    let settings = json!({ "settings": { "conversations": { "expireAfterHours": 24, "maxTurns": 2, "maxConversations": 3 } } });
    let mut slow = window(settings);
    for n in 0..4 {
        append(&mut slow, "kept", &n.to_string());
    }
    let told = |window: &mut Window| {
        let told = window.ok("keeper/conversation/history", json!({ "conversationId": "kept" }));
        told["history"].as_array().unwrap().len()
    };
    assert_eq!((told(&mut quick), told(&mut slow)), (3, 2));
    eventually("the one without a kernel expires", PATIENCE, || {
        (listed(&mut quick, json!({})) == ["kept"]).then_some(())
    });
    is_unknown(&mut quick, "gone");
    is_unknown(&mut slow, "gone");
    // What has expired takes no room, and begins anew.
    quick.ok("keeper/conversation/append", more);
    eventually("that one expires, too", PATIENCE, || {
        let asked = json!({ "conversationId": "more" });
        quick.request("keeper/conversation/history", asked).is_err().then_some(())
    });
    let anew = json!({ "conversationId": "more", "role": "user", "content": "" });
    quick.refuses("keeper/conversation/append", anew, "sessionId");
    // Never while the session lives, and not in the moment of its end.
    assert_eq!(contents(&mut quick, "kept").len(), 5);
    quick.ok("keeper/stopSession", json!({ "sessionId": id }));
    assert_eq!(contents(&mut quick, "kept").len(), 5);
    eventually("the one of the ended session expires", PATIENCE, || {
        (listed(&mut quick, json!({})) == [""; 0]).then_some(())
    });
}

#[test]
fn ten_megabytes_in_one_turn() {
    let world = World::new();
    let of = json!({ "notebookUri": uri(&world.notebook("n.ipynb", &["1"])) });
    let mut window = world.window();
    let long = "0123456789abcdé\n".repeat(640 * 1_024);
    assert!(long.len() > 10 << 20);
    assert_eq!(said(&mut window, "c", "tool", &long, of.clone()), 1);
    assert_eq!(append(&mut window, "c", "short"), 2);
    let told = window.ok("keeper/conversation/history", json!({ "conversationId": "c", "maxTurns": 1 }));
    assert_eq!((&told["history"][0]["content"], &told["turnCount"]), (&json!("short"), &json!(2)));
    assert!(contents(&mut window, "c")[0] == long);
    let export = window.ok("keeper/conversation/export", json!({ "conversationId": "c" }));
    let id = window.ok("keeper/conversation/import", json!({ "json": export["json"] }));
    assert!(contents(&mut window, id["conversationId"].as_str().unwrap())[0] == long);
}

#[test]
fn from_a_shell() {
    let world = World::new();
    let notebook = world.notebook("n b.ipynb", &["1"]);
    let path = notebook.to_str().unwrap();
    let mut window = world.window();
    assert_eq!(listed(&mut window, json!({})), [""; 0]);
    let run =
        |arguments: &[&str]| world.cli_ok(["conversation"].into_iter().chain(arguments.iter().copied()));
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let fails = |arguments: &[&str], code: i32, part: &str| {
        let done = world.cli(["conversation"].into_iter().chain(arguments.iter().copied()));
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    };
    assert_eq!(parse(&run(&["list", "--json"])), json!([]));
    fails(&["append", "c", "hi", "--role", "user"], 1, "names its session or its notebook");
    fails(&["append", "c", "hi", "--role", "boss"], 2, "boss");
    fails(&["show", "c"], 1, "help: kernel-keeper conversation list shows them");
    fails(&["append", "c", "hi", "--role", "user", "--session", "nosuch"], 1, "no session");
    let done = run(&["append", "c", "Plot \u{1b}[2J it", "--role", "user", "--notebook", path, "--json"]);
    assert_eq!(parse(&done), json!({ "turnCount": 1 }));
    let mut command = world.command();
    command.args(["conversation", "append", "c", "-", "--role", "tool"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"from\nstdin").unwrap();
    assert!(child.wait().unwrap().success());

    let table = run(&["list", "--notebook", path]);
    assert!(table.contains("n b.ipynb") && table.contains("Plot") && !table.contains('\u{1b}'), "{table}");
    assert_eq!(parse(&run(&["list", "--json"]))[0]["turnCount"], 2);
    assert!(run(&["show", "c"]).ends_with("```\nfrom\nstdin\n```\n"));
    let latest = run(&["show", "c", "--turns", "1"]);
    assert!(latest.contains("the latest 1 of 2") && !latest.contains("## User"), "{latest}");
    assert_eq!(parse(&run(&["show", "c", "--json"]))["history"][1]["content"], "from\nstdin");
    assert_eq!(parse(&run(&["info", "c", "--json"]))["notebookPath"], json!(path));
    assert!(run(&["info", "c"]).contains("2 turn(s)"));
    let branch = run(&["branch", "c", "--turns", "1"]).trim().to_owned();
    assert!(run(&["show", &branch]).contains("Plot"));
    fails(&["branch", "c", "--turns", "3"], 1, "from 1 to 2");

    // Into a file that is this user's alone, and never over another unasked.
    let file = world.work().join("talk.json");
    let named = file.to_str().unwrap();
    run(&["export", "c", named]);
    let mode = |path: &Path| {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
    };
    assert_eq!(mode(&file), 0o600);
    fails(&["export", "c", named], 1, "--force");
    run(&["export", "c", named, "--force"]);
    fails(&["export", "c", "no/such/folder/x.json"], 1, "no/such/folder");
    assert!(run(&["export", "c", "--markdown"]).starts_with("# Plot"));
    let new = run(&["import", named]).trim().to_owned();
    let turns = |id: &str| parse(&run(&["show", id, "--json"]))["history"].clone();
    assert_eq!(turns(&new), turns("c"));
    fails(&["import", "absent.json"], 1, "absent.json");
    fs::write(&file, "{}").unwrap();
    fails(&["import", named], 1, "version");
    assert!(run(&["clear", "c", &branch]).contains("Forgot c."));
    assert!(run(&["clear", "c"]).contains("No conversation c"));
    // A window sees what the shell did, and was told when there was the first.
    window.wait_for("keeper/conversationsChanged", |_| true);
    assert_eq!(listed(&mut window, json!({})), [new]);
}
