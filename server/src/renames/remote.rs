//! Which file systems report no changes that other machines make.

use std::path::Path;

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
