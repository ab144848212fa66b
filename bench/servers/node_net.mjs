/**
 * The same with `node:net` (or `node:tls`), run by Node.js and by Deno.
 */
import net from "node:net";
import tls from "node:tls";
import fs from "node:fs";
import process from "node:process";

const given = (name) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};

function serve(socket) {
  socket.on("data", (data) => {
    if (!socket.write(data)) socket.pause();
  });
  socket.on("drain", () => socket.resume());
  socket.on("error", () => {});
}

const directory = given("tls");
const server = directory === undefined ? net.createServer({ noDelay: true }, serve) : tls.createServer({
  noDelay: true,
  cert: fs.readFileSync(`${directory}/localhost.crt`),
  key: fs.readFileSync(`${directory}/localhost.key`),
}, serve);
server.listen(Number(given("port") ?? 0), "127.0.0.1", () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
