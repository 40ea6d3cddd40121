// What a sidecar sends to an application of HTTP/2, frame by frame, with nothing of our codec (RFC 9113 sections 4, 5.1 and 8.1).

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const [DATA, HEADERS, RST_STREAM, SETTINGS, CONTINUATION] = [0, 1, 3, 4, 9]
/** Of those that end nothing and begin nothing: PING, GOAWAY, WINDOW_UPDATE. */
const NEUTRAL = new Set([6, 7, 8])
const [END_STREAM, END_HEADERS, PADDED] = [1, 4, 8]

interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
}

/** Heads and ends of each stream: a request is one head, DATA, and at most one more head that ends it. */
interface Stream {
  heads: number
  isOver: boolean
}

/** Returns what breaks the rules, or null. A frame that is not whole yet breaks none. */
export function judgeFrames(bytes: Buffer): string | null {
  if (!PREFACE.startsWith(bytes.toString('latin1', 0, PREFACE.length))) return 'no preface'
  const judge = new Judge()
  for (let at = PREFACE.length; at + 9 <= bytes.length; ) {
    const length = bytes.readUIntBE(at, 3)
    if (length > 16_384) return `a frame of ${length} bytes`
    if (at + 9 + length > bytes.length) return null
    const stream = bytes.readUInt32BE(at + 5)
    const fault = judge.take({ type: bytes[at + 3] as number, flags: bytes[at + 4] as number, stream })
    if (fault !== null) return `${fault}, on stream ${stream}`
    at += 9 + length
  }
  return null
}

class Judge {
  readonly #streams = new Map<number, Stream>()
  #last = 0
  #openBlock = 0
  #hasSettings = false

  take(frame: Frame): string | null {
    const { type, flags, stream } = frame
    if (!this.#hasSettings && type !== SETTINGS) return 'a frame before SETTINGS'
    this.#hasSettings = true
    if (this.#openBlock !== 0 && (type !== CONTINUATION || stream !== this.#openBlock)) return 'a frame within a head'
    if (type === SETTINGS) return stream === 0 ? null : 'SETTINGS on a stream'
    if (NEUTRAL.has(type)) return null
    if (type === CONTINUATION) {
      if (this.#openBlock === 0) return 'CONTINUATION without a head'
      if ((flags & END_HEADERS) !== 0) this.#openBlock = 0
      return null
    }
    if ((flags & PADDED) !== 0) return 'padding, which we never send'
    if (type === HEADERS) return this.#head(frame)
    return this.#ofStream(frame)
  }

  #head({ flags, stream }: Frame): string | null {
    let known = this.#streams.get(stream)
    if (known === undefined) {
      if (stream % 2 === 0 || stream <= this.#last) return 'a number that must not be'
      this.#last = stream
      known = { heads: 0, isOver: false }
      this.#streams.set(stream, known)
    }
    if (known.isOver) return 'a head behind the end'
    if (++known.heads === 2 && (flags & END_STREAM) === 0) return 'trailers that do not end'
    if ((flags & END_HEADERS) === 0) this.#openBlock = stream
    known.isOver = (flags & END_STREAM) !== 0
    return null
  }

  #ofStream({ type, flags, stream }: Frame): string | null {
    const known = this.#streams.get(stream)
    if (known === undefined) return 'a frame on a stream that was never opened'
    if (type === RST_STREAM) {
      known.isOver = true
      return null
    }
    if (type !== DATA) return `a frame of type ${type}`
    if (known.isOver) return 'DATA behind the end'
    known.isOver = (flags & END_STREAM) !== 0
    return null
  }
}
