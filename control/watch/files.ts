// The configuration of a standalone mesh, kept current from files: on an event of the file system, and by a poll for what events miss.
import type { Log } from '#shared/log.ts'
import type { Problem } from '#shared/resources/problem.ts'
import type { Watch } from '#shared/watch.ts'
import type { Model } from '../model/compile.ts'
import { Keeper } from './keeper.ts'
import { readTogether, stampOf, watchFolders } from './sources.ts'
import { type CompileTiming, timedCompile } from './timed-compile.ts'

export interface WatchFilesOptions extends CompileTiming {
  /** Later files lie over earlier ones. One that does not exist is empty. */
  readonly configFiles: readonly string[]
  /** Until it exists there is no model. */
  readonly worldFile: string
  readonly log: Log
}

export interface FileWatch {
  /** undefined until the first good configuration. */
  readonly model: Watch<Model | undefined>
  /** What is wrong with the files as they are now; empty: the model is what they say. */
  readonly problems: Watch<readonly Problem[]>
  /** Reads now rather than at the next sign of a change; resolves when what the files say is in force or refused. */
  refresh(): Promise<void>
  close(): void
}

const DEBOUNCE_MS = 50
const POLL_MS = 1000

export function watchFiles(options: WatchFilesOptions): FileWatch {
  const { configFiles, worldFile, clock } = options
  const paths = [...configFiles, worldFile]
  const keeper = new Keeper({ ...options, compile: timedCompile(options) })
  const reader = new Reader(paths, keeper)
  let cancelDebounce = () => {}
  let cancelPoll = () => {}

  const stopWatching = watchFolders(paths, () => {
    cancelDebounce()
    cancelDebounce = clock.after(DEBOUNCE_MS, () => void reader.read())
  })
  async function poll(): Promise<void> {
    await reader.readIfChanged()
    if (!reader.isClosed) cancelPoll = clock.after(POLL_MS, () => void poll())
  }
  void poll()
  return {
    model: keeper.model,
    problems: keeper.problems,
    refresh: () => reader.read(),
    close() {
      reader.isClosed = true
      stopWatching()
      cancelDebounce()
      cancelPoll()
    },
  }
}

/** Reads one at a time; a call during a reading makes one more, so that what it was called for is seen. */
class Reader {
  isClosed = false
  readonly #paths: readonly string[]
  readonly #keeper: Keeper
  #stamp = ''
  #running: Promise<void> | null = null
  #isAskedAgain = false

  constructor(paths: readonly string[], keeper: Keeper) {
    this.#paths = paths
    this.#keeper = keeper
  }

  read(): Promise<void> {
    if (this.#running !== null) this.#isAskedAgain = true
    this.#running ??= this.#readUntilCurrent().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  async readIfChanged(): Promise<void> {
    const now = await stampOf(this.#paths).catch(() => 'unreadable')
    if (now !== this.#stamp) await this.read()
  }

  async #readUntilCurrent(): Promise<void> {
    do {
      this.#isAskedAgain = false
      try {
        const read = await readTogether(this.#paths)
        if (this.isClosed) return
        // Written to while it was read: what was read may be half of it.
        if (read === undefined) this.#isAskedAgain = true
        else {
          this.#keeper.take(read.texts)
          this.#stamp = read.stamp
        }
      } catch (error) {
        this.#keeper.refuse(error)
      }
    } while (this.#isAskedAgain)
  }
}
