// The two stages in which a pod leaves. Stage one (preStop): inbound finishes, outbound works on, since the application
// may still need it. Stage two (SIGTERM: the application is gone): outbound finishes shortly, then the process ends.
import type { Clock } from '#shared/clock.ts'
import { type Watch, Watched } from '#shared/watch.ts'
import { json, type Page } from './http.ts'

export type DrainState = 'serving' | 'draining' | 'drained' | 'stopping' | 'stopped'

export interface DrainResult {
  /** False: the limit was over first. */
  readonly isIdle: boolean
  /** What was still open at the end. */
  readonly remaining: number
}

export interface DrainOptions {
  readonly clock: Clock
  /** How long stage one waits for inbound to become idle. */
  readonly inboundLimitMs: number
  /** Stage one lasts until nothing has come in for this long: callers that have not heard that the pod leaves still come. */
  readonly inboundQuietMs: number
  /** How long stage two waits for what is left. */
  readonly outboundLimitMs: number
  /** Stage one begins: each inbound connection is to close after its next answer. Called once. */
  readonly closeInbound: () => void
  /** Stage two begins: connections of both directions are to close, idle ones at once. Called once. */
  readonly closeAll: () => void
  /** Counts what came in, requests and connections, since the start. */
  readonly inboundArrivals: () => number
  /** Requests and L4 connections in flight. */
  readonly inboundActive: () => number
  readonly outboundActive: () => number
}

export interface Drain {
  readonly state: Watch<DrainState>
  /** Stage one; further calls join the first. Resolves when inbound is idle or the limit is over. */
  start(): Promise<DrainResult>
  /** Stage two, with stage one if there was none. Resolves when the process may end; a second call resolves both at once. */
  stop(): Promise<DrainResult>
}

const LOOK_EACH_MS = 50

export function createDrain(options: DrainOptions): Drain {
  const { clock } = options
  const state = new Watched<DrainState>('serving')
  const hurry = new AbortController()
  let stageOne: Promise<DrainResult> | null = null
  let stageTwo: Promise<DrainResult> | null = null

  function beginClosingInbound(): void {
    if (state.current !== 'serving') return
    state.set('draining')
    options.closeInbound()
  }

  async function drainInbound(): Promise<DrainResult> {
    beginClosingInbound()
    const { inboundActive: active, inboundArrivals: arrivals } = options
    const limits = { limitMs: options.inboundLimitMs, quietMs: options.inboundQuietMs }
    const result = await idle(clock, { active, arrivals }, limits, hurry.signal)
    if (state.current === 'draining') state.set('drained')
    return result
  }

  async function stop(): Promise<DrainResult> {
    beginClosingInbound()
    state.set('stopping')
    options.closeAll()
    const active = () => options.inboundActive() + options.outboundActive()
    const limits = { limitMs: options.outboundLimitMs, quietMs: 0 }
    const result = await idle(clock, { active, arrivals: () => 0 }, limits, hurry.signal)
    state.set('stopped')
    return result
  }

  return {
    state,
    start() {
      stageOne ??= drainInbound()
      return stageOne
    },
    stop() {
      if (stageTwo !== null) hurry.abort()
      stageTwo ??= stop()
      return stageTwo
    },
  }
}

interface Limits {
  readonly limitMs: number
  readonly quietMs: number
}

interface Traffic {
  readonly active: () => number
  readonly arrivals: () => number
}

function idle(clock: Clock, traffic: Traffic, limits: Limits, hurry: AbortSignal): Promise<DrainResult> {
  const { active, arrivals } = traffic
  const startedAt = clock.now()
  let arrived = arrivals()
  let quietSince = startedAt
  return new Promise((resolve) => {
    let cancel = () => {}
    function finish(remaining: number): void {
      cancel()
      hurry.removeEventListener('abort', onHurry)
      resolve({ isIdle: remaining === 0, remaining })
    }
    const onHurry = () => finish(active())
    function look(): void {
      const remaining = active()
      const now = clock.now()
      if (arrived !== arrivals()) quietSince = now
      arrived = arrivals()
      const isQuiet = now - quietSince >= limits.quietMs
      if ((remaining === 0 && isQuiet) || now - startedAt >= limits.limitMs) finish(remaining)
      else cancel = clock.after(LOOK_EACH_MS, look)
    }
    hurry.addEventListener('abort', onHurry, { once: true })
    if (hurry.aborted) onHurry()
    else look()
  })
}

/** POST /drain: answers when stage one is over, so that a preStop hook may simply wait for it. */
export function drainPage(drain: () => Promise<unknown>): Page {
  return async () => json(200, { drained: true, result: (await drain()) ?? null })
}
