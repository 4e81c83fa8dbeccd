//! Nobody else reads what is ours, and nothing listens on TCP for a kernel that can do without.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, eventually};
use crate::kernels;
use crate::world::{World, id_of, text, uri};

/// Everything below a folder, links not followed.
fn all_below(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    found.push(dir.to_owned());
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => all_below(&entry.path(), found),
            _ => found.push(entry.path()),
        }
    }
}

/// Inodes of sockets that listen on TCP.
fn listening() -> Vec<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|t| std::fs::read_to_string(t).unwrap_or_default());
    let lines = tables.iter().flat_map(|t| t.lines().skip(1));
    let fields = lines.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    // Field 3 is the state (0A: listening), field 9 the inode.
    fields.filter(|f| f.get(3).is_some_and(|s| s == "0A")).filter_map(|f| f.get(9).cloned()).collect()
}

fn listens(pid: u32, inodes: &[String]) -> bool {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = files.filter_map(|f| std::fs::read_link(f.path()).ok());
    targets
        .filter_map(|t| t.to_str().map(str::to_owned))
        .any(|t| inodes.iter().any(|i| t == format!("socket:[{i}]")))
}

#[test]
fn nobody_else_reads_anything_of_ours() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    // The default umask lets everybody read.
    let mut shell = std::process::Command::new("/bin/sh");
    let binary = world.command().get_program().to_owned();
    shell.args(["-c", "umask 022; exec \"$0\" \"$@\""]).arg(binary);
    for (name, value) in world.command().get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let mut window = world.spawn_with(shell);
    window.initialize(crate::world::initialize(&[world.work()], Value::Null));
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    let done = window.execute_cell(&id, 0, "for i in range(60_000): print('x' * 40)");
    window.done(&id, &done);
    window.run(&id, "import subprocess; child = subprocess.Popen(['sleep', '600'])");
    world.cli_ok(["list"]);

    let (mut found, mut sockets) = (Vec::new(), 0);
    all_below(&world.state(), &mut found);
    all_below(&world.runtime(), &mut found);
    for path in &found {
        let Ok(meta) = std::fs::symlink_metadata(path) else { continue };
        let mode = meta.mode() & 0o777;
        sockets += usize::from(meta.file_type().is_socket());
        assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
        if meta.is_dir() {
            assert_eq!(mode, 0o700, "{}", path.display());
        }
    }
    assert!(sockets >= 5, "the kernel's channels and the keeper's socket are among {found:?}");
    for name in [
        "registry.db",
        "session.json",
        "journal.db",
        "keeper.log",
        "kernel.log",
        "keeper.lock",
        "kernel.json",
    ] {
        assert!(found.iter().any(|p| p.ends_with(name)), "{name} is not among {found:?}");
    }
    assert!(found.iter().any(|p| p.components().any(|c| c.as_os_str() == "assets") && p.is_file()));

    // What forked children print arrives though nothing listens for it on TCP.
    let code = "import multiprocessing\nfork = multiprocessing.get_context('fork')\nchild = fork.Process(target=print, args=('from the child',))\nchild.start(); child.join()";
    let forked = window.execute_cell(&id, 1, code);
    window.done(&id, &forked);
    eventually("the child's line", PATIENCE, || {
        (window.stream(&id, "c1") == "from the child\n").then_some(())
    });

    let connection = std::fs::read_to_string(world.runtime().join(&id).join("kernel.json")).unwrap();
    let connection: Value = serde_json::from_str(&connection).unwrap();
    assert_eq!(connection["transport"], "ipc");
    let key = connection["key"].as_str().unwrap();
    assert!(key.len() >= 16, "a key that cannot be guessed");
    let inodes = listening();
    let processes = world.processes();
    assert!(processes.len() >= 3, "{processes:?}");
    for process in processes {
        assert!(!listens(process.pid, &inodes), "listens on TCP: {process:?}");
        let read =
            |name: &str| text(&std::fs::read(format!("/proc/{}/{name}", process.pid)).unwrap_or_default());
        assert!(!read("cmdline").contains(key), "the key is in an argument list: {process:?}");
        assert!(!read("environ").contains(key), "the key is in an environment: {process:?}");
    }
}

#[test]
fn the_kernels_environment_is_clean_and_its_own() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut command = world.command();
    command
        .env("ELECTRON_RUN_AS_NODE", "1")
        .env("VSCODE_PID", "1")
        .env("VSCODE_IPC_HOOK", "x")
        .env("JPY_PARENT_PID", "1");
    let mut window = world.spawn_with(command);
    window.initialize(crate::world::initialize(&[world.work()], Value::Null));
    let asked = json!({ "notebookUri": uri(&notebook), "kernelName": kernels::PYTHON, "env": { "MINE": "ä b" }, "label": "named" });
    let session = window.ok("keeper/startSession", asked)["session"].clone();
    assert_eq!(session["label"], "named");
    let id = id_of(&session["id"]);
    let strange = "[n for n in __import__('os').environ if n.startswith(('VSCODE_', 'ELECTRON_', 'JPY_PARENT', 'KERNEL_KEEPER_'))]";
    assert_eq!(window.value_of(&id, strange), "[]");
    assert_eq!(window.value_of(&id, "__import__('os').environ['MINE']"), "'ä b'");
    assert_eq!(window.value_of(&id, "__import__('os').getcwd()"), format!("'{}'", world.work().display()));
    // `!python` is the kernel's own.
    let own = "__import__('os').path.realpath(__import__('shutil').which('python')) == __import__('os').path.realpath(__import__('sys').executable)";
    assert_eq!(window.value_of(&id, own), "True");
    // The keeper is nobody's child of ours, and the kernel leads a group of its own.
    let keeper = session["keeperPid"].as_u64().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{keeper}/stat")).unwrap();
    let parent: u32 = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(parent != window.pid() && parent != std::process::id(), "the keeper's parent is {parent}");
}
