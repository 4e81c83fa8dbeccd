//! Parameters and errors, between JSON-RPC and plain types.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower_lsp::jsonrpc;

use crate::protocol::{Error, ErrorKind, NotebookName};

/// Reads a request's parameters.
///
/// # Errors
/// `InvalidParams` with the field's name: missing, of another type, or out of range.
pub fn parse<T: DeserializeOwned>(params: Value) -> Result<T, Error> {
    let params = if params.is_null() { json!({}) } else { params };
    serde_path_to_error::deserialize(params).map_err(|e| {
        let path = e.path().to_string();
        let why = e.inner().to_string();
        // A missing field is named in the sentence, not by the path.
        let field = match why.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            Some(missing) if path == "." => missing.to_owned(),
            Some(missing) => format!("{path}.{missing}"),
            None if path == "." => String::new(),
            None => path,
        };
        let message = if field.is_empty() { why } else { format!("{field}: {why}") };
        Error::new(ErrorKind::InvalidParams, message).with("field", field)
    })
}

/// Checks a notebook's URI.
pub fn notebook(field: &str, uri: &str) -> Result<NotebookName, Error> {
    NotebookName::parse(uri)
        .map_err(|why| Error::new(ErrorKind::InvalidParams, format!("{field}: {why}")).with("field", field))
}

/// The same for one that may be absent.
pub fn optional_notebook(field: &str, uri: Option<&str>) -> Result<Option<NotebookName>, Error> {
    uri.map(|uri| notebook(field, uri)).transpose()
}

/// An error as JSON-RPC has it.
pub fn to_rpc(error: Error) -> jsonrpc::Error {
    let mut data = error.data;
    data.insert("kind".into(), error.kind.name().into());
    jsonrpc::Error {
        code: jsonrpc::ErrorCode::from(error.kind.code()),
        message: error.message.into(),
        data: Some(Value::Object(data)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ExecuteParams;

    fn field(params: Value) -> String {
        parse::<ExecuteParams>(params).unwrap_err().data["field"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_field_is_named() {
        assert_eq!(field(json!({})), "sessionId");
        assert_eq!(field(json!(null)), "sessionId");
        assert_eq!(field(json!({"sessionId": 1, "code": ""})), "sessionId");
        assert_eq!(
            field(json!({"sessionId": "a", "code": "", "cell": {"id": "x", "index": -1}})),
            "cell.index"
        );
        assert_eq!(field(json!({"sessionId": "a", "code": "", "cell": {"id": "x"}})), "cell.index");
        assert!(parse::<ExecuteParams>(json!({"sessionId": "a", "code": "", "more": 1})).is_ok());
    }
}
