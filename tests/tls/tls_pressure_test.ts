// A server by the default engine takes no more from a client than is read, whatever openssl offers.
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { startServer } from "../../mod.ts";
import { ignore, theCerts } from "../support/certificates.ts";

const MiB = 1 << 20;
const OFFERED = 1024 * MiB;
const TAKEN = 8 * MiB;
/** What lies between the client and the handler at most: a pipe, openssl's buffers, those of two sockets, one read. */
const UNDER_WAY = 32 * MiB;

Deno.test(
  { name: "TLS: of 1 GiB that is offered, a slow handler lets in what it reads [M4, R10]", ignore },
  async () => {
    let sent = 0;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    await using server = await startServer(async (reader, writer) => {
      const p = new Uint8Array(65536);
      let taken = 0, most = 0;
      while (taken < TAKEN) {
        taken += (await reader.readinto(p))!;
        assertEquals(reader.buffered, 0);
        // Time enough for whoever reads ahead to have taken much.
        await new Promise((resolve) => setTimeout(resolve, 2));
        most = Math.max(most, sent - taken);
      }
      writer.abort();
      resolve(most);
    }, { hostname: "127.0.0.1", port: 0, tls: theCerts().server, onError: reject });
    const client = new Deno.Command("openssl", {
      args: ["s_client", "-connect", `127.0.0.1:${(server.addrs[0] as Deno.NetAddr).port}`, "-quiet"],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const writer = client.stdin.getWriter();
    const piece = new Uint8Array(MiB).fill(97);
    try {
      for (; sent < OFFERED; sent += piece.length) await writer.write(piece);
    } catch {
      // The server has had enough.
    }
    const most = await promise;
    await client.status;
    await writer.close().catch(() => {});
    assertGreater(sent, TAKEN - 1);
    assertLess(most, UNDER_WAY);
  },
);
