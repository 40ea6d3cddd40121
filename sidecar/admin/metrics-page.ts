// GET /metrics: the Prometheus page on all addresses of the pod. Where the injector has pointed the scraper here instead of
// at the application, the application's page stands below ours: under Strict the scraper could not fetch it itself.
import { get } from 'node:http'
import type { Page } from './http.ts'

export interface ApplicationMetrics {
  readonly host: string
  readonly port: number
  readonly path: string
}

/** Below the 10 s after which Prometheus gives up by default. */
const TIMEOUT_MS = 5000
const MOST_BYTES = 16 * 1024 * 1024

/** `render` gives text exposition 0.0.4. An application that does not answer leaves ours whole, and a 0 in it. */
export function metricsPage(render: () => string, application?: ApplicationMetrics): Page {
  return async (_query, signal) => {
    const theirs = application === undefined ? '' : await scrape(application, signal)
    return { status: 200, contentType: 'text/plain; version=0.0.4; charset=utf-8', body: `${render()}${theirs}` }
  }
}

async function scrape(application: ApplicationMetrics, signal: AbortSignal): Promise<string> {
  const name = 'weft_application_metrics_up'
  const up = (value: 0 | 1) =>
    `# HELP ${name} 1 if the metrics of the application could be read.\n# TYPE ${name} gauge\n${name} ${value}\n`
  try {
    const page = await fetchPage(application, AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]))
    // The end mark of OpenMetrics would end ours too.
    return `${up(1)}${page.replaceAll(/^# EOF\s*$/gm, '').trimEnd()}\n`
  } catch {
    return up(0)
  }
}

function fetchPage({ host, port, path }: ApplicationMetrics, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { accept: 'text/plain;version=0.0.4', 'user-agent': 'weft-metrics', connection: 'close' }
    const request = get({ host, port, path, headers, signal, agent: false })
    request.on('error', reject)
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('error', reject)
      if (response.statusCode !== 200) response.destroy(new Error(`status ${response.statusCode}`))
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > MOST_BYTES) response.destroy(new Error('too long'))
        else chunks.push(chunk)
      })
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    })
  })
}
