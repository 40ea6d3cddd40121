// Buffers for output, used again once the kernel (or TLS) has taken their bytes. All connections share them, so that an idle one
// holds none; what is kept beyond a burst has a limit.

/** Holds four frames of the largest size. */
export const POOLED_BYTES = 64 * 1024 + 64
const KEPT = 32

const free: Buffer[] = []

export function takeBuffer(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(POOLED_BYTES)
}

export function giveBack(buffer: Buffer): void {
  if (free.length < KEPT) free.push(buffer)
}
