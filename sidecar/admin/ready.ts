// GET /ready: whether the sidecar carries traffic, for the startup probe and for people.
import { json, type Page } from './http.ts'

export interface Readiness {
  readonly isReady: boolean
  /** Why not; empty when ready. */
  readonly reasons: readonly string[]
}

/** 200 when ready, else 503; either way the reasons. */
export function readyPage(ready: () => Readiness): Page {
  return () => {
    const { isReady, reasons } = ready()
    return json(isReady ? 200 : 503, { ready: isReady, reasons })
  }
}
