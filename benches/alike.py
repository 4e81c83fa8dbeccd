"""What may differ between two runs of the same code, and what may not: outputs as they are compared, and files byte by byte."""

import json
import re

# What differs from run to run, whoever runs it: addresses, times, temporary names, random names, process ids.
CHANCE = [
    (re.compile(r"0x[0-9a-fA-F]{4,}|\bat 7[0-9a-f]{11}\b"), "0xADDRESS"),
    (re.compile(r"\b[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"ipykernel_\d+/\d+"), "ipykernel_N/N"),
    (re.compile(r"/tmp/[\w./-]+"), "/tmp/NAME"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?"), "TIME"),
    (re.compile(r"\b\d\d:\d\d:\d\d(\.\d+)?\b"), "TIME"),
    (re.compile(r"\d[\d,]*(\.\d*)?(?<!,)(e[-+]\d+)? ?(ns|µs|us|μs|ms|s|sec|seconds|min)\b"), "DURATION"),
    (re.compile(r"(each|runs?, )\W*[\d,]+ loops?"), "LOOPS"),
    (re.compile(r"[\d,]+ loops?"), "LOOPS"),
    (re.compile(r"\bTask-\d+"), "TASK"),
    (re.compile(r"\b(pid|PID|Process)\W{1,3}\d+"), "PID"),
    (re.compile(r"function calls .*|\d+ function calls.*"), "CALLS"),
]


def text(value):
    return "".join(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value


def typed(pieces):
    """Stream text as it stands in a cell once `\\r`, `\\b` and `ESC[K` are carried out, as a terminal does."""
    lines = []
    for line in "".join(pieces).split("\n"):
        shown, at = [], 0
        for part in re.split("([\r\b]|\x1b\\[[012]?K)", line):
            if part == "\r":
                at = 0
            elif part.startswith("\x1b"):
                before, after = part[2] in "12", part[2] in "0K2"
                shown = [" "] * at if before else shown[:at]
                shown += [] if after else shown[at:]
            elif part == "\b":
                if at > 0 and at == len(shown):
                    shown.pop()
                at = max(0, at - 1)
            else:
                shown[at : at + len(part)] = part
                at += len(part)
        lines.append("".join(shown))
    return "\n".join(lines)


def plain(value):
    """A value without what is chance."""
    if isinstance(value, str):
        for pattern, word in CHANCE:
            value = pattern.sub(word, value)
        return value
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def standing(outputs):
    """A cell's outputs in one form: text as one string, streams that follow each other joined."""
    whole = []
    for output in outputs:
        output = {key: value for key, value in output.items() if key != "transient"}
        if output["output_type"] == "stream":
            output["text"] = text(output["text"])
            if whole and whole[-1]["output_type"] == "stream" and whole[-1]["name"] == output["name"]:
                whole[-1]["text"] += output["text"]
                continue
        if isinstance(output.get("data"), dict):
            output["data"] = {mime: text(value) for mime, value in output["data"].items()}
        whole.append(output)
    for output in whole:
        if output["output_type"] == "stream":
            output["text"] = typed([output["text"]])
    return [output for output in whole if output.get("text") != ""]


def differences(ours, peer):
    """Pairs of a kind and both values, of one cell: `{outputs, execution_count}` each."""
    found = []
    if ours["execution_count"] != peer["execution_count"]:
        found.append(("execution count", ours["execution_count"], peer["execution_count"]))
    a, b = plain(standing(ours["outputs"])), plain(standing(peer["outputs"]))
    if a == b:
        return found
    key = lambda output: json.dumps(output, sort_keys=True)  # noqa: E731
    streams = lambda outputs, name: "".join(o["text"] for o in outputs if o.get("name") == name)  # noqa: E731
    others = lambda outputs: [o for o in outputs if o["output_type"] != "stream"]  # noqa: E731
    if others(a) == others(b) and all(streams(a, n) == streams(b, n) for n in ("stdout", "stderr")):
        found.append(("order of streams", [o["output_type"] for o in a], [o["output_type"] for o in b]))
    elif sorted(map(key, a)) == sorted(map(key, b)):
        found.append(("order of outputs", [o["output_type"] for o in a], [o["output_type"] for o in b]))
    elif len(a) != len(b):
        kind = "more outputs" if len(a) > len(b) else "fewer outputs"
        rest = [o for o in a if o not in b], [o for o in b if o not in a]
        found.append((kind, *rest))
    else:
        for x, y in zip(a, b):
            found.extend(parts(x, y))
    return found


def parts(x, y):
    """Where two outputs differ."""
    if x["output_type"] != y["output_type"]:
        yield "type of output", x, y
        return
    for field in sorted({*x, *y} - {"data"}):
        if x.get(field) != y.get(field):
            yield f"{x['output_type']}: {field}", x.get(field), y.get(field)
    data = x.get("data") or {}, y.get("data") or {}
    for mime in sorted({*data[0], *data[1]}):
        if data[0].get(mime) != data[1].get(mime):
            yield f"{x['output_type']}: {mime}", data[0].get(mime), data[1].get(mime)


TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+', re.S)


def spans(raw):
    """Where `outputs` and `execution_count` of each cell lie in a notebook's bytes: the key's begin, the value's begin and end."""
    tokens = [(m.start(), m.end(), m.group()) for m in TOKEN.finditer(raw)]

    def skip(at):
        """The token after the value that begins at `at`."""
        depth = 0
        while True:
            token = tokens[at][2]
            depth += (token in (b"[", b"{")) - (token in (b"]", b"}"))
            at += 1
            if depth == 0:
                return at

    def members(at):
        """Key and place of the value, of the object that begins at `at`."""
        at += 1
        while tokens[at][2] != b"}":
            key, value = json.loads(tokens[at][2]), at + 2
            at = skip(value)
            yield key, value, at
            at += tokens[at][2] == b","

    cells = []
    start = next(i for i, token in enumerate(tokens) if token[2] == b"{")
    for key, value, _ in members(start):
        if key != "cells":
            continue
        at = value + 1
        while tokens[at][2] != b"]":
            found = {name: (tokens[begin - 2][0], tokens[begin][0], tokens[end - 1][1]) for name, begin, end in members(at)
                     if name in ("outputs", "execution_count")}
            cells.append(found)
            at = skip(at)
            at += tokens[at][2] == b","
    return cells


def without(raw, indices, added):
    """A notebook's bytes with a mark in the place of what running these cells may change. What is `added` to a cell that lacked
    it, as `{(index, name)}`, is cut out with its comma."""
    places = spans(raw) if indices else []
    cut = []
    for index in indices:
        for name, (key, begin, end) in places[index].items():
            if (index, name) in added:
                before = raw[:key].rstrip()
                begin = len(before) - before.endswith(b",")
                if not before.endswith(b","):
                    end = raw.index(b",", end) + 1
            cut.append((begin, end, b"" if (index, name) in added else b"<run>"))
    pieces, at = [], 0
    for begin, end, mark in sorted(cut):
        pieces += [raw[at:begin], mark]
        at = end
    return b"".join([*pieces, raw[at:]])


def harm(before, after, ran):
    """What a save changed beside the outputs and counts of the cells that ran, or in those that are as they were: a kind and
    both surroundings, or None."""
    had, has = (spans(raw) if ran else [] for raw in (before, after))
    added = {(index, name) for index in ran if len(has) == len(had) for name in has[index] if name not in had[index]}
    a, b = without(before, ran, ()), without(after, ran, added)
    if a == b:
        return written_anew(before, after, ran)
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    around = a[max(0, at - 20) : at + 40], b[max(0, at - 20) : at + 40]
    tokens = [m.group() for m in TOKEN.finditer(a)], [m.group() for m in TOKEN.finditer(b)]
    if tokens[0] == tokens[1]:
        return ("bytes: white space", *around)
    x, y = next(((x, y) for x, y in zip(*tokens) if x != y), (b"", b""))
    kind = "bytes: another value"
    try:
        if x[:1] == y[:1] == b'"' and json.loads(x) == json.loads(y):
            kind = "bytes: escapes"
        elif x[:1] != b'"' and isinstance(float(x) + float(y), float):
            kind = "bytes: numbers"
    except ValueError:
        pass
    if len(tokens[0]) == len(tokens[1]) and sorted(tokens[0]) == sorted(tokens[1]):
        kind = "bytes: order of keys"
    return (kind, x[:80] + b" in " + around[0], y[:80] + b" in " + around[1])


def written_anew(before, after, ran):
    """Outputs that are equal, yet written in another way: such a file would show a change where there is none."""
    had, has = (spans(raw) if ran else [] for raw in (before, after))
    for index in ran:
        for name in {*had[index]} & {*has[index]}:
            places = (before, had[index][name]), (after, has[index][name])
            x, y = (raw[begin:end] for raw, (_, begin, end) in places)
            if x != y and json.loads(x) == json.loads(y):
                return "bytes: equal outputs written anew", x[:120], y[:120]
    return None
