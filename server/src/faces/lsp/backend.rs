//! The window's state and the standard part of LSP.
//!
//! Handlers start in the order of their messages, so what must keep that order is done before their first `.await`.
//! No handler waits for a person, and none holds a lock over an `.await`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tower_lsp::jsonrpc;
use tower_lsp::ls_types::*;
use tower_lsp::{Client, LanguageServer};

use super::cells::{Cell, Cells};
use super::{documents, outgoing, params, watch as disk};
use crate::paths::Folders;
use crate::protocol::{AboutWindow, Error, ErrorKind, NotebookName, PROTOCOL_VERSION};
use crate::sessions::{Sessions, Settings, ThisWindow};

/// What outlives the LSP library's service: set once, by `initialize`.
pub struct Shared {
    folders: Folders,
    sessions: OnceLock<Arc<Sessions>>,
    shut_down: AtomicBool,
}

impl Shared {
    pub fn new(folders: Folders) -> Shared {
        Shared { folders, sessions: OnceLock::new(), shut_down: AtomicBool::new(false) }
    }

    /// The core, once the window is initialized.
    pub fn sessions(&self) -> Option<&Arc<Sessions>> {
        self.sessions.get()
    }

    pub fn was_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::Relaxed)
    }
}

/// One editor window.
pub struct Backend {
    pub client: Client,
    shared: Arc<Shared>,
    /// The tasks that feed this client, by session. Owned by `subscribe` and `unsubscribe`.
    pub subscriptions: Mutex<HashMap<String, AbortHandle>>,
    /// What the client said of its cells.
    cells: Mutex<Cells>,
    /// True once every living keeper was asked for the first time.
    looked: watch::Sender<bool>,
    /// Held back until the client said `initialized`.
    events: Mutex<Option<tokio::sync::mpsc::UnboundedReceiver<crate::sessions::Event>>>,
}

impl Backend {
    pub fn new(client: Client, shared: Arc<Shared>) -> Backend {
        Backend {
            client,
            shared,
            subscriptions: Mutex::default(),
            cells: Mutex::default(),
            looked: watch::Sender::new(false),
            events: Mutex::default(),
        }
    }

    /// The core.
    pub fn sessions(&self) -> Result<&Arc<Sessions>, Error> {
        self.shared.sessions().ok_or_else(|| Error::new(ErrorKind::Internal, "not initialized yet"))
    }

    /// A cell, as the client told it.
    pub fn cell(&self, uri: &str) -> Option<Cell> {
        self.cells().get(uri).cloned()
    }

    fn cells(&self) -> std::sync::MutexGuard<'_, Cells> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the living keepers were asked once, so that the first list is whole; not for one that is frozen.
    pub async fn looked(&self) {
        let mut looked = self.looked.subscribe();
        let wait = looked.wait_for(|looked| *looked);
        let _ = tokio::time::timeout(std::time::Duration::from_secs(3), wait).await;
    }

    async fn start(&self, asked: &InitializeParams) -> Result<Value, Error> {
        let options = asked.initialization_options.clone().unwrap_or_default();
        let mut about: AboutWindow = match options.get("window") {
            Some(window) if !window.is_null() => params::parse(window.clone())?,
            _ => AboutWindow::default(),
        };
        about.cut();
        let editor = about.editor_pid;
        about.editor_pid = editor.or(asked.process_id);
        let named = asked.workspace_folders.iter().flatten().map(|folder| folder.uri.as_str().to_owned());
        let folders: Vec<_> =
            named.filter_map(|uri| NotebookName::any_file(&uri).ok().and_then(|name| name.path)).collect();
        if about.folder.is_none() {
            about.folder = folders.first().map(|f| f.to_string_lossy().into_owned());
        }
        let window = ThisWindow { id: crate::ids::session(), about, folders, ..ThisWindow::default() };
        let settings = Settings::read(options.get("settings").unwrap_or(&Value::Null));
        let (sessions, events) = Sessions::open(self.shared.folders.clone(), window, settings)?;
        sessions.look_at_folder().await;
        let reconnect = match options.get("reconnectToken").and_then(Value::as_str) {
            Some(token) => match sessions.take_up(token).await {
                Ok(Ok(window)) => json!({ "outcome": "reconnected", "count": window.reconnect_count }),
                Ok(Err(why)) => json!({ "outcome": why.reason(), "count": 0 }),
                Err(e) => {
                    tracing::warn!("the window could not be taken up again: {e}");
                    json!({ "outcome": "invalid", "count": 0 })
                }
            },
            None => json!({ "outcome": "new", "count": 0 }),
        };
        if let Some(editor) = editor.filter(|_| reconnect["outcome"] == "new") {
            sessions.succeed_window(editor).await;
        }
        let window_id = sessions.window_id();
        if let Err(e) = sessions.register_window() {
            // On a full disk, say: kernels are to be seen and stopped all the same, and it is tried again.
            tracing::warn!("the window could not be registered: {e}");
        }
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) = Some(events);
        let _ = self.shared.sessions.set(sessions.clone());
        let looked = self.looked.clone();
        tokio::spawn(async move {
            if let Err(e) = sessions.refresh(false).await {
                tracing::warn!("{e}");
            }
            sessions.forget_ended_attachments();
            looked.send_replace(true);
        });
        Ok(json!({ "protocolVersion": PROTOCOL_VERSION, "windowId": window_id, "reconnect": reconnect }))
    }
}

impl LanguageServer for Backend {
    async fn initialize(&self, asked: InitializeParams) -> jsonrpc::Result<InitializeResult> {
        let ours = self.start(&asked).await.map_err(params::to_rpc)?;
        Ok(InitializeResult {
            capabilities: capabilities(ours),
            server_info: Some(ServerInfo {
                name: "kernel-keeper".into(),
                version: Some(env!("CARGO_PKG_VERSION").into()),
            }),
            ..InitializeResult::default()
        })
    }

    async fn initialized(&self, _: InitializedParams) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(events), Ok(sessions)) = (events, self.sessions()) else { return };
        tokio::spawn(outgoing::pump(self.client.clone(), events));
        tokio::spawn(disk::follow(sessions.clone()));
        let sessions = sessions.clone();
        self.looked().await;
        sessions.review_offers();
        let handle = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || handle.block_on(sessions.housekeeping()));
    }

    async fn shutdown(&self) -> jsonrpc::Result<()> {
        self.shared.shut_down.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn did_change_workspace_folders(&self, changed: DidChangeWorkspaceFoldersParams) {
        let Ok(sessions) = self.sessions() else { return };
        let path = |folder: &WorkspaceFolder| {
            NotebookName::any_file(folder.uri.as_str()).ok().and_then(|name| name.path)
        };
        let removed: Vec<_> = changed.event.removed.iter().filter_map(path).collect();
        let added: Vec<_> = changed.event.added.iter().filter_map(path).collect();
        let updated = sessions.update_window(|window| {
            window.folders.retain(|folder| !removed.contains(folder) && !added.contains(folder));
            window.folders.extend(added);
        });
        if let Err(e) = updated {
            tracing::warn!("{e}");
        }
    }

    async fn did_change_configuration(&self, changed: DidChangeConfigurationParams) {
        let Ok(sessions) = self.sessions() else { return };
        let section = changed.settings.get("kernelKeeper").unwrap_or(&changed.settings);
        sessions.set_settings(Settings::read(section));
    }

    async fn will_rename_files(&self, renamed: RenameFilesParams) -> jsonrpc::Result<Option<WorkspaceEdit>> {
        if let Ok(sessions) = self.sessions() {
            for (from, to) in documents::renames(&renamed) {
                sessions.announce_rename(&from, &to);
            }
        }
        Ok(None)
    }

    async fn did_rename_files(&self, renamed: RenameFilesParams) {
        let Ok(sessions) = self.sessions() else { return };
        for (from, to) in documents::renames(&renamed) {
            sessions.announce_rename(&from, &to);
            sessions.editor_renamed(&from, &to).await;
        }
    }

    async fn notebook_did_open(&self, opened: DidOpenNotebookDocumentParams) {
        let uri = opened.notebook_document.uri.as_str();
        self.cells().open(uri, &opened.cell_text_documents);
        self.opened(uri).await;
    }

    async fn notebook_did_change(&self, changed: DidChangeNotebookDocumentParams) {
        let uri = changed.notebook_document.uri.as_str();
        if let Some(cells) = &changed.change.cells {
            self.cells().change(uri, cells);
        }
        self.edited(uri, true);
    }

    async fn notebook_did_save(&self, saved: DidSaveNotebookDocumentParams) {
        self.edited(saved.notebook_document.uri.as_str(), false);
        self.saved(saved.notebook_document.uri.as_str()).await;
    }

    async fn notebook_did_close(&self, closed: DidCloseNotebookDocumentParams) {
        self.cells().close(closed.cell_text_documents.iter().map(|cell| cell.uri.as_str()));
        self.closed(closed.notebook_document.uri.as_str()).await;
    }

    async fn completion(&self, asked: CompletionParams) -> jsonrpc::Result<Option<CompletionResponse>> {
        Ok(self.completed(&asked.text_document_position).await)
    }

    async fn hover(&self, asked: HoverParams) -> jsonrpc::Result<Option<Hover>> {
        Ok(self.hovered(&asked.text_document_position_params).await)
    }

    async fn signature_help(&self, asked: SignatureHelpParams) -> jsonrpc::Result<Option<SignatureHelp>> {
        Ok(self.signed(&asked.text_document_position_params).await)
    }
}

fn capabilities_of_help() -> ServerCapabilities {
    let triggers = |characters: &[&str]| Some(characters.iter().map(|c| (*c).to_owned()).collect());
    ServerCapabilities {
        completion_provider: Some(CompletionOptions {
            trigger_characters: triggers(&["."]),
            ..CompletionOptions::default()
        }),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        signature_help_provider: Some(SignatureHelpOptions {
            trigger_characters: triggers(&["(", ","]),
            ..SignatureHelpOptions::default()
        }),
        ..ServerCapabilities::default()
    }
}

fn capabilities(ours: Value) -> ServerCapabilities {
    let notebook =
        NotebookSelector::ByNotebook { notebook: Notebook::String("jupyter-notebook".into()), cells: None };
    let filter = |glob: &str, matches| FileOperationFilter {
        scheme: Some("file".into()),
        pattern: FileOperationPattern { glob: glob.into(), matches: Some(matches), options: None },
    };
    let renamed = FileOperationRegistrationOptions {
        filters: vec![
            filter("**/*.ipynb", FileOperationPatternKind::File),
            filter("**", FileOperationPatternKind::Folder),
        ],
    };
    ServerCapabilities {
        notebook_document_sync: Some(OneOf::Left(NotebookDocumentSyncOptions {
            notebook_selector: vec![notebook],
            save: Some(true),
        })),
        workspace: Some(WorkspaceServerCapabilities {
            workspace_folders: Some(WorkspaceFoldersServerCapabilities {
                supported: Some(true),
                change_notifications: Some(OneOf::Left(true)),
            }),
            file_operations: Some(WorkspaceFileOperationsServerCapabilities {
                will_rename: Some(renamed.clone()),
                did_rename: Some(renamed),
                ..WorkspaceFileOperationsServerCapabilities::default()
            }),
        }),
        experimental: Some(json!({ "kernelKeeper": ours })),
        ..capabilities_of_help()
    }
}
