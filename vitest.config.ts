import { defineConfig } from "vitest/config"
import { patience } from "./test/support/wait.ts"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/globalSetup.ts"],
    pool: "forks",
    // Loading all modules for each file anew is a fifth of the time that the tests take.
    isolate: false,
    // Servers and clients are processes too: more workers than this take time from tests that measure it.
    maxWorkers: 2,
    testTimeout: 60_000 * patience,
    hookTimeout: 60_000 * patience,
    teardownTimeout: 15_000
  }
})
