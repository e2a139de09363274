// A reply body, taken apart into its responses.
//
//    body     := response*
//    response := [1, msgid: uint32, error: nil / map, result: nil / map]

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "entrepot/result.h"
#include "wire_reader.h"

namespace entrepot {

// The encoded result of one request, or its error.
using Reply = Result<std::string>;

struct Response {
  uint32_t msgid;
  Reply reply;
};

// Reads the error map of a response; `bad_reply` where it is none. Fields that are not known are
// passed over.
Status ReadError(WireReader* reader);

// `bad_reply` for a body that is anything else. Notifications in it are passed over.
Result<std::vector<Response>> ParseReplyBody(std::string_view body);

}  // namespace entrepot
