#include "fleet/telemetry/path_pattern.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace hdap::fleet {
namespace {

constexpr std::string_view device_mark = "{device}";
constexpr std::string_view benchmark_mark = "{benchmark}";

bool has_marks(std::string_view text) {
    return text.find_first_of("{*") != std::string_view::npos;
}

void check_marks(const std::string& pattern) {
    for (std::size_t at = pattern.find('{'); at != std::string::npos;
         at = pattern.find('{', at + 1))
        if (!pattern.substr(at).starts_with(device_mark) &&
            !pattern.substr(at).starts_with(benchmark_mark))
            throw core::UsageError(fmt::format(
                "pattern '{}': {} is unknown; {{device}}, {{benchmark}} and * are known",
                core::printable(pattern),
                core::printable(pattern.substr(at, pattern.find('}', at) - at + 1))));
}

/// Whether `text` is what `pattern` describes; fills in what its marks stand for. Backtracks, which
/// is cheap for names of files: a pattern has a few marks.
bool matches(std::string_view pattern, std::string_view text, MatchedFile& file) {
    const std::size_t mark = pattern.find_first_of("{*");
    if (mark == std::string_view::npos) return pattern == text;
    if (!text.starts_with(pattern.substr(0, mark))) return false;
    pattern.remove_prefix(mark);
    text.remove_prefix(mark);
    const bool is_name = pattern.front() == '{';
    auto& name = pattern.starts_with(device_mark) ? file.device : file.benchmark;
    const std::string_view rest = pattern.substr(is_name ? pattern.find('}') + 1 : std::size_t{1});
    if (is_name && name)
        return text.starts_with(*name) && matches(rest, text.substr(name->size()), file);
    for (std::size_t length = is_name ? 1 : 0; length <= text.size(); ++length) {
        MatchedFile tried = file;
        if (is_name)
            (pattern.starts_with(device_mark) ? tried.device : tried.benchmark) =
                std::string(text.substr(0, length));
        if (!matches(rest, text.substr(length), tried)) continue;
        file = tried;
        return true;
    }
    return false;
}

/// The entries of a folder, in the order of their names.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder) {
    std::error_code error;
    std::filesystem::directory_iterator entries(folder.empty() ? "." : folder, error);
    if (error) throw core::DataError(fmt::format("{}: {}", folder.string(), error.message()));
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : entries)
        paths.push_back(folder / entry.path().filename());
    std::sort(paths.begin(), paths.end());
    return paths;
}

/// `found`, each taken one component of the pattern further.
std::vector<MatchedFile> descend(const std::vector<MatchedFile>& found,
                                 const std::string& component, bool is_last) {
    std::vector<MatchedFile> deeper;
    for (const MatchedFile& at : found) {
        if (!has_marks(component)) {
            MatchedFile next = at;
            next.path /= component;
            if (std::filesystem::exists(next.path)) deeper.push_back(next);
            continue;
        }
        for (const std::filesystem::path& entry : entries_of(at.path)) {
            MatchedFile next = at;
            next.path = entry;
            if (std::filesystem::is_directory(entry) != is_last &&
                matches(component, entry.filename().string(), next))
                deeper.push_back(next);
        }
    }
    return deeper;
}

} // namespace

std::vector<MatchedFile> matched_files(const std::string& pattern) {
    check_marks(pattern);
    if (!has_marks(pattern)) return {{pattern, {}, {}}};
    const std::filesystem::path path(pattern);
    std::vector<MatchedFile> found{{path.root_path(), {}, {}}};
    const std::filesystem::path relative = path.relative_path();
    for (auto component = relative.begin(); component != relative.end(); ++component) {
        const bool is_last = std::next(component) == relative.end();
        auto deeper = descend(found, component->string(), is_last);
        if (deeper.empty())
            throw core::DataError(fmt::format("{}: nothing is named like '{}' in {}",
                                              core::printable(pattern),
                                              core::printable(component->string()),
                                              found.size() == 1 && !found[0].path.empty()
                                                  ? found[0].path.string()
                                                  : core::counted(found.size(), "folder")));
        found = std::move(deeper);
    }
    return found;
}

} // namespace hdap::fleet
