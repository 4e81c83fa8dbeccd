"""Fifty windows and fifty kernels at once: whether all lists agree, how soon they do, and what it costs. Then a namespace in
which almost everything is large or goes wrong where it is touched. No peer does either, so nothing stands beside it."""

import json
import os
import tempfile
import time

from renames import part, wait, write_notebook
from sidecar import Sidecar

COUNT = 50
LISTS, LABELS = 10, 50
IDLE_SECONDS = 30
HOSTILE = """
import os
import numpy as np
class Evil:
    def __getattribute__(self, name): os.abort()
    def __repr__(self): os.abort()
    def __len__(self): os.abort()
evil, big = [Evil() for _ in range(100)], np.zeros(2 * 1024 ** 3 // 8)
globals().update({f'v{i}': i for i in range(10_000)})
"""


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def processor(pids):
    """Seconds of processor that all threads of the processes have used."""
    used = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as numbers:
                used += int(numbers.read().split()[0])
    return used / 1e9


def timed(call):
    begin = time.perf_counter()
    answer = call()
    return time.perf_counter() - begin, answer


def agrees(window, expected):
    """Whether its list has all sessions, each with its window."""
    listed = window.call("keeper/listSessions", {})["sessions"]
    return sorted(one["id"] for one in listed) == expected and all(len(one["windows"]) == 1 for one in listed)


def bench(binary, row):
    top = tempfile.mkdtemp(prefix="kk-many-")
    state, folder = os.path.join(top, "state"), os.path.join(top, "work")
    os.mkdir(folder)
    windows = [Sidecar(binary, state, folder) for _ in range(COUNT)]
    sessions = []
    for number, window in enumerate(windows):
        path = os.path.join(folder, f"n{number}.ipynb")
        write_notebook(path)
        asked = {"notebookUri": "file://" + path, "kernelName": "python3"}
        sessions.append(window.call("keeper/startSession", asked)["session"]["id"])
    expected, took = sorted(sessions), []
    # Each window joins fifty keepers while the last of them start.
    begin = time.perf_counter()
    while not all(agrees(window, expected) for window in windows):
        assert time.perf_counter() - begin < 30, "the windows do not agree"
    row(f"{COUNT} kernels started, until {COUNT} windows agree", time.perf_counter() - begin)
    for _ in range(LISTS):
        for window in windows:
            seconds, right = timed(lambda: agrees(window, expected))
            took.append(seconds)
            assert right, "a list that was right is not any more"
    row(f"listSessions, {COUNT} windows, {COUNT} kernels, p95", part(took, 0.95), aim="≤ 5 ms")
    for window in windows:
        answer = window.call("keeper/listWindows", {})
        assert len(answer["windows"]) == COUNT
        assert sorted(id for listed in answer["windows"] for id in listed["sessions"]) == expected
        window.notifications.clear()
    told = []
    for number in range(LABELS):
        asked = {"sessionId": sessions[number % COUNT], "label": f"label {number}"}
        begin = time.perf_counter()
        windows[number % COUNT].call("keeper/labelSession", asked)
        for window in windows:
            is_it = lambda params: params["session"]["label"] == f"label {number}"
            _, at = wait(window, "keeper/sessionUpdated", is_it)
        told.append(at - begin)
    row(f"a change until the last of {COUNT} windows is told, p95", part(told, 0.95), aim="≤ 100 ms")
    row("largest sidecar: RSS", max(resident(window.process.pid) for window in windows), unit="MB", aim="≤ 30 MB")
    keepers = [session["keeperPid"] for session in windows[0].call("keeper/listSessions", {})["sessions"]]
    for visible, aim in ((False, "≤ 1 %"), (True, "")):
        for window in windows[:1]:
            window.call("keeper/setVisible", {"visible": visible})
        time.sleep(5)
        before = processor(keepers)
        time.sleep(IDLE_SECONDS)
        share = (processor(keepers) - before) / IDLE_SECONDS / COUNT * 100
        shown = "while a view is visible" if visible else "while nobody looks"
        row(f"keepers of 100 idle kernels, of one core, {shown}", share * 100, unit="%", aim=aim)
    for window in windows[1:]:
        window.close()
    one, session = windows[0], sessions[0]
    for other in sessions[1:]:
        one.call("keeper/stopSession", {"sessionId": other})
    one.call("keeper/subscribe", {"sessionId": session})
    one.run(session, HOSTILE)
    took = []
    for _ in range(20):
        one.run(session, "pass")
        took.append(timed(lambda: one.call("keeper/sessionVariables", {"sessionId": session}))[0])
    row("variables: 10,000 names, 2 GB, hostile objects, p95", part(took, 0.95), aim="≤ 200 ms")
    one.call("keeper/stopAllSessions", {})
    one.close()
    return top
