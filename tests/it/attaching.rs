//! Giving a kernel to another notebook.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::world::{World, id_of, is_alive, pid_of, uri, write_notebook};

#[test]
fn attach_in_every_way() {
    let world = World::new();
    let (a, b) = (world.notebook("a.ipynb", &["1"]), world.notebook("b.ipynb", &["1"]));
    let mut window = world.window();
    let session = window.start(&a);
    let id = id_of(&session["id"]);
    window.run(&id, "x = 42");

    // What is no target.
    let to = |target: &str| json!({ "sessionId": id, "targetNotebookUri": target });
    let absent = uri(&world.work().join("absent.ipynb"));
    std::fs::create_dir(world.work().join("folder.ipynb")).unwrap();
    let folder = uri(&world.work().join("folder.ipynb"));
    let script = world.work().join("b.py");
    std::fs::write(&script, "").unwrap();
    for target in [absent, folder, uri(&script), uri(&world.work())] {
        window.refuses("keeper/attachSession", to(&target), "targetNotebookUri");
    }
    let both = json!({ "sessionId": id, "sourcePid": session["pid"], "targetNotebookUri": uri(&b) });
    window.fails("keeper/attachSession", both, "InvalidParams");
    window.fails("keeper/attachSession", json!({ "targetNotebookUri": uri(&b) }), "InvalidParams");
    let stranger = json!({ "sourcePid": std::process::id(), "targetNotebookUri": uri(&b) });
    window.fails("keeper/attachSession", stranger, "SessionNotFound");

    // Target = source: success, nothing written.
    let before = std::fs::metadata(world.session_dir(&id).join("session.json")).unwrap().modified().unwrap();
    let same = window.ok("keeper/attachSession", to(&uri(&a)));
    assert_eq!((&same["success"], &same["oldPath"], &same["newPath"]), (&json!(true), &json!(a), &json!(a)));
    let after = std::fs::metadata(world.session_dir(&id).join("session.json")).unwrap().modified().unwrap();
    assert_eq!(before, after);

    // By PID.
    let by_pid =
        json!({ "sourcePid": session["pid"], "targetNotebookUri": uri(&b), "expectedNotebookUri": uri(&a) });
    let moved = window.ok("keeper/attachSession", by_pid.clone());
    assert_eq!(
        (&moved["success"], &moved["oldPath"], &moved["newPath"]),
        (&json!(true), &json!(a), &json!(b))
    );
    assert_eq!((&moved["session"]["id"], &moved["session"]["pid"]), (&session["id"], &session["pid"]));
    assert_eq!(moved["session"]["label"], "b.ipynb");
    assert_eq!(world.record(&id)["notebooks"][0]["path"], json!(b));
    assert_eq!(window.value_of(&id, "x"), "42");
    let gone = window.fails("keeper/attachSession", by_pid, "SessionMoved");
    assert_eq!(gone.data["session"]["notebookPath"], json!(b));
    // The place it left is free, and its history went along.
    let history = window.ok("keeper/executionHistory", json!({ "notebookUri": uri(&a) }));
    assert_eq!(history["executions"], json!([]));
    let other = window.start(&a);

    // A live kernel is on the target.
    let taken = window.fails("keeper/attachSession", to(&uri(&a)), "NotebookHasSession");
    assert_eq!(taken.data["session"]["id"], other["id"]);
    let offer = &taken.data["offer"];
    assert_eq!(offer["kind"], "replace");
    let actions: Vec<&Value> = offer["actions"].as_array().unwrap().iter().map(|a| &a["action"]).collect();
    assert_eq!(actions, ["replace", "dismiss"]);
    let answered =
        window.ok("keeper/answerOffer", json!({ "offerId": offer["offerId"], "action": "replace" }));
    assert_eq!((&answered["outcome"], &answered["session"]["id"]), (&json!("migrated"), &json!(id)));
    assert!(!is_alive(pid_of(&other["pid"])));
    let third = window.start(&b);
    let replaced = json!({ "sessionId": id, "targetNotebookUri": uri(&b), "replace": true });
    assert_eq!(window.ok("keeper/attachSession", replaced)["session"]["id"], json!(id));
    assert_eq!(window.session(&id_of(&third["id"]))["endReason"], "stopped");
    assert_eq!(window.value_of(&id, "x"), "42");

    // Not this notebook's.
    let detach = json!({ "sessionId": id, "notebookUri": uri(&a) });
    window.refuses("keeper/detachSession", detach, "notebookUri");
}

#[test]
fn of_two_windows_that_migrate_at_once_one_wins() {
    let world = World::new();
    let names = ["a.ipynb", "b.ipynb", "c.ipynb"];
    let [a, b, c] = names.map(|name| world.notebook(name, &["1"]));
    let (mut one, mut two) = (world.window(), world.window());
    let id = id_of(&one.start(&a)["id"]);
    two.wait_for("keeper/sessionCreated", |p| p["session"]["id"] == id.as_str());
    let to =
        |target| json!({ "sessionId": id, "targetNotebookUri": uri(target), "expectedNotebookUri": uri(&a) });
    let (first, second) =
        (one.begin("keeper/attachSession", to(&b)), two.begin("keeper/attachSession", to(&c)));
    let answers = [one.finish(first), two.finish(second)];
    let failures: Vec<_> = answers.iter().filter_map(|a| a.as_ref().err()).collect();
    assert_eq!(failures.len(), 1, "{answers:?}");
    assert_eq!(failures[0].kind(), "SessionMoved");
    let bound = one.session(&id)["notebookPath"].clone();
    let winner = answers.iter().find_map(|a| a.as_ref().ok()).unwrap();
    assert_eq!(bound, winner["newPath"]);
}

#[test]
fn what_cannot_be_attached_is_refused_and_changes_nothing() {
    let world = World::new();
    let (a, b) = (world.notebook("a.ipynb", &["1"]), world.notebook("b.ipynb", &["1"]));
    let mut window = world.window();
    let session = window.start(&a);
    let id = id_of(&session["id"]);
    let gone = window.start(&b);
    window.ok("keeper/stopSession", json!({ "sessionId": gone["id"] }));
    let record = world.session_dir(&id).join("session.json");
    let written = || {
        let found = std::fs::metadata(&record).unwrap();
        (found.ino(), found.modified().unwrap(), std::fs::read(&record).unwrap())
    };
    let before = written();
    let attach = "keeper/attachSession";

    // Targets that name no notebook, or none that is there.
    let work = world.work();
    std::fs::write(work.join("x.txt"), "").unwrap();
    std::os::unix::fs::symlink(work.join("nowhere"), work.join("dangling.ipynb")).unwrap();
    let long = |characters: usize| {
        let folders = format!("{}/", "d".repeat(199)).repeat(characters / 200 + 1);
        format!("file:///{}/long.ipynb", &folders[..characters - 20].trim_end_matches('/'))
    };
    let through_a_file = uri(&work.join("x.txt/a.ipynb"));
    let dangling = uri(&work.join("dangling.ipynb"));
    let (longest, too_long) = (long(4_000), long(40_000));
    for target in [
        "",
        "b.ipynb",
        "./b.ipynb",
        "file:b.ipynb",
        "file:///",
        "file:///b.ipynb%00.ipynb",
        "file://elsewhere/b.ipynb",
        "https://example.org/b.ipynb",
        "/b.ipynb",
        &through_a_file,
        &dangling,
        &longest,
        &too_long,
    ] {
        let asked = json!({ "sessionId": id, "targetNotebookUri": target });
        let refused = window.fails(attach, asked, "InvalidParams");
        assert_eq!(refused.field(), "targetNotebookUri", "{target}: {refused:?}");
        assert!(refused.message.chars().count() < 600, "{} characters", refused.message.len());
    }
    // Whoever may not look into a folder cannot attach what is in it; root may look everywhere.
    let closed = work.join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::copy(&b, closed.join("c.ipynb")).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    let may_look = std::fs::metadata(closed.join("c.ipynb")).is_ok();
    if !may_look {
        let asked = json!({ "sessionId": id, "targetNotebookUri": uri(&closed.join("c.ipynb")) });
        window.refuses(attach, asked, "targetNotebookUri");
    }
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();

    // What is expected is a notebook, too.
    for expected in [json!("a.ipynb"), json!(""), json!("file:///a.txt"), json!(1), json!({})] {
        let asked = json!({ "sessionId": id, "targetNotebookUri": uri(&b), "expectedNotebookUri": expected });
        window.refuses(attach, asked, "expectedNotebookUri");
    }
    // Where nothing would change, what is expected still counts.
    let asked = json!({ "sessionId": id, "targetNotebookUri": uri(&a), "expectedNotebookUri": uri(&b) });
    let moved = window.fails(attach, asked, "SessionMoved");
    assert_eq!(moved.data["session"]["notebookPath"], json!(a));

    // Processes that are no kernel of ours: a stranger, the sidecar, a keeper, one that has ended, none at all.
    let strangers = [
        json!(1),
        json!(0),
        json!(u32::MAX),
        json!(window.pid()),
        session["keeperPid"].clone(),
        gone["pid"].clone(),
    ];
    for pid in strangers {
        let asked = json!({ "sourcePid": pid, "targetNotebookUri": uri(&b) });
        let refused = window.fails(attach, asked, "SessionNotFound");
        assert_eq!(refused.data["pid"], pid);
    }
    for pid in [json!(-1), json!(1.5), json!(u64::from(u32::MAX) + 1), json!("1")] {
        window.refuses(attach, json!({ "sourcePid": pid, "targetNotebookUri": uri(&b) }), "sourcePid");
    }
    for odd in ["", "unknown", "../..", "a/b"] {
        let asked = json!({ "sessionId": odd, "targetNotebookUri": uri(&b) });
        window.fails(attach, asked, "SessionNotFound");
    }

    // Nothing of all that was written, nor was the notebook that the session has already.
    let asked =
        json!({ "sourcePid": session["pid"], "targetNotebookUri": uri(&a), "expectedNotebookUri": uri(&a) });
    let same = window.ok(attach, asked);
    assert_eq!((&same["success"], &same["oldPath"], &same["newPath"]), (&json!(true), &json!(a), &json!(a)));
    assert_eq!(written(), before);
    assert_eq!(window.ok("keeper/openOffers", json!({})), json!({ "offers": [] }));
    assert_eq!(window.live(), [id.as_str()]);

    // A notebook outside the workspace is one like any other.
    let outside = world.state().with_file_name("outside.ipynb");
    std::fs::copy(&b, &outside).unwrap();
    let asked = json!({ "sessionId": id, "targetNotebookUri": uri(&outside) });
    assert_eq!(window.ok(attach, asked)["newPath"], json!(outside));
    assert_eq!(window.session(&id)["notebookExists"], true);
    assert_eq!(window.value_of(&id, "6 * 7"), "42");
}

/// Waits until a notebook is taken to be there, or gone.
fn until_exists(window: &mut Window, id: &str, exists: bool) {
    eventually("the notebook is known to be there, or gone", PATIENCE, || {
        (window.session(id)["notebookExists"] == exists).then_some(())
    });
}

/// Follows a move once it is asked about.
fn follow(window: &mut Window, id: &str, to: &std::path::Path) {
    let is_it = |p: &Value| p["offer"]["notebookUri"] == uri(to) && p["offer"]["sessions"][0]["id"] == id;
    let offer = window.wait_for("keeper/offer", is_it)["offer"].clone();
    let done = window.ok("keeper/answerOffer", json!({ "offerId": offer["offerId"], "action": "migrate" }));
    assert_eq!(done["session"]["notebookPath"], json!(to));
}

#[test]
fn a_path_that_was_lost_to_another_session_is_given_back_only_by_a_person() {
    let world = World::new();
    let names = ["a.ipynb", "b.ipynb", "c.ipynb"];
    let [a, b, c] = names.map(|name| world.notebook(name, &["1"]));
    let mut window = world.window();
    let (mover, loser) = (id_of(&window.start(&a)["id"]), id_of(&window.start(&b)["id"]));
    // A swap, of which one half is followed: the other session has no path until it is asked and follows, too.
    let beside = world.work().join("beside.ipynb");
    for (from, to) in [(&a, &beside), (&b, &a), (&beside, &b)] {
        std::fs::rename(from, to).unwrap();
    }
    follow(&mut window, &mover, &b);
    let asked = |window: &mut Window| {
        let all = window.ok("keeper/openOffers", json!({}));
        let offers = all["offers"].as_array().unwrap();
        offers.iter().any(|o| o["kind"] == "migrate" && o["sessions"][0]["id"] == loser.as_str())
    };
    eventually("the loser's move is asked about", PATIENCE, || asked(&mut window).then_some(()));
    let listed = world.cli_ok(["list"]);
    assert_eq!(listed.matches("b.ipynb (gone)").count(), 1, "of two with one path one has it: {listed}");
    // What comes to lie at the path is not the loser's, though nobody knows that file.
    std::fs::remove_file(&b).unwrap();
    write_notebook(&b, &["1"]);
    until_exists(&mut window, &mover, true);
    assert!(asked(&mut window), "its file is where it was moved to");
    // Nor when it is opened: the loser's own file is followed.
    window.open(&b);
    window.ok("keeper/openOffers", json!({}));
    let d = world.work().join("d.ipynb");
    std::fs::rename(&a, &d).unwrap();
    let is_it = |p: &Value| p["offer"]["notebookUri"] == uri(&d);
    assert_eq!(window.wait_for("keeper/offer", is_it)["offer"]["sessions"][0]["id"], loser.as_str());
    // It gets the path as any other session would: not from under its holder, and then for itself.
    let to_b = json!({ "sessionId": loser, "targetNotebookUri": uri(&b), "expectedNotebookUri": uri(&b) });
    let taken = window.fails("keeper/attachSession", to_b.clone(), "NotebookHasSession");
    assert_eq!(taken.data["session"]["id"], mover.as_str());
    window.ok("keeper/attachSession", json!({ "sessionId": mover, "targetNotebookUri": uri(&c) }));
    window.ok("keeper/attachSession", to_b);
    let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&b) }));
    assert_eq!((&found["match"], &found["session"]["id"]), (&json!("path"), &json!(loser)));
    assert_eq!(found["session"]["notebookExists"], true);
}

#[test]
fn a_file_that_is_nobody_elses_any_more_is_followed_from_where_it_lies() {
    let world = World::new();
    let (a, b) = (world.notebook("a.ipynb", &["1"]), world.notebook("b.ipynb", &["1"]));
    let mut window = world.window();
    let (mover, loser) = (id_of(&window.start(&a)["id"]), id_of(&window.start(&b)["id"]));
    std::fs::rename(&a, &b).unwrap();
    until_exists(&mut window, &loser, false);
    // The mover's notebook is written anew in its old place: what it left in the other's place is the other's now.
    write_notebook(&a, &["1"]);
    until_exists(&mut window, &mover, true);
    until_exists(&mut window, &loser, true);
    let c = world.work().join("c.ipynb");
    std::fs::rename(&b, &c).unwrap();
    follow(&mut window, &loser, &c);
    assert_eq!(window.session(&mover)["notebookPath"], json!(a));
}

#[test]
fn whoever_was_given_a_file_is_asked_about_where_it_goes() {
    let world = World::new();
    let (a, b) = (world.notebook("a.ipynb", &["1"]), world.notebook("b.ipynb", &["1"]));
    let mut window = world.window();
    let (old, new) = (id_of(&window.start(&a)["id"]), id_of(&window.start(&b)["id"]));
    // The one kernel does not follow its notebook, another one is given it by hand.
    let c = world.work().join("c.ipynb");
    std::fs::rename(&a, &c).unwrap();
    let offer = window.wait_for("keeper/offer", |p| p["offer"]["notebookUri"] == uri(&c))["offer"].clone();
    assert_eq!(offer["sessions"][0]["id"], old.as_str());
    window.ok("keeper/answerOffer", json!({ "offerId": offer["offerId"], "action": "dismiss" }));
    window.ok("keeper/attachSession", json!({ "sessionId": new, "targetNotebookUri": uri(&c) }));
    let d = world.work().join("d.ipynb");
    std::fs::rename(&c, &d).unwrap();
    // Another one after it: what there was to ask has been asked by then.
    let later = world.notebook("later.ipynb", &["1"]);
    window.start(&later);
    let last = world.work().join("last.ipynb");
    std::fs::rename(&later, &last).unwrap();
    window.wait_for("keeper/offer", |p| p["offer"]["notebookUri"] == uri(&last));
    let about_d = |p: &&Value| p["offer"]["notebookUri"] == uri(&d);
    let offers = window.told("keeper/offer");
    let asked: Vec<&Value> =
        offers.iter().filter(about_d).map(|p| &p["offer"]["sessions"][0]["id"]).collect();
    assert_eq!(asked, [&json!(new)], "one question, about one kernel");
    follow(&mut window, &new, &d);
}
