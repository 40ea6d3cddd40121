// A reset of a stream, as a word and as the number of RFC 9113 section 7 that says it.
import type { ResetCode } from './stream.ts'

/** In the order of their numbers. Those that speak of one connection alone mean no more to others than that the peer failed. */
const WORDS: readonly ResetCode[] = [
  'done', // NO_ERROR
  'malformed', // PROTOCOL_ERROR
  'failed', // INTERNAL_ERROR
  'failed', // FLOW_CONTROL_ERROR
  'failed', // SETTINGS_TIMEOUT
  'failed', // STREAM_CLOSED
  'failed', // FRAME_SIZE_ERROR
  'refused', // REFUSED_STREAM
  'cancel', // CANCEL
  'failed', // COMPRESSION_ERROR
  'failed', // CONNECT_ERROR
  'calm', // ENHANCE_YOUR_CALM
  'insecure', // INADEQUATE_SECURITY
  'http1', // HTTP_1_1_REQUIRED
]

/** Section 7: numbers that nobody knows must trigger nothing special. */
export const resetOfNumber = (number: number): ResetCode => WORDS[number] ?? 'failed'

export const NUMBER_OF_RESET: Readonly<Record<ResetCode, number>> = {
  done: 0,
  malformed: 1,
  protocol: 1,
  failed: 2,
  closed: 2,
  internal: 2,
  refused: 7,
  cancel: 8,
  timeout: 8,
  calm: 11,
  insecure: 12,
  http1: 13,
}
