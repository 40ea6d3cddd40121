// The trust bundle as a live file. Polled rather than watched: uid 1337 has 128 inotify instances for all pods of a node.
import { readFile } from 'node:fs/promises'
import type { Clock } from '#shared/clock.ts'
import type { Log } from '#shared/log.ts'
import { type Watch, Watched } from '#shared/watch.ts'
import { readCertificates } from './pem.ts'

const POLL_MS = 5_000

export interface BundleFile {
  /** PEM; undefined until the file was read once with at least one certificate. A bad change keeps the last good one. */
  readonly roots: Watch<string | undefined>
  close(): void
}

export function watchBundleFile(file: string, clock: Clock, log: Log): BundleFile {
  const roots = new Watched<string | undefined>(undefined)
  let complaint = ''
  let isClosed = false
  let cancel = () => {}

  async function poll(): Promise<void> {
    try {
      const text = await readFile(file, 'utf8')
      if (text !== roots.current) {
        readCertificates(text)
        if (!isClosed) roots.set(text)
      }
      complaint = ''
    } catch (error) {
      const reason = String(error)
      if (reason !== complaint) log.warn({ file, reason }, 'the trust bundle cannot be read; the last good one stays')
      complaint = reason
    }
    // While there is none, somebody waits for it.
    if (!isClosed) cancel = clock.after(roots.current === undefined ? POLL_MS / 20 : POLL_MS, () => void poll())
  }

  void poll()
  return {
    roots,
    close() {
      isClosed = true
      cancel()
    },
  }
}
