// What the import of mod.ts is compared with.
