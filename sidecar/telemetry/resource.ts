// Who the spans are from: the resource attributes of OpenTelemetry, from what the sidecar is told and from the
// environment variables that OpenTelemetry defines.
import type { WorkloadConfig } from '#shared/decide/config.ts'

export interface ResourceOptions {
  /** Known from the start (pod name, node); wins over what the workload's configuration tells. Empty: not known. */
  readonly resource: Readonly<Record<string, string>>
  /** OTEL_RESOURCE_ATTRIBUTES: wins over both. */
  readonly otelResourceAttributes?: string | undefined
  /** OTEL_SERVICE_NAME: wins over all. */
  readonly otelServiceName?: string | undefined
}

export function buildResource(options: ResourceOptions, workload: WorkloadConfig): Record<string, string> {
  const attributes: Record<string, string> = {
    'service.name': workload.name,
    'service.namespace': workload.namespace,
    'service.version': workload.labels['app.kubernetes.io/version'] ?? workload.labels['version'] ?? '',
    'k8s.namespace.name': workload.namespace,
    ...withoutEmpty(options.resource),
    ...parseResourceAttributes(options.otelResourceAttributes ?? ''),
  }
  if (options.otelServiceName) attributes['service.name'] = options.otelServiceName
  return withoutEmpty(attributes)
}

function withoutEmpty(attributes: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== ''))
}

/** "key=value,key=value", values percent-encoded, as in W3C Baggage; what cannot be read is left out. */
function parseResourceAttributes(text: string): Record<string, string> {
  const attributes: Record<string, string> = {}
  for (const pair of text.split(',')) {
    const equals = pair.indexOf('=')
    const key = pair.slice(0, Math.max(0, equals)).trim()
    const value = decode(pair.slice(equals + 1).trim())
    if (key !== '' && value !== undefined) attributes[key] = value
  }
  return attributes
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
