// Events as lines: what `entrepot watch` and `entrepot changes` print.
//
//    plain   kind, tab, key, tab, value, with the escapes of output.h; synced and resync have their
//            token or their reason in the place of the key
//    jsonl   {"event": kind, "key": …, "value": …, "version": …, …}, fields named as on the wire
//
// Thread safety: functions on plain values.

#pragma once

#include <cstdio>
#include <string>

#include "entrepot/event.h"
#include "output.h"

namespace entrepot::cli {

// `format` is kPlain or kJsonLines. With `values` false, values are left out.
std::string EventLine(const Event& event, Format format, bool values);

// The value that the event carries; null where it carries none.
const Value* ValueOf(const Event& event);

}  // namespace entrepot::cli
