//! The real kernels that tests run with. One that is missing is a failure, never a skip.
//!
//! `KERNEL_KEEPER_TEST_PYTHON`: a Python that has ipykernel; default `python3` from PATH.
//! `KERNEL_KEEPER_TEST_OTHER_KERNELSPEC`: the folder of a kernelspec that is not Python's.

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
    let named = std::env::var_os("KERNEL_KEEPER_TEST_OTHER_KERNELSPEC");
    let dir = PathBuf::from(named.expect(
        "KERNEL_KEEPER_TEST_OTHER_KERNELSPEC must name the folder of a kernelspec that is not Python's: `npm test` sets it",
    ));
    let text = std::fs::read_to_string(dir.join("kernel.json")).expect("a kernel.json");
    let spec: Value = serde_json::from_str(&text).expect("a kernel.json is JSON");
    write(jupyter, OTHER, &spec);
    spec["language"].as_str().expect("a language").to_owned()
}
