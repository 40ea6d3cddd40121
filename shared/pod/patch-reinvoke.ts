// What others have added to our containers between two runs of the webhook (defaults of a LimitRange, a required variable,
// a mount) stays, as long as it is in nobody's way. Everything else of them is as the template has it.
import type { Container } from './kubernetes-pod.ts'
import { unescapeReferences } from './template.ts'

export function keepForeign(built: Container, found: Container | undefined): Container {
  if (found === undefined) return built
  const env = built.env ?? []
  const mounts = built.volumeMounts ?? []
  const ownNames = new Set(env.map(({ name }) => name))
  const ownPaths = new Set(mounts.map(({ mountPath }) => mountPath))
  const ownVolumes = new Set(mounts.map(({ name }) => name))
  const foreignEnv = (found.env ?? []).filter(({ name }) => !ownNames.has(name) && !name.startsWith('WEFT_'))
  const foreignMounts = (found.volumeMounts ?? []).filter(
    ({ name, mountPath }) => !ownPaths.has(mountPath) && !ownVolumes.has(name),
  )
  return {
    ...built,
    ...(env.length + foreignEnv.length > 0 && { env: [...env, ...foreignEnv] }),
    ...(mounts.length + foreignMounts.length > 0 && { volumeMounts: [...mounts, ...foreignMounts] }),
    resources: {
      requests: { ...found.resources?.requests, ...built.resources?.requests },
      limits: { ...found.resources?.limits, ...built.resources?.limits },
    },
  }
}

/** The value that an earlier run gave. */
export function variableOf(container: Container | undefined, variable: string): string | undefined {
  const value = container?.env?.find(({ name }) => name === variable)?.value
  return typeof value === 'string' ? unescapeReferences(value) : undefined
}
