// One half of an exchange, on a connection of either HTTP version. Codecs implement it, everything else only uses it.
import type { FaultCode } from './error.ts'

/**
 * name, value, name, value, ... with pseudo-fields first, as in RFC 9113 section 8.3:
 * a request has :method, :scheme, :authority, :path; a response has :status. Names keep the case they came with;
 * compare them with sameName. Latin-1 strings. Host is only ever :authority; framing fields (Content-Length,
 * Transfer-Encoding) stay in so that the far side can see a declared length, hop-by-hop fields are the exchange's job.
 */
export type Fields = string[]

/**
 * Why a half ended early.
 * refused: the peer did not process the request, it is safe to repeat (connect failed, GOAWAY, REFUSED_STREAM).
 * closed: the connection ended in the middle; cancel: the other half lost interest; protocol: the peer broke the rules;
 * timeout: a deadline passed; internal: a bug of ours.
 */
export type ResetCode = 'refused' | 'closed' | 'cancel' | 'protocol' | 'timeout' | 'internal'

export interface HttpStream {
  /** Repeats for 1xx. After a 101 (or the head of an upgrade request that was answered so) data is raw. */
  sendHead(fields: Fields, end: boolean): void
  /** Written or copied on return; false: stop the source until onDrain. `to` is exclusive. */
  sendData(bytes: Uint8Array, from: number, to: number, end: boolean): boolean
  /** Ends the message. Fields that the framing cannot carry (no chunked coding) are dropped. */
  sendTrailers(fields: Fields): void
  /** Gives the half up; no event follows. On HTTP/1.1 it closes the connection unless the half is already over. */
  reset(code: ResetCode): void
  /** HTTP/2: hold the stream's window back; HTTP/1.1: stop reading the socket. At most a few chunks still arrive. */
  pause(): void
  resume(): void
  events: StreamEvents
  /** The HTTP version that this half speaks on the wire. */
  readonly version: '1.0' | '1.1' | '2'
}

export interface StreamEvents {
  onHead(fields: Fields, end: boolean): void
  /** The bytes are valid during the call only: copy to keep. `to` is exclusive. */
  onData(bytes: Uint8Array, from: number, to: number, end: boolean): void
  onTrailers(fields: Fields): void
  /** The half died; nothing follows. */
  onReset(code: ResetCode): void
  onDrain(): void
}

/** The accepting side of a connection: called once for each request, before its onHead; sets stream.events. */
export type StreamAcceptor = (stream: HttpStream) => void

export interface HttpServerConnection {
  /** Says Connection: close with the next answer and closes then. An idle connection stays: a request may be on its way. */
  closeAfterNext(): void
  /** The same, but an idle connection is closed at once. */
  drain(): void
  destroy(): void
  /** Requests in flight: 0 or 1 on HTTP/1.1. */
  readonly active: number
}

export interface HttpServerOptions {
  readonly accept: StreamAcceptor
  /** The codec answered a malformed request itself with this fault and will close. */
  readonly onRefused: (code: FaultCode, detail: string) => void
  readonly onClose: () => void
}

export interface HttpClientConnection {
  /** Starts a request; its head is sent with sendHead. Only while `isIdle`. */
  open(events: StreamEvents): HttpStream
  /** True while a further request may be opened: alive, not told to close, nothing in flight. */
  readonly isIdle: boolean
  /** Called each time the connection becomes idle again, and once when it is gone. */
  onIdle: () => void
  onGone: () => void
  destroy(): void
}
