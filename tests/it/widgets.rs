//! What widgets take: it stands in no cell.

use crate::driver::{PATIENCE, eventually};
use crate::world::{World, id_of, kill, pid_of};

/// An `Output` widget takes what the cell puts out while it has its request's id, and so do clears: `interact`, rich's
/// `track` and `with out:` do that.
#[test]
fn what_a_widget_takes_stands_in_no_cell() {
    let world = World::new();
    let notebook = world.notebook("widgets.ipynb", &["1"]);
    let mut window = world.window();
    let id = id_of(&window.start(&notebook)["id"]);
    window.subscribe(&id, 0);
    let code = "from comm import create_comm\n\
        from IPython.display import clear_output, display\n\
        print('before', flush=True)\n\
        out = create_comm(target_name='jupyter.widget', data={'state': {'_model_name': 'OutputModel', 'msg_id': ''}})\n\
        request = get_ipython().kernel.get_parent()['header']['msg_id']\n\
        out.send({'method': 'update', 'state': {'msg_id': request}})\n\
        for i in range(3):\n    clear_output(wait=True); print('frame', i, flush=True)\n\
        clear_output()\n\
        display({'text/plain': 'taken'}, raw=True)\n\
        out.send({'method': 'update', 'state': {'msg_id': ''}})\n\
        print('after')";
    let execution = window.execute_cell(&id, 0, code);
    assert_eq!(window.done(&id, &execution)["status"], "ok");
    assert_eq!(window.stream(&id, "c0"), "before\nafter\n");
    window.wait_finished(&execution);
    let events = window.events(&id);
    let kinds: Vec<&str> = events.iter().filter_map(|e| e["event"]["kind"].as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "widgetCleared").count(), 4, "{kinds:?}");
    let taken = events.iter().find(|e| e["event"]["output"]["data"]["text/plain"] == "taken").unwrap();
    let opened = events.iter().find(|e| e["event"]["message"]["header"]["msg_type"] == "comm_open").unwrap();
    assert_eq!(taken["event"]["kind"], "widgetOutput");
    assert_eq!(taken["event"]["commId"], opened["event"]["message"]["content"]["comm_id"]);
}

/// A keeper that is killed while a widget takes output is succeeded by one that knows of it.
#[test]
fn what_a_widget_takes_is_known_after_an_adoption() {
    let world = World::new();
    let notebook = world.notebook("widgets.ipynb", &["1"]);
    let mut window = world.window();
    let session = window.start(&notebook);
    let id = id_of(&session["id"]);
    window.subscribe(&id, 0);
    let code = "import os, time\n\
        from comm import create_comm\n\
        out = create_comm(target_name='jupyter.widget', data={'state': {}})\n\
        out.send({'method': 'update', 'state': {'msg_id': get_ipython().kernel.get_parent()['header']['msg_id']}})\n\
        print('taken before', flush=True)\n\
        while not os.path.exists('on'): time.sleep(0.01)\n\
        print('taken after', flush=True)\n\
        out.send({'method': 'update', 'state': {'msg_id': ''}})\n\
        print('in the cell')";
    let execution = window.execute_cell(&id, 0, code);
    window.wait_for("keeper/executionEvent", |e| e["event"]["kind"] == "widgetOutput");
    let keeper = pid_of(&session["keeperPid"]);
    kill(keeper, "KILL");
    eventually("another keeper", PATIENCE, || {
        let now = window.session(&id)["keeperPid"].as_u64();
        now.is_some_and(|pid| pid != u64::from(keeper)).then_some(())
    });
    std::fs::write(notebook.with_file_name("on"), "").unwrap();
    window.done(&id, &execution);
    assert_eq!(window.stream(&id, "c0"), "in the cell\n");
}
