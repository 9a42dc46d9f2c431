#pragma once

#include "hdap/core/error.hpp"
#include "hdap/fleet/import_csv.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hdap::fleet {

/// A line of a file that cannot be used, while those after it may be.
class BadLine : public core::DataError {
  public:
    /// `reason` is the same for all lines of a kind, `message` tells this one's values.
    BadLine(std::string reason, const std::string& message)
        : core::DataError(message), reason_(std::move(reason)) {}

    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

  private:
    std::string reason_;
};

/// Counts the lines of a file that cannot be used, so that one message tells of all of them.
class BadLines {
  public:
    explicit BadLines(std::string file) : file_(std::move(file)) {}

    /// In any order of the lines.
    void add(std::int64_t line, const BadLine& bad);

    [[nodiscard]] std::int64_t count() const noexcept { return count_; }
    [[nodiscard]] const std::vector<UnusableLines>& kinds() const noexcept { return kinds_; }

    /// Throws DataError, which names all kinds of bad lines, when there are more than `allowed`
    /// among `lines`: "t.csv:7: …" for a single one, "t.csv: 37 of 80000 lines …" for several.
    /// `remedy` ends the message.
    void check(std::int64_t lines, std::int64_t allowed, const std::string& remedy) const;

  private:
    std::string file_;
    std::int64_t count_ = 0;
    std::int64_t first_line_ = 0;
    std::string first_message_;
    std::vector<UnusableLines> kinds_;
};

/// "22 × too few fields (lines 17, 99, 300, …), 15 × latency_ms is no number (lines 20, 21, 30, …)"
std::string text_of(const std::vector<UnusableLines>& kinds);

} // namespace hdap::fleet
