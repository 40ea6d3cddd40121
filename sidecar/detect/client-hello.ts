// The names inside a ClientHello (RFC 8446 section 4.1.2): ALPN protocols (RFC 7301) and server name (RFC 6066).
// Reads one or more records; never trusts a length.

export interface ClientHello {
  readonly alpn: readonly string[]
  readonly serverName: string | null
}

const HANDSHAKE_RECORD = 22
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const ALPN = 16
// A hello with post-quantum key shares stays below 4 KiB; more is not waited for.
const LONGEST_HELLO_BYTES = 16 * 1024
// Each costs its reader work every time that a byte comes.
const MOST_RECORDS = 64

class Short extends Error {}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }
  get left(): number {
    return this.#bytes.length - this.#at
  }
  number(size: number): number {
    if (this.left < size) throw new Short()
    const value = this.#bytes.readUIntBE(this.#at, size)
    this.#at += size
    return value
  }
  take(size: number): Buffer {
    if (this.left < size) throw new Short()
    this.#at += size
    return this.#bytes.subarray(this.#at - size, this.#at)
  }
  vector(lengthSize: number): Reader {
    return new Reader(this.take(this.number(lengthSize)))
  }
}

/** 'more' while the hello is incomplete; null when the bytes are no ClientHello. */
export function readClientHello(bytes: Buffer): ClientHello | 'more' | null {
  const body = handshakeBody(bytes)
  if (body === 'more') return bytes.length > LONGEST_HELLO_BYTES ? null : 'more'
  if (body === null) return null
  try {
    return readHello(body)
  } catch (error) {
    if (error instanceof Short) return null
    throw error
  }
}

/** Joins records until the handshake message is whole. */
function handshakeBody(bytes: Buffer): Reader | 'more' | null {
  const parts: Buffer[] = []
  let held = 0
  for (let at = 0; ; ) {
    const end = recordEnd(bytes, at)
    if (end === 'more' || end === null) return end
    const part = bytes.subarray(at + 5, end)
    if (parts.push(part) > MOST_RECORDS) return null
    held += part.length
    const size = messageSize(parts)
    if (size === null || (size !== undefined && size > LONGEST_HELLO_BYTES)) return null
    if (size !== undefined && held >= size) return new Reader(Buffer.concat(parts).subarray(4, size))
    if (bytes.length < end) return 'more'
    at = end
  }
}

/** The end of the record at `at`, there or not; RFC 8446 section 5.1 knows no empty one of a handshake. */
function recordEnd(bytes: Buffer, at: number): number | 'more' | null {
  if (bytes.length > at && bytes[at] !== HANDSHAKE_RECORD) return null
  if (bytes.length < at + 5) return 'more'
  const length = bytes.readUInt16BE(at + 3)
  return length === 0 ? null : at + 5 + length
}

/** Size of the handshake message with its head; undefined while unknown; null when it is no ClientHello. */
function messageSize(parts: readonly Buffer[]): number | undefined | null {
  const head = Buffer.concat(parts.slice(0, 4).map((part) => part.subarray(0, 4)))
  if (head.length < 4) return undefined
  return head[0] === CLIENT_HELLO ? 4 + head.readUIntBE(1, 3) : null
}

function readHello(body: Reader): ClientHello {
  body.take(2 + 32)
  body.vector(1)
  body.vector(2)
  body.vector(1)
  const alpn: string[] = []
  let serverName: string | null = null
  const extensions = body.left === 0 ? new Reader(Buffer.alloc(0)) : body.vector(2)
  while (extensions.left > 0) {
    const type = extensions.number(2)
    const content = extensions.vector(2)
    if (type === ALPN) {
      const names = content.vector(2)
      while (names.left > 0) alpn.push(names.take(names.number(1)).toString('latin1'))
    } else if (type === SERVER_NAME && content.left > 0) {
      const names = content.vector(2)
      if (names.left > 0 && names.number(1) === 0) serverName = names.take(names.number(2)).toString('latin1')
    }
  }
  return { alpn, serverName }
}
