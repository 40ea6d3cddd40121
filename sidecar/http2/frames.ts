// Frames as they go out (RFC 9113 sections 4 and 6), written straight into the output.
import type { Output } from './output.ts'
import { DATA, END_STREAM, FRAME_HEAD_BYTES, GOAWAY, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE } from './protocol.ts'

export function writeFrameHead(into: Buffer, at: number, length: number, kind: number, streamId: number): void {
  into[at] = length >>> 16
  into[at + 1] = length >>> 8
  into[at + 2] = length
  into[at + 3] = kind >>> 8
  into[at + 4] = kind
  writeUint32(into, at + 5, streamId)
}

/** Type and flags as writeFrameHead takes them. */
export function kindOf(type: number, flags: number): number {
  return (type << 8) | flags
}

function writeUint32(into: Buffer, at: number, value: number): void {
  into[at] = value >>> 24
  into[at + 1] = value >>> 16
  into[at + 2] = value >>> 8
  into[at + 3] = value
}

/** A frame whose payload is whole numbers of 32 bits. */
function writeNumbers(output: Output, kind: number, streamId: number, numbers: readonly number[]): void {
  const into = output.reserve(FRAME_HEAD_BYTES + 4 * numbers.length)
  writeFrameHead(into, output.at, 4 * numbers.length, kind, streamId)
  output.at += FRAME_HEAD_BYTES
  for (const number of numbers) {
    writeUint32(into, output.at, number)
    output.at += 4
  }
}

export function writeReset(output: Output, streamId: number, error: number): void {
  writeNumbers(output, kindOf(RST_STREAM, 0), streamId, [error])
}

export function writeWindowUpdate(output: Output, streamId: number, bytes: number): void {
  writeNumbers(output, kindOf(WINDOW_UPDATE, 0), streamId, [bytes])
}

export function writeGoaway(output: Output, lastStreamId: number, error: number): void {
  writeNumbers(output, kindOf(GOAWAY, 0), 0, [lastStreamId, error])
}

/** `high` and `low` are the eight bytes that come back. */
export function writePing(output: Output, flags: number, high: number, low: number): void {
  writeNumbers(output, kindOf(PING, flags), 0, [high, low])
}

export function writeSettings(output: Output, flags: number, settings: readonly (readonly [number, number])[]): void {
  const into = output.reserve(FRAME_HEAD_BYTES + 6 * settings.length)
  writeFrameHead(into, output.at, 6 * settings.length, kindOf(SETTINGS, flags), 0)
  output.at += FRAME_HEAD_BYTES
  for (const [id, value] of settings) {
    into[output.at] = id >>> 8
    into[output.at + 1] = id
    writeUint32(into, output.at + 2, value)
    output.at += 6
  }
}

/** One DATA frame of at most FRAME_LIMIT_BYTES; the bytes are copied. */
export function writeData(
  output: Output,
  streamId: number,
  piece: { readonly bytes: Uint8Array; readonly from: number; readonly to: number },
  end: boolean,
): void {
  const { bytes, from, to } = piece
  const into = output.reserve(FRAME_HEAD_BYTES + to - from)
  writeFrameHead(into, output.at, to - from, kindOf(DATA, end ? END_STREAM : 0), streamId)
  output.at += FRAME_HEAD_BYTES
  if (to - from <= 64) for (let i = from; i < to; i++) into[output.at++] = bytes[i] as number
  else {
    into.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), output.at)
    output.at += to - from
  }
}
