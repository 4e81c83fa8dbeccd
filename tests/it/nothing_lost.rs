//! Nothing lost: floods of output, while sidecars are killed and clients stall. `KERNEL_KEEPER_STRESS` scales the counts.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::driver::{Window, eventually};
use crate::world::{World, id_of, is_alive, memory, pid_of, uri};

/// What sidecar and keeper may take at most beside their program, in bytes.
const MOST_MEMORY: u64 = 48 << 20;
/// A flood on a machine that is busy.
const FLOOD: Duration = Duration::from_secs(240);

fn scaled(count: usize) -> usize {
    let scale = std::env::var("KERNEL_KEEPER_STRESS").ok().and_then(|v| v.parse::<f64>().ok()).unwrap_or(1.0);
    ((count as f64 * scale) as usize).max(100)
}

/// Everything that the session's journal tells, from the first event on.
fn journal(world: &World, id: &str, execution: &str) -> Vec<Value> {
    let mut reader = world.window();
    reader.subscribe(id, 0);
    let is_last = |e: &Value| e["executionId"] == execution && e["event"]["kind"] == "finished";
    reader.wait_for_long(FLOOD, "keeper/executionEvent", is_last);
    let events = reader.events(id);
    let numbers: Vec<u64> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "none missing, none twice");
    events
}

fn text_of(events: &[Value], execution: &str) -> String {
    let ours = events.iter().filter(|e| e["executionId"] == execution && e["event"]["kind"] == "output");
    let outputs = ours.map(|e| &e["event"]["output"]).filter(|o| o["output_type"] == "stream");
    outputs.map(|o| o["text"].as_str().unwrap()).collect()
}

/// In Python: after five of six parts the flood `i` of `count` waits for [`go_on`], so that it never ends before a sidecar is killed.
fn waits(count: usize) -> String {
    format!("while i == {} and not os.path.exists('on'): time.sleep(0.01)", count / 6 * 5)
}

fn go_on(notebook: &Path) {
    std::fs::write(notebook.with_file_name("on"), "").unwrap();
}

/// The number of the last line or display that an event tells.
fn latest(event: &Value) -> Option<usize> {
    let output = &event["event"]["output"];
    let text = output["text"].as_str().or(output["data"]["text/plain"].as_str())?;
    text.trim_end().rsplit([' ', 'd']).next()?.parse().ok()
}

/// Kills this window's sidecar once it told of `number`; a new one, attached and subscribed.
fn replace_sidecar(world: &World, mut window: Window, id: &str, notebook: &Path, number: usize) -> Window {
    window.wait_for_long(FLOOD, "keeper/executionEvent", |e| latest(e) >= Some(number));
    let known = window.events(id).last().and_then(|e| e["seq"].as_u64()).unwrap();
    window.kill();
    let mut window = world.window();
    let again = json!({ "notebookUri": uri(notebook), "ask": false });
    assert_eq!(window.ok("keeper/ensureSession", again)["outcome"], "resumed");
    window.subscribe(id, known);
    window
}

fn check_memory(window: &Window, keeper: u32) {
    for (what, pid) in [("sidecar", window.pid()), ("keeper", keeper)] {
        // The program's own pages are its file's; a development build has many.
        let most = memory(pid, "status", "VmHWM").saturating_sub(memory(pid, "status", "RssFile"));
        eprintln!("{what}: {} MB at most", most >> 20);
        assert!(most < MOST_MEMORY, "{what}: {} MB", most >> 20);
    }
}

#[test]
fn lines_with_the_sidecar_killed_three_times() {
    let world = World::new();
    let notebook = world.notebook("flood.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let (id, keeper) = (id_of(&session["id"]), pid_of(&session["keeperPid"]));
    window.subscribe(&id, 0);
    let lines = scaled(200_000);
    // Flushed now and then, so that it takes a while and comes in pieces of all sizes.
    let code = format!(
        "import os, sys, time\nfor i in range({lines}):\n    print(f'line {{i:07d}}')\n    if i % 997 == 0: sys.stdout.flush()\n    if i % 20_000 == 0: time.sleep(0.2)\n    {}",
        waits(lines)
    );
    let execution = window.execute_cell(&id, 0, &code);
    // "At random": where the moments fall depends on the machine; they are spread over the flood.
    for number in [lines / 40, lines / 4, lines / 3 * 2] {
        window = replace_sidecar(&world, window, &id, &notebook, number);
    }
    go_on(&notebook);
    let finished = |e: &Value| e["executionId"] == execution.as_str() && e["event"]["kind"] == "finished";
    let last = window.wait_for_long(FLOOD, "keeper/executionEvent", finished);
    assert_eq!(last["event"]["status"], "ok", "{last}");
    let expected: String = (0..lines).map(|i| format!("line {i:07}\n")).collect();
    let events = journal(&world, &id, &execution);
    assert!(!events.iter().any(|e| e["event"]["kind"] == "gap"));
    assert_eq!(differs(&text_of(&events, &execution), &expected), None);
    check_memory(&window, keeper);
    assert_eq!(differs(&window.stream(&id, "c0"), &expected), None);
}

#[test]
fn displays_with_the_sidecar_killed_three_times() {
    let world = World::new();
    let notebook = world.notebook("flood.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let (id, keeper) = (id_of(&session["id"]), pid_of(&session["keeperPid"]));
    window.subscribe(&id, 0);
    let count = scaled(20_000);
    let code = format!(
        "import os, time\nfrom IPython.display import display\nfor i in range({count}):\n    display({{'text/plain': f'd{{i}}'}}, raw=True)\n    {}",
        waits(count)
    );
    let execution = window.execute_cell(&id, 0, &code);
    for number in [20, count / 3, count / 3 * 2] {
        window = replace_sidecar(&world, window, &id, &notebook, number);
    }
    go_on(&notebook);
    let finished = |e: &Value| e["executionId"] == execution.as_str() && e["event"]["kind"] == "finished";
    window.wait_for_long(FLOOD, "keeper/executionEvent", finished);
    check_memory(&window, keeper);
    let expected: Vec<String> = (0..count).map(|i| format!("d{i}")).collect();
    let plain = |output: &Value| output["data"]["text/plain"].as_str().unwrap_or_default().to_owned();
    let events = journal(&world, &id, &execution);
    let told: Vec<String> = events
        .iter()
        .filter(|e| e["event"]["kind"] == "output")
        .map(|e| plain(&e["event"]["output"]))
        .filter(|t| !t.is_empty())
        .collect();
    assert!(told == expected, "{} of {count}", told.len());
    let kept: Vec<String> = window.outputs(&id, "c0").as_array().unwrap().iter().map(plain).collect();
    assert!(kept == expected, "{} of {count}", kept.len());
}

#[test]
fn a_client_that_stalls_for_ten_seconds() {
    let world = World::new();
    let notebook = world.notebook("flood.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let (id, keeper) = (id_of(&session["id"]), pid_of(&session["keeperPid"]));
    window.subscribe(&id, 0);
    let lines = scaled(100_000);
    // Flushed now and then: the keeper holds one message, and how large one grows in 200 ms depends on the machine.
    let asked = json!({
        "sessionId": id, "cell": { "id": "c0", "index": 0 },
        "code": format!("for i in range({lines}): print(f'line {{i:07d}} ' + 'x' * 200, flush=i % 997 == 0)"),
    });
    let request = window.begin("keeper/execute", asked);
    let execution = id_of(&window.finish(request).expect("accepted")["executionId"]);
    window.stall(true);
    // Another window sees the end meanwhile: nobody waits for the one that does not read.
    let mut other = world.window();
    let begun = std::time::Instant::now();
    eventually("the cell ends", FLOOD, || {
        let history = other.ok("keeper/executionHistory", json!({ "sessionId": id }));
        (history["executions"][0]["status"] == "ok").then_some(())
    });
    eventually("ten seconds of stall", FLOOD, || (begun.elapsed() > Duration::from_secs(10)).then_some(()));
    check_memory(&window, keeper);
    window.stall(false);
    let finished = |e: &Value| e["executionId"] == execution.as_str() && e["event"]["kind"] == "finished";
    window.wait_for_long(FLOOD, "keeper/executionEvent", finished);
    let expected: String = (0..lines).map(|i| format!("line {i:07} {}\n", "x".repeat(200))).collect();
    let events = window.events(&id);
    assert_eq!(differs(&text_of(&events, &execution), &expected), None);
    assert_eq!(
        window.ok("keeper/cellOutputs", json!({ "sessionId": id }))["lastSeq"],
        events.last().unwrap()["seq"]
    );
    check_memory(&window, keeper);
    assert!(is_alive(keeper));
}

/// Where two long texts part, for a message that people can read.
fn differs(found: &str, expected: &str) -> Option<String> {
    if found == expected {
        return None;
    }
    let at = found.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count();
    let show = |text: &str| {
        String::from_utf8_lossy(&text.as_bytes()[at.min(text.len())..]).chars().take(60).collect::<String>()
    };
    Some(format!(
        "{} bytes, not {}; from {at}: {:?}, not {:?}",
        found.len(),
        expected.len(),
        show(found),
        show(expected)
    ))
}
