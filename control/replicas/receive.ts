// The side of the replica that counts: takes the reports of the others, from control alone and only while it holds the Lease.
import { type handleClientStreamingCall, Metadata, type ServerReadableStream, status } from '@grpc/grpc-js'
import type { Clock } from '#shared/clock.ts'
import type { ReplicaReport, ReportEnd } from '#shared/contract/replicas.ts'
import { formatSpiffeId } from '#shared/identity/spiffe-id.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import { identifyPeer, type Peer } from '../serve/caller.ts'
import { ProtocolError } from '../serve/protocol-error.ts'
import type { Ledger, LedgerEntry } from './ledger.ts'

export interface ReceiveOptions {
  readonly ledger: Ledger
  readonly isLeader: Watch<boolean>
  /** Who control is: its trust domain and the namespace of Weft. */
  readonly trustDomain: string
  readonly systemNamespace: string
  /** This replica's own name. */
  readonly replica: string
  readonly clock: Clock
  readonly log: Log
}

type Report = handleClientStreamingCall<ReplicaReport, ReportEnd>
type Call = ServerReadableStream<ReplicaReport, ReportEnd>

const MOST_NAME_CHARACTERS = 253

export function receiveReports(options: ReceiveOptions): Report {
  return (call, callback) => {
    const stream = new ReportStream(call, options, callback)
    stream.begin()
  }
}

class ReportStream {
  readonly #call: Call
  readonly #options: ReceiveOptions
  readonly #answer: Parameters<Report>[1]
  readonly #cleanups: (() => void)[] = []
  #entry: LedgerEntry | null = null
  #isOver = false

  constructor(call: Call, options: ReceiveOptions, answer: Parameters<Report>[1]) {
    this.#call = call
    this.#options = options
    this.#answer = answer
  }

  begin(): void {
    this.#guard(() => {
      const { trustDomain, isLeader, clock } = this.#options
      const peer = identifyPeer(this.#call.getAuthContext()?.sslPeerCertificate?.raw, trustDomain)
      this.#requireControl(peer)
      if (!isLeader.current) throw this.#notLeader()
      const leftMs = Math.min(2 ** 31 - 1, peer.expiresAt.getTime() - clock.wall())
      const expired = new ProtocolError(status.UNAUTHENTICATED, 'the client certificate has expired')
      this.#cleanups.push(
        clock.after(leftMs, () => this.#end(expired)),
        isLeader.subscribe(() => this.#end(this.#notLeader())),
      )
      this.#call.sendMetadata(new Metadata())
    })
    this.#call.on('data', (report: ReplicaReport) => this.#guard(() => this.#take(report)))
    for (const event of ['cancelled', 'error'] as const) this.#call.on(event, () => this.#finish())
    this.#call.on('end', () => this.#end(null))
  }

  #requireControl({ id }: Peer): void {
    const { trustDomain, systemNamespace: namespace } = this.#options
    const control = formatSpiffeId({ trustDomain, namespace, serviceAccount: 'weft-control' })
    if (id !== control) throw new ProtocolError(status.PERMISSION_DENIED, `${id} is not ${control}`)
  }

  #notLeader(): ProtocolError {
    return new ProtocolError(status.FAILED_PRECONDITION, `${this.#options.replica} does not hold the Lease`)
  }

  #take(report: ReplicaReport): void {
    this.#entry ??= this.#open(report.replica)
    this.#entry.take(report)
  }

  #open(replica: string): LedgerEntry {
    const { ledger, log, replica: own } = this.#options
    if (replica === '' || replica === own || replica.length > MOST_NAME_CHARACTERS) {
      throw new ProtocolError(
        status.INVALID_ARGUMENT,
        `replica "${replica.slice(0, 100)}": want the name of the pod that reports, another than ${own}`,
      )
    }
    log.info({ replica }, 'a replica reports its sidecars')
    return ledger.open(replica)
  }

  #guard(run: () => void): void {
    try {
      if (!this.#isOver) run()
    } catch (error) {
      if (error instanceof ProtocolError) return this.#end(error)
      this.#options.log.error({ err: error }, 'the report of a replica failed')
      this.#end(new ProtocolError(status.INTERNAL, 'control failed; its log says how'))
    }
  }

  #end(error: ProtocolError | null): void {
    if (this.#isOver) return
    this.#finish()
    if (error === null) return this.#answer(null, {})
    this.#options.log.info({ code: status[error.code], reason: error.message }, 'ended the report of a replica')
    this.#answer({ code: error.code, details: error.message })
  }

  #finish(): void {
    this.#isOver = true
    for (const cleanup of this.#cleanups.splice(0)) cleanup()
    this.#entry?.close()
    this.#entry = null
  }
}
