//! Executions and what they put into cells.
//!
//! Outputs have nbformat's own field names, so that a client can write them into a notebook as they are.

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use super::Json;

use super::Time;

/// One run of one piece of code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    pub execution_id: String,
    pub session_id: String,
    /// The notebook it was run from, under its present name.
    pub notebook_uri: String,
    /// nbformat's cell id; null where the code came from no cell.
    pub cell_id: Option<String>,
    /// The cell's position when it was run, from 0.
    pub cell_index: Option<u32>,
    pub code: String,
    /// Jupyter's `In [n]`; null until the kernel has told it.
    pub execution_count: Option<u32>,
    /// The window's id, `cli` or `mcp`.
    pub origin: String,
    pub status: ExecutionStatus,
    pub queued_at: Time,
    pub started_at: Option<Time>,
    pub completed_at: Option<Time>,
    /// Set where `status` is `error`.
    pub error: Option<ExecutionError>,
}

/// How far an execution is. `lost`: it ran when kernel or keeper died, and how it ended cannot be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum ExecutionStatus {
    Pending,
    Running,
    Ok,
    Error,
    Aborted,
    Lost,
}

impl ExecutionStatus {
    /// The word that is on the wire and in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Aborted => "aborted",
            Self::Lost => "lost",
        }
    }

    /// The reverse of [`as_str`](Self::as_str).
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Running, Self::Ok, Self::Error, Self::Aborted, Self::Lost]
            .into_iter()
            .find(|s| s.as_str() == word)
    }

    /// Whether it will change no more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// A failed execution's exception, as the kernel told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ExecutionError {
    pub ename: String,
    pub evalue: String,
    /// Lines, with ANSI colours.
    pub traceback: Vec<String>,
}

/// A cell as requests name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CellRef {
    /// nbformat's cell id.
    pub id: String,
    /// Position in the notebook, from 0.
    pub index: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum StreamName {
    Stdout,
    Stderr,
}

/// An nbformat 4 output, plus `displayId` where the message had one. Text is one string, never a list of lines.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "output_type", rename_all = "snake_case")]
pub enum Output {
    Stream {
        name: StreamName,
        text: String,
    },
    DisplayData {
        /// MIME bundle.
        #[cfg_attr(test, ts(as = "serde_json::Value"))]
        data: Json,
        #[cfg_attr(test, ts(as = "serde_json::Value"))]
        metadata: Json,
        #[serde(rename = "displayId", skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        display_id: Option<String>,
    },
    ExecuteResult {
        /// MIME bundle.
        #[cfg_attr(test, ts(as = "serde_json::Value"))]
        data: Json,
        #[cfg_attr(test, ts(as = "serde_json::Value"))]
        metadata: Json,
        execution_count: Option<u32>,
        #[serde(rename = "displayId", skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        display_id: Option<String>,
    },
    Error {
        ename: String,
        evalue: String,
        traceback: Vec<String>,
    },
}

/// Read in one go: serde would hold what a tag may stand behind as values of its own, which change numbers.
impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Output, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Kind {
            Stream,
            DisplayData,
            ExecuteResult,
            Error,
        }
        #[derive(Deserialize)]
        struct Any {
            output_type: Kind,
            name: Option<StreamName>,
            text: Option<String>,
            #[serde(default, deserialize_with = "super::json::given")]
            data: Option<Json>,
            #[serde(default, deserialize_with = "super::json::given")]
            metadata: Option<Json>,
            execution_count: Option<u32>,
            #[serde(rename = "displayId")]
            display_id: Option<String>,
            ename: Option<String>,
            evalue: Option<String>,
            traceback: Option<Vec<String>>,
        }
        let any = Any::deserialize(from)?;
        let missing = D::Error::missing_field;
        Ok(match any.output_type {
            Kind::Stream => Output::Stream {
                name: any.name.ok_or_else(|| missing("name"))?,
                text: any.text.ok_or_else(|| missing("text"))?,
            },
            Kind::DisplayData => Output::DisplayData {
                data: any.data.ok_or_else(|| missing("data"))?,
                metadata: any.metadata.ok_or_else(|| missing("metadata"))?,
                display_id: any.display_id,
            },
            Kind::ExecuteResult => Output::ExecuteResult {
                data: any.data.ok_or_else(|| missing("data"))?,
                metadata: any.metadata.ok_or_else(|| missing("metadata"))?,
                execution_count: any.execution_count,
                display_id: any.display_id,
            },
            Kind::Error => Output::Error {
                ename: any.ename.ok_or_else(|| missing("ename"))?,
                evalue: any.evalue.ok_or_else(|| missing("evalue"))?,
                traceback: any.traceback.ok_or_else(|| missing("traceback"))?,
            },
        })
    }
}

/// A cell's latest execution that began, with its outputs as they stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CellOutputs {
    pub notebook_uri: String,
    pub cell_id: String,
    pub cell_index: Option<u32>,
    pub execution_id: String,
    pub execution_count: Option<u32>,
    pub status: ExecutionStatus,
    pub started_at: Option<Time>,
    pub completed_at: Option<Time>,
    pub outputs: Vec<Output>,
    /// Set where something was cut: stream text in its middle, or an output that no answer can hold.
    pub truncated: Option<Truncated>,
    /// How many outputs, the last of them, are left out because the answer is full: asked for alone, the cell may have
    /// room for them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional, type = "number"))]
    pub left_out: Option<u64>,
}

/// Where the whole of what was cut is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Truncated {
    /// Its bytes before the cut.
    #[cfg_attr(test, ts(type = "number"))]
    pub total_bytes: u64,
    /// A `file:` URI of all of it.
    pub asset_uri: String,
}
