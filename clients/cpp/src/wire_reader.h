// WireReader: a cursor over msgpack bytes that came from a server.
//
// It reads headers and scalars in place and steps over whole values, so that a value inside a
// response can be handed on byte for byte. Every read checks the bounds; after the first failure
// the reader stays failed and every further read fails too.
//
// It is not a general decoder: msgpack-cxx is (entrepot/msgpack.h), but it makes objects and loses
// the encoding.
//
// Lifetime: the bytes outlive the reader and every view it gave out.
// Thread safety: none.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace entrepot {

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}

  bool failed() const { return failed_; }
  bool AtEnd() const { return position_ == bytes_.size(); }
  size_t position() const { return position_; }

  // The number of elements, or of pairs.
  std::optional<uint32_t> ReadArray();
  std::optional<uint32_t> ReadMap();
  // Content of a str or bin.
  std::optional<std::string_view> ReadString();
  std::optional<int64_t> ReadInt();
  std::optional<uint64_t> ReadUint();
  std::optional<double> ReadFloat();
  std::optional<bool> ReadBool();
  // Whether a nil was next; only then it is consumed.
  bool ReadNil();

  // The encoded bytes of the whole next value, whatever it is.
  std::optional<std::string_view> ReadValue();

 private:
  // The next byte without consuming it, or -1.
  int Peek() const;
  // `size` bytes as a big-endian number.
  std::optional<uint64_t> Take(size_t size);
  std::optional<std::string_view> TakeBytes(uint64_t size);
  void Fail() { failed_ = true; }

  std::string_view bytes_;
  size_t position_ = 0;
  bool failed_ = false;
};

}  // namespace entrepot
