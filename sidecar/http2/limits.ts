// The limits of the codec, in one place. Bodies, idle connections and streams have none of time: a sidecar adds no limit of its own.

/** A field section decoded, each field with its name, value and 32 bytes as RFC 9113 section 6.5.2 counts: 60 KiB and 100 fields. */
export const FIELD_LIMIT = 100
export const SECTION_LIMIT_BYTES = 60 * 1024 + 32 * FIELD_LIMIT
/** More of both from another sidecar: its application may have used the limit up, and the mesh adds fields of its own. */
export const PEER_FIELDS = 16
export const PEER_SECTION_BYTES = 16 * 1024
/** The same as it comes, over all its frames; beyond it the connection ends, since the tables cannot be kept. */
export const BLOCK_LIMIT_BYTES = 80 * 1024
/** An honest sender fills a frame before it begins the next. */
export const CONTINUATION_LIMIT = 32
export const PATH_LIMIT_BYTES = 32 * 1024
/** Heads of 1xx answers to one request, summed: nothing holds their sender back. */
export const INTERIM_LIMIT_BYTES = 1024 * 1024
/** From the first byte of a head to its last. */
export const HEAD_TIMEOUT_MS = 10_000
export const SETTINGS_TIMEOUT_MS = 10_000
/** How much later a request of a peer begins while it resets too many: what is reset within it costs next to nothing. */
export const POSTPONED_MS = 20
/** For the PING that tells that a client knows of our GOAWAY. */
export const DRAIN_ROUND_TRIP_MS = 5_000

/**
 * For a peer that asks and gives no window at all: a body of which nothing could ever be sent. A reader that stops later has taken
 * its window, and is never hurried.
 */
export const STARVED_LIMIT_MS = 30_000

/**
 * Of each stream, until its bytes are delivered. Odd on purpose: where it is a multiple of what the peer writes at a time, it is used up
 * exactly at the end of a body, and Node (26.10) then ends the stream by RST_STREAM without END_STREAM: the message looks cut.
 */
export const STREAM_WINDOW_BYTES = 65_535
/** Where more is allowed: of the body, what must have been delivered before. */
export const GROWING_FROM_BYTES = 128 * 1024
/** Refunded on receipt, so it only bounds what is on the wire. */
export const CONNECTION_WINDOW_BYTES = 1024 * 1024
/** Streams that a client may have open at once. */
export const STREAM_LIMIT = 100
/**
 * Streams that we have open on one connection to an application, whatever it allows; more have a further connection. Node's server, for
 * one, allows any number, and refuses everybody's requests once it holds 10 MB for a connection: answers that nobody reads, say.
 */
export const APPLICATION_OPEN_LIMIT = 50
/** Streams that a server may be sent before its SETTINGS have come (RFC 9113 section 6.5.2 advises no peer to go below). */
export const ASSUMED_STREAM_LIMIT = 100
/** More than this waits on a stream: its source is told to stop. */
export const QUEUE_FULL_BYTES = 32 * 1024
export const QUEUE_DRAINED_BYTES = 8 * 1024
/** With this much unread by the client no further frame of it is read: answers and acknowledgements cost memory, too. */
export const UNREAD_LIMIT_BYTES = 1024 * 1024
/** Read and thrown away behind our end of a connection: twice what a client may have had on its way by flow control. */
export const LINGER_LIMIT_BYTES = 2 * CONNECTION_WINDOW_BYTES
/** A head beyond the limit of a section is refused; one that unpacks to so much ends its connection: it was made to cost us. */
export const UNPACKED_LIMIT_BYTES = 1024 * 1024
