//! Tests of writer and reader together, on real files.

use serde_json::json;

use super::*;
use crate::journal::{Most, Reader, sweep_assets};
use crate::protocol::{ExecutionError, Json};

fn new(id: &str, cell: Option<(&str, u32)>) -> NewExecution {
    NewExecution {
        execution_id: id.into(),
        notebook: 1,
        cell: cell.map(|(id, index)| CellRef { id: id.into(), index }),
        code: format!("code of {id}"),
        origin: "cli".into(),
        stop_on_error: true,
        queued_at: Time(1),
    }
}

fn stream(text: &str) -> EventBody {
    EventBody::Output { output: Output::Stream { name: StreamName::Stdout, text: text.into() } }
}

fn started() -> EventBody {
    EventBody::Started { started_at: Time(2), execution_count: Some(1) }
}

fn finished(status: ExecutionStatus) -> EventBody {
    EventBody::finished(status, Time(3), None)
}

fn begun(dir: &Path, limits: Limits) -> Journal {
    let mut journal = Journal::open(dir, limits).unwrap();
    journal.queue(new("aaaaaaaaaaaa", Some(("c1", 0))));
    journal.append(Some("aaaaaaaaaaaa"), Time(2), started());
    journal
}

fn text_of(dir: &Path, most: u64) -> String {
    let (_, cells) = Reader::open(dir).unwrap().cell_outputs(None, None, Most::Answer(most)).unwrap();
    let text = |output: &Output| match output {
        Output::Stream { text, .. } => text.clone(),
        other => format!("{other:?}"),
    };
    cells[0].outputs.iter().map(text).collect()
}

fn display(data: serde_json::Value) -> Output {
    Output::DisplayData { data: data.into(), metadata: Json::default(), display_id: None }
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        Reader::open(dir.path()).unwrap().cell_outputs(None, None, Most::Answer(10)).unwrap(),
        (0, vec![])
    );
    let mut journal = begun(dir.path(), Limits::default());
    journal.append(Some("aaaaaaaaaaaa"), Time(2), stream("a\n"));
    journal.append(Some("aaaaaaaaaaaa"), Time(2), stream("b\n"));
    journal.append_raw(Time(2), "iopub", &json!("odd"));
    let error = ExecutionError { ename: "E".into(), evalue: "v".into(), traceback: vec!["t".into()] };
    let body = EventBody::finished(ExecutionStatus::Error, Time(3), Some(error.clone()));
    journal.append(Some("aaaaaaaaaaaa"), Time(3), body);
    assert_eq!(journal.commit().unwrap(), 4);

    let reader = Reader::open(dir.path()).unwrap();
    let events = reader.events(0, usize::MAX).unwrap();
    let seqs: Vec<u64> = events.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4], "the raw message is left out, without a hole");
    assert_eq!(events[2].body, stream("a\nb\n"), "pieces are joined once");
    assert_eq!(events[2].cell.as_ref().unwrap().id, "c1");
    let row = reader.last_execution().unwrap().unwrap();
    assert_eq!((row.status, row.error), (ExecutionStatus::Error, Some(error)));
    assert_eq!(text_of(dir.path(), 100), "a\nb\n");

    drop(journal);
    let mut journal = Journal::open(dir.path(), Limits::default()).unwrap();
    journal.append(None, Time(9), EventBody::Gap { from: Time(8), to: Time(9), lost_at_most: None });
    assert_eq!(journal.commit().unwrap(), 5, "numbers go on after a restart");
}

#[test]
fn an_adopter_finds_the_queue_and_the_question() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), Limits::default());
    journal.append(
        Some("aaaaaaaaaaaa"),
        Time(2),
        EventBody::InputRequest { prompt: "name".into(), password: false },
    );
    journal.queue(new("bbbbbbbbbbbb", None));
    journal.queue(new("cccccccccccc", None));
    journal.append(Some("cccccccccccc"), Time(2), finished(ExecutionStatus::Aborted));
    journal.queue(new("dddddddddddd", None));
    journal.sent("dddddddddddd");
    journal.commit().unwrap();
    let unfinished = Journal::open(dir.path(), Limits::default()).unwrap().unfinished().unwrap();
    let ids: Vec<&str> = unfinished.iter().map(|e| e.execution_id.as_str()).collect();
    assert_eq!(ids, ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "dddddddddddd"]);
    assert_eq!(unfinished.iter().map(|e| e.sent).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(unfinished[0].input.as_ref().unwrap().prompt, "name");
}

#[test]
fn a_journal_of_format_1_is_read_and_written_on() {
    let dir = tempfile::tempdir().unwrap();
    begun(dir.path(), Limits::default()).commit().unwrap();
    let db = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    db.execute_batch("ALTER TABLE executions DROP COLUMN sent; PRAGMA user_version = 1;").unwrap();
    drop(db);
    assert_eq!(Reader::open(dir.path()).unwrap().executions(9, None).unwrap().len(), 1);
    let mut journal = Journal::open(dir.path(), Limits::default()).unwrap();
    journal.queue(new("bbbbbbbbbbbb", None));
    journal.sent("bbbbbbbbbbbb");
    journal.commit().unwrap();
    assert!(journal.unfinished().unwrap()[1].sent);
}

#[test]
fn updates_reach_displays_of_other_cells() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), Limits::default());
    let handle = |text: &str| Output::DisplayData {
        data: json!({ "text/plain": text }).into(),
        metadata: Json::default(),
        display_id: Some("d".into()),
    };
    journal.append(Some("aaaaaaaaaaaa"), Time(2), EventBody::Output { output: handle("old") });
    journal.append(Some("aaaaaaaaaaaa"), Time(3), finished(ExecutionStatus::Ok));
    journal.queue(new("bbbbbbbbbbbb", Some(("c2", 1))));
    journal.append(Some("bbbbbbbbbbbb"), Time(4), started());
    let update = EventBody::UpdateDisplay {
        display_id: "d".into(),
        data: json!({ "text/plain": "new" }).into(),
        metadata: Json::default(),
    };
    journal.append(Some("bbbbbbbbbbbb"), Time(4), update);
    journal.commit().unwrap();
    let (_, cells) = Reader::open(dir.path()).unwrap().cell_outputs(None, None, Most::Answer(100)).unwrap();
    assert_eq!(cells[0].outputs, [handle("new")]);
    assert!(cells[1].outputs.is_empty());
}

#[test]
fn a_long_stream_is_whole_in_a_file_and_cut_in_the_cell() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), Limits::default());
    let mut whole = String::new();
    for i in 0..400_000 {
        let line = format!("{i}\n");
        journal.append(Some("aaaaaaaaaaaa"), Time(2), stream(&line));
        whole.push_str(&line);
        if i % 10_000 == 0 {
            journal.commit().unwrap();
        }
    }
    journal.append(Some("aaaaaaaaaaaa"), Time(3), finished(ExecutionStatus::Ok));
    journal.commit().unwrap();
    assert!(whole.len() > 2 << 20);
    assert_eq!(text_of(dir.path(), 10 << 20), whole);
    let reader = Reader::open(dir.path()).unwrap();
    let (_, cells) = reader.cell_outputs(None, None, Most::Answer(10_000)).unwrap();
    let (total, asset) = cells[0].truncated.clone().unwrap();
    assert_eq!((total, std::fs::read_to_string(&asset).unwrap()), (whole.len() as u64, whole.clone()));
    let (mut from_events, mut after) = (String::new(), 0);
    loop {
        let events = reader.events(after, 200_000).unwrap();
        let Some(last) = events.last() else { break };
        after = last.seq;
        for event in events {
            if let EventBody::Output { output: Output::Stream { text, .. } } = event.body {
                from_events.push_str(&text);
            }
        }
    }
    assert!(from_events == whole, "events have every line once, in order");

    // The lease: given out now, so it ends a day later.
    let now = Time::now();
    sweep_assets(dir.path(), Some(now), Time(now.0 + 3_600_000)).unwrap();
    assert!(asset.exists());
    sweep_assets(dir.path(), None, Time(now.0 + 90_000_000)).unwrap();
    assert!(asset.exists(), "never while the session lives");
    sweep_assets(dir.path(), Some(now), Time(now.0 + 90_000_000)).unwrap();
    assert!(!asset.exists());
    let left = text_of(dir.path(), 10 << 20);
    assert!(left.starts_with("0\n1\n") && left.ends_with("399999\n") && left.contains("bytes left out"));
}

#[test]
fn a_limit_takes_the_oldest_outputs_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), Limits { max_bytes: 2 << 20 });
    let line = "x".repeat(1_000) + "\n";
    for i in 0..4_000 {
        if i % 1_000 == 500 {
            let output = display(json!({"text/plain": i}));
            journal.append(Some("aaaaaaaaaaaa"), Time(i), EventBody::Output { output });
        }
        journal.append(Some("aaaaaaaaaaaa"), Time(i), stream(&line));
        if i % 100 == 0 {
            journal.commit().unwrap();
            journal.enforce_limits().unwrap();
        }
    }
    journal.commit().unwrap();
    journal.enforce_limits().unwrap();
    assert!(crate::journal::sizes(dir.path()).0 < 14 << 20);
    let text = text_of(dir.path(), 10 << 20);
    assert!(text.starts_with("[Older output was removed") && text.ends_with(&line));
    let events = Reader::open(dir.path()).unwrap().events(0, usize::MAX).unwrap();
    let gaps = events.iter().filter(|e| matches!(e.body, EventBody::Gap { .. })).count();
    assert_eq!(gaps, 1, "what was pruned comes as one gap");
}

#[test]
fn a_limit_leaves_the_newest_of_a_long_stream_and_never_gives_a_number_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), Limits { max_bytes: 3 << 20 });
    for i in 0..80_000 {
        journal.append(Some("aaaaaaaaaaaa"), Time(i), stream(&format!("{i:>60}\n")));
        if i % 1_000 == 0 {
            journal.commit().unwrap();
        }
    }
    journal.commit().unwrap();
    journal.enforce_limits().unwrap();
    let text = text_of(dir.path(), 10 << 20);
    assert!(text.starts_with("[Older output was removed") && text.ends_with("79999\n"));
    assert!((500_000..3 << 20).contains(&text.len()), "{}", text.len());
    // The same where nothing is left of the newest.
    let last = journal.last_seq();
    journal.limits = Limits { max_bytes: 0 };
    journal.grown = true;
    journal.enforce_limits().unwrap();
    drop(journal);
    assert_eq!(Journal::open(dir.path(), Limits::default()).unwrap().last_seq(), last);
    assert_eq!(Reader::open(dir.path()).unwrap().last_seq().unwrap(), last);
}

#[test]
fn what_was_made_to_be_opened_goes_before_what_ran() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), Limits { max_bytes: 6 << 20 });
    for i in 0..2 {
        for _ in 0..30_000 {
            journal.append(Some("aaaaaaaaaaaa"), Time(2), stream("a line of some length that fills\n"));
        }
        let output = display(json!({"text/plain": i}));
        journal.append(Some("aaaaaaaaaaaa"), Time(2), EventBody::Output { output });
    }
    journal.commit().unwrap();
    let (_, cells) = Reader::open(dir.path()).unwrap().cell_outputs(None, None, Most::Answer(1_000)).unwrap();
    let (total, copy) = cells[0].truncated.clone().unwrap();
    assert!(copy.exists() && total > 1_900_000);
    journal.limits = Limits { max_bytes: 3 << 20 };
    journal.grown = true;
    journal.enforce_limits().unwrap();
    assert!(!copy.exists());
    assert_eq!(text_of(dir.path(), 10 << 20).matches("fills\n").count(), 60_000, "nothing else had to go");
}

#[test]
fn a_full_disk_blocks_nothing_and_leaves_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), Limits::default());
    journal.commit().unwrap();
    journal.pretend_full(true);
    let mut failures = 0;
    for i in 0..200 {
        let data = json!({ "text/plain": "y".repeat(50_000) });
        let output = display(data);
        journal.append(Some("aaaaaaaaaaaa"), Time(i), EventBody::Output { output });
        journal.append(Some("aaaaaaaaaaaa"), Time(i), stream(&"z".repeat(30_000)));
        failures += usize::from(journal.commit().is_err_and(|e| e.is_full()));
        assert!(journal.waiting.len() < 500, "memory is bounded");
    }
    assert!(failures > 100);
    journal.append(Some("aaaaaaaaaaaa"), Time(300), finished(ExecutionStatus::Ok));
    journal.pretend_full(false);
    journal.commit().unwrap();
    let events = Reader::open(dir.path()).unwrap().events(2, usize::MAX).unwrap();
    assert!(events.iter().any(|e| matches!(e.body, EventBody::Gap { lost_at_most: Some(1..), .. })));
    assert!(
        matches!(events.last().unwrap().body, EventBody::Finished { .. }),
        "how it ended is known all the same"
    );
}

#[test]
fn what_is_taken_back_never_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), Limits::default());
    let committed = journal.commit().unwrap();
    journal.pretend_full(true);
    let data = json!({ "text/plain": "y".repeat(200_000) });
    let output = EventBody::Output { output: display(data) };
    journal.append(Some("aaaaaaaaaaaa"), Time(2), output);
    assert!(!journal.has_more_than_outputs());
    journal.queue(new("bbbbbbbbbbbb", None));
    journal.append(Some("aaaaaaaaaaaa"), Time(3), finished(ExecutionStatus::Ok));
    journal.sent("bbbbbbbbbbbb");
    assert!(journal.has_more_than_outputs());
    assert!(journal.commit().is_err_and(|e| e.is_full()));
    journal.unsend("bbbbbbbbbbbb");
    assert!(journal.take_back("bbbbbbbbbbbb"));
    assert!(!journal.take_back("aaaaaaaaaaaa"), "it is written");
    assert_eq!(journal.last_seq(), committed + 2);
    // How it ended is small, and is written where room is found for it.
    journal.drop_outputs();
    journal.pretend_full(false);
    assert_eq!(journal.commit().unwrap(), committed + 2);
    let reader = Reader::open(dir.path()).unwrap();
    let events = reader.events(committed, usize::MAX).unwrap();
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, [committed + 1, committed + 2]);
    assert!(matches!(events[0].body, EventBody::Gap { lost_at_most: Some(1), .. }));
    assert!(matches!(events[1].body, EventBody::Finished { .. }));
    assert_eq!(reader.executions(10, None).unwrap().len(), 1);
}

#[test]
fn a_journal_that_is_removed_or_replaced_under_its_keeper_comes_back_whole() {
    let path = |dir: &Path, end: &str| dir.join(format!("journal.db{end}"));
    let check = |remove: &dyn Fn(&Path), others: usize| {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = begun(dir.path(), Limits::default());
        journal.append(Some("aaaaaaaaaaaa"), Time(2), stream("kept\n"));
        journal.commit().unwrap();
        assert!(!journal.put_back_if_removed().unwrap());
        remove(dir.path());
        journal.append(Some("aaaaaaaaaaaa"), Time(2), stream("more\n"));
        journal.commit().unwrap();
        assert!(journal.put_back_if_removed().unwrap());
        assert_eq!(text_of(dir.path(), 1_000), "kept\nmore\n");
        journal.append(Some("aaaaaaaaaaaa"), Time(2), stream("and on\n"));
        journal.commit().unwrap();
        assert!(!journal.put_back_if_removed().unwrap());
        assert_eq!(text_of(dir.path(), 1_000), "kept\nmore\nand on\n");
        let names = std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name());
        let set_aside = names.filter(|name| name.to_string_lossy().contains(".other-")).count();
        assert_eq!(set_aside, others);
    };
    check(&|dir| std::fs::remove_file(path(dir, "")).unwrap(), 0);
    check(&|dir| std::fs::remove_file(path(dir, "-wal")).unwrap(), 0);
    check(
        &|dir| ["", "-wal", "-shm"].iter().for_each(|end| std::fs::remove_file(path(dir, end)).unwrap()),
        0,
    );
    check(
        &|dir| {
            std::fs::remove_file(path(dir, "")).unwrap();
            std::fs::write(path(dir, ""), "somebody's").unwrap();
        },
        1,
    );
}

#[test]
fn a_huge_message_is_written_in_parts_that_can_be_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), Limits::default());
    journal.append(Some("aaaaaaaaaaaa"), Time(2), stream(&"x".repeat(5 << 20)));
    journal.append_raw(Time(2), "iopub", &json!("odd"));
    journal.append(Some("aaaaaaaaaaaa"), Time(3), finished(ExecutionStatus::Ok));
    let last = journal.last_seq();
    let mut parts = Vec::new();
    while journal.pending_rows() > 0 {
        let told = journal.commit_some().unwrap();
        assert_eq!(Reader::open(dir.path()).unwrap().last_seq().unwrap(), told, "what is told is there");
        parts.push(told);
    }
    assert!(parts.len() == 6 && parts.is_sorted() && parts.last() == Some(&last), "{parts:?} of {last}");
    assert_eq!(journal.pending_bytes(), 0);
}

#[test]
fn what_is_no_journal_is_refused() {
    for (content, corrupt) in [(b"garbage that is long enough to be read as a header, at least a hundred bytes of it, I should think so".to_vec(), true), (vec![0; 16_384], true)] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("journal.db"), &content).unwrap();
        let opened = Reader::open(dir.path()).map(|_| ());
        let written = Journal::open(dir.path(), Limits::default()).map(|_| ());
        assert_eq!(opened.is_err() || written.is_err(), corrupt, "{opened:?} {written:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    drop(begun(dir.path(), Limits::default()));
    let db = Connection::open(dir.path().join("journal.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    assert!(Journal::open(dir.path(), Limits::default()).err().unwrap().is_newer());
}

#[path = "tests/answers.rs"]
mod answers;
#[path = "tests/pruning.rs"]
mod pruning;
