import type { Stat } from "../../ZkStat.ts"

const decoder = new TextDecoder()

/** What `getData` gives. Most readers want either bytes or text: the text is made when it is asked for. */
export class NodeData {
  readonly data: Uint8Array | null
  readonly stat: Stat

  constructor(data: Uint8Array | null, stat: Stat) {
    this.data = data
    this.stat = stat
  }

  get text(): string {
    return this.data === null ? "" : decoder.decode(this.data)
  }
}
