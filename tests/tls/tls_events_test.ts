// Where Deno's engine lacks the methods that are called directly, it is driven by the events of a node stream.
import { assertEquals } from "@std/assert";
import { runProgram } from "../support/programs.ts";

Deno.test("TLS by node:tls works by events alone as well [T4]", async () => {
  const { stdout, stderr } = await runProgram(
    `
    import { TLSSocket } from "node:tls";
    import { connPair } from "@tideline/net";
    import { selfSignedCertificate } from "${new URL("../../src/testing/mod.ts", import.meta.url)}";
    import { tlsAcceptConn, tlsConnectConn } from "${new URL("../../src/tls/choose.ts", import.meta.url)}";

    // The handle of an engine is not seen.
    Object.defineProperty(TLSSocket.prototype, "ssl", { get: () => undefined, set() {} });

    const { cert, key, caCert } = await selfSignedCertificate();
    for (const size of [10, 100_000, 1_000_000]) {
      const [a, b] = connPair();
      const [client, server] = await Promise.all([
        tlsConnectConn(a, { serverName: "localhost", caCerts: [caCert] }),
        tlsAcceptConn(b, { cert, key }),
      ]);
      const data = new Uint8Array(size).map((_, i) => (i * 31 + (i >> 8)) & 255);
      const send = async (conn) => {
        for (let rest = data; rest.length > 0;) rest = rest.subarray(await conn.write(rest));
        await conn.closeWrite();
      };
      const receive = async (conn) => {
        const p = new Uint8Array(7000);
        let total = 0;
        for (let n; (n = await conn.read(p)) !== null; total += n) {
          for (let i = 0; i < n; i++) if (p[i] !== data[total + i]) throw new Error("wrong byte at " + (total + i));
        }
        return total;
      };
      const sums = await Promise.all([receive(client.conn), receive(server.conn), send(client.conn), send(server.conn)]);
      console.log(sums[0], sums[1]);
      client.conn.close();
      server.conn.close();
    }`,
    { permissions: ["-A"] },
  );
  assertEquals({ stdout, stderr }, { stdout: "10 10\n100000 100000\n1000000 1000000\n", stderr: "" });
});
