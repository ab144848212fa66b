/** Ports for programs that cannot choose one by themselves. */

/** Returns ports of 127.0.0.1 that were free a moment ago, each another one. */
export function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}
