#include "end_to_end/run_comparison.hpp"

#include "end_to_end/process.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <algorithm>
#include <cstring>
#include <set>
#include <sys/stat.h>

namespace hdap::test {
namespace {

namespace fs = std::filesystem;
using storage::Entry;
using storage::Hdf5Reader;
using Lines = std::vector<std::string>;

const std::set<std::string> provenance{"created",   "git_commit", "host",     "job",
                                       "libraries", "nodes",      "software", "software_version"};

template <class T>
std::vector<std::byte> bytes_of(const Hdf5Reader& file, const std::string& path) {
    const auto values = file.read<T>(path);
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
}

/// The values of a data set as they lie in memory; a list of strings is joined.
std::vector<std::byte> values_of(const Hdf5Reader& file, const Entry& entry) {
    if (entry.type == "float64") return bytes_of<double>(file, entry.path);
    if (entry.type == "float32") return bytes_of<float>(file, entry.path);
    if (entry.type == "uint8") return bytes_of<std::uint8_t>(file, entry.path);
    if (entry.type == "string") {
        std::string text;
        for (const std::string& line : file.read_strings(entry.path))
            text += line + '\n';
        const auto bytes = std::as_bytes(std::span(text));
        return {bytes.begin(), bytes.end()};
    }
    return bytes_of<std::int64_t>(file, entry.path);
}

void compare_attributes(const std::string& where, const Hdf5Reader& file, const Hdf5Reader& other,
                        const std::string& path, Lines& differences) {
    const auto names = file.attribute_names(path);
    if (names != other.attribute_names(path)) {
        differences.push_back(where + path + ": other attributes");
        return;
    }
    for (const std::string& name : names) {
        if (path == "/" && provenance.contains(name)) continue;
        const std::string text = file.attribute_text(path, name);
        const std::string other_text = other.attribute_text(path, name);
        if (text != other_text)
            differences.push_back(where + path + ": " + name + " = " + text + " and " + other_text);
    }
}

/// What tells how long something took, or what it cost, and not what came of it.
bool is_cost(const std::string& path) {
    return path.starts_with("/timing") || path.starts_with("/cost") || path == "/history/wall" ||
           path == "/history/accuracies_measured";
}

void compare_hdf5(const std::string& name, const fs::path& path, const fs::path& other_path,
                  Lines& differences) {
    const auto open = [](const fs::path& file) {
        return Hdf5Reader::from_bytes(storage::read_sealed(file), file.string());
    };
    const Hdf5Reader file = open(path);
    const Hdf5Reader other = open(other_path);
    const auto entries = file.list();
    const auto other_entries = other.list();
    const auto same = [](const Entry& a, const Entry& b) {
        return a.path == b.path && a.is_group == b.is_group && a.type == b.type &&
               (a.shape == b.shape || is_cost(a.path));
    };
    if (!std::equal(entries.begin(), entries.end(), other_entries.begin(), other_entries.end(),
                    same)) {
        differences.push_back(name + ": other data sets, types or shapes");
        return;
    }
    compare_attributes(name, file, other, "/", differences);
    for (const Entry& entry : entries) {
        compare_attributes(name, file, other, entry.path, differences);
        if (!entry.is_group && !is_cost(entry.path) &&
            values_of(file, entry) != values_of(other, entry))
            differences.push_back(name + entry.path + ": other values");
    }
}

/// Whether a file of a run directory holds results: its own, or those of a round. What a shorter
/// search came to, and checkpoints that were followed by others, are none.
bool holds_results(const fs::path& file) {
    const std::set<std::string> kinds{".h5", ".onnx", ".pt", ".csv"};
    const std::string folder = file.parent_path().string();
    return kinds.contains(file.extension()) && !file.string().ends_with(".prev.h5") &&
           (folder.empty() || folder == "networks" || folder.starts_with("round-"));
}

/// The results in a run directory, by their paths in it.
std::set<std::string> results_in(const fs::path& run) {
    std::set<std::string> names;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(run)) {
        const fs::path file = fs::relative(entry.path(), run);
        if (holds_results(file)) names.insert(file.string());
    }
    return names;
}

/// The files that every complete study has; where there are rounds, in their folders.
Lines missing_in(const std::set<std::string>& names) {
    Lines missing;
    for (const char* name : {"fleet.h5", "clusters.h5", "profile.h5", "surrogates.h5", "search.h5",
                             "networks", "results.h5", "front.csv"})
        if (std::ranges::none_of(names, [&](const std::string& path) {
                return path.find(name) != std::string::npos;
            }))
            missing.push_back(std::string(name) + ": missing");
    return missing;
}

} // namespace

Lines differences(const fs::path& run, const fs::path& other) {
    const std::set<std::string> names = results_in(run);
    Lines result = missing_in(names);
    if (names != results_in(other)) result.push_back("other files");
    for (const std::string& name : names)
        if (!fs::exists(other / name))
            result.push_back(name + ": missing");
        else if (name.ends_with(".h5"))
            compare_hdf5(name, run / name, other / name, result);
        else if (text_of(run / name) != text_of(other / name))
            result.push_back(name + ": other bytes");
    return result;
}

std::string file_listing(const fs::path& run) {
    std::set<std::string> lines;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(run)) {
        const bool is_log = entry.path().extension() == ".jsonl";
        if (is_log || entry.is_directory()) continue;
        struct stat status {};
        if (::stat(entry.path().c_str(), &status) != 0) continue;
        lines.insert(entry.path().string() + " " + std::to_string(status.st_size) +
                     " bytes, inode " + std::to_string(status.st_ino) + ", written " +
                     std::to_string(status.st_mtim.tv_sec) + "." +
                     std::to_string(status.st_mtim.tv_nsec));
    }
    std::string listing;
    for (const std::string& line : lines)
        listing += line + "\n";
    return listing;
}

} // namespace hdap::test
