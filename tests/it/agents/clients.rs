//! The official SDK and the protocol's inspector as clients of the face of agents.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::words;
use crate::kernels;
use crate::world::{World, text};

/// Runs the official SDK's client.
fn sdk(world: &World, scenario: &str, notebook: &Path) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/agents/sdk.py");
    let mut command = Command::new(kernels::python());
    let binary = world.command();
    command.arg(script).arg(scenario).arg(binary.get_program()).arg(notebook);
    for (name, value) in binary.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        command.env(name, value);
    }
    let done = command.current_dir(world.work()).output().expect("Python");
    assert!(done.status.success(), "{}\n{}", text(&done.stdout), text(&done.stderr));
}

#[test]
fn the_official_sdk_finds_every_tool_and_each_takes_good_and_bad_input() {
    let world = World::new();
    sdk(&world, "legacy", &world.notebook("draft.ipynb", &["x = 41", "print(x)"]));
}

#[test]
fn and_the_same_by_the_protocols_newer_way() {
    let world = World::new();
    sdk(&world, "auto", &world.notebook("draft.ipynb", &["x = 41", "print(x)"]));
}

#[test]
fn the_official_sdk_makes_a_hundred_calls_at_once() {
    let world = World::new();
    sdk(&world, "many", &world.notebook("draft.ipynb", &["1"]));
}

#[test]
fn the_official_sdk_follows_resources_both_ways() {
    let world = World::new();
    sdk(&world, "resources", &world.notebook("draft.ipynb", &["1"]));
}

#[test]
fn the_inspector_of_the_protocol_has_no_complaint() {
    let world = World::new();
    let draft = world.notebook("draft.ipynb", &["print(6 * 7)"]);
    let inspector = std::env::var("KERNEL_KEEPER_TEST_INSPECTOR");
    let inspector =
        inspector.expect("KERNEL_KEEPER_TEST_INSPECTOR names the inspector's program; npm test sets it");
    let inspect = |arguments: &[&str]| {
        let binary = world.command();
        let mut command = Command::new("node");
        command.arg(&inspector).arg("--cli").arg(binary.get_program()).arg("mcp");
        let variables =
            binary.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
        for (name, value) in variables {
            command.args(["-e", &format!("{name}={value}")]);
        }
        let done = command.args(arguments).output().expect("node");
        let (out, err) = (text(&done.stdout), text(&done.stderr));
        assert!(
            done.status.success() && !err.to_lowercase().contains("warning"),
            "{arguments:?}: {out}\n{err}"
        );
        serde_json::from_str::<Value>(&out).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {out}\n{err}"))
    };
    let tools = inspect(&["--strict", "--method", "tools/list"]);
    assert_eq!(tools["tools"].as_array().map(Vec::len), Some(21), "{tools}");
    let path = format!("notebook_path={}", draft.display());
    let call = |name: &str, arguments: &[&str]| {
        let mut all = vec!["--method", "tools/call", "--tool-name", name];
        arguments.iter().for_each(|argument| all.extend(["--tool-arg", argument]));
        inspect(&all)
    };
    call("start_session", &[&path]);
    let ran = call("execute_code", &[&path, "code=print(6 * 7)"]);
    assert_eq!(words(&ran), "42\n");
    let resources = inspect(&["--method", "resources/list"]);
    assert_eq!(resources["resources"].as_array().map(Vec::len), Some(2), "{resources}");
    let templates = inspect(&["--method", "resources/templates/list"]);
    assert_eq!(templates["resourceTemplates"].as_array().map(Vec::len), Some(2), "{templates}");
    let read = inspect(&["--method", "resources/read", "--uri", "kernel://sessions"]);
    assert!(read["contents"][0]["text"].as_str().is_some_and(|t| t.contains("draft.ipynb")), "{read}");
}
