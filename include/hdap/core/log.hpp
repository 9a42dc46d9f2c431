#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

namespace hdap::core {

/// Messages for people on stderr, and the same as JSON lines in a run directory's log.jsonl.
///
/// On a terminal one status line at the bottom is rewritten in place; in a batch log the status
/// becomes a plain line now and then. Thread-safe.
class Log {
  public:
    struct Options {
        bool quiet = false;    ///< print nothing but errors: ranks other than the root
        bool terminal = false; ///< rewrite the status line; false prints plain lines
        /// The least time between two status lines of a batch log.
        std::chrono::seconds status_interval{10};
    };

    explicit Log(const Options& options);
    ~Log();
    Log(Log&&) noexcept;
    Log& operator=(Log&&) noexcept;

    /// Whether stderr is a terminal that can rewrite a line.
    static bool stderr_is_terminal();

    /// Also appends every message to `path` as {"time", "level", "message"}, one a line.
    /// Throws DataError when the file cannot be opened.
    void open_file(const std::filesystem::path& path);

    void info(const std::string& message);
    void warning(const std::string& message);
    void error(const std::string& message);

    /// Shows where the work stands. `text` replaces the status shown before.
    void status(const std::string& text);
    /// Removes the status line; a batch log gets the last status that it has not shown yet.
    void clear_status();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// `text` with quotes, as a JSON string.
std::string json_string(const std::string& text);

} // namespace hdap::core
