#include "fleet/bad_lines.hpp"

#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace hdap::fleet {

namespace {
constexpr std::size_t lines_told = 3;
}

void BadLines::add(std::int64_t line, const BadLine& bad) {
    if (count_++ == 0 || line < first_line_) {
        first_line_ = line;
        first_message_ = bad.what();
    }
    auto kind = std::find_if(kinds_.begin(), kinds_.end(), [&](const UnusableLines& known) {
        return known.reason == bad.reason();
    });
    if (kind == kinds_.end()) kind = kinds_.insert(kind, {.reason = bad.reason()});
    ++kind->count;
    std::vector<std::int64_t>& lines = kind->first_lines;
    lines.insert(std::upper_bound(lines.begin(), lines.end(), line), line);
    if (lines.size() > lines_told) lines.pop_back();
}

void BadLines::check(std::int64_t lines, std::int64_t allowed, const std::string& remedy) const {
    if (count_ == 0 || count_ <= allowed) return;
    if (count_ == 1)
        throw core::DataError(
            fmt::format("{}:{}: {}; {}", file_, first_line_, first_message_, remedy));
    throw core::DataError(fmt::format("{}: {} of {} lines cannot be used: {}; line {}: {}; {}",
                                      file_, count_, lines, text_of(kinds_), first_line_,
                                      first_message_, remedy));
}

std::string text_of(const std::vector<UnusableLines>& kinds) {
    std::vector<std::string> texts;
    for (const UnusableLines& kind : kinds)
        texts.push_back(fmt::format(
            "{} × {} (line{} {}{})", kind.count, kind.reason, kind.count == 1 ? "" : "s",
            fmt::join(kind.first_lines, ", "),
            kind.count > static_cast<std::int64_t>(kind.first_lines.size()) ? ", …" : ""));
    return core::join(texts);
}

} // namespace hdap::fleet
