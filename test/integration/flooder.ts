// The attacker of http2-floods.test.ts, a process of its own: `flooder.ts PORT FLOOD` opens connections and floods each, and a new
// one in place of each that the sidecar ends, until its input ends. Then it says how much it could send.
import { connect, type Socket } from 'node:net'
import { setPriority } from 'node:os'
import { PREFACE } from '../../sidecar/http2/protocol.ts'
import { FLOODS, type Flood } from './http2-floods.ts'

// An attacker has a machine of its own: it must not win the processor from those whom it attacks.
setPriority(10)
const [port = '', name = ''] = process.argv.slice(2)
const flood = FLOODS[name]
if (flood === undefined) throw new Error(`no flood ${name}`)
const told = { connections: 0, bytes: 0 }
const open = new Set<Socket>()
let isOver = false
process.stdin.resume().on('end', () => {
  isOver = true
  for (const socket of open) socket.destroy()
  process.stdout.write(`${JSON.stringify(told)}\n`)
})
for (let left = flood.connections ?? 4; left > 0; left--) attack(flood)
process.stdout.write('flooding\n')

function attack({ opening, piece, isRead = true }: Flood): void {
  if (isOver) return
  // It does not end because the sidecar does.
  const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  let count = 0
  const go = () => {
    while (!isOver && !socket.destroyed) {
      const bytes = piece(count++)
      if (bytes === null) return
      told.bytes += bytes.length
      if (!socket.write(bytes)) return
    }
  }
  told.connections++
  open.add(socket)
  if (isRead) socket.resume()
  socket
    .on('error', () => {})
    .on('drain', go)
    .on('connect', () => {
      socket.write(PREFACE)
      socket.write(opening)
      go()
    })
    .on('close', () => {
      open.delete(socket)
      if (flood !== undefined) attack(flood)
    })
}
