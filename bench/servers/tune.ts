/**
 * Reserves GC headroom. Loaded before every server that is measured tuned.
 *
 * @module
 */
import { reserveGcHeadroom } from "../../src/tuning/mod.ts";

reserveGcHeadroom();
