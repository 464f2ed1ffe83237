"""kazoo's Lock in a process of its own: see command.ts. A thread and a lock for each contender."""
import json
import sys
import threading
import time

from kazoo.client import KazooClient

CONTENDERS = 64

client = KazooClient(hosts=sys.argv[1], timeout=30)
client.start()
path = sys.argv[2]


def repeat(times):
    lock = client.Lock(path)
    for _ in range(times):
        with lock:
            pass


def contended(count):
    threads = [threading.Thread(target=repeat, args=(count // CONTENDERS,)) for _ in range(CONTENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


runs = {"uncontended": repeat, "contended": contended}
print("ready", flush=True)
for line in sys.stdin:
    scenario, count = line.split()
    start, before = time.monotonic(), time.process_time()
    runs[scenario](int(count))
    cpu, elapsed = time.process_time() - before, time.monotonic() - start
    print(json.dumps({"rate": int(count) / elapsed, "cpu": cpu * 1e6 / int(count)}), flush=True)
client.stop()
