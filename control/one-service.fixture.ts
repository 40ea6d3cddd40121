// The smallest configuration and world for tests of control as a whole: one service, no pods.
export const WORLD = {
  mesh: {
    name: 'demo',
    trustDomain: 'weft.test',
    podCIDRs: ['10.77.0.0/17'],
    serviceCIDRs: ['10.77.128.0/17'],
    gateways: [],
  },
  services: [{ namespace: 'shop', name: 'catalog', addresses: ['10.77.128.3'] }],
  pods: [],
}

export const MESH = `
apiVersion: v1
kind: Service
metadata: { name: catalog, namespace: shop }
spec: { selector: { app: catalog }, ports: [{ port: 8080, appProtocol: http }] }
`
