//! The keeper's one loop. It owns everything: record, journal, queue, kernel, clients. One thread, no locks.
//!
//! After every wake: what happened is committed to the journal, and only then told, answered, or sent to the kernel.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Child;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use super::clients::{Clients, FromClient};
use super::frames::{Answer, Sample};
use super::kernel::{self, Greeted};
use super::machine::{Effect, From, Incoming, Job, Machine};
use super::record::Record;
use super::spawn::{Purpose, Word, say};
use crate::journal::{Journal, Limits, NewExecution};
use crate::jupyter::{self, Channel, Channels, ConnectionFile, Counter, Decoded, Heartbeat, Message};
use crate::paths::Folders;
use crate::process::{self, Identity, Sampler};
use crate::protocol::{
    CurrentExecution, Error, ErrorKind, EventBody, ExecutionStatus, Session, SessionState, Time,
};

/// Rows that are committed at once at most.
const BATCH_ROWS: usize = 256;
/// Bytes of them: a cell can print faster than anybody reads.
const BATCH_BYTES: usize = 1 << 20;
/// How long a row waits for more at most.
const BATCH_TIME: Duration = Duration::from_millis(50);
/// How often the keeper looks after itself; memory is sampled as often while somebody looks.
const TICK: Duration = Duration::from_secs(2);
/// Every so many ticks: limits, swept files, samples that nobody sees.
const SLOW: u64 = 5;
/// A gap is noticed this long after it came about at most, in milliseconds.
const GAP_NOTICED: i64 = 4_000;
/// The iopub socket keeps a buffer as large as the largest message: after one of these it is exchanged.
const HUGE_MESSAGE: usize = 8 << 20;
/// How long the kernel may take to answer a heartbeat.
const HEARTBEAT: Duration = Duration::from_millis(1_500);
/// A kernel that floods its own standard output: the log starts again.
const LONGEST_KERNEL_LOG: u64 = 10 << 20;

type Death = Pin<Box<dyn Future<Output = Option<i32>>>>;
type Greeting = Pin<Box<dyn Future<Output = Result<Greeted, String>>>>;

/// Everything that keeps one kernel.
pub(super) struct Keeper {
    pub folders: Folders,
    pub record: Record,
    pub journal: Journal,
    pub machine: Machine,
    pub clients: Clients,
    pub state: SessionState,
    pub channels: Option<Channels>,
    pub kernel: Option<Identity>,
    pub death: Option<Death>,
    pub greeting: Option<Greeting>,
    /// The kernel is being ended: see `ending.rs`.
    pub ending: Option<super::ending::Ending>,
    /// The session is over: the loop ends.
    pub over: bool,
    /// The face that launched us waits for a word.
    pub word_owed: bool,
    /// Answers that wait for the next commit.
    pub answers: Vec<(u64, Answer)>,
    /// Messages to the kernel that wait for the next commit.
    pub outbox: Vec<(Channel, Message)>,
    /// Who waits for the restart.
    pub restart_waiters: Vec<(u64, u64)>,
    pub disk_full: bool,
    pub status_changed: bool,
    pub warnings: BTreeMap<&'static str, String>,
    pub log_from: u64,
    /// The kernel is another keeper's, which died.
    pub adopting: bool,
    /// The channels broke under a kernel that lives: they are made anew, and nothing else changes.
    pub rejoining: bool,
    exchange_iopub: bool,
    heartbeat: Option<(tokio::task::JoinHandle<()>, tokio::sync::watch::Receiver<bool>)>,
    gaps: Counter,
    sampler: Sampler,
    sample: Sample,
    committed: u64,
    ticks: u64,
}

/// `kernel-keeper keep`: keeps the session's kernel until its end. Standard input is the session's lock.
pub fn run(folders: Folders, session_id: &str, purpose: Purpose) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    let result = runtime.block_on(async {
        let (mut keeper, requests) = Keeper::open(folders, session_id, purpose)?;
        match purpose {
            Purpose::Start => keeper.start_kernel(),
            Purpose::Adopt => keeper.adopt_kernel(),
        }
        keeper.serve(requests).await;
        keeper.clients.close().await;
        Ok::<(), Error>(())
    });
    if let Err(e) = &result {
        say(&Word::Failed(e.clone().into()));
    }
    result
}

impl Keeper {
    fn open(
        folders: Folders,
        session_id: &str,
        purpose: Purpose,
    ) -> Result<(Keeper, Receiver<FromClient>), Error> {
        let failed = |what: String| Error::new(ErrorKind::StoreFailed, what).with("sessionId", session_id);
        let mut record = Record::read(&folders, session_id).map_err(|e| failed(e.to_string()))?;
        record.keeper = process::identity_of(std::process::id());
        let dir = folders.session(session_id);
        let limits = Limits { max_bytes: record.journal_max_bytes };
        let mut warnings = BTreeMap::new();
        let journal = match Journal::open(&dir, limits.clone()) {
            Ok(journal) => journal,
            Err(e) if purpose == Purpose::Adopt && !e.is_newer() => {
                let aside = dir.join(format!("journal.db.corrupt-{}", Time::now().0));
                let _ = std::fs::rename(dir.join("journal.db"), &aside);
                let what = format!(
                    "The journal was damaged and set aside as {}: earlier output is there.",
                    aside.display()
                );
                warnings.insert("journal", what);
                Journal::open(&dir, limits).map_err(|e| failed(e.to_string()))?
            }
            Err(e) => return Err(failed(e.to_string())),
        };
        record.busy_seconds = journal.busy_milliseconds().unwrap_or(0) as f64 / 1000.0;
        let socket = folders.socket(session_id);
        let (clients, requests) =
            Clients::listen(&socket).map_err(|e| failed(format!("{}: {e}", socket.display())))?;
        let committed = journal.last_seq();
        let keeper = Keeper {
            folders,
            record,
            journal,
            machine: Machine::default(),
            clients,
            state: SessionState::Starting,
            channels: None,
            kernel: None,
            death: None,
            greeting: None,
            ending: None,
            over: false,
            word_owed: true,
            answers: Vec::new(),
            outbox: Vec::new(),
            restart_waiters: Vec::new(),
            disk_full: false,
            status_changed: true,
            warnings,
            log_from: 0,
            adopting: purpose == Purpose::Adopt,
            rejoining: false,
            exchange_iopub: false,
            heartbeat: None,
            gaps: Counter::new(),
            sampler: Sampler::new(),
            sample: Sample::default(),
            committed,
            ticks: 0,
        };
        keeper.clients.publish(|p| p.committed = committed);
        Ok((keeper, requests))
    }

    /// Starts the session's kernel, for the first time or anew.
    pub(super) fn start_kernel(&mut self) {
        let log = self.folders.kernel_log(&self.record.id);
        self.log_from = std::fs::metadata(&log).map_or(0, |m| m.len());
        self.status_changed = true;
        match kernel::spawn(&self.record, &self.folders) {
            Ok((child, identity, connection)) => {
                self.record.started_at = Time::now();
                self.watch(identity, Some(child));
                self.save_record();
                self.greeting = Some(Box::pin(kernel::greet(
                    connection,
                    self.record.id.clone(),
                    self.record.kernel.language.clone(),
                )));
            }
            Err(e) => {
                let what = format!("{} could not be started: {}", self.record.kernel.display_name, e.why);
                self.start_failed(what, e.code);
            }
        }
    }

    /// Takes over the kernel that the record names.
    fn adopt_kernel(&mut self) {
        let alive = self.record.kernel_process.clone().filter(Identity::is_alive);
        let connection = ConnectionFile::read(&self.folders.connection_file(&self.record.id));
        match (alive, connection) {
            (Some(identity), Ok(connection)) => {
                self.watch(identity, None);
                self.save_record();
                self.greeting = Some(Box::pin(kernel::meet_again(
                    connection,
                    self.record.id.clone(),
                    self.record.kernel.language.clone(),
                )));
            }
            (Some(_), Err(e)) => {
                // The kernel lives and cannot be reached: it is neither ended nor replaced unasked.
                let what = format!("the kernel runs on, but its connection file cannot be read ({e})");
                self.owe_no_more(Err(Error::new(ErrorKind::KernelFailed, what)));
                self.over = true;
            }
            (None, _) => self.kernel_died(None),
        }
    }

    fn watch(&mut self, identity: Identity, child: Option<Child>) {
        self.record.kernel_process = Some(identity.clone());
        self.kernel = Some(identity.clone());
        self.death = Some(Box::pin(async move {
            match child {
                Some(mut child) => child.wait().await.ok().and_then(|status| status.code()),
                None => {
                    process::wait_for_death(&identity).await;
                    None
                }
            }
        }));
    }

    async fn serve(&mut self, mut requests: Receiver<FromClient>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        let mut terminate = terminate.ok();
        while !self.over {
            let ending_at = self.ending.as_ref().map(|e| e.next);
            tokio::select! {
                incoming = next_message(&mut self.channels) => match incoming {
                    Ok(incoming) => self.take_messages(incoming),
                    Err(e) => self.channels_broke(&e),
                },
                request = requests.recv() => {
                    if let Some(request) = request { self.take(request) }
                    while let Ok(request) = requests.try_recv() { self.take(request) }
                }
                stream = self.clients.accept() => match stream {
                    Ok(stream) => self.clients.admit(stream),
                    Err(e) => {
                        tracing::warn!("a connection could not be accepted: {e}");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                },
                greeted = at_last(&mut self.greeting) => self.greeted(greeted),
                code = at_last(&mut self.death) => {
                    self.last_messages().await;
                    self.kernel_died(code);
                }
                () = at(ending_at) => self.press_on(),
                _ = tick.tick() => self.tick(),
                () = terminated(&mut terminate) => {
                    tracing::info!("asked to terminate: the kernel runs on, the next face adopts it");
                    self.settle_up();
                    return;
                }
            }
            self.settle_up();
            self.send_outbox().await;
            if std::mem::take(&mut self.exchange_iopub) {
                self.exchange_iopub().await;
            }
        }
        self.settle_up();
    }

    /// Gives the memory of a huge message back.
    async fn exchange_iopub(&mut self) {
        let Some(channels) = self.channels.as_mut().filter(|c| !c.is_replacing_iopub()) else { return };
        if let Err(e) = channels.replace_iopub(Channel::Control, &kernel::unlimited_request()).await {
            tracing::warn!("the iopub socket could not be exchanged: {e}");
        }
    }

    /// A channel is of no use any more. Either the kernel dies, which its process will show, or all are made anew.
    fn channels_broke(&mut self, why: &jupyter::Error) {
        tracing::warn!("{why}");
        self.channels = None;
        let Ok(connection) = ConnectionFile::read(&self.folders.connection_file(&self.record.id)) else {
            return;
        };
        self.rejoining = true;
        let (id, language) = (self.record.id.clone(), self.record.kernel.language.clone());
        self.greeting = Some(Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            kernel::meet_again(connection, id, language).await
        }));
    }

    /// Journals everything that is ready to be read, in batches.
    fn take_messages(&mut self, first: jupyter::Incoming) {
        let begun = Instant::now();
        let mut next = Some(first);
        while let Some(incoming) = next {
            self.take_message(incoming);
            let enough =
                self.journal.pending_rows() >= BATCH_ROWS || self.journal.pending_bytes() >= BATCH_BYTES;
            if enough || begun.elapsed() > BATCH_TIME {
                break;
            }
            // A channel that breaks says so again when it is awaited.
            next = self.channels.as_mut().and_then(Channels::try_recv).and_then(Result::ok);
        }
    }

    /// What the kernel still said before it died.
    async fn last_messages(&mut self) {
        let wait = Duration::from_millis(60);
        while let Ok(Ok(incoming)) = tokio::time::timeout(wait, next_message(&mut self.channels)).await {
            self.take_message(incoming);
            if self.journal.pending_rows() >= BATCH_ROWS {
                self.settle_up();
            }
        }
    }

    fn take_message(&mut self, incoming: jupyter::Incoming) {
        let now = Time::now();
        let channel = incoming.channel;
        self.exchange_iopub |= incoming.size > HUGE_MESSAGE;
        let mut message = match incoming.decoded {
            Decoded::Message(message) => message,
            Decoded::Unreadable(unreadable) => {
                tracing::warn!(
                    ?channel,
                    "a message that cannot be read is kept as it is: {}",
                    unreadable.reason
                );
                self.journal.append_raw(now, &channel_name(channel), &unreadable.raw);
                return;
            }
        };
        self.gaps.saw(&message.header.msg_id, now);
        let from = match incoming.channel {
            Channel::Iopub => From::Iopub,
            Channel::Shell => From::Shell,
            Channel::Control => From::Control,
            Channel::Stdin => From::Stdin,
        };
        let envelope =
            if message.header.msg_type.starts_with("comm_") { envelope_of(&message) } else { Value::Null };
        let mut read = Incoming {
            from,
            kind: &message.header.msg_type,
            parent: message.parent_header.as_ref().map_or("", |parent| &parent.msg_id),
            content: &mut message.content,
            envelope,
        };
        let effects = self.machine.message(&mut read, now);
        if effects.contains(&Effect::Raw) {
            let mut raw = envelope_of(&message);
            raw["content"] = message.content;
            self.journal.append_raw(now, &channel_name(channel), &raw);
        }
        self.carry_out(effects, now);
    }

    /// Carries out what the machine decided.
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>, now: Time) {
        for effect in effects {
            match effect {
                Effect::Journal { execution_id, body } => {
                    if !matches!(body, EventBody::Output { .. } | EventBody::UpdateDisplay { .. }) {
                        self.status_changed = true;
                    }
                    self.record.last_activity_at = now;
                    self.journal.append(execution_id.as_deref(), now, body);
                }
                Effect::Raw => {}
                Effect::Send(job) => {
                    self.status_changed = true;
                    self.outbox.push((Channel::Shell, kernel::execute_request(&job.execution_id, &job.code)));
                }
                Effect::Busy(milliseconds) => self.record.busy_seconds += milliseconds as f64 / 1000.0,
            }
        }
        self.state = match self.state {
            SessionState::Idle | SessionState::Busy if self.machine.is_busy() => SessionState::Busy,
            SessionState::Idle | SessionState::Busy => SessionState::Idle,
            other => other,
        };
    }

    /// Puts an execution into journal and queue.
    pub(super) fn enqueue(&mut self, new: NewExecution) {
        let now = new.queued_at;
        let job = Job {
            execution_id: new.execution_id.clone(),
            notebook: new.notebook,
            cell: new.cell.clone(),
            code: new.code.clone(),
            stop_on_error: new.stop_on_error,
        };
        self.journal.queue(new);
        self.status_changed = true;
        let effects = self.machine.enqueue(job);
        self.carry_out(effects, now);
    }

    fn greeted(&mut self, greeted: Result<Greeted, String>) {
        let adopted = std::mem::take(&mut self.adopting);
        let greeted = match greeted {
            Ok(greeted) => greeted,
            Err(why) if adopted || self.rejoining => {
                let what = format!("the kernel runs on, but does not answer ({why}): stop it, or try again");
                self.owe_no_more(Err(Error::new(ErrorKind::KernelFailed, what)));
                self.over = true;
                return;
            }
            Err(why) => return self.start_failed(why, None),
        };
        self.listen_to_heart();
        self.take_sample();
        if std::mem::take(&mut self.rejoining) {
            let now = Time::now();
            let from = self.journal.last_at().unwrap_or(now);
            self.journal.append(None, now, EventBody::Gap { from, to: now, lost_at_most: None });
            self.channels = Some(greeted.channels);
            greeted.leftovers.into_iter().for_each(|incoming| self.take_message(incoming));
            return;
        }
        kernel::close_sockets_to_others(&self.folders, &self.record.id);
        self.channels = Some(greeted.channels);
        self.state = SessionState::Idle;
        self.status_changed = true;
        match greeted.warning {
            Some(warning) => self.warnings.insert("drops", warning),
            None => self.warnings.remove("drops"),
        };
        let now = Time::now();
        if adopted {
            self.restore(now);
        } else {
            let effects = self.machine.kernel_ready();
            self.carry_out(effects, now);
        }
        for incoming in greeted.leftovers {
            // What the kernel says while it starts belongs to no execution, and is no output.
            let status = matches!(&incoming.decoded, Decoded::Message(m) if m.msg_type() == "status");
            if adopted || !status {
                self.take_message(incoming);
            }
        }
        // What was said before is no gap: the greeting was not counted.
        self.gaps.reset();
        self.settle_up();
        self.owe_no_more(Ok(()));
        for (connection, id) in std::mem::take(&mut self.restart_waiters) {
            self.answer_session(connection, id);
        }
    }

    fn listen_to_heart(&mut self) {
        let Ok(connection) = ConnectionFile::read(&self.folders.connection_file(&self.record.id)) else {
            return;
        };
        if let Some((old, _)) = self.heartbeat.take() {
            old.abort();
        }
        let (beats, heard) = tokio::sync::watch::channel(true);
        let listen = tokio::spawn(async move {
            let mut heart = Heartbeat::new(&connection);
            loop {
                tokio::time::sleep(TICK).await;
                let beat = heart.beat(HEARTBEAT).await;
                beats.send_if_modified(|known| std::mem::replace(known, beat) != beat);
            }
        });
        self.heartbeat = Some((listen, heard));
    }

    /// After an adoption: the queue as the journal has it, a gap for what nobody heard, and a question whose answer shows
    /// that the kernel is through with what it did before.
    fn restore(&mut self, now: Time) {
        let unfinished = self.journal.unfinished().unwrap_or_default();
        let from = self.journal.last_at().unwrap_or(self.record.last_activity_at);
        self.journal.append(None, now, EventBody::Gap { from, to: now, lost_at_most: None });
        let probe = kernel::kernel_info_request();
        let (mut running, mut waiting) = (None, Vec::new());
        for row in unfinished {
            let job = Job {
                execution_id: row.execution_id.clone(),
                notebook: row.notebook,
                cell: row.cell(),
                code: row.code.clone(),
                stop_on_error: row.stop_on_error,
            };
            match row.status {
                ExecutionStatus::Running if running.is_none() => {
                    running = Some((job, row.started_at, row.input))
                }
                ExecutionStatus::Running => {
                    let status = ExecutionStatus::Lost;
                    let body = EventBody::Finished { status, completed_at: now, error: None };
                    self.journal.append(Some(&job.execution_id), now, body);
                }
                _ => waiting.push(job),
            }
        }
        self.machine.restore(running, waiting, probe.header.msg_id.clone());
        self.outbox.push((Channel::Shell, probe));
        self.state = SessionState::Busy;
        let what = format!("The keeper was killed: output between {from} and {now} may be missing.");
        self.record.warnings.retain(|w| !w.starts_with("The keeper was killed"));
        self.record.warnings.push(what);
        self.save_record();
    }

    /// Commits, then tells: the order that nothing may break.
    pub(super) fn settle_up(&mut self) {
        if self.journal.pending_rows() > 0 || self.disk_full {
            match self.journal.commit() {
                Ok(seq) => {
                    self.committed = seq;
                    if std::mem::take(&mut self.disk_full) {
                        self.warnings.remove("disk");
                        self.status_changed = true;
                    }
                }
                Err(e) => {
                    tracing::error!("the journal cannot be written: {e}");
                    let what = if e.is_full() { "The disk is full" } else { "The journal cannot be written" };
                    let what = format!("{what}: output may be lost until that is mended ({e}).");
                    self.status_changed |= !self.disk_full;
                    self.warnings.insert("disk", what);
                    self.disk_full = true;
                }
            }
        }
        for (connection, answer) in std::mem::take(&mut self.answers) {
            self.clients.reply(connection, &answer);
        }
        let status = std::mem::take(&mut self.status_changed).then(|| {
            let status = Answer::Status { status: Box::new(self.session()) };
            super::frames::encode(&status).unwrap_or_default()
        });
        let committed = self.committed;
        self.clients.publish(|p| {
            p.committed = committed;
            if let Some(status) = status {
                p.status_version += 1;
                p.status = status.into();
            }
        });
    }

    async fn send_outbox(&mut self) {
        for (channel, message) in std::mem::take(&mut self.outbox) {
            let Some(channels) = self.channels.as_mut() else { continue };
            if let Err(e) = channels.send(channel, &message).await {
                tracing::error!("a message did not reach the kernel: {e}");
            }
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        let now = Time::now();
        let effects = self.machine.tick(now);
        self.carry_out(effects, now);
        if let Some(lost) = self.gaps.missing(now) {
            let body = EventBody::Gap { from: Time(now.0 - GAP_NOTICED), to: now, lost_at_most: Some(lost) };
            self.journal.append(None, now, body);
        }
        self.status_changed |=
            self.heartbeat.as_ref().is_some_and(|(_, heard)| heard.has_changed().unwrap_or(false));
        let slow = self.ticks % SLOW == 1;
        if slow || self.clients.any() {
            self.take_sample();
        }
        if !slow {
            return;
        }
        if let Err(e) = self.clients.listen_again_if_swept() {
            tracing::error!("the socket cannot be made anew: {e}");
        }
        if let Err(e) = self.journal.enforce_limits() {
            tracing::warn!("the journal's limit could not be kept: {e}");
        }
        let log = self.folders.kernel_log(&self.record.id);
        if std::fs::metadata(&log).is_ok_and(|m| m.len() > LONGEST_KERNEL_LOG) {
            let _ = std::fs::File::options().write(true).open(&log).and_then(|f| f.set_len(0));
        }
    }

    fn take_sample(&mut self) {
        let Some(kernel) = &self.kernel else { return };
        let found = self.sampler.sample(kernel.pid);
        let sample = Sample {
            memory_bytes: Some(found.memory_bytes),
            cpu_percent: Some((found.cpu_percent * 10.0).round() / 10.0),
            runs: found.runs,
        };
        if sample != self.sample {
            self.sample = sample;
            let bytes =
                super::frames::encode(&Answer::Sample { sample: self.sample.clone() }).unwrap_or_default();
            self.clients.publish(|p| {
                p.sample_version += 1;
                p.sample = bytes.into();
            });
        }
    }

    /// The session as it is now.
    pub(super) fn session(&self) -> Session {
        let mut session = self.record.to_session(self.state);
        session.responding = self.heartbeat.as_ref().is_none_or(|(_, heard)| *heard.borrow());
        session.queued = self.machine.queue.len() as u32;
        session.windows = self.clients.windows();
        session.warnings.extend(self.warnings.values().cloned());
        session.memory_bytes = self.sample.memory_bytes;
        session.cpu_percent = self.sample.cpu_percent;
        session.runs.clone_from(&self.sample.runs);
        if session.state == SessionState::Starting || session.ended_at.is_some() {
            (session.memory_bytes, session.cpu_percent, session.runs) = (None, None, None);
        }
        session.current_execution = self.machine.running.as_ref().map(|running| CurrentExecution {
            execution_id: running.job.execution_id.clone(),
            notebook_uri: self
                .record
                .notebook(running.job.notebook)
                .map(|n| n.uri.clone())
                .unwrap_or_default(),
            cell_id: running.job.cell.as_ref().map(|c| c.id.clone()),
            cell_index: running.job.cell.as_ref().map(|c| c.index),
            started_at: running.started_at,
            input: running.input.clone(),
        });
        session
    }

    /// Writes `session.json`; a failure is a warning, for the keeper itself is the truth while it lives.
    pub(super) fn save_record(&mut self) {
        if let Err(e) = self.record.write(&self.folders) {
            tracing::error!("session.json cannot be written: {e}");
            self.warnings.insert("record", format!("session.json cannot be written: {e}"));
        }
    }

    /// Gives the launching face its word, once.
    pub(super) fn owe_no_more(&mut self, word: Result<(), Error>) {
        if std::mem::take(&mut self.word_owed) {
            say(&match word {
                Ok(()) => Word::Ready,
                Err(e) => Word::Failed(e.into()),
            });
        }
    }
}

fn channel_name(channel: Channel) -> String {
    format!("{channel:?}").to_lowercase()
}

/// A message without its content, as the journal keeps it: of the buffers only their number.
fn envelope_of(message: &Message) -> Value {
    json!({
        "header": message.header, "parent_header": message.parent_header, "metadata": message.metadata,
        "buffers": message.buffers.len(),
    })
}

async fn next_message(channels: &mut Option<Channels>) -> Result<jupyter::Incoming, jupyter::Error> {
    match channels {
        Some(channels) => channels.recv().await,
        None => pending().await,
    }
}

/// Awaits a future that may not be there, and takes it away once it is done.
async fn at_last<T>(future: &mut Option<Pin<Box<dyn Future<Output = T>>>>) -> T {
    match future {
        Some(running) => {
            let done = running.as_mut().await;
            *future = None;
            done
        }
        None => pending().await,
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => pending().await,
    }
}

async fn terminated(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => pending().await,
    }
}
