/**
 * A protocol that is handed messages, by a codec.
 *
 * What it does not hand on because reading was paused, or another protocol was set, meanwhile goes back to the transport, which
 * delivers it when and to whom it is due. Nothing here or in what it loads needs Deno.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { IncompleteReadError } from "../common/incomplete_read_error.ts";
import { encodeTo } from "../framing/byte_buffer.ts";
import { ByteQueue } from "../framing/byte_queue.ts";
import type { Codec } from "../framing/codec.ts";
import { Protocol } from "./protocols.ts";
import type { Transport, UnreadBytes } from "./types.ts";

/**
 * A protocol that is handed messages, by a codec: to be extended by a class that has `messageReceived`.
 *
 * All messages that have come are handed over before reading goes on, and what is sent meanwhile leaves together. When the codec
 * or `messageReceived` throws, the connection is aborted with that error, as with every callback; so it is with an
 * {@linkcode IncompleteReadError} when the peer's end comes inside a message. A class that overrides `connectionMade`, `dataReceived`
 * or `eofReceived` calls that of `super`; one that is set by `setProtocol` is told of its transport by `connectionMade`.
 *
 * @example An upper-case server
 * ```ts
 * import { createServer, openConnection } from "@tideline/net";
 * import { framed, FramedProtocol, lines } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const codec = lines();
 * class UpperCase extends FramedProtocol<string> {
 *   override messageReceived(line: string) {
 *     this.send(line.toUpperCase());
 *   }
 * }
 * await using server = await createServer(() => new UpperCase(codec), { hostname: "127.0.0.1", port: 0 });
 *
 * await using client = framed(await openConnection({ port: server.port }), codec);
 * await client.send("hello");
 * assertEquals(await client.receive(), "HELLO");
 * ```
 */
export abstract class FramedProtocol<In, Out = In> extends Protocol {
  /** The codec. It may be changed between two messages: those that come after are decoded by the new one. */
  codec: Codec<In, Out>;
  readonly #queue = new ByteQueue();
  #transport: Transport | null = null;

  /**
   * Makes the protocol of one connection.
   *
   * @param codec Turns bytes into messages and messages into bytes. It may serve any number of connections
   */
  constructor(codec: Codec<In, Out>) {
    super();
    this.codec = codec;
  }

  /**
   * A message came.
   *
   * @param message The message
   */
  abstract messageReceived(message: In): void;

  /**
   * The transport.
   *
   * @throws {Error} Before `connectionMade`
   */
  get transport(): Transport {
    if (this.#transport === null) throw new Error("Cannot tell the transport: connectionMade() was not called");
    return this.#transport;
  }

  /** The bytes that belong to no message yet, for `startTls`: plain bytes after the last message are refused. */
  get unread(): UnreadBytes {
    const queue = this.#queue;
    return { length: queue.length, take: () => queue.take(queue.length) };
  }

  /**
   * Writes a message, in order with everything else that is written.
   *
   * @param message The message; its memory may be reused at once
   * @throws {FramingError} If it cannot be encoded; nothing of it is written then
   * @throws {Error} Before `connectionMade`
   */
  send(message: Out): void {
    encodeTo(this.codec, message, this.transport);
  }

  /**
   * The connection is made.
   *
   * @param transport The transport
   */
  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  /**
   * Bytes came: hands over the messages that are complete.
   *
   * @param data The bytes
   * @returns What an async `messageReceived` returned, to be waited for
   */
  override dataReceived(data: Bytes): void | Promise<unknown> {
    const queue = this.#queue;
    queue.adopt(data);
    const results: unknown[] = [];
    while (queue.length > 0) {
      const { taken } = queue;
      const message = this.codec.decode(queue);
      if (message === undefined) break;
      const result: unknown = this.messageReceived(message);
      if (result !== undefined) results.push(result);
      // A codec that takes no bytes for its messages would never come to an end.
      if (!this.#mayGoOn() || queue.taken === taken) break;
    }
    if (results.length > 0) return Promise.all(results);
  }

  /**
   * The peer sends no more: hands over the last message, if the codec has one.
   *
   * @returns As of `Protocol`: `undefined`, which closes the connection
   * @throws {IncompleteReadError} If the end comes inside a message
   */
  override eofReceived(): boolean | void {
    const queue = this.#queue;
    const message = this.codec.decodeEof?.(queue);
    if (message !== undefined) this.messageReceived(message);
    if (queue.length > 0) throw new IncompleteReadError(queue.take(queue.length), null, "a message");
  }

  /** Whether this protocol is to be handed the next message now; else the transport has the bytes back. */
  #mayGoOn(): boolean {
    const transport = this.#transport;
    if (transport === null || (transport.isReading() && transport.getProtocol() === this)) return true;
    const { length } = this.#queue;
    if (length > 0) transport.giveBack?.(this.#queue.take(length));
    return false;
  }
}
