// Generated from server/src/protocol by `npm run protocol`. Do not edit.

/** Any JSON. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };
/** RFC 3339, UTC, milliseconds. */
export type Time = string;

/**
 * What a client says of its window in `initialize`; every field may be absent.
 */
export type AboutWindow = { 
/**
 * The editor's process.
 */
editorPid: number | null, editorName: string | null, 
/**
 * The first workspace folder, as a path.
 */
folder: string | null, 
/**
 * "owner/name" from the git remote.
 */
repo: string | null, issueNumber: number | null, status: string | null, isIntervention: boolean | null, };

/**
 * One answer: what is sent, and what the button says.
 */
export type Action = { action: string, title: string, };

/**
 * `keeper/addWindow`: one that has no sidecar. The folder's, where there is one already.
 * With it comes what is known of it, as in [`WindowChange`](super::WindowChange).
 */
export type AddWindowParams = { folder: string, };

/**
 * `keeper/adoptKernel`
 */
export type AdoptKernelParams = { connectionFile: string, 
/**
 * The notebook that is to have it; default: the one that it was started for.
 */
notebookUri?: string, label?: string, };

/**
 * Windows by the time since they were last heard of: under 2 minutes, under 10, longer. Of kernels it says nothing: one
 * that idles for days is well.
 */
export type Ages = { healthy: number, aging: number, stale: number, };

/**
 * `keeper/answerOffer`
 */
export type AnswerOfferParams = { offerId: string, action: string, };

/**
 * `keeper/conversation/append`
 */
export type AppendTurnParams = { conversationId: string, 
/**
 * The first turn names a session or a notebook; later ones need not, and it is not looked at.
 */
sessionId?: string, notebookUri?: string, role: Role, content: string, };

export type AppendTurnResult = { turnCount: number, };

/**
 * `keeper/attachSession`; exactly one of `sourcePid` and `sessionId`.
 */
export type AttachSessionParams = { targetNotebookUri: string, sourcePid?: number, sessionId?: string, 
/**
 * `SessionMoved` where the session is bound to another notebook by now.
 */
expectedNotebookUri?: string, 
/**
 * Stop the kernel that lives on the target.
 */
replace?: boolean, 
/**
 * The old notebook keeps it too.
 */
share?: boolean, };

export type AttachSessionResult = { success: boolean, 
/**
 * Native path; null for an untitled notebook.
 */
oldPath: string | null, newPath: string | null, session: Session, };

/**
 * A window that has the session attached.
 */
export type AttachedWindow = { windowId: string, 
/**
 * The window's first workspace folder; null where it has none.
 */
folder: string | null, 
/**
 * Whether it is the window that asked.
 */
thisWindow: boolean, };

/**
 * `keeper/conversation/branch`
 */
export type BranchConversationParams = { conversationId: string, 
/**
 * How many turns the branch begins with.
 */
atTurn: number, };

/**
 * `keeper/cancelExecution`
 */
export type CancelExecutionParams = { sessionId: string, executionId: string, };

/**
 * A live session whose notebook is gone and whose executed cells are this notebook's.
 */
export type Candidate = { session: Session, 
/**
 * Always "content".
 */
match: string, 
/**
 * Share of the executed cells that the notebook has, 0 to 1.
 */
score: number, };

/**
 * A cell's latest execution that began, with its outputs as they stand.
 */
export type CellOutputs = { notebookUri: string, cellId: string, cellIndex: number | null, executionId: string, executionCount: number | null, status: ExecutionStatus, startedAt: Time | null, completedAt: Time | null, outputs: Array<Output>, 
/**
 * Set where something was cut: stream text in its middle, or an output that no answer can hold.
 */
truncated: Truncated | null, 
/**
 * How many outputs, the last of them, are left out because the answer is full: asked for alone, the cell may have
 * room for them.
 */
leftOut?: number, };

/**
 * `keeper/cellOutputs`
 */
export type CellOutputsParams = { sessionId: string, notebookUri?: string, 
/**
 * Of the cell with this execution alone: what an answer about all cells has no room for.
 */
executionId?: string, 
/**
 * Stream text of a cell is cut in its middle beyond this; default 10485760.
 */
maxBytesPerCell?: number, };

export type CellOutputsResult = { 
/**
 * Subscribe after this to miss nothing.
 */
lastSeq: number, cells: Array<CellOutputs>, };

/**
 * A cell as requests name it.
 */
export type CellRef = { 
/**
 * nbformat's cell id.
 */
id: string, 
/**
 * Position in the notebook, from 0.
 */
index: number, };

/**
 * False: there was none.
 */
export type ClearConversationResult = { cleared: boolean, };

/**
 * One conversation, without its turns.
 */
export type Conversation = { conversationId: string, sessionId: string | null, notebookUri: string | null, notebookPath: string | null, turnCount: number, startedAt: Time, lastActivityAt: Time, 
/**
 * The beginning of its first turn, in one line.
 */
title: string, };

/**
 * `keeper/conversation/history`
 */
export type ConversationHistoryParams = { conversationId: string, 
/**
 * The latest ones; default 100.
 */
maxTurns?: number, };

/**
 * Oldest first. `turnCount` is of all of them.
 */
export type ConversationHistoryResult = { conversationId: string, turnCount: number, history: Array<Turn>, };

/**
 * Of `branch` and `import`.
 */
export type ConversationIdResult = { conversationId: string, };

export type ConversationInfo = { conversationId: string, sessionId: string | null, notebookPath: string | null, turnCount: number, lastActivityAt: Time, 
/**
 * The kernel's, asked now; none where there is no session.
 */
variables: Array<Variable>, 
/**
 * The kernel is busy or gone: these are the last known.
 */
variablesStale: boolean, };

/**
 * `keeper/conversation/info`, `clear` and `export`.
 */
export type ConversationParams = { conversationId: string, };

/**
 * The latest first.
 */
export type ConversationsResult = { conversations: Array<Conversation>, };

/**
 * The execution that the kernel is at.
 */
export type CurrentExecution = { executionId: string, notebookUri: string, cellId: string | null, cellIndex: number | null, startedAt: Time | null, 
/**
 * What it asks the user for; null where it asks nothing.
 */
input: InputPrompt | null, };

/**
 * `keeper/detachSession`
 */
export type DetachSessionParams = { sessionId: string, 
/**
 * A shared notebook that lets go; absent: this window does.
 */
notebookUri?: string, };

/**
 * How a session ended. `crashed`: the kernel's end was seen; `lost`: it was found gone later.
 */
export type EndReason = "stopped" | "exited" | "crashed" | "lost";

/**
 * Of `ensureSession` and `answerOffer`.
 */
export type EnsureResult = { 
/**
 * attached | resumed | migrated | started | ask | dismissed
 */
outcome: string, session: Session | null, 
/**
 * The session's latest execution.
 */
lastExecution: Execution | null, 
/**
 * The question, where `outcome` is "ask".
 */
offer: Offer | null, 
/**
 * What was queued, where the answer was "rebuild".
 */
rebuild: Rebuild | null, 
/**
 * What the answer "restore" brought back; null too where that failed.
 */
restored: RestoreSnapshotResult | null, };

/**
 * `keeper/ensureSession`
 */
export type EnsureSessionParams = { notebookUri: string, 
/**
 * Absent: the one that the notebook names, else the only one of its language, else an offer `pick`.
 */
kernelName?: string, 
/**
 * Default true. False: by path resumed, by file migrated, else started; nothing is stopped or asked.
 */
ask?: boolean, };

/**
 * One thing that happened. The journal stores exactly this.
 */
export type EventBody = { "kind": "queued", code: string, origin: string, } | { "kind": "started", startedAt: Time, executionCount: number | null, } | { "kind": "output", output: Output, } | { "kind": "clearOutput", wait: boolean, } | { "kind": "updateDisplay", displayId: string, data: JsonValue, metadata: JsonValue, } | { "kind": "inputRequest", prompt: string, password: boolean, } | { "kind": "inputReplied", } | { "kind": "comm", message: JsonValue, } | { "kind": "widgetOutput", commId: string, output: Output, } | { "kind": "widgetCleared", commId: string, wait: boolean, } | { "kind": "nextInput", text: string, replace: boolean, } | { "kind": "finished", status: ExecutionStatus, completedAt: Time, error: ExecutionError | null, 
/**
 * Where `started` came before it was known.
 */
executionCount?: number, } | { "kind": "gap", from: Time, to: Time, 
/**
 * Messages that are missing at most; null where it cannot be known.
 */
lostAtMost: number | null, };

/**
 * `keeper/execute`
 */
export type ExecuteParams = { sessionId: string, code: string, 
/**
 * Default: the session's first notebook.
 */
notebookUri?: string, cell?: CellRef, 
/**
 * Default true: a failure makes what waits from the same notebook `aborted`.
 */
stopOnError?: boolean, 
/**
 * One name for all that was asked to run together: after a failure what arrives later of it is `aborted` too.
 */
batch?: string, 
/**
 * Default false: an agent asks for it through this window; its origin is "mcp".
 */
agent?: boolean, };

export type ExecuteResult = { executionId: string, };

/**
 * One run of one piece of code.
 */
export type Execution = { executionId: string, sessionId: string, 
/**
 * The notebook it was run from, under its present name.
 */
notebookUri: string, 
/**
 * nbformat's cell id; null where the code came from no cell.
 */
cellId: string | null, 
/**
 * The cell's position when it was run, from 0.
 */
cellIndex: number | null, code: string, 
/**
 * Jupyter's `In [n]`; null until the kernel has told it.
 */
executionCount: number | null, 
/**
 * The window's id, `cli` or `mcp`.
 */
origin: string, status: ExecutionStatus, queuedAt: Time, startedAt: Time | null, completedAt: Time | null, 
/**
 * Set where `status` is `error`.
 */
error: ExecutionError | null, };

/**
 * A failed execution's exception, as the kernel told it.
 */
export type ExecutionError = { ename: string, evalue: string, 
/**
 * Lines, with ANSI colours.
 */
traceback: Array<string>, };

/**
 * `keeper/executionEvent`: one event, to subscribers.
 */
export type ExecutionEvent = { sessionId: string, 
/**
 * Goes on from 1 over restart and adoption.
 */
seq: number, 
/**
 * Null for a `gap`, and for what belongs to no execution.
 */
executionId: string | null, 
/**
 * The notebook under its present name; null where the event belongs to none.
 */
notebookUri: string | null, cell: CellRef | null, event: EventBody, };

/**
 * `keeper/executionHistory`; exactly one of `notebookUri` and `sessionId`.
 */
export type ExecutionHistoryParams = { notebookUri?: string, sessionId?: string, 
/**
 * Default 50.
 */
limit?: number, };

export type ExecutionResult = { execution: Execution, };

/**
 * How far an execution is. `lost`: it ran when kernel or keeper died, and how it ended cannot be known.
 */
export type ExecutionStatus = "pending" | "running" | "ok" | "error" | "aborted" | "lost";

/**
 * Newest first.
 */
export type ExecutionsResult = { executions: Array<Execution>, };

export type ExportConversationResult = { markdown: string, 
/**
 * What `import` takes, as text.
 */
json: string, };

/**
 * `keeper/findActiveSession`
 */
export type FindActiveSessionResult = { found: boolean, session: Session | null, 
/**
 * "path", or "file": its file had another name when the session was bound to it.
 */
match: string | null, candidates: Array<Candidate>, };

/**
 * `keeper/followed`: another window answered the question about a notebook that this one shows, too.
 */
export type Followed = { notebookUri: string, session: Session, };

/**
 * `keeper/health`
 */
export type Health = { sessions: SessionCounts, windows: WindowCounts, ages: Ages, last24h: LastDay, 
/**
 * Newest first, at most 50.
 */
recent: Array<RecentEvent>, store: StoreSizes, };

/**
 * `keeper/conversation/import`
 */
export type ImportConversationParams = { 
/**
 * What `export` gave, as text or as it is.
 */
json: JsonValue, 
/**
 * What it is to belong to; by default what it says, where that is still there.
 */
sessionId?: string, notebookUri?: string, };

export type InputPrompt = { prompt: string, 
/**
 * The answer must not be shown.
 */
password: boolean, };

/**
 * `keeper/inspect`
 */
export type InspectParams = { sessionId: string, code: string, 
/**
 * Position in `code`, in Unicode code points, as Jupyter counts.
 */
cursor: number, };

/**
 * Nothing is found where the kernel is busy.
 */
export type InspectResult = { found: boolean, 
/**
 * MIME bundle.
 */
data: JsonValue, };

/**
 * A kernelspec's names.
 */
export type KernelInfo = { name: string, displayName: string, language: string, };

/**
 * A kernel that could be started.
 */
export type Kernelspec = { name: string, displayName: string, language: string, 
/**
 * "jupyter" (an installed kernelspec) or "environment" (a Python environment of the workspace).
 */
source: string, 
/**
 * The program that runs it; null where it is unknown.
 */
interpreter: string | null, 
/**
 * False: the environment lacks ipykernel.
 */
ready: boolean, 
/**
 * The kernel provisioner that is to start it, which is refused: it is not for this machine.
 */
provisioner?: string, };

export type KernelspecsResult = { kernelspecs: Array<Kernelspec>, };

/**
 * `keeper/labelSession`
 */
export type LabelSessionParams = { sessionId: string, 
/**
 * Empty: derived from the notebook's name again.
 */
label: string, };

/**
 * What windows did in the last 24 hours.
 */
export type LastDay = { connects: number, disconnects: number, reconnects: number, expiredTokens: number, rejectedTokens: number, };

/**
 * `keeper/conversation/list`
 */
export type ListConversationsParams = { sessionId?: string, notebookUri?: string, };

/**
 * `keeper/listKernelspecs`
 */
export type ListKernelspecsParams = { notebookUri?: string, 
/**
 * Folders or interpreters of Python environments that the editor knows.
 */
environments?: Array<string>, 
/**
 * Whether a person may start them here, and so may agents; default true. False in an untrusted workspace.
 */
offered?: boolean, };

/**
 * `keeper/listSessions`
 */
export type ListSessionsParams = { 
/**
 * Also those that have ended; default false.
 */
includeEnded?: boolean, };

/**
 * `keeper/listWindows`; each that is given narrows it.
 */
export type ListWindowsParams = { repo?: string, issueNumber?: number, folder?: string, 
/**
 * Also those that are gone; default false.
 */
includeDisconnected?: boolean, };

/**
 * `keeper/findActiveSession`, and other requests about one notebook.
 */
export type NotebookParams = { notebookUri: string, };

/**
 * A notebook as results name it.
 */
export type NotebookRef = { 
/**
 * The URI in the spelling that the window used.
 */
notebookUri: string, 
/**
 * The absolute native path; null for an untitled notebook.
 */
notebookPath: string | null, 
/**
 * False: renamed away or deleted; an untitled one exists.
 */
notebookExists: boolean, };

/**
 * An open question about one notebook.
 */
export type Offer = { offerId: string, kind: OfferKind, 
/**
 * The whole question, for people, times in the user's time zone.
 */
message: string, 
/**
 * The notebook it is about; of a `migrate` the new one.
 */
notebookUri: string, 
/**
 * Of a `migrate`: what the kernel's notebook was called before; null else.
 */
fromNotebookUri: string | null, 
/**
 * The kernelspec that `fresh` would start, where one is known.
 */
kernelName: string | null, 
/**
 * What can be answered. `dismiss` is valid for every kind, listed or not.
 */
actions: Array<Action>, 
/**
 * The sessions it is about.
 */
sessions: Array<Session>, raisedAt: Time, 
/**
 * Of a `resume` whose kernel is busy: the part of `message` that says so, as "cell 5 has been running for 20 s".
 */
running: string | null, };

export type OfferKind = "resume" | "recover" | "migrate" | "replace" | "pick";

/**
 * `keeper/offer`
 */
export type OfferNotification = { offer: Offer, };

/**
 * `keeper/offerWithdrawn`
 */
export type OfferWithdrawn = { offerId: string, };

export type OffersResult = { offers: Array<Offer>, };

/**
 * A living kernel of this user that another program started.
 */
export type OtherKernel = { 
/**
 * The absolute path of its connection file, by which it is named.
 */
connectionFile: string, pid: number, kernelName: string, displayName: string, language: string, startedAt: Time, 
/**
 * The program that started it, such as "jupyter-lab"; null where that is gone.
 */
startedBy: string | null, 
/**
 * The notebook that it was started for, where its program told it.
 */
notebookPath: string | null, };

/**
 * `keeper/listOtherKernels`: newest first.
 */
export type OtherKernelsResult = { kernels: Array<OtherKernel>, 
/**
 * Where their connection files are looked for: Jupyter's runtime folder.
 */
folder: string | null, };

/**
 * An nbformat 4 output, plus `displayId` where the message had one. Text is one string, never a list of lines.
 */
export type Output = { "output_type": "stream", name: StreamName, text: string, } | { "output_type": "display_data", 
/**
 * MIME bundle.
 */
data: JsonValue, metadata: JsonValue, displayId?: string, } | { "output_type": "execute_result", 
/**
 * MIME bundle.
 */
data: JsonValue, metadata: JsonValue, execution_count: number | null, displayId?: string, } | { "output_type": "error", ename: string, evalue: string, traceback: Array<string>, };

/**
 * `keeper/pinSession`
 */
export type PinSessionParams = { sessionId: string, pinned: boolean, };

/**
 * `keeper/pruneStore`; absent: every ended session.
 */
export type PruneStoreParams = { endedBefore?: Time, };

export type PruneStoreResult = { removedSessions: number, freedBytes: number, };

/**
 * Executions of an earlier kernel that were queued again, in their order.
 */
export type Rebuild = { executionIds: Array<string>, };

/**
 * One thing that happened.
 */
export type RecentEvent = { at: Time, 
/**
 * windowConnected | windowReconnected | windowDisconnected | tokenExpired | tokenRejected | sessionStarted |
 * sessionAdopted | sessionMigrated | sessionEnded
 */
kind: string, sessionId: string | null, windowId: string | null, 
/**
 * The session's label, or the window's folder.
 */
label: string | null, detail: string | null, };

/**
 * `keeper/reconnect`
 */
export type ReconnectParams = { token: string, };

export type ReconnectResult = { window: Window, reconnectCount: number, };

/**
 * `keeper/reconnectToken`
 */
export type ReconnectTokenResult = { token: string, 
/**
 * After that it is of no use.
 */
expiresAt: Time, };

/**
 * `keeper/snapshot/remove`
 */
export type RemoveSnapshotParams = { sessionId: string, name: string, };

/**
 * False: there was none.
 */
export type RemoveSnapshotResult = { removed: boolean, };

/**
 * `keeper/removeWindow`: what is known of windows of this folder that have no living sidecar is forgotten.
 */
export type RemoveWindowParams = { folder: string, };

export type RemoveWindowResult = { removed: boolean, };

/**
 * `keeper/replayTo`
 */
export type ReplayToParams = { sessionId: string, executionId: string, };

/**
 * The fresh kernel's session, and what was queued there.
 */
export type ReplayToResult = { session: Session, rebuild: Rebuild, };

/**
 * `keeper/replyInput`
 */
export type ReplyInputParams = { sessionId: string, executionId: string, value: string, };

/**
 * `keeper/snapshot/restore`
 */
export type RestoreSnapshotParams = { sessionId: string, name: string, 
/**
 * Restart the kernel first; default false. A session that has ended is started in any case.
 */
restart?: boolean, };

export type RestoreSnapshotResult = { session: Session, variables: Array<string>, skipped: Array<SkippedVariable>, 
/**
 * Sentences for people: another version of Python or of a package than the snapshot was taken with.
 */
warnings: Array<string>, };

/**
 * Who said it.
 */
export type Role = "user" | "assistant" | "system" | "tool";

/**
 * `keeper/snapshot/save`
 */
export type SaveSnapshotParams = { sessionId: string, name: string, };

/**
 * A kept kernel with its history.
 */
export type Session = { 
/**
 * Short and url-safe; never changes: not by migration, restart, a new window or a new keeper.
 */
id: string, 
/**
 * The notebook's file name until someone sets one.
 */
label: string, 
/**
 * The first of `notebooks`.
 */
notebookUri: string, 
/**
 * Absolute and native; null for an untitled notebook.
 */
notebookPath: string | null, 
/**
 * False: renamed away or deleted.
 */
notebookExists: boolean, 
/**
 * More than one where the kernel is shared.
 */
notebooks: Array<NotebookRef>, kernel: KernelInfo, 
/**
 * The kernel's process; null while starting.
 */
pid: number | null, 
/**
 * The keeper's process; null once it has ended.
 */
keeperPid: number | null, 
/**
 * Another host's session is only listed, never touched.
 */
host: string, 
/**
 * Of the kernel process: changes with a restart.
 */
startedAt: Time, 
/**
 * The last execution's begin, output or end.
 */
lastActivityAt: Time, 
/**
 * Time spent executing, in seconds, over all of the history.
 */
busySeconds: number, state: SessionState, 
/**
 * False: keeper or kernel has not answered for a while.
 */
responding: boolean, 
/**
 * Kept by any idle policy.
 */
pinned: boolean, 
/**
 * Sentences for people: what may be missing or needs attention.
 */
warnings: Array<string>, currentExecution: CurrentExecution | null, 
/**
 * Executions waiting.
 */
queued: number, 
/**
 * A child process that it is running, by name.
 */
runs: string | null, 
/**
 * Who is looking.
 */
windows: Array<AttachedWindow>, 
/**
 * Kernel with its children, in bytes; null when ended.
 */
memoryBytes: number | null, 
/**
 * Kernel with its children; 100 is one core; null when ended.
 */
cpuPercent: number | null, 
/**
 * Of an NVIDIA card, in bytes; null where it uses none, or nobody can tell.
 */
gpuMemoryBytes: number | null, 
/**
 * Another program started the kernel, and may use or end it, too.
 */
adopted: boolean, 
/**
 * Another session has its notebook, as after a replay: this one lives on without, and names what it had.
 */
replaced: boolean, 
/**
 * An agent started it, and no person's window had it since.
 */
agent: boolean, 
/**
 * When the idle policy stops it if nothing changes; null where it does not.
 */
stopsAt: Time | null, endedAt: Time | null, endReason: EndReason | null, };

/**
 * A live session is disconnected when no window has it attached, else active; `total` counts all of them.
 */
export type SessionCounts = { active: number, disconnected: number, ended: number, total: number, };

/**
 * `keeper/sessionCreated`, `sessionUpdated`, `sessionDisconnected`, `sessionEnded`
 */
export type SessionNotification = { session: Session, };

/**
 * `keeper/stopSession`, `interruptSession`, `restartSession`, `unsubscribe`
 */
export type SessionParams = { sessionId: string, };

export type SessionResult = { session: Session, };

export type SessionState = "starting" | "idle" | "busy" | "restarting" | "ended";

/**
 * `keeper/sessionVariables`: in the order in which the user made them.
 */
export type SessionVariablesResult = { variables: Array<Variable>, 
/**
 * False: this language's kernels cannot be asked.
 */
supported: boolean, 
/**
 * The kernel is busy or ended: this is the last that was known.
 */
stale: boolean, 
/**
 * When it was so; null where nothing is known.
 */
asOf: Time | null, };

/**
 * Newest activity first.
 */
export type SessionsResult = { sessions: Array<Session>, };

/**
 * `keeper/setVisible`: the window shows memory and processor to somebody; they are sampled more often meanwhile.
 */
export type SetVisibleParams = { visible: boolean, };

/**
 * A variable that is not in a snapshot, or was not restored from it.
 */
export type SkippedVariable = { name: string, reason: string, };

/**
 * What a snapshot holds.
 */
export type Snapshot = { name: string, 
/**
 * The session that it was taken of.
 */
sessionId: string, at: Time, bytes: number, 
/**
 * Their names.
 */
variables: Array<string>, 
/**
 * What could not be pickled.
 */
skipped: Array<SkippedVariable>, };

export type SnapshotResult = { snapshot: Snapshot, };

/**
 * Of `keeper/snapshot/list`: of all the notebook's sessions, the latest first.
 */
export type SnapshotsResult = { snapshots: Array<Snapshot>, };

/**
 * `keeper/startSession`
 */
export type StartSessionParams = { notebookUri: string, kernelName: string, label?: string, 
/**
 * The kernel's working folder; default the notebook's own.
 */
cwd?: string, 
/**
 * Added to the kernel's environment.
 */
env?: { [key in string]: string }, };

export type StopAllResult = { stopped: number, };

/**
 * Bytes on disk.
 */
export type StoreSizes = { registryBytes: number, journalBytes: number, 
/**
 * Outputs too large for the journal.
 */
assetBytes: number, };

export type StreamName = "stdout" | "stderr";

/**
 * `keeper/subscribe`
 */
export type SubscribeParams = { sessionId: string, 
/**
 * Absent: from now.
 */
afterSeq?: number, };

export type SubscribeResult = { lastSeq: number, };

/**
 * Where the whole of what was cut is.
 */
export type Truncated = { 
/**
 * Its bytes before the cut.
 */
totalBytes: number, 
/**
 * A `file:` URI of all of it.
 */
assetUri: string, };

/**
 * One thing that was said.
 */
export type Turn = { role: Role, content: string, at: Time, };

/**
 * `keeper/updateWindow`; with it comes what is to change, as in [`WindowChange`](super::WindowChange).
 */
export type UpdateWindowParams = { windowId: string, };

/**
 * One of the user's variables. Modules, functions, classes and names that begin with `_` are none.
 */
export type Variable = { name: string, 
/**
 * Its class's name.
 */
type: string, 
/**
 * A dimension is null where it is not known; a collection has one, its length; null where there is none.
 */
shape: (number | null)[] | null, 
/**
 * Bytes, without what it refers to; null where it is not known.
 */
size: number | null, 
/**
 * At most 200 characters; of large objects what they are, not what is in them.
 */
preview: string, };

/**
 * An editor window as the registry knows it.
 */
export type Window = { windowId: string, 
/**
 * The first workspace folder, as a path.
 */
folder: string | null, 
/**
 * "owner/name" from the git remote.
 */
repo: string | null, 
/**
 * From the name of the branch, or set.
 */
issueNumber: number | null, status: string | null, isIntervention: boolean, editorPid: number | null, editorName: string | null, startedAt: Time, lastSeenAt: Time, 
/**
 * How often it was taken up again by its token.
 */
reconnectCount: number, state: WindowState, 
/**
 * The ids of the sessions that it has attached, or had when it was disconnected.
 */
sessions: Array<string>, 
/**
 * Whether it is the window that asked.
 */
thisWindow: boolean, };

/**
 * What is to change of a window: absent fields stay, null takes a value away.
 */
export type WindowChange = { folder?: string | null, repo?: string | null, issueNumber?: number | null, status?: string | null, isIntervention?: boolean | null, editorPid?: number | null, editorName?: string | null, };

export type WindowCounts = { active: number, disconnected: number, total: number, };

export type WindowResult = { window: Window, };

export type WindowState = "active" | "disconnected";

export type WindowsResult = { 
/**
 * Those seen last first.
 */
windows: Array<Window>, 
/**
 * How many of them have an editor that runs.
 */
active: number, };
