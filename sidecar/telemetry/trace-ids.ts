// Trace and span ids (W3C Trace Context, section 3.2.2): random, never all zero. They need to be unlike, not secret.

export interface TraceIds {
  generateTraceId(): string
  generateSpanId(): string
  /** The next generateTraceId answers this: tries of one request without a parent belong to one trace. */
  preset(traceId: string): void
}

/** `random` as Math.random. */
export function createTraceIds(random: () => number): TraceIds {
  let next: string | null = null
  const byte = (word: number, shift: number) => HEX[(word >>> shift) & 0xff] as string
  const word = () => {
    const bits = (random() * 0x1_0000_0000) >>> 0
    return byte(bits, 24) + byte(bits, 16) + byte(bits, 8) + byte(bits, 0)
  }
  return {
    generateTraceId() {
      if (next === null) return notZero(word() + word() + word() + word())
      const preset = next
      next = null
      return preset
    },
    generateSpanId: () => notZero(word() + word()),
    preset(traceId) {
      next = traceId
    },
  }
}

// A table, since toString(16) with padStart costs four times as much, and every new trace takes six of these words.
const HEX = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'))

function notZero(id: string): string {
  return /[^0]/.test(id) ? id : `${id.slice(0, -1)}1`
}
