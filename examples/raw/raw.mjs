// Talks to entrepot-server with nothing but zeromq and msgpack: node raw.mjs [--server ENDPOINT]
import { parseArgs } from "node:util";
import { decodeMulti, encode } from "@msgpack/msgpack";
import { Dealer } from "zeromq";

const server = { type: "string", default: "tcp://127.0.0.1:5555" };
const { values } = parseArgs({ options: { server } });
const socket = new Dealer({ linger: 0, receiveTimeout: 5000 });
socket.connect(values.server);
let msgid = 0;

// Several requests in one message; their results, or the text of an error, in order.
async function callAll(...calls) {
  const sent = calls.map(([method, ...params]) => [0, ++msgid, method, params]);
  await socket.send(Buffer.concat(sent.map((request) => encode(request))));
  const [body] = await socket.receive().catch(() => {
    console.error("no answer within 5 seconds: is entrepot-server running?");
    process.exit(1);
  });
  const answers = new Map();
  for (const [, id, error, result] of decodeMulti(body)) {
    answers.set(id, error ? `${error.code}: ${error.message}` : result);
  }
  return sent.map(([, id]) => answers.get(id));
}

const call = async (...request) => (await callAll(request))[0];

console.log("hello      ", (await call("hello", { client: "raw.mjs" })).server);
console.log("set        ", await call("set", "raw.mjs/colour", "green"));
console.log("get        ", await call("get", "raw.mjs/colour"));
console.log("conflict   ", await call("set", "raw.mjs/colour", "red", { if_version: 0 }));
console.log("error      ", await call("set", "raw.mjs/colour", "red", { ttl: 60 }));
console.log("expires    ", await call("set", "raw.mjs/session", { user: 7 }, { ttl_ms: 60000 }));
console.log("one message", await callAll(...Array(3).fill(["increment", "raw.mjs/visits", 1])));
console.log("find       ", await call("find", "gr", { key_prefix: "raw.mjs/" }));
console.log("clean up   ", (await call("delete_prefix", "raw.mjs/")).deleted, "entries deleted");
socket.close();
