// The cursor of a page: the place behind which the next one goes on.
//
// It is the client's to keep; the server keeps nothing. It carries a hash of the call that it
// belongs to and of itself, under a key that is the same in every server, so that it is valid after
// a restart; the hash finds mistakes, not forgery: a forged cursor reads what a scan may read
// anyway.
//
// Thread safety: pure functions.
//
//    cursor := hash:u64 value key        -- value: a msgpack scalar, a text cut to kIndexedBytes;
//                                           by key: nil. key: bin
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/byte_buffer.h"
#include "store/entry.h"
#include "store/index_range.h"

namespace entrepot {

class Cursor {
 public:
  // Appends, as a msgpack bin, the cursor behind `entry` of a call. `call` names method, query,
  // prefix and order.
  static void Pack(ByteBuffer* out, std::string_view call, IndexOrder order, const Entry& entry);

  // Nothing when `bytes` are no cursor of this call. The cursor views `bytes`.
  static std::optional<IndexPlace> Read(std::string_view bytes, std::string_view call,
                                        IndexOrder order);
};

}  // namespace entrepot
