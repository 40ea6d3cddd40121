// The local API of control on its Unix socket, as the commands ask it.

import type { Problem } from '#shared/resources/problem.ts'
import type { Trace } from '#shared/trace-tree.ts'
import { Failure, messageOf } from './failure.ts'
import { type Answer, call } from './up/http.ts'
import { meshPaths } from './up/paths.ts'
import type { MeshState } from './up/state.ts'

/** GET /status */
export interface ControlStatus {
  readonly identity: { readonly id: string; readonly expiresAt: string } | null
  readonly problems: readonly string[]
  readonly objects: readonly {
    readonly object: string
    readonly applied: number
    readonly of: number
    readonly lagging: readonly string[]
    readonly refused: readonly { readonly pod: string; readonly error: string }[]
    readonly ancestors: readonly {
      readonly ancestor: string
      readonly conditions: readonly { type: string; status: boolean; reason: string; message: string }[]
    }[]
  }[]
  /** Whose sidecars `objects` are about; null: control has only just begun. */
  readonly counted:
    | { readonly scope: 'mesh'; readonly missing: readonly string[] }
    | { readonly scope: 'replica'; readonly replica: string; readonly leader: string | null }
    | null
  readonly sidecars: readonly { readonly pod: string; readonly connectedAt: string; readonly subscriptions: number }[]
}

/** POST /apply */
export type Applied =
  | { readonly problems: readonly Problem[] }
  | {
      readonly plan: readonly {
        readonly change: 'added' | 'changed' | 'removed'
        readonly object: string
        readonly affects: readonly string[]
      }[]
      readonly faults: readonly string[]
    }

export interface ControlApi {
  status(): Promise<ControlStatus>
  /** Newest first. */
  traces(limit: number): Promise<readonly Trace[]>
  trace(id: string): Promise<Trace>
  apply(source: { file: string; text: string }, isDryRun: boolean): Promise<Applied>
}

/** Each call rejects with a Failure when control does not answer or refuses. */
export function controlApi(mesh: MeshState, runDirectory: string): ControlApi {
  const { controlSocket: socketPath } = meshPaths(mesh.name, runDirectory)
  const ask = async <T>(path: string, good: readonly number[] = [200], body?: string): Promise<T> => {
    const answer = await callControl(mesh, socketPath, path, body)
    if (good.includes(answer.status)) return JSON.parse(answer.body) as T
    const { error } = JSON.parse(answer.body) as { error?: string }
    if (path.startsWith('/traces/')) throw new Failure(error ?? answer.body, 'weft traces shows those that are kept.')
    throw new Failure(`control refuses: ${error ?? answer.body}`, 'weft status shows what is in force.')
  }
  return {
    status: () => ask('/status'),
    traces: async (limit) => (await ask<{ traces: readonly Trace[] }>(`/traces?limit=${limit}`)).traces,
    trace: (id) => ask(`/traces/${encodeURIComponent(id)}`),
    apply: ({ file, text }, isDryRun) =>
      ask(`/apply?${new URLSearchParams({ file, dryRun: `${isDryRun}` })}`, [200, 422], text),
  }
}

async function callControl(mesh: MeshState, socketPath: string, path: string, body?: string): Promise<Answer> {
  const request = { socketPath, path, timeoutMs: 15_000 }
  try {
    return await call(body === undefined ? request : { ...request, method: 'POST', body })
  } catch (error) {
    if (!mesh.pods.some((pod) => pod.isMeshed)) {
      throw Failure.from(
        error,
        `mesh ${mesh.name} has no sidecars, so no control`,
        'Let a Workload have one: spec.inject: true',
      )
    }
    throw Failure.from(
      error,
      `control of mesh ${mesh.name} does not answer: ${messageOf(error)}`,
      'It is started again when it dies. See: weft logs control',
    )
  }
}
