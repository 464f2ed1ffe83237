import * as Tracer from "effect/Tracer"

/** A tracer that keeps the spans that are made with it. */
export const spanSpies = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}
