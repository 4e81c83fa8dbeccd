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

/// Whether changes to this folder may come from another machine, so that this one reports none.
#[cfg(target_os = "linux")]
pub(super) fn is_remote(folder: &Path) -> bool {
    // NFS, CIFS, SMB2, 9p (WSL), AFS, Ceph and FUSE, as `statfs(2)` numbers them.
    const REMOTE: [u32; 7] =
        [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x5346_414f, 0x00c3_6400, 0x6573_5546];
    rustix::fs::statfs(folder).is_ok_and(|found| REMOTE.contains(&(found.f_type as u32)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_remote(_folder: &Path) -> bool {
    false
}
