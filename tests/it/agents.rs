//! Agents on the kernels of people: what an agent may and may not do, that a window sees it, and that its end ends nothing.
//! What the official SDK and the protocol's inspector find is in `agents/clients.rs`.

mod clients;

use std::time::Duration;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Window, eventually};
use crate::world::{World, id_of, is_alive, kill, pid_of, text, uri};

impl Window {
    /// A tool's whole result.
    fn tool(&mut self, name: &str, arguments: Value) -> Value {
        self.ok("tools/call", json!({ "name": name, "arguments": arguments }))
    }

    /// What a tool answers that must succeed.
    pub fn use_tool(&mut self, name: &str, arguments: Value) -> Value {
        let result = self.tool(name, arguments.clone());
        assert_ne!(result["isError"], true, "{name} {arguments}: {result}");
        result["structuredContent"].clone()
    }

    /// What a tool says that must fail.
    fn tool_fails(&mut self, name: &str, arguments: Value, kind: &str) -> String {
        let result = self.tool(name, arguments.clone());
        assert_eq!(result["isError"], true, "{name} {arguments}: {result}");
        assert_eq!(result["structuredContent"]["kind"], kind, "{name} {arguments}: {result}");
        id_of(&result["structuredContent"]["error"])
    }

    fn begin_tool(&mut self, name: &str, arguments: Value) -> i64 {
        self.begin("tools/call", json!({ "name": name, "arguments": arguments }))
    }

    fn cancel_call(&mut self, call: i64) {
        self.notify("notifications/cancelled", json!({ "requestId": call }));
    }
}

/// All text of a tool's answer.
pub(super) fn words(result: &Value) -> String {
    let content = result["content"].as_array().cloned().unwrap_or_default();
    content.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_agent_uses_the_kernel_that_its_user_has_and_the_user_sees_it() {
    let world = World::new();
    let draft = world.notebook("my draft #1 50%.ipynb", &["answer = 42", "print(answer)"]);
    let mut window = world.window();
    window.open(&draft);
    let session = window.start(&draft);
    let id = id_of(&session["id"]);
    window.subscribe(&id, 0);
    window.run(&id, "answer = 42");

    let mut agent = world.agent(&[]);
    let found = agent.use_tool("find_active_session", json!({ "notebook_path": draft }));
    assert_eq!((&found["found"], &found["pid"]), (&json!(true), &session["pid"]));
    assert_eq!((&found["session_id"], &found["kernel_id"]), (&json!(id), &json!(id)));
    assert_eq!((&found["match"], &found["status"]), (&json!("path"), &json!("idle")));
    assert_eq!(found["start_time"], session["startedAt"]);
    assert_eq!(found["open_in_window"], true);
    agent.tool_fails("start_session", json!({ "notebook_path": draft }), "NotebookHasSession");

    // The code is that of a cell: its output is the cell's, in the user's window too.
    let result = agent.tool("execute_code", json!({ "notebook_path": draft, "code": "print(answer)" }));
    assert_eq!(result["content"], json!([{ "type": "text", "text": "42\n" }]), "{result}");
    let execution = id_of(&result["structuredContent"]["execution_id"]);
    let finished = window.wait_finished(&execution);
    assert_eq!(finished["cell"], json!({ "id": "c1", "index": 1 }));
    assert_eq!(finished["notebookUri"], uri(&draft));
    assert_eq!(window.stream(&id, "c1"), "42\n");
    assert_eq!(window.execution(&id, &execution)["origin"], "mcp");
    // Its session is the user's: no mark of an agent on it.
    assert_eq!(window.session(&id)["agent"], false);

    let history = agent.use_tool("get_execution_history", json!({ "notebook_path": draft, "limit": 1 }));
    let last = &history["result"][0];
    assert_eq!(
        (&last["cell_index"], &last["status"], &last["error"]),
        (&json!(1), &json!("ok"), &Value::Null)
    );
    assert_eq!((&last["code"], &last["origin"]), (&json!("print(answer)"), &json!("mcp")));
    assert!(last["completed_at"].is_string());

    let listed = agent.use_tool("list_all_sessions", json!({}));
    assert_eq!(listed["result"].as_array().map(Vec::len), Some(1), "{listed}");
    let named = agent.use_tool("list_variables", json!({ "session_id": id }));
    assert_eq!(
        (&named["variables"][0]["name"], &named["stale"]),
        (&json!("answer"), &json!(false)),
        "{named}"
    );
    let told = agent.use_tool("inspect_variable", json!({ "session_id": id, "name": "answer" }));
    assert!(told["text"].as_str().is_some_and(|text| text.contains("int")), "{told}");
    let outputs = agent.tool("get_outputs", json!({ "notebook_path": draft, "cell_index": 1 }));
    assert_eq!(words(&outputs), "42\n");
}

#[test]
fn what_a_person_and_an_agent_run_keeps_its_order_and_its_origin() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&draft)["id"]);
    window.subscribe(&id, 0);
    let mut agent = world.agent(&[]);
    window.run(&id, "order = []");
    let mut calls = Vec::new();
    let mut executions = Vec::new();
    for round in 0..25 {
        let code = format!("order.append('person {round}')");
        executions.push(window.begin("keeper/execute", json!({ "sessionId": id, "code": code })));
        let code = format!("order.append('agent {round}')");
        calls.push(agent.begin_tool("execute_code", json!({ "session_id": id, "code": code })));
    }
    let persons: Vec<String> =
        executions.into_iter().map(|e| id_of(&window.finish(e).expect("queued")["executionId"])).collect();
    for call in calls {
        let result = agent.finish(call).expect("an answer");
        assert_eq!(result["structuredContent"]["status"], "ok", "{result}");
    }
    for execution in &persons {
        assert_eq!(window.done(&id, execution)["status"], "ok");
    }
    let history = window.ok("keeper/executionHistory", json!({ "sessionId": id, "limit": 50 }));
    let mut ran: Vec<Value> = history["executions"].as_array().expect("executions").clone();
    ran.reverse();
    // As they stand in the journal they ran, and each says whose it is.
    let written: Vec<&str> = ran.iter().map(|e| e["code"].as_str().unwrap()).collect();
    let in_kernel = window.value_of(&id, "'|'.join(order)");
    let expected: Vec<String> = written.iter().map(|code| code[14..code.len() - 2].to_owned()).collect();
    assert_eq!(in_kernel.trim_matches('\''), expected.join("|"));
    for execution in &ran {
        let is_agent = execution["code"].as_str().unwrap().contains("agent");
        let origin = if is_agent { "mcp" } else { &window.id };
        assert_eq!(execution["origin"], origin, "{execution}");
    }
    // Nobody's order is turned around.
    for who in ["person", "agent"] {
        let numbers: Vec<u32> = expected
            .iter()
            .filter_map(|e| e.strip_prefix(who))
            .map(|n| n.trim().parse().expect("a number"))
            .collect();
        assert_eq!(numbers.len(), 25);
        assert!(numbers.is_sorted(), "{who}: {numbers:?}");
    }
    // The window was told of all of it.
    for execution in &ran {
        window.wait_finished(execution["executionId"].as_str().unwrap());
    }
}

#[test]
fn what_a_window_has_open_is_not_taken_away_by_an_agent_unless_the_user_allowed_it() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    window.open(&draft);
    let session = window.start(&draft);
    let (id, pid) = (id_of(&session["id"]), pid_of(&session["pid"]));
    let running = window.execute(&id, "import time; time.sleep(60)");
    window.until_status(&id, &running, &["running"]);

    let mut agent = world.agent(&[]);
    for tool in ["interrupt_session", "restart_session", "stop_session"] {
        let said = agent.tool_fails(tool, json!({ "notebook_path": draft }), "Refused");
        assert!(said.contains("open in a window") && said.contains("mayStopOpenKernels"), "{said}");
        agent.tool_fails(tool, json!({ "session_id": id }), "Refused");
    }
    assert!(is_alive(pid));
    assert_eq!(window.execution(&id, &running)["status"], "running");
    // Let go, but the notebook is still on the screen.
    window.ok("keeper/detachSession", json!({ "sessionId": id }));
    agent.tool_fails("stop_session", json!({ "session_id": id }), "Refused");

    let mut allowed = world.agent(&[("KERNEL_KEEPER_AGENTS_MAY_STOP_OPEN", "1")]);
    allowed.use_tool("interrupt_session", json!({ "session_id": id }));
    assert_eq!(window.done(&id, &running)["status"], "error");
    let restarted = allowed.use_tool("restart_session", json!({ "session_id": id }));
    assert_ne!(restarted["pid"], pid);
    let stopped = allowed.use_tool("stop_session", json!({ "session_id": id }));
    assert_eq!(stopped["status"], "ended");

    // Nobody looks: an agent may.
    let other = world.notebook("other.ipynb", &["1"]);
    let started = agent.use_tool("start_session", json!({ "notebook_path": other }));
    assert_eq!(started["status"], "idle");
    let stopped = agent.use_tool("stop_session", json!({ "notebook_path": other }));
    assert_eq!((&stopped["status"], &stopped["end_reason"]), (&json!("ended"), &json!("stopped")));
    agent.tool_fails("execute_code", json!({ "notebook_path": other, "code": "1" }), "SessionEnded");
}

#[test]
fn a_cancelled_call_interrupts_only_what_it_started() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&draft)["id"]);
    let mut agent = world.agent(&[]);
    // The person's own code runs; the agent's waits behind it.
    let long = window.execute(&id, "import time\nfor _ in range(200): time.sleep(0.01)\nprint('whole')");
    window.until_status(&id, &long, &["running"]);
    let waiting = agent.begin_tool("execute_code", json!({ "session_id": id, "code": "waited = 1" }));
    let behind = agent.begin_tool("execute_code", json!({ "session_id": id, "code": "behind = 1" }));
    let agents = |window: &mut Window| {
        let history = window.ok("keeper/executionHistory", json!({ "sessionId": id }));
        let all = history["executions"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|e| e["origin"] == "mcp").collect::<Vec<_>>()
    };
    eventually("both wait", PATIENCE, || (agents(&mut window).len() == 2).then_some(()));
    agent.cancel_call(waiting);
    eventually("the cancelled one is aborted", PATIENCE, || {
        let found = agents(&mut window);
        found.iter().any(|e| e["code"] == "waited = 1" && e["status"] == "aborted").then_some(())
    });
    assert_eq!(window.done(&id, &long)["status"], "ok");
    assert_eq!(agent.finish(behind).expect("an answer")["structuredContent"]["status"], "ok");
    // And one that runs is interrupted.
    let runs = agent.begin_tool("execute_code", json!({ "session_id": id, "code": "time.sleep(60)" }));
    eventually("it runs", PATIENCE, || {
        agents(&mut window)
            .iter()
            .any(|e| e["code"] == "time.sleep(60)" && e["status"] == "running")
            .then_some(())
    });
    let next = window.execute(&id, "print('next')");
    agent.cancel_call(runs);
    assert_eq!(window.done(&id, &next)["status"], "ok");
    let ended = agents(&mut window);
    let ended = ended.iter().find(|e| e["code"] == "time.sleep(60)").expect("it");
    assert_eq!(ended["error"]["ename"], "KeyboardInterrupt");
    // Of a call that is answered, and of one that never was, nothing is interrupted.
    let busy = window.execute(&id, "time.sleep(2); print('unharmed')");
    window.until_status(&id, &busy, &["running"]);
    agent.cancel_call(runs);
    agent.cancel_call(999_999);
    agent.use_tool("session_health", json!({}));
    assert_eq!(window.done(&id, &busy)["status"], "ok");
}

#[test]
fn a_person_has_an_agents_kernel_where_the_mark_cannot_be_written() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["1"]);
    let mut agent = world.agent(&[]);
    let id = id_of(&agent.use_tool("start_session", json!({ "notebook_path": draft }))["session_id"]);
    let (file, aside) = (world.session_dir(&id).join("session.json"), world.work().join("aside"));
    std::fs::rename(&file, &aside).unwrap();
    std::fs::create_dir(&file).unwrap();
    let mut window = world.window();
    let asked = json!({ "notebookUri": uri(&draft), "ask": false });
    let session = window.ok("keeper/ensureSession", asked)["session"].clone();
    assert_eq!((&session["id"], &session["agent"]), (&json!(id), &json!(false)));
    assert!(session["windows"].as_array().unwrap().iter().any(|w| w["thisWindow"] == true), "{session}");
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
}

#[test]
fn an_agent_that_ends_leaves_what_it_started_marked_and_running() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let mut agent = world.agent(&[]);
    let started = agent.use_tool("start_session", json!({ "notebook_path": draft }));
    let id = id_of(&started["session_id"]);
    assert_eq!(started["started_by_agent"], true);
    let created = window.wait_for("keeper/sessionUpdated", |p| {
        p["session"]["id"] == json!(id) && p["session"]["windows"][0]["windowId"] == "mcp"
    });
    assert_eq!(created["session"]["agent"], true);
    let code = "import time\nfor i in range(100): time.sleep(0.02)\nprint('done')";
    let call =
        agent.begin_tool("execute_code", json!({ "notebook_path": draft, "code": code, "timeout_s": 0.3 }));
    let result = agent.finish(call).expect("an answer");
    assert_eq!(result["structuredContent"]["status"], "running");
    assert!(words(&result).contains("still runs"), "{result}");
    let execution = id_of(&result["structuredContent"]["execution_id"]);
    // Its end, with a call that nobody answers any more: interrupts nothing.
    agent.begin_tool("execute_code", json!({ "session_id": id, "code": "after = 1" }));
    eventually("the second is queued", PATIENCE, || {
        let history = window.ok("keeper/executionHistory", json!({ "sessionId": id }));
        (history["executions"].as_array().map(Vec::len) == Some(2)).then_some(())
    });
    assert!(agent.close() < Duration::from_secs(6));
    window.wait_for("keeper/sessionDisconnected", |p| p["session"]["id"] == json!(id));
    let left = window.session(&id);
    assert_eq!((&left["agent"], &left["windows"]), (&json!(true), &json!([])));
    assert_eq!(window.done(&id, &execution)["status"], "ok");
    assert_eq!(window.value_of(&id, "after"), "1");
    // Killed, the same; another agent finds what it left.
    let mut second = world.agent(&[]);
    let found = second.use_tool("find_active_session", json!({ "notebook_path": draft }));
    assert_eq!((&found["session_id"], &found["started_by_agent"]), (&json!(id), &json!(true)));
    let outputs = second.tool("get_outputs", json!({ "session_id": id, "execution_id": execution }));
    assert_eq!(words(&outputs), "done\n");
    second.kill();
    // The mark outlives the keeper, and goes once a person has it.
    let keeper = window.session(&id)["keeperPid"].as_u64().expect("a keeper") as u32;
    kill(keeper, "KILL");
    eventually("another keeper", PATIENCE, || {
        let now = window.session(&id);
        (now["keeperPid"].as_u64() != Some(u64::from(keeper)) && now["responding"] == true).then_some(())
    });
    assert_eq!(window.session(&id)["agent"], true);
    window.ok("keeper/ensureSession", json!({ "notebookUri": uri(&draft), "ask": false }));
    assert_eq!(window.session(&id)["agent"], false);
}

#[test]
fn a_notebook_is_followed_and_given_a_kernel_by_an_agent() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["x = 1"]);
    let mut agent = world.agent(&[]);
    let started = agent.use_tool("start_session", json!({ "notebook_path": draft }));
    agent.use_tool("execute_code", json!({ "notebook_path": draft, "code": "x = 1" }));
    let moved = world.work().join("final.ipynb");
    std::fs::rename(&draft, &moved).expect("renamed");
    let found = agent.use_tool("find_active_session", json!({ "notebook_path": moved }));
    assert_eq!((&found["found"], &found["match"]), (&json!(true), &json!("file")));
    let pid = started["pid"].clone();
    let attached =
        agent.use_tool("attach_session", json!({ "target_notebook_path": moved, "source_pid": pid }));
    assert_eq!(
        (&attached["success"], &attached["old_path"], &attached["new_path"]),
        (&json!(true), &json!(draft), &json!(moved))
    );
    let ran = agent.tool("execute_code", json!({ "notebook_path": moved, "code": "print(x)" }));
    assert_eq!(words(&ran), "1\n");
    let absent = json!({ "target_notebook_path": world.work().join("none.ipynb"), "source_pid": pid });
    let result = agent.tool("attach_session", absent);
    assert_eq!(result["structuredContent"]["success"], false, "{result}");
    assert!(result["structuredContent"]["error"].is_string());
    let unknown = json!({ "target_notebook_path": moved, "source_pid": 1 });
    agent.tool_fails("attach_session", unknown, "SessionNotFound");
}

#[test]
fn a_kernel_is_not_taken_from_a_notebook_that_is_on_the_screen() {
    let world = World::new();
    let (draft, other) = (world.notebook("draft.ipynb", &["1"]), world.notebook("other.ipynb", &["2"]));
    let mut window = world.window();
    window.open(&draft);
    let session = window.start(&draft);
    let mut agent = world.agent(&[]);
    let take = json!({ "target_notebook_path": other, "source_pid": session["pid"] });
    let said = agent.tool_fails("attach_session", take.clone(), "Refused");
    assert!(said.contains("open in a window"), "{said}");
    assert_eq!(window.session(&id_of(&session["id"]))["notebookPath"], json!(draft));
    let own = json!({ "target_notebook_path": draft, "source_pid": session["pid"] });
    assert_eq!(agent.use_tool("attach_session", own)["success"], true);
    // To be looked at is all that an agent may make of it.
    assert_eq!(window.session(&id_of(&session["id"]))["windows"].as_array().map(Vec::len), Some(1));
    let mut allowed = world.agent(&[("KERNEL_KEEPER_AGENTS_MAY_STOP_OPEN", "1")]);
    assert_eq!(allowed.use_tool("attach_session", take)["new_path"], json!(other));
}

#[test]
fn a_window_that_is_being_reloaded_still_has_its_kernel_open() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&draft)["id"]);
    window.ok("keeper/reconnectToken", json!({}));
    window.close();
    let mut agent = world.agent(&[]);
    agent.tool_fails("stop_session", json!({ "session_id": id }), "Refused");
}

#[test]
fn resources_that_are_followed_no_more_cost_nothing() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["1"]);
    let mut agent = world.agent(&[]);
    let id = id_of(&agent.use_tool("start_session", json!({ "notebook_path": draft }))["session_id"]);
    let open =
        |agent: &Window| std::fs::read_dir(format!("/proc/{}/fd", agent.pid())).expect("it runs").count();
    let before = open(&agent);
    for _ in 0..100 {
        for uri in ["kernel://sessions".to_owned(), format!("kernel://sessions/{id}/history")] {
            agent.ok("resources/subscribe", json!({ "uri": uri }));
            agent.ok("resources/unsubscribe", json!({ "uri": uri }));
        }
    }
    eventually("the journals are closed", PATIENCE, || (open(&agent) <= before + 3).then_some(()));
}

#[test]
fn a_resource_whose_journal_was_away_is_followed_on() {
    let world = World::new();
    let mut window = world.window();
    let id = id_of(&window.start(&world.notebook("draft.ipynb", &["1"]))["id"]);
    window.run(&id, "1");
    let mut agent = world.agent(&[("KERNEL_KEEPER_LOG", "warn")]);
    let uri = format!("kernel://sessions/{id}/history");
    agent.ok("resources/subscribe", json!({ "uri": uri }));
    let (journal, away) = (world.session_dir(&id).join("journal.db"), world.work().join("away"));
    std::fs::rename(&journal, &away).unwrap();
    std::fs::create_dir(&journal).unwrap();
    window.execute(&id, "2");
    let is_told = || agent.log_tail().contains("cannot be read, and is tried again");
    eventually("one look at it was given up", PATIENCE, || is_told().then_some(()));
    std::fs::remove_dir(&journal).unwrap();
    std::fs::rename(&away, &journal).unwrap();
    agent.wait_for("notifications/resources/updated", |updated| updated["uri"] == uri.as_str());
}

#[test]
fn a_window_is_taken_up_by_its_token() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&draft)["id"]);
    let token = id_of(&window.ok("keeper/reconnectToken", json!({}))["token"]);
    let lost = window.id.clone();
    window.kill();
    let mut agent = world.agent(&[]);
    agent.tool_fails("reconnect_session", json!({ "session_id": id, "token": "no" }), "TokenRejected");
    let taken = agent.use_tool("reconnect_session", json!({ "session_id": id, "token": token }));
    assert_eq!((&taken["success"], &taken["window_id"]), (&json!(true), &json!(lost)));
    assert_eq!(taken["reconnect_count"], 1);
    agent.tool_fails("reconnect_session", json!({ "session_id": id, "token": token }), "TokenRejected");
    // What it runs is an agent's all the same.
    agent.use_tool("execute_code", json!({ "session_id": id, "code": "1" }));
    let history = agent.use_tool("get_execution_history", json!({ "notebook_path": draft }));
    assert_eq!(history["result"][0]["origin"], "mcp");
}

#[test]
fn a_script_that_closes_its_pipe_is_answered() {
    let world = World::new();
    let own = json!({ "name": "script", "version": "1" });
    let lines = [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": { "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": own } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
            "params": { "name": "list_all_sessions", "arguments": {} } }),
    ];
    let file = world.work().join("questions.jsonl");
    std::fs::write(&file, lines.map(|line| line.to_string() + "\n").concat()).expect("a file");
    let input = std::fs::File::open(&file).expect("the file");
    let done = world.command().arg("mcp").stdin(input).output().expect("it runs");
    let answers: Vec<Value> =
        text(&done.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(answers[1]["result"]["structuredContent"], json!({ "result": [] }));
    assert!(done.status.success());
}

#[test]
fn what_is_ill_formed_is_answered_and_harms_nothing() {
    let world = World::new();
    let mut agent = world.agent(&[]);
    for params in [json!({}), json!({ "name": "session_health", "arguments": [1] }), json!({ "name": 3 })] {
        let failure = agent.request("tools/call", params).expect_err("refused");
        assert_eq!(failure.code, -32602, "{failure:?}");
        assert!(failure.message.contains("tools/call"), "{failure:?}");
    }
    assert_eq!(agent.request("tools/none", json!({})).expect_err("refused").code, -32601);
    agent.send_raw(b"{no json");
    agent.send_raw(b"");
    agent.send_raw("x".repeat(5 << 20).as_bytes());
    agent.use_tool("list_all_sessions", json!({}));
}
