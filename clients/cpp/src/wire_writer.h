// Appends the headers of msgpack arrays and maps, whose elements follow one after the other.

#pragma once

#include <cstdint>
#include <string>

namespace entrepot {

void AppendArrayHeader(uint32_t count, std::string* out);
void AppendMapHeader(uint32_t count, std::string* out);

}  // namespace entrepot
