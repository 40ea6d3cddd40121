// Huffman coding of strings (RFC 7541 section 5.2). Decoding walks a table four bits at a time: no code is shorter than five, so
// four bits end at most one symbol, and the table is small enough to stay in the cache.
import { CODE_LENGTHS, CODES, EOS } from './huffman-codes.ts'

const SYMBOL = 0x100
const FAILED = 0x2_0000

interface Tables {
  /** Index: state * 16 + four bits. Entry: the next state, SYMBOL and the symbol in the upper bits, or FAILED. */
  readonly steps: Uint32Array
  /** 1 for states in which a string may end: all since the last symbol is at most seven bits of ones. */
  readonly mayEnd: Uint8Array
}

const { steps: STEPS, mayEnd: MAY_END } = buildTables()

/** Returns the size of the text in `into`, or -1 when the code is broken. `into` holds at least 8/5 of the bytes. */
export function decodeHuffman(bytes: Uint8Array, from: number, to: number, into: Uint8Array): number {
  let state = 0
  let size = 0
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number
    let step = STEPS[(state << 4) | (byte >> 4)] as number
    if ((step & SYMBOL) !== 0) into[size++] = step >> 18
    const first = step
    step = STEPS[((step & 0xff) << 4) | (byte & 15)] as number
    if (((first | step) & FAILED) !== 0) return -1
    if ((step & SYMBOL) !== 0) into[size++] = step >> 18
    state = step & 0xff
  }
  return MAY_END[state] === 1 ? size : -1
}

/** Writes the text's code and returns the offset behind it. */
export function encodeHuffman(text: string, into: Uint8Array, from: number): number {
  let at = from
  let held = 0
  let heldBits = 0
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i)
    let length = CODE_LENGTHS[symbol] as number
    let code = CODES[symbol] as number
    // At most 7 bits are held, and a number shifts 32.
    if (length > 24) {
      held = (held << (length - 16)) | (code >>> 16)
      heldBits += length - 16
      code &= 0xffff
      length = 16
      while (heldBits >= 8) {
        heldBits -= 8
        into[at++] = held >>> heldBits
      }
    }
    held = (held << length) | code
    heldBits += length
    while (heldBits >= 8) {
      heldBits -= 8
      into[at++] = held >>> heldBits
    }
  }
  if (heldBits > 0) into[at++] = (held << (8 - heldBits)) | (0xff >> heldBits)
  return at
}

/** The code as a tree: a node's two children are a further node, a symbol (as -1 - symbol), or 0: none yet. */
function buildTree(): [number, number][] {
  const nodes: [number, number][] = [[0, 0]]
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let at = 0
    for (let bit = (CODE_LENGTHS[symbol] as number) - 1; bit >= 0; bit--) {
      const node = nodes[at] as [number, number]
      const side = ((CODES[symbol] as number) >>> bit) & 1
      if (bit === 0) node[side] = -1 - symbol
      else if (node[side] === 0) node[side] = nodes.push([0, 0]) - 1
      at = node[side] as number
    }
  }
  return nodes
}

function buildTables(): Tables {
  const nodes = buildTree()
  const steps = new Uint32Array(nodes.length * 16)
  for (let state = 0; state < nodes.length; state++)
    for (let bits = 0; bits < 16; bits++) steps[(state << 4) | bits] = walk(nodes, state, bits)
  const mayEnd = new Uint8Array(nodes.length)
  for (let state = 0, depth = 0; depth < 8; depth++) {
    mayEnd[state] = 1
    state = (nodes[state] as [number, number])[1]
  }
  return { steps, mayEnd }
}

function walk(nodes: readonly (readonly [number, number])[], from: number, bits: number): number {
  let at = from
  let found = 0
  for (let bit = 3; bit >= 0; bit--) {
    const next = (nodes[at] as [number, number])[((bits >> bit) & 1) as 0 | 1]
    if (next === -1 - EOS) return FAILED
    if (next < 0) found = SYMBOL | ((-1 - next) << 18)
    at = Math.max(0, next)
  }
  return at | found
}
