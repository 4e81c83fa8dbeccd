//! The kernel's process and the first words with it: spawn, connect, lift ipykernel's limit, subscribe, probe.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::record::{KernelLaunch, Record};
use crate::jupyter::{
    self, Channel, Channels, ConnectionFile, Decoded, Incoming, Message, PortReservation, Transport,
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
pub const START_LIMIT: Duration = Duration::from_secs(120);
/// How long a kernel of another program may take to be connected.
const FOREIGN_LIMIT: Duration = Duration::from_secs(10);
/// How long its sockets may take where there is another way to try.
pub const WAY_LIMIT: Duration = Duration::from_secs(30);
/// How long a kernel that was just started may take to answer the request that lifts its limit: it has answered before, and
/// on a busy machine anything is late. What comes after we have subscribed would lift the limit of a socket in use.
const LIFTED_WITHIN: Duration = Duration::from_secs(60);
/// How long one may take that may be busy.
const SILENT_LIMIT: Duration = Duration::from_secs(3);
/// How long the endpoint without a limit is waited for: it is there, or the kernel sees other files than we do.
const UNLIMITED_LIMIT: Duration = Duration::from_secs(1);
/// The number of its socket: 1 to 5 are the connection file's, 6 is for what forked children print.
const UNLIMITED: u32 = 7;

/// How a kernel is spoken with. Without a word of its kernelspec it is found by trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// Sockets in the session's private folder.
    Ipc,
    /// Sockets in a private folder with a short name: xeus takes no long ones.
    ShortIpc,
    /// Ports of 127.0.0.1: for what runs where this machine's files are not seen, such as a container.
    Tcp,
}

impl Way {
    /// Those to try, in their order: ipykernel does ipc, where nobody else can listen; of other languages' kernels few do,
    /// and over tcp more is buffered.
    pub fn of(kernel: &KernelLaunch) -> VecDeque<Way> {
        match kernel.way {
            Some(way) => [way].into(),
            None if is_python(&kernel.language) => [Way::Ipc, Way::ShortIpc, Way::Tcp].into(),
            None => [Way::Tcp].into(),
        }
    }
}

/// A kernel that answers.
pub struct Greeted {
    pub channels: Channels,
    /// As it is now: with the endpoint that drops nothing.
    pub connection: ConnectionFile,
    /// What arrived meanwhile and is not an answer to us.
    pub leftovers: Vec<Incoming>,
    /// Set where the kernel may drop output under load.
    pub warning: Option<String>,
}

/// The kernel that is to be greeted.
pub struct Met {
    pub connection: ConnectionFile,
    /// The name of shell and stdin: the session's id.
    pub identity: String,
    pub language: String,
    /// Another program started it.
    pub foreign: bool,
    /// The session's folder of sockets.
    pub run: PathBuf,
}

impl Met {
    /// Where it may tell its output without a limit. In the folder of another program's connection file nothing of ours is
    /// made.
    fn endpoints(&self) -> Vec<String> {
        let in_run = format!("ipc://{}-{UNLIMITED}", self.run.join("kernel").display());
        match self.connection.transport {
            Transport::Ipc if self.foreign => vec![in_run],
            Transport::Ipc => vec![format!("ipc://{}-{UNLIMITED}", self.connection.ip)],
            Transport::Tcp => vec![in_run, format!("tcp://{}:*", self.connection.ip)],
        }
    }

    /// Subscribes to its output: where it drops nothing, if that can be had.
    async fn subscribe(&mut self, channels: &mut Channels, limit: Duration) -> Result<(), String> {
        if let Some(endpoint) = self.connection.iopub_without_limit.take() {
            match channels.subscribe(&endpoint, UNLIMITED_LIMIT).await {
                Ok(()) => {
                    self.connection.iopub_without_limit = Some(endpoint);
                    return Ok(());
                }
                Err(e) => tracing::warn!("the kernel's output cannot be had at {endpoint}: {e}"),
            }
        }
        let endpoint = self.connection.iopub_endpoint();
        channels.subscribe(&endpoint, limit).await.map_err(|e| e.to_string())
    }

    fn greeted(self, mut channels: Channels, leftovers: Vec<Incoming>) -> Greeted {
        channels.count_from_here();
        let may_drop = is_python(&self.language) && self.connection.iopub_without_limit.is_none();
        let warning = may_drop.then(|| "This kernel may drop output when it prints very fast.".to_owned());
        Greeted { channels, connection: self.connection, leftovers, warning }
    }
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

/// Starts the kernel's process: a session of its own, so that what is stopped in it does not die with the keeper; output into
/// kernel.log, the keeper's clean environment and what the session adds to it.
pub fn spawn(
    record: &Record,
    folders: &Folders,
    way: Way,
) -> Result<(Child, Identity, ConnectionFile), NotSpawned> {
    let id = &record.id;
    let failed = |e: jupyter::ConnectionError| std::io::Error::other(e.to_string());
    // Those of the kernel before: waiting for the next one's is to mean something.
    remove_sockets(folders, record);
    let mut reserved: Option<PortReservation> = None;
    let name = &record.kernel.name;
    let connection = match way {
        Way::Ipc => ConnectionFile::ipc(&folders.kernel_sockets(id), name).map_err(failed)?,
        Way::ShortIpc => ConnectionFile::short_ipc(name).map_err(failed)?,
        Way::Tcp => {
            let (file, ports) = ConnectionFile::tcp(name).map_err(failed)?;
            reserved = Some(ports);
            file
        }
    };
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
    let environment = process::with_figures_as_data(environment);
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment).envs(&kernel.env);
    command.current_dir(&kernel.cwd);
    process::in_own_session(command.as_std_mut());
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

/// Connects to a kernel that was just started, and waits until it answers and its output reaches us. `limit` is for its
/// sockets.
pub async fn greet(mut met: Met, limit: Duration) -> Result<Greeted, String> {
    let greeted = tokio::time::timeout(START_LIMIT, async {
        let mut channels =
            Channels::connect(&met.connection, &met.identity, limit).await.map_err(|e| e.to_string())?;
        let mut leftovers = Vec::new();
        if is_python(&met.language) {
            answer_to(&mut channels, Channel::Shell, kernel_info_request(), &mut leftovers).await?;
            lift_the_limit(&mut channels, Channel::Shell, LIFTED_WITHIN, &mut met, &mut leftovers).await;
        }
        met.subscribe(&mut channels, limit).await?;
        probe(&mut channels, Channel::Shell, &mut leftovers).await?;
        Ok(met.greeted(channels, leftovers))
    });
    greeted
        .await
        .unwrap_or_else(|_| Err(format!("the kernel did not answer within {} s", START_LIMIT.as_secs())))
}

/// Connects to a kernel whose keeper died. It may be busy: only its control channel is asked, which a busy ipykernel
/// answers too; a kernel that does not is taken as it is after two seconds.
pub async fn meet_again(mut met: Met) -> Result<Greeted, String> {
    // It bound its sockets long ago.
    let limit = if met.foreign { FOREIGN_LIMIT } else { START_LIMIT };
    let mut channels =
        Channels::connect(&met.connection, &met.identity, limit).await.map_err(|e| e.to_string())?;
    let mut leftovers = Vec::new();
    if is_python(&met.language) && met.connection.iopub_without_limit.is_none() {
        lift_the_limit(&mut channels, Channel::Control, SILENT_LIMIT, &mut met, &mut leftovers).await;
    }
    met.subscribe(&mut channels, limit).await?;
    let asked =
        tokio::time::timeout(Duration::from_secs(2), probe(&mut channels, Channel::Control, &mut leftovers));
    if let Ok(Err(why)) = asked.await {
        return Err(why);
    }
    Ok(met.greeted(channels, leftovers))
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

/// Has ipykernel tell its output where it drops none: its mark of 1,000 messages drops in silence under load. What is known
/// afterwards stands in the connection.
async fn lift_the_limit(
    channels: &mut Channels,
    on: Channel,
    within: Duration,
    met: &mut Met,
    leftovers: &mut Vec<Incoming>,
) {
    let endpoints = met.endpoints();
    let request = jupyter::iopub_without_limit(CLIENT, &endpoints, !met.foreign);
    let asked = tokio::time::timeout(within, answer_to(channels, on, request, leftovers)).await;
    let endpoint = match asked {
        Ok(Ok(reply)) => jupyter::iopub_without_limit_of(&reply, &endpoints),
        Ok(Err(why)) => Err(why),
        Err(_) => Err("the kernel does not answer".to_owned()),
    };
    match endpoint {
        Ok(endpoint) => met.connection.iopub_without_limit = Some(endpoint),
        Err(why) => tracing::warn!("the kernel's output has a limit still: {why}"),
    }
}

/// The content of a request's reply.
async fn answer_to(
    channels: &mut Channels,
    on: Channel,
    request: Message,
    leftovers: &mut Vec<Incoming>,
) -> Result<Value, String> {
    let id = [request.header.msg_id.clone()];
    channels.send(on, &request).await.map_err(|e| e.to_string())?;
    loop {
        let incoming = channels.recv().await.map_err(|e| e.to_string())?;
        if !answers(&incoming, &id) {
            leftovers.push(incoming);
        } else if let Decoded::Message(message) = incoming.decoded
            && incoming.channel == on
        {
            return Ok(message.content);
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

/// A kernel that has ended leaves its sockets. Those of another program's lie in that one's folder.
pub fn remove_sockets(folders: &Folders, record: &Record) {
    folders.remove_kernel_sockets(&record.id);
    if let Ok(connection) = ConnectionFile::read(&folders.connection_file(&record.id))
        && !record.foreign
    {
        connection.remove_sockets();
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
pub fn question(message: &str, content: Value) -> Message {
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
pub fn restore_request(file: &Path, details: &Value) -> Message {
    jupyter::restore_snapshot(CLIENT, file, details)
}

/// Asks what line it waits for, if any.
pub fn input_question() -> Message {
    jupyter::ask_for_input(CLIENT)
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
