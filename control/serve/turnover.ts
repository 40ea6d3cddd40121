// When sidecars change replicas: so that a replica that was added gets its share, and one that ends loses none at a stroke. gRPC's own
// maximum age of a connection (`grpc.max_connection_age_ms`) ends in a GOAWAY, of which a client hears nothing while its stream
// lives, and then in a broken stream; so control says it in a message of its own, and the sidecar has the new stream before it
// closes the old one.
import type { Clock } from '#shared/clock.ts'

export interface TurnoverOptions {
  /** Ready replicas, this one too. */
  replicas(): number
  /** Streams that are open here. */
  streams(): number
  readonly clock: Clock
  readonly random: () => number
}

export interface Turnover {
  /** Within which the sidecars of this replica should come back, were it to be lost. */
  spreadMs(): number
  /** Calls `move` again and again for as long as there is another replica to move to. Returns the way to stop. */
  age(move: () => void): () => void
}

const LONGEST_SPREAD_MS = 10_000
const SHORTEST_SPREAD_MS = 500
/** A handshake costs a replica about 1 ms of CPU, and it has other things to do. */
const SPREAD_PER_STREAM_MS = 2
const AGE_MS = 15 * 60_000
const AGE_JITTER = 0.2

export function createTurnover({ replicas, streams, clock, random }: TurnoverOptions): Turnover {
  const ageMs = () => AGE_MS * (1 - AGE_JITTER + 2 * AGE_JITTER * random())
  return {
    spreadMs() {
      // A lone replica that was lost is away for a while: its sidecars must not all stand before the door when it is back.
      if (replicas() < 2) return LONGEST_SPREAD_MS
      return Math.min(LONGEST_SPREAD_MS, Math.max(SHORTEST_SPREAD_MS, streams() * SPREAD_PER_STREAM_MS))
    },
    age(move) {
      let cancel = () => {}
      const begin = () => {
        cancel = clock.after(ageMs(), () => {
          if (replicas() > 1) move()
          begin()
        })
      }
      begin()
      return () => cancel()
    },
  }
}
