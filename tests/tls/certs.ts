export * from "../support/certificates.ts";
