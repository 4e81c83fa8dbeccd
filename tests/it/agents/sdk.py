"""The official SDK of the Model Context Protocol as the client of `kernel-keeper mcp`: SCENARIO PROGRAM NOTEBOOK."""

import asyncio
import json
import os
import sys
import warnings

from mcp import Client, MCPError, StdioServerParameters, stdio_client

SCENARIO, PROGRAM, NOTEBOOK = sys.argv[1:4]
FOLDER = os.path.dirname(NOTEBOOK)
READ_ONLY = {
    "find_active_session",
    "list_all_sessions",
    "get_execution_history",
    "get_outputs",
    "list_variables",
    "inspect_variable",
    "get_conversation",
    "conversation_info",
    "list_conversations",
    "export_conversation",
    "session_health",
}
DESTRUCTIVE = {"execute_code", "interrupt_session", "restart_session", "stop_session", "clear_conversation"}
ADDS = {"attach_session", "start_session", "append_turn", "branch_conversation", "reconnect_session"}


def connect(mode, **more):
    server = StdioServerParameters(command=PROGRAM, args=["mcp"], env=dict(os.environ))
    return Client(stdio_client(server), mode=mode, **more)


async def good(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, (tool, arguments, result)
    return result.structured_content


async def bad(client, tool, kind, **arguments):
    result = await client.call_tool(tool, arguments)
    assert result.is_error, (tool, arguments, result)
    said = result.structured_content
    assert said["kind"] == kind and said["error"], (tool, arguments, said)
    return said


async def until(client, status):
    while (await good(client, "find_active_session", notebook_path=NOTEBOOK))["status"] != status:
        await asyncio.sleep(0.01)


async def tools(mode):
    async with connect(mode) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(listed) == READ_ONLY | DESTRUCTIVE | ADDS, set(listed)
        for name, tool in listed.items():
            assert tool.title and tool.description and len(tool.description) > 20, tool
            assert tool.input_schema["type"] == "object", tool
            for field in tool.input_schema.get("properties", {}).values():
                assert field.get("description"), (name, field)
            hints = tool.annotations
            assert hints.read_only_hint == (name in READ_ONLY), name
            assert hints.destructive_hint == (name in DESTRUCTIVE), name
            assert hints.open_world_hint == (name in {"execute_code", "start_session", "restart_session"}), name
        here, absent = dict(notebook_path=NOTEBOOK), os.path.join(FOLDER, "absent.ipynb")

        # Before there is a kernel.
        assert (await good(client, "find_active_session", **here))["found"] is False
        assert await good(client, "list_all_sessions") == {"result": []}
        assert await good(client, "get_execution_history", **here) == {"result": []}
        for tool in ["execute_code", "list_variables", "inspect_variable", "get_outputs", "stop_session"]:
            more = {"execute_code": {"code": "1"}, "inspect_variable": {"name": "x"}}.get(tool, {})
            said = await bad(client, tool, "SessionEnded", **here, **more)
            assert "start_session" in said["error"], said
        await bad(client, "start_session", "KernelspecNotFound", **here, kernel_name="none")

        # Ill-formed input names its field.
        for tool in ["find_active_session", "get_execution_history", "start_session"]:
            assert "notebook_path" in (await bad(client, tool, "InvalidParams"))["error"]
            for wrong in ["relative.ipynb", "", "/tmp/x.txt", 5]:
                said = await bad(client, tool, "InvalidParams", notebook_path=wrong)
                assert "notebook_path" in said["error"], said
        for tool in ["list_variables", "interrupt_session", "restart_session", "stop_session", "get_outputs"]:
            await bad(client, tool, "InvalidParams")
            await bad(client, tool, "InvalidParams", notebook_path=NOTEBOOK, session_id="x")
            await bad(client, tool, "SessionNotFound", session_id="none")
        await bad(client, "list_all_sessions", "InvalidParams", include_ended="perhaps")
        await bad(client, "get_execution_history", "InvalidParams", **here, limit=0)
        await bad(client, "attach_session", "InvalidParams", target_notebook_path=absent)
        await bad(client, "attach_session", "InvalidParams", target_notebook_path=absent, source_pid="x")

        # A kernel, and each tool with what it is for.
        started = await good(client, "start_session", **here)
        session = started["session_id"]
        await bad(client, "start_session", "NotebookHasSession", **here)
        await bad(client, "execute_code", "InvalidParams", **here)
        await bad(client, "execute_code", "InvalidParams", **here, code="1", timeout_s=-1)
        await bad(client, "execute_code", "InvalidParams", **here, code="1", cell_id="none")
        result = await client.call_tool("execute_code", {**here, "code": "x = 41\nprint(x)"})
        assert [block.text for block in result.content] == ["41\n"], result
        assert (await good(client, "execute_code", **here, code="x = 41"))["cell_index"] == 0
        failed = await client.call_tool("execute_code", {**here, "code": "1 / 0"})
        assert failed.is_error and "ZeroDivisionError" in failed.content[0].text, failed
        assert "\x1b" not in failed.content[0].text
        image = await client.call_tool("execute_code", {**here, "code": PLOT})
        kinds = [block.type for block in image.content]
        assert "image" in kinds, image
        assert next(b for b in image.content if b.type == "image").mime_type == "image/png"
        long = await client.call_tool("execute_code", {**here, "code": "print('a' * 50_000 + 'end')"})
        assert [block.type for block in long.content] == ["text", "text", "resource_link"], long
        assert len(long.content[0].text) < 25_000 and "left out" in long.content[0].text
        whole = await client.read_resource(long.content[2].uri)
        assert "a" * 50_000 + "end" in whole.contents[0].text
        silent = await client.call_tool("execute_code", {**here, "code": "y = 1"})
        assert "nothing" in silent.content[0].text
        asks = await client.call_tool("execute_code", {**here, "code": "input('Name? ')", "timeout_s": 20})
        assert "Name?" in asks.content[0].text + asks.content[-1].text, asks
        await good(client, "interrupt_session", session_id=session)
        await until(client, "idle")
        history = (await good(client, "get_execution_history", **here, limit=3))["result"]
        assert len(history) == 3 and history[0]["code"].startswith("input"), history
        assert all(entry["origin"] == "mcp" for entry in history)
        names = [v["name"] for v in (await good(client, "list_variables", **here))["variables"]]
        assert {"x", "y"} <= set(names), names
        assert (await good(client, "inspect_variable", **here, name="x"))["found"] is True
        assert (await good(client, "inspect_variable", **here, name="no_such"))["found"] is False
        outputs = await client.call_tool("get_outputs", {**here})
        assert outputs.content[0].text.startswith("cell 0"), outputs
        await bad(client, "get_outputs", "SessionNotFound", **here, execution_id="none")
        await bad(client, "get_outputs", "InvalidParams", **here, cell_index=77)
        running = await client.call_tool(
            "execute_code", {**here, "code": "import time; time.sleep(6)", "timeout_s": 0.2}
        )
        assert running.structured_content["status"] == "running" and "still runs" in running.content[-1].text
        busy = await good(client, "inspect_variable", **here, name="x")
        assert busy["found"] is False and "busy" in busy["note"], busy
        assert "busy" in (await good(client, "list_variables", **here))["note"]
        restarted = await good(client, "restart_session", **here)
        assert restarted["pid"] != started["pid"] and restarted["session_id"] == session
        health = await good(client, "session_health")
        assert health["sessions"]["total"] == 1, health
        await bad(client, "reconnect_session", "TokenRejected", session_id=session, token="none")
        await bad(client, "reconnect_session", "SessionNotFound", session_id="none", token="none")

        # Conversations.
        said = dict(conversation_id="c 1", role="user")
        await bad(client, "append_turn", "InvalidParams", **said, content="to nobody")
        await bad(client, "append_turn", "InvalidParams", conversation_id="c 1", role="boss", content="x", **here)
        assert (await good(client, "append_turn", **said, content="What is x?", **here))["turn_count"] == 1
        await good(client, "append_turn", conversation_id="c 1", role="assistant", content="41, a ```number```")
        kept = await good(client, "get_conversation", conversation_id="c 1", max_turns=1)
        assert kept["turn_count"] == 2 and kept["history"][0]["role"] == "assistant", kept
        await bad(client, "get_conversation", "NotFound", conversation_id="none")
        await bad(client, "get_conversation", "InvalidParams", conversation_id="c 1", max_turns=0)
        await good(client, "execute_code", **here, code="z = 3")
        info = await good(client, "conversation_info", conversation_id="c 1")
        assert info["notebook_path"] == NOTEBOOK and info["session_id"] == session, info
        assert [v["name"] for v in info["variables"]] == ["z"], info
        await bad(client, "conversation_info", "NotFound", conversation_id="none")
        listed = (await good(client, "list_conversations", **here))["result"]
        assert [c["conversation_id"] for c in listed] == ["c 1"], listed
        assert (await good(client, "list_conversations", notebook_path=absent))["result"] == []
        branch = await good(client, "branch_conversation", conversation_id="c 1", at_turn=1)
        assert (await good(client, "get_conversation", **branch))["turn_count"] == 1
        await bad(client, "branch_conversation", "InvalidParams", conversation_id="c 1", at_turn=3)
        await bad(client, "branch_conversation", "NotFound", conversation_id="none", at_turn=1)
        exported = await good(client, "export_conversation", conversation_id="c 1")
        assert "What is x?" in exported["markdown"] and "What is x?" in exported["json"], exported
        await bad(client, "export_conversation", "NotFound", conversation_id="none")
        assert await good(client, "clear_conversation", conversation_id="c 1") == {"cleared": True}
        assert await good(client, "clear_conversation", conversation_id="c 1") == {"cleared": False}
        await bad(client, "append_turn", "InvalidParams", conversation_id="", role="user", content="x", **here)

        # Its end; and what is no tool at all.
        assert (await good(client, "stop_session", session_id=session))["status"] == "ended"
        assert (await good(client, "list_all_sessions"))["result"] == []
        assert len((await good(client, "list_all_sessions", include_ended=True))["result"]) == 1
        assert (await client.call_tool("get_outputs", {**here})).is_error is False
        try:
            await client.call_tool("no_such_tool", {})
        except MCPError as e:
            assert "no_such_tool" in str(e)
        else:
            raise AssertionError("an unknown tool was called")


PLOT = """
import base64
from IPython.display import display
image = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg==')
display({'image/png': image, 'text/plain': 'a dot'}, raw=True)
"""


async def many():
    async with connect("legacy") as client:
        here = dict(notebook_path=NOTEBOOK)
        await good(client, "start_session", **here)
        await good(client, "execute_code", **here, code="seen = []")
        calls = []
        for number in range(100):
            match number % 4:
                case 0 | 1:
                    code = f"seen.append({number}); print({number})"
                    calls.append(client.call_tool("execute_code", {**here, "code": code}))
                case 2:
                    calls.append(client.call_tool("get_execution_history", {**here, "limit": 5}))
                case 3:
                    calls.append(client.call_tool("list_all_sessions", {}))
        results = await asyncio.gather(*calls)
        assert not any(result.is_error for result in results)
        for number in (n for n in range(100) if n % 4 < 2):
            assert results[number].content[0].text == f"{number}\n", results[number]
        last = await client.call_tool("execute_code", {**here, "code": "print(len(seen))"})
        assert last.content[0].text == "50\n"
        # A cancelled call interrupts what it started, and its neighbours end well.
        slow = asyncio.ensure_future(client.call_tool("execute_code", {**here, "code": "import time; time.sleep(60)"}))
        await until(client, "busy")
        behind = asyncio.ensure_future(client.call_tool("execute_code", {**here, "code": "print('behind')"}))
        slow.cancel()
        result = await asyncio.wait_for(behind, 30)
        assert result.content[0].text == "behind\n", result
        await good(client, "stop_session", **here)


async def resources():
    here = dict(notebook_path=NOTEBOOK)
    updated = asyncio.Queue()

    async def hear(message):
        if getattr(message, "method", "") == "notifications/resources/updated":
            await updated.put(str(message.params.uri))

    async def heard(uri):
        while await asyncio.wait_for(updated.get(), 20) != uri:
            pass

    async with connect("legacy", message_handler=hear) as client:
        assert [str(r.uri) for r in (await client.list_resources()).resources] == ["kernel://sessions"]
        await client.subscribe_resource("kernel://sessions")
        session = (await good(client, "start_session", **here))["session_id"]
        await heard("kernel://sessions")
        history = f"kernel://sessions/{session}/history"
        assert history in [str(r.uri) for r in (await client.list_resources()).resources]
        await client.subscribe_resource(history)
        ran = await good(client, "execute_code", **here, code="print('seen')")
        await heard(history)
        outputs = f"kernel://sessions/{session}/outputs/{ran['execution_id']}"
        read = json.loads((await client.read_resource(outputs)).contents[0].text)
        assert read["outputs"][0]["text"] == "seen\n" and read["execution"]["origin"] == "mcp", read
        read = json.loads((await client.read_resource(history)).contents[0].text)
        assert read["executions"][0]["code"] == "print('seen')"
        read = json.loads((await client.read_resource("kernel://sessions")).contents[0].text)
        assert read["sessions"][0]["id"] == session
        for wrong in ["kernel://none", "kernel://sessions/none/history", outputs + "x"]:
            try:
                await client.read_resource(wrong)
            except MCPError as e:
                assert str(e), wrong
            else:
                raise AssertionError(wrong)
        await client.unsubscribe_resource(history)
    async with connect("auto") as client:
        assert client.protocol_version >= "2026-07-28"
        slow = await client.call_tool(
            "execute_code",
            {**here, "code": "import time\nfor i in range(200): print(i, flush=True); time.sleep(0.02)", "timeout_s": 0},
        )
        outputs = f"kernel://sessions/{session}/outputs/{slow.structured_content['execution_id']}"
        async with client.listen(resource_subscriptions=[outputs], resources_list_changed=True) as events:
            event = await asyncio.wait_for(anext(aiter(events)), 20)
            assert str(event.uri) == outputs, event
        await good(client, "stop_session", **here)


async def main():
    match SCENARIO:
        case "legacy" | "auto":
            await tools(SCENARIO)
        case "many":
            await many()
        case "resources":
            await resources()


warnings.simplefilter("ignore")
asyncio.run(main())
