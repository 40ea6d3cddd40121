// The process as a node runs it: what it does between SIGTERM and its end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type Agent, Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { shopPod } from '#shared/pod/pod.fixture.ts'
import { makeSelfSigned } from '#shared/webhook/self-signed.ts'
import { freePorts } from '../support/free-ports.ts'

const MAIN = fileURLToPath(new URL('../../injector/main.ts', import.meta.url))
const HOUR_MS = 3600 * 1000
const serving = makeSelfSigned({
  names: ['localhost'],
  notBefore: new Date(Date.now() - HOUR_MS),
  notAfter: new Date(Date.now() + HOUR_MS),
})

interface Injector extends AsyncDisposable {
  readonly webhookPort: number
  readonly metricsPort: number
  terminate(): void
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>
}

async function startInjector(more: Record<string, string>): Promise<Injector> {
  const directory = mkdtempSync(join(tmpdir(), 'weft-injector-'))
  const files = { WEFT_CERTIFICATE_FILE: join(directory, 'tls.crt'), WEFT_KEY_FILE: join(directory, 'tls.key') }
  writeFileSync(files.WEFT_CERTIFICATE_FILE, serving.certificate)
  writeFileSync(files.WEFT_KEY_FILE, serving.key)
  const [webhookPort = 0, metricsPort = 0] = await freePorts(2)
  const ports = { WEFT_WEBHOOK_PORT: `${webhookPort}`, WEFT_METRICS_PORT: `${metricsPort}` }
  const { PATH } = process.env
  const child = spawn(process.execPath, [MAIN], {
    env: { PATH, ...files, ...ports, ...more },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  for await (const line of createInterface({ input: child.stdout })) if (line.includes('the injector listens')) break
  child.stdout.resume()
  return {
    webhookPort,
    metricsPort,
    terminate: () => child.kill('SIGTERM'),
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
      rmSync(directory, { recursive: true })
    },
  }
}

function review(port: number, agent: Agent): Promise<{ connection: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest({
      port,
      host: 'localhost',
      path: '/mutate',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      ca: serving.certificate,
      agent,
    })
    request.on('error', reject)
    request.on('response', async (response) => {
      const chunks: Buffer[] = []
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
      resolve({ connection: response.headers.connection, body: Buffer.concat(chunks).toString() })
    })
    const resource = { group: '', version: 'v1', resource: 'pods' }
    const asked = { uid: 'u', operation: 'CREATE', namespace: 'shop', resource, object: shopPod() }
    request.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: asked }))
  })
}

test('after SIGTERM it is not ready at once, goes on injecting for the delay and moves its callers elsewhere, then ends', async () => {
  await using injector = await startInjector({ WEFT_SHUTDOWN_DELAY: '6s', WEFT_DRAIN_TIMEOUT: '1s' })
  const agent = new HttpsAgent({ keepAlive: true })
  const ready = async () => (await fetch(`http://localhost:${injector.metricsPort}/ready`)).status
  expect(await ready()).toBe(200)
  expect(await review(injector.webhookPort, agent)).toMatchObject({ connection: 'keep-alive' })

  const startedAt = performance.now()
  injector.terminate()
  await expect.poll(ready, { interval: 10 }).toBe(503)
  const late = await review(injector.webhookPort, agent)
  const answeredAfterMs = performance.now() - startedAt

  // Else the machine was too busy for this to be within the delay at all.
  expect(answeredAfterMs).toBeLessThan(6000)
  expect(late.connection).toBe('close')
  expect(late.body).toContain('"patchType":"JSONPatch"')
  expect(await injector.ended).toBe(0)
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(6000)
  await expect(review(injector.webhookPort, agent)).rejects.toThrow('ECONNREFUSED')
  agent.destroy()
})
