//! The bell: a file that is touched after a registry commit, so that the other processes look.

use std::io;
use std::path::Path;

use notify::event::{EventKind, ModifyKind};

/// Makes the bell where it is missing, without ringing it.
pub(super) fn make(bell: &Path) -> io::Result<()> {
    crate::paths::open_private(bell).map(drop)
}

/// Whether that was a ring.
pub(super) fn is_ring(event: &notify::Event, bell: &Path) -> bool {
    let written = matches!(event.kind, EventKind::Modify(ModifyKind::Data(_)) | EventKind::Create(_));
    written && event.paths.iter().any(|path| path == bell)
}
