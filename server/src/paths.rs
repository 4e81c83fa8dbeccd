//! Where everything is: the state folder, the runtime folder, and what lies in them.
//!
//! Both folders are private (0700). The runtime folder lies in the state folder by default, because platforms empty
//! their own runtime folder at logout; where its paths would be too long for a socket, or lie where another host can see
//! them, it is a short folder made from a hash of the long one, so that every process finds the same. That stand-in lies
//! where everybody may make folders and links: it is looked at each time that something is made in it.

use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use sha2::{Digest, Sha256};

/// The longest path that a Unix socket can have on Linux (macOS: 103), without the final NUL.
const LONGEST_SOCKET: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// `/<id>/keeper.sock`, the longest name below the runtime folder.
const BELOW_RUNTIME: usize = 1 + 8 + 1 + 11;

/// How the short name begins that stands in for a long runtime folder.
const STAND_IN: &str = "kernel-keeper-";

/// The two folders, absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    pub state: PathBuf,
    pub runtime: PathBuf,
}

impl Folders {
    /// From `KERNEL_KEEPER_STATE_DIR` and `KERNEL_KEEPER_RUNTIME_DIR`, else the platform's per-user state folder.
    ///
    /// # Errors
    /// Where no home folder is known, or a folder cannot be made or made private; the message names it.
    pub fn from_environment() -> io::Result<Folders> {
        let state = match std::env::var_os("KERNEL_KEEPER_STATE_DIR").filter(|v| !v.is_empty()) {
            Some(dir) => std::path::absolute(dir)?,
            None => default_state()?,
        };
        let runtime = match std::env::var_os("KERNEL_KEEPER_RUNTIME_DIR").filter(|v| !v.is_empty()) {
            Some(dir) => std::path::absolute(dir)?,
            None => state.join("run"),
        };
        Self::at(&state, &runtime)
    }

    /// Makes both folders, private.
    pub fn at(state: &Path, runtime: &Path) -> io::Result<Folders> {
        let runtime = fit_for_sockets(runtime, is_remote(runtime));
        make_private(state)?;
        make_private(&runtime)?;
        make_private(&state.join("sessions"))?;
        Ok(Folders { state: state.to_owned(), runtime })
    }

    /// `sessions/<id>`: session.json, journal.db, assets, logs.
    pub fn session(&self, id: &str) -> PathBuf {
        self.state.join("sessions").join(id)
    }

    /// All session folders that are there, by id.
    ///
    /// # Errors
    /// Those of listing their folder.
    pub fn session_ids(&self) -> io::Result<Vec<String>> {
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(self.state.join("sessions"))? {
            ids.extend(entry?.file_name().into_string().ok().filter(|name| crate::ids::is_id(name)));
        }
        Ok(ids)
    }

    /// `session.json` of a session.
    pub fn session_file(&self, id: &str) -> PathBuf {
        self.session(id).join("session.json")
    }

    /// The kernel's own standard output and error.
    pub fn kernel_log(&self, id: &str) -> PathBuf {
        self.session(id).join("kernel.log")
    }

    /// Room that is set aside for what must be written on a full disk.
    pub fn reserve(&self, id: &str) -> PathBuf {
        self.session(id).join("reserve")
    }

    /// What was known last of its variables.
    pub fn variables_file(&self, id: &str) -> PathBuf {
        self.session(id).join("variables.json")
    }

    /// What a session's variables were at moments that a person chose.
    pub fn snapshots(&self, id: &str) -> PathBuf {
        self.session(id).join("snapshots")
    }

    /// The keeper's log.
    pub fn keeper_log(&self, id: &str) -> PathBuf {
        self.session(id).join("keeper.log")
    }

    /// A session's folder of sockets.
    pub fn run(&self, id: &str) -> PathBuf {
        self.runtime.join(id)
    }

    /// The socket that the keeper listens on.
    pub fn socket(&self, id: &str) -> PathBuf {
        self.run(id).join("keeper.sock")
    }

    /// The file that the keeper holds locked for life.
    pub fn lock(&self, id: &str) -> PathBuf {
        self.run(id).join("keeper.lock")
    }

    /// The kernel's connection file.
    pub fn connection_file(&self, id: &str) -> PathBuf {
        self.run(id).join("kernel.json")
    }

    /// Before the number of each of the kernel's sockets.
    pub fn kernel_sockets(&self, id: &str) -> PathBuf {
        self.run(id).join("kernel")
    }

    /// The kernel's sockets that are there: those of its connection file, and what it made beside them.
    fn kernel_socket_files(&self, id: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.run(id)).into_iter().flatten().flatten();
        let is_one = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.starts_with("kernel-"));
        entries.filter(|entry| is_one(&entry.file_name())).map(|entry| entry.path()).collect()
    }

    /// Whether a session left any.
    pub fn has_kernel_sockets(&self, id: &str) -> bool {
        !self.kernel_socket_files(id).is_empty()
    }

    /// Removes them: the kernel has ended. Only whoever holds the session's lock may.
    pub fn remove_kernel_sockets(&self, id: &str) {
        for file in self.kernel_socket_files(id) {
            let _ = std::fs::remove_file(file);
        }
    }

    /// Touched after every commit to the registry.
    pub fn bell(&self) -> PathBuf {
        self.runtime.join("bell")
    }
}

/// Makes a folder with all above it, and makes it private where it is not.
///
/// # Errors
/// The folder's own; `PermissionDenied` where it is another user's or everybody's, or lies in a stand-in for the runtime folder
/// that is no folder of this user alone.
pub fn make_private(dir: &Path) -> io::Result<()> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", dir.display()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
        let refuse = |what: &str| Err(named(io::Error::new(io::ErrorKind::PermissionDenied, what)));
        let stand_in = dir.ancestors().find(|above| is_stand_in(above));
        if let Some(above) = stand_in.filter(|above| *above != dir) {
            make_private(above)?;
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(named)?;
        // Opened once, so that what is looked at is what is changed.
        let mut flags = rustix::fs::OFlags::DIRECTORY;
        if stand_in == Some(dir) {
            if std::fs::symlink_metadata(dir).map_err(named)?.is_symlink() {
                return refuse(
                    "somebody made a link where the runtime folder must be: remove it, or set \
                     KERNEL_KEEPER_RUNTIME_DIR to a private folder with a short path",
                );
            }
            flags |= rustix::fs::OFlags::NOFOLLOW;
        }
        let mut options = std::fs::OpenOptions::new();
        options.read(true);
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits() as i32);
        let opened = options.open(dir).map_err(named)?;
        let found = opened.metadata().map_err(named)?;
        let mode = found.permissions().mode();
        if found.uid() != rustix::process::geteuid().as_raw() {
            return refuse(
                "the folder belongs to another user: name a private one (KERNEL_KEEPER_STATE_DIR, \
                 KERNEL_KEEPER_RUNTIME_DIR)",
            );
        }
        // The sticky bit alone says nothing: jupyter_client sets it on each folder of a connection file.
        if mode & 0o1000 != 0 && mode & 0o002 != 0 {
            return refuse("this folder is for everybody's files: name a folder below it");
        }
        if stand_in == Some(dir) && mode & 0o022 != 0 {
            return refuse("others could write into it, and nobody knows what they left: remove it");
        }
        if mode & 0o077 != 0 {
            opened.set_permissions(std::fs::Permissions::from_mode(0o700 | mode & 0o1000)).map_err(named)?;
        }
    }
    #[cfg(not(unix))]
    std::fs::create_dir_all(dir).map_err(named)?;
    Ok(())
}

/// Opens a file for appending, readable by this user alone from its creation.
pub fn open_private(path: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true).read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

/// What a file is, whatever its name: device and inode, and when it came to be, because a new file gets the inode of one
/// that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    pub device: u64,
    pub inode: u64,
    /// Nanoseconds since 1970; `None` where the file system does not tell.
    pub born: Option<i64>,
}

/// The identity of the file at a path, links followed; `None` where there is none, or the platform tells none.
pub fn file_identity(path: &Path) -> Option<FileIdentity> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(path).ok()?;
        let born = found.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let born = born.and_then(|at| i64::try_from(at.as_nanos()).ok());
        Some(FileIdentity { device: found.dev(), inode: found.ino(), born })
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// When the file at a path came to be there, or was changed last, in milliseconds since 1970: whatever times a copy kept.
pub fn changed_at(path: &Path) -> Option<i64> {
    let found = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some(found.ctime() * 1_000 + found.ctime_nsec() / 1_000_000)
    }
    #[cfg(not(unix))]
    {
        let changed = found.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(changed.as_millis()).ok()
    }
}

/// Whether a file system is another machine's, or may be: it reports no changes that others make, has no memory that
/// processes could share, and no sockets. Asked of the nearest folder that is there.
pub fn is_remote(path: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        // NFS, CIFS, SMB2, 9p (WSL), AFS, Ceph and FUSE, as `statfs(2)` numbers them.
        const REMOTE: [u32; 7] =
            [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x5346_414f, 0x00c3_6400, 0x6573_5546];
        let found = path.ancestors().find_map(|folder| rustix::fs::statfs(folder).ok());
        found.is_some_and(|found| REMOTE.contains(&(found.f_type as u32)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}

/// Touches the bell, so that every sidecar looks at the registry again.
pub fn ring(bell: &Path) -> io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    let mut options = std::fs::OpenOptions::new();
    options.create(true).write(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Always the same byte: written is what watchers hear.
    let mut file = options.open(bell)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(b"\n")
}

fn default_state() -> io::Result<PathBuf> {
    let strategy = etcetera::choose_base_strategy().map_err(|_| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "no home folder is known: set KERNEL_KEEPER_STATE_DIR to a private folder",
        )
    })?;
    Ok(strategy.state_dir().unwrap_or_else(|| strategy.data_dir()).join("kernel-keeper"))
}

fn fit_for_sockets(runtime: &Path, is_remote: bool) -> PathBuf {
    if !is_remote && runtime.as_os_str().len() + BELOW_RUNTIME <= LONGEST_SOCKET {
        return runtime.to_owned();
    }
    let hash = Sha256::digest(runtime.as_os_str().as_encoded_bytes());
    let name: String = hash.iter().take(6).map(|b| format!("{b:02x}")).collect();
    Path::new("/tmp").join(format!("{STAND_IN}{name}"))
}

/// Whether a folder is where the runtime folder lies that would be too long.
fn is_stand_in(dir: &Path) -> bool {
    let name = dir.file_name().and_then(|name| name.to_str());
    dir.parent() == Some(Path::new("/tmp")) && name.is_some_and(|name| name.starts_with(STAND_IN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runtime_folders_get_a_short_stand_in() {
        let long = Path::new("/home/somebody").join("x".repeat(90));
        let short = fit_for_sockets(&long, false);
        assert!(short.as_os_str().len() < 60 && short == fit_for_sockets(&long, false));
        let usual = Path::new("/home/a/run");
        assert_eq!(fit_for_sockets(usual, false), usual);
        assert!(fit_for_sockets(usual, true).starts_with("/tmp"));
    }

    #[test]
    fn file_systems_of_this_host() {
        assert!(!is_remote(&std::env::temp_dir().join("not there yet")));
        assert!(!is_remote(Path::new("")));
    }

    #[cfg(unix)]
    #[test]
    fn folders_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
        let folders = Folders::at(&open, &open.join("run")).unwrap();
        for dir in [&folders.state, &folders.runtime] {
            assert_eq!(std::fs::metadata(dir).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_sticky_bit_alone_is_no_harm() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let check = |mode: u32, expect: Option<u32>| {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let made = make_private(dir.path());
            assert_eq!(made.is_ok(), expect.is_some(), "{mode:o}: {made:?}");
            let now = std::fs::metadata(dir.path()).unwrap().permissions().mode() & 0o7777;
            assert_eq!(now, expect.unwrap_or(mode), "{mode:o}");
        };
        check(0o1700, Some(0o1700));
        check(0o1755, Some(0o1700));
        check(0o777, Some(0o700));
        check(0o1777, None);
    }

    #[cfg(unix)]
    #[test]
    fn a_stand_in_is_a_folder_of_this_user_alone() {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("x".repeat(90));
        let stand_in = fit_for_sockets(&long, false);
        let refused = |what: &str| {
            for made in [make_private(&stand_in), make_private(&stand_in.join("id"))] {
                let error = made.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
                let text = error.to_string();
                assert!(text.contains(what) && text.starts_with(stand_in.to_str().unwrap()), "{text}");
            }
            assert!(Folders::at(&dir.path().join("state"), &long).is_err());
        };
        let target = dir.path().join("target");
        std::fs::DirBuilder::new().mode(0o700).create(&target).unwrap();
        symlink(&target, &stand_in).unwrap();
        refused("a link");
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0, "nothing is made where it leads");
        std::fs::remove_file(&stand_in).unwrap();

        std::fs::create_dir(&stand_in).unwrap();
        std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o777)).unwrap();
        refused("others could write");
        if rustix::process::geteuid().is_root() {
            std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o700)).unwrap();
            std::os::unix::fs::chown(&stand_in, Some(1), None).unwrap();
            refused("another user");
        }
        std::fs::remove_dir(&stand_in).unwrap();

        let folders = Folders::at(&dir.path().join("state"), &long).unwrap();
        make_private(&folders.run("id")).unwrap();
        std::fs::remove_dir_all(&stand_in).unwrap();
    }
}
