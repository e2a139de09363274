// What the publishers share: flags, pace, Ctrl-C, and a server that goes away and comes back.
//
// An entry is { key, value, ttlMs }; one without ttlMs stays. Entries are sent as one message of
// requests [0, msgid, "set", [key, value, { ttl_ms }]], and their responses come in one message.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { decodeMulti, encode } from "@msgpack/msgpack";
import { Dealer } from "zeromq";

// How long to wait for an answer before the server counts as away.
const ANSWER_TIMEOUT_MS = 2000;

class ServerAway extends Error {}

// The flags that every publisher has, and the one argument that some of them take.
export function flags() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      server: { type: "string", default: process.env.ENTREPOT_SERVER || "tcp://127.0.0.1:5555" },
      rate: { type: "string", default: "1" },
      count: { type: "string", default: "Infinity" },
    },
  });
  const [rate, count] = [Number(values.rate), Number(values.count)];
  if (!(rate > 0) || !(count > 0)) {
    say("--rate and --count are above 0");
    process.exit(2);
  }
  return { server: values.server, rate, count, file: positionals[0] };
}

export function say(text) {
  console.error(text);
}

class Sender {
  constructor(server) {
    this.server = server;
    this.connect();
  }

  connect() {
    this.socket = new Dealer({ linger: 0, receiveTimeout: ANSWER_TIMEOUT_MS });
    this.socket.connect(this.server);
  }

  async send(batch) {
    const requests = batch.map(({ key, value, ttlMs }, index) =>
      encode([0, index + 1, "set", [key, value, ...(ttlMs ? [{ ttl_ms: ttlMs }] : [])]]));
    await this.socket.send(Buffer.concat(requests));
    let body;
    try {
      [body] = await this.socket.receive();
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      // A new socket, so that a late answer is not taken for that of the next message.
      this.socket.close();
      this.connect();
      throw new ServerAway(`no answer from ${this.server} within ${ANSWER_TIMEOUT_MS} ms.`);
    }
    for (const [, , error] of decodeMulti(body)) {
      if (error?.retry === "later") throw new ServerAway(error.message);
      if (error) throw new Error(`${error.code}: ${error.message}`);
    }
  }
}

// Publishes until `count` is reached or Ctrl-C ends it. `nextBatch(most)` gives what to publish in
// this turn, perhaps nothing. A batch that could not be sent is sent again in the next turn with
// `repeat`, and is dropped for a newer one without.
export async function run({ server, rate, count }, nextBatch, options = {}) {
  const { oneBatchCountsAsOne = false, repeat = true } = options;
  const stop = new AbortController();
  const sender = new Sender(server);
  let published = 0;
  const end = () => {
    stop.abort();
    sender.socket.close();
  };
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  say(`publishing to ${server}; Ctrl-C ends`);

  let isAway = false;
  let batch = [];
  let turnAt = performance.now();
  try {
    for (;;) {
      if (batch.length === 0) batch = await nextBatch(count - published);
      try {
        if (batch.length > 0) await sender.send(batch);
        if (batch.length > 0 && isAway) {
          say("the server is back");
          isAway = false;
        }
        published += oneBatchCountsAsOne ? Math.min(batch.length, 1) : batch.length;
        batch = [];
      } catch (error) {
        if (!(error instanceof ServerAway)) throw error;
        if (!isAway) say(`the server is away: ${error.message}`);
        isAway = true;
        if (!repeat) batch = [];
      }
      if (published >= count) break;
      turnAt = Math.max(turnAt + 1000 / rate, performance.now());
      await sleep(turnAt - performance.now(), undefined, { signal: stop.signal });
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    if (!sender.socket.closed) sender.socket.close();
  }
  say(`ended after ${published}`);
}
