// Names as in Kubernetes, by the hosts file of a pod: `ip netns exec` shows /etc/netns/NAMESPACE/hosts as /etc/hosts.
import type { MeshPlan, PodPlan, ServicePlan } from './plan.ts'

/** The text of /etc/hosts for one pod. */
export function hostsFile(plan: MeshPlan, pod: PodPlan): string {
  const lines = [
    '# made by weft up',
    '127.0.0.1 localhost',
    '::1 localhost ip6-localhost ip6-loopback',
    ...pod.addresses.map((address) => `${address} ${pod.name}`),
  ]
  const podsByName = new Map(plan.pods.map((each) => [each.name, each]))
  for (const service of plan.services) {
    const members = service.pods.map((name) => podsByName.get(name)).filter((each) => each !== undefined)
    // A virtual address means something to a sidecar only: a pod without one gets the pods themselves, in their order.
    const addresses = pod.isMeshed ? service.addresses : members.flatMap((member) => member.addresses)
    const names = serviceNames(service, pod.namespace)
    lines.push(...addresses.map((address) => `${address} ${names.join(' ')}`))
    for (const member of members) {
      const own = names.map((name) => `${member.name}.${name}`)
      lines.push(...member.addresses.map((address) => `${address} ${own.join(' ')}`))
    }
  }
  return `${lines.join('\n')}\n`
}

function serviceNames(service: ServicePlan, from: string): string[] {
  const full = `${service.name}.${service.namespace}`
  const short = service.namespace === from ? [service.name] : []
  // The full name first: it is the canonical one for whoever asks back.
  return [`${full}.svc.cluster.local`, `${full}.svc`, full, ...short]
}
