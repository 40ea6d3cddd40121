// The attacker of http2-floods.test.ts, a process of its own: `flooder.ts PORT FLOOD`. From each line "on" that it is told until the
// next "off" it floods some connections, with a new one in place of each that the sidecar ends. "on" is answered once the flood must
// be felt, "off" at once, both with what was sent so far.
import { connect, type Socket } from 'node:net'
import { setPriority } from 'node:os'
import { createInterface } from 'node:readline'
import { PREFACE } from '../../sidecar/http2/protocol.ts'
import { FLOODS, type Flood } from './http2-floods.ts'

// An attacker has a machine of its own: it must not win the processor from those whom it attacks.
setPriority(10)
const [port = '', name = ''] = process.argv.slice(2)
const flood = FLOODS[name]
if (flood === undefined) throw new Error(`no flood ${name}`)
/** Behind so much on all connections, the end of one or the last piece of one there is nothing to wait for. */
const FELT_BYTES = 128 * 1024
const sent = { connections: 0, bytes: 0 }
const open = new Set<Socket>()
let isOn = false
let feltFrom = Number.POSITIVE_INFINITY

createInterface(process.stdin).on('line', (line) => {
  isOn = line === 'on'
  if (isOn) {
    feltFrom = sent.bytes + FELT_BYTES
    for (let left = flood.connections ?? 4; left > 0; left--) attack(flood)
  } else {
    tellSent()
    for (const socket of open) socket.destroy()
  }
})

function tellSent(): void {
  feltFrom = Number.POSITIVE_INFINITY
  process.stdout.write(`${JSON.stringify(sent)}\n`)
}

function isFelt(): void {
  if (feltFrom !== Number.POSITIVE_INFINITY) tellSent()
}

function attack(flooded: Flood): void {
  const { opening, piece, isRead = true } = flooded
  const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  let count = 0
  const go = () => {
    while (!socket.destroyed) {
      const bytes = piece(count++)
      if (bytes === null) return isFelt()
      sent.bytes += bytes.length
      const goesOn = socket.write(bytes)
      if (sent.bytes >= feltFrom) isFelt()
      if (!goesOn) return
    }
  }
  sent.connections++
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
    // It loses no time with a connection that is no longer read.
    .on('end', () => {
      isFelt()
      socket.destroy()
    })
    .on('close', () => {
      open.delete(socket)
      if (isOn) attack(flooded)
    })
}
