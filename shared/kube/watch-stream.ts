// The body of a watch: a JSON document a line, without end. What comes together is handed on together.
import { WatchError } from './error.ts'
import type { KubeObject } from './objects.ts'

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  /** Of an ERROR: a metav1.Status. */
  readonly object: KubeObject
}

/** etcd takes 1.5 MB an object. */
const MAX_LINE_BYTES = 16 * 1024 * 1024
const NEWLINE = 10
const TYPES: ReadonlySet<unknown> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'])

/** Throws what the stream throws, and a WatchError on a line that is no event. */
export async function* readWatch(body: AsyncIterable<Buffer>): AsyncGenerator<readonly WatchEvent[]> {
  let rest: Buffer[] = []
  let restBytes = 0
  for await (const chunk of body) {
    const last = chunk.lastIndexOf(NEWLINE)
    if (last === -1) {
      rest.push(chunk)
      restBytes += chunk.length
      if (restBytes > MAX_LINE_BYTES) throw notAnEvent(`more than ${MAX_LINE_BYTES} bytes`)
      continue
    }
    const whole = Buffer.concat([...rest, chunk.subarray(0, last)]).toString('utf8')
    rest = [chunk.subarray(last + 1)]
    restBytes = chunk.length - last - 1
    yield whole
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map(readEvent)
  }
}

function readEvent(line: string): WatchEvent {
  const { type, object } = (parseLine(line) ?? {}) as Partial<WatchEvent>
  if (type !== undefined && TYPES.has(type) && typeof object?.metadata === 'object') return { type, object }
  // A metav1.Status has metadata too, save where something between has made it.
  if (type === 'ERROR' && typeof object === 'object') return { type, object: { ...object, metadata: {} } }
  throw notAnEvent(line)
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (error) {
    throw notAnEvent(line, { cause: error })
  }
}

const notAnEvent = (line: string, options?: ErrorOptions) =>
  new WatchError('watch', { status: 0, reason: '', message: `a line that is no event: ${line.slice(0, 100)}` }, options)
