// From the bytes of an answer to a value or a KubeError.
import type { IncomingMessage } from 'node:http'
import { KubeError, readStatus } from './error.ts'

/** A list of 500 pods is 5 MB. */
const MAX_BODY_BYTES = 256 * 1024 * 1024
/** Nobody is waited for longer, whatever he asks: a timer takes no more than 24 days, and then fires at once. */
const LONGEST_RETRY_AFTER_SECONDS = 300

export async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new Error(`an answer of more than ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Throws a KubeError for any status but 2xx. */
export function parseAnswer(what: string, response: IncomingMessage, body: string): unknown {
  const status = response.statusCode ?? 0
  if (status < 200 || status > 299) {
    const seconds = Number(response.headers['retry-after'])
    const retryAfterMs = seconds > 0 ? { retryAfterMs: Math.min(seconds, LONGEST_RETRY_AFTER_SECONDS) * 1000 } : {}
    throw new KubeError(what, { ...readStatus(status, body), ...retryAfterMs })
  }
  return JSON.parse(body)
}

export function asKubeError(what: string, error: unknown): KubeError {
  if (error instanceof KubeError) return error
  // What aborts a request is told as the cause of a nameless AbortError.
  const told =
    error instanceof Error && error.name === 'AbortError' && error.cause instanceof Error ? error.cause : error
  const message = told instanceof Error ? told.message : String(told)
  return new KubeError(what, { status: 0, reason: '', message }, { cause: error })
}
