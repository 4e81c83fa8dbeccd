//! Races that a person would need luck to see: two windows that migrate one kernel, and processes that are killed in the
//! midst of a migration. After each, all that names the session's notebook names the same one.

mod model;
pub mod random;
mod sequences;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::random::Random;
use crate::driver::{PATIENCE, SOON, Window, eventually};
use crate::world::{World, id_of, is_alive, kill, pid_of, uri};

/// Notebooks that stay where they are, whoever has the kernel.
fn notebooks(world: &World, count: usize) -> Vec<PathBuf> {
    (0..count).map(|n| world.notebook(&format!("{n}.ipynb"), &["1"])).collect()
}

/// The request that binds a session to another notebook if it still has the present one.
fn attachment(id: &str, from: &Path, to: &Path) -> Value {
    json!({ "sessionId": id, "targetNotebookUri": uri(to), "expectedNotebookUri": uri(from) })
}

/// The paths to which the registry binds a session now.
fn registered(world: &World, id: &str) -> Vec<String> {
    let registry = rusqlite::Connection::open(world.state().join("registry.db")).unwrap();
    let mut asked = registry.prepare("SELECT key FROM bindings WHERE session_id = ?1 AND live = 1").unwrap();
    asked.query_map([id], |row| row.get(0)).unwrap().flatten().collect()
}

/// Which of the notebooks a session has, where everybody says the same: its record, the registry, the list, and what is
/// found at each of the notebooks.
fn agreed(world: &World, window: &mut Window, id: &str, notebooks: &[PathBuf]) -> Result<PathBuf, String> {
    let listed = window.ok("keeper/listSessions", json!({}));
    let paths: Vec<&Value> =
        listed["sessions"].as_array().unwrap().iter().map(|s| &s["notebookPath"]).collect();
    let [Value::String(path)] = paths.as_slice() else { return Err(format!("listed at {paths:?}")) };
    let record = world.record(id)["notebooks"].clone();
    if record.as_array().map(Vec::len) != Some(1) || record[0]["path"] != json!(path) {
        return Err(format!("listed at {path}, its record says {record}"));
    }
    let registered = registered(world, id);
    if registered != [path.as_str()] {
        return Err(format!("listed at {path}, the registry says {registered:?}"));
    }
    for notebook in notebooks {
        let found = window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(notebook) }));
        let is_here = notebook == Path::new(path);
        let what =
            (&found["found"], &found["match"], &found["session"]["id"], &found["session"]["notebookPath"]);
        let right = if is_here {
            what == (&json!(true), &json!("path"), &json!(id), &json!(path))
        } else {
            found["found"] == false
        };
        if !right {
            return Err(format!("listed at {path}, found at {}: {what:?}", notebook.display()));
        }
    }
    Ok(path.into())
}

/// Waits until everybody says the same in every window.
fn agreement(world: &World, windows: &mut [&mut Window], id: &str, notebooks: &[PathBuf]) -> PathBuf {
    let begun = Instant::now();
    loop {
        let said: Result<BTreeSet<PathBuf>, String> =
            windows.iter_mut().map(|window| agreed(world, window, id, notebooks)).collect();
        match said {
            Ok(paths) if paths.len() == 1 => return paths.into_iter().next().unwrap(),
            other => assert!(begun.elapsed() < PATIENCE, "they do not agree: {other:?}"),
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}

#[test]
fn of_two_windows_that_attach_at_the_same_moment_one_wins_each_time() {
    let world = World::new();
    let all = notebooks(&world, 4);
    let (mut one, mut two) = (world.window(), world.window());
    let session = one.start(&all[0]);
    let id = id_of(&session["id"]);
    one.run(&id, "x = 42");
    two.wait_for("keeper/sessionCreated", |p| p["session"]["id"] == json!(id));
    let mut present = 0;
    let (mut won, mut took, mut told) = ([0, 0], Vec::new(), Vec::new());
    for round in 0..200 {
        let from = all[present].clone();
        let targets = [(present + 1) % all.len(), (present + 2) % all.len()];
        let marks = [one.mark(), two.mark()];
        let asked = targets.map(|target| attachment(&id, &from, &all[target]));
        let [for_one, for_two] = asked;
        // Each is the first to ask every other time.
        let begun = Instant::now();
        let (first, second) = if round % 2 == 0 {
            let first = one.begin("keeper/attachSession", for_one);
            (first, two.begin("keeper/attachSession", for_two))
        } else {
            let second = two.begin("keeper/attachSession", for_two);
            (one.begin("keeper/attachSession", for_one), second)
        };
        let answers = [one.finish(first), two.finish(second)];
        took.push(begun.elapsed());
        let winner = match &answers {
            [Ok(_), Err(_)] => 0,
            [Err(_), Ok(_)] => 1,
            both => panic!("round {round}: exactly one wins, but {both:?}"),
        };
        won[winner] += 1;
        let to = &all[targets[winner]];
        let (Ok(success), Err(refused)) = (&answers[winner], &answers[1 - winner]) else { unreachable!() };
        assert_eq!(
            (&success["success"], &success["oldPath"], &success["newPath"]),
            (&json!(true), &json!(from), &json!(to)),
            "round {round}"
        );
        assert_eq!((refused.kind(), refused.code), ("SessionMoved", -32010), "round {round}: {refused:?}");
        let known = &refused.data["session"];
        assert_eq!((&known["id"], &known["notebookPath"]), (&json!(id), &json!(to)), "round {round}");
        // The window that lost is told, though it asked for nothing that came to be.
        let loser = if winner == 0 { &two } else { &one };
        let news = |p: &Value| p["session"]["id"] == json!(id) && p["session"]["notebookPath"] == json!(to);
        let (_, at) = loser.wait_timed(marks[1 - winner], "keeper/sessionUpdated", news);
        told.push(at.saturating_duration_since(begun));
        assert_eq!(&agreement(&world, &mut [&mut one, &mut two], &id, &all), to, "round {round}");
        present = targets[winner];
    }
    eprintln!("won: {won:?} of 200; both answered within p50 {:?}, p95 {:?}", percentile(&mut took, 50), {
        percentile(&mut took, 95)
    });
    eprintln!(
        "the other window was told of the migration, from the request on, within p50 {:?}, p95 {:?}, max {:?}",
        percentile(&mut told, 50),
        percentile(&mut told, 95),
        percentile(&mut told, 100)
    );
    assert_eq!(one.session(&id)["pid"], session["pid"]);
    assert_eq!(two.value_of(&id, "x"), "42");
    assert_eq!(one.ok("keeper/openOffers", json!({})), json!({ "offers": [] }));
}

/// How long a migration takes here and now, from the request to the answer.
fn a_migration(window: &mut Window, id: &str, notebooks: &[PathBuf]) -> Duration {
    let mut took = Vec::new();
    for round in 0..6 {
        let (from, to) = (&notebooks[round % 2], &notebooks[(round + 1) % 2]);
        let begun = Instant::now();
        window.ok("keeper/attachSession", attachment(id, from, to));
        took.push(begun.elapsed());
    }
    percentile(&mut took, 50)
}

/// Lets a moment pass: what comes after it is to hit something at work, and nothing says when.
fn pass(moment: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < moment {
        std::hint::spin_loop();
    }
}

#[test]
fn a_sidecar_that_is_killed_in_a_migration_leaves_it_made_or_not_made() {
    let world = World::new();
    let mut random = Random::new("killed sidecars");
    let all = notebooks(&world, 3);
    let mut witness = world.window();
    let session = witness.start(&all[0]);
    let id = id_of(&session["id"]);
    witness.run(&id, "x = 42");
    let usual = a_migration(&mut witness, &id, &all);
    let (mut made, mut not_made) = (0, 0);
    for round in 0..50 {
        let mut window = world.window();
        // Answered once it has joined the keeper: what its predecessor left there was dealt with before.
        assert_eq!(window.live(), [id.as_str()]);
        let from = agreement(&world, &mut [&mut witness], &id, &all);
        let at = all.iter().position(|notebook| *notebook == from).unwrap();
        let to = &all[(at + 1 + random.below(2)) % 3];
        let moment = random.within(usual.mul_f64(1.3));
        window.begin("keeper/attachSession", attachment(&id, &from, to));
        pass(moment);
        window.kill();
        let now = agreement(&world, &mut [&mut witness], &id, &all);
        assert!(now == from || now == *to, "round {round}, {moment:?}: {from:?} to {to:?} is at {now:?}");
        if now == from { not_made += 1 } else { made += 1 }
    }
    eprintln!("a migration takes {usual:?}; killed in the midst, {made} were made and {not_made} were not");
    let now = witness.session(&id);
    assert_eq!((&now["pid"], &now["keeperPid"]), (&session["pid"], &session["keeperPid"]));
    assert_eq!(witness.value_of(&id, "x"), "42");
}

/// Waits for the keeper that replaced a killed one.
fn successor(window: &mut Window, id: &str, killed: u32) -> Value {
    eventually("the kernel is adopted", PATIENCE, || {
        let now = window.session(id);
        let other = now["keeperPid"].as_u64().is_some_and(|pid| pid != u64::from(killed));
        (other && now["responding"] == true && now["state"] == "idle").then_some(now)
    })
}

#[test]
fn a_keeper_that_is_killed_in_a_migration_leaves_it_made_or_not_made() {
    let world = World::new();
    let mut random = Random::new("killed keepers");
    let all = notebooks(&world, 3);
    let (mut window, mut witness) = (world.window(), world.window());
    let session = window.start(&all[0]);
    let id = id_of(&session["id"]);
    window.run(&id, "x = 42");
    let usual = a_migration(&mut window, &id, &all);
    let mut keeper = pid_of(&session["keeperPid"]);
    let (mut made, mut not_made, mut refused) = (0, 0, 0);
    for round in 0..40 {
        let from = agreement(&world, &mut [&mut window, &mut witness], &id, &all);
        let at = all.iter().position(|notebook| *notebook == from).unwrap();
        let to = &all[(at + 1 + random.below(2)) % 3];
        let moment = random.within(usual.mul_f64(1.3));
        let asked = window.begin("keeper/attachSession", attachment(&id, &from, to));
        pass(moment);
        kill(keeper, "KILL");
        let answer = window.finish(asked);
        let adopted = successor(&mut window, &id, keeper);
        keeper = pid_of(&adopted["keeperPid"]);
        let now = agreement(&world, &mut [&mut window, &mut witness], &id, &all);
        assert!(now == from || now == *to, "round {round}, {moment:?}: {from:?} to {to:?} is at {now:?}");
        match &answer {
            // What was promised is kept.
            Ok(answer) => {
                assert_eq!((&answer["newPath"], &now), (&json!(to), to), "round {round}, {moment:?}")
            }
            Err(_) => refused += 1,
        }
        if now == from {
            not_made += 1
        } else {
            made += 1
        }
        assert_eq!(adopted["pid"], session["pid"], "round {round}");
    }
    eprintln!(
        "a migration takes {usual:?}; killed in the midst, {made} were made and {not_made} were not; {refused} were refused"
    );
    assert_eq!(window.value_of(&id, "x"), "42");
    let keepers = world.processes().into_iter().filter(|p| p.command.contains(" keep --session ")).count();
    assert_eq!(keepers, 1);
    assert!(is_alive(keeper));
}

/// The moment that chance seldom finds: the registry was told of the new notebook, `session.json` was not yet.
#[test]
fn a_migration_that_only_the_registry_knows_is_not_made() {
    let world = World::new();
    let all = notebooks(&world, 3);
    let mut window = world.window();
    let session = window.start(&all[0]);
    let id = id_of(&session["id"]);
    let mut keeper = pid_of(&session["keeperPid"]);
    let only_registry = |to: &Path| {
        let registry = rusqlite::Connection::open(world.state().join("registry.db")).unwrap();
        let changed = registry
            .execute(
                "UPDATE bindings SET key = ?2, uri = ?3 WHERE session_id = ?1",
                [id.as_str(), to.to_str().unwrap(), &uri(to)],
            )
            .unwrap();
        assert_eq!(changed, 1);
    };
    // Frozen, so that it is surely dead before anybody acts, and between the two writes until then.
    kill(keeper, "STOP");
    only_registry(&all[1]);
    kill(keeper, "KILL");
    keeper = pid_of(&successor(&mut window, &id, keeper)["keeperPid"]);
    assert_eq!(agreement(&world, &mut [&mut window], &id, &all), all[0]);
    // The place it did not take is free, and the way there is open.
    let other = window.start(&all[1]);
    window.ok("keeper/stopSession", json!({ "sessionId": other["id"] }));
    window.ok("keeper/attachSession", attachment(&id, &all[0], &all[1]));

    // Somebody took the old place meanwhile: then the new one is its own, as the registry says.
    let mut rival = world.window();
    assert_eq!(rival.live(), [id.as_str()]);
    kill(keeper, "STOP");
    only_registry(&all[2]);
    rival.start(&all[1]);
    kill(keeper, "KILL");
    successor(&mut window, &id, keeper);
    eventually("each has a place of its own", PATIENCE, || {
        let mine = window.session(&id)["notebookPath"] == json!(all[2]);
        (mine && registered(&world, &id) == [all[2].to_str().unwrap()]).then_some(())
    });
    assert_eq!(world.record(&id)["notebooks"][0]["path"], json!(all[2]));
}

/// A window that reads much at once takes in a keeper's answers and statuses in their order: what it asked while the kernel
/// was busy does not make it busy again.
#[test]
fn an_answer_does_not_undo_what_was_told_after_it() {
    let world = World::new();
    let mut random = Random::new("answers");
    let all = notebooks(&world, 2);
    let (mut window, mut witness) = (world.window(), world.window());
    let session = window.start(&all[0]);
    let id = id_of(&session["id"]);
    let usual = a_migration(&mut window, &id, &all);
    for round in 0..40 {
        let execution =
            witness.execute(&id, "import time\nfor n in range(60): print(n, flush=True); time.sleep(0.002)");
        eventually("it runs", PATIENCE, || {
            (window.session(&id)["currentExecution"]["startedAt"].is_string()).then_some(())
        });
        let asked =
            window.begin("keeper/attachSession", attachment(&id, &all[round % 2], &all[(round + 1) % 2]));
        pass(random.within(usual.mul_f64(1.3)));
        kill(window.pid(), "STOP");
        witness.done(&id, &execution);
        kill(window.pid(), "CONT");
        window.finish(asked).unwrap();
        eventually("the kernel is idle for the window that asked, too", SOON, || {
            (window.session(&id)["state"] == "idle").then_some(())
        });
    }
}
