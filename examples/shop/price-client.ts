// Asks the price feed over a WebSocket: one price, and an echo of what was said.
import type { IncomingHttpHeaders } from 'node:http'
import { passOn } from './server.ts'

const LIMIT_MS = 5000

export interface Price {
  readonly product: string
  readonly cents: number
  readonly echo: string
}

export async function readPrice(target: string, headers: IncomingHttpHeaders): Promise<Price> {
  const said = `hello at ${new Date().toISOString()}`
  // Node's WebSocket takes headers, which the browser's does not.
  const socket = new WebSocket(`ws://${target}/prices`, { headers: passOn(headers) } as never)
  const signal = AbortSignal.timeout(LIMIT_MS)
  try {
    return await new Promise<Price>((resolve, reject) => {
      let heard: Partial<Price> = {}
      signal.addEventListener('abort', () => reject(new Error(`no price after ${LIMIT_MS} ms`)))
      socket.addEventListener('error', () => reject(new Error('the price feed cannot be reached')))
      socket.addEventListener('close', () => reject(new Error('the price feed closed the connection')))
      socket.addEventListener('open', () => socket.send(said))
      socket.addEventListener('message', ({ data }) => {
        heard = { ...heard, ...(JSON.parse(String(data)) as Partial<Price>) }
        const { product, cents, echo } = heard
        if (product === undefined || cents === undefined || echo === undefined) return
        if (echo === said) resolve({ product, cents, echo })
        else reject(new Error(`the echo is not what was said: ${echo}`))
      })
    })
  } finally {
    socket.close()
  }
}
