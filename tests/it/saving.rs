//! `save`: what a kernel said, digit for digit, in the cells that said it, and nothing else in the file changed.

use crate::world::World;

/// A file as a person may have it, with `outputs` and `counts` of its three cells.
fn file(outputs: [&str; 3], counts: [&str; 3]) -> String {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let cell = |n: usize, id: &str, source: &str| {
        format!(
            "\t\t{{\n\t\t\t\"cell_type\": \"code\",\n\t\t\t\"execution_count\": {},\n\t\t\t\"id\": \"{id}\",\n\t\t\t\"metadata\": {{\"score\": NaN, \"n\": [1e-07, 123456789012345678901, 0.30000000000000004]}},\n\t\t\t\"outputs\": {},\n\t\t\t\"source\": [\"{source}\"]\n\t\t}}",
            counts[n], outputs[n]
        )
    };
    let cells = [
        cell(0, "same", "print('one')"),
        cell(1, "same", "print('two')"),
        cell(2, "deep", "display(Shown(), raw=True) # \\ud83d"),
    ];
    format!(
        "\u{feff}{{\n\t\"cells\": [\n{}\n\t],\n\t\"metadata\": {{\"kernelspec\": {{\"name\": \"python3\"}}, \"a\": {deep}}},\n\t\"nbformat\": 4,\n\t\"nbformat_minor\": 5\n}}",
        cells.join(",\n")
    )
}

fn stream(text: &str) -> String {
    format!(
        "[\n\t\t\t\t{{\n\t\t\t\t\t\"name\": \"stdout\",\n\t\t\t\t\t\"output_type\": \"stream\",\n\t\t\t\t\t\"text\": [\n\t\t\t\t\t\t\"{text}\\n\"\n\t\t\t\t\t]\n\t\t\t\t}}\n\t\t\t]"
    )
}

/// A byte order mark, `NaN`, half a character, deep JSON, two cells of one id, tabs: VS Code or Jupyter open each of these.
#[test]
fn all_but_the_outputs_that_came_stays_byte_for_byte() {
    let world = World::new();
    let notebook = world.work().join("a b%.ipynb");
    let old =
        "[{\"output_type\": \"display_data\", \"metadata\": {}, \"data\": {\"application/json\": 1e-07}}]";
    let before = file(["[]", "[]", old], ["null", "null", "3"]);
    std::fs::write(&notebook, &before).unwrap();
    let path = notebook.to_str().unwrap();
    let ran = world.cli(["run", path]);
    assert!(crate::world::text(&ran.stderr).contains("Shown"), "the third cell fails: {ran:?}");
    let said = world.cli_ok(["save", path]);
    assert!(said.contains("3 cell(s)"), "{said}");
    let saved = std::fs::read_to_string(&notebook).unwrap();
    // The third cell's traceback is not compared; what stands around it is.
    let error = &saved[saved.find("\"ename\"").unwrap()..];
    let from = saved.find("[\n\t\t\t\t{\n\t\t\t\t\t\"ename\"").unwrap();
    let to = saved.len() - error.len() + error.find("\n\t\t\t]").unwrap() + "\n\t\t\t]".len();
    let expected = file([&stream("one"), &stream("two"), &saved[from..to]], ["1", "2", "3"]);
    assert_eq!(saved, expected);
    // What says the same is not written again.
    std::fs::write(
        &notebook,
        saved.replace(&stream("one"), r#"[{"text":"one\n","name":"stdout","output_type":"stream"}]"#),
    )
    .unwrap();
    let again = std::fs::read_to_string(&notebook).unwrap();
    world.cli_ok(["save", path]);
    assert_eq!(std::fs::read_to_string(&notebook).unwrap(), again);
    world.cli_ok(["stop", "--all"]);
}

#[test]
fn numbers_and_depth_are_the_kernels() {
    let world = World::new();
    let shown = format!(
        "{{\"b\": [1e-07, 123456789012345678901234567890, 0.30000000000000004, -0.0, 1.0], \"a\": {}{}}}",
        "[".repeat(150),
        "]".repeat(150)
    );
    // A kernel's own spelling: what `json` makes of `1e-07` is what the kernel sends.
    let code = format!(
        "import json\\ndisplay({{'application/json': json.loads('''{}'''), 'text/plain': 'a tree'}}, raw=True)",
        shown.replace('"', "\\\"")
    );
    let notebook = world.work().join("n.ipynb");
    let text = format!(
        "{{\"cells\": [{{\"cell_type\": \"code\", \"id\": \"a\", \"metadata\": {{}}, \"execution_count\": null, \"outputs\": [], \"source\": \"{code}\"}}], \"metadata\": {{\"kernelspec\": {{\"name\": \"python3\"}}}}, \"nbformat\": 4, \"nbformat_minor\": 5}}"
    );
    std::fs::write(&notebook, text).unwrap();
    let path = notebook.to_str().unwrap();
    assert!(world.cli_ok(["run", path]).contains("a tree"));
    world.cli_ok(["save", path]);
    let saved = std::fs::read_to_string(&notebook).unwrap();
    for number in ["1e-07", "123456789012345678901234567890", "0.30000000000000004", "-0.0, 1.0"] {
        assert!(saved.contains(number), "{number}: {saved}");
    }
    assert!(saved.contains(&format!("{}{}", "[".repeat(150), "]".repeat(150))), "{saved}");
    world.cli_ok(["stop", "--all"]);
}
