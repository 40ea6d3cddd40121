// GET /metrics: the Prometheus page on all addresses of the pod.
import type { Page } from './http.ts'

/** `render` gives text exposition 0.0.4. */
export function metricsPage(render: () => string): Page {
  return () => ({ status: 200, contentType: 'text/plain; version=0.0.4; charset=utf-8', body: render() })
}
