import zookeeper from "node-zookeeper-client"
import { type BenchClient, payload, pipeline, sessionTimeout, type Target } from "../client.ts"

/** npm node-zookeeper-client, with its callbacks. */
export const connectNodeZookeeperClient = async ({ host, path, port }: Target): Promise<BenchClient> => {
  const client = zookeeper.createClient(`${host}:${port}`, { sessionTimeout })
  await new Promise<void>((resolve) => {
    client.once("connected", resolve)
    client.connect()
  })
  return {
    run: (operation, inFlight, count) =>
      pipeline(
        inFlight,
        count,
        operation === "getData"
          ? (done) => client.getData(path, done)
          : (done) => client.setData(path, payload, done)
      ),
    close: async () => client.close()
  }
}
