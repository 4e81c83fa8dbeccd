//! Launching a keeper so that it is nobody's child: editors kill their server's whole process tree, found through
//! parents. The face starts a launcher, the launcher a keeper, and the launcher exits at once, so that the keeper belongs
//! to init before it does anything.
//!
//! The open, locked `keeper.lock` goes down as standard input: the lock is held without a gap from the face's decision
//! to the keeper's end. Standard output is the pipe on which the keeper says that it is ready, or why not.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::frames::Refusal;
use crate::paths::Folders;
use crate::protocol::{Error, ErrorKind};

/// Why a keeper is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To start the session's kernel.
    Start,
    /// To take over a kernel whose keeper died.
    Adopt,
    /// To keep a kernel that another program started.
    Join,
}

impl Purpose {
    /// As an argument of `kernel-keeper keep`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Adopt => "adopt",
            Self::Join => "join",
        }
    }

    /// The reverse of [`as_str`](Self::as_str).
    pub fn parse(word: &str) -> Self {
        [Self::Adopt, Self::Join].into_iter().find(|p| p.as_str() == word).unwrap_or(Self::Start)
    }
}

/// The one line on the pipe.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Word {
    Ready,
    Failed(Refusal),
}

/// Tries to take a session's lock. `None`: its keeper, or another face that is at it, holds it.
pub fn take_lock(folders: &Folders, session_id: &str) -> io::Result<Option<File>> {
    crate::paths::make_private(&folders.run(session_id))?;
    let file = crate::paths::open_private(&folders.lock(session_id))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(e)) => Err(e),
    }
}

/// Launches the keeper of a session whose record is written, and waits until the kernel is ready.
///
/// # Errors
/// `KernelFailed` with the kernel's exit code and the tail of its output.
pub async fn launch(
    program: &Path,
    folders: &Folders,
    session_id: &str,
    purpose: Purpose,
    lock: File,
) -> Result<(), Error> {
    let failed = |what: String| Error::new(ErrorKind::KernelFailed, what).with("sessionId", session_id);
    let log = crate::paths::open_private(&folders.keeper_log(session_id))
        .map_err(|e| failed(format!("the keeper's log cannot be written: {e}")))?;
    let mut command = tokio::process::Command::new(program);
    command.args(["keep", "--launch", "--session", session_id, "--purpose", purpose.as_str()]);
    command.env_clear().envs(crate::process::clean(std::env::vars_os()));
    command.env("KERNEL_KEEPER_STATE_DIR", &folders.state).env("KERNEL_KEEPER_RUNTIME_DIR", &folders.runtime);
    command
        .current_dir(&folders.state)
        .stdin(Stdio::from(lock))
        .stdout(Stdio::piped())
        .stderr(Stdio::from(log));
    let mut launcher =
        command.spawn().map_err(|e| failed(format!("{} cannot be started: {e}", program.display())))?;
    // Piped above, so it is there.
    let Some(pipe) = launcher.stdout.take() else { return Err(failed("the keeper has no output".into())) };
    drop(command);
    tokio::spawn(async move { launcher.wait().await });
    let mut line = String::new();
    let read = BufReader::new(pipe).read_line(&mut line).await;
    match serde_json::from_str::<Word>(&line) {
        Ok(Word::Ready) => Ok(()),
        Ok(Word::Failed(refusal)) => Err(refusal.into()),
        Err(_) => {
            let why =
                read.err().map_or_else(|| tail(&folders.keeper_log(session_id), 2_000), |e| e.to_string());
            Err(failed(format!("the keeper of session {session_id} ended while starting: {why}")))
        }
    }
}

/// `kernel-keeper keep --launch`: leaves the face's process group and terminal, starts the keeper, and is done.
pub fn run_launcher(session_id: &str, purpose: &str) -> io::Result<()> {
    // Fails only where this process leads a group already, which is as good.
    let _ = rustix::process::setsid();
    std::process::Command::new(std::env::current_exe()?)
        .args(["keep", "--session", session_id, "--purpose", purpose])
        .spawn()?;
    Ok(())
}

/// Says the word to the face that waits, if it still does, and lets go of the pipe.
pub fn say(word: &Word) {
    let mut line = serde_json::to_string(word).unwrap_or_default();
    line.push('\n');
    let _ = io::stdout().write_all(line.as_bytes());
    let _ = io::stdout().flush();
    if let Ok(nowhere) = File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&nowhere);
    }
}

/// The end of a text file, for an error message; empty where there is none.
pub fn tail(path: &Path, bytes: u64) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
        let mut text = Vec::new();
        file.take(bytes).read_to_end(&mut text)?;
        Ok(text)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).trim().to_owned()
}
