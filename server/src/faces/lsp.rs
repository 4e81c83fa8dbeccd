//! The sidecar: `kernel-keeper lsp`, one behind each editor window, LSP on standard input and output.
//!
//! It holds nothing that cannot be had again: its end, in whatever way, ends no kernel and loses no output.

mod backend;
mod cells;
mod conversations;
mod documents;
mod language;
mod methods;
mod methods_snapshots;
mod outgoing;
mod params;
mod stdio;
mod transport;
mod watch;

use std::sync::Arc;

use tower_lsp::{LspService, Server};

use crate::paths::Folders;

/// Handlers that wait at once. None waits for a person, so that this never binds; the default of four would let four
/// starting kernels block `shutdown`.
const CONCURRENCY: usize = 4_096;

/// Serves one editor window until its end.
pub fn run(folders: Folders) -> std::io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(8).build()?;
    runtime.block_on(async {
        let shared = Arc::new(backend::Shared::new(folders));
        let (service, socket) = {
            let shared = shared.clone();
            let builder = LspService::build(move |client| backend::Backend::new(client, shared));
            methods::register(builder).finish()
        };
        let pipes = transport::connect();
        let serve =
            Server::new(pipes.input, pipes.output, socket).concurrency_level(CONCURRENCY).serve(service);
        let mut ended = pipes.ended;
        tokio::select! {
            () = serve => {}
            _ = ended.wait_for(|ended| *ended) => {}
        }
        // What was answered last may still be on its way out.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(100), pipes.written).await;
        if let Some(sessions) = shared.sessions() {
            sessions.leave();
        }
        // Threads that read from the disk or standard input must not hold up the end.
        let told_to_exit = pipes.told_to_exit.load(std::sync::atomic::Ordering::Relaxed);
        std::process::exit(i32::from(told_to_exit && !shared.was_shut_down()));
    })
}
