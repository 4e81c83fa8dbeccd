//! Notebook files, as far as they are read and written here: nbformat 4 JSON.
//!
//! Whoever needs the kernel's name or the code alone reads the file piece by piece, and holds nothing else of it: outputs may
//! be large. Reading takes time: not for a thread that must not wait.

use std::io::{self, Write};
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::foreign;

/// No larger notebook is read.
const LARGEST: u64 = 512 << 20;

/// A notebook as it is on disk.
pub struct NotebookFile {
    pub json: Value,
    /// How the file was indented, so that it is written the same way.
    indent: usize,
}

/// A notebook's code, without its outputs.
pub struct NotebookCode {
    /// Its code cells, in order. A cell without an id (before nbformat 4.5) is called by its position.
    pub cells: Vec<CodeCell>,
    /// Whether its cells have ids, which came with nbformat 4.5.
    pub has_ids: bool,
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
        let text = foreign::read_text(path, LARGEST)?;
        let json: Value = serde_json::from_str(&text).map_err(|e| wrong(path, e))?;
        if !json["cells"].is_array() {
            return Err(no_cells(path));
        }
        let indent = text.lines().nth(1).map_or(1, |line| line.len() - line.trim_start().len());
        Ok(NotebookFile { json, indent: indent.clamp(1, 8) })
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

impl NotebookCode {
    /// Reads the code of a notebook.
    ///
    /// # Errors
    /// Those of [`NotebookFile::read`].
    pub fn read(path: &Path) -> io::Result<NotebookCode> {
        NotebookCode::read_at_most(path, LARGEST)
    }

    /// The same of a file of so many bytes at most.
    pub(super) fn read_at_most(path: &Path, most: u64) -> io::Result<NotebookCode> {
        #[derive(Deserialize)]
        struct Notebook {
            cells: Option<Vec<Cell>>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Cell {
            id: Text,
            cell_type: Text,
            source: Text,
        }
        let notebook: Notebook = parse(path, most)?;
        let all = notebook.cells.ok_or_else(|| no_cells(path))?;
        let has_ids = all.iter().any(|cell| cell.id.0.is_some());
        let code =
            all.into_iter().enumerate().filter(|(_, cell)| cell.cell_type.0.as_deref() == Some("code"));
        let cells = code.map(|(index, cell)| CodeCell {
            id: cell.id.0.unwrap_or_else(|| stand_in(index)),
            index: index as u32,
            source: cell.source.0.unwrap_or_default(),
        });
        Ok(NotebookCode { cells: cells.collect(), has_ids })
    }
}

/// The kernelspec that a notebook's metadata names; `None` where it names none, or cannot be read.
pub(super) fn kernel_name(path: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Notebook {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        kernelspec: Kernelspec,
    }
    #[derive(Deserialize)]
    struct Kernelspec {
        name: Text,
    }
    parse::<Notebook>(path, LARGEST).ok()?.metadata.kernelspec.name.0
}

/// Reads JSON piece by piece; what is not asked for is passed over.
fn parse<T: serde::de::DeserializeOwned>(path: &Path, most: u64) -> io::Result<T> {
    let file = io::BufReader::with_capacity(64 << 10, foreign::open(path, most)?);
    serde_json::from_reader(file).map_err(|e| wrong(path, e))
}

fn wrong(path: &Path, error: serde_json::Error) -> io::Error {
    let what = match error.is_io() {
        true => error.to_string(),
        false => format!("not a notebook ({error})"),
    };
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}

fn no_cells(path: &Path) -> io::Error {
    let what = format!("{}: not a notebook of format 4: it has no cells", path.display());
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A string, or a list of its pieces; anything else is none, and takes no memory.
#[derive(Default)]
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
        struct Pieces;
        impl<'de> Visitor<'de> for Pieces {
            type Value = Text;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Some(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Text, E> {
                Ok(Text(Some(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pieces: A) -> Result<Text, A::Error> {
                let mut whole = String::new();
                while let Some(Text(piece)) = pieces.next_element()? {
                    whole.push_str(&piece.unwrap_or_default());
                }
                Ok(Text(Some(whole)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Text, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text(None))
            }
        }
        from.deserialize_any(Pieces)
    }
}

/// A cell's id, or a stand-in made of its position.
pub fn cell_id(cell: &Value, index: usize) -> String {
    cell["id"].as_str().map_or_else(|| stand_in(index), str::to_owned)
}

fn stand_in(index: usize) -> String {
    format!("cell-{index}")
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
        let code = NotebookCode::read(&path).unwrap();
        assert_eq!(code.cells[0].source, "1\n2");
        assert_eq!(code.cells[0].id, "cell-0");
        assert!(!code.has_ids);
        file.write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    }

    #[test]
    fn what_is_no_notebook_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ipynb");
        for bad in ["", "{", "[]", "{\"worksheets\": []}"] {
            std::fs::write(&path, bad).unwrap();
            let whole = NotebookFile::read(&path).err().unwrap().to_string();
            let code = NotebookCode::read(&path).err().unwrap().to_string();
            for error in [whole, code] {
                assert!(error.contains("x.ipynb") && error.contains("not a notebook"), "{bad}: {error}");
            }
        }
    }

    #[test]
    fn what_is_asked_for_is_read_whatever_stands_around_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n.ipynb");
        let check = |text: &str, kernel: Option<&str>, sources: &[(&str, &str)]| {
            std::fs::write(&path, text).unwrap();
            assert_eq!(kernel_name(&path).as_deref(), kernel, "{text}");
            let cells = NotebookCode::read(&path).unwrap().cells;
            let found: Vec<_> = cells.iter().map(|cell| (cell.id.as_str(), cell.source.as_str())).collect();
            assert_eq!(found, sources, "{text}");
        };
        check(
            r#"{"metadata":{"kernelspec":{"name":"ir","x":[1]},"a":{}},"cells":[
                {"cell_type":"markdown","id":"m","source":"no"},
                {"cell_type":"code","id":"a","outputs":[{"data":{"text/plain":["x"]}}],"source":["1\n","2"]},
                {"cell_type":"code","id":7,"source":"3"},
                {"cell_type":"code","source":{"a":[1,2.5,-1,true,null]}},
                {"cell_type":"code","source":["4",null,["5"],{}]}]}"#,
            Some("ir"),
            &[("a", "1\n2"), ("cell-2", "3"), ("cell-3", ""), ("cell-4", "45")],
        );
        check(r#"{"cells":[]}"#, None, &[]);
        check(r#"{"cells":[],"metadata":{"kernelspec":{"name":3}}}"#, None, &[]);
    }

    #[test]
    fn a_notebook_of_gigabytes_is_refused_before_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huge.ipynb");
        std::fs::File::create(&path).unwrap().set_len(4 << 30).unwrap();
        for error in [NotebookFile::read(&path).err(), NotebookCode::read(&path).err()] {
            let error = error.unwrap().to_string();
            assert!(error.contains("huge.ipynb") && error.contains("larger than 512 MiB"), "{error}");
        }
        assert_eq!(kernel_name(&path), None);
    }
}
