import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.retry.ExponentialBackoffRetry;

/** Curator's InterProcessMutex in a process of its own: see command.ts. A thread and a mutex for each contender. */
public final class CuratorLocks {
    static final int CONTENDERS = 64;

    static void repeat(CuratorFramework client, String path, int times) throws Exception {
        InterProcessMutex mutex = new InterProcessMutex(client, path);
        for (int i = 0; i < times; i++) {
            mutex.acquire();
            mutex.release();
        }
    }

    public static void main(String[] args) throws Exception {
        CuratorFramework client =
                CuratorFrameworkFactory.newClient(args[0], 30_000, 15_000, new ExponentialBackoffRetry(100, 3));
        client.start();
        client.blockUntilConnected();
        String path = args[1];
        ExecutorService threads = Executors.newFixedThreadPool(CONTENDERS);
        OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        System.out.println("ready");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] command = line.split(" ");
            int count = Integer.parseInt(command[1]);
            long start = System.nanoTime();
            long before = system.getProcessCpuTime();
            if (command[0].equals("uncontended")) {
                repeat(client, path, count);
            } else {
                List<Future<?>> all = new ArrayList<>();
                for (int i = 0; i < CONTENDERS; i++) {
                    all.add(threads.submit(() -> {
                        repeat(client, path, count / CONTENDERS);
                        return null;
                    }));
                }
                for (Future<?> one : all) {
                    one.get();
                }
            }
            double cpu = (system.getProcessCpuTime() - before) / 1e3 / count;
            double rate = count / ((System.nanoTime() - start) / 1e9);
            System.out.println(String.format(Locale.ROOT, "{\"rate\":%f,\"cpu\":%f}", rate, cpu));
        }
        client.close();
        System.exit(0);
    }
}
