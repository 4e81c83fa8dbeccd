//! Hints about real folders. Every test waits for what it expects, under a deadline; none sleeps.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

/// A folder with a bell in one place and a workspace in another, watched.
struct Scene {
    folder: TempDir,
    watcher: Watcher,
    hints: UnboundedReceiver<Hint>,
}

impl Scene {
    fn new(files: &[&str]) -> Scene {
        let scene = Scene::unwatched(files);
        scene.watcher.watch_workspace(&scene.path(""));
        scene.ready()
    }

    fn unwatched(files: &[&str]) -> Scene {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        let (sender, hints) = unbounded_channel();
        let watcher = Watcher::new(&folder.path().join("run/bell"), sender).unwrap();
        let scene = Scene { folder, watcher, hints };
        files.iter().for_each(|file| scene.write(file));
        scene
    }

    /// Everything asked for is in place, and what it has said is read.
    fn ready(mut self) -> Scene {
        self.watcher.settle();
        while self.hints.try_recv().is_ok() {}
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        let work = self.folder.path().join("work");
        if name.is_empty() { work } else { work.join(name) }
    }

    fn write(&self, name: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "{}").unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn renamed(&self, from: &str, to: &str) -> Hint {
        Hint::Renamed { from: self.path(from), to: self.path(to) }
    }

    fn appeared(&self, name: &str) -> Hint {
        Hint::Appeared(self.path(name))
    }

    fn gone(&self, name: &str) -> Hint {
        Hint::Gone(self.path(name))
    }

    fn next(&mut self) -> Hint {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let next = async { tokio::time::timeout(Duration::from_secs(10), self.hints.recv()).await };
        runtime.block_on(next).expect("a hint within ten seconds").expect("the watcher lives")
    }

    /// These hints and no other; what happens in several folders comes in any order.
    fn expect(&mut self, hints: &[Hint]) {
        let by_name = |hint: &Hint| format!("{hint:?}");
        let mut got = self.collect(hints.len());
        let mut hints = hints.to_vec();
        got.sort_by_key(by_name);
        hints.sort_by_key(by_name);
        assert_eq!(got, hints);
    }

    /// The same, for what happens in one folder.
    fn expect_in_order(&mut self, hints: &[Hint]) {
        let got = self.collect(hints.len());
        assert_eq!(got, hints);
    }

    /// What comes before a last notebook has come and gone, and what is late, since a departure is told when its moment
    /// is over.
    fn collect(&mut self, count: usize) -> Vec<Hint> {
        let end = "zz-end-of-test.ipynb";
        let mut got = Vec::new();
        self.write(end);
        self.until(self.appeared(end), &mut got);
        fs::remove_file(self.path(end)).unwrap();
        self.until(self.gone(end), &mut got);
        while got.len() < count {
            got.push(self.next());
        }
        got
    }

    fn until(&mut self, last: Hint, got: &mut Vec<Hint>) {
        loop {
            match self.next() {
                hint if hint == last => return,
                hint => got.push(hint),
            }
        }
    }
}

#[test]
fn a_notebook_is_renamed() {
    let mut scene = Scene::new(&["a.ipynb", "sub/keep.txt"]);
    scene.rename("a.ipynb", "b.ipynb");
    scene.expect(&[scene.renamed("a.ipynb", "b.ipynb")]);
    scene.rename("b.ipynb", "sub/c.ipynb");
    scene.expect(&[scene.renamed("b.ipynb", "sub/c.ipynb")]);
    scene.rename("sub/c.ipynb", "sub/c.txt");
    scene.rename("sub/c.txt", "sub/c.ipynb");
    scene.expect(&[scene.renamed("sub/c.ipynb", "sub/c.txt"), scene.renamed("sub/c.txt", "sub/c.ipynb")]);
    scene.rename("sub/c.ipynb", "sub/C.ipynb");
    scene.expect(&[scene.renamed("sub/c.ipynb", "sub/C.ipynb")]);
}

#[test]
fn a_chain_and_a_swap_come_in_their_order() {
    let mut scene = Scene::new(&["a.ipynb", "b.ipynb"]);
    scene.rename("a.ipynb", "t.ipynb");
    scene.rename("b.ipynb", "a.ipynb");
    scene.rename("t.ipynb", "b.ipynb");
    scene.expect_in_order(&[
        scene.renamed("a.ipynb", "t.ipynb"),
        scene.renamed("b.ipynb", "a.ipynb"),
        scene.renamed("t.ipynb", "b.ipynb"),
    ]);
}

#[test]
fn a_folder_is_renamed_and_its_content_still_watched() {
    let mut scene = Scene::new(&["one/deep/a.ipynb"]);
    scene.rename("one", "two");
    // What is in it is told, too: it may have come there just before, while nobody watched.
    scene.expect(&[scene.renamed("one", "two"), scene.appeared("two/deep/a.ipynb")]);
    scene.rename("two/deep/a.ipynb", "two/deep/b.ipynb");
    scene.expect(&[scene.renamed("two/deep/a.ipynb", "two/deep/b.ipynb")]);
    scene.rename("two", "one");
    scene.expect(&[scene.renamed("two", "one"), scene.appeared("one/deep/b.ipynb")]);
    scene.rename("one", "three");
    scene.expect(&[scene.renamed("one", "three"), scene.appeared("three/deep/b.ipynb")]);
    scene.rename("three/deep/b.ipynb", "three/b.ipynb");
    scene.expect(&[scene.renamed("three/deep/b.ipynb", "three/b.ipynb")]);
}

#[test]
fn what_moves_in_and_out_appears_and_goes() {
    let mut scene = Scene::new(&["a.ipynb", "sub/b.ipynb"]);
    let outside = TempDir::new_in(scene.folder.path()).unwrap();
    fs::rename(scene.path("a.ipynb"), outside.path().join("a.ipynb")).unwrap();
    scene.expect(&[scene.gone("a.ipynb")]);
    fs::rename(scene.path("sub"), outside.path().join("sub")).unwrap();
    scene.expect(&[scene.gone("sub")]);
    fs::rename(outside.path().join("a.ipynb"), scene.path("c.ipynb")).unwrap();
    scene.expect(&[scene.appeared("c.ipynb")]);
    fs::rename(outside.path().join("sub"), scene.path("new")).unwrap();
    scene.expect(&[scene.appeared("new/b.ipynb")]);
    scene.rename("new/b.ipynb", "new/c.ipynb");
    scene.expect(&[scene.renamed("new/b.ipynb", "new/c.ipynb")]);
}

#[test]
fn an_atomic_save_is_a_rename_of_the_temporary_file() {
    let mut scene = Scene::new(&["a.ipynb"]);
    scene.write(".~a.tmp");
    scene.rename(".~a.tmp", "a.ipynb");
    scene.expect(&[scene.renamed(".~a.tmp", "a.ipynb")]);
}

#[test]
fn deleted_and_made_again() {
    let mut scene = Scene::new(&["a.ipynb", "sub/b.ipynb"]);
    fs::remove_file(scene.path("a.ipynb")).unwrap();
    scene.write("a.ipynb");
    scene.expect(&[scene.gone("a.ipynb"), scene.appeared("a.ipynb")]);
    fs::remove_dir_all(scene.path("sub")).unwrap();
    scene.expect(&[scene.gone("sub/b.ipynb"), scene.gone("sub")]);
    scene.write("sub/b.ipynb");
    scene.expect(&[scene.appeared("sub/b.ipynb")]);
}

#[test]
fn a_copied_tree_appears_once_and_whole() {
    let names: Vec<_> = (0..40).map(|n| format!("tree/d{}/e{}/n{n}.ipynb", n % 5, n % 7)).collect();
    let mut scene = Scene::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let (from, to) = (scene.path("tree"), scene.path("copy"));
    let status = std::process::Command::new("cp").arg("-r").args([from, to]).status().unwrap();
    assert!(status.success());
    let mut expected: Vec<_> =
        names.iter().map(|name| scene.appeared(&name.replace("tree/", "copy/"))).collect();
    let mut got: Vec<_> = expected.iter().map(|_| scene.next()).collect();
    for list in [&mut expected, &mut got] {
        list.sort_by_key(|hint| format!("{hint:?}"));
    }
    assert_eq!(got, expected);
    scene.expect(&[]);
}

#[test]
fn new_nested_folders_are_watched() {
    let mut scene = Scene::new(&[]);
    fs::create_dir_all(scene.path("x/y/z")).unwrap();
    scene.write("x/y/z/a.ipynb");
    assert_eq!(scene.next(), scene.appeared("x/y/z/a.ipynb"));
    scene.rename("x/y/z/a.ipynb", "x/y/b.ipynb");
    scene.expect(&[scene.renamed("x/y/z/a.ipynb", "x/y/b.ipynb")]);
}

#[test]
fn other_files_and_the_folders_of_tools_say_nothing() {
    let mut scene = Scene::new(&[".git/HEAD", "node_modules/p/a.ipynb", "env/pyvenv.cfg", "env/lib/a.ipynb"]);
    fs::write(scene.path(".gitignore"), "/build\n").unwrap();
    scene.write("a.py");
    scene.rename("a.py", "b.py");
    scene.rename("node_modules/p/a.ipynb", "node_modules/p/b.ipynb");
    scene.rename("env/lib/a.ipynb", "env/lib/b.ipynb");
    scene.write("build/out/a.ipynb");
    scene.write(".hidden/a.ipynb");
    scene.expect(&[]);
}

#[test]
fn a_live_notebook_is_followed_wherever_it_is() {
    let mut scene = Scene::unwatched(&["one/deep/a.ipynb", "one/other.ipynb"]);
    // The end of each expectation is written here.
    scene.watcher.watch_notebook(&scene.path("anchor.ipynb"));
    scene.watcher.watch_notebook(&scene.path("one/deep/a.ipynb"));
    scene = scene.ready();
    scene.rename("one/deep/a.ipynb", "one/b.ipynb");
    scene.rename("one/b.ipynb", "one/deep/a.ipynb");
    scene.expect(&[
        scene.renamed("one/deep/a.ipynb", "one/b.ipynb"),
        scene.renamed("one/b.ipynb", "one/deep/a.ipynb"),
    ]);
    scene.rename("one", "two");
    scene.expect(&[scene.renamed("one", "two")]);
    // Back again: it is watched as before.
    scene.rename("two", "one");
    scene.expect(&[scene.renamed("two", "one"), scene.appeared("one/deep/a.ipynb")]);
    scene.rename("one/deep/a.ipynb", "one/deep/c.ipynb");
    scene.expect(&[scene.renamed("one/deep/a.ipynb", "one/deep/c.ipynb")]);
    // A folder that nobody asked for is none of our business.
    fs::create_dir(scene.path("stranger")).unwrap();
    scene.rename("stranger", "elsewhere");
    scene.write("elsewhere/x.ipynb");
    scene.expect(&[]);
    scene.watcher.unwatch_notebook(&scene.path("one/deep/a.ipynb"));
    scene = scene.ready();
    scene.rename("one/deep/c.ipynb", "one/deep/d.ipynb");
    scene.expect(&[]);
}

#[test]
fn an_absent_notebook_is_said_to_be_gone_and_seen_when_it_comes() {
    let mut scene = Scene::unwatched(&[]);
    scene.watcher.watch_notebook(&scene.path("later/a.ipynb"));
    assert_eq!(scene.next(), scene.gone("later/a.ipynb"));
    scene.write("later/a.ipynb");
    assert_eq!(scene.next(), scene.appeared("later/a.ipynb"));
}

#[test]
fn a_workspace_is_let_go_but_not_its_live_notebooks() {
    let mut scene = Scene::new(&["one/a.ipynb", "two/b.ipynb"]);
    scene.watcher.watch_notebook(&scene.path("one/a.ipynb"));
    scene.watcher.unwatch_workspace(&scene.path(""));
    scene = scene.ready();
    scene.rename("two/b.ipynb", "two/c.ipynb");
    scene.rename("one/a.ipynb", "one/c.ipynb");
    scene.expect(&[scene.renamed("one/a.ipynb", "one/c.ipynb")]);
}

#[test]
fn setting_up_ends_with_a_rescan() {
    let mut scene = Scene::unwatched(&["a.ipynb"]);
    scene.watcher.watch_workspace(&scene.path(""));
    assert_eq!(scene.next(), Hint::Rescan);
    assert_eq!(scene.watcher.take_warnings(), Vec::<String>::new());
}

#[test]
fn the_bell_is_heard_by_all() {
    use std::os::unix::fs::PermissionsExt;
    let mut scene = Scene::unwatched(&[]);
    let bell = scene.folder.path().join("run/bell");
    let (sender, mut others) = unbounded_channel();
    let other = Watcher::new(&bell, sender).unwrap();
    for _ in 0..3 {
        crate::paths::ring(&bell).unwrap();
        assert_eq!(scene.next(), Hint::Bell);
        assert_eq!(others.blocking_recv(), Some(Hint::Bell));
    }
    assert_eq!(fs::metadata(&bell).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&bell).unwrap().len(), 1);
    // Taken away by a sweep, and rung again.
    fs::remove_file(&bell).unwrap();
    crate::paths::ring(&bell).unwrap();
    assert_eq!(scene.next(), Hint::Bell);
    drop(other);
    while let Some(hint) = others.blocking_recv() {
        assert_eq!(hint, Hint::Bell);
    }
}

#[test]
fn a_bell_without_a_folder_is_an_error() {
    let (sender, _hints) = unbounded_channel();
    let result = Watcher::new(Path::new("/nonexistent/folder/bell"), sender);
    assert!(matches!(result.err(), Some(Error::Bell { .. })));
}
