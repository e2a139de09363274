// Takes a body apart into its requests, without copying, allocating or throwing.
//
// It checks that each item is whole msgpack of a request's shape and nests within bounds; what the
// params mean is for each method to say (server/commands.h).
//
// Thread safety: none; a Decoder belongs to who reads one body.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/msgpack.h"
#include "protocol/message.h"

namespace entrepot {

class Decoder {
 public:
  // `nesting` bounds arrays and maps within one value.
  Decoder(std::string_view body, size_t nesting) : reader_(body), nesting_(nesting) {}

  // Reads the next item. False at the end of the body, and after an item that was malformed: where
  // that one ends is unknown. A malformed item carries its msgid where it begins [0, uint32.
  bool Next(Request* request);

  // Whether Next() would be false.
  bool AtEnd() const { return broken_ || reader_.AtEnd(); }
  // What has not been read.
  std::string_view rest() const { return {reader_.at(), reader_.remaining()}; }

 private:
  bool Read(Request* request);

  MsgpackReader reader_;
  size_t nesting_;
  bool broken_ = false;
};

}  // namespace entrepot
