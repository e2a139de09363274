#!/usr/bin/env node
// Replays a price feed from a file, one quote a turn, again from the top when it ends. The README
// has the format of the file.
import { readFileSync } from "node:fs";
import { flags, run, say } from "./publishing.mjs";

const options = flags();
const file = options.file ?? new URL("../prices.csv", import.meta.url);
const [header, ...rows] = readFileSync(file, "utf8").split("\n")
  .filter((line) => line.trim() && !line.startsWith("#"))
  .map((line) => line.trim().split(","));
const column = (name) => header.indexOf(name);
const quotes = rows.map((row) => ({
  key: `price:${row[column("symbol")]}`,
  value: { price: Number(row[column("price")]), time: row[column("time")] },
}));
if (quotes.length === 0) {
  say(`${file} holds no quotes`);
  process.exit(1);
}

let next = 0;
await run(options, () => [quotes[next++ % quotes.length]]);
