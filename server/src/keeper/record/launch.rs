//! What a session's kernel is started with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::keeper::kernel::Way;
use crate::protocol::{Error, ErrorKind};

/// All that is needed to start the kernel, and to start it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KernelLaunch {
    pub name: String,
    pub display_name: String,
    pub language: String,
    /// `{connection_file}` is filled in by the keeper, the rest was.
    pub argv: Vec<String>,
    /// The kernelspec's, and what the request added.
    pub env: BTreeMap<String, String>,
    /// Interrupt by a message rather than a signal.
    pub interrupt_by_message: bool,
    /// How it is spoken with: as its kernelspec says, or as was found by trying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    pub cwd: PathBuf,
    /// It runs where its notebook is: nobody named another folder.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside_notebook: bool,
}

impl KernelLaunch {
    /// Looks whether it can be started once more. Its folder may have been renamed: where it is the notebook's,
    /// it is still.
    ///
    /// # Errors
    /// `KernelFailed` where there is no such folder or program any more; the message names it.
    pub fn find_again(&mut self, notebook: Option<&Path>) -> Result<(), Error> {
        let failed = |what: String| Error::new(ErrorKind::KernelFailed, what);
        if !self.cwd.is_dir() {
            let folder = notebook.and_then(Path::parent);
            let folder = folder.filter(|folder| self.beside_notebook && folder.is_dir());
            let Some(folder) = folder else {
                let what = "is not there any more: nothing was ended; make it again, or start another kernel";
                return Err(failed(format!("the folder {} {what}", self.cwd.display())));
            };
            self.cwd = folder.to_owned();
        }
        let program = Path::new(self.argv.first().map_or("", String::as_str));
        if program.is_absolute() && !program.is_file() {
            let what = "is not there any more: nothing was ended; install it again, or start another kernel";
            return Err(failed(format!("the kernel's program {} {what}", program.display())));
        }
        Ok(())
    }

    /// Program and arguments.
    pub fn command(&self, connection_file: &Path) -> Vec<String> {
        let path = connection_file.to_string_lossy();
        self.argv.iter().map(|arg| arg.replace("{connection_file}", &path)).collect()
    }
}
