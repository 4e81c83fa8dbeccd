//! The real kernels that tests run with. One that is missing is a failure, never a skip.
//!
//! `KERNEL_KEEPER_TEST_PYTHON`: a Python that has ipykernel; default `python3` from PATH.
//! `KERNEL_KEEPER_TEST_OTHER_KERNELSPEC`: the folder of a kernelspec that is not Python's; default the first such one in
//! JUPYTER_PATH.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

/// The kernelspec's name in every test.
pub const PYTHON: &str = "kept-python";
/// The name of the other one.
pub const OTHER: &str = "kept-other";

/// The Python that has ipykernel.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let named = std::env::var_os("KERNEL_KEEPER_TEST_PYTHON").map(PathBuf::from);
        let python = named.unwrap_or_else(|| "python3".into());
        let asked = Command::new(&python).args(["-c", "import ipykernel, sys; print(sys.executable)"]).output();
        match asked {
            Ok(done) if done.status.success() => String::from_utf8_lossy(&done.stdout).trim().into(),
            other => panic!(
                "{} has no ipykernel ({other:?}): `pip install ipykernel`, or let KERNEL_KEEPER_TEST_PYTHON name one that has it",
                python.display()
            ),
        }
    })
}

/// Makes the Python kernelspec in a folder for JUPYTER_PATH.
pub fn install(jupyter: &Path) {
    let argv = json!([python(), "-m", "ipykernel_launcher", "-f", "{connection_file}"]);
    write(jupyter, PYTHON, &json!({ "argv": argv, "display_name": "Kept Python", "language": "python" }));
}

/// Makes any kernelspec.
pub fn write(jupyter: &Path, name: &str, spec: &Value) {
    let dir = jupyter.join("kernels").join(name);
    std::fs::create_dir_all(&dir).expect("a folder for kernelspecs");
    std::fs::write(dir.join("kernel.json"), spec.to_string()).expect("a kernelspec");
}

/// Copies the other kernelspec there; its language.
pub fn install_other(jupyter: &Path) -> String {
    let named = std::env::var_os("KERNEL_KEEPER_TEST_OTHER_KERNELSPEC").map(PathBuf::from);
    let specs = named.into_iter().chain(in_jupyter_path());
    let read = |dir: PathBuf| {
        let text = std::fs::read_to_string(dir.join("kernel.json")).ok()?;
        serde_json::from_str::<Value>(&text).ok().filter(|spec| spec["language"] != "python")
    };
    let spec = specs.filter_map(read).next().expect(
        "a kernelspec that is not Python's: `npm test` brings one; or let KERNEL_KEEPER_TEST_OTHER_KERNELSPEC name its folder",
    );
    write(jupyter, OTHER, &spec);
    spec["language"].as_str().expect("a language").to_owned()
}

/// The folders of all kernelspecs in the JUPYTER_PATH that the tests were started with.
fn in_jupyter_path() -> Vec<PathBuf> {
    let path = std::env::var_os("JUPYTER_PATH").unwrap_or_default();
    let kernels = std::env::split_paths(&path).map(|dir| dir.join("kernels")).collect::<Vec<_>>();
    let entries = kernels.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
