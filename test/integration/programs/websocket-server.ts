// The application of websocket.test.ts: npm's ws, which says back what it is told and counts who is there.
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const http = createServer((_request, response) => response.end('no socket here\n'))
const server = new WebSocketServer({ server: http })
server.on('connection', (socket) => {
  socket.on('error', () => {})
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})
http.listen({ port: 8080, host: '::', backlog: 1024 })
process.on('SIGTERM', () => process.exit(0))
