#pragma once

#include <stdexcept>
#include <string>

namespace hdap::core {

/// What a process returns to its caller; see docs/architecture.md, "Exit codes".
enum class ExitCode : int {
    complete = 0,
    internal_error = 1,
    usage = 2,
    bad_data = 3,
    infeasible = 4,
    /// Stopped early with a checkpoint: the same command continues (EX_TEMPFAIL of sysexits.h).
    stopped = 75,
    /// Measurements from outside are missing: the same command continues when they are there.
    waiting = 76,
};

/// The few kinds of errors that a user can meet.
enum class ErrorKind { usage, config, data, corrupt_file, infeasible, waiting, internal };

/// Base of every exception that hdap throws.
///
/// The message says what is wrong, where (file, line, dataset path), the offending value and what
/// to do about it. It ends without a full stop or line break.
class Error : public std::runtime_error {
  public:
    Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

    [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }
    [[nodiscard]] ExitCode exit_code() const noexcept;

  private:
    ErrorKind kind_;
};

/// The command line is wrong: an unknown option, a missing argument, a singleton under Slurm.
struct UsageError : Error {
    explicit UsageError(const std::string& message) : Error(ErrorKind::usage, message) {}
};

/// The configuration is wrong: a misspelt key, a value out of its range, a missing file.
struct ConfigError : Error {
    explicit ConfigError(const std::string& message) : Error(ErrorKind::config, message) {}
};

/// Data from outside cannot be used: a wrong magic number, a shape that does not fit.
struct DataError : Error {
    explicit DataError(const std::string& message) : Error(ErrorKind::data, message) {}
};

/// A file that hdap wrote is damaged: truncated, or its checksum does not fit.
struct CorruptFileError : Error {
    explicit CorruptFileError(const std::string& message)
        : Error(ErrorKind::corrupt_file, message) {}
};

/// No candidate meets the constraints.
struct InfeasibleError : Error {
    explicit InfeasibleError(const std::string& message) : Error(ErrorKind::infeasible, message) {}
};

/// Nothing is wrong, but measurements are missing that somebody else makes.
struct WaitingError : Error {
    explicit WaitingError(const std::string& message) : Error(ErrorKind::waiting, message) {}
};

/// A defect of hdap, or a failing operating system (no memory, a full disk).
struct InternalError : Error {
    explicit InternalError(const std::string& message) : Error(ErrorKind::internal, message) {}
};

/// Throws the exception class that belongs to `kind`; used to rethrow an error of another rank.
[[noreturn]] void throw_error(ErrorKind kind, const std::string& message);

} // namespace hdap::core
