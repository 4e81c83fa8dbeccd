//! Kernels of others: a kernel that `jupyter_client` started and still talks to is listed, taken in, journaled, and never
//! ended unasked.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::driver::{PATIENCE, eventually};
use crate::kernels;
use crate::world::{World, id_of, is_alive, pid_of, uri};

/// A program that starts a kernel and runs what it is told, a line each, as JupyterLab or a console does.
const PROGRAM: &str = r#"
import json, sys
from jupyter_client import KernelManager
manager = KernelManager(kernel_name='kept-python', connection_file=sys.argv[1])
manager.session.signature_scheme = sys.argv[3]
manager.start_kernel(cwd=sys.argv[2])
client = manager.blocking_client()
client.start_channels()
client.wait_for_ready(timeout=60)
print(manager.provisioner.pid, flush=True)
for line in sys.stdin:
    reply = client.execute_interactive(json.loads(line), timeout=60, output_hook=lambda m: None)
    print(reply['content']['status'], flush=True)
manager.shutdown_kernel()
"#;

struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    kernel: u32,
    file: PathBuf,
}

impl Program {
    fn start(world: &World, name: &str) -> Program {
        Self::signing(world, name, "hmac-sha256")
    }

    fn signing(world: &World, name: &str, scheme: &str) -> Program {
        let folder = world.runtime_of_jupyter();
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join(name);
        let mut command = Command::new(kernels::python());
        command.args(["-c", PROGRAM]).arg(&file).arg(world.work()).arg(scheme);
        command
            .env("JUPYTER_PATH", world.jupyter())
            .env("HOME", world.work())
            .env("IPYTHONDIR", world.work().join(".ipython"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir(world.work());
        let mut child = command.spawn().expect("Python");
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().expect("piped")));
        let mut program = Program { child, input, output, kernel: 0, file };
        program.kernel = program.line().parse().expect("a PID");
        program
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    fn tell(&mut self, code: &str) {
        let input = self.input.as_mut().expect("open");
        writeln!(input, "{}", Value::from(code)).and_then(|()| input.flush()).expect("it reads");
    }

    fn run(&mut self, code: &str) -> String {
        self.tell(code);
        self.line()
    }

    /// It shuts its kernel down, and ends.
    fn end(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

fn listed(window: &mut crate::driver::Window) -> Vec<Value> {
    window.ok("keeper/listOtherKernels", json!({}))["kernels"].as_array().expect("kernels").clone()
}

#[test]
fn a_kernel_of_another_program_is_taken_in_and_journaled() {
    let world = World::new();
    let mut program = Program::start(&world, "kernel-a b.json");
    assert_eq!(program.run("x = 41"), "ok");
    // What a kernel that is gone left behind.
    let stale = world.runtime_of_jupyter().join("kernel-stale.json");
    std::fs::copy(&program.file, &stale).unwrap();
    let mut window = world.window();
    let found = listed(&mut window);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["pid"], &found[0]["language"]), (&json!(program.kernel), &json!("python")));
    assert_eq!(found[0]["connectionFile"], program.file.to_string_lossy().as_ref());
    assert!(found[0]["startedBy"].as_str().unwrap().starts_with("python"), "{found:?}");
    assert_eq!(found[0]["notebookPath"], Value::Null);
    assert!(world.cli_ok(["others"]).contains(&program.kernel.to_string()));
    let notebook = world.notebook("theirs.ipynb", &["x"]);
    let asked = json!({ "connectionFile": found[0]["connectionFile"] });
    window.refuses("keeper/adoptKernel", asked, "notebookUri");
    window.fails("keeper/adoptKernel", json!({ "connectionFile": stale }), "NotFound");
    let asked = json!({ "connectionFile": found[0]["connectionFile"], "notebookUri": uri(&notebook) });
    let session = window.ok("keeper/adoptKernel", asked.clone())["session"].clone();
    let id = id_of(&session["id"]);
    assert_eq!((&session["pid"], &session["adopted"]), (&json!(program.kernel), &json!(true)));
    window.subscribe(&id, 0);
    let gap = window.wait_for("keeper/executionEvent", |e| e["event"]["kind"] == "gap");
    assert_eq!((&gap["seq"], &gap["event"]["from"]), (&json!(1), &session["startedAt"]));
    assert_eq!(listed(&mut window), Vec::<Value>::new());
    window.fails("keeper/adoptKernel", asked, "NotFound");
    assert_eq!(window.value_of(&id, "x"), "41");
    // What the other program runs is journaled, too: its code, its output, its end.
    window.subscribe(&id, 0);
    assert_eq!(program.run("print('theirs', x)"), "ok");
    assert_eq!(program.run("1 / 0"), "error");
    let history = eventually("what they ran is in the history", PATIENCE, || {
        let history = window.ok("keeper/executionHistory", json!({ "sessionId": id }))["executions"].clone();
        let ends: Vec<Value> = history.as_array()?.iter().map(|e| e["status"].clone()).collect();
        (ends == [json!("error"), json!("ok"), json!("ok")]).then_some(history)
    });
    assert_eq!((&history[1]["origin"], &history[1]["code"]), (&json!("other"), &json!("print('theirs', x)")));
    window.wait_for("keeper/executionEvent", |e| {
        e["executionId"] == history[1]["executionId"] && e["event"]["output"]["text"] == "theirs 41\n"
    });
    // While they run something the kernel is busy, and ours waits.
    program.tell("import time; time.sleep(2); y = 1");
    eventually("it is busy", PATIENCE, || (window.session(&id)["state"] == "busy").then_some(()));
    assert_eq!(window.session(&id)["currentExecution"]["cellId"], Value::Null);
    assert_eq!(window.value_of(&id, "y"), "1");
    assert_eq!(program.line(), "ok");
    // Its keeper may die; a new one goes on, and the kernel with it.
    crate::world::kill(pid_of(&window.session(&id)["keeperPid"]), "KILL");
    eventually("another keeper", PATIENCE, || {
        let now = window.session(&id);
        (now["keeperPid"] != session["keeperPid"] && now["state"] == "idle" && now["responding"] == true)
            .then_some(())
    });
    assert_eq!(window.value_of(&id, "x + 1"), "42");
    window.close();
    assert!(is_alive(program.kernel));
    // The program that started it ends it: the session has ended, and nothing was left behind.
    let window = world.window();
    program.end();
    let ended = window.wait_for("keeper/sessionEnded", |p| p["session"]["id"] == id.as_str());
    assert_eq!(ended["session"]["endReason"], "exited");
}

#[test]
fn an_adopted_kernel_is_interrupted_stopped_and_started_again_when_asked() {
    let world = World::new();
    let mut program = Program::start(&world, "kernel-1.json");
    let notebook = world.notebook("theirs.ipynb", &["x"]);
    let said = world.cli_ok(["adopt", &program.kernel.to_string(), "theirs.ipynb"]);
    assert!(said.contains("theirs.ipynb"), "{said}");
    let mut window = world.window();
    let asked = json!({ "notebookUri": uri(&notebook), "ask": false });
    let id = id_of(&window.ok("keeper/ensureSession", asked)["session"]["id"]);
    program.tell("import time; time.sleep(60)");
    eventually("it is busy", PATIENCE, || (window.session(&id)["state"] == "busy").then_some(()));
    window.ok("keeper/interruptSession", json!({ "sessionId": id }));
    assert_eq!(program.line(), "error");
    let restarted = window.ok("keeper/restartSession", json!({ "sessionId": id }))["session"].clone();
    assert_ne!(restarted["pid"], json!(program.kernel));
    assert_eq!(restarted["adopted"], false);
    assert_eq!(window.value_of(&id, "6 * 7"), "42");
    eventually("the old one is gone", PATIENCE, || (!is_alive(program.kernel)).then_some(()));
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
    program.child.kill().unwrap();
}

#[test]
fn messages_are_signed_as_the_connection_file_says() {
    let world = World::new();
    let mut window = world.window();
    for scheme in ["hmac-sha512", "hmac-md5", "hmac-blake2b"] {
        let mut program = Program::signing(&world, &format!("kernel-{scheme}.json"), scheme);
        assert_eq!(program.run("x = 41"), "ok");
        let notebook = world.notebook(&format!("{scheme}.ipynb"), &["x"]);
        let asked = json!({ "connectionFile": program.file, "notebookUri": uri(&notebook) });
        if scheme == "hmac-blake2b" {
            let refused = window.fails("keeper/adoptKernel", asked, "KernelFailed");
            assert!(refused.message.contains(scheme), "{}", refused.message);
            assert!(is_alive(program.kernel));
            continue;
        }
        let id = id_of(&window.ok("keeper/adoptKernel", asked)["session"]["id"]);
        assert_eq!(window.value_of(&id, "x + 1"), "42", "{scheme}");
        // A kernel that we start for it is spoken with as ours are.
        window.ok("keeper/restartSession", json!({ "sessionId": id }));
        assert_eq!(window.value_of(&id, "6 * 7"), "42", "{scheme}");
        window.ok("keeper/stopSession", json!({ "sessionId": id }));
    }
}
