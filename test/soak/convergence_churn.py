"""What kazoo does for `npm run convergence`: many requests at a time, applied in the order in which they were asked for."""
import json
import time

from kazoo.exceptions import NodeExistsError, NoNodeError, NotEmptyError, RolledBackError

# Whether these were applied nobody can tell.
UNKNOWN = {"ConnectionLoss", "ConnectionClosedError", "OperationTimeoutError", "SessionExpiredError", "TimeoutError"}


def begin(client, path, kind, values):
    data = [value.encode() for value in values]
    if kind == "create":
        return client.create_async(path, data[0])
    if kind == "set":
        return client.set_async(path, data[0])
    if kind == "delete":
        return client.delete_async(path)
    if kind == "recreate":
        transaction = client.transaction()
        transaction.delete(path)
        transaction.create(path, data[0])
        for value in data[1:]:
            transaction.set_data(path, value)
        return transaction.commit_async()
    raise ValueError(kind)


def outcome(pending):
    try:
        result = pending.get(timeout=20)
    except Exception as e:
        name = type(e).__name__
        return "unknown" if name in UNKNOWN else name
    if isinstance(result, list):
        for part in result:
            if isinstance(part, Exception) and not isinstance(part, RolledBackError):
                return type(part).__name__
    return "done"


def apply(client, root, ops):
    pending = [begin(client, root + "/" + name, kind, values) for kind, name, values in json.loads(ops)]
    return [outcome(p) for p in pending]


def rebuild(client, root, value, pause):
    """Deletes the root with everything below it, and makes it again."""
    for _ in range(100):
        try:
            names = client.get_children(root)
        except NoNodeError:
            break
        pending = [(name, client.delete_async(root + "/" + name)) for name in names]
        for name, deleted in pending:
            try:
                deleted.get(timeout=20)
            except NoNodeError:
                pass
            except NotEmptyError:
                client.delete(root + "/" + name, recursive=True)
        try:
            client.delete(root)
        except NotEmptyError:
            # Others write as well.
            continue
        except NoNodeError:
            pass
        break
    else:
        raise RuntimeError("the root was never empty")
    time.sleep(pause)
    try:
        client.create(root, value.encode())
    except NodeExistsError:
        return "exists"
    return "done"


def truth(client, root):
    """Everything that there is: names (none for the root), data and metadata."""
    client.sync(root)
    names = client.get_children(root)
    pending = [("", client.get_async(root))]
    pending += [(name, client.get_async(root + "/" + name)) for name in names]
    found = []
    for name, got in pending:
        data, stat = got.get(timeout=20)
        stat = {key: str(value) for key, value in stat._asdict().items()}
        found.append([name, (data or b"").decode(), stat])
    return json.dumps(found)
