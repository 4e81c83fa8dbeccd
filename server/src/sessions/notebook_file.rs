//! Notebook files, as far as they are read here: nbformat 4 JSON. Leaves out writing (`notebook_edit.rs`).
//!
//! Whoever needs the kernel's name or the code alone reads the file piece by piece, and holds nothing else of it: outputs may
//! be large. Reading takes time: not for a thread that must not wait.

use std::collections::HashSet;
use std::io::{self, BufRead};
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

pub use super::cell_tags::Tags;
use super::replace::left_by_interrupted;
use crate::{foreign, jupyter};

/// No larger notebook is read.
pub(super) const LARGEST: u64 = 512 << 20;
/// Nor one with `NaN` or half a character in it: that is held whole.
const LARGEST_MENDED: u64 = 128 << 20;
/// UTF-8's byte order mark.
const MARK: &str = "\u{feff}";

/// A notebook's code, without its outputs.
pub struct NotebookCode {
    /// Its code cells, in order. A cell without an id (before nbformat 4.5), or with that of one before it, is called by its
    /// position.
    pub cells: Vec<CodeCell>,
    /// Whether its cells have ids, which came with nbformat 4.5.
    pub has_ids: bool,
}

/// A code cell.
pub struct CodeCell {
    pub id: String,
    pub index: u32,
    pub source: String,
    pub tags: Tags,
}

impl NotebookCode {
    /// Reads the code of a notebook.
    ///
    /// # Errors
    /// The file's own; `InvalidData` where it is no notebook of format 4.
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
            metadata: Tags,
        }
        let notebook: Notebook = parse(path, most)?;
        let all = notebook.cells.ok_or_else(|| no_cells(path))?;
        let has_ids = all.iter().any(|cell| cell.id.0.is_some());
        let mut seen = HashSet::new();
        let mut cells = Vec::new();
        for (index, cell) in all.into_iter().enumerate() {
            let id = cell.id.0.filter(|id| seen.insert(id.clone())).unwrap_or_else(|| stand_in(index));
            if cell.cell_type.0.as_deref() == Some("code") {
                let source = cell.source.0.unwrap_or_default();
                cells.push(CodeCell { id, index: index as u32, source, tags: cell.metadata });
            }
        }
        Ok(NotebookCode { cells, has_ids })
    }
}

/// The kernel that a notebook asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wanted {
    /// `metadata.kernelspec.name`.
    pub name: Option<String>,
    /// `metadata.kernelspec.language`, else `metadata.language_info.name`.
    pub language: Option<String>,
}

/// What a notebook's metadata says of its kernel: nothing where the file cannot be read.
pub(super) fn wanted(path: &Path) -> Wanted {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Notebook {
        metadata: Metadata,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Metadata {
        kernelspec: Named,
        language_info: Named,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Named {
        name: Text,
        language: Text,
    }
    let said = |text: Text| text.0.filter(|text| !text.trim().is_empty());
    let Metadata { kernelspec, language_info } =
        parse::<Notebook>(path, LARGEST).unwrap_or_default().metadata;
    let language = said(kernelspec.language).or_else(|| said(language_info.name));
    Wanted { name: said(kernelspec.name), language }
}

/// Reads JSON piece by piece; what is not asked for is passed over. What Python and VS Code take for JSON is read whole.
fn parse<T: serde::de::DeserializeOwned>(path: &Path, most: u64) -> io::Result<T> {
    let mut file = io::BufReader::with_capacity(64 << 10, foreign::open(path, most)?);
    if file.fill_buf()?.starts_with(MARK.as_bytes()) {
        file.consume(MARK.len());
    }
    match serde_json::from_reader(file) {
        Ok(found) => Ok(found),
        // What ends too early is not mended.
        Err(e) if e.is_io() || e.is_eof() => Err(wrong(path, e)),
        Err(e) => {
            let text = foreign::read_text(path, most.min(LARGEST_MENDED))?;
            serde_json::from_str(&jupyter::readable(unmarked(&text))).map_err(|_| wrong(path, e))
        }
    }
}

/// Text without the byte order mark that may stand before it.
pub(super) fn unmarked(text: &str) -> &str {
    text.strip_prefix(MARK).unwrap_or(text)
}

pub(super) fn wrong(path: &Path, error: serde_json::Error) -> io::Error {
    let what = match error.is_io() {
        true => error.to_string(),
        false => format!("not a notebook ({error})"),
    };
    let what = format!("{}: {what}", path.display());
    let what = match left_by_interrupted(path) {
        Some(copy) => {
            format!("{what}; a save was interrupted: what was there before is in {}", copy.display())
        }
        None => what,
    };
    io::Error::new(io::ErrorKind::InvalidData, what)
}

pub(super) fn no_cells(path: &Path) -> io::Error {
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

/// Stands in for the id of a cell that has none of its own; never equals a real one, which may not have a `#`.
pub(super) fn stand_in(index: usize) -> String {
    format!("#{index}")
}

/// Source as it is compared: line ends, and white space where it means nothing, are no difference.
pub(super) fn normal(source: &str) -> String {
    let lines: Vec<&str> = source.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_notebook_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ipynb");
        for bad in ["", "{", "[]", "{\"worksheets\": []}"] {
            std::fs::write(&path, bad).unwrap();
            let error = NotebookCode::read(&path).err().unwrap().to_string();
            assert!(error.contains("x.ipynb") && error.contains("not a notebook"), "{bad}: {error}");
        }
    }

    #[test]
    fn what_is_asked_for_is_read_whatever_stands_around_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n.ipynb");
        let check = |text: &str, kernel: Option<&str>, sources: &[(&str, &str)]| {
            std::fs::write(&path, text).unwrap();
            assert_eq!(wanted(&path).name.as_deref(), kernel, "{text}");
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
            &[("a", "1\n2"), ("#2", "3"), ("#3", ""), ("#4", "45")],
        );
        check(r#"{"cells":[]}"#, None, &[]);
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        check(
            &format!(
                r#"{MARK}{{"metadata":{{"score":NaN,"kernelspec":{{"name":"ir"}}}},"cells":[
                {{"cell_type":"code","id":"a","source":"é \ud83d","outputs":{deep}}},
                {{"cell_type":"code","id":"b","source":"1"}},{{"cell_type":"code","id":"a","source":"2"}}]}}"#
            ),
            Some("ir"),
            &[("a", "é \u{fffd}"), ("b", "1"), ("#2", "2")],
        );
        check(r#"{"cells":[],"metadata":{"kernelspec":{"name":3}}}"#, None, &[]);
        let says = |metadata: &str, language: Option<&str>| {
            std::fs::write(&path, format!(r#"{{"cells":[],"metadata":{metadata}}}"#)).unwrap();
            assert_eq!(wanted(&path).language.as_deref(), language, "{metadata}");
        };
        says(r#"{"kernelspec":{"language":"R"},"language_info":{"name":"python"}}"#, Some("R"));
        says(r#"{"kernelspec":{"name":"x","language":""},"language_info":{"name":"julia"}}"#, Some("julia"));
        says(r#"{"kernelspec":{"name":"x"}}"#, None);
    }

    #[test]
    fn a_notebook_of_gigabytes_is_refused_before_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huge.ipynb");
        std::fs::File::create(&path).unwrap().set_len(4 << 30).unwrap();
        let error = NotebookCode::read(&path).err().unwrap().to_string();
        assert!(error.contains("huge.ipynb") && error.contains("larger than 512 MiB"), "{error}");
        assert_eq!(wanted(&path).name, None);
    }
}
