//! How notebooks are named: `file:` and `untitled:` URIs, and the decoded path that is a notebook's identity.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::limits::URI;

/// A notebook as results name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct NotebookRef {
    /// The URI in the spelling that the window used.
    pub notebook_uri: String,
    /// The absolute native path; null for an untitled notebook.
    pub notebook_path: Option<String>,
    /// False: renamed away or deleted; an untitled one exists.
    #[serde(default = "exists")]
    pub notebook_exists: bool,
}

/// What a keeper of an earlier version does not say, whoever shows the session looks after.
fn exists() -> bool {
    true
}

/// A notebook URI that was checked: a `file:` URI of an absolute path ending in `.ipynb`, or an `untitled:` URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotebookName {
    /// The URI as it was given.
    pub uri: String,
    /// The decoded absolute path, `.` and `..` resolved by words alone (no symbolic link is followed); `None` for untitled.
    pub path: Option<PathBuf>,
}

impl NotebookName {
    /// Checks a URI. The error says what is wrong with it, for a person.
    pub fn parse(uri: &str) -> Result<NotebookName, String> {
        check_length(uri)?;
        if let Some(rest) = uri.strip_prefix("untitled:") {
            if rest.is_empty() {
                return Err("an untitled: URI needs a name".into());
            }
            return Ok(NotebookName { uri: uri.into(), path: None });
        }
        let name = Self::any_file(uri)?;
        check_extension(name.path.as_deref().unwrap_or(Path::new("")))?;
        Ok(name)
    }

    /// The same for a file of any name: a folder that was renamed, a notebook that lost its extension.
    pub fn any_file(uri: &str) -> Result<NotebookName, String> {
        check_length(uri)?;
        let url = url::Url::parse(uri).map_err(|_| format!("\"{}\" is not a URI", shorten(uri)))?;
        if url.scheme() != "file" {
            return Err(format!("only file: and untitled: URIs name notebooks here, not {}:", url.scheme()));
        }
        // The URI of a relative path would be read as one of the root folder.
        let is_absolute = uri.get(..6).is_some_and(|head| head.ends_with('/'));
        let path = url
            .to_file_path()
            .and_then(|path| if is_absolute { Ok(path) } else { Err(()) })
            .map_err(|()| format!("\"{}\" is not the URI of an absolute path", shorten(uri)))?;
        if path.to_str().is_none() {
            return Err(format!("\"{}\" does not decode to a path in UTF-8", shorten(uri)));
        }
        if path.to_string_lossy().contains('\0') {
            return Err("a path cannot hold a NUL character".into());
        }
        Ok(NotebookName { uri: uri.into(), path: Some(lexically_normal(&path)) })
    }

    /// Names a path; its URI is made.
    pub fn from_path(path: &Path) -> Result<NotebookName, String> {
        if !path.is_absolute() {
            return Err(format!("\"{}\" is not an absolute path", shorten(&path.to_string_lossy())));
        }
        check_extension(path)?;
        Ok(Self::from_any_path(path))
    }

    /// Names an absolute path without a look at its extension.
    pub fn from_any_path(path: &Path) -> NotebookName {
        let path = lexically_normal(path);
        let uri = url::Url::from_file_path(&path).map_or_else(|()| String::new(), |u| u.to_string());
        NotebookName { uri, path: Some(path) }
    }

    /// What two spellings of one notebook share: the path, or for an untitled one the URI within its window.
    pub fn key(&self, window: &str) -> String {
        match &self.path {
            Some(path) => path.to_string_lossy().into_owned(),
            None => format!("{window}/{}", self.uri),
        }
    }

    /// The file's name, as people call the notebook.
    pub fn file_name(&self) -> String {
        match &self.path {
            Some(path) => path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            None => {
                let name = self.uri.trim_start_matches("untitled:").trim_start_matches('/');
                name.split(['?', '#']).next().unwrap_or(name).to_owned()
            }
        }
    }

    /// The path as text; null for untitled.
    pub fn path_text(&self) -> Option<String> {
        self.path.as_ref().map(|p| p.to_string_lossy().into_owned())
    }

    /// As results name it.
    pub fn to_ref(&self) -> NotebookRef {
        let notebook_exists = self.path.as_deref().is_none_or(Path::exists);
        NotebookRef { notebook_uri: self.uri.clone(), notebook_path: self.path_text(), notebook_exists }
    }
}

fn check_length(uri: &str) -> Result<(), String> {
    if uri.len() <= URI {
        Ok(())
    } else {
        Err(format!("a URI has at most {URI} bytes, and this one has {}", uri.len()))
    }
}

fn check_extension(path: &Path) -> Result<(), String> {
    let right =
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("ipynb")) && path.file_name().is_some();
    if right {
        Ok(())
    } else {
        Err(format!("\"{}\" does not end in .ipynb", shorten(&path.to_string_lossy())))
    }
}

fn lexically_normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Long input is named by its beginning: an error message is for reading.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, expect: Result<&str, &str>) {
        match (NotebookName::parse(uri), expect) {
            (Ok(name), Ok(path)) => assert_eq!(name.path_text().unwrap_or_default(), path, "{uri}"),
            (Err(message), Err(part)) => assert!(message.contains(part), "{uri}: {message}"),
            (got, _) => panic!("{uri}: {got:?}"),
        }
    }

    #[test]
    fn uris() {
        check("file:///a/b.ipynb", Ok("/a/b.ipynb"));
        check("file:///a/b%20%25%23%F0%9F%8D%8E.ipynb", Ok("/a/b %#🍎.ipynb"));
        check("file:///a/./c/../b.ipynb", Ok("/a/b.ipynb"));
        check("file:///a/b.IPYNB", Ok("/a/b.IPYNB"));
        check("untitled:Untitled-1.ipynb", Ok(""));
        check("untitled:", Err("needs a name"));
        check("file:///a/b.py", Err(".ipynb"));
        check("file:///a/.ipynb", Err(".ipynb"));
        check("a/b.ipynb", Err("not a URI"));
        check("", Err("not a URI"));
        check("http://x/b.ipynb", Err("http"));
        check("file:///a/%FF.ipynb", Err("UTF-8"));
        check("file:///a/%00.ipynb", Err("NUL"));
        check(&format!("file:///{}b.ipynb", "./".repeat(9_000)), Err("at most"));
        check(&format!("untitled:{}", "b".repeat(17_000)), Err("at most"));
    }

    #[test]
    fn paths_become_uris() {
        let name = NotebookName::from_path(Path::new("/a/b c%#.ipynb")).unwrap();
        assert_eq!(name.uri, "file:///a/b%20c%25%23.ipynb");
        assert_eq!(NotebookName::parse(&name.uri).unwrap().path, name.path);
        assert!(NotebookName::from_path(Path::new("b.ipynb")).is_err());
    }
}
