// Floods of HTTP/2 by hand (threats.md, sections 1 and 2). Each is what follows SETTINGS on a connection, and a piece that is sent
// over and over until the other side ends it.
import { block, frame, getBlock, settings, uint32 } from '../../sidecar/http2/testing-frames.ts'

const [DATA, HEADERS, PRIORITY, RST_STREAM, PING, WINDOW_UPDATE, CONTINUATION] = [0, 1, 2, 3, 6, 8, 9] as const
const [END_STREAM, END_HEADERS, NO_FLAGS] = [1, 4, 0] as const
const [INITIAL_WINDOW, CANCEL] = [4, 8] as const
const PIECES = 500

export interface Flood {
  /** Behind the preface. */
  readonly opening: Buffer
  /** The n-th piece of a connection, from 0; null: nothing more is sent, the connection stays open. */
  piece(n: number): Buffer | null
  /** Default true: what comes back is read. */
  readonly isRead?: boolean
  /** Default: a few. */
  readonly connections?: number
  /** Default: as many as the test has. What is held for a stopped reader is let go with its connection, and collected later. */
  readonly rounds?: number
}

/** Stream numbers of clients are odd. */
const streamId = (n: number) => 2 * n + 1
const many = (make: (i: number) => Buffer) => Buffer.concat(Array.from({ length: PIECES }, (_, i) => make(i)))
const always = (bytes: Buffer) => () => bytes
const emptyHead = frame(HEADERS, END_STREAM, 1)
const BLOCK = getBlock()
const openHead = frame(HEADERS, END_HEADERS, 1, BLOCK)

/** A request for an answer of 1 MiB. */
const big = (id: number) =>
  frame(
    HEADERS,
    END_STREAM | END_HEADERS,
    id,
    block([':method', 'GET', ':scheme', 'http', ':authority', 'shop', ':path', '/bytes/1048576']),
  )

function literal(name: string, value: Buffer): Buffer {
  // A field with incremental indexing; lengths of 7-bit prefixes.
  const size = [127]
  let left = value.length - 127
  for (; left >= 128; left >>= 7) size.push((left & 127) | 128)
  return Buffer.concat([Buffer.of(0x40, name.length), Buffer.from(name), Buffer.from([...size, left]), value])
}

/** One field of almost the whole table, then the same by one byte as often as a frame holds it: 4,000 bytes for each. */
const bomb = (name: string) =>
  Buffer.concat([getBlock(), literal(name, Buffer.alloc(4000, 'x')), Buffer.alloc(12_000, 0xbe)])

export const FLOODS: Readonly<Record<string, Flood>> = {
  CONTINUATION: {
    opening: Buffer.concat([settings(), frame(HEADERS, END_STREAM, 1, BLOCK)]),
    piece: always(many((i) => frame(CONTINUATION, NO_FLAGS, 1, block([`x-${i}`, 'y'.repeat(200)])))),
  },
  'empty CONTINUATION': {
    opening: Buffer.concat([settings(), emptyHead]),
    piece: always(many(() => frame(CONTINUATION, NO_FLAGS, 1))),
  },
  SETTINGS: { opening: settings(), piece: always(many(() => settings([INITIAL_WINDOW, 65_535]))) },
  PING: { opening: settings(), piece: always(many(() => frame(PING, NO_FLAGS, 0, Buffer.alloc(8)))) },
  'PING whose acknowledgements are not read': {
    opening: settings(),
    piece: always(many(() => frame(PING, NO_FLAGS, 0, Buffer.alloc(8)))),
    isRead: false,
  },
  'empty DATA': {
    opening: Buffer.concat([settings(), openHead]),
    piece: always(many(() => frame(DATA, NO_FLAGS, 1))),
  },
  WINDOW_UPDATE: {
    opening: Buffer.concat([settings(), openHead]),
    piece: always(many(() => frame(WINDOW_UPDATE, NO_FLAGS, 0, uint32(1)))),
  },
  PRIORITY: { opening: settings(), piece: always(many(() => frame(PRIORITY, NO_FLAGS, 1, Buffer.alloc(5)))) },
  'HPACK bomb': {
    opening: settings(),
    piece: (n) => frame(HEADERS, END_STREAM | END_HEADERS, streamId(n), bomb('x-bomb')),
  },
  'cookie bomb': {
    opening: settings(),
    piece: (n) => frame(HEADERS, END_STREAM | END_HEADERS, streamId(n), bomb('cookie')),
  },
  'a hundred answers for a window of nothing': {
    opening: settings([INITIAL_WINDOW, 0]),
    piece: (n) => (n === 0 ? Buffer.concat(Array.from({ length: 100 }, (_, i) => big(streamId(i)))) : null),
    connections: 1,
    rounds: 1,
  },
  'rapid reset': {
    opening: settings(),
    piece: (n) =>
      many((i) => {
        const id = streamId(n * PIECES + i)
        return Buffer.concat([
          frame(HEADERS, END_STREAM | END_HEADERS, id, BLOCK),
          frame(RST_STREAM, NO_FLAGS, id, uint32(CANCEL)),
        ])
      }),
  },
  'requests whose frames are made invalid': {
    opening: settings(),
    // The server resets, the client need not: "MadeYouReset".
    piece: (n) =>
      many((i) => {
        const id = streamId(n * PIECES + i)
        return Buffer.concat([frame(HEADERS, END_HEADERS, id, BLOCK), frame(WINDOW_UPDATE, NO_FLAGS, id, uint32(0))])
      }),
  },
}
