import { makeTcpLink, type TcpLink } from "./tcpLink.ts"
import type { PeerAddress } from "./zooCfg.ts"

/**
 * Relays between the members of an ensemble, one per ordered pair and port, so that any pair can be separated.
 *
 * One hole remains: in an election a member with a higher id calls one with a lower id back on the address which that
 * one has told it, past the relay. Votes may so cross a partition; following a leader (syncing, proposals, pings of
 * sessions) may not.
 */
export interface QuorumLinks {
  /** The members as `from` must see them: itself as it is, the others behind relays. */
  seenBy(from: number): ReadonlyArray<PeerAddress>
  /** "frozen" is a partition: silence, no closed connection. "cut" closes with a reset. */
  set(state: "open" | "frozen" | "cut", between: (a: number, b: number) => boolean): void
  close(): Promise<void>
}

export const makeQuorumLinks = async (members: ReadonlyArray<PeerAddress>): Promise<QuorumLinks> => {
  interface Pair {
    readonly from: number
    readonly to: PeerAddress
    readonly quorum: TcpLink
    readonly election: TcpLink
  }
  const pairs: Array<Pair> = []
  for (const from of members) {
    for (const to of members) {
      if (from.id === to.id) continue
      const quorum = await makeTcpLink(() => to.quorumPort)
      const election = await makeTcpLink(() => to.electionPort)
      pairs.push({ from: from.id, to, quorum, election })
    }
  }
  return {
    seenBy: (from) =>
      members.map((member) => {
        const pair = pairs.find((pair) => pair.from === from && pair.to.id === member.id)
        return pair === undefined
          ? member
          : { ...member, quorumPort: pair.quorum.port, electionPort: pair.election.port }
      }),
    set: (state, between) => {
      for (const { election, from, quorum, to } of pairs) {
        if (between(from, to.id) || between(to.id, from)) {
          quorum.set(state)
          election.set(state)
        }
      }
    },
    close: async () => {
      await Promise.all(pairs.flatMap(({ election, quorum }) => [quorum.close(), election.close()]))
    }
  }
}
