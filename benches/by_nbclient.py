"""Runs one notebook by nbclient, cell by cell, and writes what came of it: the peer's side of `compare.py`.

A program of its own, because nbclient cannot be stopped where a kernel hears no interrupt.
"""

import asyncio
import json
import queue
import sys
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError


class Answering(NotebookClient):
    """nbclient, but `input()` gets an empty line, as it does from `compare.py` on the other side."""

    async def async_start_new_kernel_client(self):
        client = await super().async_start_new_kernel_client()
        client.allow_stdin = True
        self.answering = asyncio.ensure_future(self.answer(client))
        return client

    async def answer(self, client):
        while client.channels_running:
            try:
                message = await client.get_stdin_msg(timeout=1)
            except queue.Empty:
                continue
            if message["msg_type"] == "input_request":
                client.input("")



async def run(path, folder, cell_limit, limit):
    notebook = nbformat.read(path, as_version=4)
    client = Answering(
        notebook, kernel_name="python3", allow_errors=True, timeout=cell_limit, interrupt_on_timeout=True,
        resources={"metadata": {"path": folder}},
    )
    ran, end = {}, None
    begin = time.monotonic()
    async with client.async_setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code" or not cell.source.strip() or "skip-execution" in cell.metadata.get("tags", []):
                continue
            if time.monotonic() - begin > limit:
                end = "time limit"
                break
            at = time.monotonic()
            try:
                await client.async_execute_cell(cell, index)
            except DeadKernelError:
                end = "kernel died"
                break
            ran[index] = time.monotonic() - at
        client.answering.cancel()
    outputs = {index: {"outputs": notebook.cells[index].outputs,
                       "execution_count": notebook.cells[index].execution_count, "seconds": seconds}
               for index, seconds in ran.items()}
    return {"cells": outputs, "end": end}


if __name__ == "__main__":
    _, path, folder, result, cell_limit, limit = sys.argv
    came = asyncio.run(run(path, folder, int(cell_limit), int(limit)))
    with open(result, "w") as file:
        json.dump(came, file)
