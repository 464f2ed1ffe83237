import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.locks.Revoker;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.CreateMode;

/**
 * Lets the tests drive Curator's locks: a command per line in ({@code id command field ...}), an answer per line out
 * ({@code id ok field ...} or {@code id error text}), all separated by tabs. Each command runs in a thread of its own and
 * may block. Ends when standard input ends.
 */
public final class CuratorBridge {
    /** A lock belongs to the thread that has acquired it: this one keeps it until it is told, or asked, to give way. */
    static final class Holder {
        final CountDownLatch giveWay = new CountDownLatch(1);
        final CountDownLatch released = new CountDownLatch(1);
        volatile boolean revoked;
    }

    static final Map<String, CuratorFramework> clients = new ConcurrentHashMap<>();
    static final Map<String, Holder> holders = new ConcurrentHashMap<>();
    static final Map<String, Collection<Lease>> leases = new ConcurrentHashMap<>();
    static final PrintStream out = System.out;

    static InterProcessMutex make(CuratorFramework client, String kind, String path) {
        switch (kind) {
            case "mutex":
                return new InterProcessMutex(client, path);
            case "read":
                return new InterProcessReadWriteLock(client, path).readLock();
            case "write":
                return new InterProcessReadWriteLock(client, path).writeLock();
            default:
                throw new IllegalArgumentException(kind);
        }
    }

    /** It is only for those who make locks of their own of it. */
    static String nodeOf(InterProcessMutex lock) throws ReflectiveOperationException {
        Method lockPath = InterProcessMutex.class.getDeclaredMethod("getLockPath");
        lockPath.setAccessible(true);
        return (String) lockPath.invoke(lock);
    }

    static byte[] bytes(String text) {
        return text.getBytes();
    }

    // -- what a holder does on a board: see board.ts --------------------------------------------------------------------

    static void note(CuratorFramework client, String board, String kind, String node) throws Exception {
        int sequence = Integer.parseInt(node.substring(node.length() - 10));
        client.create().withMode(CreateMode.PERSISTENT_SEQUENTIAL)
                .forPath(board + "/log/t-", bytes(kind + " " + sequence + " java"));
    }

    static void exclusiveTurn(CuratorFramework client, String board, String node) throws Exception {
        client.create().withMode(CreateMode.EPHEMERAL).forPath(board + "/inside", bytes(node));
        List<String> readers = client.getChildren().forPath(board + "/readers");
        if (!readers.isEmpty()) {
            throw new IllegalStateException("readers beside " + node + ": " + readers);
        }
        int count = Integer.parseInt(new String(client.getData().forPath(board + "/counter")));
        note(client, board, "exclusive", node);
        client.setData().forPath(board + "/counter", bytes(String.valueOf(count + 1)));
        client.delete().forPath(board + "/inside");
    }

    static void sharedTurn(CuratorFramework client, String board, String node) throws Exception {
        String reader =
                client.create().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(board + "/readers/r-", bytes(node));
        note(client, board, "shared", node);
        if (client.checkExists().forPath(board + "/inside") != null) {
            throw new IllegalStateException("a writer beside " + node);
        }
        client.delete().forPath(reader);
    }

    static void limitedTurn(CuratorFramework client, String board, int most, String who) throws Exception {
        String reader =
                client.create().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(board + "/readers/r-", bytes(who));
        int together = client.getChildren().forPath(board + "/readers").size();
        client.create().withMode(CreateMode.PERSISTENT_SEQUENTIAL)
                .forPath(board + "/log/t-", bytes("shared " + together + " java"));
        if (together > most) {
            throw new IllegalStateException(together + " together, at most " + most);
        }
        for (int i = 0; i < 20; i++) {
            client.getData().forPath(reader);
        }
        client.delete().forPath(reader);
    }

    // -- commands -------------------------------------------------------------------------------------------------------

    static Object run(String[] in) throws Exception {
        String command = in[1];
        if (command.equals("connect")) {
            CuratorFramework client = CuratorFrameworkFactory.newClient(in[3], 10_000, 10_000,
                    new ExponentialBackoffRetry(100, 3));
            client.start();
            if (!client.blockUntilConnected(15, TimeUnit.SECONDS)) {
                throw new IllegalStateException("not connected to " + in[3]);
            }
            clients.put(in[2], client);
            return client.getZookeeperClient().getZooKeeper().getSessionId();
        }
        CuratorFramework client = clients.get(in[2]);
        switch (command) {
            case "close":
                clients.remove(in[2]).close();
                return "";
            case "hold":
                hold(in[0], client, in[3], make(client, in[4], in[5]), in.length > 6);
                return null;
            case "release": {
                Holder holder = holders.remove(in[3]);
                holder.giveWay.countDown();
                holder.released.await();
                return "";
            }
            case "released": {
                // Gives way by itself when it is asked to.
                Holder holder = holders.get(in[3]);
                holder.released.await();
                return holder.revoked;
            }
            case "work": {
                InterProcessMutex lock = make(client, in[3], in[4]);
                for (int i = Integer.parseInt(in[6]); i > 0; i--) {
                    lock.acquire();
                    try {
                        if (in[3].equals("read")) {
                            sharedTurn(client, in[5], nodeOf(lock));
                        } else {
                            exclusiveTurn(client, in[5], nodeOf(lock));
                        }
                    } finally {
                        lock.release();
                    }
                }
                return "";
            }
            case "participants":
                return String.join("\t", make(client, in[3], in[4]).getParticipantNodes());
            case "revoke":
                Revoker.attemptRevoke(client, in[3]);
                return "";
            case "permits":
                leases.put(in[3], semaphore(client, in[4], in[5]).acquire(Integer.parseInt(in[6])));
                return "";
            case "permitsNow": {
                Collection<Lease> got = semaphore(client, in[4], in[5])
                        .acquire(Integer.parseInt(in[6]), Long.parseLong(in[7]), TimeUnit.MILLISECONDS);
                if (got != null) {
                    leases.put(in[3], got);
                }
                return got != null;
            }
            case "returnPermits":
                for (Lease lease : leases.remove(in[3])) {
                    lease.close();
                }
                return "";
            case "permitNodes":
                return String.join("\t", semaphore(client, in[3], in[4]).getParticipantNodes());
            case "workPermits": {
                InterProcessSemaphoreV2 semaphore = semaphore(client, in[3], in[4]);
                for (int i = Integer.parseInt(in[6]); i > 0; i--) {
                    Lease lease = semaphore.acquire();
                    try {
                        limitedTurn(client, in[5], Integer.parseInt(in[4]), lease.getNodeName());
                    } finally {
                        semaphore.returnLease(lease);
                    }
                }
                return "";
            }
            default:
                throw new IllegalArgumentException(command);
        }
    }

    static InterProcessSemaphoreV2 semaphore(CuratorFramework client, String path, String max) {
        return new InterProcessSemaphoreV2(client, path, Integer.parseInt(max));
    }

    static void hold(String id, CuratorFramework client, String name, InterProcessMutex lock, boolean revocable)
            throws Exception {
        Holder holder = new Holder();
        if (revocable) {
            lock.makeRevocable(asked -> {
                holder.revoked = true;
                holder.giveWay.countDown();
            });
        }
        lock.acquire();
        holders.put(name, holder);
        answer(id, "ok", nodeOf(lock));
        holder.giveWay.await();
        lock.release();
        holder.released.countDown();
    }

    static void answer(String id, String outcome, String text) {
        synchronized (out) {
            out.print(id + "\t" + outcome + "\t" + text.replace('\n', ' ') + "\n");
            out.flush();
        }
    }

    static void serve(String line) {
        String[] in = line.split("\t");
        try {
            Object result = run(in);
            if (result != null) {
                answer(in[0], "ok", result.toString());
            }
        } catch (Throwable failure) {
            answer(in[0], "error", failure + " " + Arrays.toString(failure.getStackTrace()));
        }
    }

    public static void main(String[] args) throws Exception {
        answer("0", "ok", "ready");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String command = line;
            Thread thread = new Thread(() -> serve(command));
            thread.setDaemon(true);
            thread.start();
        }
        Runtime.getRuntime().halt(0);
    }
}
