// Cuts the bytes that come into frames (RFC 9113 section 4.1). DATA is handed on in pieces as it comes, without a copy; every other
// frame is handed on whole, and copied only when it came in pieces.
import { ConnectionFault } from './faults.ts'
import {
  DATA,
  END_STREAM,
  FRAME_HEAD_BYTES,
  FRAME_LIMIT_BYTES,
  FRAME_SIZE_ERROR,
  HEADERS,
  PADDED,
  PROTOCOL_ERROR,
} from './protocol.ts'

export interface FrameHandler {
  /** DATA begins; `length` with its padding is what flow control counts. */
  onDataStart(streamId: number, flags: number, length: number): void
  /** At least one call for each DATA frame; `end`: the last piece of a frame with END_STREAM. */
  onDataPiece(bytes: Buffer, from: number, to: number, end: boolean): void
  onFrame(frame: Frame): void
}

/** Reused: valid during the call. */
export interface Frame {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  /** The payload is bytes[from..to). */
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
}

const NOTHING = Buffer.alloc(0)

/** Of frames in one turn, where a head counts for several: what 256 KiB of the smallest would be done with others wait for. */
const TURN_FRAMES = 1024
const HEAD_FRAMES = 8

export class FrameReader implements Frame {
  type = 0
  flags = 0
  streamId = 0
  bytes: Buffer = NOTHING
  from = 0
  to = 0
  readonly #handler: FrameHandler
  /** A frame other than DATA, or a frame's head, of which a part has come. */
  #held: Buffer = NOTHING
  #heldSize = 0
  /** Of the DATA frame that is being read. */
  #awaitsPadLength = false
  #dataLeft = -1
  #paddingLeft = 0
  #turnLeft = TURN_FRAMES
  #isStopped = false

  constructor(handler: FrameHandler) {
    this.#handler = handler
  }

  /** Nothing is handed on any more. */
  stop(): void {
    this.#isStopped = true
    this.#held = this.bytes = NOTHING
  }

  /** The type of the frame of which a part has come; -1: none has, or DATA. */
  get partialType(): number {
    return this.#heldSize > 3 ? (this.#held[3] as number) : -1
  }

  /** Returns where it stopped: at the end, or where its turn was over. Throws ConnectionFault. */
  push(bytes: Buffer, from: number): number {
    let at = from
    this.#turnLeft = TURN_FRAMES
    while (at < bytes.length && !this.#isStopped && this.#turnLeft > 0) {
      if (this.#dataLeft >= 0) at = this.#readData(bytes, at)
      else if (this.#heldSize > 0) at = this.#fill(bytes, at)
      else at = this.#readFrame(bytes, at)
    }
    this.bytes = NOTHING
    return at
  }

  /** Behind the frame that is being handed on. */
  endTurn(): void {
    this.#turnLeft = 0
  }

  #readFrame(bytes: Buffer, at: number): number {
    const have = bytes.length - at
    if (have < FRAME_HEAD_BYTES) return this.#hold(bytes, at)
    const length = lengthAt(bytes, at)
    if (bytes[at + 3] === DATA) return this.#beginData(bytes, at, length)
    if (have < FRAME_HEAD_BYTES + length) return this.#hold(bytes, at)
    this.#emit(bytes, at, length)
    return at + FRAME_HEAD_BYTES + length
  }

  #emit(bytes: Buffer, at: number, length: number): void {
    this.#readHead(bytes, at)
    this.bytes = bytes
    this.from = at + FRAME_HEAD_BYTES
    this.to = this.from + length
    this.#handler.onFrame(this)
  }

  #readHead(bytes: Buffer, at: number): void {
    this.type = bytes[at + 3] as number
    this.#turnLeft -= this.type === HEADERS ? HEAD_FRAMES : 1
    this.flags = bytes[at + 4] as number
    this.streamId = bytes.readUInt32BE(at + 5) & 0x7fff_ffff
  }

  // ---- frames that come in pieces

  #hold(bytes: Buffer, at: number): number {
    const have = bytes.length - at
    const size = have < FRAME_HEAD_BYTES ? FRAME_HEAD_BYTES : FRAME_HEAD_BYTES + lengthAt(bytes, at)
    this.#held = Buffer.allocUnsafe(size)
    bytes.copy(this.#held, 0, at)
    this.#heldSize = have
    return bytes.length
  }

  #fill(bytes: Buffer, from: number): number {
    const at = this.#append(bytes, from)
    if (this.#heldSize < this.#held.length) return at
    const length = lengthAt(this.#held, 0)
    const held = this.#held
    if (held[3] === DATA) {
      this.#release()
      this.#beginData(held, 0, length)
    } else if (held.length < FRAME_HEAD_BYTES + length) {
      this.#held = Buffer.allocUnsafe(FRAME_HEAD_BYTES + length)
      held.copy(this.#held)
    } else {
      this.#release()
      this.#emit(held, 0, length)
    }
    return at
  }

  #append(bytes: Buffer, from: number): number {
    const at = Math.min(bytes.length, from + this.#held.length - this.#heldSize)
    bytes.copy(this.#held, this.#heldSize, from, at)
    this.#heldSize += at - from
    return at
  }

  #release(): void {
    this.#held = NOTHING
    this.#heldSize = 0
  }

  // ---- DATA

  #beginData(bytes: Buffer, at: number, length: number): number {
    this.#readHead(bytes, at)
    this.#dataLeft = length
    this.#paddingLeft = 0
    this.#awaitsPadLength = (this.flags & PADDED) !== 0
    if (this.#awaitsPadLength && length === 0) throw new ConnectionFault(FRAME_SIZE_ERROR, 'padding without its length')
    this.#handler.onDataStart(this.streamId, this.flags, length)
    if (length === 0) this.#endData(bytes, at, at)
    return at + FRAME_HEAD_BYTES
  }

  #readData(bytes: Buffer, from: number): number {
    let at = from
    if (this.#awaitsPadLength) {
      this.#awaitsPadLength = false
      this.#paddingLeft = bytes[at++] as number
      this.#dataLeft -= 1 + this.#paddingLeft
      if (this.#dataLeft < 0) throw new ConnectionFault(PROTOCOL_ERROR, 'more padding than its frame')
      if (this.#dataLeft === 0) this.#tell(bytes, at, at)
    } else if (this.#dataLeft > 0) {
      const to = Math.min(bytes.length, at + this.#dataLeft)
      this.#dataLeft -= to - at
      this.#tell(bytes, at, to)
      at = to
    }
    if (this.#dataLeft > 0) return at
    const skipped = Math.min(bytes.length - at, this.#paddingLeft)
    this.#paddingLeft -= skipped
    if (this.#paddingLeft === 0) this.#dataLeft = -1
    return at + skipped
  }

  #endData(bytes: Buffer, from: number, to: number): void {
    this.#dataLeft = -1
    this.#handler.onDataPiece(bytes, from, to, (this.flags & END_STREAM) !== 0)
  }

  #tell(bytes: Buffer, from: number, to: number): void {
    this.#handler.onDataPiece(bytes, from, to, this.#dataLeft === 0 && (this.flags & END_STREAM) !== 0)
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = bytes.readUIntBE(at, 3)
  if (length > FRAME_LIMIT_BYTES) throw new ConnectionFault(FRAME_SIZE_ERROR, 'a frame beyond 16 KiB')
  return length
}
