//! The connection file that a kernel is started with, and that an adopter finds it again by.
//!
//! Guarantees: written whole or not at all, readable by this user only from creation on; ipc paths that
//! fit into a socket address. Leaves out starting the kernel.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::message::random_hex;

/// The bytes that fit into `sockaddr_un` on Linux (108 with the closing zero); 103 on macOS.
const SOCKET_PATH_MAX: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// The names of folders for short paths begin so.
const SHORT: &str = "kk-";
/// A connection file is a few lines.
const LARGEST: u64 = 64 << 10;

#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("the socket path {} is {length} bytes long, at most {SOCKET_PATH_MAX} are possible", path.display())]
    PathTooLong { path: PathBuf, length: usize },
    #[error("the path {} is not valid UTF-8, a connection file cannot name it", .0.display())]
    PathNotText(PathBuf),
    #[error("the connection file {} cannot be used: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the connection file cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    #[error("the connection file {} is not readable: {source}", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error(
        "the kernel's messages are signed by the scheme \"{0}\", which Kernel Keeper does not know: it knows hmac-sha256, \
         hmac-sha512, hmac-sha384, hmac-sha224, hmac-sha1 and hmac-md5"
    )]
    Scheme(String),
    #[error("no free port on this machine: {0}")]
    NoPort(#[source] io::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Ipc,
    Tcp,
}

/// Jupyter's connection file, as it is on disk.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionFile {
    pub transport: Transport,
    /// An address, or for ipc the part of the socket paths before `-N`.
    pub ip: String,
    pub shell_port: u16,
    pub iopub_port: u16,
    pub stdin_port: u16,
    pub control_port: u16,
    pub hb_port: u16,
    pub key: String,
    #[serde(default = "usual_scheme")]
    pub signature_scheme: String,
    #[serde(default)]
    pub kernel_name: String,
    /// Ours: where ipykernel tells its output without dropping any, once it was asked to ([`super::iopub_without_limit`]).
    #[serde(default, rename = "kernel_keeper_iopub", skip_serializing_if = "Option::is_none")]
    pub iopub_without_limit: Option<String>,
}

impl std::fmt::Debug for ConnectionFile {
    /// Without the key: whoever reads a log must not be able to run code.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConnectionFile({:?} {} {:?})", self.transport, self.ip, self.ports())
    }
}

/// Holds the ports of a new tcp connection file until it is dropped: do that right before the kernel
/// is spawned, so that nobody else is given them meanwhile.
#[derive(Debug)]
pub struct PortReservation(#[expect(dead_code, reason = "held, never read")] Vec<TcpListener>);

impl ConnectionFile {
    /// Sockets `PREFIX-1` … `PREFIX-5`; the folder must be 0700, since kernels make them 0755.
    pub fn ipc(prefix: &Path, kernel_name: &str) -> Result<ConnectionFile, ConnectionError> {
        let ip = prefix.to_str().ok_or_else(|| ConnectionError::PathNotText(prefix.to_owned()))?;
        let length = ip.len() + "-N".len();
        if length > SOCKET_PATH_MAX {
            return Err(ConnectionError::PathTooLong { path: prefix.to_owned(), length });
        }
        Ok(ConnectionFile::new(Transport::Ipc, ip, [1, 2, 3, 4, 5], kernel_name))
    }

    /// The same in a new folder of its own under `/tmp`, for kernels that take short paths only (xeus: endpoints of at most
    /// 31 characters).
    pub fn short_ipc(kernel_name: &str) -> Result<ConnectionFile, ConnectionError> {
        let root = Path::new("/tmp");
        let fail = |source| ConnectionError::Io { path: root.to_owned(), source };
        let folder = tempfile::Builder::new().prefix(SHORT).tempdir_in(root).map_err(fail)?.keep();
        crate::paths::make_private(&folder).map_err(fail)?;
        Self::ipc(&folder.join("k"), kernel_name)
    }

    /// Free ports of 127.0.0.1, for kernels that cannot do ipc.
    pub fn tcp(kernel_name: &str) -> Result<(ConnectionFile, PortReservation), ConnectionError> {
        let mut ports = [0; 5];
        let mut held = Vec::new();
        for port in &mut ports {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(ConnectionError::NoPort)?;
            *port = listener.local_addr().map_err(ConnectionError::NoPort)?.port();
            held.push(listener);
        }
        let file = ConnectionFile::new(Transport::Tcp, "127.0.0.1", ports, kernel_name);
        Ok((file, PortReservation(held)))
    }

    fn new(transport: Transport, ip: &str, ports: [u16; 5], kernel_name: &str) -> ConnectionFile {
        let [shell_port, iopub_port, stdin_port, control_port, hb_port] = ports;
        ConnectionFile {
            transport,
            ip: ip.to_owned(),
            shell_port,
            iopub_port,
            stdin_port,
            control_port,
            hb_port,
            key: random_hex(),
            signature_scheme: usual_scheme(),
            kernel_name: kernel_name.to_owned(),
            iopub_without_limit: None,
        }
    }

    /// Writes it atomically, 0600 from creation on (as `tempfile` creates).
    pub fn write(&self, path: &Path) -> Result<(), ConnectionError> {
        let fail = |source| ConnectionError::Io { path: path.to_owned(), source };
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
        serde_json::to_writer_pretty(&mut file, self).map_err(|e| fail(e.into()))?;
        file.persist(path).map_err(|e| fail(e.error))?;
        Ok(())
    }

    pub fn read(path: &Path) -> Result<ConnectionFile, ConnectionError> {
        let bytes = crate::foreign::read(path, LARGEST).map_err(ConnectionError::Unreadable)?;
        serde_json::from_slice(&bytes)
            .map_err(|source| ConnectionError::Json { path: path.to_owned(), source })
    }

    /// Deletes the sockets that a dead kernel left behind, so that waiting for the next one's means
    /// something. Nothing for tcp.
    pub fn remove_sockets(&self) {
        if self.transport != Transport::Ipc {
            return;
        }
        for port in self.ports() {
            let _ = std::fs::remove_file(self.socket_path(port)); // Not there: as wanted.
        }
        let unlimited =
            self.iopub_without_limit.as_deref().and_then(|endpoint| endpoint.strip_prefix("ipc://"));
        unlimited.map(std::fs::remove_file);
        let folder = Path::new(&self.ip).parent().filter(|folder| is_short(folder));
        folder.map(std::fs::remove_dir);
    }

    /// Whether any of its sockets is there. Of tcp nobody knows.
    pub fn has_sockets(&self) -> bool {
        self.transport == Transport::Ipc && self.ports().iter().any(|port| self.socket_path(*port).exists())
    }

    pub fn ports(&self) -> [u16; 5] {
        [self.shell_port, self.iopub_port, self.stdin_port, self.control_port, self.hb_port]
    }

    /// The socket of a port; only for ipc.
    pub fn socket_path(&self, port: u16) -> PathBuf {
        PathBuf::from(format!("{}-{port}", self.ip))
    }

    /// Where the kernel's output is told by its own account.
    pub fn iopub_endpoint(&self) -> String {
        self.endpoint(self.iopub_port)
    }

    /// `ipc://…` or `tcp://…`, as ZMQ wants it.
    pub(super) fn endpoint(&self, port: u16) -> String {
        match self.transport {
            Transport::Ipc => format!("ipc://{}-{port}", self.ip),
            Transport::Tcp => format!("tcp://{}:{port}", self.ip),
        }
    }
}

/// Where none is named it is Jupyter's own.
fn usual_scheme() -> String {
    "hmac-sha256".to_owned()
}

/// Whether [`ConnectionFile::short_ipc`] made a folder.
fn is_short(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    folder.parent() == Some(Path::new("/tmp")) && name.is_some_and(|name| name.starts_with(SHORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_paths_are_short_private_and_removed() {
        let file = ConnectionFile::short_ipc("xpython").unwrap();
        let folder = Path::new(&file.ip).parent().unwrap().to_owned();
        assert!(file.endpoint(5).len() <= 31, "{}", file.ip);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
        std::fs::write(file.socket_path(1), "").unwrap();
        assert!(file.has_sockets());
        file.remove_sockets();
        assert!(!folder.exists());
    }

    #[test]
    fn written_and_read_again_for_this_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.json");
        let file = ConnectionFile::ipc(&folder.path().join("kernel"), "python3").unwrap();
        file.write(&path).unwrap();
        assert_eq!(ConnectionFile::read(&path).unwrap(), file);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(!format!("{file:?}").contains(&file.key));
    }

    #[test]
    fn sockets_have_to_fit() {
        let check = |length: usize, fits: bool| {
            let path = format!("/{}", "x".repeat(length - 1));
            assert_eq!(ConnectionFile::ipc(Path::new(&path), "").is_ok(), fits, "{length}");
        };
        check(SOCKET_PATH_MAX - 2, true);
        check(SOCKET_PATH_MAX - 1, false);
    }

    #[test]
    fn reads_what_jupyter_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.json");
        let check = |text: &str, readable: bool| {
            std::fs::write(&path, text).unwrap();
            assert_eq!(ConnectionFile::read(&path).is_ok(), readable, "{text}");
        };
        let ports = r#""shell_port":1,"iopub_port":2,"stdin_port":3,"control_port":4,"hb_port":5"#;
        let rest = r#""ip":"127.0.0.1","key":"","transport":"tcp","signature_scheme":"hmac-sha256""#;
        check(&format!("{{{ports},{rest},\"jupyter_session\":\"\"}}"), true);
        check(&format!("{{{ports}}}"), false);
        check("", false);
        assert!(ConnectionFile::read(&folder.path().join("absent")).is_err());
    }

    #[test]
    fn tcp_ports_are_held_and_differ() {
        let (file, held) = ConnectionFile::tcp("ir").unwrap();
        let mut ports = file.ports().to_vec();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 5);
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, file.shell_port)).is_err());
        drop(held);
    }
}
