// What each frame must look like (RFC 9113 section 6), and header blocks put together from their frames. What a good frame means
// is the session's to say.

import type { AbuseKind } from './abuse.ts'
import { ConnectionFault, flood, protocolError } from './faults.ts'
import type { Frame, FrameHandler } from './frame-reader.ts'
import { BLOCK_LIMIT_BYTES, CONTINUATION_LIMIT } from './limits.ts'
import {
  ACK,
  CONTINUATION,
  END_HEADERS,
  END_STREAM,
  FRAME_SIZE_ERROR,
  GOAWAY,
  HAS_PRIORITY,
  HEADERS,
  PADDED,
  PING,
  PRIORITY,
  PROTOCOL_ERROR,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './protocol.ts'

export interface FrameMeaning {
  onBlock(streamId: number, end: boolean, bytes: Buffer, from: number, to: number): void
  onDataStart(streamId: number, length: number, end: boolean): void
  onDataPiece(bytes: Buffer, from: number, to: number, end: boolean): void
  onResetFrame(streamId: number, error: number): void
  onSettings(bytes: Buffer, from: number, to: number): void
  onSettingsAck(): void
  onPing(isAck: boolean, high: number, low: number): void
  onGoaway(lastStreamId: number, error: number): void
  onWindow(streamId: number, bytes: number): void
  /** The frame is wrong for its stream alone. */
  onStreamFault(streamId: number, error: number, detail: string): void
  /** Throws ConnectionFault once there were too many. */
  count(kind: AbuseKind): void
}

const NOTHING = Buffer.alloc(0)

export class Incoming implements FrameHandler {
  readonly #meaning: FrameMeaning
  /** The HEADERS of the present block said so: h2spec, and RFC 7540, have it refused. */
  dependsOnItself = false
  #hasSettings = false
  /** The stream whose header block is open; 0: none. */
  #blockId = 0
  #blockEnds = false
  #block: Buffer = NOTHING
  #blockFrames = 0

  constructor(meaning: FrameMeaning) {
    this.#meaning = meaning
  }

  get isInBlock(): boolean {
    return this.#blockId !== 0
  }

  onDataStart(streamId: number, flags: number, length: number): void {
    this.#requireOrder(0, streamId, true)
    if (streamId === 0) throw protocolError('DATA on stream 0')
    const end = (flags & END_STREAM) !== 0
    if (length === 0 && !end) this.#meaning.count('empty')
    this.#meaning.onDataStart(streamId, length, end)
  }

  onDataPiece(bytes: Buffer, from: number, to: number, end: boolean): void {
    this.#meaning.onDataPiece(bytes, from, to, end)
  }

  onFrame(frame: Frame): void {
    this.#requireOrder(frame.type, frame.streamId, false)
    switch (frame.type) {
      case HEADERS:
        return this.#headers(frame)
      case PRIORITY:
        return this.#priority(frame)
      case RST_STREAM:
        return this.#reset(frame)
      case SETTINGS:
        return this.#settings(frame)
      case PUSH_PROMISE:
        throw protocolError('PUSH_PROMISE, which our SETTINGS forbid')
      case PING:
        return this.#ping(frame)
      case GOAWAY:
        return this.#goaway(frame)
      case WINDOW_UPDATE:
        return this.#window(frame)
      case CONTINUATION:
        return this.#continuation(frame)
      default:
        this.#meaning.count('ignored')
    }
  }

  /** Sections 3.4 and 6.10: SETTINGS come first; nothing comes between the frames of a header block. */
  #requireOrder(type: number, streamId: number, isData: boolean): void {
    if (!this.#hasSettings) {
      if (isData || type !== SETTINGS) throw protocolError('a frame before SETTINGS')
      this.#hasSettings = true
    }
    const isOutOfPlace = isData || type !== CONTINUATION || streamId !== this.#blockId
    if (this.#blockId !== 0 && isOutOfPlace) throw protocolError('a frame within a header block')
  }

  // ---- header blocks

  #headers(frame: Frame): void {
    const { flags, streamId, bytes } = frame
    if (streamId === 0) throw protocolError('HEADERS on stream 0')
    let { from, to } = frame
    if ((flags & PADDED) !== 0) {
      if (from === to) throw new ConnectionFault(FRAME_SIZE_ERROR, 'padding without its length')
      to -= bytes[from++] as number
    }
    const hasPriority = (flags & HAS_PRIORITY) !== 0
    this.dependsOnItself = hasPriority && to - from >= 5 && (bytes.readUInt32BE(from) & 0x7fff_ffff) === streamId
    if (hasPriority) from += 5
    if (from > to) throw protocolError('HEADERS shorter than what they announce')
    if (from === to) this.#meaning.count('empty')
    const end = (flags & END_STREAM) !== 0
    if ((flags & END_HEADERS) !== 0) this.#meaning.onBlock(streamId, end, bytes, from, to)
    else this.#beginBlock(streamId, end, bytes.subarray(from, to))
  }

  #beginBlock(streamId: number, end: boolean, part: Buffer): void {
    this.#blockId = streamId
    this.#blockEnds = end
    this.#blockFrames = 0
    this.#block = Buffer.from(part)
  }

  #continuation({ flags, streamId, bytes, from, to }: Frame): void {
    if (this.#blockId === 0) throw protocolError('CONTINUATION without HEADERS')
    if (from === to) this.#meaning.count('empty')
    const size = this.#block.length + to - from
    if (++this.#blockFrames > CONTINUATION_LIMIT) throw flood('a head in more than 32 CONTINUATION frames')
    if (size > BLOCK_LIMIT_BYTES) throw flood('a head beyond 80 KiB of HPACK')
    this.#block = Buffer.concat([this.#block, bytes.subarray(from, to)], size)
    if ((flags & END_HEADERS) === 0) return
    const block = this.#block
    this.#blockId = 0
    this.#block = NOTHING
    this.#meaning.onBlock(streamId, this.#blockEnds, block, 0, size)
  }

  // ---- the other frames

  #priority({ streamId, bytes, from, to }: Frame): void {
    if (streamId === 0) throw protocolError('PRIORITY on stream 0')
    this.#meaning.count('ignored')
    if (to - from !== 5) return this.#meaning.onStreamFault(streamId, FRAME_SIZE_ERROR, 'PRIORITY of a wrong size')
    if ((bytes.readUInt32BE(from) & 0x7fff_ffff) === streamId)
      this.#meaning.onStreamFault(streamId, PROTOCOL_ERROR, 'a stream that depends on itself')
  }

  #reset({ streamId, bytes, from, to }: Frame): void {
    if (streamId === 0) throw protocolError('RST_STREAM on stream 0')
    requireSize(to - from === 4, 'RST_STREAM')
    this.#meaning.onResetFrame(streamId, bytes.readUInt32BE(from))
  }

  #settings({ streamId, flags, bytes, from, to }: Frame): void {
    if (streamId !== 0) throw protocolError('SETTINGS on a stream')
    if ((flags & ACK) !== 0) {
      requireSize(from === to, 'an acknowledgement of SETTINGS')
      return this.#meaning.onSettingsAck()
    }
    requireSize((to - from) % 6 === 0, 'SETTINGS')
    this.#meaning.count('settings')
    this.#meaning.onSettings(bytes, from, to)
  }

  #ping({ streamId, flags, bytes, from, to }: Frame): void {
    if (streamId !== 0) throw protocolError('PING on a stream')
    requireSize(to - from === 8, 'PING')
    this.#meaning.count('ping')
    this.#meaning.onPing((flags & ACK) !== 0, bytes.readUInt32BE(from), bytes.readUInt32BE(from + 4))
  }

  #goaway({ streamId, bytes, from, to }: Frame): void {
    if (streamId !== 0) throw protocolError('GOAWAY on a stream')
    requireSize(to - from >= 8, 'GOAWAY')
    this.#meaning.count('ignored')
    this.#meaning.onGoaway(bytes.readUInt32BE(from) & 0x7fff_ffff, bytes.readUInt32BE(from + 4))
  }

  #window({ streamId, bytes, from, to }: Frame): void {
    requireSize(to - from === 4, 'WINDOW_UPDATE')
    this.#meaning.count('window')
    const more = bytes.readUInt32BE(from) & 0x7fff_ffff
    if (more > 0) this.#meaning.onWindow(streamId, more)
    else if (streamId === 0) throw protocolError('a WINDOW_UPDATE of 0')
    else this.#meaning.onStreamFault(streamId, PROTOCOL_ERROR, 'a WINDOW_UPDATE of 0')
  }
}

function requireSize(isRight: boolean, what: string): void {
  if (!isRight) throw new ConnectionFault(FRAME_SIZE_ERROR, `${what} of a wrong size`)
}
