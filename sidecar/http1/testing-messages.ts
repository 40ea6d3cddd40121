// Messages as the tests of the server write them: requests as text, heads of answers as fields.
import type { Request } from './testing.ts'

export const text = (value: string) => Buffer.from(value, 'latin1')

export const get = (path: string, ...fields: string[]) =>
  `GET ${path} HTTP/1.1\r\nHost: shop\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`

export const get10 = (path: string, ...fields: string[]) =>
  `GET ${path} HTTP/1.0\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`

export const ok = (...fields: string[]) => [':status', '200', ...fields]

/** False: the client reads too slowly, as sendData says. */
export function send(request: Request, value: string, end: boolean): boolean {
  const bytes = text(value)
  return request.stream.sendData(bytes, 0, bytes.length, end)
}
