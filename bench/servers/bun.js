/**
 * The same with `Bun.listen`.
 */
const given = (name) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};

const directory = given("tls");
const server = Bun.listen({
  hostname: "127.0.0.1",
  port: Number(given("port") ?? 0),
  ...(directory === undefined ? {} : {
    tls: { cert: Bun.file(`${directory}/localhost.crt`), key: Bun.file(`${directory}/localhost.key`) },
  }),
  socket: {
    open(socket) {
      socket.data = [];
      socket.setNoDelay(true);
    },
    data(socket, data) {
      if (socket.data.length > 0) return void socket.data.push(data);
      const sent = socket.write(data);
      if (sent < data.length) socket.data.push(data.subarray(Math.max(sent, 0)));
    },
    drain(socket) {
      const waiting = socket.data;
      while (waiting.length > 0) {
        const sent = socket.write(waiting[0]);
        if (sent < waiting[0].length) {
          waiting[0] = waiting[0].subarray(Math.max(sent, 0));
          return;
        }
        waiting.shift();
      }
    },
    error() {},
  },
});
console.log(JSON.stringify({ port: server.port }));
