//! Taking a window up again by its token: once, in time, only its own, and only while it is gone.

use std::time::Instant;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::world::{World, id_of, uri};

fn token(window: &mut Window) -> String {
    id_of(&window.ok("keeper/reconnectToken", json!({}))["token"])
}

fn outcome(window: &Window) -> Value {
    window.initialized["capabilities"]["experimental"]["kernelKeeper"]["reconnect"].clone()
}

fn with(token: &str) -> Value {
    json!({ "reconnectToken": token })
}

#[test]
fn a_reload_takes_its_kernels_back_without_a_question() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    window.open(&notebook);
    let (old, first) = (window.id.clone(), token(&mut window));
    let expires = window.ok("keeper/reconnectToken", json!({}));
    let good = id_of(&expires["token"]);
    assert_ne!(first, good);
    assert!(expires["expiresAt"].as_str().unwrap().ends_with('Z'));
    let other = world.window();
    let last = window.ok("keeper/cellOutputs", json!({ "sessionId": id }))["lastSeq"].as_u64().unwrap();
    let long =
        window.execute_cell(&id, 0, "import time\nfor i in range(40): print(i, flush=True); time.sleep(.05)");
    window.until_status(&id, &long, &["running"]);
    window.close();
    let mut again = world.window_with(with(&good));
    assert_eq!(outcome(&again), json!({ "outcome": "reconnected", "count": 1 }));
    assert_eq!(again.id, old);
    again.open(&notebook);
    let ensured = again.ok("keeper/ensureSession", json!({ "notebookUri": uri(&notebook) }));
    assert_eq!((&ensured["outcome"], &ensured["session"]["id"]), (&json!("attached"), &json!(id)));
    assert_eq!(again.ok("keeper/openOffers", json!({}))["offers"], json!([]));
    again.subscribe(&id, last);
    again.wait_finished(&long);
    assert_eq!(again.stream(&id, "c0"), (0..40).map(|i| format!("{i}\n")).collect::<String>());
    again.events(&id);
    assert_eq!(again.told("keeper/offer").len(), 0);
    let listed = again.ok("keeper/listWindows", json!({}))["windows"].clone();
    let mine = listed.as_array().unwrap().iter().find(|w| w["windowId"] == old.as_str()).unwrap().clone();
    assert_eq!((&mine["reconnectCount"], &mine["sessions"]), (&json!(1), &json!([id])));
    let seen = eventually("the other window sees it", PATIENCE, || {
        let seen = again.session(&id)["windows"].clone();
        (seen.as_array()?.len() == 1).then_some(seen)
    });
    assert_eq!(seen[0]["windowId"], old.as_str());
    drop(other);
    // Again, with a fresh token.
    let fresh = token(&mut again);
    again.kill();
    let third = world.window_with(with(&fresh));
    assert_eq!(outcome(&third), json!({ "outcome": "reconnected", "count": 2 }));
}

#[test]
fn other_tokens_make_a_new_window_that_is_asked() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    window.start(&notebook);
    let (old, void, good) = (window.id.clone(), token(&mut window), token(&mut window));
    let mut tried = 0;
    let mut check = |token: &str, expect: &str| {
        let other = world.window_with(with(token));
        assert_eq!(outcome(&other), json!({ "outcome": expect, "count": 0 }), "{token}");
        assert_ne!(other.id, old);
        tried += 1;
    };
    // Its window lives.
    check(&good, "invalid");
    window.close();
    check(&void, "invalid");
    check("", "invalid");
    check(&format!("{good}x"), "invalid");
    check(&good.replacen('.', ".A", 1), "invalid");
    assert_eq!(tried, 5);
    let taken = world.window_with(with(&good));
    assert_eq!(outcome(&taken)["outcome"], "reconnected");
    let mut late = world.window_with(with(&good));
    assert_eq!(outcome(&late), json!({ "outcome": "used", "count": 0 }));
    late.open(&notebook);
    assert_eq!(late.ok("keeper/ensureSession", json!({ "notebookUri": uri(&notebook) }))["outcome"], "ask");
    let refused = late.fails("keeper/reconnect", json!({ "token": good }), "TokenRejected");
    assert_eq!(refused.data["reason"], "used");
    let refused = late.fails("keeper/reconnect", json!({ "token": "nonsense" }), "TokenRejected");
    assert_eq!(refused.data["reason"], "invalid");
    late.refuses("keeper/reconnect", json!({}), "token");
    let health = late.ok("keeper/health", json!({}));
    assert_eq!(health["last24h"]["reconnects"], 1);
    assert_eq!(health["last24h"]["rejectedTokens"], 8);
}

#[test]
fn a_client_that_has_its_token_later_becomes_its_window() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    let (old, good) = (window.id.clone(), token(&mut window));
    window.kill();
    let mut again = world.window();
    let temporary = again.id.clone();
    let done = again.ok("keeper/reconnect", json!({ "token": good }));
    assert_eq!(done["reconnectCount"], 1);
    assert_eq!((&done["window"]["windowId"], &done["window"]["thisWindow"]), (&json!(old), &json!(true)));
    let session = eventually("it is attached again", PATIENCE, || {
        let session = again.session(&id);
        (session["windows"][0]["windowId"] == old.as_str()).then_some(session)
    });
    assert_eq!(session["windows"][0]["thisWindow"], true);
    let all = again.ok("keeper/listWindows", json!({ "includeDisconnected": true }))["windows"].clone();
    assert!(all.as_array().unwrap().iter().all(|w| w["windowId"] != temporary.as_str()), "{all}");
    let ensured = again.ok("keeper/ensureSession", json!({ "notebookUri": uri(&notebook) }));
    assert_eq!(ensured["outcome"], "attached");
}

#[test]
fn of_two_that_present_a_token_one_wins() {
    let world = World::new();
    for _ in 0..5 {
        let mut window = world.window();
        let good = token(&mut window);
        window.close();
        let (mut one, mut two) = (world.window(), world.window());
        let asked = [&mut one, &mut two].map(|w| w.begin("keeper/reconnect", json!({ "token": good })));
        let answers = [one.finish(asked[0]), two.finish(asked[1])];
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    }
}

#[test]
fn ten_thousand_made_up_tokens() {
    let world = World::new();
    let mut window = world.window();
    let (first, second) = (token(&mut window), token(&mut window));
    window.close();
    let mut other = world.window();
    let begun = Instant::now();
    let letters: Vec<char> = second.chars().collect();
    let pending: Vec<i64> = (0..10_000)
        .map(|n| {
            // Each a good one with something exchanged, cut off or added, or the void one.
            let at = n % letters.len();
            let made: String = match n % 5 {
                0 => letters[..at].iter().collect(),
                1 => format!("{second}{n}"),
                2 => first.clone(),
                3 => letters.iter().enumerate().map(|(i, c)| if i == at { '~' } else { *c }).collect(),
                _ => letters.iter().enumerate().map(|(i, c)| if i == at { next(*c) } else { *c }).collect(),
            };
            other.begin("keeper/reconnect", json!({ "token": made }))
        })
        .collect();
    for id in pending {
        let refused = other.finish(id).expect_err("a made-up token is refused");
        assert_eq!((refused.kind(), refused.code), ("TokenRejected", -32006));
    }
    let done = other.ok("keeper/reconnect", json!({ "token": second }));
    assert_eq!(done["reconnectCount"], 1, "the good one is still good");
    println!("10,000 tokens in {:?}", begun.elapsed());
}

/// Another letter of the alphabet. The last of a signature has bits that mean nothing, so that is one that differs in others.
fn next(c: char) -> char {
    if c == 'Q' { 'g' } else { 'Q' }
}
