import { assertEquals, assertInstanceOf } from "@std/assert";
import { createSocket, type Socket } from "node:dgram";
import { watchRefusals } from "../../src/datagram/udp_refusals.ts";
import { seesRefusals } from "../support/machine.ts";

function bound(): Promise<Socket> {
  const socket = createSocket("udp4");
  return new Promise((resolve) => socket.bind(0, "127.0.0.1", () => resolve(socket)));
}

Deno.test("RefusalWatch finds a refusal that comes long after the send [D1]", async () => {
  if (!seesRefusals()) return;
  const gone = await bound();
  const { port } = gone.address();
  await new Promise<void>((resolve) => gone.close(resolve));
  await new Promise((resolve) => setTimeout(resolve)); // Deno lets go of the port a turn later

  const socket = await bound();
  const refused = Promise.withResolvers<Error>();
  const peer: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port };
  const watch = watchRefusals(socket, peer, refused.resolve)!;
  const told = Promise.withResolvers<void>();
  // sent() is called before the send: the first look finds nothing.
  watch.sent();
  setTimeout(() => socket.send(new Uint8Array(1), port, "127.0.0.1", () => told.resolve()), 10);
  assertInstanceOf(await refused.promise, Deno.errors.ConnectionRefused);
  await told.promise;
  watch.close();
  socket.close();
});

Deno.test("watchRefusals() does without where it may not call the system", async () => {
  const socket = await bound();
  const peer: Deno.NetAddr = { transport: "udp", hostname: "fe80::1%lo", port: 9 };
  assertEquals(watchRefusals(socket, peer, () => {}), null);
  socket.close();
});
