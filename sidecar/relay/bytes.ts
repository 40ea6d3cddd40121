// Bytes both ways between two streams: back-pressure, half-close kept, a reset on one side resets the other.
import type { Duplex } from 'node:stream'
import { readDirectly } from '#flow/direct-read.ts'
import { Gathering } from './gather.ts'
import { reset } from './reset.ts'

export interface RelayOptions {
  /** Bytes that the opener sent before the relay began. */
  readonly head: Buffer
  /** No byte in either direction for this long ends both; null: never. */
  readonly idleTimeoutMs: number | null
  readonly signal: AbortSignal
}

export interface Relayed {
  /** From opener to server, and back. */
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly isIdleTimeout: boolean
}

/** Resolves when both directions are over. Never rejects: an error of one side ends the other. */
export function relayBytes(opener: Duplex, server: Duplex, options: RelayOptions): Promise<Relayed> {
  return new Promise((resolve) => {
    const relay = {
      sent: options.head.length,
      received: 0,
      quietSince: performance.now(),
      isIdleTimeout: false,
      open: 2,
    }
    let timer: NodeJS.Timeout | undefined
    const finish = () => {
      clearInterval(timer)
      options.signal.removeEventListener('abort', destroyBoth)
      resolve({ bytesSent: relay.sent, bytesReceived: relay.received, isIdleTimeout: relay.isIdleTimeout })
    }
    const destroyBoth = () => {
      opener.destroy()
      server.destroy()
    }
    const onClose = () => {
      if (--relay.open === 0) finish()
    }
    opener.once('close', onClose)
    server.once('close', onClose)
    options.signal.addEventListener('abort', destroyBoth, { once: true })
    if (options.idleTimeoutMs !== null) {
      const limitMs = options.idleTimeoutMs
      timer = setInterval(
        () => {
          if (performance.now() - relay.quietSince < limitMs) return
          relay.isIdleTimeout = true
          destroyBoth()
        },
        Math.max(10, limitMs / 8),
      )
      timer.unref()
    }
    if (options.head.length > 0) server.write(options.head)
    pump(opener, server, (size) => {
      relay.sent += size
      if (timer !== undefined) relay.quietSince = performance.now()
    })
    pump(server, opener, (size) => {
      relay.received += size
      if (timer !== undefined) relay.quietSince = performance.now()
    })
  })
}

function pump(from: Duplex, to: Duplex, count: (size: number) => void): void {
  const gathering = new Gathering(to, () => from.resume())
  // What came behind a peek while the other side was dialled; under TLS one read may bring the next.
  while (from.readableLength > 0) {
    const waiting = from.read() as Buffer | null
    if (waiting === null) break
    count(waiting.length)
    to.write(waiting)
  }
  const isDirect = readDirectly(from, (bytes) => {
    count(bytes.length)
    if (!gathering.write(bytes)) from.pause()
  })
  if (!isDirect) pumpChunks(from, to, count)
  const end = () => {
    gathering.flush()
    to.end()
  }
  // A peek may have read up to the end already; the event does not come twice.
  if (from.readableEnded) end()
  else from.once('end', end)
  from.once('error', () => reset(to))
  from.once('close', () => {
    // Closed without an end: the rest will never come, and the other side must learn that it was cut.
    if (!from.readableEnded) reset(to)
  })
  if (from.destroyed) reset(to)
  else from.resume()
}

/** For streams that are no sockets. */
function pumpChunks(from: Duplex, to: Duplex, count: (size: number) => void): void {
  from.on('data', (chunk: Buffer) => {
    count(chunk.length)
    if (!to.write(chunk)) from.pause()
  })
  to.on('drain', () => from.resume())
}
