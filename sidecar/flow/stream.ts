// One half of an exchange, on a connection of either HTTP version. Codecs implement it, everything else only uses it.
import type { FaultCode } from './error.ts'

/**
 * name, value, name, value, ... with pseudo-fields first, as in RFC 9113 section 8.3:
 * a request has :method, :scheme, :authority, :path; a response has :status. Names keep the case they came with;
 * compare them with sameName. Latin-1 strings. Host is only ever :authority; framing fields (Content-Length,
 * Transfer-Encoding) stay in so that the far side can see a declared length, hop-by-hop fields are the exchange's job.
 * Behind the pseudo-fields a list may have the pair NEVER_INDEXED and the lower-case names, parted by commas, of fields that no HPACK table may
 * ever hold (RFC 7541 section 7.1.3): the HTTP/2 codec adds and heeds it, HTTP/1.1 leaves it out, nobody else need know it.
 */
export type Fields = string[]

/** Looks like a pseudo-field, so that whatever copies or filters fields carries it along. */
export const NEVER_INDEXED = ':never-indexed'

/**
 * Why a half ended early.
 * refused: the peer did not process the request, it is safe to repeat (connect failed; HTTP/2: REFUSED_STREAM, a GOAWAY that
 * names a lower last stream, or a head that never left). closed: the connection ended in the middle; cancel: the other half, or the
 * peer (HTTP/2: CANCEL), lost interest; protocol: the peer broke the rules; timeout: a deadline passed; internal: a bug of ours.
 */
export type ResetCode = 'refused' | 'closed' | 'cancel' | 'protocol' | 'timeout' | 'internal' | PeerWord

/**
 * Said by a peer of HTTP/2 alone. done: it needs no more of what we send, and has nothing to complain of (NO_ERROR); failed:
 * INTERNAL_ERROR, or a number that concerns no one else; malformed: what it got breaks the rules (PROTOCOL_ERROR); calm:
 * ENHANCE_YOUR_CALM; insecure: INADEQUATE_SECURITY; http1: it must be asked by HTTP/1.1 (HTTP_1_1_REQUIRED).
 */
type PeerWord = 'done' | 'failed' | 'malformed' | 'calm' | 'insecure' | 'http1'

/**
 * One request and its answer. The order of calls, and of events, is that of HTTP: heads (1xx any number of times, with end
 * false, then the final one), data, at most one end: `end` true, or trailers. What breaks it, or comes after the end or a
 * reset, is ignored. Both halves may overlap: an answer may end before its request.
 */
export interface HttpStream {
  /**
   * Repeats for 1xx. After a 101 (or the head of an upgrade request that was answered so) data is raw; HTTP/2 has neither: there
   * `upgrade`, `connection` and their like are left out, and a 101 ends the half as internal.
   */
  sendHead(fields: Fields, end: boolean): void
  /**
   * Written or copied on return; false: stop the source until onDrain. `to` is exclusive. HTTP/2 sends as far as the windows of
   * stream and connection allow, in frames of up to 16 KiB in turn with other streams, and keeps the rest: false once more
   * than a window's worth waits. What is handed over in spite of a false is kept too, without bound.
   */
  sendData(bytes: Uint8Array, from: number, to: number, end: boolean): boolean
  /** Ends the message. Fields that the framing cannot carry (no chunked coding) are dropped. */
  sendTrailers(fields: Fields): void
  /**
   * Gives the half up; no event follows. On HTTP/1.1 it closes the connection unless the half is already over. On HTTP/2 it is
   * a RST_STREAM and touches no other stream: refused REFUSED_STREAM; cancel and timeout CANCEL; protocol PROTOCOL_ERROR; closed and
   * internal INTERNAL_ERROR; a word of a peer as that peer said it; and NO_ERROR whatever the code when a server has answered in full
   * and only the request goes on: its client may stop sending it, once what waits of the answer has gone. Otherwise what was not
   * sent is dropped.
   */
  reset(code: ResetCode): void
  /**
   * HTTP/2: hold the stream's window back, so that its peer sends at most what is left of it (`windowBytes`, 64 KiB unless
   * the connection was told otherwise); the connection's window is refunded all the same, other streams never notice.
   * HTTP/1.1: stop reading the socket. What has been allowed still arrives.
   */
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
  /** After a sendData that was false: the source may go on. */
  onDrain(): void
}

/** The accepting side of a connection: called once for each request, before its onHead; sets stream.events. */
export type StreamAcceptor = (stream: HttpStream) => void

export interface HttpServerConnection {
  /**
   * The connection ends with what is in flight, but an idle one stays: a request may be on its way. HTTP/1.1: says Connection:
   * close with the next answer. HTTP/2: the same as drain() as soon as, and not before, a request is in flight.
   */
  closeAfterNext(): void
  /**
   * The same, and an idle connection is closed at once. HTTP/2: a GOAWAY that refuses nothing yet, one round trip later (a PING
   * tells) the last one; requests that came before are finished, later ones are refused (safe to repeat elsewhere).
   */
  drain(): void
  /** Everything in flight is cut off. */
  destroy(): void
  /** Requests in flight: 0 or 1 on HTTP/1.1. */
  readonly active: number
}

export interface HttpServerOptions {
  readonly accept: StreamAcceptor
  /**
   * The codec refused a request (malformed: HTTP/1.1 answers and closes, HTTP/2 answers or resets the stream), or, on HTTP/2, the
   * connection as a whole (GOAWAY).
   */
  readonly onRefused: (code: FaultCode, detail: string) => void
  readonly onClose: () => void
}

/**
 * The opening side of a connection. HTTP/1.1 carries one request at a time, HTTP/2 as many as the peer's
 * SETTINGS_MAX_CONCURRENT_STREAMS says (100 until its SETTINGS have come). Callbacks may open requests.
 */
export interface HttpClientConnection {
  /** Starts a request; its head is sent with sendHead. Only while `capacity` is above 0; else it is reset at once. */
  open(events: StreamEvents): HttpStream
  /** How many more requests may be opened at this moment. 0 for good once `isLeaving`. */
  readonly capacity: number
  /** Requests in flight. */
  readonly active: number
  /**
   * True once no further request will be: told to close or drain, GOAWAY in either direction, stream ids used up, gone. What is in
   * flight goes on to its end (above the last stream of a GOAWAY: is reset as refused); then the connection closes by itself.
   */
  readonly isLeaving: boolean
  /** Nothing in flight, and a request may be opened. */
  readonly isIdle: boolean
  /** Called each time the connection becomes idle again. */
  onIdle: () => void
  /** Called each time `capacity` rises from 0, before onIdle where both hold: a request ended, or new SETTINGS allow more. */
  onCapacity: () => void
  /** Called once when isLeaving becomes true, unless onGone comes in its place: time to open another connection. */
  onLeaving: () => void
  /** Called once when the connection is closed, after the resets of what was in flight. */
  onGone: () => void
  /** No further request; closes when those in flight have ended, at once if none is. HTTP/2: says GOAWAY. */
  drain(): void
  destroy(): void
}

/** One that many requests share. */
export interface SharedClientConnection extends HttpClientConnection {
  /** Long bodies that pass at this moment, either way: they slow a request that is opened beside them. */
  readonly bulk: number
}
