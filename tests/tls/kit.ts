export * from "../support/bytes.ts";
export * from "../support/conns.ts";
export * from "../support/tls_ways.ts";
