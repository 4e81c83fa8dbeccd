//! Tests of the limit: what stands is the last to go.

use super::*;

const SMALL: Limits = Limits { max_bytes: 1 << 20 };

/// Commits, and lets the limit be kept, as it is while a cell runs.
fn keep_limit(journal: &mut Journal) {
    journal.commit().unwrap();
    journal.enforce_limits().unwrap();
}

fn put(journal: &mut Journal, id: &str, body: EventBody) {
    journal.append(Some(id), Time(3), body);
}

/// A second cell that begins after the first one ended, with one line that stands.
fn second(journal: &mut Journal) {
    put(journal, "aaaaaaaaaaaa", stream("accuracy 0.93\n"));
    put(journal, "aaaaaaaaaaaa", finished(ExecutionStatus::Ok));
    journal.queue(new("bbbbbbbbbbbb", Some(("c2", 1))));
    put(journal, "bbbbbbbbbbbb", started());
}

fn cells(dir: &Path) -> Vec<crate::journal::CellRow> {
    Reader::open(dir).unwrap().cell_outputs(None, None, Most::All).unwrap().1
}

#[test]
fn frames_that_were_cleared_go_before_another_cells_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), SMALL);
    second(&mut journal);
    let frame = |i: usize| display(json!({ "image/png": "A".repeat(20_000), "text/plain": i }));
    for i in 0..300 {
        put(&mut journal, "bbbbbbbbbbbb", EventBody::ClearOutput { wait: true });
        put(&mut journal, "bbbbbbbbbbbb", EventBody::Output { output: frame(i) });
        keep_limit(&mut journal);
    }
    let cells = cells(dir.path());
    assert_eq!(
        cells[0].outputs,
        [Output::Stream { name: StreamName::Stdout, text: "accuracy 0.93\n".into() }]
    );
    assert_eq!(cells[1].outputs, [frame(299)]);
    assert!(!cells[0].is_incomplete && !cells[1].is_incomplete);
    assert!(crate::journal::sizes(dir.path()).0 < 10 << 20);
}

#[test]
fn updates_that_were_overtaken_go_and_the_figure_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), SMALL);
    let data = |i: usize| Json::from(json!({ "image/png": "A".repeat(20_000), "text/plain": i }));
    let figure =
        |data: Json| Output::DisplayData { data, metadata: Json::default(), display_id: Some("d".into()) };
    put(&mut journal, "aaaaaaaaaaaa", EventBody::Output { output: figure(data(0)) });
    second(&mut journal);
    for i in 1..300 {
        let metadata = Json::default();
        put(
            &mut journal,
            "bbbbbbbbbbbb",
            EventBody::UpdateDisplay { display_id: "d".into(), data: data(i), metadata },
        );
        keep_limit(&mut journal);
    }
    assert_eq!(cells(dir.path())[0].outputs[0], figure(data(299)));
    assert!(cells(dir.path()).iter().all(|cell| !cell.is_incomplete));
}

#[test]
fn a_progress_bar_is_folded_and_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), SMALL);
    second(&mut journal);
    for i in 0..60_000 {
        put(&mut journal, "bbbbbbbbbbbb", stream(&format!("{i:>6} of 60000 {}\r", "#".repeat(i % 50))));
        if i % 1_000 == 0 {
            keep_limit(&mut journal);
        }
    }
    keep_limit(&mut journal);
    put(&mut journal, "bbbbbbbbbbbb", stream("done"));
    journal.commit().unwrap();
    let stands = format!("done99 of 60000 {}", "#".repeat(49));
    let cells = cells(dir.path());
    assert_eq!(cells[1].outputs, [Output::Stream { name: StreamName::Stdout, text: stands }]);
    let whole: Vec<_> = cells.iter().map(|cell| (cell.is_incomplete, cell.outputs.len())).collect();
    assert_eq!(whole, [(false, 1), (false, 1)]);
    assert!(crate::journal::sizes(dir.path()).0 < 10 << 20);
}

#[test]
fn what_ran_before_goes_before_what_stands_and_code_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = begun(dir.path(), SMALL);
    second(&mut journal);
    for i in 0..100 {
        let id = format!("c{i:011}");
        journal.queue(NewExecution { code: "x".repeat(50_000), ..new(&id, Some(("c3", 2))) });
        put(&mut journal, &id, started());
        let output = display(json!({ "text/plain": "y".repeat(30_000) }));
        put(&mut journal, &id, EventBody::Output { output });
        put(&mut journal, &id, finished(ExecutionStatus::Ok));
        keep_limit(&mut journal);
    }
    let cells = cells(dir.path());
    assert!(cells.iter().all(|cell| !cell.is_incomplete), "each cell has what stands in it");
    let reader = Reader::open(dir.path()).unwrap();
    let is_incomplete =
        |i: usize| reader.outputs(&format!("c{i:011}"), Most::All).unwrap().unwrap().is_incomplete;
    let first_whole = (0..100).find(|i| !is_incomplete(*i)).unwrap();
    assert!((50..90).contains(&first_whole), "the oldest went first, no more than was needed: {first_whole}");
}
