//! Running code: order, outputs as they stand, input, taking back, and what subscribers are told.

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::world::{World, id_of, uri};

fn kinds(events: &[Value], execution: &str) -> Vec<String> {
    let ours = events.iter().filter(|e| e["executionId"] == execution);
    ours.map(|e| id_of(&e["event"]["kind"])).collect()
}

fn started(world: &World) -> (Window, String) {
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    (window, id)
}

/// `%load` and `set_next_input` have code for a person to run next.
#[test]
fn what_the_kernel_has_for_the_next_input_is_told() {
    let world = World::new();
    let (mut window, id) = started(&world);
    std::fs::write(world.work().join("mod.py"), "print('loaded')\n").unwrap();
    window.subscribe(&id, 0);
    let load = window.execute_cell(&id, 0, "%load mod.py");
    let below = window.execute_cell(&id, 1, "get_ipython().set_next_input('x = 1')");
    let large = window.execute_cell(&id, 2, "get_ipython().set_next_input('x' * (2 << 20))");
    window.wait_finished(&large);
    let events = window.events(&id);
    let next = |execution: &str| {
        let found =
            events.iter().find(|e| e["executionId"] == execution && e["event"]["kind"] == "nextInput");
        found.map(|e| (e["event"]["text"].clone(), e["event"]["replace"].clone()))
    };
    assert_eq!(next(&load), Some((json!("# %load mod.py\nprint('loaded')\n"), json!(true))));
    assert_eq!(next(&below), Some((json!("x = 1"), json!(false))));
    assert_eq!(next(&large), None);
    assert!(window.stream(&id, "c2").contains("2097152 bytes"), "it is said where there is too much");
}

#[test]
fn outputs_are_told_and_kept_as_jupyter_has_them() {
    let world = World::new();
    let (mut window, id) = started(&world);
    window.subscribe(&id, 0);
    let first = window.execute_cell(&id, 0, "import sys\nprint('a')\nprint('b', file=sys.stderr)\n6 * 7");
    let finished = window.wait_finished(&first);
    assert_eq!(finished["event"]["status"], "ok");
    assert_eq!(finished["cell"], json!({ "id": "c0", "index": 0 }));
    assert_eq!(finished["notebookUri"], uri(&world.work().join("draft.ipynb")));
    let events = window.events(&id);
    assert_eq!(events[0]["seq"], 1);
    let told = kinds(&events, &first);
    assert_eq!(told.first().map(String::as_str), Some("queued"));
    assert_eq!(told[1], "started");
    assert_eq!(told.last().map(String::as_str), Some("finished"));
    let queued = events.iter().find(|e| e["event"]["kind"] == "queued").expect("queued");
    assert_eq!(queued["event"]["origin"], window.id);
    let outputs = window.outputs(&id, "c0");
    let expected = json!([
        { "output_type": "stream", "name": "stdout", "text": "a\n" },
        { "output_type": "stream", "name": "stderr", "text": "b\n" },
        { "output_type": "execute_result", "execution_count": 1, "data": { "text/plain": "42" }, "metadata": {} },
    ]);
    assert_eq!(without_null(&outputs), expected, "{events:?}");
    let ran = window.execution(&id, &first);
    assert_eq!(
        (&ran["status"], &ran["executionCount"], &ran["cellId"], &ran["cellIndex"]),
        (&json!("ok"), &json!(1), &json!("c0"), &json!(0))
    );
    assert!(
        ran["queuedAt"].as_str() <= ran["startedAt"].as_str()
            && ran["startedAt"].as_str() <= ran["completedAt"].as_str()
    );

    // A progress line, cleared output, an updated display, an error.
    let code = "import time\nfor i in range(5):\n    print(f'\\r{i}/4', end='', flush=True)\nprint()\nprint('ab\\bc')";
    let done = window.execute_cell(&id, 1, code);
    window.done(&id, &done);
    assert_eq!(window.stream(&id, "c1"), "4/4\nac\n");
    let code = "from IPython.display import clear_output\nprint('gone')\nclear_output(wait=True)\nprint('kept')\nclear_output()\nprint('last')";
    let done = window.execute_cell(&id, 2, code);
    window.done(&id, &done);
    assert_eq!(window.stream(&id, "c2"), "last\n");
    let done = window.execute_cell(
        &id,
        3,
        "from IPython.display import display, HTML\nh = display(HTML('<b>1</b>'), display_id=True)",
    );
    window.done(&id, &done);
    window.run(&id, "h.update(HTML('<b>2</b>'))");
    let outputs = window.outputs(&id, "c3");
    assert_eq!(outputs[0]["data"]["text/html"], "<b>2</b>", "{outputs}");
    assert!(outputs[0]["displayId"].is_string());
    assert!(window.events(&id).iter().any(|e| e["event"]["kind"] == "updateDisplay"));
    let failed = window.execute_cell(&id, 4, "print('before')\n1/0");
    let failed = window.done(&id, &failed);
    assert_eq!(
        (&failed["status"], &failed["error"]["ename"]),
        (&json!("error"), &json!("ZeroDivisionError"))
    );
    let outputs = window.outputs(&id, "c4");
    assert_eq!(
        (&outputs[1]["output_type"], &outputs[1]["ename"]),
        (&json!("error"), &json!("ZeroDivisionError"))
    );
    assert!(outputs[1]["traceback"].as_array().is_some_and(|lines| !lines.is_empty()));

    // A stream that is cut, and the whole of it.
    let done = window.execute_cell(&id, 5, "for i in range(40_000): print(f'line {i:06d} ' + '.' * 40)");
    window.done(&id, &done);
    let cut = window.ok("keeper/cellOutputs", json!({ "sessionId": id, "maxBytesPerCell": 10_000 }));
    let cell = cut["cells"].as_array().unwrap().iter().find(|c| c["cellId"] == "c5").unwrap();
    let text = cell["outputs"][0]["text"].as_str().unwrap();
    assert!(
        text.len() < 11_000
            && text.starts_with("line 000000 ")
            && text.ends_with("line 039999 ........................................\n")
    );
    let whole = (0..40_000).fold(String::new(), |all, i| all + &format!("line {i:06} {}\n", ".".repeat(40)));
    assert_eq!(cell["truncated"]["totalBytes"], whole.len());
    let asset =
        url::Url::parse(cell["truncated"]["assetUri"].as_str().unwrap()).unwrap().to_file_path().unwrap();
    assert_eq!(std::fs::read_to_string(asset).unwrap(), whole);
    assert_eq!(window.stream(&id, "c5"), whole);

    // Of one notebook, and of none.
    let draft = uri(&world.work().join("draft.ipynb"));
    let one = window.ok("keeper/cellOutputs", json!({ "sessionId": id, "notebookUri": draft }));
    assert_eq!(one["cells"].as_array().unwrap().len(), 6);
    let other = uri(&world.work().join("other.ipynb"));
    window.refuses("keeper/cellOutputs", json!({ "sessionId": id, "notebookUri": other }), "notebookUri");
    window.refuses(
        "keeper/execute",
        json!({ "sessionId": id, "code": "1", "notebookUri": other }),
        "notebookUri",
    );
    let newest = window.ok("keeper/executionHistory", json!({ "notebookUri": draft, "limit": 1 }));
    assert_eq!(newest["executions"].as_array().unwrap().len(), 1);
    assert_eq!(newest["executions"][0]["cellId"], "c5");
}

fn without_null(outputs: &Value) -> Value {
    let mut outputs = outputs.clone();
    for output in outputs.as_array_mut().into_iter().flatten() {
        if let Some(fields) = output.as_object_mut() {
            fields.retain(|name, value| !(name == "displayId" && value.is_null()));
        }
    }
    outputs
}

#[test]
fn failures_stop_what_waits_and_pending_code_can_be_taken_back() {
    let world = World::new();
    let (mut window, id) = started(&world);
    let blocker = window.execute(&id, "import time\nwhile not globals().get('go'): time.sleep(0.01)\n1/0");
    window.until_status(&id, &blocker, &["running"]);
    let keep = json!({ "sessionId": id, "code": "print('unused')", "stopOnError": false });
    let waits = [window.execute(&id, "a = 1"), window.execute(&id, "b = 1")];
    let taken_back = id_of(&window.ok("keeper/execute", keep)["executionId"]);
    let session = eventually("three wait", PATIENCE, || {
        Some(window.session(&id)).filter(|session| session["queued"] == 3)
    });
    assert_eq!(session["state"], "busy");
    assert_eq!(session["currentExecution"]["executionId"], blocker.as_str());
    let asked = json!({ "sessionId": id, "executionId": taken_back });
    let cancelled = window.ok("keeper/cancelExecution", asked)["execution"].clone();
    assert_eq!((&cancelled["status"], &cancelled["startedAt"]), (&json!("aborted"), &Value::Null));
    let unknown = json!({ "sessionId": id, "executionId": "no-such" });
    window.fails("keeper/cancelExecution", unknown, "SessionNotFound");

    // The running one is interrupted, and what waits behind it from the same notebook is aborted.
    let asked = json!({ "sessionId": id, "executionId": blocker });
    let cancelled = window.ok("keeper/cancelExecution", asked.clone())["execution"].clone();
    assert_eq!(
        (&cancelled["status"], &cancelled["error"]["ename"]),
        (&json!("error"), &json!("KeyboardInterrupt"))
    );
    for execution in &waits {
        assert_eq!(window.done(&id, execution)["status"], "aborted");
    }
    assert_eq!(window.ok("keeper/cancelExecution", asked)["execution"], window.execution(&id, &blocker));
    assert_eq!(window.value_of(&id, "'a' in globals()"), "False");

    // Without it, what waits runs on.
    let fails = json!({ "sessionId": id, "code": "import time; time.sleep(0.2); 1/0", "stopOnError": false });
    let fails = id_of(&window.ok("keeper/execute", fails)["executionId"]);
    let runs = window.execute(&id, "c = 1");
    assert_eq!(window.done(&id, &fails)["status"], "error");
    assert_eq!(window.done(&id, &runs)["status"], "ok");
    // What was asked to run together ends together, though the last of it comes late.
    let mut in_batch = |code: &str, batch: &str| {
        let asked = json!({ "sessionId": id, "code": code, "batch": batch });
        let execution = id_of(&window.ok("keeper/execute", asked)["executionId"]);
        window.done(&id, &execution)["status"].clone()
    };
    assert_eq!(in_batch("1/0", "run all"), "error");
    assert_eq!(in_batch("late = 1", "run all"), "aborted");
    assert_eq!(in_batch("'late' in globals()", "another"), "ok");
    // Code that is no code, and none at all.
    let odd = window.execute(&id, "def (");
    assert_eq!(window.done(&id, &odd)["error"]["ename"], "SyntaxError");
    for empty in ["", " \n", "# only a comment"] {
        let empty = window.execute(&id, empty);
        assert_eq!(window.done(&id, &empty)["status"], "ok");
    }
}

#[test]
fn input_is_asked_answered_and_not_journaled() {
    let world = World::new();
    let (mut window, id) = started(&world);
    window.subscribe(&id, 0);
    let asks =
        window.execute(&id, "import getpass\nname = input('Name? ')\nword = getpass.getpass('Word: ')");
    let asked = window.wait_for("keeper/executionEvent", |e| e["event"]["kind"] == "inputRequest");
    assert_eq!(asked["event"], json!({ "kind": "inputRequest", "prompt": "Name? ", "password": false }));
    let session = window.session(&id);
    assert_eq!(session["currentExecution"]["input"], json!({ "prompt": "Name? ", "password": false }));
    let reply =
        |value: &str, execution: &str| json!({ "sessionId": id, "executionId": execution, "value": value });
    window.fails("keeper/replyInput", reply("x", "another"), "NotWaiting");
    window.ok("keeper/replyInput", reply("Ünïque-answer", &asks));
    let password = |e: &Value| e["event"]["kind"] == "inputRequest" && e["event"]["password"] == true;
    window.wait_for("keeper/executionEvent", password);
    window.ok("keeper/replyInput", reply("secret-zebra", &asks));
    assert_eq!(window.wait_finished(&asks)["event"]["status"], "ok");
    window.fails("keeper/replyInput", reply("x", &asks), "NotWaiting");
    assert_eq!(window.value_of(&id, "len(name), len(word)"), "(13, 12)");
    let replies = window.events(&id).iter().filter(|e| e["event"]["kind"] == "inputReplied").count();
    assert_eq!(replies, 2);
    assert_eq!(window.session(&id)["currentExecution"], Value::Null);
    for entry in std::fs::read_dir(world.session_dir(&id)).unwrap().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        for word in [&b"secret-zebra"[..], "Ünïque-answer".as_bytes()] {
            assert!(!bytes.windows(word.len()).any(|w| w == word), "an answer is in {:?}", entry.path());
        }
    }
    // One that waits is interrupted.
    let asks = window.execute(&id, "input('again? ')");
    let again = |e: &Value| e["event"]["prompt"] == "again? ";
    window.wait_for("keeper/executionEvent", again);
    window.ok("keeper/interruptSession", json!({ "sessionId": id }));
    assert_eq!(window.done(&id, &asks)["error"]["ename"], "KeyboardInterrupt");
}

#[test]
fn subscriptions_miss_nothing_and_repeat_nothing() {
    let world = World::new();
    let (mut window, id) = started(&world);
    let mut other = world.window();
    let code = "import time\nfor i in range(200):\n    print(i, flush=True); time.sleep(0.002)";
    window.run(&id, code);
    let last = window.subscribe(&id, 0);
    let running = other.execute(&id, code);
    // Again, in the midst of it: the one before is replaced, and it goes on after what was asked. The last one may be its end.
    let seen = eventually("some are told", PATIENCE, || {
        let told = window.events(&id);
        let ours: Vec<&Value> = told.iter().filter(|e| e["executionId"] == running.as_str()).collect();
        (ours.len() > 10).then(|| ours[9]["seq"].as_u64().unwrap())
    });
    other.subscribe(&id, seen);
    other.wait_finished(&running);
    window.wait_finished(&running);
    let (all, rest) = (window.events(&id), other.events(&id));
    assert_eq!(all[0]["seq"], 1);
    let numbers: Vec<u64> = all.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "none missing, none twice");
    assert!(numbers.len() as u64 > last);
    let expected: Vec<&Value> = all.iter().filter(|e| e["seq"].as_u64() > Some(seen)).collect();
    assert_eq!(rest.iter().collect::<Vec<_>>(), expected);
    let position = window.ok("keeper/cellOutputs", json!({ "sessionId": id }))["lastSeq"].as_u64();
    assert_eq!(position, numbers.last().copied());

    // From now on; then no more.
    let now = other.ok("keeper/subscribe", json!({ "sessionId": id }))["lastSeq"].as_u64().unwrap();
    assert_eq!(Some(now), position);
    let next = window.execute(&id, "print('next')");
    let first = other.wait_for("keeper/executionEvent", |e| e["seq"].as_u64() > Some(now));
    assert_eq!((&first["seq"], &first["event"]["kind"]), (&json!(now + 1), &json!("queued")));
    other.wait_finished(&next);
    other.ok("keeper/unsubscribe", json!({ "sessionId": id }));
    other.ok("keeper/unsubscribe", json!({ "sessionId": id }));
    let count = other.events(&id).len();
    window.run(&id, "print('unheard')");
    other.ok("keeper/listSessions", json!({}));
    assert_eq!(other.events(&id).len(), count);

    // Over the end of the kernel and a new one: the numbers go on, and so does the subscription.
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
    window.ok("keeper/restartSession", json!({ "sessionId": id }));
    let anew = window.execute(&id, "print('anew')");
    window.wait_finished(&anew);
    let numbers: Vec<u64> = window.events(&id).iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    // Of an ended session all can be had.
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
    other.subscribe(&id, 0);
    other.wait_for("keeper/executionEvent", |e| {
        e["executionId"] == anew.as_str() && e["event"]["kind"] == "finished"
    });
}

#[test]
fn a_thousand_requests_run_in_their_order_and_all_are_told_the_same() {
    let world = World::new();
    let (mut window, id) = started(&world);
    let mut other = world.window();
    window.subscribe(&id, 0);
    other.subscribe(&id, 0);
    window.run(&id, "order = []");
    let asked: Vec<i64> = (0..1_000)
        .map(|i| {
            window.begin("keeper/execute", json!({ "sessionId": id, "code": format!("order.append({i})") }))
        })
        .collect();
    let ids: Vec<String> =
        asked.iter().map(|a| id_of(&window.finish(*a).expect("accepted")["executionId"])).collect();
    window.wait_finished(ids.last().unwrap());
    other.wait_finished(ids.last().unwrap());
    assert_eq!(window.value_of(&id, "order == list(range(1000))"), "True");
    let begun = |w: &Window| -> Vec<String> {
        let events = w.events(&id);
        let started = events.iter().filter(|e| e["event"]["kind"] == "started");
        started.map(|e| id_of(&e["executionId"])).filter(|e| ids.contains(e)).collect()
    };
    assert_eq!(begun(&window), ids);
    let upto = |w: &Window| -> Vec<Value> {
        let events = w.events(&id);
        let last = events
            .iter()
            .position(|e| e["executionId"] == ids[999].as_str() && e["event"]["kind"] == "finished");
        events[..=last.unwrap()].to_vec()
    };
    assert_eq!(upto(&window), upto(&other));
}

#[test]
fn comm_messages_are_kept_whole() {
    let world = World::new();
    let (mut window, id) = started(&world);
    window.subscribe(&id, 0);
    window.execute(
        &id,
        "from comm import create_comm\ncreate_comm('t', data={'a': 1}, buffers=[b'\\x00\\xff', b''])",
    );
    let told = window.wait_for("keeper/executionEvent", |e| e["event"]["kind"] == "comm");
    let message = &told["event"]["message"];
    assert_eq!(message["header"]["msg_type"], "comm_open");
    assert_eq!(
        (&message["content"]["target_name"], &message["content"]["data"]),
        (&json!("t"), &json!({ "a": 1 }))
    );
    assert_eq!(message["buffers"], json!(["AP8=", ""]));
}
