import { expect, test } from 'vitest'
import { monitorEventLoop } from './event-loop.ts'

test('a blocked event loop shows, and the next reading begins anew', async () => {
  const monitor = monitorEventLoop()
  try {
    await new Promise((resolve) => setTimeout(resolve, 300))
    const until = performance.now() + 300
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 60))

    const blocked = monitor.takeP99Seconds()
    expect(blocked).toBeGreaterThan(0.2)
    // Seconds, not milliseconds.
    expect(blocked).toBeLessThan(30)
    expect(monitor.takeP99Seconds()).toBe(0)
  } finally {
    monitor.stop()
  }
})
