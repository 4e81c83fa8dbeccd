//! Tests of what becomes of a file's text.

use serde_json::json;

use super::*;
use crate::protocol::StreamName;

/// A file of code cells, made of ids and sources.
pub fn notebook(cells: &[(&str, &str)]) -> NotebookFile {
    let cells: Vec<Value> = cells
        .iter()
        .map(|(id, source)| match *id {
            "" => json!({ "cell_type": "code", "source": [source] }),
            id => json!({ "cell_type": "code", "id": id, "source": source }),
        })
        .collect();
    read(&json!({ "cells": cells }).to_string())
}

fn read(text: &str) -> NotebookFile {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a b.ipynb");
    std::fs::write(&path, text).unwrap();
    NotebookFile::read(&path).unwrap()
}

fn stream(text: &str) -> Output {
    Output::Stream { name: StreamName::Stdout, text: text.into() }
}

fn check(before: &str, outputs: &[Output], count: Option<u32>, after: &str) {
    let mut file = read(before);
    file.set(0, outputs, count);
    let edited = file.edited().map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(edited.as_deref().unwrap_or(before), after, "{before}");
}

#[test]
fn only_outputs_and_counts_change() {
    let around = |outputs: &str, count: &str| {
        format!(
            "\u{feff}{{\n\t\"cells\": [\n\t\t{{\n\t\t\t\"cell_type\": \"code\",\n\t\t\t\"execution_count\": {count},\n\t\t\t\"id\": \"a\",\n\t\t\t\"metadata\": {{\"n\": [1e-07, 123456789012345678901, NaN]}},\n\t\t\t\"outputs\": {outputs},\n\t\t\t\"source\": \"é \\ud83d\"\n\t\t}}\n\t],\n\t\"metadata\": {{}}\n}}"
        )
    };
    let new = "[\n\t\t\t\t{\n\t\t\t\t\t\"name\": \"stdout\",\n\t\t\t\t\t\"output_type\": \"stream\",\n\t\t\t\t\t\"text\": [\n\t\t\t\t\t\t\"a\\n\",\n\t\t\t\t\t\t\"b\"\n\t\t\t\t\t]\n\t\t\t\t}\n\t\t\t]";
    check(&around("[]", "null"), &[stream("a\nb")], Some(7), &around(new, "7"));
    check(&around(new, "7"), &[], None, &around("[]", "null"));
    // What says the same is left as it is.
    let same = r#"[{"text":"a\nb" , "output_type":"stream","name":"std\u006fut"}]"#;
    check(&around(same, "7"), &[stream("a\nb")], Some(7), &around(same, "7"));
}

#[test]
fn a_file_keeps_its_own_form() {
    let one = [stream("x")];
    let output = r#"{"name":"stdout","output_type":"stream","text":["x"]}"#;
    check(
        r#"{"cells":[{"cell_type":"code","source":"1"}],"nbformat":4}"#,
        &one,
        Some(1),
        &format!(
            r#"{{"cells":[{{"cell_type":"code","execution_count":1,"outputs":[{output}],"source":"1"}}],"nbformat":4}}"#
        ),
    );
    let spaced = r#"{"name": "stdout", "output_type": "stream", "text": ["x"]}"#;
    check(
        r#"{"cells": [{"source": "1", "cell_type": "code", "outputs": []}], "nbformat": 4}"#,
        &one,
        None,
        &format!(
            r#"{{"cells": [{{"execution_count": null, "source": "1", "cell_type": "code", "outputs": [{spaced}]}}], "nbformat": 4}}"#
        ),
    );
    check(
        "{\r\n\"cells\": [\r\n{\r\n\"cell_type\": \"code\",\r\n\"execution_count\": 1\r\n}\r\n]\r\n}\r\n",
        &[],
        Some(1),
        "{\r\n\"cells\": [\r\n{\r\n\"cell_type\": \"code\",\r\n\"execution_count\": 1,\r\n\"outputs\": []\r\n}\r\n]\r\n}\r\n",
    );
}

#[test]
fn outputs_are_written_as_jupyter_writes_them() {
    let data: Json = serde_json::from_str(
        r#"{"text/plain":"x\ny","image/png":"AA\n","application/json":{"b":1e-07,"a":[123456789012345678901]}}"#,
    )
    .unwrap();
    let display = Output::DisplayData { data, metadata: Json::default(), display_id: Some("d".into()) };
    check(
        r#"{"cells":[{"cell_type":"code","execution_count":null,"outputs":[]}]}"#,
        &[display],
        None,
        r#"{"cells":[{"cell_type":"code","execution_count":null,"outputs":[{"data":{"application/json":{"a":[123456789012345678901],"b":1e-07},"image/png":"AA\n","text/plain":["x\n","y"]},"metadata":{},"output_type":"display_data"}]}]}"#,
    );
}

#[test]
fn what_is_nested_deep_is_written_as_it_came() {
    let check = |depth: usize, expect: &str| {
        let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let data = serde_json::from_str(&format!("{{\"a/b+json\":{deep}}}")).unwrap();
        let mut file = read(r#"{"cells":[{"cell_type":"code"}]}"#);
        file.set(0, &[Output::DisplayData { data, metadata: Json::default(), display_id: None }], None);
        let text = String::from_utf8(file.edited().unwrap()).unwrap();
        assert!(text.contains(expect) && read(&text).cells[0].has_outputs, "{depth}");
    };
    check(400, &"]".repeat(400));
    // Python reads no notebook that has more.
    check(5_000, r#""a/b+json":"[left out: nested 5000 levels deep]""#);
}

#[test]
fn a_key_is_left_whole_however_it_is_written() {
    check(
        r#"{"cells":[{"cell_type":"code","id":"a","metadata":{},"p\"\/\/\/":1,"source":"1"}]}"#,
        &[],
        Some(2),
        r#"{"cells":[{"cell_type":"code","execution_count":2,"id":"a","metadata":{},"outputs":[],"p\"\/\/\/":1,"source":"1"}]}"#,
    );
    check(
        r#"{"cells": [{ "z\u00e9\u00e9\ud83d": "é", "cell_type": "code"}]}"#,
        &[],
        None,
        r#"{"cells": [{ "execution_count": null, "outputs": [], "z\u00e9\u00e9\ud83d": "é", "cell_type": "code"}]}"#,
    );
}

#[test]
fn what_is_no_notebook_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ipynb");
    for bad in ["", "{", "[]", "{\"worksheets\": []}"] {
        std::fs::write(&path, bad).unwrap();
        let error = NotebookFile::read(&path).err().unwrap().to_string();
        assert!(error.contains("x.ipynb") && error.contains("not a notebook"), "{bad}: {error}");
    }
}
