// Ports for programs that cannot take port 0. Not of those that the kernel gives to connections and to port 0 (32768 and above): until
// the program listens, one of those may go to anybody.
import { once } from 'node:events'
import { createServer } from 'node:net'

const [FIRST, COUNT] = [16_000, 14_000]

/** Free a moment ago, at every address. */
export async function freePorts(count: number, random = Math.random): Promise<readonly number[]> {
  const found = new Set<number>()
  for (let tried = 0; found.size < count; tried++) {
    if (tried === 1000) throw new Error(`no free port from ${FIRST} on in ${tried} tries`)
    const port = FIRST + Math.floor(random() * COUNT)
    if (await isFree(port)) found.add(port)
  }
  return [...found]
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port)
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  await once(server.close(), 'close')
  return true
}
