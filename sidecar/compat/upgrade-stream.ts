// A request to change to another protocol: after a 101 both directions are raw bytes, and each ends on its own.
import { STATUS_CODES } from 'node:http'
import type { Fields, HttpStream, ResetCode, StreamEvents } from '#flow/stream.ts'
import { unframed } from './message-fields.ts'
import type { PlainStream } from './plain-stream.ts'
import { isAnswer } from './sendable.ts'

const SILENT: StreamEvents = { onHead() {}, onData() {}, onTrailers() {}, onReset() {}, onDrain() {} }
const EMPTY = Buffer.alloc(0)

export class UpgradeStream implements HttpStream {
  events: StreamEvents = SILENT
  readonly version = '1.1'
  isOver = false
  hasSentHead = false
  #isTunnel = false
  #isSent = false
  #isReceived = false
  readonly #plain: PlainStream
  readonly #head: Buffer
  readonly #destroy: () => void

  constructor(plain: PlainStream, head: Buffer, destroy: () => void) {
    this.#plain = plain
    this.#head = Buffer.from(head)
    this.#destroy = destroy
  }

  sendHead(fields: Fields, end: boolean): void {
    if (this.isOver || this.hasSentHead) return
    const status = Number(fields[fields.indexOf(':status') + 1])
    if (status < 200 && status !== 101) return
    if (!isAnswer(fields, end)) return this.#giveUp()
    this.hasSentHead = true
    this.#isTunnel = status === 101
    this.#plain.write(headText(fields, status), 'latin1')
    if (this.#isTunnel) this.#begin()
    else if (end) this.#endSending()
  }

  /** A bug of ours, or of the other codec: a field that a line cannot carry. */
  #giveUp(): void {
    this.isOver = true
    queueMicrotask(() => this.events.onReset('internal'))
    this.#destroy()
  }

  #begin(): void {
    const plain = this.#plain
    // Not within the call that sent the 101: its caller is not ready for the other side to speak.
    process.nextTick(() => {
      if (this.isOver) return
      if (this.#head.length > 0) this.events.onData(this.#head, 0, this.#head.length, false)
      plain.on('data', (chunk: Buffer) => {
        if (!this.isOver) this.events.onData(chunk, 0, chunk.length, false)
      })
      plain.on('end', () => this.#onEnd())
      plain.on('drain', () => this.events.onDrain())
      plain.resume()
    })
  }

  #onEnd(): void {
    if (this.isOver) return
    this.#isReceived = true
    this.events.onData(EMPTY, 0, 0, true)
    this.#settle()
  }

  sendData(bytes: Uint8Array, from: number, to: number, end: boolean): boolean {
    if (this.isOver || this.#isSent || !this.hasSentHead) return true
    const goOn = to === from || this.#plain.write(Buffer.from(bytes.subarray(from, to)))
    if (end) this.#endSending()
    return goOn
  }

  sendTrailers(_fields: Fields): void {
    if (!this.isOver && !this.#isSent) this.#endSending()
  }

  /** An answer that turns the upgrade down ends the connection: what follows the request may be of either protocol. */
  #endSending(): void {
    this.#isSent = true
    this.#plain.end()
    if (!this.#isTunnel) this.#isReceived = true
    this.#settle()
  }

  reset(_code: ResetCode): void {
    if (this.isOver) return
    this.isOver = true
    this.#destroy()
  }

  pause(): void {
    if (this.#isTunnel) this.#plain.pause()
  }

  resume(): void {
    if (this.#isTunnel) this.#plain.resume()
  }

  onClosed(): void {
    if (this.isOver) return
    this.isOver = true
    this.events.onReset('closed')
  }

  #settle(): void {
    if (this.#isSent && this.#isReceived) this.isOver = true
  }
}

function headText(fields: Fields, status: number): string {
  const { fields: kept, length } = unframed(fields)
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  for (let i = 0; i < kept.length; i += 2) text += `${kept[i]}: ${kept[i + 1]}\r\n`
  if (length !== undefined) text += `Content-Length: ${length}\r\n`
  return `${text}Connection: ${status === 101 ? 'Upgrade' : 'close'}\r\n\r\n`
}
