//! The environment that a kernel gets: the user's, without what the editor put into it.
//!
//! Keeps everything that can be the user's own. Pure: in and out are lists of variables.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Where the snap of VS Code keeps the value that a variable had before it changed it.
const SNAP_ORIGINAL: &str = "_VSCODE_SNAP_ORIG";
/// Names that the editor, its extension host or a Jupyter server injects.
const PREFIXES: [&str; 4] = ["ELECTRON_", "VSCODE_", "JPY_", "KERNEL_KEEPER_"];
/// With these Node speaks to the process that forked it; `CHROME_DESKTOP` is Electron's.
const NAMES: [&str; 4] =
    ["NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID", "CHROME_DESKTOP"];
/// Of the user, unless the value points into the editor.
const POINTERS: [(&str, &str); 4] = [
    ("GIT_ASKPASS", "/extensions/git/"),
    ("SSH_ASKPASS", "/extensions/git/"),
    ("BROWSER", "/bin/helpers/browser"),
    ("NODE_OPTIONS", "ms-vscode.js-debug"),
];

const PLOTLY: &str = "PLOTLY_RENDERER";

/// What remains for a kernel.
pub fn clean(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let variables: Vec<(OsString, OsString)> = variables.into_iter().collect();
    let original = |name: &str| value(&variables, &format!("{name}{SNAP_ORIGINAL}"));
    let mut kept = vec![];
    for (name, value) in &variables {
        let text = name.to_string_lossy();
        if is_injected(&text, value) {
            continue;
        }
        match original(&text) {
            Some(before) if before.is_empty() => {}
            Some(before) => kept.push((name.clone(), before.to_owned())),
            None => kept.push((name.clone(), value.clone())),
        }
    }
    kept
}

fn is_injected(name: &str, value: &OsStr) -> bool {
    let points = |(pointer, into): &(&str, &str)| {
        name == *pointer && value.to_string_lossy().replace('\\', "/").contains(into)
    };
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || NAMES.contains(&name)
        || name.ends_with(SNAP_ORIGINAL)
        || POINTERS.iter().any(points)
}

/// Makes `!pip` and `!python` those of the kernel: where its program is an interpreter in the `bin` of an environment, that
/// comes first in PATH, and the environment is the active one. Any other folder, such as /usr/bin, holds much besides, and
/// any other program, such as `conda run`, finds the environment that it is told to: PATH stays as the user has it.
pub fn with_interpreter_first(
    mut variables: Vec<(OsString, OsString)>,
    interpreter: &Path,
) -> Vec<(OsString, OsString)> {
    let folder = interpreter.parent().filter(|folder| folder.is_absolute() && is_interpreter(interpreter));
    let Some(folder) = folder else { return variables };
    let root =
        if folder.ends_with("bin") || folder.ends_with("Scripts") { folder.parent() } else { Some(folder) };
    let Some(root) = root else { return variables };
    let is_virtual = root.join("pyvenv.cfg").is_file();
    let is_conda = root.join("conda-meta").is_dir();
    if is_virtual || is_conda {
        let path = value(&variables, "PATH").unwrap_or_default();
        let rest = std::env::split_paths(path).filter(|other| other != folder);
        // Joining fails for a folder with the separator in its name, which cannot be in a PATH at all.
        if let Ok(joined) = std::env::join_paths(std::iter::once(PathBuf::from(folder)).chain(rest)) {
            set(&mut variables, "PATH", Some(joined));
        }
        set(&mut variables, "VIRTUAL_ENV", is_virtual.then(|| root.into()));
        set(&mut variables, "VIRTUAL_ENV_PROMPT", None);
        // Names another installation, with which this interpreter would not even start.
        set(&mut variables, "PYTHONHOME", None);
    }
    if is_conda {
        set(&mut variables, "CONDA_PREFIX", Some(root.into()));
        let name = root.file_name().map(OsStr::to_owned);
        set(&mut variables, "CONDA_DEFAULT_ENV", name);
    }
    variables
}

/// Whether the program's name is one of what runs code: `python3.11`, `pypy`, `R`, and xeus' kernels for both.
fn is_interpreter(program: &Path) -> bool {
    let name = program.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    // The stem of `python3.11` is `python3`.
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    ["python", "pythonw", "pypy", "xpython", "R", "Rscript", "xr", "julia"].contains(&name)
}

/// Plotly's figures come as data, which the editor draws, unless the user has chosen. Before its release 6 it would put all of
/// plotly.js (4.5 MB) into the output of the first cell that shows one, and so into the notebook.
pub fn with_figures_as_data(mut variables: Vec<(OsString, OsString)>) -> Vec<(OsString, OsString)> {
    if value(&variables, PLOTLY).is_none_or(OsStr::is_empty) {
        set(&mut variables, PLOTLY, Some("plotly_mimetype".into()));
    }
    variables
}

fn value<'a>(variables: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsStr> {
    variables.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_os_str())
}

fn set(variables: &mut Vec<(OsString, OsString)>, name: &str, value: Option<OsString>) {
    variables.retain(|(n, _)| n != name);
    variables.extend(value.map(|value| (name.into(), value)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        variables.iter().map(|(n, v)| (n.into(), v.into())).collect()
    }

    #[test]
    fn strips_what_the_editor_injects() {
        let check =
            |given: &[(&str, &str)], expect: &[(&str, &str)]| assert_eq!(clean(list(given)), list(expect));
        let stripped = [
            "ELECTRON_RUN_AS_NODE",
            "ELECTRON_NO_ATTACH_CONSOLE",
            "VSCODE_PID",
            "VSCODE_IPC_HOOK_CLI",
            "JPY_PARENT_PID",
            "JPY_SESSION_NAME",
            "KERNEL_KEEPER_HOME",
            "NODE_CHANNEL_FD",
            "CHROME_DESKTOP",
        ];
        stripped.iter().for_each(|name| check(&[(name, "1")], &[]));
        let kept = [
            "PATH",
            "HOME",
            "JUPYTER_PATH",
            "NODE_EXTRA_CA_CERTS",
            "NODE_OPTIONS",
            "GIT_ASKPASS",
            "BROWSER",
            "XVSCODE_",
        ];
        kept.iter().for_each(|name| check(&[(name, "/mine")], &[(name, "/mine")]));
        check(&[("GIT_ASKPASS", "/opt/code/extensions/git/dist/askpass.sh"), ("A", "")], &[("A", "")]);
        check(&[("NODE_OPTIONS", "--require /x/ms-vscode.js-debug/bootloader.js")], &[]);
    }

    #[test]
    fn figures_come_as_data_unless_the_user_chose() {
        let check = |given: &[(&str, &str)], expect: &str| {
            assert_eq!(with_figures_as_data(list(given)), list(&[(PLOTLY, expect)]));
        };
        check(&[], "plotly_mimetype");
        check(&[(PLOTLY, "")], "plotly_mimetype");
        check(&[(PLOTLY, "notebook")], "notebook");
    }

    #[test]
    fn gives_back_what_the_snap_changed() {
        let given = [
            ("GTK_PATH", "/snap/code/1"),
            ("GTK_PATH_VSCODE_SNAP_ORIG", ""),
            ("XDG_DATA_DIRS", "/snap/code/1:/usr"),
            ("XDG_DATA_DIRS_VSCODE_SNAP_ORIG", "/usr"),
        ];
        assert_eq!(clean(list(&given)), list(&[("XDG_DATA_DIRS", "/usr")]));
    }

    #[test]
    #[cfg(unix)]
    fn the_interpreter_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::write(root.join("pyvenv.cfg"), "").unwrap();
        let bin = root.join("bin");
        let start =
            list(&[("PATH", "/usr/bin:/bin"), ("VIRTUAL_ENV", "/old"), ("PYTHONHOME", "/old"), ("A", "b")]);
        let found = with_interpreter_first(start.clone(), &bin.join("python"));
        assert_eq!(value(&found, "PATH").unwrap(), format!("{}:/usr/bin:/bin", bin.display()).as_str());
        assert_eq!(value(&found, "VIRTUAL_ENV").unwrap(), root);
        assert_eq!(value(&found, "PYTHONHOME"), None);
        assert_eq!(value(&found, "A").unwrap(), "b");
        assert_eq!(with_interpreter_first(found.clone(), &bin.join("python")).len(), found.len());

        let conda = root.join("conda");
        std::fs::create_dir_all(conda.join("conda-meta")).unwrap();
        let found = with_interpreter_first(start.clone(), &conda.join("bin/R"));
        assert!(
            value(&found, "PATH").unwrap().to_str().unwrap().starts_with(conda.join("bin").to_str().unwrap())
        );
        assert_eq!(value(&found, "CONDA_PREFIX").unwrap(), conda.as_path());

        // What is no environment changes nothing, wherever in PATH it is.
        for program in ["/usr/bin/python3", "/usr/bin/env", "/bin/bash", "/usr/local/bin/R"] {
            assert_eq!(with_interpreter_first(start.clone(), Path::new(program)), start, "{program}");
        }
        // Nor does a program of an environment that finds another one by itself.
        for program in ["bin/conda", "bin/mamba", "bin/env", "bin/bash", "bin/my-kernel", "bin/python-config"]
        {
            assert_eq!(with_interpreter_first(start.clone(), &conda.join(program)), start, "{program}");
            assert_eq!(with_interpreter_first(start.clone(), &root.join(program)), start, "{program}");
        }
        let version = with_interpreter_first(start.clone(), &bin.join("python3.11"));
        assert_eq!(value(&version, "VIRTUAL_ENV").unwrap(), root);
        let loose = root.join("loose/bin/python");
        assert_eq!(with_interpreter_first(start.clone(), &loose), start);
        assert_eq!(with_interpreter_first(start.clone(), Path::new("python3")), start);
    }
}
