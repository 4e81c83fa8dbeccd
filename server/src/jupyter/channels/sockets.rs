//! Making the ZMQ sockets, as soon as the kernel has bound its own and not later.
//!
//! The crate sleeps (50 ms, then twice as long each time) after a refused connection, which would show in every
//! start: so each endpoint is probed every few milliseconds first, and connected when it answers.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
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
    let mut options = SocketOptions::default();
    options
        .peer_identity(PeerIdentity::try_from(identity.as_bytes()).map_err(|source| refused(what, source))?);
    connect(options, &connection.endpoint(port), what, began, limit).await
}

/// A subscriber to everything.
pub(super) async fn connect_iopub(endpoint: &str, limit: Duration) -> Result<SubSocket, Error> {
    let mut iopub: SubSocket =
        connect(SocketOptions::default(), endpoint, "iopub", Instant::now(), limit).await?;
    iopub.subscribe("").await.map_err(|source| refused("iopub", source))?;
    Ok(iopub)
}

/// Connects once the kernel listens. What is closed before the two have greeted each other is connected anew until the limit: a
/// starting kernel may do that, and so may a program that held a port of the kernel's for a moment.
async fn connect<S: Socket>(
    mut options: SocketOptions,
    endpoint: &str,
    what: &'static str,
    began: Instant,
    limit: Duration,
) -> Result<S, Error> {
    options.no_connect_timeout();
    let mut socket = S::with_options(options);
    let connected = timeout_at(began + limit, async {
        loop {
            wait_until_bound(endpoint, what, began, limit).await?;
            match socket.connect(endpoint).await {
                Err(error) if was_closed(&error) => sleep(PROBE_EVERY).await,
                connected => return connected.map_err(|source| refused(what, source)),
            }
        }
    });
    connected.await.unwrap_or(Err(Error::Deadline { what, after: limit }))?;
    Ok(socket)
}

/// Whether the other side was gone in mid-greeting: the crate tells an end of input without its cause.
fn was_closed(error: &ZmqError) -> bool {
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |cause| cause.source());
    matches!(error, ZmqError::Other(_)) || causes.any(|cause| cause.is::<io::Error>())
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

#[cfg(test)]
mod tests {
    use zeromq::PubSocket;

    use super::*;

    #[tokio::test]
    async fn who_closes_in_mid_greeting_is_greeted_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel-1");
        let endpoint = format!("ipc://{}", path.display());
        let other = tokio::net::UnixListener::bind(&path).unwrap();
        let kernel = tokio::spawn({
            let endpoint = endpoint.clone();
            async move {
                // The probe, the connection, and the next probe.
                for _ in 0..3 {
                    drop(other.accept().await.unwrap());
                }
                drop(other);
                std::fs::remove_file(&path).unwrap();
                let mut kernel = PubSocket::new();
                kernel.bind(&endpoint).await.unwrap();
                kernel
            }
        });
        connect_iopub(&endpoint, Duration::from_secs(10)).await.unwrap();
        kernel.await.unwrap();
    }

    #[tokio::test]
    async fn who_never_greets_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel-1");
        let _silent = tokio::net::UnixListener::bind(&path).unwrap();
        let refused = connect_iopub(&format!("ipc://{}", path.display()), Duration::from_millis(50)).await;
        assert_eq!(
            refused.err().unwrap().to_string(),
            "the kernel did not open its iopub channel within 50 ms"
        );
    }
}
