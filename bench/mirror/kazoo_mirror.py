"""kazoo's TreeCache in a process of its own: see command.ts. A client for each copy: a TreeCache leaves its watches."""
import gc
import json
import sys
import threading
import time
import tracemalloc

from kazoo.client import KazooClient
from kazoo.recipe.cache import TreeCache, TreeEvent


def connect():
    client = KazooClient(hosts=sys.argv[1], timeout=30)
    client.start()
    return client


def read(client, path):
    complete = threading.Event()
    cache = TreeCache(client, path)
    cache.listen(lambda event: event.event_type == TreeEvent.INITIALIZED and complete.set())
    cache.start()
    complete.wait()
    return cache


def drop(client, cache):
    cache.close()
    client.stop()
    client.close()


def size(cache, path):
    return 1 + sum(size(cache, path + "/" + name) for name in cache.get_children(path))


def load(path):
    client = connect()
    start, before = time.monotonic(), time.process_time()
    cache = read(client, path)
    cpu, wall = time.process_time() - before, time.monotonic() - start
    nodes = size(cache, path)
    drop(client, cache)
    return {"wall": wall * 1e3, "cpu": cpu * 1e3, "nodes": nodes}


def memory():
    time.sleep(0.1)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def weigh(path):
    client = connect()
    tracemalloc.start()
    before = memory()
    cache = read(client, path)
    weight = memory() - before
    tracemalloc.stop()
    nodes = size(cache, path)
    drop(client, cache)
    return {"bytes": weight, "nodes": nodes}


def follow(path):
    client = connect()
    cache = read(client, path)

    def on_event(event):
        if event.event_type != TreeEvent.NODE_UPDATED:
            return
        at = time.monotonic_ns()
        if event.event_data.data.isdigit():
            print(event.event_data.data.decode(), at, flush=True)

    cache.listen(on_event)
    return client, cache


kept = None
print("ready", flush=True)
for line in sys.stdin:
    command, *path = line.split()
    if command == "load":
        print(json.dumps(load(*path)), flush=True)
    elif command == "weigh":
        print(json.dumps(weigh(*path)), flush=True)
    elif command == "follow":
        kept = follow(*path)
        print("following", flush=True)
    elif command == "drop":
        drop(*kept)
        print("dropped", flush=True)
    else:
        print(time.monotonic_ns(), flush=True)
