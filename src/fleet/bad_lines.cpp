#include "fleet/bad_lines.hpp"

#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace hdap::fleet {

namespace {
constexpr std::size_t lines_told = 3;
}

void BadLines::add(std::int64_t line, const BadLine& bad) {
    const Place place{files_.size() - 1, line};
    if (count_++ == 0 || place < first_) {
        first_ = place;
        first_message_ = bad.what();
    }
    auto kind = std::find_if(kinds_.begin(), kinds_.end(),
                             [&](const Kind& known) { return known.reason == bad.reason(); });
    if (kind == kinds_.end()) kind = kinds_.insert(kind, {bad.reason(), 0, {}});
    ++kind->count;
    std::vector<Place>& first = kind->first;
    if (first.size() == lines_told && place > first.back()) return;
    first.insert(std::upper_bound(first.begin(), first.end(), place), place);
    if (first.size() > lines_told) first.pop_back();
}

std::string BadLines::text_of(const Place& place) const {
    return fmt::format("{}:{}", files_[place.file], place.line);
}

std::string BadLines::text() const {
    const bool one_file = files_.size() == 1;
    std::vector<std::string> texts;
    for (const Kind& kind : kinds_) {
        std::vector<std::string> places;
        for (const Place& place : kind.first)
            places.push_back(one_file ? fmt::format("{}", place.line) : text_of(place));
        const char* const word = !one_file ? "" : kind.count == 1 ? "line " : "lines ";
        const char* const rest = kind.count > std::ssize(kind.first) ? ", …" : "";
        texts.push_back(fmt::format("{} × {} ({}{}{})", kind.count, kind.reason, word,
                                    core::join(places), rest));
    }
    return core::join(texts);
}

void BadLines::check(std::int64_t lines, std::int64_t allowed, const std::string& remedy) const {
    if (count_ == 0 || count_ <= allowed) return;
    if (count_ == 1)
        throw core::DataError(fmt::format("{}: {}; {}", text_of(first_), first_message_, remedy));
    const std::string where =
        files_.size() == 1 ? files_.front() : core::counted(files_.size(), "file");
    const std::string which =
        files_.size() == 1 ? fmt::format("line {}", first_.line) : text_of(first_);
    throw core::DataError(fmt::format("{}: {} of {} lines cannot be used: {}; {}: {}; {}", where,
                                      count_, lines, text(), which, first_message_, remedy));
}

} // namespace hdap::fleet
