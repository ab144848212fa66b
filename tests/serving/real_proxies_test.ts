/** The PROXY protocol with the real proxies: haproxy, and nginx's stream module [V12]. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { openConnection, type ProxyInfo, startServer, type TcpConnectOptions } from "../../mod.ts";
import { freePorts } from "../support/free_port.ts";
import { findProgram, skip } from "../support/machine.ts";
import { tempDir } from "../support/programs.ts";
import { certificate, portOf } from "../support/servers.ts";

const haproxy = await findProgram("haproxy", "the PROXY protocol with haproxy");
const nginx = await findProgram("nginx", "the PROXY protocol with nginx");
/** Where Debian keeps the stream module, which is loaded at run time. */
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so";
const hasStream = nginx !== null && await Deno.stat(streamModule).then(() => true, () => false);
if (nginx !== null && !hasStream) skip("the PROXY protocol with nginx", "its stream module is missing");

const { cert, key, caCert } = certificate;
const localhost = { hostname: "127.0.0.1" };
const ascii = (text: string) => new TextEncoder().encode(text);

/** A running program that is killed and waited for. */
async function started(command: string, args: string[], port: number): Promise<AsyncDisposable> {
  const process = new Deno.Command(command, { args, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
  let isOver = false;
  const errors = new Response(process.stderr).text();
  void process.status.then(() => isOver = true);
  // Neither tells when it listens.
  while (true) {
    try {
      (await Deno.connect({ ...localhost, port })).close();
      break;
    } catch {
      if (isOver) throw new Error(`${command} ended: ${await errors}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  return {
    async [Symbol.asyncDispose]() {
      process.kill("SIGKILL");
      await process.status;
      await errors;
    },
  };
}

async function withHaproxy(front: string, back: string, port: number): Promise<AsyncDisposable> {
  const path = `${tempDir()}/haproxy.cfg`;
  await Deno.writeTextFile(
    path,
    `defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind 127.0.0.1:${port} ${front}
  unique-id-format id-%ci-%cp
  default_backend back
backend back
  server one ${back}
`,
  );
  return await started(haproxy!, ["-db", "-f", path], port);
}

async function withNginx(front: string, back: string, port: number): Promise<AsyncDisposable> {
  const dir = tempDir();
  await Deno.writeTextFile(
    `${dir}/nginx.conf`,
    `load_module ${streamModule};
daemon off;
master_process off;
pid ${dir}/pid;
events {}
stream {
  server {
    listen 127.0.0.1:${port} ${front};
    set_real_ip_from 127.0.0.1;
    ${back}
  }
}
`,
  );
  return await started(nginx!, ["-p", dir, "-e", `${dir}/error.log`, "-c", `${dir}/nginx.conf`], port);
}

interface Seen {
  peername: Deno.Addr | undefined;
  proxy: ProxyInfo | undefined;
}

/** A server that echoes one line and tells what it has seen of each client. Empty connections are the probes of `started`. */
async function echoServer(isTls: boolean) {
  const seen: Seen[] = [];
  const server = await startServer(async (reader, writer) => {
    const line = await reader.readline();
    if (line.length === 0) return;
    seen.push({ peername: writer.getExtraInfo("peername"), proxy: writer.getExtraInfo("proxy") });
    writer.write(line);
    await writer.drain();
  }, { ...localhost, proxyProtocol: { from: ["127.0.0.1"] }, onError() {}, ...isTls && { tls: { cert, key } } });
  return { server, seen };
}

/** Sends a line and takes it back; returns the address that the client had. */
async function roundTrip(options: TcpConnectOptions): Promise<Deno.Addr> {
  await using connection = await openConnection({ ...localhost, ...options });
  connection.writer.write("a line\n");
  assertEquals(await connection.reader.readline(), ascii("a line\n"));
  return connection.writer.getExtraInfo("sockname")!;
}

for (const isTls of [false, true]) {
  const tls = isTls ? { serverName: "localhost", caCerts: [caCert] } : undefined;
  const name = isTls ? "TLS that passes through" : "TCP";
  for (const [keyword, version] of [["send-proxy", 1], ["send-proxy-v2", 2]] as const) {
    Deno.test({
      name: `haproxy with ${keyword}, ${name}: the server sees the client's address and the proxy's [V12]`,
      ignore: haproxy === null,
      async fn() {
        const { server, seen } = await echoServer(isTls);
        const [port = 0] = freePorts(1);
        {
          await using _proxy = await withHaproxy("", `127.0.0.1:${portOf(server)} ${keyword}`, port);
          const own = await roundTrip({ port, tls });
          const { peername, proxy } = seen[0]!;
          assertEquals({ ...peername }, { ...own });
          assertEquals([proxy!.version, proxy!.command], [version, "proxy"]);
          assertEquals(proxy!.destination, { transport: "tcp", ...localhost, port });
          assert((proxy!.address as Deno.NetAddr).port !== (own as Deno.NetAddr).port);
        }
        await server.shutdown({ grace: 0 });
      },
    });
  }
}

Deno.test({
  name: "haproxy that ends TLS tells by send-proxy-v2 the authority, ALPN, TLS and a unique id, with a checksum [V12]",
  ignore: haproxy === null,
  async fn() {
    const { server, seen } = await echoServer(false);
    const [port = 0] = freePorts(1);
    const pem = `${tempDir()}/site.pem`;
    await Deno.writeTextFile(pem, cert + key);
    const fields = "ssl,cert-cn,ssl-cipher,authority,crc32c,unique-id";
    const back = `127.0.0.1:${portOf(server)} send-proxy-v2 proxy-v2-options ${fields}`;
    {
      await using _proxy = await withHaproxy(`ssl crt ${pem} alpn h2,tideline`, back, port);
      const tls = { serverName: "localhost", caCerts: [caCert], alpnProtocols: ["tideline"] };
      const own = await roundTrip({ port, tls });
      const { peername, proxy } = seen.at(-1)!;
      assertEquals({ ...peername }, { ...own });
      const { authority, ssl, uniqueId } = proxy!.tlvs;
      assertEquals(authority, "localhost");
      assertMatch(new TextDecoder().decode(uniqueId), /^id-127\.0\.0\.1-\d+$/);
      assertEquals([ssl!.tls, ssl!.certificate, ssl!.verified], [true, false, false]);
      assertEquals(ssl!.version, "TLSv1.3");
      assertMatch(ssl!.cipher!, /^TLS_/);
    }
    await server.shutdown({ grace: 0 });
  },
});

Deno.test({
  name: "haproxy's health checks with check-send-proxy are LOCAL, and are served as such [V12]",
  ignore: haproxy === null,
  async fn() {
    const local = Promise.withResolvers<Seen>();
    const server = await startServer((_reader, writer) => {
      const proxy = writer.getExtraInfo("proxy")!;
      if (proxy.command === "local") local.resolve({ peername: writer.getExtraInfo("peername"), proxy });
      return writer.close();
    }, { ...localhost, proxyProtocol: { from: ["127.0.0.1"] }, onError() {} });
    const [port = 0] = freePorts(1);
    {
      const back = `127.0.0.1:${portOf(server)} send-proxy-v2 check check-send-proxy inter 100`;
      await using _proxy = await withHaproxy("", back, port);
      const { peername, proxy } = await local.promise;
      assertEquals(peername, proxy!.address);
      assertEquals(proxy!.destination, null);
    }
    await server.shutdown({ grace: 0 });
  },
});

const source: Deno.NetAddr = { transport: "tcp", hostname: "192.0.2.7", port: 4321 };
const destination: Deno.NetAddr = { transport: "tcp", hostname: "198.51.100.2", port: 443 };

for (const version of [1, 2] as const) {
  Deno.test({
    name: `haproxy with accept-proxy takes our header of version ${version}, and passes on what it tells [V12]`,
    ignore: haproxy === null,
    async fn() {
      const { server, seen } = await echoServer(false);
      const [port = 0] = freePorts(1);
      {
        await using _proxy = await withHaproxy("accept-proxy", `127.0.0.1:${portOf(server)} send-proxy-v2`, port);
        await roundTrip({ port, proxyProtocol: { source, destination, version } });
        assertEquals(seen[0]!.peername, source);
        assertEquals(seen[0]!.proxy!.destination, destination);
        await roundTrip({ port, proxyProtocol: "local" });
        assertEquals((seen[1]!.peername as Deno.NetAddr).hostname, "127.0.0.1");
      }
      await server.shutdown({ grace: 0 });
    },
  });

  Deno.test({
    name: `nginx's stream module takes our header of version ${version}, and tells it in one of version 1 [V12]`,
    ignore: !hasStream,
    async fn() {
      const { server, seen } = await echoServer(false);
      const [port = 0] = freePorts(1);
      {
        const back = `proxy_pass 127.0.0.1:${portOf(server)}; proxy_protocol on;`;
        await using _proxy = await withNginx("proxy_protocol", back, port);
        await roundTrip({ port, proxyProtocol: { source, destination, version } });
        assertEquals(seen[0]!.peername, source);
        assertEquals([seen[0]!.proxy!.version, seen[0]!.proxy!.command], [1, "proxy"]);
      }
      await server.shutdown({ grace: 0 });
    },
  });
}
