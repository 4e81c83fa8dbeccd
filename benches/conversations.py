"""A thousand conversations, one of them with 10 MB in 10,000 turns, in a state folder of their own: what it costs to add a turn
and to read the latest ones, with every turn on disk before it is answered. No peer keeps any, so nothing stands beside it."""

import os
import tempfile

from many import timed
from renames import part, write_notebook
from sidecar import Sidecar

COUNT, TURNS, BYTES = 1_000, 10_000, 10_000_000
READS = 500


def bench(binary, row):
    top = tempfile.mkdtemp(prefix="kk-conversations-")
    state, folder = os.path.join(top, "state"), os.path.join(top, "work")
    os.mkdir(folder)
    path = os.path.join(folder, "n.ipynb")
    write_notebook(path)
    window = Sidecar(binary, state, folder)

    def append(name, content):
        asked = {"conversationId": name, "notebookUri": "file://" + path, "role": "user", "content": content}
        seconds, answer = timed(lambda: window.call("keeper/conversation/append", asked))
        return seconds, answer["turnCount"]

    def history(name):
        return timed(lambda: window.call("keeper/conversation/history", {"conversationId": name}))

    begun = [append(f"c{number}", "the first turn")[0] for number in range(COUNT - 1)]
    row(f"conversations: begin one, until there are {COUNT:,}, p95", part(begun, 0.95))
    text = "x" * (BYTES // TURNS)
    took = [append("long", text) for _ in range(TURNS)]
    assert took[-1][1] == TURNS
    row(f"conversations: append, up to {TURNS:,} turns and 10 MB, p95", part([seconds for seconds, _ in took], 0.95))
    window.notifications.clear()
    read = [history("long") for _ in range(READS)]
    assert all(answer["turnCount"] == TURNS and len(answer["history"]) == 100 for _, answer in read)
    row(f"conversations: history of {TURNS:,} turns and 10 MB, p95", part([s for s, _ in read], 0.95), aim="≤ 5 ms")
    read = [history(f"c{number}") for number in range(COUNT - 1)]
    assert all(answer["turnCount"] == 1 for _, answer in read)
    row(f"conversations: history of each of {COUNT:,}, p95", part([s for s, _ in read], 0.95), aim="≤ 5 ms")
    listed = [timed(lambda: window.call("keeper/conversation/list", {})) for _ in range(20)]
    assert all(len(answer["conversations"]) == COUNT for _, answer in listed)
    row(f"conversations: list of {COUNT:,}, p95", part([seconds for seconds, _ in listed], 0.95))
    append("c0", "x" * BYTES)
    seconds, answer = history("c0")
    assert len(answer["history"][1]["content"]) == BYTES
    row("conversations: history with one turn of 10 MB", seconds)
    window.close()
    return top
