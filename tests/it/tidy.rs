//! The code keeps the layers of ARCHITECTURE.md, and outside crates stay where they belong.

use std::path::{Path, PathBuf};

/// A module, its layer, and the modules of its own or a lower layer that it may use beyond the rule "lower ones, never
/// a neighbour".
const LAYERS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("paths", &["ids"]),
    ("foreign", &[]),
    ("ids", &[]),
    ("memory", &[]),
    ("jupyter", &["protocol", "paths", "foreign", "ids"]),
    ("journal", &["protocol", "paths", "ids"]),
    ("registry", &["protocol", "paths", "ids"]),
    ("process", &["protocol", "paths", "foreign", "ids"]),
    ("renames", &["protocol", "paths", "foreign", "ids"]),
    ("keeper", &["protocol", "paths", "foreign", "ids", "jupyter", "journal", "registry", "process"]),
    (
        "sessions",
        &[
            "protocol", "paths", "foreign", "ids", "jupyter", "journal", "registry", "process", "renames",
            "keeper",
        ],
    ),
    ("faces", &["protocol", "paths", "foreign", "ids", "sessions"]),
];

/// What a part of the faces may use besides: only the sidecar watches the disk, and agents' face the bell.
const BESIDES: &[(&str, &str)] = &[("faces/lsp", "renames"), ("faces/mcp", "renames")];

/// Outside crates, and the only places that may name them.
const CONFINED: &[(&str, &[&str])] = &[
    ("rusqlite", &["journal", "registry"]),
    ("tower_lsp", &["faces/lsp"]),
    ("rmcp", &["faces/mcp"]),
    ("zeromq", &["jupyter"]),
    ("notify", &["renames"]),
    ("ignore", &["renames"]),
    ("sysinfo", &["process"]),
    ("libc", &["process"]),
    ("memchr", &["journal", "jupyter"]),
    ("unicode_width", &["journal"]),
    ("clap", &["main", "args"]),
    ("clap_complete", &["main", "args"]),
    ("clap_mangen", &["main", "args"]),
    ("comfy_table", &["faces/cli"]),
    ("rustyline", &["faces/cli"]),
];

fn source_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("the sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file without comments and strings, in which words are looked for.
fn code_of(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The words that follow `prefix` in the code, a `{…}` after it taken apart.
fn words_after<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let mut words = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut start = 0;
            for (i, c) in list.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => {
                        words.push(first_word(&list[start..i]));
                        break;
                    }
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        words.push(first_word(&list[start..i]));
                        start = i + 1;
                    }
                    _ => {}
                }
            }
        } else {
            words.push(first_word(rest));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

#[test]
fn layers_and_outside_crates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("server/src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    assert!(files.len() > 50, "the sources are found");
    let mut breaches = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).expect("below").with_extension("").to_string_lossy().into_owned();
        let module = name.split('/').next().unwrap_or_default();
        let code = code_of(&std::fs::read_to_string(&file).expect("a source file"));
        if !["main", "args", "lib"].contains(&module) {
            let rule = LAYERS.iter().find(|(layer, _)| *layer == module);
            let Some((_, may_use)) = rule else {
                breaches.push(format!(
                    "{name}: the module {module} has no place in the layers (ARCHITECTURE.md)"
                ));
                continue;
            };
            for used in words_after(&code, "crate::") {
                let known = LAYERS.iter().any(|(layer, _)| *layer == used);
                let besides = BESIDES.iter().any(|(place, also)| name.starts_with(place) && *also == used);
                if known && used != module && !may_use.contains(&used) && !besides {
                    breaches.push(format!(
                        "{name} uses crate::{used}: {module} may use only {}",
                        may_use.join(", ")
                    ));
                }
            }
            // Faces never use each other.
            let face = name.split('/').nth(1).filter(|_| module == "faces");
            for used in words_after(&code, "crate::faces::").into_iter().chain(words_after(&code, "faces::"))
            {
                if face.is_some_and(|face| face != used) {
                    breaches.push(format!("{name} uses the face {used}: faces never use each other"));
                }
            }
        }
        for (outside, places) in CONFINED {
            let named = code.match_indices(&format!("{outside}::")).any(|(at, _)| {
                !code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            });
            let allowed = places.iter().any(|place| name == *place || name.starts_with(&format!("{place}/")));
            if named && !allowed {
                breaches.push(format!("{name} uses {outside}, which belongs to {}", places.join(" and ")));
            }
        }
    }
    assert!(breaches.is_empty(), "the layers of ARCHITECTURE.md are breached:\n{}", breaches.join("\n"));
}

#[test]
fn the_command_line_prints_through_say_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("server/src");
    let mut files = vec![root.join("main.rs"), root.join("args.rs"), root.join("faces/cli.rs")];
    source_files(&root.join("faces/cli"), &mut files);
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("say.rs") && !file.ends_with("print.rs")) {
        let text = std::fs::read_to_string(file).expect("a source file");
        for way in ["println!", "print!(", "dbg!", "writeln!", "write!("] {
            if text.contains(way) {
                breaches.push(format!(
                    "{} uses {way}: say.rs keeps words from steering a terminal",
                    file.display()
                ));
            }
        }
        // One cell is made of text, and that one plain.
        if text.matches("Cell::new(").count() > usize::from(file.ends_with("show.rs")) {
            breaches.push(format!("{} makes a cell of text that is not made plain", file.display()));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn files_say_what_they_are_for_and_are_not_too_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for dir in ["server/src", "tests/it"] {
        source_files(&root.join(dir), &mut files);
    }
    let mut breaches = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source file");
        let shown = file.strip_prefix(root).expect("below").display().to_string();
        if !text.starts_with("//!") {
            breaches.push(format!("{shown} does not open with `//!`: what it is for"));
        }
        if text.lines().count() > 800 {
            breaches.push(format!("{shown} has {} lines", text.lines().count()));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn the_extensions_commands_are_registered_and_no_proposed_api_is_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("package.json")).expect("package.json");
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("package.json is JSON");
    assert!(
        manifest.get("enabledApiProposals").is_none(),
        "no proposed API: the extension could not be published"
    );
    let mut code = String::new();
    let mut pending = vec![root.join("editor-client/src")];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).expect("the extension's sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|e| e == "ts") {
                code += &std::fs::read_to_string(path).expect("a source file");
            }
        }
    }
    let commands = manifest["contributes"]["commands"].as_array().cloned().unwrap_or_default();
    assert!(!commands.is_empty());
    for command in commands {
        let name = command["command"].as_str().expect("a command's name");
        let last = name.rsplit('.').next().unwrap_or(name);
        let is_named = code.contains(&format!("'{name}'"))
            || code.contains(&format!("{last}:"))
            || code.contains(&format!("'{last}'"));
        assert!(is_named, "package.json offers {name}, which the code does not register");
    }
}
