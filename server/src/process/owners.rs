//! Which living process of this user was started with a file: whose kernel a connection file is.

use std::path::Path;

use super::{Identity, identity_of, platform};

/// A process that was started with a file.
#[derive(Debug, Clone)]
pub struct Owner {
    pub process: Identity,
    /// Its whole command.
    pub command: Vec<String>,
    /// The program that started it, by name.
    pub started_by: Option<String>,
    pub folder: Option<std::path::PathBuf>,
    /// A variable of its environment, where that can be read.
    pub notebook: Option<String>,
}

/// Programs that name a connection file and are not its kernel.
const OTHERS: [&str; 4] = ["kernel-keeper", "jupyter-console", "jupyter-qtconsole", "jupyter-run"];
/// What Jupyter servers tell a kernel: the notebook that it is for.
const NOTEBOOK: &str = "JPY_SESSION_NAME";

/// For each file the oldest process that names it: the newer ones are its children. The files' names are compared, since a
/// command may spell the folder in its own way.
pub fn owners(files: &[&Path]) -> Vec<Option<Owner>> {
    let names: Vec<String> = files
        .iter()
        .map(|file| file.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    // Told to use it as kernels are, since when, which.
    let mut found: Vec<Option<(bool, Identity)>> = vec![None; files.len()];
    for (pid, command) in platform::own_commands() {
        if is_other(&command) {
            continue;
        }
        for (name, oldest) in names.iter().zip(&mut found) {
            if !command.iter().skip(1).any(|argument| names_file(argument, name))
                && !is_named_by_pid(name, pid, &command)
            {
                continue;
            }
            let Some(identity) = identity_of(pid) else { continue };
            let is_told = is_told(&command, name);
            let rank = (!is_told, identity.start);
            if oldest.as_ref().is_none_or(|(told, other)| rank < (!told, other.start)) {
                *oldest = Some((is_told, identity));
            }
        }
    }
    found.into_iter().map(|found| owner(found?.1)).collect()
}

fn owner(process: Identity) -> Option<Owner> {
    let pid = process.pid;
    Some(Owner {
        command: platform::name_and_command(pid)?.1,
        process,
        started_by: platform::parent(pid).and_then(program_name),
        folder: platform::working_folder(pid),
        notebook: platform::variable(pid, NOTEBOOK),
    })
}

fn is_other(command: &[String]) -> bool {
    let is_name = |word: &String| {
        let name = word.rsplit('/').next().unwrap_or_default();
        OTHERS.contains(&name)
    };
    command.iter().take(2).any(is_name) || command.iter().any(|word| word.starts_with("--existing"))
}

/// An argument that is the file, or ends in it: `--f=/folder/kernel-1.json`.
fn names_file(argument: &str, name: &str) -> bool {
    argument.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with(['/', '\\', '=']))
}

/// Whether the file is an option's value, as kernelspecs have it: `-f FILE`, `--f=FILE`, `--conn FILE`. What starts a kernel
/// may name the file, too.
fn is_told(command: &[String], name: &str) -> bool {
    command.windows(2).any(|pair| {
        let is_option = pair[1].starts_with('-') || pair[0].starts_with('-') && pair[0] != "-c";
        names_file(&pair[1], name) && is_option
    })
}

/// `ipython kernel` names its file after itself, and is not told of it.
fn is_named_by_pid(name: &str, pid: u32, command: &[String]) -> bool {
    name == format!("kernel-{pid}.json")
        && command.iter().any(|word| word.contains("ipykernel") || word == "kernel")
}

/// `jupyter-lab` rather than the Python that runs it.
fn program_name(pid: u32) -> Option<String> {
    let (name, command) = platform::name_and_command(pid)?;
    let last = |word: &String| word.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let is_interpreter = name.starts_with("python") || name == "node";
    let script = command.iter().skip(1).find(|word| !word.starts_with('-') || *word == "-c").map(last);
    let script = script.filter(|script| script != "-c");
    Some(script.filter(|script| is_interpreter && !script.is_empty()).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_name_a_file() {
        let check = |argument: &str, expect: bool| {
            assert_eq!(names_file(argument, "kernel-1.json"), expect, "{argument}");
        };
        check("/run/kernel-1.json", true);
        check("--f=/run/kernel-1.json", true);
        check("kernel-1.json", true);
        check("/run/other-kernel-1.json", false);
        check("/run/kernel-1.json.bak", false);
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(is_other(&words("/usr/bin/python /usr/bin/jupyter-console --existing kernel-1.json")));
        assert!(is_other(&words("kernel-keeper adopt kernel-1.json")));
        assert!(!is_other(&words("python -m ipykernel_launcher -f kernel-1.json")));
        assert!(is_told(&words("python -m ipykernel_launcher -f /r/kernel-1.json"), "kernel-1.json"));
        assert!(is_told(&words("python -m ipykernel_launcher --f=/r/kernel-1.json"), "kernel-1.json"));
        assert!(!is_told(&words("python start.py /r/kernel-1.json"), "kernel-1.json"));
        assert!(is_named_by_pid("kernel-7.json", 7, &words("python /usr/bin/ipython kernel")));
        assert!(!is_named_by_pid("kernel-7.json", 8, &words("python /usr/bin/ipython kernel")));
        assert_eq!(owners(&[Path::new("/run/kernel-no-such-thing.json")]).len(), 1);
    }
}
