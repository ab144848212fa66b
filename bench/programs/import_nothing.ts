// The empty script that the import of mod.ts is compared with.
