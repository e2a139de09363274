#!/usr/bin/env node
// Publishes this machine's readings from /proc, with a TTL: what is not renewed is gone.
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { flags, run } from "./publishing.mjs";

// A reading lives for so many turns, and for three seconds at least.
const TTL_TURNS = 3;
const TTL_MS_MIN = 3000;
const SECTOR_BYTES = 512;

const linesOf = (file) => readFileSync(file, "utf8").trimEnd().split("\n");
const fieldsOf = (line) => line.trim().split(/\s+/);

let before = { busy: 0, total: 0 };

// The share of time that the processors were busy since the last reading.
function processor() {
  const fields = fieldsOf(linesOf("/proc/stat")[0]).slice(1, 9).map(Number);
  const total = fields.reduce((sum, field) => sum + field, 0);
  const busy = total - fields[3] - fields[4];
  const percent = (100 * (busy - before.busy)) / Math.max(total - before.total, 1);
  before = { busy, total };
  return { cpu_percent: Math.round(10 * percent) / 10 };
}

function memory() {
  const kibibytes = Object.fromEntries(
    linesOf("/proc/meminfo").map((line) => [line.split(":")[0], Number(fieldsOf(line)[1])]));
  return {
    memory_total_bytes: kibibytes.MemTotal * 1024,
    memory_available_bytes: kibibytes.MemAvailable * 1024,
  };
}

function disks() {
  const readings = {};
  for (const fields of linesOf("/proc/diskstats").map(fieldsOf)) {
    if (/^(loop|ram)/.test(fields[2])) continue;
    readings[`disk:${fields[2]}:read_bytes`] = fields[5] * SECTOR_BYTES;
    readings[`disk:${fields[2]}:written_bytes`] = fields[9] * SECTOR_BYTES;
  }
  return readings;
}

function network() {
  const readings = {};
  for (const line of linesOf("/proc/net/dev").slice(2)) {
    const [name, numbers] = line.trim().split(/:(.*)/);
    const fields = fieldsOf(numbers);
    readings[`network:${name}:received_bytes`] = Number(fields[0]);
    readings[`network:${name}:sent_bytes`] = Number(fields[8]);
  }
  return readings;
}

const options = flags();
const ttlMs = Math.max(Math.round((TTL_TURNS * 1000) / options.rate), TTL_MS_MIN);
const machine = hostname();

function read() {
  const readings = { ...processor(), ...memory(), ...disks(), ...network() };
  return Object.entries(readings).map(([name, value]) =>
    ({ key: `machine:${machine}:${name}`, value, ttlMs }));
}

await run(options, read, { oneBatchCountsAsOne: true, repeat: false });
