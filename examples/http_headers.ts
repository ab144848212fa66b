/**
 * Prints the HTTP headers of a URL, http or https, as an example in the documentation of asyncio does.
 *
 *     deno run --allow-net examples/http_headers.ts https://example.com/path
 *
 * For a server whose certificate is from an authority of your own, add `--cert ca.pem` before the file.
 */
import { openConnection } from "@tideline/net";

const url = new URL(Deno.args[0] ?? "https://example.com/");
const tls = url.protocol === "https:";

await using connection = await openConnection({
  hostname: url.hostname.replace(/^\[|\]$/g, ""), // In a URL an IPv6 address is in brackets.
  port: Number(url.port) || (tls ? 443 : 80),
  tls,
  signal: AbortSignal.timeout(10_000),
});
const { reader, writer } = connection;

writer.write(`HEAD ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`);

for await (const line of reader.lines({ encoding: "latin1", signal: AbortSignal.timeout(10_000) })) {
  if (line === "") break;
  console.log(`HTTP header> ${line}`);
}
