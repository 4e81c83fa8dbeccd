"""How soon a rename is offered, and a kernel attached to another notebook. No peer does either, so nothing stands beside it."""

import json
import os
import re
import sqlite3
import tempfile
import time

from sidecar import Sidecar

FOLDERS, FILES, NOTEBOOKS = 5_000, 50_000, 1_000
RENAMES, ATTACHMENTS = 200, 200
HISTORY = 100_000


def write_notebook(path):
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    json.dump({"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, open(path, "w"))


def fill(folder):
    """A workspace of so many folders and files, some of them notebooks."""
    for number in range(FOLDERS):
        os.makedirs(os.path.join(folder, f"a{number % 50}", f"b{number}"))
    for number in range(FILES):
        name = f"n{number}.ipynb" if number % (FILES // NOTEBOOKS) == 0 else f"f{number}.py"
        place = number % FOLDERS
        path = os.path.join(folder, f"a{place % 50}", f"b{place}", name)
        if name.endswith(".ipynb"):
            write_notebook(path)
        else:
            open(path, "w").close()


def part(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def wait(sidecar, method, is_it):
    """The next notification that is the one, and when it came."""
    while True:
        message = sidecar.notifications.pop(0) if sidecar.notifications else sidecar.read()
        if message.get("method") == method and is_it(message["params"]):
            return message["params"], time.perf_counter()


def bench(binary, row, pss):
    top = tempfile.mkdtemp(prefix="kk-renames-")
    state, folder, empty = (os.path.join(top, name) for name in ("state", "work", "empty"))
    os.mkdir(folder)
    os.mkdir(empty)
    fill(folder)
    small = Sidecar(binary, state, empty)
    time.sleep(2)
    log = os.path.join(top, "sidecar.log")
    sidecar = Sidecar(binary, state, folder, log)
    time.sleep(2)
    watched = re.search(r"folders=(\d+) took=([0-9.]+)(ms|s)", open(log).read())
    assert int(watched[1]) >= FOLDERS, watched[0]
    took = float(watched[2]) / (1000 if watched[3] == "ms" else 1)
    row(f"watching {FOLDERS} folders with {FILES} files", took, aim="≤ 300 ms")
    row("the same: PSS", pss(sidecar.process.pid) - pss(small.process.pid), unit="MB", aim="≤ 10 MB")
    small.close()

    name = lambda number: os.path.join(folder, f"draft {number}.ipynb")
    uri = lambda path: "file://" + path.replace(" ", "%20")
    write_notebook(name(0))
    asked = {"notebookUri": uri(name(0)), "kernelName": "python3"}
    session = sidecar.call("keeper/startSession", asked)["session"]["id"]
    offered = []
    for number in range(RENAMES):
        os.rename(name(number), name(number + 1))
        begin = time.perf_counter()
        is_it = lambda params: params["offer"]["notebookUri"] == uri(name(number + 1))
        told, at = wait(sidecar, "keeper/offer", is_it)
        offered.append(at - begin)
        sidecar.call("keeper/answerOffer", {"offerId": told["offer"]["offerId"], "action": "migrate"})
    row("`mv` to offer, p95, in that workspace", part(offered, 0.95), aim="≤ 50 ms")

    sidecar.call("keeper/stopSession", {"sessionId": session})
    journal = sqlite3.connect(os.path.join(state, "sessions", session, "journal.db"))
    columns = "execution_id, notebook, cell_id, cell_index, code, origin, stop_on_error, status, queued_at, started_at"
    rows = ((f"x{n}", 1, f"c{n % 500}", n % 500, "x += 1", "w", 1, "ok", n, n) for n in range(HISTORY))
    journal.executemany(f"INSERT INTO executions ({columns}) VALUES ({','.join('?' * 10)})", rows)
    journal.commit()
    journal.close()
    sidecar.call("keeper/restartSession", {"sessionId": session})
    other = Sidecar(binary, state, empty)
    other.call("keeper/listSessions", {})
    targets = [os.path.join(folder, f"target {number}.ipynb") for number in range(2)]
    for path in targets:
        write_notebook(path)
    attached, told = [], []
    for number in range(ATTACHMENTS):
        asked = {"sessionId": session, "targetNotebookUri": uri(targets[number % 2])}
        begin = time.perf_counter()
        sidecar.call("keeper/attachSession", asked)
        attached.append(time.perf_counter() - begin)
        is_it = lambda params: params["session"]["notebookPath"] == targets[number % 2]
        told.append(wait(other, "keeper/sessionUpdated", is_it)[1] - begin)
    row(f"attachSession, p95, {HISTORY} executions known", part(attached, 0.95), aim="≤ 5 ms")
    row("the same: until another window is told, p95", part(told, 0.95), aim="≤ 100 ms")
    sidecar.call("keeper/stopAllSessions", {})
    sidecar.close()
    other.close()
    return top
