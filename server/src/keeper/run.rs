//! The keeper's one loop. It owns everything: record, journal, queue, kernel, clients. One thread, no locks.
//!
//! After every wake: what happened is committed to the journal, and only then told, answered, or sent to the kernel.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use super::clients::{Clients, FromClient};
use super::frames::{Answer, Sample};
use super::kernel::{Greeted, Way};
use super::machine::Machine;
use super::messages::{BATCH_BYTES, BATCH_ROWS};
use super::record::Record;
use super::spawn::{Purpose, Word, say};
use super::writing::{Line, Promise};
use crate::journal::{Journal, Limits};
use crate::jupyter::{self, Channel, Channels, Message};
use crate::paths::Folders;
use crate::process::{self, Identity, Sampler};
use crate::protocol::{Error, ErrorKind, SessionState, Time};

/// How long a row waits for the next one, where nobody waits for it.
const LINGER: Duration = Duration::from_millis(5);
/// How often the keeper looks after itself and samples its kernel while that is at something, or somebody looks.
const LIVELY: Duration = Duration::from_secs(2);
/// The same for the rest: with a hundred kernels at hand, looking after them must not be felt.
const QUIET: Duration = Duration::from_secs(10);

/// How often the heart of a quiet kernel is listened to.
const QUIET_HEART: Duration = Duration::from_secs(30);

/// After the last huge message the memory that it took is given back.
const HUGE_OVER: Duration = Duration::from_secs(2);

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
    /// How the kernel is spoken with, and the ways that were not tried yet.
    pub way: Way,
    pub ways: VecDeque<Way>,
    /// The kernel is being ended: see `ending.rs`.
    pub ending: Option<super::ending::Ending>,
    /// The session is over: the loop ends.
    pub over: bool,
    /// The face that launched us waits for a word.
    pub word_owed: bool,
    /// What waits for the next commit: see `writing.rs`.
    pub answers: Vec<(u64, Answer)>,
    pub promises: Vec<Promise>,
    pub outbox: Vec<(Channel, Message)>,
    /// Lines for `input()`.
    pub lines: Vec<Line>,
    /// Who waits for the restart.
    pub restart_waiters: Vec<(u64, u64)>,
    /// What waits for its commit does not wait for more.
    pub urgent: bool,
    pub disk_full: bool,
    pub status_changed: bool,
    pub warnings: BTreeMap<&'static str, String>,
    pub log_from: u64,
    /// The kernel is another keeper's, which died.
    pub adopting: bool,
    /// The kernel is another program's, and seen for the first time.
    pub joining: bool,
    /// The channels broke under a kernel that lives: they are made anew, and nothing else changes.
    pub rejoining: bool,
    /// When the last huge message came, while the memory that it took is to be given back.
    pub huge_at: Option<Instant>,
    pub heartbeat: Option<(tokio::task::JoinHandle<()>, tokio::sync::watch::Receiver<bool>)>,
    pub sampler: Sampler,
    pub sample: Sample,
    /// The sample is to be taken anew before the next status.
    pub resample: bool,
    pub committed: u64,
    /// What had been committed, and how often it had been stirred, at the last tick.
    pub seen: (u64, u64),
    /// Requests, and answers of the kernel to questions.
    pub stirs: u64,
    pub ticked: Instant,
    pub ticks: u64,
    /// How often the heart is listened to.
    pub pace: tokio::sync::watch::Sender<Duration>,
    /// Told at each tick.
    pub woken: Arc<tokio::sync::Notify>,
    pub idling: super::idling::Idling,
    /// What the graphics card's driver is asked.
    pub gpu: Option<Pin<Box<dyn Future<Output = Option<u64>>>>>,
    pub gpu_asked: Option<Instant>,
    pub questions: super::questions::Questions,
    pub snapshot: Option<super::snapshots::Running>,
    /// The question whether the kernel waits for a line, which nobody may have heard.
    pub asks_for_input: Option<String>,
    /// The session has ended, and there was no room to say so.
    pub unrecorded: bool,
    /// Another keeper's snapshots may lie there unfinished.
    pub unswept: bool,
    pub registry: super::registry::Owed,
}

/// `kernel-keeper keep`: keeps the session's kernel until its end. Standard input is the session's lock.
pub fn run(folders: Folders, session_id: &str, purpose: Purpose) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    let result = runtime.block_on(async {
        crate::process::outlive_file_limits();
        let (mut keeper, requests) = Keeper::open(folders, session_id, purpose)?;
        match purpose {
            Purpose::Start => {
                keeper.rebuild();
                keeper.start_kernel();
            }
            Purpose::Adopt | Purpose::Join => {
                keeper.end_what_was_left().await;
                keeper.adopt_kernel();
            }
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
        let reserve = folders.reserve(session_id);
        // Whoever died on a full disk left the room that is needed to take over.
        let opened = Journal::open(&dir, limits.clone()).or_else(|e| {
            super::writing::release(&reserve);
            if e.is_corrupt() || e.is_newer() { Err(e) } else { Journal::open(&dir, limits.clone()) }
        });
        let mut journal = match opened {
            Ok(journal) => journal,
            // What cannot be opened just now is not damaged.
            Err(e) if purpose == Purpose::Adopt && e.is_corrupt() => {
                let aside = dir.join(format!("journal.db.corrupt-{}", Time::now().0));
                for file in ["", "-wal", "-shm"] {
                    let from = dir.join(format!("journal.db{file}"));
                    let _ = std::fs::rename(from, format!("{}{file}", aside.display()));
                }
                let what = format!(
                    "The journal was damaged and set aside as {}: earlier output is there.",
                    aside.display()
                );
                warnings.insert("journal", what);
                Journal::open(&dir, limits).map_err(|e| failed(e.to_string()))?
            }
            Err(e) => return Err(failed(e.to_string())),
        };
        let full = super::writing::reserve(&reserve).err();
        if let Some(e) = &full {
            tracing::warn!("there is no room for a reserve: {e}");
        }
        if purpose == Purpose::Adopt && journal.last_seq() == 0 && record.has_events {
            // Set aside, or cut off: what its numbers were nobody can tell, and milliseconds are beyond them.
            journal.begin_above(Time::now().0.unsigned_abs());
        }
        record.last_activity_at = record.last_activity_at.max(journal.last_at().unwrap_or(Time(0)));
        record.busy_seconds = journal.busy_milliseconds().unwrap_or(0) as f64 / 1000.0;
        let socket = folders.socket(session_id);
        let (clients, requests) =
            Clients::listen(&socket).map_err(|e| failed(format!("{}: {e}", socket.display())))?;
        let committed = journal.last_seq();
        let questions = super::questions::Questions::new(&folders, session_id);
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
            way: Way::Ipc,
            ways: VecDeque::new(),
            ending: None,
            over: false,
            word_owed: true,
            answers: Vec::new(),
            promises: Vec::new(),
            outbox: Vec::new(),
            lines: Vec::new(),
            restart_waiters: Vec::new(),
            urgent: false,
            disk_full: full.is_some(),
            status_changed: true,
            warnings,
            log_from: 0,
            adopting: purpose != Purpose::Start,
            joining: purpose == Purpose::Join,
            rejoining: false,
            huge_at: None,
            heartbeat: None,
            sampler: Sampler::new(),
            sample: Sample::default(),
            resample: false,
            committed,
            seen: (0, 0),
            stirs: 0,
            ticked: Instant::now(),
            ticks: 0,
            pace: tokio::sync::watch::Sender::new(LIVELY),
            woken: Arc::default(),
            idling: super::idling::Idling::default(),
            gpu: None,
            gpu_asked: None,
            questions,
            snapshot: None,
            asks_for_input: None,
            unrecorded: false,
            unswept: purpose == Purpose::Adopt,
            registry: Default::default(),
        };
        keeper.clients.publish(|p| p.committed = committed);
        Ok((keeper, requests))
    }

    async fn serve(&mut self, mut requests: Receiver<FromClient>) {
        self.tick();
        let pace = self.pace.subscribe();
        let is_quiet = move || *pace.borrow() == QUIET_HEART;
        let log = self.folders.kernel_log(&self.record.id);
        tokio::spawn(super::logs::keep_short(log, is_quiet, self.woken.clone()));
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        let mut terminate = terminate.ok();
        let mut lingering: Option<Instant> = None;
        while !self.over {
            let registry_at = self.registry.next();
            let ending_at = self.ending.as_ref().map(|e| e.next);
            let behind = self.is_behind();
            let pace = self.pace();
            let heart = if self.is_at_something() { pace } else { QUIET_HEART };
            self.pace.send_if_modified(|known| std::mem::replace(known, heart) != heart);
            tokio::select! {
                // What was read and is not in the journal yet comes first: a flood waits in the kernel, not here.
                incoming = next_message(&mut self.channels), if !behind => match incoming {
                    Ok(incoming) => self.take_messages(incoming),
                    Err(e) => self.channels_broke(&e),
                },
                request = requests.recv() => {
                    if let Some(request) = request { self.take(request) }
                    while let Ok(request) = requests.try_recv() { self.take(request) }
                }
                stream = self.clients.accept() => match stream {
                    Ok(stream) => {
                        // Sampled seldom while nobody looks: who begins to look is told what is so now.
                        self.take_sample();
                        (self.status_changed, self.urgent) = (true, true);
                        self.clients.admit(stream);
                    }
                    Err(e) => {
                        tracing::warn!("a connection could not be accepted: {e}");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                },
                greeted = at_last(&mut self.greeting) => self.greeted(greeted),
                code = at_last(&mut self.death) => {
                    self.last_messages().await;
                    self.end_what_is_left().await;
                    self.kernel_died(code);
                }
                () = at(ending_at) => self.press_on(),
                () = at(registry_at) => self.try_waiting(),
                () = at(lingering) => self.urgent = true,
                () = tokio::task::yield_now(), if behind => {}
                () = tokio::time::sleep_until(self.ticked + pace) => self.tick(),
                bytes = at_last(&mut self.gpu) => self.gpu_told(bytes),
                () = terminated(&mut terminate) => {
                    tracing::info!("asked to terminate: the kernel runs on, the next face adopts it");
                    self.settle_up();
                    return;
                }
            }
            if self.may_linger() && self.journal.pending_rows() > 0 {
                lingering.get_or_insert_with(|| Instant::now() + LINGER);
            } else if !self.may_linger() || self.status_changed {
                // A status alone waits for no rows: none may come.
                lingering = None;
                self.settle_some();
            }
            self.send_outbox().await;
            if self.urgent {
                // A line was sent: whoever waits for it is told now.
                self.settle_up();
            }
            if self.huge_at.is_some_and(|at| at.elapsed() >= HUGE_OVER) {
                self.exchange_iopub().await;
            }
        }
        self.settle_up();
        if self.registry.is_end_untold {
            self.tell_end_at_last().await;
        }
    }

    fn is_at_something(&self) -> bool {
        !matches!(self.state, SessionState::Idle | SessionState::Ended)
            || self.machine.is_busy()
            || self.adopting
            || self.rejoining
            || self.ending.is_some()
            || self.disk_full
            || self.unrecorded
            || self.huge_at.is_some()
            || self.has_questions()
            || self.unswept
            || self.registry.is_any()
    }

    fn pace(&self) -> Duration {
        // Of a short limit, as tests set it, the end is not missed by much either.
        let is_short = self.record.stop_idle_after.is_some_and(|limit| limit < 60_000);
        // Soon after it was stirred it gives back what that took.
        let is_stirred = self.seen != (self.committed, self.stirs);
        let is_lively = self.is_at_something() || is_stirred || is_short || self.clients.is_watched();
        if is_lively { LIVELY } else { QUIET }
    }

    /// Whether what waits for its commit may wait a moment for more: of a short execution begin, result and end then go
    /// together. What somebody waits for does not linger: an answer, a question, an end.
    fn may_linger(&self) -> bool {
        !self.is_waited_for()
            && !self.urgent
            && !self.over
            && self.journal.pending_rows() < BATCH_ROWS
            && self.journal.pending_bytes() < BATCH_BYTES
    }

    /// Whether more is waiting for its commit than one transaction takes.
    pub(super) fn is_behind(&self) -> bool {
        self.journal.pending_bytes() >= BATCH_BYTES && !self.disk_full
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

pub(super) async fn next_message(
    channels: &mut Option<Channels>,
) -> Result<jupyter::Incoming, jupyter::Error> {
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
