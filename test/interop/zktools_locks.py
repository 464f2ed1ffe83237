"""
What zktools does in ZooKeeper, for there is none for Python 3: the same nodes, the same order of requests, and the same
conditions. `kind` is lock, read or write.
"""
import os
import sys
import threading
import uuid

from kazoo.exceptions import NodeExistsError, NoNodeError

sys.path.insert(0, os.path.dirname(__file__))
from lock_board import turns  # noqa: E402

held = {}


def number_text(name):
    return name[name.rfind("-") + 1:]


class ZktoolsLock:
    def __init__(self, client, kind, path):
        self.client, self.kind, self.path = client, kind, path
        self.revoked = threading.Event()
        for node, data in ((path.rsplit("/", 1)[0], b"zktools ZLock dir"), (path, b"lock")):
            try:
                if node:
                    client.create(node, data)
            except NodeExistsError:
                pass

    def on_own_change(self, event):
        if event.type == "CHANGED":
            self.read_own()
        elif event.type == "DELETED":
            self.revoked.set()

    def read_own(self):
        try:
            if self.client.get(self.node, self.on_own_change)[0] == b"unlock":
                self.revoked.set()
        except NoNodeError:
            self.revoked.set()

    def blockers(self, name):
        children = self.client.get_children(self.path)
        children.sort(key=number_text)
        ahead = children[:children.index(name)]
        if self.kind == "read":
            # As it is there: readers heed writers, but not plain locks.
            ahead = [other for other in ahead if "-write-" in other]
        return ahead

    def acquire(self, revoke=False, timeout=10):
        self.revoked.clear()
        self.node = self.client.create("%s/%s-%s--" % (self.path, uuid.uuid4().hex, self.kind), b"0",
                                       ephemeral=True, sequence=True)
        self.read_own()
        name = self.node[self.node.rfind("/") + 1:]
        while True:
            changed = threading.Event()
            ahead = self.blockers(name)
            if not ahead:
                return self.node
            if revoke:
                for other in ahead:
                    try:
                        self.client.set(self.path + "/" + other, b"unlock")
                    except NoNodeError:
                        pass
            if self.client.exists(self.path + "/" + ahead[-1], lambda event: changed.set()) is None:
                continue
            if not changed.wait(timeout):
                self.release()
                raise TimeoutError(self.node)

    def release(self):
        self.client.delete(self.node)


def acquire(client, name, kind, path, revoke=False):
    lock = ZktoolsLock(client, kind, path)
    lock.acquire(revoke)
    held[name] = lock
    return lock.node


def await_revocation(client, name, timeout=10):
    return held[name].revoked.wait(timeout)


def release(client, name):
    held.pop(name).release()


def work(client, kind, path, board, rounds):
    lock = ZktoolsLock(client, kind, path)
    turn = turns["shared" if kind == "read" else "exclusive"]
    for _ in range(rounds):
        lock.acquire()
        turn(client, board, lock.node)
        lock.release()
    return rounds
