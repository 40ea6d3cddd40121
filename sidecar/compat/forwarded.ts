// What http2-proxy takes for a request and a response of node:http. It joins them with its own request to the application; what
// is told of them comes from and goes to the streams of an exchange.
import { Duplex, Readable } from 'node:stream'

/** http2-proxy writes a Forwarded field of these, which does not go out: the fields are the exchange's. */
const NO_SOCKET = { localAddress: '', localPort: 0, remoteAddress: '', remotePort: 0, encrypted: false }

export class ForwardedRequest extends Readable {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly httpVersion = '1.1'
  readonly aborted = false
  readonly socket = NO_SOCKET
  /** Called when more of the body is wanted. */
  onWanted = () => {}

  constructor(method: string, url: string, headers: Readonly<Record<string, string>>) {
    super()
    this.method = method
    this.url = url
    this.headers = headers
  }

  override _read(): void {
    this.onWanted()
  }
}

/**
 * Tells http2-proxy of the end; answers are read from its request. It is written to only when an application changes the protocol without
 * being asked, which has ended the exchange by then: http2-proxy joins the two all the same.
 */
export class ForwardedResponse extends Duplex {
  constructor() {
    super({ autoDestroy: false })
  }

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    callback()
  }
}

/** The caller's end of a tunnel. The first thing that http2-proxy writes to it is the head, which its request has told already. */
export class TunnelEnd extends Duplex {
  onBytes: (bytes: Buffer) => void = () => {}
  onFinal = () => {}
  onWanted = () => {}
  #hasHead = false
  #isHeld = false
  #held: (() => void) | null = null

  constructor() {
    super({ allowHalfOpen: true })
    this.on('error', () => {})
  }

  hold(): void {
    this.#isHeld = true
  }

  release(): void {
    this.#isHeld = false
    const proceed = this.#held
    this.#held = null
    proceed?.()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (this.#hasHead) this.onBytes(chunk)
    this.#hasHead = true
    if (this.#isHeld) this.#held = callback
    else callback()
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.onFinal()
    callback()
  }

  override _read(): void {
    this.onWanted()
  }

  setTimeout(): void {}
  setNoDelay(): void {}
  setKeepAlive(): void {}
}
