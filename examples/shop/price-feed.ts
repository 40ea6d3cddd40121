// Prices over a WebSocket: a new one twice a second, and whatever a client says comes back to it.
import { serve } from './server.ts'
import { acceptClient } from './web-socket.ts'

const INTERVAL_MS = 500
const server = serve('price-feed', async () => undefined)
let counter = 0

server.on('upgrade', (request, socket, head) => {
  const client = acceptClient(request, socket, head)
  console.log(`price-feed: GET ${request.url} ${client === undefined ? 400 : 101}`)
  if (client === undefined) return
  const push = () => client.send(JSON.stringify({ product: '1', cents: 4200 + (counter++ % 100) }))
  const timer = setInterval(push, INTERVAL_MS)
  client.onText = (text) => client.send(JSON.stringify({ echo: text }))
  client.onClose = () => clearInterval(timer)
  push()
})
// Open sockets would keep the server from closing; a feed has nothing to finish.
process.on('SIGTERM', () => setTimeout(() => process.exit(0), 1000).unref())
