"""What Kernel Keeper costs, beside jupyter_client alone and jupyter_server, in one run on one kernel build.

`npm run bench` runs it. Ratios count; absolute times are of the machine. Each figure is the median of several runs, and
ours and the peers' take turns.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid

import websocket
from jupyter_client import KernelManager

import conversations
import many
import renames
from sidecar import Sidecar

BINARY = os.environ["KERNEL_KEEPER_BINARY"]
FLOOD = "for i in range(50_000):\n    print('x' * 999)"
FLOOD_BYTES = 50_000 * 1000


def median(values):
    return statistics.median(values)


def pss(pid):
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024


class Direct:
    """jupyter_client, alone."""

    def __init__(self):
        begin = time.perf_counter()
        self.manager = KernelManager(kernel_name="python3", transport="ipc")
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.started = time.perf_counter() - begin

    def run(self, code):
        begin = time.perf_counter()
        request = self.client.execute(code)
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != request or message["msg_type"] != "status":
                continue
            if message["content"]["execution_state"] == "idle":
                return time.perf_counter() - begin

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


class Server:
    """jupyter_server's websocket, its rate limit off."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", "--no-browser", "--ServerApp.port=0", "--ServerApp.ip=127.0.0.1"]
            + ["--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", "--allow-root"]
            + ["--ZMQChannelsWebsocketConnection.limit_rate=False", f"--ServerApp.root_dir={folder}"]
            + [f"--ServerApp.info_file={folder}/server.json", f"--ServerApp.runtime_dir={folder}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, JUPYTER_RUNTIME_DIR=folder),
        )
        deadline = time.time() + 60
        while time.time() < deadline:
            found = [name for name in os.listdir(folder) if name.startswith("jpserver") and name.endswith(".json")]
            if found:
                try:
                    self.url = json.load(open(os.path.join(folder, found[0])))["url"]
                    urllib.request.urlopen(self.url + "api/status").read()
                    break
                except (OSError, ValueError):
                    pass
            time.sleep(0.05)
        else:
            raise RuntimeError("jupyter_server did not start")
        request = urllib.request.Request(self.url + "api/kernels", data=b'{"name": "python3"}', method="POST")
        self.kernel = json.load(urllib.request.urlopen(request))["id"]
        where = self.url.replace("http", "ws", 1) + f"api/kernels/{self.kernel}/channels?session_id={uuid.uuid4().hex}"
        self.socket = websocket.create_connection(where, timeout=120)

    def run(self, code):
        begin = time.perf_counter()
        request = uuid.uuid4().hex
        header = {"msg_id": request, "msg_type": "execute_request", "username": "", "session": "b", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.socket.send(json.dumps(message))
        while True:
            got = json.loads(self.socket.recv())
            if got["parent_header"].get("msg_id") != request or got["msg_type"] != "status":
                continue
            if got["content"]["execution_state"] == "idle":
                return time.perf_counter() - begin

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait()


def notebook(folder, name):
    path = os.path.join(folder, name)
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    json.dump({"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, open(path, "w"))
    return "file://" + path


def grow(state, known):
    """Copies the smallest ended session until so many are known, and lets the registry be rebuilt from the folders."""
    folder = os.path.join(state, "sessions")
    records = {name: json.load(open(os.path.join(folder, name, "session.json"))) for name in os.listdir(folder)}
    size = lambda name: sum(os.path.getsize(os.path.join(at, one)) for at, _, all in os.walk(os.path.join(folder, name)) for one in all)
    old = min((name for name, record in records.items() if record.get("endedAt")), key=size)
    record = records[old]
    for number in range(known - len(records)):
        name = f"0000{number:04d}"
        shutil.copytree(os.path.join(folder, old), os.path.join(folder, name))
        json.dump({**record, "id": name}, open(os.path.join(folder, name, "session.json"), "w"))
    for name in os.listdir(state):
        if name.startswith("registry.db"):
            os.remove(os.path.join(state, name))


def main():
    top = tempfile.mkdtemp(prefix="kk-bench-")
    state, folder = os.path.join(top, "state"), os.path.join(top, "notebooks")
    os.mkdir(folder)
    rows = []

    def row(what, ours, direct=None, server=None, unit="ms", aim=""):
        scale = 1000 if unit == "ms" else 1
        cells = [f"{value * scale:.2f} {unit}" if value is not None else "–" for value in (ours, direct, server)]
        ratio = f"{ours / direct:.2f} ×" if direct else "–"
        rows.append((what, *cells, ratio, aim))
        print("…", *rows[-1], flush=True)

    try:
        starts = []
        for _ in range(20):
            begin = time.perf_counter()
            sidecar = Sidecar(BINARY, state, folder)
            starts.append(time.perf_counter() - begin)
            sidecar.close()
        row("sidecar start to `initialize` answered", median(starts), aim="≤ 10 ms")

        sidecar = Sidecar(BINARY, state, folder)
        ours, direct = [], []
        for number in range(7):
            asked = {"notebookUri": notebook(folder, f"start{number}.ipynb"), "kernelName": "python3"}
            begin = time.perf_counter()
            session = sidecar.call("keeper/startSession", asked)["session"]
            ours.append(time.perf_counter() - begin)
            sidecar.call("keeper/stopSession", {"sessionId": session["id"]})
            peer = Direct()
            direct.append(peer.started)
            peer.close()
        row("start of a session", median(ours), median(direct), aim="≤ 1.05 ×")

        asked = {"notebookUri": notebook(folder, "work.ipynb"), "kernelName": "python3"}
        session = sidecar.call("keeper/startSession", asked)["session"]
        key = session["id"]
        sidecar.call("keeper/subscribe", {"sessionId": key})
        sidecar.run(key, "1+1")
        sidecar.close()
        time.sleep(5)
        row("keeper, idle, no editor open: PSS", pss(session["keeperPid"]), unit="MB", aim="≤ 6 MB")
        sidecar = Sidecar(BINARY, state, folder)
        sidecar.call("keeper/subscribe", {"sessionId": key})
        peer, server = Direct(), Server(tempfile.mkdtemp(dir=top))
        everyone = [lambda code: sidecar.run(key, code), peer.run, server.run]
        for run in everyone:
            for _ in range(10):
                run("1+1")
        times = [[run("1+1") for run in everyone] for _ in range(150)]
        row("execute `1+1`, request to idle", *map(median, zip(*times)), aim="≤ 1.05 ×")

        time.sleep(3)
        row("keeper, idle, an editor open: PSS", pss(session["keeperPid"]), unit="MB", aim="≤ 6 MB")
        row("sidecar, idle: PSS", pss(sidecar.process.pid), unit="MB")

        everyone[0] = lambda code: sidecar.run(key, code, {"id": "flood", "index": 0})
        times = [[run(FLOOD) for run in everyone] for _ in range(5)]
        row("50 MB of stdout as 50k lines", *map(median, zip(*times)), aim="≤ 1.1 ×")
        time.sleep(3)
        row("keeper after five of these: PSS", pss(session["keeperPid"]), unit="MB", aim="≤ 64 MB")
        row("sidecar after five of these: PSS", pss(sidecar.process.pid), unit="MB", aim="≤ 64 MB")
        peer.close()
        server.close()

        first, whole = [], []
        for _ in range(3):
            other = Sidecar(BINARY, state, folder)
            last = other.call("keeper/executionHistory", {"sessionId": key, "limit": 1})["executions"][0]
            begin = time.perf_counter()
            other.call("keeper/subscribe", {"sessionId": key, "afterSeq": 0})
            begun, size = None, 0
            for event in other.events():
                body = event["event"]
                if event["executionId"] != last["executionId"]:
                    begin = time.perf_counter()
                    continue
                begun = begun or time.perf_counter() - begin
                if body["kind"] == "output":
                    size += len(body["output"].get("text", ""))
                if body["kind"] == "finished":
                    break
            assert size == FLOOD_BYTES, f"{size} bytes were replayed"
            first.append(begun)
            whole.append(time.perf_counter() - begin)
            other.close()
        row("replay of 50 MB, all events", median(whole))
        cells = []
        for _ in range(5):
            begin = time.perf_counter()
            sidecar.call("keeper/cellOutputs", {"sessionId": key, "maxBytesPerCell": 1 << 20})
            cells.append(time.perf_counter() - begin)
        row("replay of 50 MB, its cell as it stands (1 MiB of it)", median(cells))
        sidecar.call("keeper/stopAllSessions", {})

        for known, alive in ((1, 1), (10, 10), (1000, 10)):
            if known == 1000:
                sidecar.close()
                grow(state, known - alive)
                sidecar = Sidecar(BINARY, state, folder)
            running = [s for s in sidecar.call("keeper/listSessions", {})["sessions"]]
            for number in range(alive - len(running)):
                asked = {"notebookUri": notebook(folder, f"list{known}-{number}.ipynb"), "kernelName": "python3"}
                sidecar.call("keeper/startSession", asked)
            times = []
            for _ in range(200):
                begin = time.perf_counter()
                listed = sidecar.call("keeper/listSessions", {})["sessions"]
                times.append(time.perf_counter() - begin)
            assert len(listed) == alive
            row(f"listSessions, {known} known, {alive} alive", median(times), aim="≤ 1 ms")
        sidecar.call("keeper/stopAllSessions", {})
        sidecar.close()
        shutil.rmtree(renames.bench(BINARY, row, pss))
        shutil.rmtree(many.bench(BINARY, row))
        shutil.rmtree(conversations.bench(BINARY, row))
    finally:
        subprocess.run([BINARY, "stop", "--all"], env=dict(os.environ, KERNEL_KEEPER_STATE_DIR=state), check=False)
        shutil.rmtree(top, ignore_errors=True)

    header = ("what (median)", "Kernel Keeper", "jupyter_client", "jupyter_server", "ratio to jupyter_client", "aim")
    print("\n| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for cells in rows:
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
