// Standalone, `weft up` starts the sidecar as root, since the repository may lie where uid 1337 cannot read; once the
// bundle is loaded it gives root up for good. In a cluster it starts as 1337 and there is nothing to drop.

/** 0: stay what we are. Throws when the uid could be taken back, as nothing must run so. */
export function dropPrivileges(runAs: number): void {
  if (runAs === 0 || process.getuid?.() !== 0) return
  process.setgroups?.([])
  process.setgid?.(runAs)
  process.setuid?.(runAs)
  if (process.getuid?.() !== runAs || process.geteuid?.() !== runAs || process.getgid?.() !== runAs) {
    throw new Error(`the sidecar runs as uid ${process.getuid?.()}, want ${runAs}`)
  }
}
