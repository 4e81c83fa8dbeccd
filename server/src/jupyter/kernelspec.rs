//! Installed kernelspecs: finding them as Jupyter does, and the command and variables to start one.
//!
//! A broken `kernel.json` is a warning and hides nothing else. Leaves out where to look ([`super::Search`]) and
//! Python environments without a kernelspec ([`super::environments`]).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::search::Search;
use crate::protocol::limits;

/// A `kernel.json` is a few lines.
const LARGEST: u64 = 1 << 20;

/// How a kernel wants to be interrupted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InterruptMode {
    #[default]
    Signal,
    /// With an `interrupt_request` on the control channel.
    Message,
}

/// A kernel that can be started.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernelspec {
    /// Lower case, as Jupyter compares them.
    pub name: String,
    pub display_name: String,
    pub language: String,
    /// With `{connection_file}` and its like still in it: [`Kernelspec::command`].
    pub argv: Vec<String>,
    /// With `${VAR}` still in it: [`Kernelspec::variables`].
    pub env: BTreeMap<String, String>,
    pub interrupt_mode: InterruptMode,
    pub metadata: Map<String, Value>,
    pub resource_dir: PathBuf,
    /// The prefix of the Python environment that the spec lies in, when it does.
    pub prefix: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Installed {
    pub kernelspecs: Vec<Kernelspec>,
    /// A sentence for each spec that could not be read.
    pub warnings: Vec<String>,
}

/// All installed kernelspecs, one a name: the one that comes first on the search path.
pub fn installed(search: &Search) -> Installed {
    let mut found = Installed::default();
    for data in search.data_folders() {
        let Ok(entries) = std::fs::read_dir(data.join("kernels")) else { continue };
        let mut folders: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        folders.sort();
        for folder in folders {
            match read(&folder, &data) {
                Ok(Some(spec)) if found.find(&spec.name).is_none() => found.kernelspecs.push(spec),
                Ok(_) => {}
                Err(warning) => found.warnings.push(warning),
            }
        }
    }
    found
}

impl Installed {
    /// The kernelspec of that name, whatever its case.
    pub fn find(&self, name: &str) -> Option<&Kernelspec> {
        self.kernelspecs.iter().find(|spec| spec.name.eq_ignore_ascii_case(name))
    }
}

impl Kernelspec {
    /// The command line to start it with.
    pub fn command(&self, connection_file: &Path) -> Vec<OsString> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let replace = |argument: &String| {
            let argument = argument
                .replace("{resource_dir}", &text(&self.resource_dir))
                .replace("{prefix}", &self.prefix.as_deref().map(text).unwrap_or("{prefix}".into()));
            if argument == "{connection_file}" {
                return connection_file.as_os_str().to_owned(); // Also where it is not UTF-8.
            }
            argument.replace("{connection_file}", &text(connection_file)).into()
        };
        self.argv.iter().map(replace).collect()
    }

    /// The program that starts it elsewhere than on this machine (`metadata.kernel_provisioner`).
    pub fn provisioner(&self) -> Option<&str> {
        let name = self.metadata.get("kernel_provisioner")?["provisioner_name"].as_str()?;
        (name != "local-provisioner").then_some(name)
    }

    /// The variables that it wants set, with those of `base` filled in as Python's `string.Template` does.
    pub fn variables(&self, base: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
        let look_up = |name: &str| {
            base.iter().find(|(n, _)| n == name).map(|(_, value)| value.to_string_lossy().into_owned())
        };
        self.env.iter().map(|(name, value)| (name.into(), expand(value, look_up).into())).collect()
    }
}

#[derive(Deserialize)]
struct KernelJson {
    argv: Vec<String>,
    display_name: String,
    #[serde(default)]
    language: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    interrupt_mode: String,
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// `Ok(None)` where the folder is not one of a kernelspec.
fn read(folder: &Path, data: &Path) -> Result<Option<Kernelspec>, String> {
    let file = folder.join("kernel.json");
    let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let valid = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !valid || name.is_empty() || !file.is_file() {
        return Ok(None);
    }
    let broken = |error: String| format!("The kernel in {} cannot be used: {error}.", folder.display());
    let bytes = crate::foreign::read(&file, LARGEST).map_err(|error| broken(error.to_string()))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut json: KernelJson = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
    limits::cut(&mut json.display_name, limits::LABEL);
    limits::cut(&mut json.language, limits::LABEL);
    if json.argv.is_empty() {
        return Err(broken("its kernel.json names no command (argv)".to_owned()));
    }
    let prefix = prefix_of(data);
    Ok(Some(Kernelspec {
        name: name.to_ascii_lowercase(),
        display_name: json.display_name,
        language: json.language,
        argv: with_interpreter(json.argv, prefix.as_deref()),
        env: json.env,
        interrupt_mode: match json.interrupt_mode.to_ascii_lowercase().as_str() {
            "message" => InterruptMode::Message,
            _ => InterruptMode::Signal,
        },
        metadata: json.metadata,
        resource_dir: folder.to_owned(),
        prefix,
    }))
}

/// `PREFIX` of `PREFIX/share/jupyter`, where there is a Python.
fn prefix_of(data: &Path) -> Option<PathBuf> {
    let prefix = data.parent().filter(|p| p.ends_with("share"))?.parent()?;
    interpreter(prefix, "python").map(|_| prefix.to_owned())
}

/// A spec that says only `python` means the Python that it was installed with.
fn with_interpreter(mut argv: Vec<String>, prefix: Option<&Path>) -> Vec<String> {
    let found = match (argv.first(), prefix) {
        (Some(program), Some(prefix)) if is_python(program) => interpreter(prefix, program),
        _ => None,
    };
    if let Some(path) = found.as_deref().and_then(Path::to_str) {
        argv[0] = path.to_owned();
    }
    argv
}

/// `python`, `python3`, `python3.11`.
pub fn is_python(program: &str) -> bool {
    program
        .strip_prefix("python")
        .is_some_and(|version| version.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// The interpreter of a prefix: the one of that name, or any.
pub(super) fn interpreter(prefix: &Path, program: &str) -> Option<PathBuf> {
    let names = if cfg!(windows) {
        vec!["Scripts\\python.exe".to_owned(), "python.exe".to_owned()]
    } else {
        vec![format!("bin/{program}"), "bin/python".to_owned(), "bin/python3".to_owned()]
    };
    names.iter().map(|name| prefix.join(name)).find(|path| path.is_file())
}

/// `$NAME`, `${NAME}` and `$$`; what is unknown or malformed stays as it is.
fn expand(template: &str, look_up: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let braced = rest.strip_prefix("${").and_then(|r| r.split_once('}')).map(|(name, _)| name);
        let name = braced.unwrap_or(identifier(&rest[1..]));
        let length = if braced.is_some() { name.len() + 3 } else { name.len() + 1 };
        if rest.starts_with("$$") {
            out.push('$');
            rest = &rest[2..];
        } else if let Some(value) = look_up(name).filter(|_| !name.is_empty() && identifier(name) == name) {
            out.push_str(&value);
            rest = &rest[length..];
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out + rest
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let name = &text[..end];
    if name.starts_with(|c: char| c.is_ascii_digit()) { "" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_as_python_does() {
        let check = |template: &str, expect: &str| {
            let look_up = |name: &str| (name == "A_1").then(|| "value".to_owned());
            assert_eq!(expand(template, look_up), expect, "{template}");
        };
        check("plain", "plain");
        check("$A_1/x:${A_1}y", "value/x:valuey");
        check("$$A_1 $B ${B} ${A_1", "$A_1 $B ${B} ${A_1");
        check("a$", "a$");
        check("$1 ${} $ä", "$1 ${} $ä");
    }

    #[test]
    #[cfg(unix)]
    fn finds_as_jupyter_does() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let python = r#"{"argv":["python3","-f","{connection_file}","{prefix}:{resource_dir}"],"display_name":"P","language":"python"}"#;
        write("env/bin/python", "");
        write("env/share/jupyter/kernels/Python3/kernel.json", python);
        write(
            "first/kernels/R/kernel.json",
            &format!(
                "\u{feff}{}",
                r#"{"argv":["R"],"display_name":"R first","interrupt_mode":"Message","env":{"X":"$Y"}}"#
            ),
        );
        write("env/share/jupyter/kernels/r/kernel.json", r#"{"argv":["R"],"display_name":"R second"}"#);
        write("first/kernels/python3/kernel.json", "{");
        write("first/kernels/empty/kernel.json", r#"{"argv":[],"display_name":"E"}"#);
        write("first/kernels/no spec/kernel.json", python);
        write("first/kernels/nothing/logo.png", "");
        let search = Search {
            variables: vec![
                ("JUPYTER_PATH".into(), root.join("first").into()),
                ("VIRTUAL_ENV".into(), root.join("env").into()),
            ],
            ..Search::default()
        };
        let found = installed(&search);
        let names: Vec<_> =
            found.kernelspecs.iter().map(|s| (s.name.as_str(), s.display_name.as_str())).collect();
        assert_eq!(names, [("r", "R first"), ("python3", "P")]);
        assert_eq!(found.warnings.len(), 2, "{:?}", found.warnings);

        let r = found.find("R").unwrap();
        assert_eq!((r.interrupt_mode, r.prefix.as_ref()), (InterruptMode::Message, None));
        assert_eq!(r.variables(&[("Y".into(), "1".into())]), [("X".into(), "1".into())]);

        let python = found.find("python3").unwrap();
        let env = root.join("env");
        let resources = env.join("share/jupyter/kernels/Python3");
        let both = format!("{}:{}", env.display(), resources.display());
        let expect = [env.join("bin/python").into_os_string(), "-f".into(), "/c".into(), both.into()];
        assert_eq!(python.command(Path::new("/c")), expect);
    }

    #[test]
    fn which_programs_are_python() {
        let check = |program: &str, expect: bool| assert_eq!(is_python(program), expect, "{program}");
        check("python", true);
        check("python3", true);
        check("python3.11", true);
        check("/usr/bin/python3", false);
        check("pythonista", false);
        check("R", false);
    }
}
