//! Standard input and output without a thread in between, where they are pipes or sockets, as editors make them: each hop
//! to another thread would be felt in every answer.
//! Guarantees: they take no descriptors besides, of which a process may have few.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub fn input() -> Box<dyn AsyncRead + Send + Unpin> {
    match Direct::of(io::stdin()) {
        Some(direct) => Box::new(direct),
        None => Box::new(tokio::io::stdin()),
    }
}

pub fn output() -> Box<dyn AsyncWrite + Send + Unpin> {
    match Direct::of(io::stdout()) {
        Some(direct) => Box::new(direct),
        None => Box::new(tokio::io::stdout()),
    }
}

struct Direct<T: AsRawFd>(AsyncFd<T>);

impl<T: AsFd + AsRawFd> Direct<T> {
    /// None for files, which cannot be waited for, and terminals, which the shell uses, too.
    #[expect(
        deprecated,
        reason = "its successor is unsafe for handles that may change; a standard stream never does"
    )]
    fn of(stream: T) -> Option<Direct<T>> {
        let kind = FileType::from_raw_mode(fstat(&stream).ok()?.st_mode);
        if !matches!(kind, FileType::Fifo | FileType::Socket) {
            return None;
        }
        fcntl_setfl(&stream, fcntl_getfl(&stream).ok()? | OFlags::NONBLOCK).ok()?;
        AsyncFd::new(stream).ok().map(Direct)
    }
}

impl<T: AsFd + AsRawFd + Unpin> AsyncRead for Direct<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(context))?;
            let room = buffer.initialize_unfilled();
            let read = ready.try_io(|stream| Ok(rustix::io::read(stream.get_ref(), &mut *room)?));
            if let Ok(read) = read {
                return Poll::Ready(read.map(|bytes| buffer.advance(bytes)));
            }
        }
    }
}

impl<T: AsFd + AsRawFd + Unpin> AsyncWrite for Direct<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(context))?;
            if let Ok(written) = ready.try_io(|stream| Ok(rustix::io::write(stream.get_ref(), bytes)?)) {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
