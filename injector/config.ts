// Every setting of the injector with default and unit. main.ts hands in process.env, nobody else reads that.
import { API_SERVER_SETTINGS } from '#shared/kube/connect.ts'
import { type InjectionSettings, USUAL_SETTINGS } from '#shared/pod/template.ts'
import {
  count,
  LOG_LEVEL,
  list,
  milliseconds,
  oneOf,
  port,
  readSettings,
  type SettingsOf,
  text,
} from '#shared/settings.ts'
import { CERTIFICATE_SETTINGS } from '#shared/webhook/open-certificate.ts'

export const SETTINGS = {
  systemNamespace: text(
    'WEFT_SYSTEM_NAMESPACE',
    'weft-system',
    'Where Weft itself is: part of the identities of certs and control. Nothing is injected there.',
  ),
  version: text('WEFT_VERSION', USUAL_SETTINGS.version, 'Version of Weft, for the status of pods.'),
  image: text('WEFT_SIDECAR_IMAGE', USUAL_SETTINGS.image, 'Image of sidecar and init container.'),
  imagePullPolicy: oneOf('IfNotPresent', 'Always', 'Never')(
    'WEFT_IMAGE_PULL_POLICY',
    USUAL_SETTINGS.imagePullPolicy,
    'When nodes fetch that image.',
  ),
  trustDomain: text('WEFT_TRUST_DOMAIN', USUAL_SETTINGS.trustDomain, 'Trust domain of the mesh.'),
  controlAddress: text('WEFT_CONTROL_ADDRESS', USUAL_SETTINGS.controlAddress, 'Where sidecars find discovery.'),
  certsAddress: text(
    'WEFT_CERTS_ADDRESS',
    USUAL_SETTINGS.certsAddress,
    'Where sidecars find the certificate authority.',
  ),
  meshRanges: list('WEFT_MESH_RANGES', '', 'CIDRs of pods and services, handed to sidecars.'),
  tokenAudience: text('WEFT_TOKEN_AUDIENCE', USUAL_SETTINGS.tokenAudience, 'Audience of the token of sidecars.'),
  bundleConfigMap: text(
    'WEFT_BUNDLE_CONFIG_MAP',
    USUAL_SETTINGS.bundleConfigMap,
    'The ConfigMap with the trust bundle (bundle.pem), in each namespace of the mesh.',
  ),
  ...CERTIFICATE_SETTINGS,
  metricsPort: port('WEFT_METRICS_PORT', '15020', 'Prometheus metrics; /ready and /live.'),
  webhookConfiguration: text(
    'WEFT_WEBHOOK_CONFIGURATION',
    'weft-injector',
    'The MutatingWebhookConfiguration whose caBundle is kept true to that certificate.',
  ),
  serviceName: text('WEFT_SERVICE_NAME', 'weft-injector', 'The Service through which the API server asks.'),
  maxConcurrent: count('WEFT_MAX_CONCURRENT', '64', 'Reviews at a time; what comes above is told to come again.'),
  requestTimeoutMs: milliseconds('WEFT_REQUEST_TIMEOUT', '4s', 'How long a review may take: below timeoutSeconds: 5.'),
  drainTimeoutMs: milliseconds('WEFT_DRAIN_TIMEOUT', '5s', 'How long reviews may still run when it closes.'),
  ...API_SERVER_SETTINGS,
  logLevel: LOG_LEVEL,
}

export type InjectorConfig = SettingsOf<typeof SETTINGS>

export function readInjectorConfig(environment: NodeJS.ProcessEnv): InjectorConfig {
  return readSettings(SETTINGS, environment)
}

export function injectionSettings(config: InjectorConfig): InjectionSettings {
  const { systemNamespace, version, image, imagePullPolicy, trustDomain, controlAddress, certsAddress } = config
  const { meshRanges, tokenAudience, bundleConfigMap } = config
  return {
    version,
    image,
    imagePullPolicy,
    trustDomain,
    systemNamespace,
    controlAddress,
    certsAddress,
    meshRanges,
    tokenAudience,
    bundleConfigMap,
  }
}
