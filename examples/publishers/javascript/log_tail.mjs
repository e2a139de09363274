#!/usr/bin/env node
// Publishes each line of a file, and then each line that is added to it. A line's key holds its
// number, so that a second run writes the same again and nothing twice. A file that has become
// shorter or was replaced is read from its beginning.
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { flags, run, say } from "./publishing.mjs";

// A line is kept for an hour; so many are published in one turn at most.
const LINE_TTL_MS = 3_600_000;
const LINES_A_TURN = 500;
const READ_BYTES = 65536;

const options = flags();
if (options.file === undefined) {
  say("log_tail needs the name of a file");
  process.exit(2);
}

let inode = 0;
let offset = 0;
let number = 0;
let rest = Buffer.alloc(0); // Read, but not yet published.

// What is in the file behind `offset`, READ_BYTES at most.
async function readOn() {
  let file;
  try {
    file = await open(options.file);
  } catch (error) {
    if (error.code === "ENOENT") return; // Rotated away; the next one will come.
    throw error;
  }
  try {
    const now = await file.stat();
    if (now.ino !== inode || now.size < offset) {
      [inode, offset, number, rest] = [now.ino, 0, 0, Buffer.alloc(0)];
    }
    const { bytesRead, buffer } = await file.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES, offset);
    offset += bytesRead;
    rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
  } finally {
    await file.close();
  }
}

async function lines(most) {
  await readOn();
  const entries = [];
  for (let end; entries.length < Math.min(most, LINES_A_TURN) && (end = rest.indexOf("\n")) >= 0;) {
    const key = `log:${basename(options.file)}:${String(++number).padStart(9, "0")}`;
    const value = rest.subarray(0, end).toString("utf8").replace(/\r+$/, "");
    entries.push({ key, value, ttlMs: LINE_TTL_MS });
    rest = rest.subarray(end + 1);
  }
  return entries;
}

await run(options, lines);
