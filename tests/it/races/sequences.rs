//! Random sequences of what people and programs do to notebooks that have kernels, held against a small model: no session
//! is ever lost, doubled, or bound to a path that it was not moved to; and whose file has moved, that is asked about.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::model::{Kept, Model};
use super::random::Random;
use super::successor;
use crate::driver::{PATIENCE, Window, eventually};
use crate::world::{World, id_of, kill, pid_of, uri, write_notebook};

const SEQUENCES: usize = 500;
const SESSIONS: usize = 4;
/// How long a question may wait for a folder that was filled before it was watched.
const ASKED_WITHIN: Duration = Duration::from_secs(5);

/// The open questions by the notebook that each is about.
type Offers = BTreeMap<PathBuf, Value>;

struct Run {
    /// The window that the notebooks are in.
    window: Window,
    /// Another one on the same folder, which sees the same and is asked what the first is not there for.
    other: Window,
    random: Random,
    model: Model,
    folder: PathBuf,
    canary: (String, u32),
    /// What was done, for the one who looks into a failure.
    log: Vec<String>,
    counts: BTreeMap<&'static str, usize>,
    /// Dropped last: it looks whether anything is left running.
    world: World,
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let from = self.log.len().saturating_sub(300);
            eprintln!("seed {}; done last:\n{}", self.random.seed, self.log[from..].join("\n"));
            eprintln!("{:#?}\n{}", self.model, self.window.log_tail());
        }
    }
}

fn canary(world: &World, round: u32) -> PathBuf {
    world.work().join(format!("canary-{round}.ipynb"))
}

impl Run {
    fn new() -> Run {
        let world = World::new();
        let random = Random::new("random sequences");
        let (mut window, other) = (world.window(), world.window());
        let folder = world.work().join("notebooks");
        fs::create_dir(&folder).unwrap();
        let mut model = Model::default();
        for n in 0..SESSIONS {
            let path = folder.join(format!("{}.ipynb", ["a", "b", "c", "d"][n]));
            write_notebook(&path, &[&format!("x = {n}")]);
            let id = id_of(&window.start(&path)["id"]);
            window.open(&path);
            window.run(&id, &format!("x = {n}"));
            model.kept.push(Kept::new(id, path));
        }
        write_notebook(&canary(&world, 0), &["1"]);
        let canary = (id_of(&window.start(&canary(&world, 0))["id"]), 0);
        let (log, counts) = (Vec::new(), BTreeMap::new());
        let mut run = Run { world, window, other, random, model, folder, canary, log, counts };
        run.settle();
        run
    }

    fn did(&mut self, what: &'static str, text: String) {
        let text = text.replace(&*self.folder.to_string_lossy(), "");
        *self.counts.entry(what).or_default() += 1;
        self.log.push(format!("{what} {text}"));
        let folder = self.folder.clone();
        self.model.look(&folder);
    }

    /// Waits until what was done on the disk so far was dealt with: one more notebook is renamed, and asked about.
    fn settle(&mut self) {
        let mark = self.window.mark();
        let (from, to) = (canary(&self.world, self.canary.1), canary(&self.world, self.canary.1 + 1));
        fs::rename(from, &to).unwrap();
        self.canary.1 += 1;
        self.window.wait_after(mark, "keeper/offer", |p| p["offer"]["notebookUri"] == json!(uri(&to)));
        self.model.settle();
        self.log.push("settled".into());
    }

    /// Any notebook: more often one that has a kernel.
    fn any_notebook(&mut self) -> Option<PathBuf> {
        let homes: Vec<PathBuf> =
            self.model.kept.iter().filter(|k| k.is_home()).map(|k| k.bound.clone()).collect();
        let all: Vec<PathBuf> = self.model.disk.keys().cloned().collect();
        let among = if self.random.once_in(3) || homes.is_empty() { all } else { homes };
        self.random.pick(&among).cloned()
    }

    /// A name in a folder that is there or not; seldom one that is taken.
    fn any_target(&mut self) -> PathBuf {
        loop {
            let folder = *self.random.pick(&["", "", "in", "out", "in/deep"]).unwrap();
            let name = *self.random.pick(&["a", "b", "c", "d", "e", "f", "two words", "ü"]).unwrap();
            let path = self.folder.join(folder).join(format!("{name}.ipynb"));
            if !self.model.disk.contains_key(&path) || self.random.once_in(8) {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                return path;
            }
        }
    }

    fn offers(&mut self) -> Offers {
        let mut found = Offers::new();
        for window in [&mut self.window, &mut self.other] {
            let all = window.ok("keeper/openOffers", json!({}));
            let ours = all["offers"].as_array().unwrap().iter().filter_map(|offer| {
                let path = url::Url::parse(offer["notebookUri"].as_str()?).ok()?.to_file_path().ok()?;
                path.starts_with(&self.folder).then(|| (path, offer.clone()))
            });
            found.extend(ours);
        }
        found
    }

    fn index_of(&self, id: &Value) -> usize {
        let found = self.model.kept.iter().position(|kept| json!(kept.id) == *id);
        found.unwrap_or_else(|| panic!("no session of ours: {id}"))
    }

    fn act(&mut self) {
        match self.random.below(100) {
            0..26 => self.rename(),
            26..29 => self.rename_folder(),
            29..39 => self.copy(),
            39..45 => self.delete(),
            45..57 => self.save(),
            57..66 => self.open(),
            66..70 => self.close(),
            70..90 => self.answer(),
            90..94 => self.attach(),
            94..98 => self.rename_in_editor(),
            98.. => self.create(),
        }
    }

    fn rename(&mut self) {
        let (Some(from), to) = (self.any_notebook(), self.any_target()) else { return };
        fs::rename(&from, &to).unwrap();
        self.did("rename", format!("{} to {}", from.display(), to.display()));
    }

    fn rename_folder(&mut self) {
        let entries = fs::read_dir(&self.folder).unwrap().flatten().map(|entry| entry.path());
        let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
        folders.sort();
        let Some(from) = self.random.pick(&folders).cloned() else { return };
        let name = *self.random.pick(&["in", "out", "far"]).unwrap();
        let new = format!("{name} {}", self.log.len());
        let to = [name, &new].map(|name| self.folder.join(name)).into_iter().find(|to| !to.exists()).unwrap();
        fs::rename(&from, &to).unwrap();
        self.did("rename folder", format!("{} to {}", from.display(), to.display()));
    }

    fn copy(&mut self) {
        let (Some(from), to) = (self.any_notebook(), self.any_target()) else { return };
        if from != to {
            fs::copy(&from, &to).unwrap();
            self.did("copy", format!("{} to {}", from.display(), to.display()));
        }
    }

    fn create(&mut self) {
        let to = self.any_target();
        write_notebook(&to, &["y = 1"]);
        self.did("create", to.display().to_string());
    }

    fn delete(&mut self) {
        let Some(path) = self.any_notebook() else { return };
        fs::remove_file(&path).unwrap();
        self.did("delete", path.display().to_string());
    }

    /// In place, or as a new file in the old one's place.
    fn save(&mut self) {
        let Some(path) = self.any_notebook() else { return };
        if self.random.once_in(4) {
            write_notebook(&path, &["x = 1", "y = 2"]);
            return self.did("save in place", path.display().to_string());
        }
        let beside = path.with_extension("tmp");
        write_notebook(&beside, &["x = 1", "y = 3"]);
        fs::rename(&beside, &path).unwrap();
        self.did("save", path.display().to_string());
        // A person lets a moment pass before the next change, a program may not.
        if !self.random.once_in(4) {
            self.settle();
        }
    }

    fn open(&mut self) {
        let Some(path) = self.any_notebook() else { return };
        self.window.open(&path);
        self.did("open", path.display().to_string());
    }

    fn close(&mut self) {
        let Some(path) = self.any_notebook() else { return };
        self.window.close_notebook(&path);
        self.did("close", path.display().to_string());
    }

    /// Answers one of the open questions, whatever is asked.
    fn answer(&mut self) {
        let offers: Vec<(PathBuf, Value)> = self.offers().into_iter().collect();
        let Some((path, offer)) = self.random.pick(&offers).cloned() else { return };
        let kind = id_of(&offer["kind"]);
        let declined = self.random.once_in(3);
        let action = match kind.as_str() {
            "migrate" if !declined => "migrate",
            "resume" if !declined => "resume",
            "replace" | "migrate" | "resume" | "recover" => "dismiss",
            other => panic!("a question that nothing gave rise to: {other}: {offer}"),
        };
        let asked = json!({ "offerId": offer["offerId"], "action": action });
        let answer = self.window.request("keeper/answerOffer", asked);
        if kind != "migrate" {
            assert!(answer.is_ok() || answer.as_ref().is_err_and(|e| e.kind() == "OfferGone"), "{answer:?}");
            return self.did("answer", format!("{kind} of {} with {action}", path.display()));
        }
        let at = self.index_of(&offer["sessions"][0]["id"]);
        let taken = self.model.bound_to(&path).any(|kept| kept.id != self.model.kept[at].id);
        let (had, from) = (&self.model.kept[at].had, self.model.kept[at].bound.clone());
        assert!(had.contains(&path), "its file was never there: {offer}");
        let outcome = match &answer {
            Ok(answer) => {
                self.model.answered.insert((from, path.clone()));
                if action == "migrate" {
                    assert_eq!(answer["session"]["notebookPath"], json!(path));
                    self.model.bind(at, &path);
                }
                "done"
            }
            // Answered all the same: the question is gone.
            Err(e) if e.kind() == "NotebookHasSession" && taken => {
                self.model.answered.insert((from, path.clone()));
                "refused"
            }
            Err(e) if e.kind() == "OfferGone" => "too late",
            Err(e) => panic!("{action} of {offer}: {e:?}"),
        };
        let id = self.model.kept[at].id.clone();
        self.did("answer", format!("{action} of {id} to {}: {outcome}", path.display()));
    }

    /// Gives a kernel to a notebook by hand.
    fn attach(&mut self) {
        let at = self.random.below(SESSIONS);
        let Some(to) = self.any_notebook() else { return };
        self.attach_to(at, &to);
    }

    fn attach_to(&mut self, at: usize, to: &Path) {
        let (id, from) = (self.model.kept[at].id.clone(), self.model.kept[at].bound.clone());
        let asked =
            json!({ "sessionId": id, "targetNotebookUri": uri(to), "expectedNotebookUri": uri(&from) });
        let holders: Vec<bool> =
            self.model.bound_to(to).filter(|kept| kept.id != id).map(Kept::is_home).collect();
        let outcome = match self.window.request("keeper/attachSession", asked) {
            Ok(done) => {
                assert!(!holders.contains(&true), "{id} took {} from another: {done}", to.display());
                assert_eq!((&done["oldPath"], &done["newPath"]), (&json!(from), &json!(to)));
                self.model.bind(at, to);
                "done"
            }
            Err(e) => {
                assert!(e.kind() == "NotebookHasSession" && !holders.is_empty(), "{id}: {e:?}");
                let offer = json!({ "offerId": e.data["offer"]["offerId"], "action": "dismiss" });
                self.window.ok("keeper/answerOffer", offer);
                "refused"
            }
        };
        self.did("attach", format!("{id} of {} to {}: {outcome}", from.display(), to.display()));
    }

    /// In the editor a rename is announced, and followed without a question where the window has the kernel attached.
    fn rename_in_editor(&mut self) {
        self.settle();
        let at = self.random.below(SESSIONS);
        let (from, to) = (self.model.kept[at].bound.clone(), self.any_target());
        let is_free = !self.model.disk.contains_key(&to) && self.model.bound_to(&to).next().is_none();
        let is_alone = self.model.bound_to(&from).count() == 1;
        if !(self.model.kept[at].is_home() && is_free && is_alone) {
            return;
        }
        let id = self.model.kept[at].id.clone();
        self.window.ok("keeper/ensureSession", json!({ "notebookUri": uri(&from), "ask": false }));
        let asked_before = self.times_asked(&to);
        let files = json!({ "files": [{ "oldUri": uri(&from), "newUri": uri(&to) }] });
        self.window.ok("workspace/willRenameFiles", files.clone());
        fs::rename(&from, &to).unwrap();
        self.window.notify("workspace/didRenameFiles", files);
        self.log.push(format!("rename in the editor, {id}"));
        eventually("the kernel follows the editor's rename", PATIENCE, || {
            (self.window.session(&id)["notebookPath"] == json!(to)).then_some(())
        });
        self.model.bind(at, &to);
        self.did("rename in the editor", format!("{} to {}", from.display(), to.display()));
        self.settle();
        assert_eq!(self.times_asked(&to), asked_before, "nobody is asked about what the editor did");
        assert!(!self.offers().contains_key(&to), "and no question is left");
    }

    /// How often the windows were asked about a notebook.
    fn times_asked(&self, about: &Path) -> usize {
        let told = [&self.window, &self.other].into_iter().flat_map(|window| window.told("keeper/offer"));
        told.filter(|told| told["offer"]["notebookUri"] == json!(uri(about))).count()
    }

    /// The sidecar crashes, perhaps while a notebook is renamed; the editor starts another.
    fn kill_sidecar(&mut self) {
        self.settle();
        self.window.kill();
        if self.random.once_in(2) {
            self.rename();
        }
        self.window = self.world.window();
        self.did("kill sidecar", String::new());
        // Else the other window would be asked about it.
        let asked = json!({ "notebookUri": uri(&canary(&self.world, 0)), "ask": false });
        assert_eq!(self.window.ok("keeper/ensureSession", asked)["session"]["id"], json!(self.canary.0));
        self.settle();
        for at in 0..SESSIONS {
            let kept = &self.model.kept[at];
            if kept.is_home() && !self.random.once_in(4) {
                let (id, path) = (kept.id.clone(), kept.bound.clone());
                self.window.open(&path);
                let asked = json!({ "notebookUri": uri(&path), "ask": false });
                let resumed = self.window.ok("keeper/ensureSession", asked);
                assert_eq!((&resumed["outcome"], &resumed["session"]["id"]), (&json!("resumed"), &json!(id)));
            }
        }
    }

    fn kill_keeper(&mut self) {
        let id = self.model.kept[self.random.below(SESSIONS)].id.clone();
        let keeper = pid_of(&self.window.session(&id)["keeperPid"]);
        kill(keeper, "KILL");
        self.did("kill keeper", id.clone());
        // What is done meanwhile is done to a kernel without a keeper.
        if self.random.once_in(2) {
            self.rename();
        }
        successor(&mut self.window, &id, keeper);
    }

    fn kill_kernel(&mut self) {
        self.settle();
        let at = self.random.below(SESSIONS);
        if !self.model.kept[at].is_home() {
            return;
        }
        let id = self.model.kept[at].id.clone();
        let before = self.window.session(&id);
        kill(pid_of(&before["pid"]), "KILL");
        eventually("the end of a kernel is seen", PATIENCE, || {
            (self.window.session(&id)["endReason"] == "crashed").then_some(())
        });
        let anew = self.window.ok("keeper/restartSession", json!({ "sessionId": id }));
        assert_eq!(anew["session"]["notebookPath"], before["notebookPath"]);
        self.window.run(&id, &format!("x = {at}"));
        self.did("kill kernel", id);
    }

    /// A session whose file was deleted: it is brought back, or the kernel is given to another notebook.
    fn comfort(&mut self) {
        for at in 0..SESSIONS {
            if !self.model.is_gone(at) || self.random.once_in(2) {
                continue;
            }
            let bound = self.model.kept[at].bound.clone();
            let to = if self.model.disk.contains_key(&bound) { self.any_target() } else { bound.clone() };
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            write_notebook(&to, &["x = 1"]);
            self.did("bring back", to.display().to_string());
            self.settle();
            if to != bound {
                self.attach_to(at, &to);
            }
        }
    }

    /// What must be so after each sequence.
    fn check(&mut self) {
        self.settle();
        let mut expected: BTreeMap<String, PathBuf> =
            self.model.kept.iter().map(|kept| (kept.id.clone(), kept.bound.clone())).collect();
        expected.insert(self.canary.0.clone(), canary(&self.world, 0));
        for window in [&mut self.window, &mut self.other] {
            // None lost, none doubled, at no time; the paths when the news has come.
            let told = Instant::now();
            loop {
                let all = window.ok("keeper/listSessions", json!({}));
                let all = all["sessions"].as_array().unwrap();
                let listed: BTreeMap<String, PathBuf> =
                    all.iter().map(|s| (id_of(&s["id"]), id_of(&s["notebookPath"]).into())).collect();
                assert_eq!(listed.len(), all.len(), "a session is doubled: {listed:?}");
                assert!(listed.keys().eq(expected.keys()), "{listed:?} instead of {expected:?}");
                let there: Vec<&Value> =
                    all.iter().filter(|s| s["notebookExists"] == true).map(|s| &s["notebookPath"]).collect();
                let twice = (1..there.len()).any(|n| there[..n].contains(&there[n]));
                if listed == expected && !twice {
                    break;
                }
                assert!(told.elapsed() < ASKED_WITHIN, "{listed:?} instead of {expected:?}; at {there:?}");
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
        for kept in &self.model.kept {
            assert_eq!(self.world.record(&kept.id)["notebooks"][0]["path"], json!(kept.bound));
            if kept.is_home() {
                let found =
                    self.window.ok("keeper/findActiveSession", json!({ "notebookUri": uri(&kept.bound) }));
                let what = (&found["match"], &found["session"]["id"]);
                assert_eq!(what, (&json!("path"), &json!(kept.id)), "at {}", kept.bound.display());
            }
        }
        self.check_offers();
    }

    /// Each question is about a place where the file is or was, and every move that can be asked about is.
    fn check_offers(&mut self) {
        let begun = Instant::now();
        loop {
            let offers = self.offers();
            for (path, offer) in offers.iter().filter(|(_, offer)| offer["kind"] == "migrate") {
                let kept = &self.model.kept[self.index_of(&offer["sessions"][0]["id"])];
                assert!(kept.had.contains(path), "its file was never there: {offer}");
            }
            let must: Vec<(usize, PathBuf)> =
                (0..SESSIONS).filter_map(|at| Some((at, self.model.must_ask(at)?))).collect();
            let is_asked = |(at, path): &&(usize, PathBuf)| {
                offers.get(path).is_some_and(|offer| {
                    offer["kind"] == "migrate" && offer["sessions"][0]["id"] == json!(self.model.kept[*at].id)
                })
            };
            let missing = must.iter().find(|it| !is_asked(it));
            if missing.is_none() {
                *self.counts.entry("asked about, as it must be").or_default() += must.len();
                return;
            }
            assert!(begun.elapsed() < ASKED_WITHIN, "not asked about: {missing:?}; open: {offers:?}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

#[test]
fn after_random_sequences_every_session_is_where_it_was_moved_to() {
    let begun = Instant::now();
    let mut run = Run::new();
    for sequence in 0..SEQUENCES {
        run.log.push(format!("--- sequence {sequence}"));
        for _ in 0..1 + run.random.below(5) {
            run.act();
        }
        match run.random.below(250) {
            0..8 => run.kill_sidecar(),
            8..13 => run.kill_keeper(),
            13..15 => run.kill_kernel(),
            _ => {}
        }
        run.check();
        run.comfort();
    }
    for at in 0..SESSIONS {
        let id = run.model.kept[at].id.clone();
        assert_eq!(run.window.value_of(&id, "x"), at.to_string(), "the kernel is the one that was started");
    }
    eprintln!("{SEQUENCES} sequences in {:?}: {:?}", begun.elapsed(), run.counts);
    assert!(run.counts["asked about, as it must be"] > SEQUENCES / 5, "the model demands too little");
}
