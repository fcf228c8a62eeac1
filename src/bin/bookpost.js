#!/usr/bin/env node
import { launch } from "./preflight.js";

launch("../cli/main.ts", ({ main }) => main(process.argv.slice(2)));
