// HEADERS with their CONTINUATION frames on the way out. A block that surely fits one frame, as nearly all do, is encoded where it
// leaves; a longer one in a buffer of its own and then cut.
import type { Fields } from '#flow/stream.ts'
import { kindOf, writeFrameHead } from './frames.ts'
import { blockBound, type HpackEncoder } from './hpack/encode.ts'
import type { Output } from './output.ts'
import { CONTINUATION, END_HEADERS, END_STREAM, FRAME_HEAD_BYTES, FRAME_LIMIT_BYTES, HEADERS } from './protocol.ts'

/** RFC 9113 section 8.2.2: what speaks of one HTTP/1.1 hop; and Host, which is :authority here. */
const DROPPED = new Set([
  'connection',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

/** For the encoder: of TE only this value may travel. */
export function travels(lowerName: string): boolean | string {
  return lowerName === 'te' ? 'trailers' : !DROPPED.has(lowerName)
}

/** Throws Unsendable; nothing has been written then. */
export function writeFields(
  output: Output,
  encoder: HpackEncoder,
  streamId: number,
  fields: Fields,
  end: boolean,
): void {
  const bound = blockBound(fields)
  const endFlag = end ? END_STREAM : 0
  if (bound > FRAME_LIMIT_BYTES) return writeLong(output, streamId, encodeAlone(encoder, fields, bound), endFlag)
  const into = output.reserve(FRAME_HEAD_BYTES + bound)
  const from = output.at + FRAME_HEAD_BYTES
  const to = encoder.encode(fields, into, from)
  writeFrameHead(into, output.at, to - from, kindOf(HEADERS, END_HEADERS | endFlag), streamId)
  output.at = to
}

function encodeAlone(encoder: HpackEncoder, fields: Fields, bound: number): Buffer {
  const block = Buffer.allocUnsafe(bound)
  return block.subarray(0, encoder.encode(fields, block, 0))
}

function writeLong(output: Output, streamId: number, block: Buffer, endFlag: number): void {
  for (let from = 0; from === 0 || from < block.length; from += FRAME_LIMIT_BYTES) {
    const to = Math.min(block.length, from + FRAME_LIMIT_BYTES)
    const flags = (from === 0 ? endFlag : 0) | (to === block.length ? END_HEADERS : 0)
    const into = output.reserve(FRAME_HEAD_BYTES + to - from)
    writeFrameHead(into, output.at, to - from, kindOf(from === 0 ? HEADERS : CONTINUATION, flags), streamId)
    output.at += FRAME_HEAD_BYTES
    block.copy(into, output.at, from, to)
    output.at += to - from
  }
}
