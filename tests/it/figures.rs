//! What is shown of kernels is true: memory and processor against `/proc`, time spent executing, and when an idle one is
//! stopped by the user's setting.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::world::{World, id_of, is_alive, memory, pid_of};

fn sampled(window: &mut Window, id: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    eventually(what, PATIENCE, || Some(window.session(id)).filter(|session| is_it(session)))
}

#[test]
fn memory_and_processor_are_those_of_the_process_tree() {
    let world = World::new();
    let mut window = world.window();
    let session = window.start(&world.notebook("draft.ipynb", &["1"]));
    let (id, pid) = (id_of(&session["id"]), pid_of(&session["pid"]));
    window.ok("keeper/setVisible", json!({ "visible": true }));
    window.run(&id, "block = bytearray(400_000_000)");
    let near = |shown: &Value, truth: u64| {
        let shown = shown.as_u64().unwrap_or(0);
        shown.abs_diff(truth) < truth / 10
    };
    let pss = |pid: u32| memory(pid, "smaps_rollup", "Pss");
    sampled(&mut window, &id, "the memory is told", |s| near(&s["memoryBytes"], pss(pid)));
    // A child counts, and what it shares counts once.
    let child = "import subprocess, sys\np = subprocess.Popen([sys.executable, '-c', 'x = bytearray(200_000_000); input()'], stdin=subprocess.PIPE)\np.pid";
    let child: u32 = window.value_of(&id, child).parse().unwrap();
    sampled(&mut window, &id, "the child's memory is told", |s| {
        s["memoryBytes"].as_u64() > Some(550_000_000) && near(&s["memoryBytes"], pss(pid) + pss(child))
    });
    window.run(&id, "p.kill(); p.wait(); del block");
    sampled(&mut window, &id, "freed memory is told", |s| s["memoryBytes"].as_u64() < Some(200_000_000));
    assert!(window.session(&id)["gpuMemoryBytes"].is_null());
    // Of a core that other tests want, too: what is shown is what the kernel got, as `/proc` counts it.
    let busy = window.execute(&id, "import time\nend = time.time() + 7\nwhile time.time() < end: pass");
    window.until_status(&id, &busy, &["running"]);
    let used = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<f64> =
            stat.rsplit(')').next().unwrap().split_whitespace().filter_map(|f| f.parse().ok()).collect();
        (fields[10] + fields[11], Instant::now())
    };
    let mut before = used();
    eventually("the processor's share is told", PATIENCE, || {
        let (shown, now) = (window.session(&id)["cpuPercent"].as_f64()?, used());
        let elapsed = now.1.duration_since(before.1).as_secs_f64();
        if elapsed < 2.0 {
            return None;
        }
        let truth = (now.0 - before.0) / elapsed;
        before = now;
        (truth > 15.0 && (shown - truth).abs() < 25.0).then_some(())
    });
    window.done(&id, &busy);
    sampled(&mut window, &id, "the core is idle", |s| s["cpuPercent"].as_f64() < Some(8.0));
    let spent = window.session(&id)["busySeconds"].as_f64().unwrap();
    assert!((7.0..13.0).contains(&spent), "{spent}");
    window.refuses("keeper/setVisible", json!({}), "visible");
}

#[test]
fn an_idle_kernel_is_stopped_only_when_nobody_can_want_it() {
    let world = World::new();
    // 3 seconds.
    let policy = json!({ "settings": { "stopIdleAfter": 0.05 } });
    let mut window = world.window_with(policy.clone());
    let started: Vec<Value> = ["left", "open", "pinned", "busy"]
        .map(|name| window.start(&world.notebook(&format!("{name}.ipynb"), &["1"])))
        .into();
    let ids: Vec<String> = started.iter().map(|s| id_of(&s["id"])).collect();
    window.ok("keeper/pinSession", json!({ "sessionId": ids[2], "pinned": true }));
    let busy = window.execute(&ids[3], "import time; time.sleep(600)");
    window.until_status(&ids[3], &busy, &["running"]);
    for id in [&ids[0], &ids[2], &ids[3]] {
        window.ok("keeper/detachSession", json!({ "sessionId": id }));
    }
    let begun = Instant::now();
    let told = window.wait_for("keeper/sessionUpdated", |p| {
        p["session"]["id"] == ids[0].as_str() && !p["session"]["stopsAt"].is_null()
    });
    assert!(told["session"]["warnings"][0].as_str().unwrap().contains("within the hour"), "{told}");
    let ended = window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == ids[0].as_str());
    assert!(begun.elapsed() >= Duration::from_millis(2_500), "{:?}", begun.elapsed());
    assert_eq!(ended["session"]["endReason"], "stopped");
    let why = ended["session"]["warnings"].to_string();
    assert!(why.contains("stopIdleAfter"), "{why}");
    assert_eq!(window.live().len(), 3);
    for session in &started[1..] {
        assert!(is_alive(pid_of(&session["pid"])));
    }
    // Without the setting none is stopped, and unpinning starts no clock.
    window.notify(
        "workspace/didChangeConfiguration",
        json!({ "settings": { "kernelKeeper": { "stopIdleAfter": 0 } } }),
    );
    window.ok("keeper/pinSession", json!({ "sessionId": ids[2], "pinned": false }));
    eventually("the clock is off", PATIENCE, || window.session(&ids[2])["stopsAt"].is_null().then_some(()));
    window.notify(
        "workspace/didChangeConfiguration",
        json!({ "settings": { "kernelKeeper": policy["settings"] } }),
    );
    window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == ids[2].as_str());
    assert_eq!(window.live().len(), 2);
}
