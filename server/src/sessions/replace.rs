//! Replacing a person's file by new content: at once where that leaves all else as it was, else in its place.
//!
//! Its owner, mode, hard links and extended attributes stay. A file that may not be written is refused. Whoever is killed
//! while one is written in its place leaves the whole of what was there beside it.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Replaces what is in a file, links followed. `old` is what was read of it.
///
/// # Errors
/// `PermissionDenied` where it is read-only; where it was changed since; the file's own. Nothing was written then.
pub fn replace(path: &Path, old: &[u8], new: &[u8]) -> io::Result<()> {
    let target = std::fs::canonicalize(path)?;
    let found = std::fs::metadata(&target)?;
    if let Some(what) = read_only(&target, &found) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{what}: nothing was written")));
    }
    if std::fs::read(&target)? != old {
        return Err(changed());
    }
    match at_once(&target, &found, new) {
        Ok(true) => Ok(()),
        // Its folder may not be written, the file is a mount of its own, or something of it would be lost.
        Ok(false) => in_place(&target, old, new),
        Err(e) if e.kind() == io::ErrorKind::StorageFull => Err(e),
        Err(e) => {
            tracing::debug!("{} is written in its place: {e}", target.display());
            in_place(&target, old, new)
        }
    }
}

/// Why a file may not be written; `None` where it may.
#[cfg(unix)]
fn read_only(path: &Path, found: &Metadata) -> Option<&'static str> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    use std::os::unix::fs::MetadataExt;
    // An administrator may write everything; the person who took the right away meant it.
    if found.mode() & 0o222 == 0 {
        return Some("it is read-only (`chmod u+w` makes it writable)");
    }
    let is_refused = accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_err();
    is_refused.then_some("it may not be written by you")
}

#[cfg(not(unix))]
fn read_only(_: &Path, found: &Metadata) -> Option<&'static str> {
    found.permissions().readonly().then_some("it is read-only")
}

/// A new file in its place. False: it cannot be like the old one, and nothing was done.
fn at_once(target: &Path, found: &Metadata, new: &[u8]) -> io::Result<bool> {
    let dir = target.parent().ok_or_else(|| io::Error::other("a file lies in a folder"))?;
    let mut file = tempfile::Builder::new().prefix(".").suffix(".ipynb.tmp").tempfile_in(dir)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let made = file.as_file().metadata()?;
        let is_owned = (made.uid(), made.gid()) == (found.uid(), found.gid());
        let is_owned = is_owned
            || made.uid() == found.uid()
                && std::os::unix::fs::fchown(file.as_file(), None, Some(found.gid())).is_ok();
        if !is_owned || found.nlink() > 1 || !take_attributes(target, file.as_file())? {
            return Ok(false);
        }
    }
    file.write_all(new)?;
    file.as_file().set_permissions(found.permissions())?;
    file.as_file().sync_data()?;
    file.persist(target).map_err(|e| e.error)?;
    Ok(true)
}

/// Copies extended attributes, access lists among them. False where one cannot be.
#[cfg(unix)]
fn take_attributes(from: &Path, to: &File) -> io::Result<bool> {
    use rustix::fs::{XattrFlags, fsetxattr, getxattr, listxattr};
    let mut names = vec![0; 64 << 10];
    let length = match listxattr(from, &mut names) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(e) => return Err(e.into()),
    };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 64 << 10];
        let length = getxattr(from, name, &mut value)?;
        if fsetxattr(to, name, &value[..length], XattrFlags::empty()).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes over it. What was there lies beside it until all is written, or in the folder for temporary files.
fn in_place(target: &Path, old: &[u8], new: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(target)?;
    // Two that write over each other would mix; of a file system that knows no locks nobody is told.
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(io::Error::other("another save writes it just now: nothing was written"));
    }
    let mut now = Vec::with_capacity(old.len());
    file.read_to_end(&mut now)?;
    if now != old {
        return Err(changed());
    }
    make_room(&file, old.len(), new.len())?;
    let kept = kept_copy(target, old)?;
    if let Err(e) = write_over(&mut file, new) {
        let restored = write_over(&mut file, old);
        let what = match restored {
            Ok(()) => {
                let _ = std::fs::remove_file(&kept);
                format!("{e}: it is as it was")
            }
            Err(_) => format!("{e}: what was there is in {}", kept.display()),
        };
        return Err(io::Error::new(e.kind(), what));
    }
    let _ = std::fs::remove_file(&kept);
    Ok(())
}

fn changed() -> io::Error {
    io::Error::other("it was changed meanwhile: nothing was written")
}

/// What is in a file, without a moment in which it is empty.
fn write_over(file: &mut File, content: &[u8]) -> io::Result<()> {
    file.rewind()?;
    file.write_all(content)?;
    file.set_len(content.len() as u64)?;
    file.sync_data()
}

/// What was there before a write that somebody was killed in, if that is left.
pub fn left_by_interrupted(path: &Path) -> Option<PathBuf> {
    let target = std::fs::canonicalize(path).ok()?;
    let name = copy_name(&target);
    let folders = [target.parent().map(Path::to_owned), Some(std::env::temp_dir())];
    let entries = folders.into_iter().flatten().flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten());
    let is_one = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&name);
    let paths = entries.flatten().filter(is_one).map(|entry| entry.path());
    paths.into_iter().find(|path| std::fs::symlink_metadata(path).is_ok_and(|found| is_ours(&found)))
}

/// Anybody may put a file of any name into a folder that all use.
#[cfg(unix)]
fn is_ours(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    found.is_file() && found.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_ours(found: &Metadata) -> bool {
    found.is_file()
}

/// How the names of such copies begin: of a file that was saved under this path.
fn copy_name(target: &Path) -> String {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(target.as_os_str().as_encoded_bytes());
    let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!(".kernel-keeper-before-save-{hash}-")
}

/// Where the content of before lies while a file is written in its place.
fn kept_copy(target: &Path, old: &[u8]) -> io::Result<PathBuf> {
    let name = copy_name(target);
    let beside = target.parent().map(|dir| tempfile::Builder::new().prefix(&name).tempfile_in(dir));
    let mut file = match beside {
        Some(Ok(file)) => file,
        _ => tempfile::Builder::new().prefix(&name).tempfile()?,
    };
    file.write_all(old)?;
    file.as_file().sync_data()?;
    file.into_temp_path().keep().map_err(|e| e.error)
}

/// Takes the room that is needed before anything is changed.
#[cfg(target_os = "linux")]
fn make_room(file: &File, old: usize, new: usize) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    let more = new.saturating_sub(old) as u64;
    if more == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, old as u64, more) {
        Err(e @ (rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT)) => Err(e.into()),
        // Some file systems cannot.
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn make_room(_: &File, _: usize, _: usize) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn file(dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, "old").unwrap();
        path
    }

    #[test]
    fn a_file_keeps_all_but_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "a b%.ipynb");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        rustix::fs::setxattr(&path, "user.note", b"mine", rustix::fs::XattrFlags::empty()).unwrap();
        let link = dir.path().join("link.ipynb");
        symlink(&path, &link).unwrap();
        replace(&link, b"old", b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        let mut note = [0; 9];
        let length = rustix::fs::getxattr(&path, "user.note", &mut note).unwrap();
        assert_eq!(&note[..length], b"mine");
    }

    #[test]
    fn every_name_of_a_file_has_the_new_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "a.ipynb");
        let other = dir.path().join("b.ipynb");
        std::fs::hard_link(&path, &other).unwrap();
        for new in [&b"longer than before"[..], b"s"] {
            let old = std::fs::read(&path).unwrap();
            replace(&path, &old, new).unwrap();
            assert_eq!(std::fs::read(&other).unwrap(), new);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left beside it");
        assert_eq!(left_by_interrupted(&path), None);
        // Who writes it has it for itself.
        let writes = File::open(&path).unwrap();
        writes.lock().unwrap();
        let error = replace(&path, b"s", b"new").unwrap_err().to_string();
        assert!(error.contains("another save") && std::fs::read(&other).unwrap() == b"s", "{error}");
        let left = kept_copy(&path, b"before").unwrap();
        assert_eq!(left_by_interrupted(&path), Some(std::fs::canonicalize(left).unwrap()));
    }

    #[test]
    fn what_may_not_be_written_or_was_changed_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "a.ipynb");
        let error = replace(&path, b"older", b"new").unwrap_err().to_string();
        assert!(error.contains("changed meanwhile"), "{error}");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o444)).unwrap();
        let error = replace(&path, b"old", b"new").unwrap_err().to_string();
        assert!(error.contains("read-only") && error.contains("chmod u+w"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }
}
