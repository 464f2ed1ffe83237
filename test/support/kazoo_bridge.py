"""Lets the tests drive kazoo: one JSON object per line in, one per line out. Ends when standard input ends."""
import base64
import importlib.util
import json
import os
import sys
import threading
import traceback

from kazoo.client import KazooClient

clients = {}
scope = {"clients": clients}
output = threading.Lock()
modules = {}
loading = threading.Lock()


def load(file):
    with loading:
        if file not in modules:
            spec = importlib.util.spec_from_file_location(os.path.basename(file)[:-3], file)
            modules[file] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(modules[file])
        return modules[file]


def decode(value):
    return base64.b64decode(value) if value is not None else None


def encode(value):
    if isinstance(value, (bytes, bytearray)):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {k: encode(v) for k, v in value._asdict().items()}
    if isinstance(value, (list, tuple, set)):
        return [encode(v) for v in value]
    if isinstance(value, dict):
        return {str(k): encode(v) for k, v in value.items()}
    if value is None or isinstance(value, (str, bool, float)):
        return value
    if isinstance(value, int):
        # Session ids and zxids do not fit into a JavaScript number.
        return value if abs(value) < 2**53 else {"bigint": str(value)}
    return repr(value)


def run(m):
    op = m["op"]
    name = m.get("client", "default")
    if op == "connect":
        client = KazooClient(hosts=m["hosts"], timeout=m.get("timeout", 10.0))
        client.start(timeout=m.get("within", 15))
        clients[name] = client
        return client.client_id[0]
    if op == "script":
        local = dict(clients=clients, client=clients.get(name), args=m.get("args", {}))
        scope.update(local)
        scope.pop("result", None)
        exec(m["script"], scope)
        return scope.get("result")
    client = clients[name]
    if op == "call":
        return getattr(load(m["file"]), m["function"])(client, **m.get("args", {}))
    path = m.get("path")
    if op == "create":
        return client.create(path, decode(m["value"]) or b"", ephemeral=m.get("ephemeral", False),
                             sequence=m.get("sequence", False), makepath=m.get("makepath", False))
    if op == "set":
        return client.set(path, decode(m["value"]), version=m.get("version", -1))
    if op == "delete":
        client.delete(path, version=m.get("version", -1), recursive=m.get("recursive", False))
        return None
    if op == "get":
        return client.get(path)
    if op == "exists":
        return client.exists(path)
    if op == "children":
        return sorted(client.get_children(path))
    if op == "ephemerals":
        # kazoo has no such request: walk what is below the path and take the nodes of this session.
        mine = client.client_id[0]
        found, todo = [], [path]
        while todo:
            at = todo.pop()
            stat = client.exists(at)
            if stat is None:
                continue
            if stat.ephemeralOwner == mine:
                found.append(at)
            todo.extend((at.rstrip("/") + "/" + child) for child in client.get_children(at))
        return sorted(found)
    if op == "close":
        client.stop()
        client.close()
        del clients[name]
        return None
    raise ValueError("unknown op " + op)


def answer(m):
    try:
        out = {"id": m["id"], "value": encode(run(m))}
    except BaseException as e:
        out = {"id": m["id"], "error": type(e).__name__, "message": str(e), "trace": traceback.format_exc()}
    with output:
        sys.stdout.write(json.dumps(out) + "\n")
        sys.stdout.flush()


sys.stdout.write(json.dumps({"id": 0, "value": "ready"}) + "\n")
sys.stdout.flush()
for line in sys.stdin:
    # A thread each: a script may block (a lock) while others go on.
    threading.Thread(target=answer, args=(json.loads(line),), daemon=True).start()
os._exit(0)
