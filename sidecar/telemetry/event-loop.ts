// How late the event loop runs. Node's histogram holds the sampling interval itself too, so that is taken off.
import { monitorEventLoopDelay } from 'node:perf_hooks'

const INTERVAL_MS = 50

export interface EventLoopMonitor {
  /** 99th percentile in seconds since the last call; begins anew with each call. */
  takeP99Seconds(): number
  stop(): void
}

export function monitorEventLoop(): EventLoopMonitor {
  const histogram = monitorEventLoopDelay({ resolution: INTERVAL_MS })
  histogram.enable()
  return {
    takeP99Seconds() {
      const delayMs = histogram.count === 0 ? 0 : Math.max(0, histogram.percentile(99) / 1e6 - INTERVAL_MS)
      histogram.reset()
      return delayMs / 1000
    },
    stop: () => void histogram.disable(),
  }
}
