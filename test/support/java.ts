import { existsSync } from "node:fs"
import { readdir } from "node:fs/promises"
import { delimiter, join } from "node:path"
import { cached } from "./cache.ts"
import { installPackages, isDebian, unpackPackages } from "./debianPackages.ts"
import { exec } from "./exec.ts"
import { makeJvmNode } from "./jvmNode.ts"
import type { Provider, ProviderKind } from "./nodeProcess.ts"
import { rigError } from "./rigError.ts"

export const javaCommand = (): string => {
  const home = process.env["JAVA_HOME"]
  return home !== undefined && existsSync(join(home, "bin/java")) ? join(home, "bin/java") : "java"
}

export const hasJava = async (): Promise<boolean> => (await exec(javaCommand(), ["-version"])).code === 0

const provider = (kind: ProviderKind, description: string, classPath: string): Provider => ({
  kind,
  description,
  makeNode: (spec) => makeJvmNode(javaCommand(), classPath, spec)
})

/**
 * What a server needs beside its own jars, in the order of a class path; jute before zookeeper, whose manifest would
 * otherwise pull in the one of the system.
 */
const serverJars = [
  "zookeeper-jute",
  "zookeeper",
  "slf4j-api",
  "slf4j-simple",
  "netty-buffer",
  "netty-common",
  "netty-handler",
  "netty-transport",
  "netty-transport-native-epoll",
  "netty-transport-native-unix-common",
  "netty-codec",
  "netty-resolver",
  "netty-tcnative",
  "snappy-java",
  "metrics-core",
  "commons-cli",
  "commons-io",
  "jackson-core",
  "jackson-databind",
  "jackson-annotations"
]

const classPathOf = (folder: string): string =>
  serverJars.map((jar) => join(folder, `${jar}.jar`)).filter((jar) => existsSync(jar)).join(delimiter)

/** The class path of a ZooKeeper that is already on this machine. */
const findLocal = async (): Promise<{ readonly classPath: string; readonly from: string }> => {
  const given = process.env["ZK_TEST_CLASSPATH"]
  if (given !== undefined && given !== "") return { classPath: given, from: "the class path in ZK_TEST_CLASSPATH" }
  const home = process.env["ZOOKEEPER_HOME"]
  if (home !== undefined && home !== "") {
    const lib = join(home, "lib")
    const jars = await readdir(lib).catch(() => [])
    if (!jars.some((jar) => /^zookeeper-\d.*\.jar$/.test(jar))) {
      throw rigError("ZOOKEEPER_HOME/lib has no zookeeper jar")
    }
    return { classPath: join(lib, "*"), from: "the installation in ZOOKEEPER_HOME" }
  }
  const share = "/usr/share/java"
  if (existsSync(join(share, "zookeeper.jar"))) {
    return { classPath: classPathOf(share), from: `the installed package (${share}/zookeeper.jar)` }
  }
  throw rigError("neither ZK_TEST_CLASSPATH nor ZOOKEEPER_HOME is set, and /usr/share/java has no zookeeper.jar")
}

export const provideLocal = async (say: (line: string) => void): Promise<Provider> => {
  const { classPath, from } = await findLocal()
  if (!await hasJava()) throw rigError(`found ${from}, but there is no Java to run it`)
  say(`starting ZooKeeper servers with Java from ${from}`)
  return provider("local", from, classPath)
}

const debianPackages = [
  "libzookeeper-java",
  "libslf4j-java",
  "libnetty-java",
  "libnetty-tcnative-java",
  "libsnappy-java",
  "libdropwizard-metrics-java",
  "libjackson2-core-java",
  "libjackson2-databind-java",
  "libjackson2-annotations-java",
  "libcommons-cli-java",
  "libcommons-io-java"
]

const javaPackage = "openjdk-17-jre-headless"

export const provideDebian = async (say: (line: string) => void): Promise<Provider> => {
  if (!isDebian()) throw rigError("this is not a Debian with apt-get")
  if (!await hasJava()) {
    say(`installing Java (apt-get install ${javaPackage}), which is missing on this machine`)
    await installPackages([javaPackage])
  }
  const folder = await cached("debian-zookeeper", async (folder) => {
    say(
      "downloading Debian's ZooKeeper packages (apt-get download libzookeeper-java and the jars it needs, about 9 MB) " +
        "and unpacking them below node_modules/.cache; nothing is installed"
    )
    await unpackPackages(debianPackages, folder)
    if (!existsSync(join(folder, "usr/share/java/zookeeper.jar"))) throw rigError("the package has no zookeeper.jar")
  })
  say("starting ZooKeeper servers with Java from Debian's packages, unpacked below node_modules/.cache")
  return provider("debian", "Debian's packages below node_modules/.cache", classPathOf(join(folder, "usr/share/java")))
}
