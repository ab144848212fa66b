export * from "../support/bytes.ts";
export * from "../support/machine.ts";
export * from "../support/programs.ts";
export * from "../support/servers.ts";
export * from "../support/waiting.ts";
