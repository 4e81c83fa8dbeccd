"""A plain, synchronous client of the sidecar: what it costs is small and the same as in the peers' clients."""

import json
import os
import subprocess
import time


class Sidecar:
    def __init__(self, binary, state, folder, log=os.devnull):
        env = dict(os.environ, KERNEL_KEEPER_STATE_DIR=state)
        env.pop("KERNEL_KEEPER_RUNTIME_DIR", None)
        with open(log, "w") as errors:
            self.process = subprocess.Popen(
                [binary, "lsp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=env
            )
        self.file = self.process.stdout
        self.last = 0
        self.notifications = []
        folders = [{"uri": "file://" + folder, "name": "bench"}]
        self.call("initialize", {"processId": None, "rootUri": None, "capabilities": {}, "workspaceFolders": folders})
        self.send({"method": "initialized", "params": {}})

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def read(self):
        length = 0
        while True:
            line = self.file.readline().strip()
            if not line:
                break
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return json.loads(self.file.read(length))

    def call(self, method, params):
        self.last += 1
        self.send({"id": self.last, "method": method, "params": params})
        while True:
            message = self.read()
            if message.get("id") == self.last and "method" not in message:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.notifications.append(message)

    def events(self):
        """Execution events, those that came before an answer first."""
        while True:
            message = self.notifications.pop(0) if self.notifications else self.read()
            if message.get("method") == "keeper/executionEvent":
                yield message["params"]

    def run(self, session, code, cell=None):
        """Runs code to its end; seconds from the request to the event `finished`."""
        begin = time.perf_counter()
        asked = {"sessionId": session, "code": code, "cell": cell}
        execution = self.call("keeper/execute", asked)["executionId"]
        for event in self.events():
            if event["executionId"] == execution and event["event"]["kind"] == "finished":
                return time.perf_counter() - begin

    def close(self):
        self.process.stdin.close()
        self.process.wait()
