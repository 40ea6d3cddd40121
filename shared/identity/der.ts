// A strict reader of DER (X.690), just enough for certificates: definite minimal lengths, nothing left over, no depth by recursion.
// It works on bytes from strangers, so every length is checked against the element that holds it.

export interface DerElement {
  readonly tag: number
  /** The whole element, tag and length included. */
  readonly raw: Buffer
  readonly content: Buffer
}

export const DER = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** Reads the one element that starts at `offset`; throws an Error that says which rule of X.690 is broken. */
export function readElement(bytes: Buffer, offset = 0): DerElement {
  const tag = bytes[offset]
  const first = bytes[offset + 1]
  if (tag === undefined || first === undefined) throw new Error('DER ends in the middle of an element')
  if ((tag & 0x1f) === 0x1f) throw new Error('DER tag of more than one byte')
  let start = offset + 2
  let length = first
  if (first > 0x7f) {
    const count = first & 0x7f
    if (count === 0 || count > 3) throw new Error('DER length is indefinite or too large')
    if (start + count > bytes.length) throw new Error('DER ends in the middle of a length')
    length = bytes.readUIntBE(start, count)
    start += count
    if (length < 0x80 || length < 2 ** (8 * (count - 1))) throw new Error('DER length is not minimal')
  }
  const end = start + length
  if (end > bytes.length) throw new Error('DER element is longer than what holds it')
  return { tag, raw: bytes.subarray(offset, end), content: bytes.subarray(start, end) }
}

/** The elements inside one, in order. */
export function readChildren(content: Buffer): DerElement[] {
  const children: DerElement[] = []
  for (let offset = 0; offset < content.length; ) {
    const child = readElement(content, offset)
    children.push(child)
    offset += child.raw.length
  }
  return children
}

/** The one element that fills `bytes`, of the tag that is wanted. */
export function readOnly(bytes: Buffer, tag: number, what: string): DerElement {
  const element = readElement(bytes)
  if (element.raw.length !== bytes.length) throw new Error(`bytes follow the ${what}`)
  if (element.tag !== tag) throw new Error(`${what} has the DER tag ${element.tag}, want ${tag}`)
  return element
}

/** One element: tag, minimal length, content. */
export function encodeElement(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  if (content.length < 0x80) return Buffer.concat([Buffer.of(tag, content.length), content])
  const bytes: number[] = []
  for (let rest = content.length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.concat([Buffer.of(tag, 0x80 | bytes.length, ...bytes), content])
}
