//! Kernels and kernelspecs that are not like ipykernel's own.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::kernels;
use crate::world::World;

/// A kernelspec whose kernel is a Python script; the script's path.
fn scripted(world: &World, name: &str, script: &str) -> PathBuf {
    let spec = json!({
        "argv": [kernels::python(), "{resource_dir}/kernel.py", "-f", "{connection_file}"],
        "display_name": name, "language": "python",
    });
    kernels::write(&world.jupyter(), name, &spec);
    let path = world.jupyter().join("kernels").join(name).join("kernel.py");
    std::fs::write(&path, script).unwrap();
    path
}

#[test]
fn a_count_that_comes_in_the_reply_alone_is_kept() {
    let world = World::new();
    scripted(
        &world,
        "quiet",
        r#"
from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel

class Quiet(Kernel):
    implementation, implementation_version, banner = "quiet", "1", "Quiet"
    language_info = {"name": "python", "mimetype": "text/x-python", "file_extension": ".py"}

    def _publish_execute_input(self, *args):
        pass

    def do_execute(self, code, silent, store_history=True, user_expressions=None, allow_stdin=False, **rest):
        if not silent:
            self.send_response(self.iopub_socket, "stream", {"name": "stdout", "text": "said\n"})
        return {"status": "ok", "execution_count": self.execution_count, "payload": [], "user_expressions": {}}

IPKernelApp.launch_instance(kernel_class=Quiet)
"#,
    );
    let notebook = world.notebook("draft.ipynb", &["a", "b"]);
    let path = notebook.to_str().unwrap();
    assert_eq!(world.cli_ok(["run", path, "--kernel", "quiet"]), "said\nsaid\n");
    let mut window = world.window();
    let id = window.live().remove(0);
    let counts = |answer: Value, of: &str| -> Vec<Value> {
        answer[of].as_array().unwrap().iter().map(|row| row["executionCount"].clone()).collect()
    };
    let asked = json!({ "sessionId": id });
    assert_eq!(counts(window.ok("keeper/cellOutputs", asked.clone()), "cells"), [json!(1), json!(2)]);
    let mut history = counts(window.ok("keeper/executionHistory", asked), "executions");
    history.sort_by_key(Value::as_u64);
    assert_eq!(history, [json!(1), json!(2)]);
    window.subscribe(&id, 0);
    let execution = window.execute_cell(&id, 0, "a");
    let finished = window.wait_finished(&execution);
    assert_eq!(finished["event"]["executionCount"], 3, "{finished}");
    world.cli_ok(["save", path]);
    let saved: Value = serde_json::from_slice(&std::fs::read(&notebook).unwrap()).unwrap();
    assert_eq!(
        (&saved["cells"][0]["execution_count"], &saved["cells"][1]["execution_count"]),
        (&json!(3), &json!(2))
    );
}
