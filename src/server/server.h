// A server: the store and all that is needed to speak to it, in one object. The program
// entrepot-server is one of these and its signals; a C++ program may have its own, spoken to over
// inproc://, tcp:// or ipc://, and several in one process: there is no global state.
//
//   entrepot::Logger logger(entrepot::LogLevel::kInfo);
//   entrepot::Options options;
//   options.listen = {"inproc://store"};
//   auto server = entrepot::Server::Start(options, &logger, context);   // a zmq_ctx_t
//   if (!server.ok()) …
//
// Thread safety: any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "server/config.h"
#include "server/logger.h"

namespace entrepot {

// The version of the server, as `hello` and --version tell it.
std::string_view ServerVersion();

class Server {
 public:
  // Returns when the server answers requests. `zmq_context` (a zmq_ctx_t) is needed for inproc
  // endpoints, and outlives the server; null: it makes its own. `give_up` is asked now and then, by
  // several threads, while data is read: when it says so there is no server, null, and the folder
  // is as after a clean stop. Errors: kInvalidArgument for options that CheckOptions() refuses;
  // kUnavailable, kReadOnly where the system refuses.
  static Result<std::unique_ptr<Server>> Start(
      const Options& options, Logger* logger, void* zmq_context = nullptr,
      const std::function<bool()>& give_up = [] { return false; });
  // Stops.
  ~Server();

  // What it listens on, with the ports that were picked.
  const std::vector<std::string>& endpoints() const;

  // Where changes are published; empty: nowhere.
  const std::string& feed_endpoint() const;

  // Whether writes are refused because the disk is full. It ends by itself.
  bool read_only() const;

  // Whether the log has failed for ever, and in which words. Such a server is to be stopped: what
  // it could not write is answered outcome_unknown, and the next start tells the truth.
  bool failed() const;
  std::string failure() const;

  // Has a snapshot written soon; nothing without a data folder.
  void RequestSnapshot();

  // Takes nothing new, answers what it has, and ends. Once. Errors: kUnavailable, kReadOnly when
  // what was accepted could not all be written, or not that this was a clean stop: the next start
  // finds what was acknowledged all the same.
  Status Stop();

 private:
  class Parts;
  explicit Server(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace entrepot
