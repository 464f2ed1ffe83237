"""kazoo's locks for the tests: held by name, or taken in turns."""
import os
import sys

import kazoo
from kazoo.recipe.lock import Lock, ReadLock

sys.path.insert(0, os.path.dirname(__file__))
from lock_board import turns  # noqa: E402

held = {}


class FixedReadLock(ReadLock):
    """kazoo before 2.9 lets readers wait for writers behind them, so that both wait for ever; this is what 2.9 does."""

    def _get_predecessor(self, node):
        own = node[len(self.prefix):]
        ahead = []
        for child in self.client.get_children(self.path):
            match = self._contenders_re.search(child)
            if match is not None and match.group(1) < own:
                ahead.append(match)
        return max(ahead, key=lambda match: match.group(1)).string if ahead else None


def version():
    return tuple(int(part) for part in kazoo.__version__.split(".")[:2])


def make(client, kind, path, identifier=None):
    if kind == "read":
        return (FixedReadLock if version() < (2, 9) else ReadLock)(client, path, identifier)
    return {"lock": Lock, "write": client.WriteLock.func}[kind](client, path, identifier)


def acquire(client, name, kind, path, timeout=10):
    lock = make(client, kind, path, name)
    lock.acquire(timeout=timeout)
    held[name] = lock
    return lock.node


def release(client, name):
    return held.pop(name).release()


def contenders(client, kind, path):
    return make(client, kind, path).contenders()


def work(client, kind, path, board, rounds):
    lock = make(client, kind, path, "worker")
    turn = turns["shared" if kind == "read" else "exclusive"]
    for _ in range(rounds):
        with lock:
            turn(client, board, lock.node)
    return rounds
