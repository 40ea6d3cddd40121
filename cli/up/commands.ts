// How a command is run as the application of a pod: in its network namespace, which shows the pod's /etc/hosts, as its user.
import type { PodPlan } from './plan.ts'

export function inNamespace(networkNamespace: string, argv: readonly string[]): readonly string[] {
  return ['ip', 'netns', 'exec', networkNamespace, ...argv]
}

export function asUser(user: PodPlan['user'], argv: readonly string[]): readonly string[] {
  const { uid, gid } = user
  if (uid === undefined && gid === undefined) return argv
  return [
    'setpriv',
    ...(uid === undefined ? [] : [`--reuid=${uid}`]),
    // As in Kubernetes: a user without a group is in group 0.
    `--regid=${gid ?? 0}`,
    '--clear-groups',
    '--',
    ...argv,
  ]
}
