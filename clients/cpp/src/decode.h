// Reads the result maps of the protocol's methods. Fields that are not known are passed over, so
// that a newer server can say more; what is known must be of its type, else it is `bad_reply`.

#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "entrepot/result.h"
#include "entrepot/types.h"
#include "entrepot/value.h"
#include "wire_reader.h"

namespace entrepot {

// Calls `visit` for each field of an encoded map whose names are strings. `visit` consumes the
// field's value, or returns false to have it passed over. False where the map is broken.
bool ForEachField(std::string_view map,
                  const std::function<bool(std::string_view name, WireReader& value)>& visit);

Result<Outcome> DecodeOutcome(std::string_view result);
Result<Items> DecodeItems(const std::vector<std::string>& keys, std::string_view result);
Result<Page> DecodePage(std::string_view result);
Result<Counted> DecodeCounted(std::string_view result);
Result<DeletedPrefix> DecodeDeletedPrefix(std::string_view result);
Result<TransactionOutcome> DecodeTransactionOutcome(std::string_view result);
Result<ServerInfo> DecodeServerInfo(std::string_view result);
Result<std::map<std::string, Value>> DecodeFigures(std::string_view result);

// The error of an answer that is not of the protocol.
Status BadReply();

}  // namespace entrepot
