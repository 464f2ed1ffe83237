/**
 * The report that `npm test` leaves behind. Run as a program, it prints how many tests passed and failed.
 */
import { existsSync, readFileSync } from "node:fs"

/** The part of vitest's JSON report that is used here. */
interface Report {
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly assertionResults: ReadonlyArray<{
      readonly ancestorTitles: ReadonlyArray<string>
      readonly title: string
      readonly status: string
    }>
  }>
}

export interface Test {
  readonly title: string
  readonly status: string
}

/**
 * Every test with its full title, or `undefined` when there is no report. A file that failed without a failed test
 * (it could not be loaded, or a hook failed) is a failed test by the name of the file.
 */
export const readTests = (): ReadonlyArray<Test> | undefined => {
  const file = new URL("../node_modules/.cache/test-report.json", import.meta.url)
  if (!existsSync(file)) return undefined
  const report: Report = JSON.parse(readFileSync(file, "utf8"))
  return report.testResults.flatMap(({ assertionResults, name, status }) => {
    const tests = assertionResults.map((test) => ({
      title: [...test.ancestorTitles, test.title].join(" "),
      status: test.status
    }))
    return status === "failed" && tests.every((test) => test.status !== "failed")
      ? [...tests, { title: name, status }]
      : tests
  })
}

if (import.meta.main) {
  const tests = readTests() ?? []
  const count = (status: string) => tests.filter((test) => test.status === status).length
  console.log(`${count("passed")} passed, ${count("failed")} failed`)
}
