//! A session's snapshots on disk: `snapshots/<hash of the name>.json`, which describes one, and the file of pickles that
//! it names.
//!
//! The description is replaced last and at once, and names a file of its own: whoever is killed in between leaves the old
//! snapshot whole, and at most a file that nobody names, which the next keeper removes once the kernel is through.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::paths::Folders;
use crate::protocol::Snapshot;

/// What the snapshot is called that is made when a kernel is stopped.
pub const ON_STOP: &str = "On stop";
/// The format that this build writes. Later ones only add.
const VERSION: u32 = 1;

/// A snapshot as its folder has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    version: u32,
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// Nobody asked for it but a setting.
    pub on_stop: bool,
    /// The name of the file of pickles.
    file: String,
    /// What the kernel needs to read that: modules, versions, and where each variable is.
    pub details: Value,
}

impl Description {
    pub(super) fn new(snapshot: Snapshot, on_stop: bool, file: &Path, details: Value) -> Description {
        let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Description { version: VERSION, snapshot, on_stop, file, details }
    }
}

/// A session's snapshots; what cannot be read is left out.
pub fn snapshots(folders: &Folders, id: &str) -> Vec<Description> {
    let read = |path: PathBuf| serde_json::from_slice::<Description>(&std::fs::read(path).ok()?).ok();
    descriptions(folders, id).into_iter().filter_map(read).collect()
}

/// Whether a person made a snapshot of the session. What cannot be read may be one.
pub fn holds_snapshots(folders: &Folders, id: &str) -> bool {
    let known = snapshots(folders, id);
    known.iter().any(|found| !found.on_stop) || descriptions(folders, id).len() > known.len()
}

/// Removes a snapshot. False: there was none of that name.
pub fn remove_snapshot(folders: &Folders, id: &str, name: &str) -> io::Result<bool> {
    let path = described_at(folders, id, name);
    let described = std::fs::read(&path).unwrap_or_default();
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    }
    // Its own file alone: a new one of that name may be under way.
    let file = serde_json::from_slice::<Description>(&described).map(|found| found.file);
    if let Ok(file) = file.as_ref().map(Path::new)
        && let Some(file) = file.file_name().filter(|name| *name == file)
    {
        let _ = std::fs::remove_file(folders.snapshots(id).join(file));
    }
    Ok(true)
}

/// A snapshot to be restored, with its file of pickles. Pickles are code: they and all above them up to the state folder
/// must be this user's, and nobody else's to write.
///
/// # Errors
/// `PermissionDenied` says what is not so; `NotFound`; `InvalidData` where it is damaged or a newer version's.
pub fn checked(folders: &Folders, id: &str, name: &str) -> io::Result<(Description, PathBuf)> {
    let dir = folders.snapshots(id);
    for folder in dir.ancestors().take_while(|folder| *folder != folders.state) {
        check(folder, &std::fs::symlink_metadata(folder)?, true)?;
    }
    check(&folders.state, &std::fs::metadata(&folders.state)?, true)?;
    let path = described_at(folders, id, name);
    let (mut json, _) = open(&path)?;
    let mut text = Vec::new();
    json.read_to_end(&mut text)?;
    let damaged = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let found: Description = serde_json::from_slice(&text)
        .map_err(|e| damaged(format!("{} describes no snapshot ({e})", path.display())))?;
    if found.version > VERSION {
        let what = "was written by a newer Kernel Keeper: restore it with that";
        return Err(damaged(format!("{} {what}", path.display())));
    }
    if found.file.contains('/') || !found.file.ends_with(".dill") {
        return Err(damaged(format!("{} names no file of its folder", path.display())));
    }
    let data = dir.join(&found.file);
    let (_, bytes) = open(&data)?;
    if bytes != found.snapshot.bytes {
        let what = format!("{} has {bytes} bytes and should have {}", data.display(), found.snapshot.bytes);
        return Err(damaged(what));
    }
    Ok((found, data))
}

/// A file that is not there yet, for the pickles of a snapshot; the folder is made.
pub(super) fn new_file(folders: &Folders, id: &str, name: &str) -> io::Result<PathBuf> {
    crate::paths::make_private(&folders.snapshots(id))?;
    sweep(folders, id, name);
    Ok(folders.snapshots(id).join(format!("{}-{}.dill", stem(name), crate::ids::unique())))
}

/// Puts a snapshot in the place of the earlier one of its name.
pub(super) fn put(folders: &Folders, found: &Description) -> io::Result<()> {
    let (id, name) = (&found.snapshot.session_id, &found.snapshot.name);
    let bytes = std::fs::metadata(folders.snapshots(id).join(&found.file))?.len();
    if bytes != found.snapshot.bytes {
        let what = format!("{} has {bytes} bytes and should have {}", found.file, found.snapshot.bytes);
        return Err(io::Error::other(what));
    }
    let mut file = tempfile::Builder::new().prefix(".snapshot-").tempfile_in(folders.snapshots(id))?;
    file.write_all(&serde_json::to_vec(found)?)?;
    file.as_file().sync_data()?;
    file.persist(described_at(folders, id, name)).map_err(|e| e.error)?;
    sweep(folders, id, name);
    Ok(())
}

/// Removes what earlier keepers' kernels saved for nobody; nothing where a description cannot be read.
pub(super) fn sweep_all(folders: &Folders, id: &str) {
    if descriptions(folders, id).len() == snapshots(folders, id).len() {
        sweep_beginning(folders, id, "");
    }
}

/// Removes the files of pickles of a name that no description names.
fn sweep(folders: &Folders, id: &str, name: &str) {
    sweep_beginning(folders, id, &format!("{}-", stem(name)));
}

fn sweep_beginning(folders: &Folders, id: &str, prefix: &str) {
    let named: Vec<String> = snapshots(folders, id).into_iter().map(|found| found.file).collect();
    for entry in std::fs::read_dir(folders.snapshots(id)).into_iter().flatten().flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.starts_with(prefix) && file.ends_with(".dill") && !named.contains(&file) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn descriptions(folders: &Folders, id: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folders.snapshots(id)).into_iter().flatten().flatten();
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".json") && !name.starts_with('.')
    };
    entries.map(|entry| entry.path()).filter(is_one).collect()
}

fn described_at(folders: &Folders, id: &str, name: &str) -> PathBuf {
    folders.snapshots(id).join(format!("{}.json", stem(name)))
}

/// Names may be any text.
fn stem(name: &str) -> String {
    Sha256::digest(name.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Opens a file for reading that is no link, and that nobody else could have written; its size.
fn open(path: &Path) -> io::Result<(std::fs::File, u64)> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        // Nor does a pipe that lies there make it wait.
        (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32,
    );
    if std::fs::symlink_metadata(path)?.file_type().is_symlink() {
        return Err(refused(path, "is a symbolic link"));
    }
    let file = options.open(path)?;
    let found = file.metadata()?;
    check(path, &found, false)?;
    Ok((file, found.len()))
}

fn check(path: &Path, found: &std::fs::Metadata, is_folder: bool) -> io::Result<()> {
    if is_folder != found.is_dir() || !is_folder && !found.is_file() {
        let what = if is_folder { "is not a folder" } else { "is not a regular file" };
        return Err(refused(path, what));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(refused(path, "belongs to another user"));
        }
        if found.mode() & 0o022 != 0 {
            return Err(refused(path, "can be written by others"));
        }
    }
    Ok(())
}

fn refused(path: &Path, what: &str) -> io::Error {
    let why = "restoring runs code that lies there";
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {what}, and {why}", path.display()))
}
