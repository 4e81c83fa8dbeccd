//! What messages mean, in scripts of them.

use serde_json::json;

use super::*;
use crate::protocol::Output;

fn job(id: &str, notebook: u32) -> Job {
    Job { execution_id: id.into(), notebook, cell: None, code: "1".into(), stop_on_error: true, batch: None }
}

/// Runs a script of `channel kind parent content` lines, and writes the effects in short.
fn play(machine: &mut Machine, script: &[(From, &str, &str, Value)]) -> Vec<String> {
    let mut out = Vec::new();
    for (i, (from, kind, parent, content)) in script.iter().enumerate() {
        let mut content = content.clone();
        let shown = content.get("data").filter(|data| data.is_object()).map(|data| Shown::Bundle {
            data: data.clone().into(),
            metadata: content.get("metadata").cloned().unwrap_or_else(|| json!({})).into(),
        });
        let mut m = Incoming {
            from: *from,
            kind,
            parent,
            session: "us",
            own_session: "us",
            content: &mut content,
            shown,
            envelope: json!({}),
        };
        out.extend(machine.message(&mut m, Time(i as i64)).iter().map(short));
    }
    out
}

fn short(effect: &Effect) -> String {
    match effect {
        Effect::Journal { execution_id, body } => {
            let id = execution_id.as_deref().unwrap_or("-");
            match body {
                EventBody::Finished { status, execution_count: Some(n), .. } => {
                    format!("{id} {} [{n}]", status.as_str())
                }
                EventBody::Finished { status, .. } => format!("{id} {}", status.as_str()),
                EventBody::Started { execution_count, .. } => format!("{id} started {execution_count:?}"),
                EventBody::Output { output: Output::Stream { text, .. } } => {
                    format!("{id} stream {text}")
                }
                other => {
                    format!("{id} {}", serde_json::to_value(other).unwrap()["kind"].as_str().unwrap())
                }
            }
        }
        Effect::Send(job) => format!("send {}", job.execution_id),
        Effect::Other { code, .. } => format!("other {code}"),
        Effect::Raw => "raw".into(),
        Effect::Probe => "probe".into(),
        Effect::Busy(_) => "busy".into(),
    }
}

const A: &str = "aaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbb";
const C: &str = "cccccccccccc";

fn ready_with(jobs: &[Job]) -> Machine {
    let mut machine = Machine::default();
    for job in jobs {
        assert!(
            machine.enqueue(job.clone(), Time(0)).is_empty(),
            "nothing is sent before the kernel is ready"
        );
    }
    assert_eq!(machine.kernel_ready().len(), 1);
    machine
}

#[test]
fn an_execution_ends_with_reply_and_idle_in_either_order() {
    for swap in [false, true] {
        let mut machine = ready_with(&[job(A, 0), job(B, 0)]);
        let mut ends = vec![
            (From::Shell, "execute_reply", A, json!({"status": "ok", "execution_count": 1})),
            (From::Iopub, "status", A, json!({"execution_state": "idle"})),
        ];
        if swap {
            ends.reverse();
        }
        let mut script = vec![
            (From::Iopub, "status", A, json!({"execution_state": "busy"})),
            (From::Iopub, "execute_input", A, json!({"execution_count": 1})),
            (From::Iopub, "stream", A, json!({"name": "stdout", "text": "x"})),
        ];
        script.extend(ends);
        let got = play(&mut machine, &script);
        let expect = [
            format!("{A} started Some(1)"),
            format!("{A} stream x"),
            format!("{A} ok"),
            "busy".into(),
            format!("send {B}"),
        ];
        assert_eq!(got, expect, "swap {swap}");
    }
}

#[test]
fn a_count_that_comes_after_the_beginning_is_told_at_the_end() {
    let begun = format!("{A} started None");
    let text = (From::Iopub, "stream", A, json!({"name": "stdout", "text": "x"}));
    let input = (From::Iopub, "execute_input", A, json!({"execution_count": 7}));
    let bare = (From::Iopub, "execute_input", A, json!({"code": "1"}));
    let reply = (From::Shell, "execute_reply", A, json!({"status": "ok", "execution_count": 7}));
    let idle = (From::Iopub, "status", A, json!({"execution_state": "idle"}));
    for late in [[&text, &reply, &idle], [&bare, &idle, &reply], [&text, &input, &idle]] {
        let mut machine = ready_with(&[job(A, 0)]);
        let mut script: Vec<_> = late.into_iter().cloned().collect();
        if !late.contains(&&reply) {
            script.push((From::Shell, "execute_reply", A, json!({"status": "ok"})));
        }
        let got = play(&mut machine, &script);
        assert_eq!(got[0], begun);
        assert!(got.contains(&format!("{A} ok [7]")), "{got:?}");
    }
}

#[test]
fn a_failure_aborts_what_waits_from_its_notebook_alone() {
    let mut machine = ready_with(&[job(A, 0), job(B, 0), job(C, 1)]);
    let got = play(
        &mut machine,
        &[
            (From::Iopub, "status", A, json!({"execution_state": "idle"})),
            (
                From::Shell,
                "execute_reply",
                A,
                json!({"status": "error", "ename": "E", "evalue": "v", "traceback": ["t"]}),
            ),
        ],
    );
    assert_eq!(got[1..], [format!("{A} error"), "busy".into(), format!("{B} aborted"), format!("send {C}")]);
}

#[test]
fn what_arrives_of_a_batch_after_its_failure_is_aborted() {
    let of = |id: &str, batch: &str| Job { batch: Some(batch.into()), ..job(id, 0) };
    let mut machine = ready_with(&[of(A, "one")]);
    let failure = [
        (From::Iopub, "status", A, json!({"execution_state": "idle"})),
        (From::Shell, "execute_reply", A, json!({"status": "error", "ename": "E"})),
    ];
    play(&mut machine, &failure);
    let late: Vec<String> = machine.enqueue(of(B, "one"), Time(3)).iter().map(short).collect();
    assert_eq!(late, [format!("{B} aborted")]);
    let other: Vec<String> = machine.enqueue(of(C, "two"), Time(3)).iter().map(short).collect();
    assert_eq!(other, [format!("send {C}")]);
}

#[test]
fn input_is_asked_and_closed() {
    let mut machine = ready_with(&[job(A, 0)]);
    play(&mut machine, &[(From::Stdin, "input_request", A, json!({"prompt": "name?", "password": false}))]);
    assert_eq!(machine.running.as_ref().unwrap().input.as_ref().unwrap().prompt, "name?");
    assert!(machine.take_input(B).is_none());
    let prompt = machine.take_input(A).unwrap();
    assert!(machine.take_input(A).is_none(), "one line for one question");
    machine.asks_again(A, prompt.clone());
    assert_eq!(machine.take_input(A), Some(prompt), "what was not sent is asked again");
}

#[test]
fn after_an_adoption_the_kernel_tells_what_it_waits_for() {
    let name = InputPrompt { prompt: "name?".into(), password: false };
    let other = InputPrompt { prompt: "other?".into(), password: true };
    let check = |known: Option<&InputPrompt>, told: Option<Option<&InputPrompt>>, expect: &[&str]| {
        let mut machine = Machine::default();
        machine.restore(Some((job(A, 0), Some(Time(0)), known.cloned())), vec![]);
        let effects = machine.waits_for(told.map(Option::<&InputPrompt>::cloned), Time(1));
        assert_eq!(effects.iter().map(short).collect::<Vec<_>>(), expect, "{known:?} {told:?}");
        let expect = told.unwrap_or(known);
        assert_eq!(machine.running.unwrap().input.as_ref(), expect, "{known:?} {told:?}");
    };
    check(None, Some(Some(&name)), &["aaaaaaaaaaaa inputRequest"]);
    check(Some(&other), Some(Some(&name)), &["aaaaaaaaaaaa inputRequest"]);
    check(Some(&name), Some(Some(&name)), &[]);
    // It was answered as the keeper died.
    check(Some(&name), Some(None), &["aaaaaaaaaaaa inputReplied"]);
    // Other kernels cannot tell.
    check(Some(&name), None, &[]);
}

#[test]
fn a_late_idle_is_waited_for_until_later_output_is_here() {
    let replied = |machine: &mut Machine| {
        play(machine, &[(From::Shell, "execute_reply", A, json!({"status": "ok", "execution_count": 1}))]);
    };
    let ticks = |machine: &mut Machine, seconds: std::ops::Range<i64>| -> Vec<String> {
        seconds.step_by(2).flat_map(|s| machine.tick(Time(s * 1_000))).map(|effect| short(&effect)).collect()
    };
    let stream = (From::Iopub, "stream", A, json!({"name": "stdout", "text": "late"}));
    let idle = (From::Iopub, "status", A, json!({"execution_state": "idle"}));
    // It waits behind much output, for minutes.
    let mut machine = ready_with(&[job(A, 0), job(B, 0)]);
    replied(&mut machine);
    assert_eq!(ticks(&mut machine, 0..4), Vec::<String>::new());
    assert_eq!(ticks(&mut machine, 4..100).iter().filter(|effect| *effect != "probe").count(), 0);
    let got = play(&mut machine, &[stream.clone(), idle]);
    assert_eq!(got, [format!("{A} stream late"), format!("{A} ok"), "busy".into(), format!("send {B}")]);
    // It was lost: output of a later question is here.
    let mut machine = ready_with(&[job(A, 0), job(B, 0)]);
    replied(&mut machine);
    assert_eq!(ticks(&mut machine, 4..6), ["probe"]);
    machine.probed("probe".into());
    let got = play(
        &mut machine,
        &[
            (From::Shell, "kernel_info_reply", "probe", json!({"status": "ok"})),
            stream,
            (From::Iopub, "status", "probe", json!({"execution_state": "busy"})),
        ],
    );
    let expect =
        [format!("{A} stream late"), "- gap".into(), format!("{A} ok"), "busy".into(), format!("send {B}")];
    assert_eq!(got, expect);
    // It answers, and its output is silent.
    let mut machine = ready_with(&[job(A, 0)]);
    replied(&mut machine);
    assert_eq!(ticks(&mut machine, 4..6), ["probe"]);
    machine.probed("probe".into());
    play(&mut machine, &[(From::Shell, "kernel_info_reply", "probe", json!({"status": "ok"}))]);
    let got = ticks(&mut machine, 30..34);
    assert_eq!(got, ["- gap".to_owned(), format!("{A} ok"), "busy".into()]);
}

#[test]
fn what_could_not_be_noted_is_not_sent() {
    let mut machine = ready_with(&[job(A, 0), job(B, 0)]);
    assert!(machine.unsend(A), "it was not sent yet");
    assert!(!machine.unsend(A) && !machine.unsend(B));
    machine.pause();
    assert!(machine.enqueue(job(C, 0), Time(1)).is_empty());
    machine.take_back(C);
    let sent: Vec<String> = machine.go_on().iter().map(short).collect();
    assert_eq!(sent, [format!("send {A}")], "in its order");
    assert_eq!(machine.queue.iter().map(|job| job.execution_id.as_str()).collect::<Vec<_>>(), [B]);
}

#[test]
fn after_an_adoption_an_unseen_end_is_lost_and_the_queue_goes_on() {
    let mut machine = Machine::default();
    machine.restore(Some((job(A, 0), Some(Time(0)), None)), vec![job(B, 0)]);
    machine.probed("probe".into());
    assert!(machine.is_busy());
    let got = play(
        &mut machine,
        &[
            (From::Iopub, "stream", A, json!({"name": "stdout", "text": "later"})),
            (From::Shell, "kernel_info_reply", "probe", json!({"status": "ok"})),
        ],
    );
    assert_eq!(got, [format!("{A} stream later"), format!("{A} lost"), format!("send {B}")]);
}

#[test]
fn after_an_adoption_a_seen_end_is_what_it_was() {
    let mut machine = Machine::default();
    machine.restore(Some((job(A, 0), Some(Time(0)), None)), vec![]);
    machine.probed("probe".into());
    let got = play(
        &mut machine,
        &[
            (From::Shell, "execute_reply", A, json!({"status": "ok"})),
            (From::Shell, "kernel_info_reply", "probe", json!({"status": "ok"})),
            (From::Iopub, "status", A, json!({"execution_state": "idle"})),
        ],
    );
    assert_eq!(got, [format!("{A} ok"), "busy".into()]);
}

#[test]
fn after_an_adoption_an_unanswered_probe_is_asked_again_seldom_while_a_cell_runs() {
    let mut machine = Machine::default();
    let asked = |machine: &mut Machine, ticks: usize| -> usize {
        let effects = (0..ticks).flat_map(|_| machine.tick(Time(0))).collect::<Vec<_>>();
        assert!(effects.iter().all(|e| *e == Effect::Probe));
        effects.len()
    };
    assert_eq!(machine.restore(Some((job(A, 0), Some(Time(0)), None)), vec![job(B, 0)]), [Effect::Probe]);
    assert_eq!(asked(&mut machine, 7), 3, "after 1, 3 and 7 ticks");
    assert_eq!(asked(&mut machine, 43_200), 340, "in a day at two seconds a tick");
    machine.probed("first".into());
    machine.probed("second".into());
    let end = [
        (From::Shell, "execute_reply", A, json!({"status": "ok"})),
        (From::Iopub, "status", A, json!({"execution_state": "idle"})),
    ];
    assert_eq!(play(&mut machine, &end), [format!("{A} ok"), "busy".into()]);
    assert_eq!(asked(&mut machine, 3), 3, "now that nothing runs, each time");
    let answer = [(From::Shell, "kernel_info_reply", "first", json!({"status": "ok"}))];
    assert_eq!(play(&mut machine, &answer), [format!("send {B}")]);
    assert_eq!(asked(&mut machine, 3), 0);
}

#[test]
fn a_dead_kernel_loses_what_ran_and_aborts_what_waited() {
    let mut machine = ready_with(&[job(A, 0), job(B, 0)]);
    let got: Vec<String> = machine.kernel_gone(ExecutionStatus::Lost, Time(9)).iter().map(short).collect();
    assert_eq!(got, [format!("{A} lost"), "busy".into(), format!("{B} aborted")]);
}

#[test]
fn who_raised_before_its_kernel_was_ended_failed() {
    let error = || json!({"ename": "ValueError", "evalue": "x", "traceback": []});
    let stream = || json!({"name": "stdout", "text": "on"});
    let told = [(From::Iopub, "error", A, error())];
    let goes_on = [(From::Iopub, "error", A, error()), (From::Iopub, "stream", A, stream())];
    for (script, asked, end) in
        [(&told[..], true, "error"), (&told[..], false, "lost"), (&goes_on[..], true, "aborted")]
    {
        let mut machine = ready_with(&[job(A, 0)]);
        play(&mut machine, script);
        let running = if asked { ExecutionStatus::Aborted } else { ExecutionStatus::Lost };
        let ends = machine.kernel_gone(running, Time(9)).iter().map(short).collect::<Vec<_>>();
        assert_eq!(ends[0], format!("{A} {end}"));
    }
}

#[test]
fn what_comes_during_a_restart_is_the_next_kernels() {
    let mut machine = ready_with(&[job(A, 0), job(B, 0)]);
    let words = |effects: Vec<Effect>| effects.iter().map(short).collect::<Vec<_>>();
    assert_eq!(words(machine.restarting(Time(1))), [format!("{B} aborted")]);
    assert!(machine.enqueue(job(C, 0), Time(2)).is_empty());
    let interrupted = [
        (From::Iopub, "status", A, json!({"execution_state": "idle"})),
        (From::Shell, "execute_reply", A, json!({"status": "error", "ename": "KeyboardInterrupt"})),
    ];
    assert_eq!(play(&mut machine, &interrupted)[1..], [format!("{A} error"), "busy".into()]);
    assert!(machine.kernel_replaced(ExecutionStatus::Aborted, Time(3)).is_empty());
    assert_eq!(words(machine.kernel_ready()), [format!("send {C}")]);
}

#[test]
fn what_cannot_be_read_is_kept_raw() {
    let mut machine = ready_with(&[job(A, 0)]);
    let got = play(
        &mut machine,
        &[
            (From::Iopub, "stream", "somebody-elses", json!({"name": "log", "text": "x"})),
            (From::Iopub, "stream", "x", json!({"name": "log"})),
            (From::Iopub, "display_data", "x", json!({"data": {"text/plain": "1"}})),
            (From::Iopub, "never_heard_of", "x", json!({})),
        ],
    );
    assert_eq!(got, ["- stream x", "raw", "- output", "raw"]);
}

#[test]
fn an_execution_that_the_kernel_never_answers_ends_once_a_later_question_is_answered() {
    let mut machine = ready_with(&[job(A, 1), job(B, 1), job(C, 2)]);
    let idle = json!({ "execution_state": "idle" });
    assert_eq!(play(&mut machine, &[(From::Iopub, "status", A, idle)]), Vec::<String>::new());
    let mut ticks = (0..3).map(|n| machine.tick(Time(n)).iter().map(short).collect::<Vec<_>>());
    assert_eq!(ticks.next().unwrap(), Vec::<String>::new());
    assert_eq!(ticks.next().unwrap(), ["probe"]);
    assert_eq!(ticks.next().unwrap(), ["probe"], "asked again, not begun again");
    drop(ticks);
    machine.probed("question".into());
    // What waits of the same notebook is not run after an interrupt; another's is.
    let ended = play(&mut machine, &[(From::Shell, "kernel_info_reply", "question", json!({}))]);
    assert_eq!(ended, [format!("{A} error"), "busy".into(), format!("{B} aborted"), format!("send {C}")]);
}
