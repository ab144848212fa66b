// The package's own async/mod.js does not load outside JSR, so its files are named one by one.
// @ts-types="./mod.d.ts"
export * from "./index.js";
