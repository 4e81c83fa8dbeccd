//! Tests of what answers may hold: outputs that are too large, many of them, and rows that somebody forged.

use super::*;
use crate::journal::assets;
use crate::journal::large::Bounds;

/// A reader with bounds of a 32nd: what is measured is the same, and takes no minutes.
fn reader(dir: &Path) -> Reader {
    let mut reader = Reader::open(dir).unwrap();
    reader.bounds = Bounds { answer: 2 << 20, output: 1 << 20 };
    reader
}

fn displayed(data: serde_json::Value) -> EventBody {
    EventBody::Output { output: super::display(data) }
}

fn size_of(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).unwrap().len()
}

#[test]
fn what_no_answer_can_hold_lies_in_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), Limits::default());
    let html = "<b>\u{1}ü".repeat(200 << 10);
    let png = "QUJD\n".repeat(300 << 10);
    journal.append(
        Some("aaaaaaaaaaaa"),
        Time(2),
        displayed(json!({"text/html": html, "text/plain": "small", "../../x": "also small"})),
    );
    journal.append(Some("aaaaaaaaaaaa"), Time(2), displayed(json!({"image/png": png})));
    let traceback = vec!["first".to_owned(), "t".repeat(1 << 20), "last".into()];
    let error = Output::Error { ename: "E".repeat(9_000), evalue: "v".repeat(300 << 10), traceback };
    journal.append(Some("aaaaaaaaaaaa"), Time(2), EventBody::Output { output: error });
    let data: serde_json::Map<_, _> =
        (0..800).map(|i| (format!("a/{i}"), json!("x".repeat(1_500)))).collect();
    journal.append(Some("aaaaaaaaaaaa"), Time(2), displayed(data.into()));
    journal.append(Some("aaaaaaaaaaaa"), Time(2), displayed(json!({"text/plain": "after"})));
    journal.commit().unwrap();

    let reader = reader(dir.path());
    let (_, cells) = reader.cell_outputs(None, None, Most::Answer(1_000)).unwrap();
    assert!(size_of(&cells[0].outputs) < 300_000, "{}", size_of(&cells[0].outputs));
    assert_eq!((cells[0].outputs.len(), cells[0].left_out), (5, 0));
    let Output::DisplayData { data, .. } = &cells[0].outputs[0] else { panic!("a display") };
    let data = data.value();
    let said = data["text/plain"].as_str().unwrap();
    assert!(said.starts_with("small\n[text/html takes ") && said.contains("/assets/copy-"), "{said}");
    assert_eq!((data.get("text/html"), &data["../../x"]), (None, &json!("also small")));
    let asset = |n: usize, end: &str| {
        let text = serde_json::to_string(&cells[0].outputs[n]).unwrap();
        let from = text.find(dir.path().to_str().unwrap()).unwrap_or_else(|| panic!("{text}"));
        let path = &text[from..][..text[from..].find(end).unwrap() + end.len()];
        std::fs::read(path).unwrap()
    };
    assert!(asset(0, ".html") == html.as_bytes());
    assert!(asset(1, ".png") == "ABC".repeat(300 << 10).as_bytes());
    let whole = String::from_utf8(asset(2, ".txt")).unwrap();
    assert!(whole.starts_with(&"E".repeat(9_000)) && whole.ends_with("last\n") && whole.len() > 1_300_000);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&asset(3, ".json")).unwrap()["a/7"],
        "x".repeat(1_500)
    );
    let (bytes, path) = cells[0].truncated.clone().unwrap();
    assert_eq!(bytes, std::fs::metadata(path).unwrap().len(), "what can be opened is the largest");

    // Events, too, and what is written into a file is whole.
    let events = reader.events(0, usize::MAX).unwrap();
    assert!(size_of(&events.iter().map(|e| &e.body).collect::<Vec<_>>()) < 300_000);
    let (_, all) = reader.cell_outputs(None, None, Most::All).unwrap();
    assert!(size_of(&all[0].outputs) > 5 << 20);

    // They are copies: the journal can do without, and makes them anew.
    let before = std::fs::read_dir(dir.path().join("assets")).unwrap().count();
    journal.limits = Limits { max_bytes: assets::used_bytes(&journal.db, dir.path()).unwrap() - (1 << 20) };
    journal.grown = true;
    journal.enforce_limits().unwrap();
    assert!(std::fs::read_dir(dir.path().join("assets")).unwrap().count() < before);
    assert_eq!(reader.cell_outputs(None, None, Most::Answer(1_000)).unwrap().1, cells);
}

#[test]
fn an_answer_has_a_bound_whatever_the_cells() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), Limits::default());
    for (cell, id) in ["bbbbbbbbbbbb", "cccccccccccc", "dddddddddddd"].iter().enumerate() {
        let cell = format!("c{}", cell + 2);
        journal.queue(new(id, Some((&cell, 3))));
        journal.append(Some(id), Time(2), started());
        for i in 0..40 {
            let html = format!("{id} {i}{}", "x".repeat(30_000));
            journal.append(Some(id), Time(2), displayed(json!({ "text/html": html })));
        }
        journal.append(Some(id), Time(2), stream("the end\n"));
        journal.commit().unwrap();
    }
    let reader = reader(dir.path());
    let (_, cells) = reader.cell_outputs(None, None, Most::Answer(u64::MAX)).unwrap();
    let sizes: Vec<usize> = cells.iter().map(|cell| size_of(&cell.outputs)).collect();
    assert!(sizes.iter().sum::<usize>() < 2_100_000, "{sizes:?}");
    let counts: Vec<u64> = cells.iter().map(|cell| cell.left_out).collect();
    assert_eq!((counts[0], counts[1]), (0, 0), "{counts:?}");
    assert!((10..41).contains(&counts[2]) && counts[3] == 41, "{counts:?}");
    let Some(Output::Stream { text, .. }) = cells[3].outputs.last() else { panic!("words") };
    assert!(text.contains("The rest, 41 outputs,"), "{text}");
    let (bytes, path) = cells[3].truncated.clone().unwrap();
    let rest: Vec<Output> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(rest.len() == 41 && bytes > 1_200_000);
    // Asked for alone, it has all the room.
    let (_, one) = reader.cell_outputs(None, Some("dddddddddddd"), Most::Answer(1_000)).unwrap();
    assert_eq!((one.len(), one[0].outputs.len(), one[0].left_out), (1, 41, 0));
    assert_eq!(one[0].outputs, rest);
}

#[test]
fn a_history_has_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), Limits::default());
    let row = |id: String, code: String| NewExecution { code, ..new(&id, None) };
    for i in 0..50 {
        let id = format!("bbbbbbbbbb{i:02}");
        journal.queue(row(id.clone(), "c".repeat(if i == 49 { 2 << 20 } else { 20_000 })));
        let error = ExecutionError {
            ename: "E".into(),
            evalue: "\u{1}".repeat(10_000),
            traceback: vec!["t".repeat(100_000)],
        };
        let (status, completed_at) = (ExecutionStatus::Error, Time(3));
        journal.append(Some(&id), Time(3), EventBody::finished(status, completed_at, Some(error)));
    }
    journal.commit().unwrap();
    let mut reader = reader(dir.path());
    reader.bounds.answer = 8 << 20;
    let rows = reader.executions(100_000, None).unwrap();
    assert!((5..50).contains(&rows.len()), "{}", rows.len());
    assert_eq!(rows[0].execution_id, "bbbbbbbbbb49", "the newest are there");
    assert!(rows[0].code.ends_with("bytes left out …\n") && rows[0].code.len() < 1_100_000);
    assert!(size_of(&rows[0].error) < 200_000);
    assert_eq!(
        reader.execution("bbbbbbbbbb49").unwrap().unwrap().code.len(),
        2 << 20,
        "to be run again: whole"
    );
    let events = reader.events(0, usize::MAX).unwrap();
    assert!(events.iter().all(|event| size_of(&event.body) < 1_200_000));
}

#[test]
fn a_forged_row_leads_nowhere_else_and_takes_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let session = dir.path().join("session");
    std::fs::create_dir(&session).unwrap();
    std::fs::write(dir.path().join("secret.txt"), "secret").unwrap();
    let mut journal = begun(&session, Limits::default());
    for _ in 0..6 {
        journal.append(Some("aaaaaaaaaaaa"), Time(2), stream(&"x".repeat(1 << 20)));
    }
    journal.append(Some("aaaaaaaaaaaa"), Time(3), finished(ExecutionStatus::Ok));
    journal.commit().unwrap();
    std::os::unix::fs::symlink(dir.path().join("secret.txt"), session.join("assets/aaaaaaaaaaaa-9.txt"))
        .unwrap();
    let db = rusqlite::Connection::open(session.join("journal.db")).unwrap();
    let absolute = dir.path().join("secret.txt").to_string_lossy().into_owned();
    let names =
        ["../../secret.txt", &absolute, "aaaaaaaaaaaa-9.txt", "..", "", "aaaaaaaaaaaa-../../../secret.txt"];
    for name in names {
        db.execute("UPDATE events SET asset = ?1, start = 0, length = 6 WHERE asset IS NOT NULL", [name])
            .unwrap();
        let text = text_of(&session, 10 << 20);
        assert!(!text.contains("secret") && text.contains("bytes left out"), "{name}");
        let reader = Reader::open(&session).unwrap();
        let (_, cells) = reader.cell_outputs(None, None, Most::Answer(1_000)).unwrap();
        let path = &cells[0].truncated.as_ref().unwrap().1;
        assert!(
            path.starts_with(session.join("assets"))
                && !std::fs::read_to_string(path).unwrap().contains("secret")
        );
        assert!(!format!("{:?}", reader.events(0, usize::MAX).unwrap()).contains("secret"), "{name}");
    }
    // Lengths and places beyond all bounds.
    std::fs::remove_file(session.join("assets/aaaaaaaaaaaa-9.txt")).unwrap();
    std::fs::write(session.join("assets/aaaaaaaaaaaa-9.txt"), "short").unwrap();
    for (start, length) in [(0, i64::MAX), (0, -1), (-1, 5), (i64::MAX, i64::MAX), (i64::MIN, i64::MIN)] {
        db.execute(
            "UPDATE events SET asset = 'aaaaaaaaaaaa-9.txt', start = ?1, length = ?2 WHERE asset IS NOT NULL",
            [start, length],
        )
        .unwrap();
        assert!(text_of(&session, 10 << 20).len() < 3 << 20);
        Reader::open(&session).unwrap().events(0, usize::MAX).unwrap();
    }
    // Nothing outside is removed either.
    db.execute("UPDATE events SET asset = '../../secret.txt' WHERE asset IS NOT NULL", []).unwrap();
    journal.limits = Limits { max_bytes: 0 };
    journal.grown = true;
    journal.enforce_limits().unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("secret.txt")).unwrap(), "secret");
}

#[test]
fn what_nobody_reads_goes_before_any_output_and_the_disk_has_its_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), Limits { max_bytes: 2 << 20 });
    journal.append(Some("aaaaaaaaaaaa"), Time(2), stream("precious\n"));
    journal.append(Some("aaaaaaaaaaaa"), Time(3), finished(ExecutionStatus::Ok));
    for _ in 0..20 {
        journal.append_raw(Time(4), "iopub", &json!("A".repeat(500_000)));
        journal.commit().unwrap();
    }
    assert!(journal.has_grown_much());
    journal.enforce_limits().unwrap();
    assert!(!journal.has_grown_much());
    assert_eq!(text_of(dir.path(), 1_000), "precious\n");
    let length = std::fs::metadata(dir.path().join("journal.db")).unwrap().len();
    assert!(length <= 2 << 20, "{length}");
    // Nor does the log keep it while nothing more is written.
    let log = || std::fs::metadata(dir.path().join("journal.db-wal")).unwrap().len();
    journal.limits = Limits::default();
    for _ in 0..40 {
        journal.append_raw(Time(5), "iopub", &json!("A".repeat(500_000)));
    }
    let held = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    held.execute_batch("BEGIN; SELECT count(*) FROM raw;").unwrap();
    journal.commit().unwrap();
    for _ in 0..3 {
        journal.enforce_limits().unwrap();
    }
    assert!(log() > 16 << 20, "{}: what is read stays", log());
    held.execute_batch("ROLLBACK").unwrap();
    journal.enforce_limits().unwrap();
    assert!(log() <= 8 << 20, "{}", log());
    assert_eq!(text_of(dir.path(), 1_000), "precious\n");
}
