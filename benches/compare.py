"""Runs notebooks by Kernel Keeper and by nbclient, and prints where what stands in a file afterwards differs.

    python benches/compare.py BINARY FOLDER [WORDS …]     only notebooks whose path holds one of the words

The Python that runs it must have nbclient and ipykernel, and is the kernel of both; what else the notebooks import is up to
who runs it. Where cells differ nbclient runs the notebook once more: where its own two runs differ, too, it is chance. What
`save` did to the file is compared byte by byte, once with one cell run and once with all of them. Notebooks are somebody's
code: run them where they can do no harm.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from alike import differences, harm
from sidecar import Sidecar

# Seconds: a cell until it is interrupted, a notebook until no further cell begins, and a kernel that hears no interrupt.
CELL, NOTEBOOK, GRACE = 20, 60, 30
HERE = os.path.dirname(os.path.abspath(__file__))
# The same random numbers on both sides; a tip in IPython's banner takes one at each `kernel_info_request`.
STARTUP = """
import random
get_ipython().enable_tip = False
random.seed(0)
try:
    import numpy
    numpy.random.seed(0)
    def default_rng(seed=None, make=numpy.random.default_rng):
        return make(0 if seed is None else seed)
    numpy.random.default_rng = default_rng
except ImportError:
    pass
"""


class World:
    """A folder where one notebook is run, the same for both sides, and what kernels are given."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="kkc-")
        ipython = os.path.join(self.top, "ipython")
        startup = os.path.join(ipython, "profile_default", "startup")
        os.makedirs(startup)
        with open(os.path.join(startup, "00-seed.py"), "w") as file:
            file.write(STARTUP)
        # Neither side reaches a network: what is fetched today may differ tomorrow.
        nowhere = "http://127.0.0.1:9"
        self.env = {"IPYTHONDIR": ipython, "PYTHONHASHSEED": "0", "HOME": self.top, "http_proxy": nowhere,
                    "https_proxy": nowhere, "JUPYTER_PATH": os.path.join(sys.prefix, "share", "jupyter")}
        self.env["PATH"] = os.path.join(sys.prefix, "bin") + os.pathsep + os.environ["PATH"]
        os.environ.update(self.env)
        self.state = os.path.join(self.top, "s")

    def fresh(self, notebook, number):
        """A copy of the notebook's folder under a path that no other notebook has."""
        folder = os.path.join(self.top, f"w{number:03}")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(os.path.dirname(notebook), folder, symlinks=True)
        return os.path.join(folder, os.path.basename(notebook))


def by_nbclient(path, world):
    """What nbclient says of each cell: `{index: {outputs, execution_count, seconds}}`; a word where it says nothing."""
    result = os.path.join(world.top, "peer.json")
    if os.path.exists(result):
        os.remove(result)
    program = os.path.join(HERE, "by_nbclient.py")
    command = [sys.executable, program, path, os.path.dirname(path), result, str(CELL), str(NOTEBOOK)]
    with open(os.path.join(world.top, "peer.log"), "a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            process.wait(NOTEBOOK + CELL + GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            return "nbclient did not end"
    if not os.path.exists(result):
        return "nbclient failed"
    with open(result) as file:
        came = json.load(file)
    return {int(index): cell for index, cell in came["cells"].items()}


def code_cells(path):
    """The cells that are run, as `kernel-keeper run` names them."""
    with open(path, encoding="utf-8-sig") as file:
        cells = json.load(file)["cells"]
    for index, cell in enumerate(cells):
        source = "".join(cell.get("source", ""))
        tags = cell.get("metadata", {}).get("tags", [])
        if cell["cell_type"] == "code" and source.strip() and "skip-execution" not in tags:
            yield index, cell.get("id") or f"cell-{index}", source


class Ours:
    """One notebook in a session of the sidecar."""

    def __init__(self, window, binary, path, world):
        self.window, self.binary, self.path, self.world = window, binary, path, world
        asked = {"notebookUri": Path(path).as_uri(), "kernelName": "python3", "env": world.env}
        self.session = window.call("keeper/startSession", asked)["session"]["id"]
        window.call("keeper/subscribe", {"sessionId": self.session})

    def steer(self, method):
        """Without waiting for the answer, from another thread."""
        self.window.send({"id": f"{method}-{time.time()}", "method": method, "params": {"sessionId": self.session}})

    def run(self, index, cell_id, source):
        """Its seconds, or None where the kernel is gone."""
        begin = time.monotonic()
        limits = [threading.Timer(CELL, self.steer, ["keeper/interruptSession"]),
                  threading.Timer(CELL + GRACE, self.steer, ["keeper/stopSession"])]
        for limit in limits:
            limit.start()
        try:
            asked = {"sessionId": self.session, "code": source, "cell": {"id": cell_id, "index": index}}
            execution = self.window.call("keeper/execute", {**asked, "stopOnError": False})["executionId"]
            for event in self.window.events():
                if event["executionId"] != execution:
                    continue
                body = event["event"]
                if body["kind"] == "inputRequest":
                    answer = {"sessionId": self.session, "executionId": execution, "value": ""}
                    self.window.call("keeper/replyInput", answer)
                if body["kind"] == "finished":
                    return time.monotonic() - begin if body["status"] in ("ok", "error") else None
        except RuntimeError:
            return None
        finally:
            for limit in limits:
                limit.cancel()

    def save(self):
        """`kernel-keeper save`: what it says, and an error's words."""
        env = dict(os.environ, KERNEL_KEEPER_STATE_DIR=self.world.state)
        done = subprocess.run([self.binary, "save", "--json", self.path], capture_output=True, text=True, env=env)
        return (json.loads(done.stdout), None) if done.returncode == 0 else (None, done.stderr.strip())

    def end(self):
        try:
            self.window.call("keeper/stopSession", {"sessionId": self.session})
            self.window.call("keeper/unsubscribe", {"sessionId": self.session})
        except RuntimeError:
            pass
        self.window.notifications.clear()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def ours(window, binary, path, world, found):
    """What stands in the file after each cell was run and saved; what the saves changed beside goes to `found`."""
    before = read(path)
    cells = list(code_cells(path))
    if not cells:
        return {}, {}
    it = Ours(window, binary, path, world)
    seconds, begun, begin = {}, [], time.monotonic()
    try:
        for place, (index, cell_id, source) in enumerate(cells):
            if time.monotonic() - begin > NOTEBOOK:
                break
            begun.append(index)
            took = it.run(index, cell_id, source)
            if took is None:
                break
            seconds[index] = took
            if place == 0:
                said, error = it.save()
                check_save(before, path, [index], said, error, found, "one cell")
        said, error = it.save()
        check_save(before, path, begun, said, error, found, "all cells")
    finally:
        it.end()
    with open(path, encoding="utf-8-sig") as file:
        after = json.load(file)["cells"]
    return {index: after[index] for index in seconds}, seconds


def check_save(before, path, ran, said, error, found, when):
    if error:
        found.append((when, None, "save: refused", error, ""))
        return
    for skipped in said["skipped"]:
        found.append((when, skipped["cellId"], "save: skipped", skipped["reason"], ""))
    if (change := harm(before, read(path), ran)):
        found.append((when, None, *change))


def short(value, most=160):
    """A value in one line."""
    value = repr(value)[1:-1] if isinstance(value, str) else repr(value)
    return value if len(value) <= most else value[: most // 2] + " … " + value[-most // 2 :]


def apart(x, y):
    """Two long texts from where they part."""
    x, y = (v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in (x, y))
    at = next((i for i, (a, b) in enumerate(zip(x, y)) if a != b), 0)
    at = max(0, at - 30) if max(len(x), len(y)) > 160 else 0
    return x[at:], y[at:]


def compare(notebook, number, window, binary, world):
    """Rows of where one notebook differs, and how many cells were compared."""
    rows, found = [], []
    try:
        if not list(code_cells(notebook)):
            return [], 0, 0
        peer = by_nbclient(world.fresh(notebook, number), world)
        path = world.fresh(notebook, number)
        mine, seconds = ours(window, binary, path, world, found)
    except (KeyError, ValueError, StopIteration, RecursionError, RuntimeError) as error:
        return [("", None, "not run", f"{type(error).__name__}: {error}"[:200], "")], 0, 0
    rows += found
    if isinstance(peer, str):
        return [*rows, ("", None, "no peer", peer, "")], 0, len(mine)
    both = [index for index in mine if index in peer]
    late = [i for i in both if min(seconds[i], peer[i]["seconds"]) > CELL]
    compared = [index for index in both if index not in late]
    rows += [("", index, "time limit", f"{seconds[index]:.1f} s", f"{peer[index]['seconds']:.1f} s") for index in late]
    differ = {index: found for index in compared if (found := differences(mine[index], peer[index]))}
    if differ:
        again = by_nbclient(world.fresh(notebook, number), world)
        for index, cell in differ.items():
            chance = isinstance(again, dict) and index in again and differences(again[index], peer[index])
            rows += [("chance" if chance else "DIFFERS", index, kind, *apart(x, y)) for kind, x, y in cell]
    if len(mine) != len(peer):
        rows.append(("", None, "cells run", len(mine), len(peer)))
    return rows, len(compared), len(mine)


def main(binary, folder, words):
    world = World()
    notebooks = sorted(str(path) for path in Path(folder).rglob("*.ipynb"))
    notebooks = [path for path in notebooks if not words or any(word in path for word in words)]
    kinds, counted, alike = Counter(), 0, 0
    window = Sidecar(binary, world.state, world.top)
    for number, notebook in enumerate(notebooks):
        begin = time.monotonic()
        rows, compared, ran = compare(notebook, number, window, binary, world)
        counted += compared
        alike += compared - len({row[1] for row in rows if row[0] in ("chance", "DIFFERS")})
        name = os.path.relpath(notebook, folder)
        print(f"# {name}: {compared} of {ran} cells compared, {time.monotonic() - begin:.1f} s", flush=True)
        for when, index, kind, x, y in rows:
            kinds[f"{when} {kind}".strip()] += 1
            print("\t".join([name, str(index), when, kind, *map(short, (x, y))]), flush=True)
        shutil.rmtree(os.path.join(world.top, f"w{number:03}"), ignore_errors=True)
    print(f"\n{len(notebooks)} notebooks, {counted} cells compared, {alike} alike")
    for kind, count in kinds.most_common():
        print(f"{count}\t{kind}")
    window.call("keeper/stopAllSessions", {})
    window.close()
    shutil.rmtree(world.top, ignore_errors=True)


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:])
