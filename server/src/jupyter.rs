//! Speaking with Jupyter kernels: which there are, the connection file, messages, the channels.
//!
//! Knows nothing of sessions, journals or processes. A message that cannot be read is handed on as
//! [`Decoded::Unreadable`] with everything that came, never dropped.

mod channels;
mod connection;
mod environments;
mod gaps;
mod heartbeat;
mod kernelspec;
mod message;
mod repair;
mod running;
mod search;
mod signing;
mod silent;

pub use channels::{Channel, Channels, Error, Incoming};
pub use connection::{ConnectionError, ConnectionFile, PortReservation, Transport};
pub use environments::{ENVIRONMENT, Environment, environments};
pub use heartbeat::Heartbeat;
pub use kernelspec::{Installed, InterruptMode, Kernelspec, installed, is_python};
pub use message::{Decoded, Header, Message, Shown, Unreadable};
pub use repair::readable;
pub use running::{Found, connection_files};
pub use search::Search;
pub use signing::Signer;
pub use silent::{
    ask_for_input, input_of, iopub_without_limit, iopub_without_limit_of, list_variables, restore_snapshot,
    save_snapshot, snapshot_of, variables_of,
};
