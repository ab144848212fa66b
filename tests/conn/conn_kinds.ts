export * from "../support/conn_kinds.ts";
