//! The text of the cells of the notebooks that the window shows, for help while typing.
//!
//! Kept as the client tells it. What makes no sense is passed over: the client sends a cell whole when it opens it again.

use std::collections::HashMap;

use tower_lsp::ls_types::{
    NotebookDocumentCellChange, Position, TextDocumentContentChangeEvent, TextDocumentItem,
};

/// A cell's notebook and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The notebook's URI, as the window spells it.
    pub notebook: String,
    pub text: String,
}

/// By the cells' URIs. Owned by the backend.
#[derive(Debug, Default)]
pub struct Cells(HashMap<String, Cell>);

impl Cells {
    pub fn open(&mut self, notebook: &str, cells: &[TextDocumentItem]) {
        for cell in cells {
            let notebook = notebook.to_owned();
            self.0.insert(cell.uri.as_str().to_owned(), Cell { notebook, text: cell.text.clone() });
        }
    }

    pub fn change(&mut self, notebook: &str, change: &NotebookDocumentCellChange) {
        if let Some(structure) = &change.structure {
            self.open(notebook, structure.did_open.as_deref().unwrap_or_default());
            self.close(structure.did_close.iter().flatten().map(|cell| cell.uri.as_str()));
        }
        for edited in change.text_content.iter().flatten() {
            let Some(cell) = self.0.get_mut(edited.document.uri.as_str()) else { continue };
            edited.changes.iter().for_each(|change| apply(&mut cell.text, change));
        }
    }

    pub fn close<'a>(&mut self, cells: impl Iterator<Item = &'a str>) {
        for cell in cells {
            self.0.remove(cell);
        }
    }

    pub fn get(&self, cell: &str) -> Option<&Cell> {
        self.0.get(cell)
    }
}

fn apply(text: &mut String, change: &TextDocumentContentChangeEvent) {
    match change.range {
        None => text.clone_from(&change.text),
        Some(range) => {
            let (from, to) = (byte_at(text, range.start), byte_at(text, range.end));
            text.replace_range(from.min(to)..from.max(to), &change.text);
        }
    }
}

/// The byte at a position, which counts lines and UTF-16 units; beyond a line's end, or the text's, that end.
pub fn byte_at(text: &str, position: Position) -> usize {
    let mut start = 0;
    for _ in 0..position.line {
        match text[start..].find('\n') {
            Some(end) => start += end + 1,
            None => return text.len(),
        }
    }
    let mut units = 0;
    for (offset, c) in text[start..].char_indices() {
        if units >= position.character || c == '\n' || c == '\r' {
            return start + offset;
        }
        units += c.len_utf16() as u32;
    }
    text.len()
}

/// The reverse of [`byte_at`].
pub fn position_at(text: &str, byte: usize) -> Position {
    let before = &text[..byte];
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = before.matches('\n').count() as u32;
    Position { line, character: before[start..].encode_utf16().count() as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_utf16() {
        let text = "a = '🦀é'\nb\r\nlast";
        let check = |line: u32, character: u32, byte: usize| {
            assert_eq!(byte_at(text, Position { line, character }), byte, "{line}:{character}");
        };
        check(0, 0, 0);
        check(0, 7, 9);
        check(0, 8, 11);
        check(0, 99, 12);
        check(1, 5, 14);
        check(2, 2, 18);
        check(9, 0, text.len());
        for byte in [0, 9, 11, 13, 16, text.len()] {
            assert_eq!(byte_at(text, position_at(text, byte)), byte, "{byte}");
        }
    }

    #[test]
    fn edits_arrive() {
        let at = |line, character| Position { line, character };
        let edit = |from, to, text: &str| TextDocumentContentChangeEvent {
            range: Some(tower_lsp::ls_types::Range { start: from, end: to }),
            range_length: None,
            text: text.into(),
        };
        let mut text = "import numpy\nx".to_owned();
        apply(&mut text, &edit(at(0, 12), at(0, 12), " as np"));
        apply(&mut text, &edit(at(1, 0), at(1, 1), "np.ze"));
        assert_eq!(text, "import numpy as np\nnp.ze");
        apply(&mut text, &edit(at(7, 7), at(0, 0), ""));
        assert_eq!(text, "");
        apply(
            &mut text,
            &TextDocumentContentChangeEvent { range: None, range_length: None, text: "all".into() },
        );
        assert_eq!(text, "all");
    }
}
