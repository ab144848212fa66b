/**
 * Stdout and stderr of a process as one transport, for `stderr: "stdout"` where stdout is a pipe.
 *
 * Deno gives a process no descriptor of a pipe that it has made for another stream (2.9), so there are two pipes. What comes
 * from either is passed on as it is received: each keeps its own order.
 *
 * @module
 */
import type { BaseProtocolLike, ExtraInfo, ReadTransport, TransportStats } from "../transport/types.ts";

/** Two transports that are read from as one. */
export class MergedOutput implements ReadTransport {
  readonly #pipes: readonly [ReadTransport, ReadTransport];

  /** @param pipes The transports of stdout and of stderr */
  constructor(...pipes: [ReadTransport, ReadTransport]) {
    this.#pipes = pipes;
  }

  isReading(): boolean {
    return this.#pipes.some((pipe) => pipe.isReading());
  }

  pauseReading(): void {
    for (const pipe of this.#pipes) pipe.pauseReading();
  }

  resumeReading(): void {
    for (const pipe of this.#pipes) pipe.resumeReading();
  }

  isClosing(): boolean {
    return this.#pipes.every((pipe) => pipe.isClosing());
  }

  close(): void {
    for (const pipe of this.#pipes) pipe.close();
  }

  getExtraInfo<K extends keyof ExtraInfo, D = undefined>(name: K, defaultValue?: D): ExtraInfo[K] | D {
    return this.#pipes[0].getExtraInfo(name, defaultValue as D);
  }

  stats(): TransportStats {
    return sumOf(this.#pipes.map((pipe) => pipe.stats()));
  }

  getProtocol(): BaseProtocolLike {
    return this.#pipes[0].getProtocol();
  }

  setProtocol(protocol: BaseProtocolLike): void {
    for (const pipe of this.#pipes) pipe.setProtocol(protocol);
  }

  ref(): void {
    for (const pipe of this.#pipes) pipe.ref();
  }

  unref(): void {
    for (const pipe of this.#pipes) pipe.unref();
  }
}

/**
 * Adds up what several transports tell.
 *
 * @param list What they tell, of one at least
 * @returns The sums; the first and the last of the times
 */
export function sumOf(list: readonly TransportStats[]): TransportStats {
  return {
    bytesRead: list.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
    bytesWritten: list.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0),
    openedAt: Math.min(...list.map(({ openedAt }) => openedAt)),
    lastActive: Math.max(...list.map(({ lastActive }) => lastActive)),
    pausedSince: list.find(({ pausedSince }) => pausedSince !== null)?.pausedSince ?? null,
  };
}
