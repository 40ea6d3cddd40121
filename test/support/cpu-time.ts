// What something costs, on a machine where others compute too.

/** Milliseconds of this thread alone, in which it waited for nobody. */
export function cpuMsOf(act: () => void): number {
  const before = process.threadCpuUsage()
  act()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}
