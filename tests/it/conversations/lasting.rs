//! What lasts and what does not: broken files, limits and ages, much text; and the command line.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{append, contents, info, is_unknown, listed, quick, remove, said};
use crate::driver::{PATIENCE, Window, eventually};
use crate::world::{World, id_of, text, uri};

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
            .env("KERNEL_KEEPER_CONVERSATION_EXPIRE_HOURS", "0.001")
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
    append(&mut quick, "kept", "briefly again");
    assert_eq!(contents(&mut quick, "kept").len(), 6);
    quick.ok("keeper/stopSession", json!({ "sessionId": id }));
    assert_eq!(contents(&mut quick, "kept").len(), 6);
    eventually("the one of the ended session expires", PATIENCE, || {
        (listed(&mut quick, json!({})) == [""; 0]).then_some(())
    });
}

#[test]
fn each_lasts_as_long_as_was_said_of_it() {
    let world = World::new();
    let of = json!({ "notebookUri": uri(&world.notebook("n.ipynb", &["1"])) });
    let mut brief = quick(&world, "0.0003", json!({}));
    let mut long = world.window_with(json!({ "settings": { "conversations.expireAfterHours": 48 } }));
    // One without any setting or variable, as a shell is: it takes nothing from what others said.
    let mut plain = world.window();
    said(&mut long, "long", "user", "x", of.clone());
    said(&mut brief, "brief", "user", "x", of.clone());
    said(&mut brief, "longer", "user", "x", of);
    append(&mut plain, "brief", "y");
    append(&mut plain, "long", "y");
    append(&mut long, "longer", "y");
    let branch = plain.ok("keeper/conversation/branch", json!({ "conversationId": "brief", "atTurn": 1 }));
    eventually("the brief ones expire", PATIENCE, || {
        (listed(&mut plain, json!({})) == ["longer", "long"]).then_some(())
    });
    is_unknown(&mut long, branch["conversationId"].as_str().unwrap());
    assert_eq!(listed(&mut brief, json!({})), ["longer", "long"]);
    let mut shell = world.command();
    shell.env("KERNEL_KEEPER_CONVERSATION_EXPIRE_HOURS", "0.0001").args(["conversation", "list"]);
    assert!(text(&shell.output().unwrap().stdout).contains("longer"));
    assert_eq!(contents(&mut brief, "long"), ["x", "y"]);
}

/// A conversation's row, as the clock would have it had it been set forward by so many hours, or back.
fn turn_clock(world: &World, hours: f64) {
    let database = rusqlite::Connection::open(world.state().join("conversations.db")).unwrap();
    let by = (hours * 3_600_000.0) as i64;
    let sql = "UPDATE conversations SET last_activity_at = last_activity_at - ?1";
    assert!(database.execute(sql, [by]).unwrap() > 0);
}

#[test]
fn a_clock_that_jumps_takes_none() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let of = json!({ "notebookUri": uri(&notebook) });
    let (mut window, mut other) = (world.window(), world.window());
    said(&mut window, "c", "user", "x", of.clone());
    said(&mut window, "d", "user", "z", of.clone());
    for days in [1.1, 400.0] {
        turn_clock(&world, days * 24.0);
        assert_eq!(listed(&mut window, json!({})), [""; 0]);
        is_unknown(&mut other, "c");
        let turn = json!({ "conversationId": "c", "role": "user", "content": "y" });
        window.refuses("keeper/conversation/append", turn, "sessionId");
        world.cli_ok(["conversation", "list"]);
        turn_clock(&world, -days * 24.0);
        assert_eq!(listed(&mut other, json!({})), ["d", "c"]);
        assert_eq!(contents(&mut window, "c"), ["x"]);
    }
    // Begun anew meanwhile: the new one has the id, and the old one is there still.
    turn_clock(&world, 400.0 * 24.0);
    assert_eq!(said(&mut window, "c", "user", "anew", of), 1);
    assert_eq!(listed(&mut window, json!({})), ["c"]);
    turn_clock(&world, -400.0 * 24.0);
    assert_eq!(contents(&mut window, "c"), ["anew"]);
    let all = listed(&mut window, json!({}));
    assert_eq!((all.len(), contents(&mut window, &all[2])), (3, vec!["x".to_owned()]), "{all:?}");

    // Expired for as long again, and still so an hour later: gone. What only looks old for a moment is not.
    let database = rusqlite::Connection::open(world.state().join("conversations.db")).unwrap();
    let count = || database.query_row("SELECT COUNT(*) FROM turns", [], |row| row.get::<_, u32>(0)).unwrap();
    let hour_later = || {
        let sql = "UPDATE conversations SET seen_awake = seen_awake - 3600000 WHERE seen_awake IS NOT NULL";
        database.execute(sql, []).unwrap()
    };
    turn_clock(&world, 900.0 * 24.0);
    assert_eq!(listed(&mut window, json!({})), [""; 0]);
    assert_eq!((hour_later(), count()), (3, 3));
    turn_clock(&world, -900.0 * 24.0);
    assert_eq!(listed(&mut window, json!({})).len(), 3);
    turn_clock(&world, 900.0 * 24.0);
    assert_eq!((listed(&mut window, json!({})).len(), count(), hour_later()), (0, 3, 3));
    assert_eq!((listed(&mut window, json!({})).len(), count()), (0, 0));
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
