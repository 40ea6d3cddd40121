// Every setting of the init container; the injector makes them of the annotations of the pod.
import { list, oneOf, readSettings, type SettingsOf } from '#shared/settings.ts'

export const SETTINGS = {
  skipInboundPorts: list(
    'WEFT_SKIP_INBOUND_PORTS',
    '',
    'Ports on which the application is reached without the sidecar.',
  ),
  skipOutboundPorts: list('WEFT_SKIP_OUTBOUND_PORTS', '', 'Ports that the application connects to by itself.'),
  skipSubnets: list('WEFT_SKIP_SUBNETS', '', 'Address ranges that the application connects to by itself.'),
  backend: oneOf('auto', 'nft', 'legacy')('WEFT_IPTABLES', 'auto', 'The kind of iptables; auto: what the node has.'),
}

export type InitConfig = SettingsOf<typeof SETTINGS>

export function readInitConfig(environment: NodeJS.ProcessEnv): InitConfig {
  return readSettings(SETTINGS, environment)
}
