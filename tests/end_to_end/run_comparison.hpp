#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hdap::test {

/// Everything in which the results of two run directories differ, in words; empty when their
/// fleet, clusters, profile, surrogates, search, networks, results and front.csv, of every
/// round, are equal bit for bit.
/// What says when and where a file was made, and how long that took, does not count.
std::vector<std::string> differences(const std::filesystem::path& run,
                                     const std::filesystem::path& other);

/// The names, sizes, inodes and times of all files in a run directory but its logs, as lines: a
/// text that changes when one of them is written.
std::string file_listing(const std::filesystem::path& run);

} // namespace hdap::test
