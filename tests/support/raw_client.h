// A DEALER socket that speaks the protocol with libzmq and msgpack-c only, as the users' programs do.
//
// Thread safety: none; one thread owns a client.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <msgpack.hpp>
#include <zmq.hpp>

namespace entrepot {

using Packer = msgpack::packer<msgpack::sbuffer>;

// A response: its result or its error, by the name of the field.
class Response {
 public:
  explicit Response(msgpack::object_handle handle) : handle_(std::move(handle)) {}

  uint32_t msgid() const { return handle_->via.array.ptr[1].as<uint32_t>(); }
  bool is_error() const { return !handle_->via.array.ptr[2].is_nil(); }
  bool Has(const std::string& name) const { return Find(name) != nullptr; }
  const msgpack::object& operator[](const std::string& name) const {
    const msgpack::object* const field = Find(name);
    if (field == nullptr) throw std::out_of_range("the response has no " + name + ": " + ToString());
    return *field;
  }
  template <typename T>
  T As(const std::string& name) const {
    return (*this)[name].as<T>();
  }
  std::string code() const { return is_error() ? As<std::string>("code") : ""; }
  std::string status() const { return is_error() ? code() : As<std::string>("status"); }
  std::string ToString() const {
    std::ostringstream text;
    text << *handle_;
    return text.str();
  }

 private:
  const msgpack::object* Find(const std::string& name) const {
    const msgpack::object& map = handle_->via.array.ptr[is_error() ? 2 : 3];
    for (uint32_t i = 0; i < map.via.map.size; ++i) {
      if (map.via.map.ptr[i].key.as<std::string>() == name) return &map.via.map.ptr[i].val;
    }
    return nullptr;
  }

  msgpack::object_handle handle_;
};

// The msgpack encoding of an object, as bytes.
inline std::string Encoded(const msgpack::object& object) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, object);
  return {buffer.data(), buffer.size()};
}

class RawClient {
 public:
  static constexpr int kTimeoutMs = 30'000;

  RawClient(zmq::context_t* context, const std::string& endpoint)
      : socket_(*context, zmq::socket_type::dealer) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::rcvtimeo, kTimeoutMs);
    socket_.connect(endpoint);
  }

  // One request: `pack_params` writes the array of params.
  static std::string Request(uint32_t msgid, const std::string& method,
                             const std::function<void(Packer&)>& pack_params) {
    msgpack::sbuffer buffer;
    Packer packer(buffer);
    packer.pack_array(4);
    packer.pack(0);
    packer.pack(msgid);
    packer.pack(method);
    pack_params(packer);
    return {buffer.data(), buffer.size()};
  }

  void Send(const std::string& body) { socket_.send(zmq::buffer(body)); }

  // The responses of the next message. Throws when none comes in time.
  std::vector<Response> Receive() {
    zmq::message_t message;
    if (!socket_.recv(message)) throw std::runtime_error("no reply came in time");
    std::vector<Response> responses;
    for (size_t offset = 0; offset < message.size();) {
      responses.emplace_back(
          msgpack::unpack(static_cast<const char*>(message.data()), message.size(), offset));
    }
    return responses;
  }

  Response Call(const std::string& method, const std::function<void(Packer&)>& pack_params) {
    const uint32_t msgid = ++msgid_;
    Send(Request(msgid, method, pack_params));
    std::vector<Response> responses = Receive();
    if (responses.size() != 1 || responses[0].msgid() != msgid) {
      throw std::runtime_error("a reply that answers another request");
    }
    return std::move(responses[0]);
  }

 private:
  zmq::socket_t socket_;
  uint32_t msgid_ = 0;
};

// Appends bytes that are a msgpack item already.
inline void PackRaw(Packer& packer, const std::string& item) {
  packer.pack_bin_body(item.data(), static_cast<uint32_t>(item.size()));
}

}  // namespace entrepot
