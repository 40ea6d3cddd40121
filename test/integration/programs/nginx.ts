// nginx from Debian as the application of a pod: files to download, a directory to upload into, and what it saw of a request.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pod } from '../../support/documents.ts'
import { NOBODY, programOf, scratchDirectory, selfSigned } from './programs.ts'

export const PORTS = { http: 8080, http2: 8081, https: 8443 } as const
/** The name in the certificate on PORTS.https. */
const SERVER_NAME = 'application.example'

export interface Nginx {
  /** Whatever lies here is served; what is PUT under /upload/ comes to the folder of that name. */
  readonly root: string
  /** The certificate on PORTS.https: PEM, and its file. */
  readonly pem: string
  readonly certificate: string
  readonly documents: string
}

export function nginxPod(): Nginx {
  const program = programOf('nginx', 'nginx')
  const directory = scratchDirectory('nginx')
  const root = join(directory, 'root')
  for (const path of [root, join(root, 'upload'), join(directory, 'temporary')]) {
    mkdirSync(path)
    chmodSync(path, 0o777)
  }
  const { certificate, key, pem } = selfSigned(directory, SERVER_NAME)
  const file = join(directory, 'nginx.conf')
  writeFileSync(file, configuration({ directory, root, certificate, key }))
  const documents = pod({
    name: 'nginx',
    command: [program, '-p', directory, '-e', 'stderr', '-c', file],
    ports: Object.values(PORTS),
    readiness: { tcpSocket: { port: PORTS.http }, periodSeconds: 1 },
    runAsUser: NOBODY,
  })
  return { root, pem, certificate, documents }
}

function configuration(at: { directory: string; root: string; certificate: string; key: string }): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${at.directory}/temporary/${kind};`)
    .join('\n  ')
  const listen = (port: number, more = '') => `listen ${port}${more}; listen [::]:${port}${more};`
  return `
daemon off;
worker_processes 1;
pid ${at.directory}/nginx.pid;
events { worker_connections 4096; }
http {
  ${temporary}
  access_log off;
  sendfile on;
  client_max_body_size 0;
  keepalive_requests 100000;
  default_type application/octet-stream;
  ssl_certificate ${at.certificate};
  ssl_certificate_key ${at.key};
  ssl_protocols TLSv1.2 TLSv1.3;
  server {
    ${listen(PORTS.http)} ${listen(PORTS.http2, ' http2')} ${listen(PORTS.https, ' ssl http2')}
    server_name _;
    root ${at.root};
    location / { }
    location /upload/ { dav_methods PUT DELETE; }
    location /seen {
      default_type text/plain;
      return 200 "$request_method $server_protocol expect=[$http_expect] host=[$http_host] name=[$ssl_server_name] tls=[$ssl_protocol] uri=[$request_uri]\\n";
    }
  }
}
`
}
