#include "protocol/decoder.h"

namespace entrepot {

namespace {

// Around a value inside of a transaction: the options' map, a branch, an operation, its params, the
// array of a condition. The method that meets such a value checks its own nesting.
constexpr size_t kNestingAround = 6;

}  // namespace

bool Decoder::Next(Request* request) {
  if (broken_ || reader_.AtEnd()) return false;
  *request = Request{};
  request->begin = reader_.at();
  if (!Read(request)) {
    request->error = Code::kMalformed;
    broken_ = true;
  }
  return true;
}

bool Decoder::Read(Request* request) {
  Token token;
  uint32_t items;
  if (const std::string_view rest = this->rest(); (rest.front() & 0xf0) == 0x90) {
    // Read without a look at what follows, so that the msgid of an item that ends early is told.
    items = rest.front() & 0x0f;
    reader_ = MsgpackReader(rest.substr(1));
  } else {
    if (!reader_.Next(&token) || token.type != Token::kArray) return false;
    items = token.count;
  }
  if (items == 0 || !reader_.Next(&token) || token.type != Token::kUnsigned) return false;
  if (token.number == 0) {
    // Read before the count is judged, so that even a request of wrong length is answered by msgid.
    if (!reader_.Next(&token) || token.type != Token::kUnsigned || token.number > 0xffffffff) {
      return false;
    }
    request->msgid = static_cast<uint32_t>(token.number);
    if (items != 4) return false;
  } else if (token.number == 2 && items == 3) {
    request->notification = true;
  } else {
    return false;
  }
  if (!reader_.Next(&token) || token.type != Token::kString) return false;
  request->method_name = token.bytes;
  request->method = MethodByName(token.bytes);
  if (!reader_.Next(&token) || token.type != Token::kArray) return false;

  const uint32_t params = token.count;
  for (uint32_t i = 0; i < params; ++i) {
    const char* const begin = reader_.at();
    if (i == 0 && TakesKey(request->method)) {
      // The one param that every hot request has: read once.
      MsgpackReader ahead = reader_;
      Token key;
      if (ahead.Next(&key) && key.IsText()) {
        request->key = key.bytes;
        reader_ = ahead;
        request->params[0] = {begin, static_cast<size_t>(reader_.at() - begin)};
        continue;
      }
    }
    const bool is_value = request->method == Method::kSet && i == 1;
    if (reader_.Skip(is_value ? nesting_ : nesting_ + kNestingAround) !=
        MsgpackReader::Skipped::kWhole) {
      return false;
    }
    if (i < kParamsMax) {
      request->params[i] = {begin, static_cast<size_t>(reader_.at() - begin)};
    }
  }
  if (request->method == Method::kUnknown) {
    request->error = Code::kUnknownMethod;
  } else if (params > kParamsMax) {
    request->error = Code::kInvalidArgument;
  }
  request->param_count = static_cast<uint8_t>(params > kParamsMax ? kParamsMax : params);
  return true;
}

}  // namespace entrepot
