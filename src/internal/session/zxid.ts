/** The newest transaction that the client has seen the effects of. Two halves, since bigints cost on every answer. */
export class Zxid {
  private high = 0
  private low = 0

  /** Takes a zxid of an answer in; 0 and negative ones, and older ones, change nothing. */
  observe(high: number, low: number): void {
    const unsigned = low >>> 0
    if (high > this.high || (high === this.high && unsigned > this.low)) {
      this.high = high
      this.low = unsigned
    }
  }

  value(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low)
  }

  /** For an ensemble that was set back: servers do not talk to a client that has seen more than they have. */
  reset(): void {
    this.high = 0
    this.low = 0
  }
}
