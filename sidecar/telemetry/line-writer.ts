// Writes log lines to a file descriptor without ever waiting for its reader: a write to a stdout that is a pipe blocks
// the whole process in Node when nobody reads it. What cannot be written in time is dropped by whole lines.
import { write as writeToFile } from 'node:fs'

export interface LineWriter {
  /** Whole lines, each with its line feed. */
  write(text: string): void
  /** Resolves when all that was accepted is written or has failed. */
  flushed(): Promise<void>
  /** Lines dropped so far. */
  readonly dropped: () => number
}

type Write = (fd: number, bytes: Uint8Array, done: (error: Error | null, written: number) => void) => void

export interface LineWriterOptions {
  /** Bytes that may wait while a write is under way. Default 4 MiB. */
  readonly maxWaitingBytes?: number
  /** As fs.write. */
  readonly writeBytes?: Write
}

export function createLineWriter(fd: number, options: LineWriterOptions = {}): LineWriter {
  const maxWaiting = options.maxWaitingBytes ?? 4_194_304
  const writeBytes: Write = options.writeBytes ?? ((to, bytes, done) => writeToFile(to, bytes, done))
  let waiting: string[] = []
  let waitingLength = 0
  let underWay: Promise<void> | null = null
  let dropped = 0

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const text = waiting.join('')
      waiting = []
      waitingLength = 0
      if (!(await writeAll(Buffer.from(text)))) dropped += countLines(text)
    }
    underWay = null
  }

  async function writeAll(bytes: Uint8Array): Promise<boolean> {
    let rest = bytes
    while (rest.length > 0) {
      const written = await new Promise<number | Error>((resolve) =>
        writeBytes(fd, rest, (error, count) => resolve(error ?? count)),
      )
      if (typeof written === 'number') rest = rest.subarray(written)
      else if (isBusy(written)) await new Promise((resolve) => setTimeout(resolve, 10))
      else return false
    }
    return true
  }

  return {
    write(text) {
      if (waitingLength + text.length > maxWaiting) {
        dropped += countLines(text)
        return
      }
      waiting.push(text)
      waitingLength += text.length
      underWay ??= drain()
    },
    flushed: () => underWay ?? Promise.resolve(),
    dropped: () => dropped,
  }
}

// A pipe that somebody else has set to non-blocking.
function isBusy(error: Error): boolean {
  return 'code' in error && error.code === 'EAGAIN'
}

function countLines(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++
  return count
}
