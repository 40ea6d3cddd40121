// How long each compilation takes is told to who counts it.
import type { Clock } from '#shared/clock.ts'
import { compile } from '../model/compile.ts'

export interface CompileTiming {
  readonly clock: Clock
  readonly onCompiled?: (durationMs: number) => void
}

export function timedCompile({ clock, onCompiled }: CompileTiming): typeof compile {
  return (...parts) => {
    const startedAt = clock.now()
    const model = compile(...parts)
    onCompiled?.(clock.now() - startedAt)
    return model
  }
}
