/**
 * UDP: an echo server, and a client that sends a message and waits for the answer.
 *
 *     deno run --allow-net=127.0.0.1 examples/udp_echo.ts serve [port]
 *     deno run --allow-net=127.0.0.1 examples/udp_echo.ts send port message
 */
import { createDatagramEndpoint, DatagramProtocol, type DatagramTransport } from "@tideline/net";

class EchoServer extends DatagramProtocol {
  #transport!: DatagramTransport;

  override connectionMade(transport: DatagramTransport) {
    this.#transport = transport;
  }

  override datagramReceived(data: Uint8Array, addr: Deno.NetAddr) {
    console.log(`Received ${data.length} bytes from ${addr.hostname}`);
    this.#transport.sendto(data, addr);
  }
}

class EchoClient extends DatagramProtocol {
  readonly #answer = Promise.withResolvers<Uint8Array>();
  /** Resolves with the first datagram. */
  readonly answer = this.#answer.promise;

  constructor(readonly message: string) {
    super();
  }

  override connectionMade(transport: DatagramTransport) {
    transport.sendto(new TextEncoder().encode(this.message));
  }

  override datagramReceived(data: Uint8Array) {
    this.#answer.resolve(data);
  }

  // For example a refusal: no socket is bound to that port. Visible on Linux with --allow-ffi.
  override errorReceived(error: Error) {
    this.#answer.reject(error);
  }

  override connectionLost() {
    this.#answer.reject(new Error("There is no answer"));
  }
}

async function serve(port: number): Promise<void> {
  const { transport } = await createDatagramEndpoint(() => new EchoServer(), {
    localAddr: { hostname: "127.0.0.1", port },
  });
  console.log(`Serving on port ${(transport.getExtraInfo("sockname") as Deno.NetAddr).port}`);
}

async function send(port: number, message: string): Promise<void> {
  const { transport, protocol } = await createDatagramEndpoint(() => new EchoClient(message), {
    remoteAddr: { hostname: "127.0.0.1", port },
  });
  // A datagram may get lost, so the wait has a limit.
  const timer = setTimeout(() => transport.abort(), 5000);
  console.log(`Received: ${new TextDecoder().decode(await protocol.answer)}`);
  clearTimeout(timer);
  transport.close();
}

const [command, port, message] = Deno.args;
if (command === "serve") await serve(Number(port ?? 9999));
else if (command === "send" && message !== undefined) await send(Number(port), message);
else {
  console.error("usage: udp_echo.ts serve [port] | send <port> <message>");
  Deno.exit(2);
}
