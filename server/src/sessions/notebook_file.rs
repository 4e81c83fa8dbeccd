//! Notebook files, as far as they are read and written here: nbformat 4 JSON.

use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

/// A notebook as it is on disk.
pub struct NotebookFile {
    pub json: Value,
    /// How the file was indented, so that it is written the same way.
    indent: usize,
}

/// A code cell.
pub struct CodeCell {
    pub id: String,
    pub index: u32,
    pub source: String,
}

impl NotebookFile {
    /// Reads a notebook.
    ///
    /// # Errors
    /// The file's own; `InvalidData` where it is no notebook of format 4.
    pub fn read(path: &Path) -> io::Result<NotebookFile> {
        let wrong =
            |what: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
        // Opening a pipe would wait for whoever writes into it.
        if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(wrong("not a file".into()));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        let json: Value = serde_json::from_str(&text).map_err(|e| wrong(format!("not a notebook ({e})")))?;
        if !json["cells"].is_array() {
            return Err(wrong("not a notebook of format 4: it has no cells".into()));
        }
        let indent = text.lines().nth(1).map_or(1, |line| line.len() - line.trim_start().len());
        Ok(NotebookFile { json, indent: indent.clamp(1, 8) })
    }

    /// The kernelspec that its metadata names.
    pub fn kernel_name(&self) -> Option<&str> {
        self.json["metadata"]["kernelspec"]["name"].as_str()
    }

    /// Its code cells, in order. A cell without an id (before nbformat 4.5) is called by its position.
    pub fn code_cells(&self) -> Vec<CodeCell> {
        let cells = self.json["cells"].as_array().map(Vec::as_slice).unwrap_or_default();
        let code = cells.iter().enumerate().filter(|(_, cell)| cell["cell_type"] == "code");
        code.map(|(index, cell)| CodeCell {
            id: cell_id(cell, index),
            index: index as u32,
            source: text(&cell["source"]),
        })
        .collect()
    }

    /// Whether its cells have ids, which came with nbformat 4.5.
    pub fn has_ids(&self) -> bool {
        self.json["cells"].as_array().into_iter().flatten().any(|cell| cell["id"].is_string())
    }

    /// Replaces the file by what is in memory now, atomically, with the old file's mode.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let target = std::fs::canonicalize(path)?;
        let dir = target.parent().ok_or_else(|| io::Error::other("a notebook lies in a folder"))?;
        let mut file = tempfile::Builder::new().prefix(".").suffix(".ipynb.tmp").tempfile_in(dir)?;
        let indent = vec![b' '; self.indent];
        let formatter = serde_json::ser::PrettyFormatter::with_indent(&indent);
        let mut writer =
            serde_json::Serializer::with_formatter(io::BufWriter::new(file.as_file_mut()), formatter);
        serde::Serialize::serialize(&self.json, &mut writer)?;
        let mut buffered = writer.into_inner();
        buffered.write_all(b"\n")?;
        buffered.flush()?;
        drop(buffered);
        file.as_file().set_permissions(std::fs::metadata(&target)?.permissions())?;
        file.as_file().sync_data()?;
        file.persist(&target).map_err(|e| e.error)?;
        Ok(())
    }
}

/// A cell's id, or a stand-in made of its position.
pub fn cell_id(cell: &Value, index: usize) -> String {
    cell["id"].as_str().map_or_else(|| format!("cell-{index}"), str::to_owned)
}

/// nbformat's multi-line strings: one string, or a list of pieces.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(pieces) => pieces.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notebook_is_written_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b.ipynb");
        let before = "{\n \"cells\": [\n  {\n   \"cell_type\": \"code\",\n   \"source\": [\n    \"1\\n\",\n    \"2\"\n   ]\n  }\n ],\n \"zebra\": 1,\n \"metadata\": {}\n}\n";
        std::fs::write(&path, before).unwrap();
        let file = NotebookFile::read(&path).unwrap();
        assert_eq!(file.code_cells()[0].source, "1\n2");
        assert_eq!(file.code_cells()[0].id, "cell-0");
        file.write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
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
}
