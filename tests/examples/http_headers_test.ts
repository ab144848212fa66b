// HTTP headers from a real nginx, http and https, started here with a configuration of its own.
import { assertEquals, assertMatch } from "@std/assert";
import { selfSignedCertificate } from "../../src/testing/mod.ts";
import { run, runWell } from "./kit.ts";
import { hasProgram } from "../support/machine.ts";

const ignore = !await hasProgram("nginx", "the tests of http_headers.ts against nginx");

/** An nginx that serves http and https on ports of its own. */
class Nginx implements AsyncDisposable {
  private constructor(
    readonly dir: string,
    readonly ports: { http: number; https: number },
    readonly process: Deno.ChildProcess,
  ) {}

  /** The certificate of the authority of the https server. */
  get ca(): string {
    return `${this.dir}/ca.pem`;
  }

  static async start(): Promise<Nginx> {
    const dir = await Deno.makeTempDir();
    const { cert, key, caCert } = await selfSignedCertificate({ hostnames: ["localhost", "127.0.0.1"] });
    await Deno.writeTextFile(`${dir}/cert.pem`, cert);
    await Deno.writeTextFile(`${dir}/key.pem`, key);
    await Deno.writeTextFile(`${dir}/ca.pem`, caCert);
    const ports = freePorts();
    await Deno.writeTextFile(`${dir}/nginx.conf`, configuration(dir, ports));
    const process = new Deno.Command("nginx", {
      args: ["-p", dir, "-e", `${dir}/error.log`, "-c", `${dir}/nginx.conf`],
      stdout: "null",
      stderr: "null",
    }).spawn();
    const nginx = new Nginx(dir, ports, process);
    await nginx.#listening();
    return nginx;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGTERM");
    await this.process.status;
    await Deno.remove(this.dir, { recursive: true });
  }

  async #listening(): Promise<void> {
    let failed = false;
    void this.process.status.then(() => failed = true);
    while (!failed) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port: this.ports.http })).close();
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    throw new Error(`Cannot start nginx: ${await Deno.readTextFile(`${this.dir}/error.log`)}`);
  }
}

function freePorts(): { http: number; https: number } {
  using one = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using two = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return { http: one.addr.port, https: two.addr.port };
}

function configuration(dir: string, { http, https }: { http: number; https: number }): string {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${dir}/${name};`);
  return `daemon off;
master_process off;
pid ${dir}/pid;
events {}
http {
  access_log off;
  ${paths.join("\n  ")}
  server {
    listen 127.0.0.1:${http};
    listen 127.0.0.1:${https} ssl;
    ssl_certificate ${dir}/cert.pem;
    ssl_certificate_key ${dir}/key.pem;
    add_header X-Query "$request_method $uri $args";
    location / { return 200 "the body"; }
  }
}
`;
}

Deno.test({
  name: "http_headers.ts prints the headers that nginx sends over http, and not the body",
  ignore,
  fn: async () => {
    await using nginx = await Nginx.start();
    const stdout = await runWell("http_headers.ts", [`http://127.0.0.1:${nginx.ports.http}/a/path?b=c`]);
    const lines = stdout.trimEnd().split("\n");
    assertEquals(lines[0], "HTTP header> HTTP/1.1 200 OK");
    assertMatch(stdout, /^HTTP header> Server: nginx\/.+$/m);
    assertMatch(stdout, /^HTTP header> X-Query: HEAD \/a\/path b=c$/m);
    assertEquals(lines.every((line) => line.startsWith("HTTP header> ")), true);
  },
});

Deno.test({
  name: "http_headers.ts prints the headers that nginx sends over https, with the authority that --cert names",
  ignore,
  fn: async () => {
    await using nginx = await Nginx.start();
    for (const hostname of ["localhost", "127.0.0.1"]) {
      const stdout = await runWell("http_headers.ts", [`https://${hostname}:${nginx.ports.https}/`], {
        flags: ["--cert", nginx.ca],
      });
      assertMatch(stdout, /^HTTP header> HTTP\/1.1 200 OK\n/);
      assertMatch(stdout, /^HTTP header> X-Query: HEAD \/ $/m);
    }
  },
});

Deno.test({
  name: "http_headers.ts refuses a certificate of an unknown authority [T2]",
  ignore,
  fn: async () => {
    await using nginx = await Nginx.start();
    const { code, stdout, stderr } = await run("http_headers.ts", [`https://localhost:${nginx.ports.https}/`]);
    assertEquals({ code, stdout }, { code: 1, stdout: "" });
    assertMatch(stderr, /UnknownIssuer/);
  },
});
