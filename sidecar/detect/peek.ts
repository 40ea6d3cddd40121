// Reads the first bytes of a connection until they can be judged. What was read is handed on as `head`:
// the stream itself is left paused and without listeners, so that whoever comes next starts with head.
import type { Duplex } from 'node:stream'

export interface Peeked<T> {
  /** null: silence until the time was over, or the peer ended first. */
  readonly verdict: T | null
  readonly head: Buffer
  /** The peer has ended its half; nothing follows head. */
  readonly isEnded: boolean
}

const EMPTY = Buffer.alloc(0)
/** A head that trickles for longer than this is judged no further. */
const FINISH_MS = 10_000

export interface PeekOptions<T> {
  /** undefined: more bytes are needed. */
  readonly judge: (head: Buffer) => T | undefined
  /** For the first byte; Infinity: wait for ever. What has begun may take FINISH_MS more. */
  readonly waitMs: number
  readonly signal: AbortSignal
  /** Bytes read earlier. */
  readonly head?: Buffer
}

/** Never rejects: a dead connection reads as ended, and its next user finds out. */
export function peek<T>(stream: Duplex, options: PeekOptions<T>): Promise<Peeked<T>> {
  return new Promise((resolve) => {
    let head = options.head ?? EMPTY
    let limit: NodeJS.Timeout | undefined
    let isTrickling = false
    const finish = (verdict: T | null, isEnded: boolean) => {
      clearTimeout(limit)
      stream.off('readable', onReadable)
      stream.off('end', onEnd)
      stream.off('close', onEnd)
      options.signal.removeEventListener('abort', onEnd)
      resolve({ verdict, head, isEnded })
    }
    const onEnd = () => finish(null, true)
    const onReadable = () => {
      head = readAll(stream, head)
      if (head.length === 0) return
      const verdict = options.judge(head)
      if (verdict !== undefined) return finish(verdict, false)
      if (!isTrickling) waitAtMost(FINISH_MS)
      isTrickling = true
    }
    const waitAtMost = (limitMs: number) => {
      clearTimeout(limit)
      limit = Number.isFinite(limitMs) ? setTimeout(() => finish(null, false), limitMs) : undefined
    }
    waitAtMost(options.waitMs)
    stream.on('readable', onReadable)
    stream.on('end', onEnd)
    stream.on('close', onEnd)
    options.signal.addEventListener('abort', onEnd, { once: true })
    if (stream.destroyed || options.signal.aborted) onEnd()
    else onReadable()
  })
}

function readAll(stream: Duplex, head: Buffer): Buffer {
  let all = head
  for (let chunk = stream.read() as Buffer | null; chunk !== null; chunk = stream.read() as Buffer | null) {
    all = all.length === 0 ? chunk : Buffer.concat([all, chunk])
  }
  return all
}
