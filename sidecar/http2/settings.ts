// SETTINGS in both directions (RFC 9113 section 6.5).
import { ConnectionFault } from './faults.ts'
import { ASSUMED_STREAM_LIMIT, SECTION_LIMIT_BYTES } from './limits.ts'
import {
  FLOW_CONTROL_ERROR,
  FRAME_LIMIT_BYTES,
  INITIAL_WINDOW_BYTES,
  PROTOCOL_ERROR,
  SETTINGS_ENABLE_PUSH,
  SETTINGS_HEADER_TABLE_SIZE,
  SETTINGS_INITIAL_WINDOW_SIZE,
  SETTINGS_MAX_CONCURRENT_STREAMS,
  SETTINGS_MAX_FRAME_SIZE,
  SETTINGS_MAX_HEADER_LIST_SIZE,
  WINDOW_LIMIT_BYTES,
} from './protocol.ts'

export type Settings = readonly (readonly [number, number])[]

export function serverSettings(streamLimit: number, windowBytes: number): Settings {
  return [
    [SETTINGS_MAX_CONCURRENT_STREAMS, streamLimit],
    [SETTINGS_INITIAL_WINDOW_SIZE, windowBytes],
    [SETTINGS_MAX_HEADER_LIST_SIZE, SECTION_LIMIT_BYTES],
  ]
}

export function clientSettings(windowBytes: number): Settings {
  return [
    [SETTINGS_ENABLE_PUSH, 0],
    [SETTINGS_INITIAL_WINDOW_SIZE, windowBytes],
    [SETTINGS_MAX_HEADER_LIST_SIZE, SECTION_LIMIT_BYTES],
  ]
}

/** What the peer has said. Its limits on frames and heads need no memory: our frames are of the least size that all take. */
export class PeerSettings {
  initialWindowBytes = INITIAL_WINDOW_BYTES
  streamLimit = ASSUMED_STREAM_LIMIT
  #isFirst = true

  /** Throws ConnectionFault. `limitTable` is called for each table size, since a smaller one in between counts, too. */
  read(bytes: Buffer, from: number, to: number, limitTable: (sizeBytes: number) => void): void {
    // Without a word on it there is no limit of the peer's; ours is that of stream numbers.
    if (this.#isFirst) this.streamLimit = WINDOW_LIMIT_BYTES
    this.#isFirst = false
    for (let at = from; at < to; at += 6) {
      const value = bytes.readUInt32BE(at + 2)
      const id = bytes.readUInt16BE(at)
      if (id === SETTINGS_HEADER_TABLE_SIZE) limitTable(value)
      else this.#note(id, value)
    }
  }

  #note(id: number, value: number): void {
    switch (id) {
      case SETTINGS_ENABLE_PUSH:
        if (value > 1) throw new ConnectionFault(PROTOCOL_ERROR, 'SETTINGS_ENABLE_PUSH other than 0 and 1')
        return
      case SETTINGS_MAX_CONCURRENT_STREAMS:
        this.streamLimit = value
        return
      case SETTINGS_INITIAL_WINDOW_SIZE:
        if (value > WINDOW_LIMIT_BYTES) throw new ConnectionFault(FLOW_CONTROL_ERROR, 'an initial window beyond 2^31')
        this.initialWindowBytes = value
        return
      case SETTINGS_MAX_FRAME_SIZE:
        if (value < FRAME_LIMIT_BYTES || value >= 2 ** 24)
          throw new ConnectionFault(PROTOCOL_ERROR, 'SETTINGS_MAX_FRAME_SIZE out of bounds')
        return
      default:
    }
  }
}
