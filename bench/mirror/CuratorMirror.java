import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.retry.ExponentialBackoffRetry;

/** Curator's CuratorCache, with its default storage, in a process of its own: see command.ts. */
public final class CuratorMirror {
    static CuratorFramework client;

    static CuratorCache read(String path) throws Exception {
        CountDownLatch complete = new CountDownLatch(1);
        CuratorCache cache = CuratorCache.build(client, path);
        cache.listenable().addListener(CuratorCacheListener.builder().forInitialized(complete::countDown).build());
        cache.start();
        complete.await();
        return cache;
    }

    static String load(String path) throws Exception {
        OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long start = System.nanoTime();
        long before = system.getProcessCpuTime();
        try (CuratorCache cache = read(path)) {
            double cpu = (system.getProcessCpuTime() - before) / 1e6;
            double wall = (System.nanoTime() - start) / 1e6;
            return String.format(Locale.ROOT, "{\"wall\":%f,\"cpu\":%f,\"nodes\":%d}", wall, cpu, cache.size());
        }
    }

    static long memory() throws Exception {
        for (int i = 0; i < 3; i++) {
            Thread.sleep(100);
            System.gc();
        }
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }

    static String weigh(String path) throws Exception {
        long before = memory();
        try (CuratorCache cache = read(path)) {
            return String.format("{\"bytes\":%d,\"nodes\":%d}", memory() - before, cache.size());
        }
    }

    static CuratorCache follow(String path) throws Exception {
        CuratorCache cache = read(path);
        cache.listenable().addListener(CuratorCacheListener.builder().forChanges((previous, node) -> {
            long at = System.nanoTime();
            String text = new String(node.getData(), StandardCharsets.UTF_8);
            if (text.matches("\\d+")) {
                System.out.println(text + " " + at);
            }
        }).build());
        return cache;
    }

    public static void main(String[] args) throws Exception {
        client = CuratorFrameworkFactory.newClient(args[0], 30_000, 15_000, new ExponentialBackoffRetry(100, 3));
        client.start();
        client.blockUntilConnected();
        CuratorCache kept = null;
        System.out.println("ready");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] command = line.split(" ");
            switch (command[0]) {
                case "load":
                    System.out.println(load(command[1]));
                    break;
                case "weigh":
                    System.out.println(weigh(command[1]));
                    break;
                case "follow":
                    kept = follow(command[1]);
                    System.out.println("following");
                    break;
                case "drop":
                    kept.close();
                    kept = null;
                    System.out.println("dropped");
                    break;
                default:
                    System.out.println(System.nanoTime());
            }
        }
        client.close();
        System.exit(0);
    }
}
