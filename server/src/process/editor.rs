//! Whether a process is a code editor: VS Code and what is built on it, on the desktop or as a server.

use super::{Identity, identity_of, platform};

/// Programs that are one, without what tells a release from another (`code-insiders` begins with `code`).
const PROGRAMS: [&str; 13] = [
    "code",
    "code-oss",
    "code-insiders",
    "code-exploration",
    "code-server",
    "codium",
    "vscodium",
    "cursor",
    "positron",
    "windsurf",
    "theia",
    "trae",
    "void",
];
/// Parts of the paths of servers that run in `node`, on the machine of a remote window or behind a browser.
const SERVERS: [&str; 10] = [
    "vscode",
    "code-server",
    "cursor-server",
    "positron",
    "codium",
    "windsurf",
    "theia",
    "server-main.js",
    "bootstrap-fork",
    "code-insiders",
];
const NODES: [&str; 3] = ["node", "nodejs", "mainthread"];

/// The editor of that PID: `None` where there is no such process, or it is another program.
pub fn editor_of(pid: u32) -> Option<Identity> {
    let identity = identity_of(pid)?;
    let (name, command) = platform::name_and_command(pid)?;
    is_editor(&name, &command).then_some(identity)
}

/// By its name, or by what a `node` runs.
fn is_editor(name: &str, command: &[String]) -> bool {
    let stem = |text: &str| {
        let last = text.rsplit(['/', '\\']).next().unwrap_or_default().to_lowercase();
        last.strip_suffix(".exe").map(str::to_owned).unwrap_or(last)
    };
    let program = command.first().map(|first| stem(first)).unwrap_or_default();
    let is_named = |text: &str| {
        PROGRAMS.contains(&text) || text.starts_with("code - ") || text.starts_with("code helper")
    };
    if is_named(&program) || is_named(&stem(name)) {
        return true;
    }
    let is_node = NODES.contains(&program.as_str()) || NODES.contains(&stem(name).as_str());
    let script = command.iter().skip(1).find(|argument| !argument.starts_with('-'));
    let paths = command.first().into_iter().chain(script);
    is_node
        && paths.map(|path| path.to_lowercase()).any(|path| SERVERS.iter().any(|part| path.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_and_others() {
        let check = |name: &str, command: &[&str], expect: bool| {
            let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(is_editor(name, &command), expect, "{name} {command:?}");
        };
        check("code", &["/usr/share/code/code", "--type=utility"], true);
        check("code-insiders", &["/usr/share/code-insiders/code-insiders"], true);
        check("codium", &["/opt/codium/codium"], true);
        check("cursor", &["/opt/Cursor/cursor"], true);
        check("positron", &["/usr/bin/positron"], true);
        check("Code.exe", &["C:\\Program Files\\Microsoft VS Code\\Code.exe"], true);
        check("node", &["/home/me/.vscode-server/cli/servers/x/server/node", "out/server-main.js"], true);
        check(
            "node",
            &["node", "--max-old-space-size=4096", "/opt/openvscode-server/out/server-main.js"],
            true,
        );
        check("MainThread", &["/usr/lib/code-server/lib/node", "/usr/lib/code-server/out/node/entry"], true);
        check("node", &["node", "app.js"], false);
        check("node", &["/usr/bin/node", "-e", "0", "vscode"], false);
        check("python3", &["python3", "code.py"], false);
        check("bash", &["bash", "-c", "code ."], false);
        check("codec", &["/usr/bin/codec"], false);
        check("sleep", &[], false);
    }

    #[test]
    fn this_test_is_none() {
        assert_eq!(editor_of(std::process::id()), None);
        assert_eq!(editor_of(u32::MAX), None);
    }
}
