//! What others put into a workspace, or into our own folders, holds up no window; nor does what a kernel printed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, SOON, eventually};
use crate::world::{World, id_of, initialize, kill, memory, pid_of, uri};

/// A request behind a hostile file is answered by then.
/// What a sidecar may have taken at its most, in MiB.
const MOST_MEMORY: u64 = 300;

fn pipe(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
}

fn zero(path: &Path) {
    symlink("/dev/zero", path).unwrap();
}

fn socket(path: &Path) {
    std::os::unix::net::UnixListener::bind(path).unwrap();
}

fn sparse(path: &Path) {
    fs::File::create(path).unwrap().set_len(4 << 30).unwrap();
}

fn endless(path: &Path) {
    symlink(path, path).unwrap();
}

fn folder(path: &Path) {
    fs::create_dir(path).unwrap();
}

type Make = fn(&Path);

const HOSTILE: [(&str, Make); 6] = [
    ("a pipe", pipe),
    ("/dev/zero", zero),
    ("a socket", socket),
    ("4 GB", sparse),
    ("a loop", endless),
    ("a folder", folder),
];

/// The sidecar answers what is asked of it, soon and small, with `make` in the place of a file.
fn check(name: &str, place: &str, make: Make, ask: impl Fn(&World) -> Vec<(&'static str, Value)>) {
    let world = World::new();
    let path = world.work().join(place);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    make(&path);
    let begun = Instant::now();
    let mut window = world.spawn();
    window.initialize(initialize(&[world.work()], json!({ "window": { "folder": world.work() } })));
    for (method, params) in ask(&world) {
        // Whatever is said of it, it is said.
        let _ = window.request(method, params);
    }
    window.ok("keeper/listSessions", json!({}));
    // The walk has come through: a notebook that is made now is heard of.
    eventually("the workspace is watched", SOON, || window.log_tail().contains("took=").then_some(()));
    assert!(begun.elapsed() < SOON, "{name} as {place}: {:?}", begun.elapsed());
    let peak = memory(window.pid(), "status", "VmHWM") >> 20;
    assert!(peak < MOST_MEMORY, "{name} as {place}: {peak} MiB");
    window.close();
}

#[test]
fn no_file_of_a_workspace_holds_up_its_window() {
    let lists = |_: &World| vec![("keeper/listKernelspecs", json!({}))];
    for (name, make) in HOSTILE {
        for place in [".git", ".git/HEAD", ".git/config", ".git/info/exclude", ".gitignore", ".ignore"] {
            check(name, place, make, lists);
        }
        check(name, ".venv/pyvenv.cfg", make, lists);
        check(name, "z.ipynb", make, |world| {
            let notebook = uri(&world.work().join("z.ipynb"));
            vec![("keeper/ensureSession", json!({ "notebookUri": notebook, "ask": true }))]
        });
    }
}

#[test]
fn a_window_has_one_watcher() {
    let world = World::new();
    for number in 0..50 {
        fs::create_dir_all(world.work().join(format!("a{number}/b"))).unwrap();
    }
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    window.start(&notebook);
    eventually("the workspace is watched", PATIENCE, || window.log_tail().contains("took=").then_some(()));
    let files = fs::read_dir(format!("/proc/{}/fd", window.pid())).unwrap().flatten();
    let watchers = files.filter_map(|file| fs::read_link(file.path()).ok());
    let watchers = watchers.filter(|target| target.to_string_lossy().contains("inotify")).count();
    assert_eq!(watchers, 1, "the system counts them for all programs of the user");
}

#[test]
fn reads_of_one_session_leave_room_for_another() {
    let world = World::new();
    let notebooks = ["a.ipynb", "b.ipynb"].map(|name| world.notebook(name, &["1"]));
    let mut window = world.window();
    let [slow, other] = notebooks.map(|notebook| id_of(&window.start(&notebook)["id"]));
    let over = "import sys; sys.stdout.write('a' * 3_000_000 + '\\r' + 'é' * 1_500_000)";
    for (id, code) in [(&slow, over), (&other, "print('other')")] {
        let execution = window.execute_cell(id, 0, code);
        window.done(id, &execution);
    }
    let outputs = |id: &str| json!({ "sessionId": id, "maxBytesPerCell": 1_000 });
    let waiting: Vec<i64> = (0..12).map(|_| window.begin("keeper/cellOutputs", outputs(&slow))).collect();
    let read = window.ok("keeper/cellOutputs", outputs(&other));
    assert!(read.to_string().contains("other"));
    // More threads than these two are never one session's.
    let answered = waiting.iter().filter(|id| window.is_answered(**id)).count();
    assert!(answered <= 4, "{answered} of the slow reads came first");
    for id in waiting {
        window.finish(id).unwrap();
    }
}

/// `jupyter_client` sets the sticky bit on the folder of each connection file that it writes.
#[test]
fn a_run_folder_with_the_sticky_bit_is_used_on() {
    let world = World::new();
    let notebook = world.notebook("draft.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    window.run(&id, "x = 41");
    let folder = world.runtime().join(&id);
    let stick = || fs::set_permissions(&folder, fs::Permissions::from_mode(0o1700)).unwrap();
    stick();
    assert_eq!(window.live(), std::slice::from_ref(&id));
    kill(pid_of(&session["keeperPid"]), "KILL");
    eventually("another keeper", PATIENCE, || {
        let now = window.session(&id);
        (now["keeperPid"].is_number()
            && now["keeperPid"] != session["keeperPid"]
            && now["responding"] == true)
            .then_some(())
    });
    assert_eq!(window.value_of(&id, "x"), "41");
    stick();
    window.ok("keeper/restartSession", json!({ "sessionId": id }));
    eventually("the kernel is new", PATIENCE, || {
        (window.session(&id)["pid"] != session["pid"]).then_some(())
    });
    window.run(&id, "1");
    stick();
    window.ok("keeper/stopSession", json!({ "sessionId": id }));
    assert_eq!(window.live(), [""; 0]);
}
