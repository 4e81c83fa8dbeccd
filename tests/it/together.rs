//! One notebook in two windows.

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::offers::{answer, ensure, pushed};
use crate::world::{World, id_of, kill, pid_of, uri};

fn shown_in(session: &Value) -> usize {
    session["windows"].as_array().unwrap().len()
}

#[test]
fn both_are_on_one_kernel_and_see_the_same() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1", "2"]);
    let (mut one, mut two) = (world.window(), world.window());
    one.open(&notebook);
    let session = one.start(&notebook);
    let id = id_of(&session["id"]);
    // The second is offered the first's kernel.
    two.open(&notebook);
    let offer = pushed(&two, 0, "resume", &notebook);
    let resumed = answer(&mut two, &offer, "resume");
    assert_eq!((&resumed["outcome"], &resumed["session"]["pid"]), (&json!("resumed"), &session["pid"]));
    assert_eq!(shown_in(&resumed["session"]), 2);
    assert_eq!(one.told("keeper/offer"), Vec::<Value>::new());
    // Outputs appear in both, from whichever ran; variables are one.
    one.subscribe(&id, 0);
    two.subscribe(&id, 0);
    let ran = |window: &mut Window, cell: u32, code: &str| {
        let execution = window.execute_cell(&id, cell, code);
        window.done(&id, &execution);
        execution
    };
    let first = ran(&mut one, 0, "x = 41; print('from one')");
    let second = ran(&mut two, 1, "x += 1; print('from two', x)");
    for window in [&one, &two] {
        window.wait_finished(&first);
        window.wait_finished(&second);
    }
    assert_eq!(one.events(&id), two.events(&id));
    assert_eq!(one.value_of(&id, "x"), "42");
    assert_eq!((one.stream(&id, "c1"), two.stream(&id, "c0")), ("from two 42\n".into(), "from one\n".into()));
}

/// Two windows that opened the notebook of a kernel that nobody shows; the one that was asked is the first.
fn opened_at_once(world: &World, notebook: &std::path::Path) -> (Window, Window, Value) {
    let (mut one, mut two) = (world.window(), world.window());
    one.open(notebook);
    two.open(notebook);
    let open = |window: &mut Window| window.ok("keeper/openOffers", json!({}))["offers"].clone();
    let offer = eventually("one is asked", PATIENCE, || {
        let (mine, others) = (open(&mut one), open(&mut two));
        let offers: Vec<&Value> = mine.as_array().into_iter().chain(others.as_array()).flatten().collect();
        assert!(offers.len() <= 1, "{offers:?}");
        offers.first().map(|offer| (*offer).clone())
    });
    if open(&mut one) == json!([]) { (two, one, offer) } else { (one, two, offer) }
}

#[test]
fn opened_at_once_one_is_asked_and_the_other_follows() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    let mut before = world.window();
    let id = id_of(&before.start(&notebook)["id"]);
    before.close();

    // Dismissed: neither has it, and each may ask for itself.
    let (mut asked, mut other, offer) = opened_at_once(&world, &notebook);
    answer(&mut asked, &offer, "dismiss");
    assert_eq!(shown_in(&other.session(&id)), 0);
    other.close();
    asked.close();

    // Resumed: both have it.
    let (mut asked, mut other, offer) = opened_at_once(&world, &notebook);
    answer(&mut asked, &offer, "resume");
    let followed = other.wait_for("keeper/followed", |p| p["notebookUri"] == uri(&notebook));
    assert_eq!(followed["session"]["id"], json!(id));
    assert_eq!(shown_in(&other.session(&id)), 2);
    assert_eq!(other.told("keeper/offer"), Vec::<Value>::new());
    assert_eq!(ensure(&mut other, &notebook)["outcome"], "attached");
    other.close();
    asked.close();

    // Started afresh: the other one is on the new kernel.
    let (mut asked, mut other, offer) = opened_at_once(&world, &notebook);
    let fresh = answer(&mut asked, &offer, "fresh");
    let followed = other.wait_for("keeper/followed", |p| p["notebookUri"] == uri(&notebook));
    assert_eq!(followed["session"]["id"], fresh["session"]["id"]);
    assert_ne!(fresh["session"]["id"], json!(id));
    other.close();
    asked.close();

    // The window that is asked goes: the question moves on.
    let (mut asked, mut other, _) = opened_at_once(&world, &notebook);
    asked.kill();
    let offer = eventually("the other one is asked", PATIENCE, || {
        other.ok("keeper/openOffers", json!({}))["offers"].get(0).cloned()
    });
    assert_eq!(answer(&mut other, &offer, "resume")["outcome"], "resumed");
    assert!(pid_of(&other.session(&id_of(&fresh["session"]["id"]))["pid"]) > 0);
}

#[test]
fn of_a_dead_kernel_one_is_asked_and_the_other_follows() {
    let world = World::new();
    let notebook = world.notebook("n.ipynb", &["1"]);
    for action in ["fresh", "rebuild"] {
        let mut before = world.window();
        let session = before.start(&notebook);
        let id = id_of(&session["id"]);
        before.run(&id, "x = 1");
        kill(pid_of(&session["pid"]), "KILL");
        eventually("its end is known", PATIENCE, || {
            (before.session(&id)["endReason"] == "crashed").then_some(())
        });
        before.close();
        let (mut asked, mut other, offer) = opened_at_once(&world, &notebook);
        assert_eq!(offer["kind"], "recover");
        let new = answer(&mut asked, &offer, action)["session"].clone();
        let followed = other.wait_for("keeper/followed", |p| p["notebookUri"] == uri(&notebook));
        assert_eq!(followed["session"]["id"], new["id"]);
        assert_eq!(other.told("keeper/offer"), Vec::<Value>::new());
        let new = id_of(&new["id"]);
        assert_eq!(shown_in(&other.session(&new)), 2);
        other.ok("keeper/stopSession", json!({ "sessionId": new }));
        other.close();
        asked.close();
    }
}
