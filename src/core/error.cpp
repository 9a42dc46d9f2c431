#include "hdap/core/error.hpp"

namespace hdap::core {

ExitCode Error::exit_code() const noexcept {
    switch (kind_) {
    case ErrorKind::usage:
    case ErrorKind::config:
        return ExitCode::usage;
    case ErrorKind::data:
    case ErrorKind::corrupt_file:
        return ExitCode::bad_data;
    case ErrorKind::infeasible:
        return ExitCode::infeasible;
    case ErrorKind::waiting:
        return ExitCode::waiting;
    case ErrorKind::internal:
        break;
    }
    return ExitCode::internal_error;
}

void throw_error(ErrorKind kind, const std::string& message) {
    switch (kind) {
    case ErrorKind::usage:
        throw UsageError(message);
    case ErrorKind::config:
        throw ConfigError(message);
    case ErrorKind::data:
        throw DataError(message);
    case ErrorKind::corrupt_file:
        throw CorruptFileError(message);
    case ErrorKind::infeasible:
        throw InfeasibleError(message);
    case ErrorKind::waiting:
        throw WaitingError(message);
    case ErrorKind::internal:
        break;
    }
    throw InternalError(message);
}

} // namespace hdap::core
