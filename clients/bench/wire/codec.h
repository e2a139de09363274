// A server's protocol as the tester speaks it: requests to bytes, bytes to replies.
//
// A codec is shared by all clients and keeps no state of its own: what a client waits for stands in
// Client. Nothing is copied on the way in; replies are views of what was read.
//
// Thread safety: constant after construction.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "bench/wire/buffer.h"
#include "bench/wire/client.h"

namespace entrepot::bench {

class Codec {
 public:
  virtual ~Codec() = default;

  // Whether the protocol has requests of this kind.
  virtual bool Supports(Kind kind) const = 0;

  // Whether a find needs an index that the client itself keeps (Kind::kIndexAdd).
  virtual bool ClientKeepsIndex() const { return false; }

  // What a new connection sends first, before any batch.
  virtual std::string Greeting() const { return ""; }

  // How many bytes the server's part of the greeting takes at the front of `in`; nothing while it
  // is not whole. A Status ends the connection.
  virtual Result<std::optional<size_t>> ParseGreeting(std::string_view in) const {
    static_cast<void>(in);
    return std::optional<size_t>(0);
  }

  // Appends one batch; the id of its first request is `first_id`.
  virtual void Encode(std::span<const Request> requests, uint32_t first_id, Buffer* out) const = 0;

  // Hands each whole reply at the front of `in` to `client` and tells how many bytes they took. A
  // Status ends the connection: the server broke the protocol.
  virtual Result<size_t> Parse(std::string_view in, Client* client) const = 0;
};

// A codec whose batch is the body of one ZeroMQ message.
class BodyCodec {
 public:
  virtual ~BodyCodec() = default;
  virtual bool Supports(Kind kind) const = 0;
  // At least the size of the body that EncodeBody() makes.
  virtual size_t BodyBytesMax(std::span<const Request> requests) const = 0;
  // Writes the body at `out` and returns its end.
  virtual char* EncodeBody(std::span<const Request> requests, uint32_t first_id,
                           char* out) const = 0;
  // Takes a whole reply body.
  virtual Status ParseBody(std::string_view body, Client* client) const = 0;
};

// The codecs. `workload` must live longer.
std::unique_ptr<BodyCodec> MakeEntrepotCodec(const Workload* workload);
// The same requests; the reply is the request.
std::unique_ptr<BodyCodec> MakeEchoCodec(const Workload* workload);
// ZMTP 3.1 over a stream, as a DEALER, with bodies of `body`.
std::unique_ptr<Codec> MakeZmtpCodec(std::unique_ptr<BodyCodec> body);
// Bodies alone, for a driver whose library frames them: Encode() is EncodeBody(), Parse() takes
// exactly one body.
std::unique_ptr<Codec> MakeUnframedCodec(std::unique_ptr<BodyCodec> body);
std::unique_ptr<Codec> MakeRedisCodec(const Workload* workload);
// `meta`: memcached's meta commands instead of the classic ones.
std::unique_ptr<Codec> MakeMemcachedCodec(const Workload* workload, bool meta);

}  // namespace entrepot::bench
