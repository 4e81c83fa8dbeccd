//! Making the ZMQ sockets, as soon as the kernel has bound its own and not later.
//!
//! The crate sleeps (50 ms, then twice as long each time) after a refused connection, which would show in every
//! start: so each endpoint is probed every few milliseconds first, and connected when it answers.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use zeromq::util::PeerIdentity;
use zeromq::{DealerSocket, Socket, SocketOptions, SubSocket, ZmqError};

use super::super::connection::{ConnectionFile, Transport};
use super::Error;

const PROBE_EVERY: Duration = Duration::from_millis(5);

pub(super) struct Sockets {
    pub iopub: SubSocket,
    pub shell: DealerSocket,
    pub control: DealerSocket,
    pub stdin: DealerSocket,
}

impl Sockets {
    /// Sockets that are connected to nothing: they receive nothing and refuse to send.
    pub fn unconnected() -> Sockets {
        Sockets {
            iopub: SubSocket::new(),
            shell: DealerSocket::new(),
            control: DealerSocket::new(),
            stdin: DealerSocket::new(),
        }
    }

    /// iopub first, so that nothing that a request causes is missed.
    pub async fn connect(
        connection: &ConnectionFile,
        identity: &str,
        limit: Duration,
    ) -> Result<Sockets, Error> {
        let began = Instant::now();
        let iopub = connect_iopub(connection, began, limit).await?;
        let dealer = async |what, port| connect_dealer(connection, what, port, identity, began, limit).await;
        Ok(Sockets {
            iopub,
            shell: dealer("shell", connection.shell_port).await?,
            control: dealer("control", connection.control_port).await?,
            stdin: dealer("stdin", connection.stdin_port).await?,
        })
    }
}

async fn connect_dealer(
    connection: &ConnectionFile,
    what: &'static str,
    port: u16,
    identity: &str,
    began: Instant,
    limit: Duration,
) -> Result<DealerSocket, Error> {
    wait_until_bound(connection, port, what, began, limit).await?;
    let mut options = SocketOptions::default();
    options.connect_timeout(limit.saturating_sub(began.elapsed()));
    options
        .peer_identity(PeerIdentity::try_from(identity.as_bytes()).map_err(|source| refused(what, source))?);
    let mut dealer = DealerSocket::with_options(options);
    dealer.connect(&connection.endpoint(port)).await.map_err(|source| refused(what, source))?;
    Ok(dealer)
}

/// A subscriber to everything.
pub(super) async fn connect_iopub(
    connection: &ConnectionFile,
    began: Instant,
    limit: Duration,
) -> Result<SubSocket, Error> {
    wait_until_bound(connection, connection.iopub_port, "iopub", began, limit).await?;
    let mut options = SocketOptions::default();
    options.connect_timeout(limit.saturating_sub(began.elapsed()));
    let mut iopub = SubSocket::with_options(options);
    let connected = async {
        iopub.connect(&connection.endpoint(connection.iopub_port)).await?;
        iopub.subscribe("").await
    };
    connected.await.map_err(|source| refused("iopub", source))?;
    Ok(iopub)
}

/// Returns when the kernel listens on `port`.
pub(in crate::jupyter) async fn wait_until_bound(
    connection: &ConnectionFile,
    port: u16,
    what: &'static str,
    began: Instant,
    limit: Duration,
) -> Result<(), Error> {
    while let Err(error) = probe(connection, port).await {
        if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
            return Err(refused(what, ZmqError::Network(error)));
        }
        if began.elapsed() >= limit {
            return Err(Error::Deadline { what, after: limit });
        }
        sleep(PROBE_EVERY).await;
    }
    Ok(())
}

async fn probe(connection: &ConnectionFile, port: u16) -> io::Result<()> {
    match connection.transport {
        Transport::Tcp => {
            tokio::net::TcpStream::connect((connection.ip.as_str(), port)).await?;
        }
        #[cfg(unix)]
        Transport::Ipc => {
            tokio::net::UnixStream::connect(connection.socket_path(port)).await?;
        }
        #[cfg(not(unix))]
        Transport::Ipc => return Err(io::ErrorKind::Unsupported.into()),
    }
    Ok(())
}

fn refused(what: &'static str, source: ZmqError) -> Error {
    Error::Connect { what, source: Box::new(source) }
}
