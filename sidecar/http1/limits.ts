// The limits of the codec, in one place. Bodies and idle connections have none: a sidecar adds no limit of its own there.

/** Method, target and version with their blanks, without the line's end. */
export const REQUEST_LINE_LIMIT_BYTES = 32 * 1024
/** The whole head with its start line and the empty line; trailers have the same limit of their own. */
export const HEAD_LIMIT_BYTES = 60 * 1024
export const FIELD_LIMIT = 100
/** From the first byte of a head to its last. */
export const HEAD_TIMEOUT_MS = 10_000
/** Of one body, summed; what an extension says is dropped anyway (RFC 9112 section 7.1.1 asks for such a limit). */
export const CHUNK_EXTENSION_LIMIT_BYTES = 16 * 1024
/** Heads of 1xx answers to one request, summed: nothing holds their sender back. */
export const INTERIM_LIMIT_BYTES = 1024 * 1024
