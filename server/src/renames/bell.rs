//! The bell: a file that is written to after a registry commit, so that the other processes look.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Rings the bell, which is made where it is missing. It always stays one byte long.
pub fn ring(bell: &Path) -> io::Result<()> {
    open(bell)?.write_all(b"\n")
}

/// Makes the bell where it is missing, without ringing it.
pub(super) fn make(bell: &Path) -> io::Result<()> {
    open(bell).map(drop)
}

fn open(bell: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(bell)
}
