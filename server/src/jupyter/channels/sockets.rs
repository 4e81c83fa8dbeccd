//! Making the ZMQ sockets, as soon as the kernel has bound its own and not later.
//!
//! The crate sleeps (50 ms, then twice as long each time) after a refused connection, which would show in every
//! start: so each endpoint is probed every few milliseconds first, and connected when it answers.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use zeromq::util::PeerIdentity;
use zeromq::{DealerSocket, Socket, SocketOptions, SubSocket, ZmqError};

use super::super::connection::ConnectionFile;
use super::Error;

const PROBE_EVERY: Duration = Duration::from_millis(5);

pub(super) struct Sockets {
    pub iopub: SubSocket,
    pub shell: DealerSocket,
    pub control: DealerSocket,
    pub stdin: DealerSocket,
}

impl Sockets {
    /// All but iopub, which is connected to nothing yet and receives nothing.
    pub async fn connect(
        connection: &ConnectionFile,
        identity: &str,
        limit: Duration,
    ) -> Result<Sockets, Error> {
        let began = Instant::now();
        let dealer = async |what, port| connect_dealer(connection, what, port, identity, began, limit).await;
        Ok(Sockets {
            iopub: SubSocket::new(),
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
    wait_until_bound(&connection.endpoint(port), what, began, limit).await?;
    let mut options = SocketOptions::default();
    options.connect_timeout(limit.saturating_sub(began.elapsed()));
    options
        .peer_identity(PeerIdentity::try_from(identity.as_bytes()).map_err(|source| refused(what, source))?);
    let mut dealer = DealerSocket::with_options(options);
    dealer.connect(&connection.endpoint(port)).await.map_err(|source| refused(what, source))?;
    Ok(dealer)
}

/// A subscriber to everything.
pub(super) async fn connect_iopub(endpoint: &str, limit: Duration) -> Result<SubSocket, Error> {
    let began = Instant::now();
    wait_until_bound(endpoint, "iopub", began, limit).await?;
    let mut options = SocketOptions::default();
    options.connect_timeout(limit.saturating_sub(began.elapsed()));
    let mut iopub = SubSocket::with_options(options);
    let connected = async {
        iopub.connect(endpoint).await?;
        iopub.subscribe("").await
    };
    connected.await.map_err(|source| refused("iopub", source))?;
    Ok(iopub)
}

/// Returns when the kernel listens at `endpoint`.
pub(in crate::jupyter) async fn wait_until_bound(
    endpoint: &str,
    what: &'static str,
    began: Instant,
    limit: Duration,
) -> Result<(), Error> {
    while let Err(error) = probe(endpoint).await {
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

async fn probe(endpoint: &str) -> io::Result<()> {
    if let Some(address) = endpoint.strip_prefix("tcp://") {
        tokio::net::TcpStream::connect(address).await?;
        return Ok(());
    }
    #[cfg(unix)]
    if let Some(path) = endpoint.strip_prefix("ipc://") {
        tokio::net::UnixStream::connect(path).await?;
        return Ok(());
    }
    Err(io::ErrorKind::Unsupported.into())
}

fn refused(what: &'static str, source: ZmqError) -> Error {
    Error::Connect { what, source: Box::new(source) }
}
