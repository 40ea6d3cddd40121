// The application of the small examples: says who it is. /down answers 503, and so does everything on FAILING_REPLICA.
import { createServer } from 'node:http'

const { POD_NAME = 'hello', WEFT_REPLICA, FAILING_REPLICA } = process.env
const isFailing = FAILING_REPLICA !== undefined && FAILING_REPLICA === WEFT_REPLICA

const server = createServer(({ url }, response) => {
  if (url === '/ready') return response.end('ready\n')
  response.statusCode = isFailing || url === '/down' ? 503 : 200
  return response.end(`${POD_NAME}\n`)
})
server.listen(8080)
process.on('SIGTERM', () => server.close(() => process.exit(0)))
