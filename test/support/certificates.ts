import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { isIPv4 } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { attempt, type RigError } from "./rigError.ts"

// X.509 certificates made with node:crypto alone, so that tests of TLS run wherever the others do: Node signs, but
// leaves the ASN.1 to us, of which this is the little that is needed.

const der = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const body = Buffer.concat(parts)
  const { length } = body
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), body])
}

const sequence = (...parts: ReadonlyArray<Uint8Array>) => der(0x30, ...parts)
const set = (...parts: ReadonlyArray<Uint8Array>) => der(0x31, ...parts)
const utf8 = (text: string) => der(0x0c, Buffer.from(text))
const octets = (bytes: Uint8Array) => der(0x04, bytes)
const bits = (bytes: Uint8Array) => der(0x03, Buffer.of(0), bytes)
const integer = (bytes: Uint8Array) => der(0x02, bytes)
const yes = der(0x01, Buffer.of(0xff))

const oid = (dotted: string): Buffer => {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number)
  const bytes = [first * 40 + second]
  for (const number of rest) {
    const groups = [number & 0x7f]
    for (let left = number >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return der(0x06, Buffer.from(bytes))
}

const time = (date: Date) => der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`))

const named = (commonName: string) => sequence(set(sequence(oid("2.5.4.3"), utf8(commonName))))

const extension = (id: string, value: Uint8Array, critical = false) =>
  sequence(oid(id), ...(critical ? [yes] : []), octets(value))

const ecdsaWithSha256 = sequence(oid("1.2.840.10045.4.3.2"))

const pem = (label: string, bytes: Buffer) =>
  `-----BEGIN ${label}-----\n${bytes.toString("base64").replace(/.{1,64}/g, "$&\n")}-----END ${label}-----\n`

export interface Certificate {
  readonly commonName: string
  /** PEM */
  readonly cert: string
  /** PEM, PKCS #8 */
  readonly key: string
  /** An authority signs with it. */
  readonly privateKey: KeyObject
}

/**
 * A certificate for these names and addresses, signed by `issuer`; without one, an authority that signs itself. Valid
 * from an hour ago, for a day.
 */
export const makeCertificate = (
  commonName: string,
  options: { readonly hosts?: ReadonlyArray<string>; readonly issuer?: Certificate } = {}
): Certificate => {
  const { hosts = [], issuer } = options
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const now = Date.now()
  const names = hosts.map((host) =>
    isIPv4(host) ? der(0x87, Buffer.from(host.split(".").map(Number))) : der(0x82, Buffer.from(host))
  )
  const extensions = [
    extension("2.5.29.19", issuer === undefined ? sequence(yes) : sequence(), true),
    ...(names.length === 0 ? [] : [extension("2.5.29.17", sequence(...names))])
  ]
  const serial = randomBytes(8)
  // A positive number, in as few bytes as it takes.
  serial[0] = 0x40 | (serial[0]! & 0x3f)
  const content = sequence(
    der(0xa0, integer(Buffer.of(2))),
    integer(serial),
    ecdsaWithSha256,
    named(issuer?.commonName ?? commonName),
    sequence(time(new Date(now - 3_600_000)), time(new Date(now + 86_400_000))),
    named(commonName),
    createPublicKey(privateKey).export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensions))
  )
  const signature = sign("sha256", content, issuer?.privateKey ?? privateKey)
  return {
    commonName,
    cert: pem("CERTIFICATE", sequence(content, ecdsaWithSha256, bits(signature))),
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    privateKey
  }
}

/** Files in a folder of their own, which goes with the scope. Gives the folder. */
export const makeFolder = (files: Readonly<Record<string, string>>): Effect.Effect<string, RigError, Scope.Scope> =>
  Effect.acquireRelease(
    attempt("writing files", async () => {
      const folder = await mkdtemp(join(tmpdir(), "zk-test-files-"))
      for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
      return folder
    }),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  )
