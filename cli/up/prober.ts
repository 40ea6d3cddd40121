// Asks how an application is: through the health port of its sidecar, which may reach it under Strict, or directly where there
// is no sidecar.
import type { Probe } from '#shared/resources/workload.ts'
import { accepts, call } from './http.ts'
import type { PodPlan } from './plan.ts'

const HEALTH_PORT = 15021
const TIMEOUT_MS = 2_000

export type ProbeName = 'readiness' | 'liveness'

export interface Prober {
  isSidecarReady(): Promise<boolean>
  /** A probe that the workload does not have succeeds, where there is a sidecar as far as that is ready. */
  succeeds(name: ProbeName): Promise<boolean>
}

export function createProber(plan: PodPlan): Prober {
  const host = plan.addresses[0] ?? ''
  const isSidecarReady = () => answers(host, HEALTH_PORT, '/ready')
  return {
    isSidecarReady,
    succeeds(name) {
      const probe = plan[name]
      if (!plan.isMeshed) return probe === undefined ? Promise.resolve(true) : askDirectly(host, probe)
      return probe === undefined ? isSidecarReady() : answers(host, HEALTH_PORT, `/probe/${name}`)
    },
  }
}

function askDirectly(host: string, { httpGet, tcpSocket }: Probe): Promise<boolean> {
  if (httpGet !== undefined) return answers(host, httpGet.port, httpGet.path)
  return accepts(host, tcpSocket?.port ?? 0, TIMEOUT_MS)
}

/** 200 to 399 is success, as the kubelet has it. */
async function answers(host: string, port: number, path: string): Promise<boolean> {
  try {
    const { status } = await call({ host, port, path, timeoutMs: TIMEOUT_MS })
    return status >= 200 && status < 400
  } catch {
    return false
  }
}
