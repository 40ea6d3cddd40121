// What the first bytes of a connection are, judged without parsing more than is needed.

export type FirstBytes = 'http/1.1' | 'h2' | 'tls' | 'opaque' | 'more'

const H2_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
const TLS_HANDSHAKE = 0x16
// Any method is a token; these decide, others are HTTP only when a version follows on the first line.
const LONGEST_METHOD = 32
const LONGEST_REQUEST_LINE = 8192

/** `more` while the bytes so far could still become several things. */
export function judgeFirstBytes(bytes: Buffer): FirstBytes {
  if (bytes.length === 0) return 'more'
  if (bytes[0] === TLS_HANDSHAKE) return judgeTls(bytes)
  const shared = Math.min(bytes.length, H2_PREFACE.length)
  if (bytes.subarray(0, shared).equals(H2_PREFACE.subarray(0, shared)))
    return shared === H2_PREFACE.length ? 'h2' : 'more'
  return judgeHttp1(bytes)
}

/** A record of TLS 1.x (RFC 8446 section 5.1) that begins with a ClientHello. */
function judgeTls(bytes: Buffer): FirstBytes {
  if (bytes.length < 6) return bytes.length > 1 && bytes[1] !== 3 ? 'opaque' : 'more'
  return bytes[1] === 3 && bytes[5] === 1 ? 'tls' : 'opaque'
}

function judgeHttp1(bytes: Buffer): FirstBytes {
  const methodEnd = bytes.subarray(0, LONGEST_METHOD + 1).indexOf(0x20)
  const method = methodEnd < 0 ? bytes.subarray(0, LONGEST_METHOD + 1) : bytes.subarray(0, methodEnd)
  if (method.length === 0 || method.length > LONGEST_METHOD || !isUpperToken(method)) return 'opaque'
  if (methodEnd < 0) return 'more'
  const lineEnd = bytes.indexOf(0x0a, methodEnd)
  if (lineEnd < 0) return bytes.length > LONGEST_REQUEST_LINE ? 'opaque' : 'more'
  return bytes.toString('latin1', Math.max(methodEnd, lineEnd - 10), lineEnd).includes(' HTTP/') ? 'http/1.1' : 'opaque'
}

function isUpperToken(bytes: Buffer): boolean {
  for (const byte of bytes) {
    const isUpper = byte >= 0x41 && byte <= 0x5a
    if (!isUpper && byte !== 0x2d && byte !== 0x5f) return false
  }
  return true
}
