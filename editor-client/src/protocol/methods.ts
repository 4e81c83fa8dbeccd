/**
 * The methods that the extension calls and hears, each with its types, so that a call with the wrong shape does not compile.
 * The shapes themselves are generated (`types.ts`).
 */
import type * as p from './types';

export interface Requests {
  'keeper/listSessions': [p.ListSessionsParams, p.SessionsResult];
  'keeper/findActiveSession': [p.NotebookParams, p.FindActiveSessionResult];
  'keeper/listKernelspecs': [p.ListKernelspecsParams, p.KernelspecsResult];
  'keeper/ensureSession': [p.EnsureSessionParams, p.EnsureResult];
  'keeper/answerOffer': [p.AnswerOfferParams, p.EnsureResult];
  'keeper/openOffers': [Record<string, never>, p.OffersResult];
  'keeper/startSession': [p.StartSessionParams, p.SessionResult];
  'keeper/attachSession': [p.AttachSessionParams, p.AttachSessionResult];
  'keeper/detachSession': [p.DetachSessionParams, unknown];
  'keeper/stopSession': [p.SessionParams, p.SessionResult];
  'keeper/stopAllSessions': [Record<string, never>, p.StopAllResult];
  'keeper/interruptSession': [p.SessionParams, p.SessionResult];
  'keeper/restartSession': [p.SessionParams, p.SessionResult];
  'keeper/labelSession': [p.LabelSessionParams, p.SessionResult];
  'keeper/pinSession': [p.PinSessionParams, p.SessionResult];
  'keeper/execute': [p.ExecuteParams, p.ExecuteResult];
  'keeper/cancelExecution': [p.CancelExecutionParams, p.ExecutionResult];
  'keeper/replyInput': [p.ReplyInputParams, unknown];
  'keeper/executionHistory': [p.ExecutionHistoryParams, p.ExecutionsResult];
  'keeper/cellOutputs': [p.CellOutputsParams, p.CellOutputsResult];
  'keeper/sessionVariables': [p.SessionParams, p.SessionVariablesResult];
  'keeper/health': [Record<string, never>, p.Health];
  'keeper/pruneStore': [p.PruneStoreParams, p.PruneStoreResult];
  'keeper/setVisible': [p.SetVisibleParams, unknown];
  'keeper/subscribe': [p.SubscribeParams, p.SubscribeResult];
  'keeper/unsubscribe': [p.SessionParams, unknown];
  'keeper/listOtherKernels': [Record<string, never>, p.OtherKernelsResult];
  'keeper/adoptKernel': [p.AdoptKernelParams, p.SessionResult];
  'keeper/reconnectToken': [Record<string, never>, p.ReconnectTokenResult];
  'keeper/conversation/append': [p.AppendTurnParams, p.AppendTurnResult];
  'keeper/conversation/history': [p.ConversationHistoryParams, p.ConversationHistoryResult];
  'keeper/conversation/list': [p.ListConversationsParams, p.ConversationsResult];
  'keeper/conversation/clear': [p.ConversationParams, p.ClearConversationResult];
  'keeper/conversation/branch': [p.BranchConversationParams, p.ConversationIdResult];
  'keeper/conversation/export': [p.ConversationParams, p.ExportConversationResult];
  'keeper/conversation/import': [p.ImportConversationParams, p.ConversationIdResult];
  'keeper/snapshot/save': [p.SaveSnapshotParams, p.SnapshotResult];
  'keeper/snapshot/restore': [p.RestoreSnapshotParams, p.RestoreSnapshotResult];
  'keeper/snapshot/list': [p.NotebookParams, p.SnapshotsResult];
  'keeper/snapshot/remove': [p.RemoveSnapshotParams, p.RemoveSnapshotResult];
  'keeper/replayTo': [p.ReplayToParams, p.ReplayToResult];
}

export type Method = keyof Requests;
export type Params<M extends Method> = Requests[M][0];
export type Result<M extends Method> = Requests[M][1];

/** Each comes with `{ session }`. */
export const SESSION_NOTIFICATIONS = [
  'keeper/sessionCreated',
  'keeper/sessionUpdated',
  'keeper/sessionDisconnected',
  'keeper/sessionEnded',
] as const;

/** The version of the protocol that this client speaks. */
export const PROTOCOL_VERSION = 1;
