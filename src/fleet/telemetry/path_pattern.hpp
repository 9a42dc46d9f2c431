#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hdap::fleet {

/// A file that a pattern matched, and what its path names.
struct MatchedFile {
    std::filesystem::path path;
    std::optional<std::string> device;
    std::optional<std::string> benchmark;
};

/// The files that `pattern` matches, in the order of their paths: {device} and {benchmark} stand
/// for one or more characters other than a slash, as few as possible, and what they stand for is
/// the name; * stands for any number of characters, no slash among them. What occurs twice stands
/// for the same text. A pattern without any of these is a path.
/// Throws UsageError for other {names}, DataError when nothing matches (says which folder is
/// missing or holds nothing that does), and for a folder.
std::vector<MatchedFile> matched_files(const std::string& pattern);

} // namespace hdap::fleet
