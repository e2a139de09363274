#include "exit_status.h"

namespace entrepot::cli {

ExitStatus ExitStatusOf(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return ExitStatus::kOk;
    case StatusCode::kUnreachable:
    case StatusCode::kTimeout:
    case StatusCode::kConnectionLost:
    case StatusCode::kClosed:
      return ExitStatus::kUnreachable;
    default:
      return ExitStatus::kServerError;
  }
}

}  // namespace entrepot::cli
