#include "server/response.h"

#include <bit>

namespace entrepot {

void PackReplay(ByteBuffer* out, Method method, const RetryOutcome& outcome) {
  using Extra = RetryOutcome::Extra;
  const bool deletion = method == Method::kDeletePrefix;
  PackMap(out, deletion ? 4 : outcome.extra_kind == Extra::kNone ? 3 : 4);
  if (!deletion) PackOutcome(out, static_cast<Outcome>(outcome.outcome));
  PackVersion(out, outcome.version);
  PackName(out, "replayed");
  PackBool(out, true);
  switch (outcome.extra_kind) {
    case Extra::kNone:
      break;
    case Extra::kUnsigned:
      PackName(out, "value");
      PackUnsigned(out, outcome.extra);
      break;
    case Extra::kNegative:
      PackName(out, "value");
      PackSigned(out, static_cast<int64_t>(outcome.extra));
      break;
    case Extra::kFloat:
      PackName(out, "value");
      PackFloat(out, std::bit_cast<double>(outcome.extra));
      break;
    case Extra::kLength:
      PackName(out, "length");
      PackUnsigned(out, outcome.extra);
      break;
    case Extra::kDeleted:
    case Extra::kDeletedMore:
      PackName(out, "deleted");
      PackUnsigned(out, outcome.extra);
      PackName(out, "more");
      PackBool(out, outcome.extra_kind == Extra::kDeletedMore);
      break;
  }
}

}  // namespace entrepot
