// Our whole answer to a request that broke the rules of HTTP/1.1, by whichever engine that noticed.
import { STATUS_CODES } from 'node:http'
import { FAULTS, type FaultCode } from './error.ts'

/** `detail` is one of our own texts, never the peer's bytes. */
export function refusalText(code: FaultCode, detail: string): string {
  const { status, text } = FAULTS[code]
  const body = `${code}: ${text}: ${detail}\n`
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\ncontent-type: text/plain; charset=utf-8\r\n` +
    `content-length: ${body.length}\r\nx-weft-reason: ${code}\r\nconnection: close\r\n\r\n${body}`
  )
}
