#include "zmtp/common.h"

#include "zmtp/io_thread.h"

namespace entrepot::zmtp {

Common::Common(const ZmtpLimits& limits, Handler& the_handler)
    : shared(limits),
      handler(the_handler),
      refusals(shared.counters, the_handler),
      addresses(shared.limits) {}

Common::~Common() = default;

}  // namespace entrepot::zmtp
