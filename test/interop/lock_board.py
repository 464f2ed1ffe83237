"""What a holder of a lock does on a board: see board.ts."""
import re


def sequence(node):
    return int(re.search(r"(\d{10})$", node).group(1))


def note(client, board, kind, node):
    client.create(board + "/log/t-", ("%s %d python" % (kind, sequence(node))).encode(), sequence=True)


def exclusive_turn(client, board, node):
    client.create(board + "/inside", node.encode(), ephemeral=True)
    readers = client.get_children(board + "/readers")
    if readers:
        raise AssertionError("readers beside %s: %s" % (node, readers))
    count = int(client.get(board + "/counter")[0])
    note(client, board, "exclusive", node)
    client.set(board + "/counter", b"%d" % (count + 1))
    client.delete(board + "/inside")


def shared_turn(client, board, node):
    reader = client.create(board + "/readers/r-", node.encode(), ephemeral=True, sequence=True)
    note(client, board, "shared", node)
    if client.exists(board + "/inside"):
        raise AssertionError("a writer beside %s" % node)
    client.delete(reader)


turns = {"exclusive": exclusive_turn, "shared": shared_turn}
