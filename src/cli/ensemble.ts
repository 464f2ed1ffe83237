/** The configuration of an ensemble, as servers keep it: `server.1=zk1:2888:3888:participant;0.0.0.0:2181`. */

export interface Member {
  readonly id: string
  readonly role: string
  /** For the other servers: `host:port:electionPort`. */
  readonly addresses: ReadonlyArray<string>
  /** `undefined` where it is not told. */
  readonly client: string | undefined
}

export interface Ensemble {
  /** As hexadecimal number. */
  readonly version: string | undefined
  readonly members: ReadonlyArray<Member>
  /** Everything else: groups and weights. */
  readonly settings: ReadonlyArray<readonly [name: string, value: string]>
}

const roles = ["participant", "observer"]

const readMember = (id: string, value: string): Member => {
  const [quorum = "", client] = value.split(";")
  const parts = quorum.split("|")
  const last = parts.at(-1) ?? ""
  const role = roles.find((name) => last.endsWith(`:${name}`))
  const addresses = role === undefined ? parts : [...parts.slice(0, -1), last.slice(0, -role.length - 1)]
  // A port alone is one on all addresses.
  const at = client === undefined || client.includes(":") ? client : `0.0.0.0:${client}`
  return { id, role: role ?? "participant", addresses, client: at }
}

/** Lines that are nothing of the kind are left out. */
export const parseEnsemble = (text: string): Ensemble => {
  const members: Array<Member> = []
  const settings: Array<readonly [string, string]> = []
  let version: string | undefined
  for (const line of text.split("\n")) {
    const at = line.indexOf("=")
    if (at <= 0) continue
    const [name, value] = [line.slice(0, at).trim(), line.slice(at + 1).trim()]
    if (name === "version") version = `0x${value}`
    else if (name.startsWith("server.")) members.push(readMember(name.slice("server.".length), value))
    else settings.push([name, value])
  }
  return { version, members: members.sort((a, b) => Number(a.id) - Number(b.id)), settings }
}
