#pragma once

#include "hdap/core/error.hpp"

#include <cstdint>
#include <string>
#include <utility>
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

/// Counts the lines of files that cannot be used, so that one message tells of all of them.
class BadLines {
  public:
    /// A line of a file; files count from 0 in the order in which they are read.
    struct Place {
        std::size_t file = 0;
        std::int64_t line = 0;
        auto operator<=>(const Place&) const = default;
    };

    /// Those of one reason.
    struct Kind {
        std::string reason;
        std::int64_t count = 0;
        std::vector<Place> first; ///< the first few
    };

    explicit BadLines(std::string file) { begin_file(std::move(file)); }
    BadLines() = default;

    /// Lines from here on are of this file.
    void begin_file(std::string name) { files_.push_back(std::move(name)); }

    /// In any order of a file's lines.
    void add(std::int64_t line, const BadLine& bad);

    [[nodiscard]] std::int64_t count() const noexcept { return count_; }
    [[nodiscard]] const std::vector<Kind>& kinds() const noexcept { return kinds_; }
    /// "measurements.csv:17"
    [[nodiscard]] std::string text_of(const Place& place) const;

    /// "22 × too few fields (lines 17, 99, 300, …), 15 × latency_ms is no number (line 20)"; with
    /// the files' names where there are several.
    [[nodiscard]] std::string text() const;

    /// Throws DataError, which names all kinds of bad lines, when there are more than `allowed`
    /// among `lines`: "t.csv:7: …" for a single one, "t.csv: 37 of 80000 lines …" for several.
    /// `remedy` ends the message.
    void check(std::int64_t lines, std::int64_t allowed, const std::string& remedy) const;

  private:
    std::vector<std::string> files_;
    std::int64_t count_ = 0;
    Place first_;
    std::string first_message_;
    std::vector<Kind> kinds_;
};

} // namespace hdap::fleet
