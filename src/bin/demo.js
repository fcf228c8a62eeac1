#!/usr/bin/env node
import { launch } from "./preflight.js";

launch("../demo/demo.ts", ({ demo }) => demo(process.argv.slice(2)));
