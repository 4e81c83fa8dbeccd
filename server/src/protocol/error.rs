//! Errors on the wire.
//!
//! The kind is stable and for programs, the message for people. Codes are told one by one, never counted.

use serde_json::{Map, Value};

/// What a face answers where a request fails: a stable kind, a sentence that says what happened and what to do, and data.
#[derive(Clone, Debug)]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
    /// What it is about; `kind` is added when it is sent.
    pub data: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    InvalidParams,
    SessionNotFound,
    NotebookHasSession,
    KernelspecNotFound,
    KernelFailed,
    SessionEnded,
    TokenRejected,
    LimitReached,
    StoreFailed,
    OfferGone,
    SessionMoved,
    NotWaiting,
    NotFound,
    ForeignHost,
    /// An agent asked for what its user did not allow.
    Refused,
    /// A fault of ours; JSON-RPC's own `InternalError`.
    Internal,
}

impl ErrorKind {
    /// The JSON-RPC code.
    pub fn code(self) -> i64 {
        match self {
            Self::InvalidParams => -32602,
            Self::Internal => -32603,
            Self::SessionNotFound => -32001,
            Self::NotebookHasSession => -32002,
            Self::KernelspecNotFound => -32003,
            Self::KernelFailed => -32004,
            Self::SessionEnded => -32005,
            Self::TokenRejected => -32006,
            Self::LimitReached => -32007,
            Self::StoreFailed => -32008,
            Self::OfferGone => -32009,
            Self::SessionMoved => -32010,
            Self::NotWaiting => -32011,
            Self::NotFound => -32012,
            Self::ForeignHost => -32013,
            Self::Refused => -32014,
        }
    }

    /// The reverse of [`name`](Self::name).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }

    const ALL: [Self; 16] = [
        Self::InvalidParams,
        Self::SessionNotFound,
        Self::NotebookHasSession,
        Self::KernelspecNotFound,
        Self::KernelFailed,
        Self::SessionEnded,
        Self::TokenRejected,
        Self::LimitReached,
        Self::StoreFailed,
        Self::OfferGone,
        Self::SessionMoved,
        Self::NotWaiting,
        Self::NotFound,
        Self::ForeignHost,
        Self::Refused,
        Self::Internal,
    ];

    /// `data.kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidParams => "InvalidParams",
            Self::Internal => "Internal",
            Self::SessionNotFound => "SessionNotFound",
            Self::NotebookHasSession => "NotebookHasSession",
            Self::KernelspecNotFound => "KernelspecNotFound",
            Self::KernelFailed => "KernelFailed",
            Self::SessionEnded => "SessionEnded",
            Self::TokenRejected => "TokenRejected",
            Self::LimitReached => "LimitReached",
            Self::StoreFailed => "StoreFailed",
            Self::OfferGone => "OfferGone",
            Self::SessionMoved => "SessionMoved",
            Self::NotWaiting => "NotWaiting",
            Self::NotFound => "NotFound",
            Self::ForeignHost => "ForeignHost",
            Self::Refused => "Refused",
        }
    }
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), data: Map::new() }
    }

    /// Adds one field to `data`.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Error {
        self.data.insert(name.into(), value.into());
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
