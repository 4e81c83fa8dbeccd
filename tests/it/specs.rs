//! Kernels and kernelspecs that are not like ipykernel's own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::kernels;
use crate::world::{World, id_of, text, uri};

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

/// On a busy machine the keeper asks twice, and both answers come together, behind their outputs.
#[test]
fn an_answer_to_the_greeting_that_comes_late_is_no_gap() {
    let world = World::new();
    scripted(
        &world,
        "late",
        r#"
import asyncio
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp

class Late(IPythonKernel):
    asked, held = 0, []

    async def kernel_info_request(self, stream, ident, parent):
        self.asked += 1
        if self.asked not in (2, 3):
            return await super().kernel_info_request(stream, ident, parent)
        content = {"status": "ok", **self.kernel_info}
        self.held.append((stream, self.session.msg("kernel_info_reply", content, parent), ident))
        if self.asked == 3:
            asyncio.get_running_loop().call_later(0.2, self.answer)

    def answer(self):
        for stream, message, ident in self.held:
            self.session.send(stream, message, ident=ident)

IPKernelApp.launch_instance(kernel_class=Late)
"#,
    );
    let notebook = world.notebook(
        "draft.ipynb",
        &["import time\nprint(1)\ntime.sleep(4)\nprint(get_ipython().kernel.asked)"],
    );
    assert_eq!(world.cli_ok(["run", notebook.to_str().unwrap(), "--kernel", "late"]), "1\n3\n");
    let mut window = world.window();
    let id = window.live().remove(0);
    let last = window.subscribe(&id, 0);
    window.wait_for("keeper/executionEvent", |e| e["seq"] == last);
    let events = window.events(&id);
    assert!(!events.iter().any(|e| e["event"]["kind"] == "gap"), "{events:?}");
}

/// Says of a notebook which kernel it wants.
fn wants(notebook: &Path, metadata: Value) {
    let mut file: Value = serde_json::from_slice(&std::fs::read(notebook).unwrap()).unwrap();
    file["metadata"] = metadata;
    std::fs::write(notebook, file.to_string()).unwrap();
}

#[test]
fn a_notebook_whose_kernelspec_is_absent_gets_one_of_its_language_or_none() {
    let world = World::new();
    let language = kernels::install_other(&world.jupyter());
    let notebook = world.notebook("draft.ipynb", &["print(6 * 7)"]);
    let path = notebook.to_str().unwrap();
    // Both are there: each is taken for its language, and none for another.
    for metadata in [
        json!({ "kernelspec": { "name": "gone", "display_name": "Gone", "language": "Python" } }),
        json!({ "language_info": { "name": "python" } }),
        json!({}),
    ] {
        wants(&notebook, metadata);
        assert_eq!(world.cli_ok(["run", path]), "42\n");
        world.cli_ok(["stop", "--all"]);
    }
    wants(&notebook, json!({ "kernelspec": { "name": "ir", "display_name": "R", "language": "R" } }));
    let refused = world.cli(["run", path]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for word in ["\"ir\" is not installed", "its language, R", kernels::PYTHON, kernels::OTHER, "--kernel"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    // The other language's is the only one: a Python notebook is not its.
    std::fs::remove_dir_all(world.jupyter().join("kernels").join(kernels::PYTHON)).unwrap();
    let mut window = world.window();
    for metadata in [json!({ "kernelspec": { "name": "python3", "display_name": "Python 3" } }), json!({})] {
        wants(&notebook, metadata);
        let refused = world.cli(["run", path]);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("no kernel for Python") && said.contains("pip install ipykernel"), "{said}");
        let asked = json!({ "notebookUri": uri(&notebook), "ask": false });
        let failure = window.fails("keeper/ensureSession", asked, "KernelspecNotFound");
        assert!(failure.message.contains("no kernel for Python"), "{}", failure.message);
        // A person is asked; but a new session is not the other language's.
        let asked = window.ok("keeper/ensureSession", json!({ "notebookUri": uri(&notebook) }));
        assert_eq!(
            (&asked["outcome"], &asked["offer"]["kernelName"]),
            (&json!("ask"), &Value::Null),
            "{asked}"
        );
    }
    assert_eq!(window.live(), Vec::<String>::new());
    wants(&notebook, json!({ "language_info": { "name": language.to_uppercase() } }));
    let started = window.ok("keeper/ensureSession", json!({ "notebookUri": uri(&notebook), "ask": false }));
    assert_eq!(started["session"]["kernel"]["name"], kernels::OTHER);
}

#[test]
fn a_kernelspec_for_a_cluster_is_listed_and_not_run_here() {
    let world = World::new();
    let ran = world.work().join("it-ran");
    let provisioner =
        |name: &str| json!({ "kernel_provisioner": { "provisioner_name": name, "config": {} } });
    let spec = json!({
        "argv": ["/bin/touch", ran, "{connection_file}"], "display_name": "On the cluster", "language": "python",
        "metadata": provisioner("slurm-provisioner"),
    });
    kernels::write(&world.jupyter(), "cluster", &spec);
    let argv = json!([kernels::python(), "-m", "ipykernel_launcher", "-f", "{connection_file}"]);
    let local = json!({
        "argv": argv, "display_name": "Local", "language": "python", "metadata": provisioner("local-provisioner"),
    });
    kernels::write(&world.jupyter(), "local", &local);
    let notebook = world.notebook("draft.ipynb", &["print(6 * 7)"]);
    let path = notebook.to_str().unwrap();
    let refused = world.cli(["run", path, "--kernel", "cluster"]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(["cluster", "slurm-provisioner", "adopt"].iter().all(|word| said.contains(word)), "{said}");
    wants(
        &notebook,
        json!({ "kernelspec": { "name": "cluster", "display_name": "C", "language": "python" } }),
    );
    assert_eq!(world.cli(["run", path]).status.code(), Some(1));
    assert!(world.cli_ok(["kernelspecs"]).contains("no: for slurm-provisioner"));
    let mut window = world.window();
    let listed = window.ok("keeper/listKernelspecs", json!({}))["kernelspecs"].clone();
    let marks =
        listed.as_array().unwrap().iter().map(|spec| (id_of(&spec["name"]), spec["provisioner"].clone()));
    let marks: Vec<(String, Value)> = marks.filter(|(name, _)| !name.starts_with("env:")).collect();
    let expect =
        [("cluster", json!("slurm-provisioner")), (kernels::PYTHON, Value::Null), ("local", Value::Null)];
    assert_eq!(marks, expect.map(|(name, mark)| (name.to_owned(), mark)));
    for (method, more) in
        [("keeper/startSession", json!({})), ("keeper/ensureSession", json!({ "ask": false }))]
    {
        let mut asked = json!({ "notebookUri": uri(&notebook), "kernelName": "cluster" });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let failure = window.fails(method, asked, "KernelspecNotFound");
        assert!(failure.message.contains("slurm-provisioner"), "{}", failure.message);
    }
    assert!(!ran.exists(), "it was not run");
    assert_eq!(world.cli_ok(["run", path, "--kernel", "local"]), "42\n");
}

#[test]
fn a_wrapper_and_a_kernelspec_have_the_path_that_they_set() {
    let world = World::new();
    // An environment whose python, and a wrapper beside it, start the real one.
    let environment = world.work().join("environment");
    let bin = environment.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(environment.join("pyvenv.cfg"), "version = 3.12.1\n").unwrap();
    let real = kernels::python().display().to_string();
    for (name, script) in [
        ("python", format!("#!/bin/sh\nexec '{real}' \"$@\"\n")),
        ("wrapper", format!("#!/bin/sh\nPATH=/wrapped:$PATH\nexport PATH\nexec '{real}' \"$@\"\n")),
    ] {
        std::fs::write(bin.join(name), script).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = "/first:/usr/bin:/bin";
    let code = "import os; print(os.environ['PATH'], os.environ.get('VIRTUAL_ENV'))";
    let check = |name: &str, program: Value, env: Value, expect: &str| {
        let mut argv = program.as_array().unwrap().clone();
        argv.extend(["-m", "ipykernel_launcher", "-f", "{connection_file}"].map(Value::from));
        let spec = json!({ "argv": argv, "display_name": name, "language": "python", "env": env });
        kernels::write(&world.jupyter(), name, &spec);
        let notebook = world.notebook(&format!("{name}.ipynb"), &[code]);
        let run = world
            .command()
            .env("PATH", path)
            .args(["run", "--kernel", name])
            .arg(&notebook)
            .output()
            .unwrap();
        assert_eq!(text(&run.stdout).trim(), expect, "{name}: {run:?}");
    };
    let own = format!("{}:{path} {}", bin.display(), environment.display());
    check("interpreter", json!([bin.join("python")]), json!({}), &own);
    check("wrapper", json!([bin.join("wrapper")]), json!({}), &format!("/wrapped:{path} None"));
    check("env", json!(["/usr/bin/env", "PATH=/told:/bin", real]), json!({}), "/told:/bin None");
    check("env-plain", json!(["/usr/bin/env", real]), json!({}), &format!("{path} None"));
    let said = format!("/said:{path} {}", environment.display());
    check("says", json!([bin.join("python")]), json!({ "PATH": "/said:${PATH}" }), &said);
    check(
        "says-all",
        json!(["/bin/sh", "-c", format!("exec '{real}' \"$@\""), "sh"]),
        json!({ "PATH": "/only" }),
        "/only None",
    );
}
