// Bodies as ZeroMQ messages: framed by ourselves on a stream, or handed to a library unframed.
#include <utility>

#include "bench/wire/codec.h"
#include "bench/wire/zmtp.h"

namespace entrepot::bench {
namespace {

class ZmtpCodec final : public Codec {
 public:
  explicit ZmtpCodec(std::unique_ptr<BodyCodec> body)
      : body_(std::move(body)), greeting_(MakeZmtpGreeting("DEALER")) {}

  bool Supports(Kind kind) const override { return body_->Supports(kind); }
  std::string Greeting() const override { return greeting_; }
  Result<std::optional<size_t>> ParseGreeting(std::string_view in) const override {
    return ParseZmtpGreeting(in);
  }

  void Encode(std::span<const Request> requests, uint32_t first_id, Buffer* out) const override {
    const size_t bytes_max = body_->BodyBytesMax(requests);
    char* const frame = out->Reserve(kFrameHeaderMax + bytes_max);
    // The header's size is guessed from the bound; where the guess was too large, the body moves.
    char* const guess = frame + (bytes_max <= kFrameShortMax ? 2 : kFrameHeaderMax);
    char* const guess_end = body_->EncodeBody(requests, first_id, guess);
    const size_t bytes = static_cast<size_t>(guess_end - guess);
    DCHECK(bytes <= bytes_max);
    char* const body = WriteFrameHeader(0, bytes, frame);
    if (body != guess) std::memmove(body, guess, bytes);
    out->Commit(body + bytes);
  }

  Result<size_t> Parse(std::string_view in, Client* client) const override {
    size_t taken = 0;
    while (true) {
      Frame frame;
      const FrameState state = ParseFrame(in.substr(taken), &frame);
      if (state == FrameState::kPartial) return taken;
      if (state == FrameState::kBroken) return Status(Code::kMalformed, "a frame is broken");
      taken += frame.bytes;
      if ((frame.flags & kFrameCommand) != 0) {
        if (std::optional<std::string> pong = AnswerPing(frame.body)) client->control() += *pong;
        continue;
      }
      if ((frame.flags & kFrameMore) != 0) {
        return Status(Code::kMalformed, "a reply has more than one frame");
      }
      Status status = body_->ParseBody(frame.body, client);
      if (!status.ok()) return status;
    }
  }

 private:
  std::unique_ptr<BodyCodec> body_;
  std::string greeting_;
};

class UnframedCodec final : public Codec {
 public:
  explicit UnframedCodec(std::unique_ptr<BodyCodec> body) : body_(std::move(body)) {}

  bool Supports(Kind kind) const override { return body_->Supports(kind); }

  void Encode(std::span<const Request> requests, uint32_t first_id, Buffer* out) const override {
    char* const body = out->Reserve(body_->BodyBytesMax(requests));
    out->Commit(body_->EncodeBody(requests, first_id, body));
  }

  Result<size_t> Parse(std::string_view in, Client* client) const override {
    Status status = body_->ParseBody(in, client);
    if (!status.ok()) return status;
    return in.size();
  }

 private:
  std::unique_ptr<BodyCodec> body_;
};

}  // namespace

std::unique_ptr<Codec> MakeZmtpCodec(std::unique_ptr<BodyCodec> body) {
  return std::make_unique<ZmtpCodec>(std::move(body));
}

std::unique_ptr<Codec> MakeUnframedCodec(std::unique_ptr<BodyCodec> body) {
  return std::make_unique<UnframedCodec>(std::move(body));
}

}  // namespace entrepot::bench
