/**
 * Trees as text: each node a line of JSON, parents before children, and a last line that says how many there were. What
 * has lost its end therefore cannot pass for a whole.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Acl } from "../ZkAcl.ts"
import * as ZkPath from "../ZkPath.ts"
import { formatPerms, parsePerms } from "./acl.ts"
import { dataJson, textOf } from "./data.ts"
import { toJson } from "./output.ts"
import type { TreeNode } from "./treeNode.ts"

const format = 1

const AclEntry = Schema.Struct({ scheme: Schema.String, id: Schema.String, perms: Schema.String })

const NodeLine = Schema.Struct({
  path: Schema.String,
  data: Schema.NullOr(Schema.String),
  encoding: Schema.optionalKey(Schema.Literal("base64")),
  acl: Schema.optionalKey(Schema.NonEmptyArray(AclEntry))
})

const EndLine = Schema.Struct({
  end: Schema.Struct({ format: Schema.Int, nodes: Schema.Int, leftOut: Schema.Int })
})

export const nodeLine = ({ acl, data, path }: TreeNode): string =>
  toJson({
    path,
    ...dataJson(data),
    ...(acl !== undefined && {
      acl: acl.map(({ id, perms, scheme }) => ({ scheme, id, perms: formatPerms(perms) }))
    })
  })

export const endLine = (count: { readonly nodes: number; readonly leftOut: number }): string =>
  toJson({ end: { format, ...count } })

const decodeNode = Schema.decodeUnknownResult(NodeLine, { onExcessProperty: "error" })
const decodeEnd = Schema.decodeUnknownResult(EndLine, { onExcessProperty: "error" })

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

const aclOf = (entries: (typeof NodeLine.Type)["acl"]): ReadonlyArray<Acl> | string | undefined => {
  if (entries === undefined) return undefined
  const acl: Array<Acl> = []
  for (const { id, perms, scheme } of entries) {
    const parsed = parsePerms(perms)
    if (Result.isFailure(parsed)) return parsed.failure
    if (scheme === "") return "an ACL without a scheme"
    acl.push({ scheme, id, perms: parsed.success })
  }
  return acl
}

/** Takes the lines one after the other. Each gives what is wrong with it, if anything is. */
export class ExportReader {
  readonly nodes: Array<TreeNode> = []
  private readonly paths = new Set<string>()
  private isEnded = false

  line(bytes: Uint8Array): string | undefined {
    const text = textOf(bytes)
    if (text === undefined) return "is no UTF-8"
    if (this.isEnded) return text.trim() === "" ? undefined : "comes behind the end"
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return "is no JSON"
    }
    if (typeof value === "object" && value !== null && "end" in value) return this.end(value)
    const decoded = decodeNode(value)
    if (Result.isFailure(decoded)) return `is no node: ${String(decoded.failure).replaceAll(/\s+/g, " ")}`
    return this.node(decoded.success)
  }

  /** What is wrong with the whole. */
  finish(): string | undefined {
    return this.isEnded ? undefined : "is not complete: the line is missing that says how many nodes there are"
  }

  private end(value: object): string | undefined {
    const decoded = decodeEnd(value)
    if (Result.isFailure(decoded)) return "is no end that this program knows"
    const { end } = decoded.success
    if (end.format !== format) return `is of the format ${end.format}, which this program does not know`
    if (end.nodes !== this.nodes.length) return `says ${end.nodes} nodes, and there are ${this.nodes.length}`
    this.isEnded = true
    return undefined
  }

  private node({ acl, data, encoding, path }: typeof NodeLine.Type): string | undefined {
    const problem = ZkPath.problem(path)
    if (problem !== undefined) return `has the path ${JSON.stringify(path)}: ${problem}`
    if (this.paths.has(path)) return `has the path ${JSON.stringify(path)} for a second time`
    const parent = ZkPath.parent(path)
    if (parent !== undefined && !this.paths.has(parent)) {
      return `has the path ${JSON.stringify(path)}, and its parent did not come before`
    }
    if (data === null && encoding !== undefined) return "has an encoding, and no data"
    if (encoding === "base64" && !base64.test(data!)) return "has data that is no base64"
    const list = aclOf(acl)
    if (typeof list === "string") return `has an ACL that is none: ${list}`
    this.paths.add(path)
    const bytes = data === null ? null : Buffer.from(data, encoding ?? "utf8")
    this.nodes.push({ path, data: bytes, acl: list })
    return undefined
  }
}
