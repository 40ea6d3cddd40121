// Blocks for what waits on a stream, of all connections; what is kept beyond a burst has a limit.

/** A frame of the largest size. */
const BLOCK_BYTES = 16 * 1024
const KEPT_BLOCKS = 64

const freeBlocks: Buffer[] = []

export function takeBlock(): Buffer {
  return freeBlocks.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES)
}

/** Nobody may look at it any more. */
export function giveBackBlock(block: Buffer): void {
  if (freeBlocks.length < KEPT_BLOCKS) freeBlocks.push(block)
  // Set free now: the garbage collector comes for the memory outside its heap only after some 30 MiB of it.
  else (block.buffer as ArrayBuffer).transfer(0)
}
