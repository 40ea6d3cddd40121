// What an API server refuses, with the object that it is about: a log line of it must be enough to act on.

export class KubeError extends Error {
  override readonly name = 'KubeError'
  /** The HTTP status; 0: no answer that could be read. */
  readonly status: number
  /** As in metav1.Status: "NotFound", "Expired", "Forbidden", ...; empty where the server gave none. */
  readonly reason: string
  /** What it asks to wait before the next try. */
  readonly retryAfterMs: number | null

  constructor(
    what: string,
    answer: {
      readonly status: number
      readonly reason: string
      readonly message: string
      readonly retryAfterMs?: number
    },
    options?: ErrorOptions,
  ) {
    super(`${what}: ${answer.status === 0 ? '' : `${answer.status} `}${answer.message}`, options)
    this.status = answer.status
    this.reason = answer.reason
    this.retryAfterMs = answer.retryAfterMs ?? null
  }
}

/** Said within a watch rather than in place of one: a new list mends it, the same watch again does not. */
export class WatchError extends KubeError {}

/** The object or kind is not there. A kind whose CRD is not installed answers so too. */
export const isNotFound = (error: unknown): boolean => error instanceof KubeError && error.status === 404
/** RBAC does not allow it. */
export const isForbidden = (error: unknown): boolean => error instanceof KubeError && error.status === 403
/** Somebody else has written meanwhile, or the object exists already. */
export const isConflict = (error: unknown): boolean => error instanceof KubeError && error.status === 409
/** The version is no longer kept: list anew. */
export const isGone = (error: unknown): boolean => error instanceof KubeError && error.status === 410

/** The connection broke, or the server has too much to do: the same again is right. */
export const isPassing = (error: unknown): boolean =>
  error instanceof KubeError &&
  !(error instanceof WatchError) &&
  (error.status === 0 || error.status === 429 || error.status >= 500)

/** A metav1.Status, or what a proxy between says instead. */
export function readStatus(status: number, body: string): { status: number; reason: string; message: string } {
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value === 'object' && value !== null) {
      const { reason, message } = value as { reason?: unknown; message?: unknown }
      const text = typeof message === 'string' ? message : ''
      return {
        status,
        reason: typeof reason === 'string' ? reason : '',
        message: text.slice(0, 1000) || 'no reason given',
      }
    }
  } catch {
    // Not JSON: the text itself is the best there is.
  }
  return { status, reason: '', message: body.trim().slice(0, 300) || 'no reason given' }
}
