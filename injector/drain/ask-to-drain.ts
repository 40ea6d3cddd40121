// The preStop hook of weft-proxy: asks the sidecar to drain and waits until it has. The kubelet's own HTTP hook could not:
// it asks by GET at the pod's address, and admin is for programs within the pod alone.
import { request } from 'node:http'

/** Rejects when nobody answers, or with another status: the kubelet then goes on and tells it as an Event. */
export function askToDrain(adminPort: number): Promise<string> {
  return new Promise((resolve, reject) => {
    // No limit of ours: the sidecar has one, and the kubelet ends us with the pod.
    const asked = request({ host: '127.0.0.1', port: adminPort, path: '/drain', method: 'POST', agent: false })
    asked.on('error', reject)
    asked.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString()
        if (response.statusCode === 200) resolve(body)
        else reject(new Error(`the sidecar answered ${response.statusCode}: ${body}`))
      })
    })
    asked.end()
  })
}
