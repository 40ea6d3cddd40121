// The names by which parts of Weft find each other's certificates on Kubernetes: injector, certs, charts and tests agree here.

/** Of the projected token that a sidecar shows to certs; a token for the API server is of no use there, nor ours elsewhere. */
export const TOKEN_AUDIENCE = 'weft.dev/certs'
/** The ConfigMap that certs keeps in every namespace with sidecars, and its key. */
export const TRUST_BUNDLE = { configMap: 'weft-trust-bundle', key: 'bundle.pem' } as const
/** On what Weft makes itself while it runs, so that an uninstallation finds it. */
export const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'weft' } as const
