#include "zmtp/output_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/status.h"
#include "zmtp/limits.h"

namespace entrepot::zmtp {
namespace {

// A block for copies has this size or twice that of the one before, up to the maximum.
constexpr size_t kBlockBytesMin = 512;
constexpr size_t kBlockBytesMax = size_t{64} << 10;
// A list that was longer than this is given back when it is empty.
constexpr size_t kPartsKept = 16;

void FreeBlock(void* block) { std::free(block); }

char* NewBlock(size_t bytes) {
  char* const block = static_cast<char*>(std::malloc(bytes));
  CHECK(block != nullptr);
  return block;
}

}  // namespace

void OutputQueue::Append(const Part& part) {
  parts_.push_back(part);
  waiting_bytes_ += part.size;
  if (part.release != nullptr) held_bytes_ += part.size;
  last_room_ = 0;
}

void OutputQueue::Borrow(std::string_view bytes) {
  if (bytes.empty()) return;
  if (!empty() && parts_.back().release == nullptr &&
      parts_.back().data + parts_.back().size == bytes.data()) {
    parts_.back().size += bytes.size();
    waiting_bytes_ += bytes.size();
    return;
  }
  Append({bytes.data(), bytes.size(), nullptr, nullptr});
}

void OutputQueue::Own(const Piece& piece) {
  if (piece.bytes.empty()) return piece.release(piece.owner);
  Append({piece.bytes.data(), piece.bytes.size(), piece.owner, piece.release});
}

void OutputQueue::Copy(std::string_view bytes) {
  const size_t fitting = std::min(bytes.size(), last_room_);
  if (fitting > 0) {
    Part& last = parts_.back();
    std::memcpy(const_cast<char*>(last.data) + last.size, bytes.data(), fitting);
    last.size += fitting;
    waiting_bytes_ += fitting;
    held_bytes_ += fitting;
    last_room_ -= fitting;
    bytes.remove_prefix(fitting);
  }
  if (bytes.empty()) return;
  const size_t wanted = std::clamp(2 * held_bytes_, kBlockBytesMin, kBlockBytesMax);
  const size_t block_bytes = std::max(bytes.size(), wanted);
  char* const block = NewBlock(block_bytes);
  std::memcpy(block, bytes.data(), bytes.size());
  Append({block, bytes.size(), block, FreeBlock});
  last_room_ = block_bytes - bytes.size();
}

OutputQueue::Outcome OutputQueue::WriteTo(int socket, size_t* written) {
  if (empty()) return Outcome::kAllWritten;
  iovec vectors[kWriteParts];
  const size_t count = std::min(parts_.size() - first_, kWriteParts);
  for (size_t i = 0; i < count; ++i) {
    const Part& part = parts_[first_ + i];
    vectors[i] = {const_cast<char*>(part.data), part.size};
  }
  ssize_t result;
  do {
    if (count == 1) {
      result = send(socket, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
      msghdr message{};
      message.msg_iov = vectors;
      message.msg_iovlen = count;
      result = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  } while (result < 0 && errno == EINTR);
  if (result < 0) {
    const bool is_full = errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
    return is_full ? Outcome::kBlocked : Outcome::kFailed;
  }
  *written += static_cast<size_t>(result);
  DropWritten(static_cast<size_t>(result));
  return empty() ? Outcome::kAllWritten : Outcome::kBlocked;
}

void OutputQueue::DropWritten(size_t bytes) {
  waiting_bytes_ -= bytes;
  while (first_ < parts_.size()) {
    Part& part = parts_[first_];
    const size_t gone = std::min(bytes, part.size);
    part.data += gone;
    part.size -= gone;
    bytes -= gone;
    if (part.release != nullptr) held_bytes_ -= gone;
    if (part.size > 0) return;
    if (part.release != nullptr) part.release(part.owner);
    ++first_;
  }
  parts_.clear();
  if (parts_.capacity() > kPartsKept) std::vector<Part>().swap(parts_);
  first_ = 0;
  last_room_ = 0;
}

void OutputQueue::Settle() {
  for (size_t i = first_; i < parts_.size(); ++i) {
    Part& part = parts_[i];
    if (part.release != nullptr) continue;
    char* const block = NewBlock(part.size);
    std::memcpy(block, part.data, part.size);
    part = {block, part.size, block, FreeBlock};
    held_bytes_ += part.size;
  }
  parts_.erase(parts_.begin(), parts_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
}

void OutputQueue::Clear() {
  for (size_t i = first_; i < parts_.size(); ++i) {
    if (parts_[i].release != nullptr) parts_[i].release(parts_[i].owner);
  }
  std::vector<Part>().swap(parts_);
  first_ = waiting_bytes_ = held_bytes_ = last_room_ = 0;
}

}  // namespace entrepot::zmtp
