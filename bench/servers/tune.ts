/**
 * Run before a server that is measured tuned, whoever wrote it: reserves GC headroom.
 *
 * @module
 */
import { reserveGcHeadroom } from "../../src/tuning/mod.ts";

reserveGcHeadroom();
