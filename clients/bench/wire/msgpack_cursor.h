// Reads msgpack in place, as far as the replies of the server need it.
//
// A general decoder would build objects for what is mostly skipped; a reply costs this one some ten
// nanoseconds, which is what lets one core of tester saturate one core of server.
//
// Every call returns false when the bytes end too early or are of another type. Only ReadBytes()
// then promises to stand where it stood; after the others the reply is broken.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/coding.h"

namespace entrepot::bench {

class MsgpackCursor {
 public:
  explicit MsgpackCursor(std::string_view bytes)
      : at_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

  bool AtEnd() const { return at_ == end_; }
  bool NextIsNil() const { return at_ < end_ && *at_ == 0xc0; }

  bool ReadNil() {
    if (!NextIsNil()) return false;
    ++at_;
    return true;
  }

  bool ReadUnsigned(uint64_t* value) {
    if (at_ == end_) return false;
    const uint8_t type = *at_++;
    if (type < 0x80) {
      *value = type;
      return true;
    }
    switch (type) {
      case 0xcc:
        return ReadBig<uint8_t>(value);
      case 0xcd:
        return ReadBig<uint16_t>(value);
      case 0xce:
        return ReadBig<uint32_t>(value);
      case 0xcf:
        return ReadBig<uint64_t>(value);
      default:
        return false;
    }
  }

  bool ReadSigned(int64_t* value) {
    if (at_ == end_) return false;
    uint64_t bits;
    switch (*at_) {
      case 0xd0:
        ++at_;
        if (!ReadBig<uint8_t>(&bits)) return false;
        *value = static_cast<int8_t>(bits);
        return true;
      case 0xd1:
        ++at_;
        if (!ReadBig<uint16_t>(&bits)) return false;
        *value = static_cast<int16_t>(bits);
        return true;
      case 0xd2:
        ++at_;
        if (!ReadBig<uint32_t>(&bits)) return false;
        *value = static_cast<int32_t>(bits);
        return true;
      case 0xd3:
        ++at_;
        if (!ReadBig<uint64_t>(&bits)) return false;
        *value = static_cast<int64_t>(bits);
        return true;
      default:
        break;
    }
    if (*at_ >= 0xe0) {
      *value = static_cast<int8_t>(*at_++);
      return true;
    }
    if (!ReadUnsigned(&bits)) return false;
    *value = static_cast<int64_t>(bits);
    return true;
  }

  // A str or a bin.
  bool ReadBytes(std::string_view* value) {
    if (at_ == end_) return false;
    const uint8_t type = *at_++;
    uint64_t size;
    if ((type & 0xe0) == 0xa0) {
      size = type & 0x1f;
    } else if (type == 0xd9 || type == 0xc4) {
      if (!ReadBig<uint8_t>(&size)) return false;
    } else if (type == 0xda || type == 0xc5) {
      if (!ReadBig<uint16_t>(&size)) return false;
    } else if (type == 0xdb || type == 0xc6) {
      if (!ReadBig<uint32_t>(&size)) return false;
    } else {
      --at_;  // Of another type: the caller may try that.
      return false;
    }
    if (size > static_cast<uint64_t>(end_ - at_)) return false;
    *value = {reinterpret_cast<const char*>(at_), static_cast<size_t>(size)};
    at_ += size;
    return true;
  }

  bool ReadArray(uint64_t* items) { return ReadHeader(0x90, 0xdc, items); }
  bool ReadMap(uint64_t* pairs) { return ReadHeader(0x80, 0xde, pairs); }

  // Passes over one value, whatever it holds.
  bool Skip() {
    for (uint64_t left = 1; left > 0; --left) {
      if (at_ == end_) return false;
      const uint8_t type = *at_++;
      uint64_t bytes = 0, items = 0;
      if (type < 0x80 || type >= 0xe0) continue;
      if (type < 0x90) {
        items = 2 * (type & 0x0f);
      } else if (type < 0xa0) {
        items = type & 0x0f;
      } else if (type < 0xc0) {
        bytes = type & 0x1f;
      } else if (!ReadLongExtent(type, &bytes, &items)) {
        return false;
      }
      if (bytes > static_cast<uint64_t>(end_ - at_)) return false;
      at_ += bytes;
      left += items;
    }
    return true;
  }

 private:
  template <typename T>
  bool ReadBig(uint64_t* value) {
    if (static_cast<size_t>(end_ - at_) < sizeof(T)) return false;
    *value = LoadBig<T>(at_);
    at_ += sizeof(T);
    return true;
  }

  bool ReadHeader(uint8_t fix, uint8_t long_type, uint64_t* count) {
    if (at_ == end_) return false;
    const uint8_t type = *at_++;
    if ((type & 0xf0) == fix) {
      *count = type & 0x0f;
      return true;
    }
    if (type == long_type) return ReadBig<uint16_t>(count);
    if (type == long_type + 1) return ReadBig<uint32_t>(count);
    return false;
  }

  // What follows a type of 0xc0 … 0xdf: that many bytes, and that many values.
  bool ReadLongExtent(uint8_t type, uint64_t* bytes, uint64_t* items) {
    switch (type) {
      case 0xc0:
      case 0xc2:
      case 0xc3:
        return true;
      case 0xc4:
      case 0xd9:
        return ReadBig<uint8_t>(bytes);
      case 0xc5:
      case 0xda:
        return ReadBig<uint16_t>(bytes);
      case 0xc6:
      case 0xdb:
        return ReadBig<uint32_t>(bytes);
      case 0xc7:
      case 0xc8:
      case 0xc9: {  // ext: the size does not count the type's byte.
        const bool whole = type == 0xc7   ? ReadBig<uint8_t>(bytes)
                           : type == 0xc8 ? ReadBig<uint16_t>(bytes)
                                          : ReadBig<uint32_t>(bytes);
        ++*bytes;
        return whole;
      }
      case 0xcc:
      case 0xd0:
        *bytes = 1;
        return true;
      case 0xcd:
      case 0xd1:
        *bytes = 2;
        return true;
      case 0xca:
      case 0xce:
      case 0xd2:
        *bytes = 4;
        return true;
      case 0xcb:
      case 0xcf:
      case 0xd3:
        *bytes = 8;
        return true;
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:  // fixext 1, 2, 4, 8, 16
        *bytes = 1 + (uint64_t{1} << (type - 0xd4));
        return true;
      case 0xdc:
        return ReadBig<uint16_t>(items);
      case 0xdd:
        return ReadBig<uint32_t>(items);
      case 0xde:
      case 0xdf: {
        const bool whole = type == 0xde ? ReadBig<uint16_t>(items) : ReadBig<uint32_t>(items);
        *items *= 2;
        return whole;
      }
      default:
        return false;
    }
  }

  const uint8_t* at_;
  const uint8_t* end_;
};

}  // namespace entrepot::bench
