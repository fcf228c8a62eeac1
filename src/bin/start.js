#!/usr/bin/env node
import { launch } from "./preflight.js";

launch("../ops/start.ts", ({ start }) => start(process.argv.slice(2)));
