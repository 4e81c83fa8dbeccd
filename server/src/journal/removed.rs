//! A journal whose files were removed, or replaced, under its keeper. What was written lies in files that only the keeper has
//! open still: it is written out again before anybody misses it.

use std::path::PathBuf;

use super::reader::files;
use super::{Error, Journal, Result, schema};
use crate::protocol::Time;

impl Journal {
    /// Puts the journal back in its place where it is there no more; whether it had to.
    ///
    /// # Errors
    /// It could not be; everything is as it was, and the next call tries again.
    pub fn put_back_if_removed(&mut self) -> Result<bool> {
        let path = schema::path(&self.dir);
        if files(&self.dir) == self.files {
            return Ok(false);
        }
        if path.is_dir() {
            // It may have been put away for a while; its log is to be there then.
            let source = std::io::ErrorKind::IsADirectory.into();
            return Err(Error::Io { path, source });
        }
        let failed = |path: &PathBuf| {
            let path = path.clone();
            move |source| Error::Io { path, source }
        };
        let copy = self.dir.join(format!(".journal-{}", crate::ids::unique()));
        let copied = self.db.execute("VACUUM INTO ?1", [copy.to_string_lossy()]);
        let placed = copied.map_err(Error::from).and_then(|_| {
            if path.is_file() && self.files[0] != files(&self.dir)[0] {
                // Somebody's, and none of ours to delete.
                let aside = self.dir.join(format!("journal.db.other-{}", Time::now().0));
                std::fs::rename(&path, &aside).map_err(failed(&aside))?;
            }
            // A log belongs to the file beside which it was written.
            for end in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(self.dir.join(format!("journal.db{end}")));
            }
            crate::paths::open_private(&copy).map_err(failed(&copy))?;
            std::fs::rename(&copy, &path).map_err(failed(&path))
        });
        if let Err(e) = placed {
            let _ = std::fs::remove_file(&copy);
            return Err(e);
        }
        self.db = schema::open_writer(&self.dir)?;
        self.files = files(&self.dir);
        Ok(true)
    }
}
