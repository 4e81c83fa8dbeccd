//! The connection files of kernels that other programs started: Jupyter servers, consoles, other extensions.
//!
//! Reads Jupyter's runtime folder. Whether their kernels live nobody here knows: files outlive them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::connection::ConnectionFile;
use super::search::Search;

/// A connection file of somebody's.
#[derive(Debug)]
pub struct Found {
    pub path: PathBuf,
    pub connection: ConnectionFile,
    pub written: Option<SystemTime>,
}

/// All connection files of the runtime folder that can be read, the newest first.
pub fn connection_files(search: &Search) -> Vec<Found> {
    let Some(folder) = search.runtime_folder() else { return vec![] };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<Found> = entries.filter_map(|entry| read(&entry.path())).collect();
    found.sort_by(|a, b| b.written.cmp(&a.written).then_with(|| a.path.cmp(&b.path)));
    found
}

fn read(path: &Path) -> Option<Found> {
    let name = path.file_name()?.to_str()?;
    // Servers keep files of their own there.
    if !name.starts_with("kernel-") || !name.ends_with(".json") {
        return None;
    }
    let connection = ConnectionFile::read(path).ok()?;
    let written = path.metadata().ok()?.modified().ok();
    Some(Found { path: path.to_owned(), connection, written })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_of_kernels() {
        let folder = tempfile::tempdir().unwrap();
        let file = ConnectionFile::ipc(&folder.path().join("k"), "python3").unwrap();
        for name in ["kernel-1.json", "kernel-v3a-b.json", "jpserver-1.json", "kernel-1.json.tmp"] {
            file.write(&folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("kernel-broken.json"), "{").unwrap();
        let search = Search {
            variables: vec![("JUPYTER_RUNTIME_DIR".into(), folder.path().into())],
            ..Search::default()
        };
        let mut found: Vec<String> = connection_files(&search)
            .iter()
            .map(|f| f.path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        found.sort();
        assert_eq!(found, ["kernel-1.json", "kernel-v3a-b.json"]);
    }
}
