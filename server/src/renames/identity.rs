//! What a file is, whatever its name: device and inode.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Tells a file from all others on this machine while it exists. Numbers of deleted files are used again, so a
/// match is evidence and no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    pub device: u64,
    pub inode: u64,
}

/// The identity of the file that lies at the path, symbolic links followed; `None` where there is none.
pub fn file_identity(path: &Path) -> Option<FileIdentity> {
    let metadata = fs::metadata(path).ok()?;
    Some(FileIdentity { device: metadata.dev(), inode: metadata.ino() })
}

/// Whether the file at the path is this one.
pub fn same_file(path: &Path, identity: FileIdentity) -> bool {
    file_identity(path) == Some(identity)
}
