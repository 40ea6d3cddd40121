// Handler, layer, path: what happens once a connection, joined at build time and read in traffic order.

export type Handler<In, Out> = (input: In) => Promise<Out>
/** Wraps the next handler. Write it async only if it waits: a plain `return next(x)` costs a fifth. */
export type Layer<In, Next, Out> = (next: Handler<Next, Out>) => Handler<In, Out>

export class Path<In, Now, Out> {
  readonly #wrap: (handler: Handler<Now, Out>) => Handler<In, Out>

  private constructor(wrap: (handler: Handler<Now, Out>) => Handler<In, Out>) {
    this.#wrap = wrap
  }

  static from<In, Out>(): Path<In, In, Out> {
    return new Path((handler) => handler)
  }

  through<Next>(layer: Layer<Now, Next, Out>): Path<In, Next, Out> {
    return new Path((handler) => this.#wrap(layer(handler)))
  }

  to(handler: Handler<Now, Out>): Handler<In, Out> {
    return this.#wrap(handler)
  }
}

export function choose<In, Key extends string, Out>(
  keyOf: (input: In) => Key,
  branches: Readonly<Record<Key, Handler<In, Out>>>,
): Handler<In, Out> {
  return (input) => branches[keyOf(input)](input)
}
