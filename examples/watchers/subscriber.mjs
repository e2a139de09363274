// Prints changes as the server publishes them: node subscriber.mjs [FEED [PREFIX]]. Best effort.
//
// It needs zeromq and msgpack only. A message that was lost shows at the key's next change.
import { decode } from "@msgpack/msgpack";
import { Subscriber } from "zeromq";

const [feed = "tcp://127.0.0.1:5556", prefix = "price:"] = process.argv.slice(2);
const socket = new Subscriber();
socket.connect(feed);
socket.subscribe(prefix);
process.once("SIGINT", () => socket.close());

const versions = new Map();
for await (const [, body] of socket) {
  const event = decode(body);
  if (versions.has(event.key) && versions.get(event.key) !== event.previous_version) {
    console.log("something was lost of", event.key);
  }
  versions.set(event.key, event.op === "delete" ? 0 : event.version);
  console.log(event.op, event.key, JSON.stringify(event.value) ?? "");
}
