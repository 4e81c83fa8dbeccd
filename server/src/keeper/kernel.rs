//! The kernel's process and the first words with it: spawn, connect, probe, and ipykernel's high-water mark.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::{Child, Command};

use super::record::Record;
use crate::jupyter::{
    self, Channel, Channels, ConnectionFile, Decoded, Incoming, Message, PortReservation, Unlimited,
};
use crate::paths::Folders;
use crate::process::{self, Identity};

/// The client session that our own requests name.
pub const CLIENT: &str = "kernel-keeper";

/// How often an unanswered probe is repeated: the first may be sent before the kernel listens to us.
const PROBE_AGAIN: Duration = Duration::from_millis(500);
/// The subscription may take effect after the request did: asked again this long after the reply.
const SUBSCRIBED_AFTER: Duration = Duration::from_millis(50);
/// How long a kernel may take to answer at all.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long a kernel of another program may take to be connected.
const FOREIGN_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take to answer the request about its high-water mark.
const SILENT_LIMIT: Duration = Duration::from_secs(3);

/// A kernel that answers.
pub struct Greeted {
    pub channels: Channels,
    /// What arrived meanwhile and is not an answer to us.
    pub leftovers: Vec<Incoming>,
    /// Set where the kernel may drop output under load.
    pub warning: Option<String>,
}

/// A kernel whose process could not be started, or was gone before it could be looked at.
pub struct NotSpawned {
    pub why: std::io::Error,
    /// Its exit code, where it had begun.
    pub code: Option<i32>,
}

impl From<std::io::Error> for NotSpawned {
    fn from(why: std::io::Error) -> NotSpawned {
        NotSpawned { why, code: None }
    }
}

/// Starts the kernel's process: own process group, output into kernel.log, the keeper's clean environment and what the
/// session adds to it.
pub fn spawn(record: &Record, folders: &Folders) -> Result<(Child, Identity, ConnectionFile), NotSpawned> {
    let id = &record.id;
    let failed = |e: jupyter::ConnectionError| std::io::Error::other(e.to_string());
    let mut reserved: Option<PortReservation> = None;
    // ipykernel does ipc, where nobody else can listen; of other kernels few do, and tcp buffers more.
    let connection = if is_python(&record.kernel.language) {
        ConnectionFile::ipc(&folders.kernel_sockets(id), &record.kernel.name).map_err(failed)?
    } else {
        let (file, ports) = ConnectionFile::tcp(&record.kernel.name).map_err(failed)?;
        reserved = Some(ports);
        file
    };
    connection.remove_sockets();
    let path = folders.connection_file(id);
    connection.write(&path).map_err(failed)?;
    let kernel = &record.kernel;
    let argv = kernel.command(&path);
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| std::io::Error::other(format!("the kernelspec {} names no program", kernel.name)))?;
    let log = crate::paths::open_private(&folders.kernel_log(id))?;
    let environment =
        process::with_interpreter_first(process::clean(std::env::vars_os()), &PathBuf::from(program));
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment).envs(&kernel.env);
    command.current_dir(&kernel.cwd).process_group(0);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(false);
    drop(reserved);
    let mut child = command
        .spawn()
        .map_err(|e| std::io::Error::new(e.kind(), format!("{program} in {}: {e}", kernel.cwd.display())))?;
    match child.id().and_then(process::identity_of) {
        Some(identity) => Ok((child, identity, connection)),
        None => {
            // Gone already, so that this does not wait.
            let code = child.try_wait().ok().flatten().and_then(|status| status.code());
            let ended = code.map_or_else(String::new, |code| format!(" with code {code}"));
            Err(NotSpawned { why: std::io::Error::other(format!("it ended at once{ended}")), code })
        }
    }
}

/// Connects to a kernel that was just started, and waits until it answers and its output reaches us.
pub async fn greet(
    connection: ConnectionFile,
    identity: String,
    language: String,
) -> Result<Greeted, String> {
    let greeted = tokio::time::timeout(START_LIMIT, async {
        let mut channels =
            Channels::connect(&connection, &identity, START_LIMIT).await.map_err(|e| e.to_string())?;
        let mut leftovers = Vec::new();
        probe(&mut channels, Channel::Shell, &mut leftovers).await?;
        let request = jupyter::unlimited_iopub(CLIENT, true);
        let warning =
            raise_high_water_mark(&mut channels, Channel::Shell, request, &language, &mut leftovers).await;
        Ok(Greeted { channels, leftovers, warning })
    });
    greeted
        .await
        .unwrap_or_else(|_| Err(format!("the kernel did not answer within {} s", START_LIMIT.as_secs())))
}

/// Connects to a kernel whose keeper died. It may be busy: only its control channel is asked, which a busy ipykernel
/// answers too; a kernel that does not is taken as it is after two seconds.
pub async fn meet_again(
    connection: ConnectionFile,
    identity: String,
    language: String,
    foreign: bool,
) -> Result<Greeted, String> {
    // It bound its sockets long ago.
    let limit = if foreign { FOREIGN_LIMIT } else { START_LIMIT };
    let mut channels = Channels::connect(&connection, &identity, limit).await.map_err(|e| e.to_string())?;
    let mut leftovers = Vec::new();
    let asked =
        tokio::time::timeout(Duration::from_secs(2), probe(&mut channels, Channel::Control, &mut leftovers));
    let mut warning = None;
    if matches!(asked.await, Ok(Ok(()))) {
        // In the folder of another program's connection file nothing of ours is made.
        let request = jupyter::unlimited_iopub(CLIENT, !foreign);
        warning =
            raise_high_water_mark(&mut channels, Channel::Control, request, &language, &mut leftovers).await;
    }
    Ok(Greeted { channels, leftovers, warning })
}

/// Asks for `kernel_info` until both the reply and the kernel's `status` on iopub came: then the subscription works.
/// (`iopub_welcome` is for the first subscriber only.)
async fn probe(channels: &mut Channels, on: Channel, leftovers: &mut Vec<Incoming>) -> Result<(), String> {
    let (mut replied, mut heard) = (false, false);
    let mut asked: Vec<String> = Vec::new();
    while !(replied && heard) {
        let message = kernel_info_request();
        asked.push(message.header.msg_id.clone());
        channels.send(on, &message).await.map_err(|e| e.to_string())?;
        let mut again = std::pin::pin!(tokio::time::sleep(PROBE_AGAIN));
        while !(replied && heard) {
            let incoming = tokio::select! {
                incoming = channels.recv() => incoming.map_err(|e| e.to_string())?,
                () = &mut again => break,
            };
            let ours = answers(&incoming, &asked);
            if !ours {
                leftovers.push(incoming);
            } else if incoming.channel == Channel::Iopub {
                heard = true;
            } else {
                replied = true;
                again.as_mut().reset(tokio::time::Instant::now() + SUBSCRIBED_AFTER);
            }
        }
    }
    Ok(())
}

/// Sets ipykernel's iopub high-water mark to none. Its default of 1,000 messages drops output in silence under load.
/// Returns a sentence for people where it could not be set.
async fn raise_high_water_mark(
    channels: &mut Channels,
    on: Channel,
    message: Message,
    language: &str,
    leftovers: &mut Vec<Incoming>,
) -> Option<String> {
    if !is_python(language) {
        return None;
    }
    let id = [message.header.msg_id.clone()];
    channels.send(on, &message).await.ok()?;
    let wait = async {
        loop {
            let incoming = channels.recv().await.map_err(|e| e.to_string())?;
            if !answers(&incoming, &id) {
                leftovers.push(incoming);
            } else if let Decoded::Message(m) = &incoming.decoded
                && m.msg_type() == "execute_reply"
            {
                return Ok::<_, String>(jupyter::unlimited_iopub_outcome(&m.content));
            }
        }
    };
    match tokio::time::timeout(SILENT_LIMIT, wait).await {
        Ok(Ok(Unlimited::Yes)) => None,
        other => {
            tracing::warn!("the kernel's high-water mark could not be raised: {other:?}");
            Some("This kernel may drop output when it prints very fast.".to_owned())
        }
    }
}

fn answers(incoming: &Incoming, asked: &[String]) -> bool {
    let Decoded::Message(message) = &incoming.decoded else { return false };
    message.parent_id().is_some_and(|parent| asked.iter().any(|id| id == parent))
}

/// Whether the kernelspec is of the family that ipykernel is of.
pub fn is_python(language: &str) -> bool {
    language.eq_ignore_ascii_case("python")
}

/// The kernel makes its sockets with its own umask: closed to others here, though nobody else enters the folder.
pub fn close_sockets_to_others(folders: &Folders, id: &str) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(folders.run(id)).into_iter().flatten().flatten() {
        let _ = std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o600));
    }
}

/// An execution as the kernel wants it.
pub fn execute_request(execution_id: &str, code: &str) -> Message {
    let content = json!({
        "code": code, "silent": false, "store_history": true, "user_expressions": {},
        "allow_stdin": true, "stop_on_error": false,
    });
    let mut message = Message::request("execute_request", CLIENT, content);
    message.header.msg_id = execution_id.to_owned();
    message
}

/// Asks what the kernel is; its answer comes after all that it was at.
pub fn kernel_info_request() -> Message {
    Message::request("kernel_info_request", CLIENT, json!({}))
}

/// A question that runs no code of the user.
pub fn question(message: &str, content: serde_json::Value) -> Message {
    Message::request(message, CLIENT, content)
}

/// Asks what variables there are.
pub fn variables_request() -> Message {
    jupyter::list_variables(CLIENT)
}

/// Has the variables pickled into a new file.
pub fn save_request(file: &Path) -> Message {
    jupyter::save_snapshot(CLIENT, file)
}

/// Has them taken from it again.
pub fn restore_request(file: &Path, details: &serde_json::Value) -> Message {
    jupyter::restore_snapshot(CLIENT, file, details)
}

/// Makes an exchanged iopub socket as lossless as the one before.
pub fn unlimited_request() -> Message {
    jupyter::unlimited_iopub(CLIENT, false)
}

/// The user's line.
pub fn input_reply(value: &str) -> Message {
    Message::request("input_reply", CLIENT, json!({ "value": value, "status": "ok" }))
}

/// Asks the kernel to end itself.
pub fn shutdown_request(restart: bool) -> Message {
    Message::request("shutdown_request", CLIENT, json!({ "restart": restart }))
}

/// Interrupts by message.
pub fn interrupt_request() -> Message {
    Message::request("interrupt_request", CLIENT, json!({}))
}
