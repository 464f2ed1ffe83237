/** What a schema complains about, without what it complains of. */
import * as SchemaIssue from "effect/SchemaIssue"

/**
 * The same issue without anything that may come from the value: inputs, which a schema can be told to report, and
 * messages that were made when it failed. What a schema says beforehand (`expected` and `message` annotations) is kept.
 */
const discreet = (issue: SchemaIssue.Issue): SchemaIssue.Issue => {
  switch (issue._tag) {
    case "Filter":
      return new SchemaIssue.Filter(issue.filter, discreet(issue.issue))
    case "Encoding":
      return new SchemaIssue.Encoding(issue.ast, discreet(issue.issue))
    case "Pointer":
      return new SchemaIssue.Pointer(issue.path, discreet(issue.issue))
    case "Composite": {
      const [first, ...others] = issue.issues
      return new SchemaIssue.Composite(issue.ast, [discreet(first), ...others.map(discreet)])
    }
    case "AnyOf":
      return new SchemaIssue.AnyOf(issue.ast, issue.issues.map(discreet))
    case "InvalidType":
      return new SchemaIssue.InvalidType(issue.ast)
    case "InvalidValue": {
      const expected = issue.annotations?.expected
      return new SchemaIssue.InvalidValue(expected === undefined ? undefined : { expected })
    }
    case "MissingKey":
      return issue
    case "UnexpectedKey":
      return new SchemaIssue.UnexpectedKey(issue.ast)
    case "Forbidden":
      return new SchemaIssue.Forbidden(undefined)
    case "OneOf":
      return new SchemaIssue.OneOf(issue.ast, issue.successes)
  }
}

const flatten = SchemaIssue.makeFormatterStandardSchemaV1()

const at = (path: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }>): string =>
  path.map((segment) => {
    const key = typeof segment === "object" ? segment.key : segment
    return typeof key === "symbol" ? `[${String(key)}]` : `[${JSON.stringify(key)}]`
  }).join("")

/** Where, and what was expected there: in one line. */
export const reasonOf = (issue: SchemaIssue.Issue): string =>
  flatten(discreet(issue)).issues.map(({ message, path }) =>
    path === undefined || path.length === 0 ? message : `${message} at ${at(path)}`
  ).join("; ")
