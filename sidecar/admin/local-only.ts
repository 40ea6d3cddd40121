// Who may use the admin pages: programs in the pod, never a web page in somebody's browser. A name that an attacker points
// at 127.0.0.1 (DNS rebinding) shows in Host; a cross-site request shows in Origin or Sec-Fetch-Site.
import type { IncomingMessage } from 'node:http'
import { plain, type Reply } from './http.ts'

const LOCAL_HOST = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i

export function refuseForeign(request: IncomingMessage): Reply | null {
  if (request.headers.origin !== undefined || isCrossSite(request.headers['sec-fetch-site'])) {
    return plain(403, 'the admin pages are not for web pages of other sites')
  }
  // A Unix socket has no remote address, and file permissions are its guard; its Host is whatever the client fancies.
  if (request.socket.remoteAddress === undefined) return null
  if (LOCAL_HOST.test(request.headers.host ?? '')) return null
  return plain(403, 'ask for localhost, 127.0.0.1 or [::1]')
}

function isCrossSite(site: string | string[] | undefined): boolean {
  return site !== undefined && site !== 'none' && site !== 'same-origin'
}
