#include "commands.hpp"
#include "hdap/core/text.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/storage/user_file.hpp"
#include "print_document.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace hdap::cli {
namespace {

using core::printable;
using nlohmann::ordered_json;

struct InspectOptions {
    std::string file;
    bool json = false;
};

/// A file and whether hdap sealed it.
struct InspectedFile {
    const storage::Hdf5Reader& content;
    std::uintmax_t bytes = 0;
    bool sealed = false;
};

/// One line about a group or data set.
struct Row {
    std::string path;
    std::string type;
    std::string shape;
    std::string unit;
    std::vector<std::string> values; ///< the first ones
    bool more_values = false;
};

/// Longer lines would break in most terminals.
constexpr std::size_t line_columns = 110;
constexpr std::size_t least_value_columns = 20;
constexpr std::size_t longest_path_column = 60;
constexpr std::size_t longest_attribute = 80;
constexpr std::size_t most_values = 8;
/// What is not worth its memory for a glance at eight values.
constexpr std::size_t most_elements_read = 1'000'000;

/// Six digits tell values apart; all digits of a float would hide the next value.
std::string number_text(double value) {
    std::array<char, 32> text{};
    constexpr double exact_integers = 1e15;
    const bool whole = value == std::trunc(value) && std::abs(value) < exact_integers;
    std::snprintf(text.data(), text.size(), whole ? "%.0f" : "%.6g", value);
    return text.data();
}

std::vector<std::string> first_numbers(const storage::Hdf5Reader& file, const storage::Entry& entry,
                                       std::size_t rows) {
    std::vector<std::string> texts;
    if (entry.type.starts_with("float"))
        for (const double value : file.read_rows<double>(entry.path, 0, rows))
            texts.push_back(number_text(value));
    else
        for (const std::int64_t value : file.read_rows<std::int64_t>(entry.path, 0, rows))
            texts.push_back(std::to_string(value));
    return texts;
}

/// Fills in the first values of a data set: of a list, or of a table's first row.
void add_values(const storage::Hdf5Reader& file, const storage::Entry& entry, Row& row) {
    const std::size_t elements = storage::element_count(entry.shape);
    if (entry.shape.empty() || elements == 0 || entry.type == "other") return;
    if (entry.type == "string") {
        // Strings have no partial read.
        if (entry.shape.size() != 1 || elements > most_elements_read) return;
        for (const std::string& text : file.read_strings(entry.path)) {
            if (row.values.size() == most_values) break;
            row.values.push_back(fmt::format("\"{}\"", printable(text)));
        }
    } else {
        if (storage::element_count(std::span(entry.shape).subspan(1)) > most_elements_read) return;
        const std::size_t rows = entry.shape.size() == 1 ? std::min(most_values, elements) : 1;
        row.values = first_numbers(file, entry, rows);
        row.values.resize(std::min(row.values.size(), most_values));
    }
    row.more_values = row.values.size() < elements;
}

std::string shape_text(const storage::Shape& shape) {
    std::string text;
    for (const std::size_t extent : shape)
        text += (text.empty() ? "" : " × ") + std::to_string(extent);
    return "[" + text + "]";
}

Row row_of(const storage::Hdf5Reader& file, const storage::Entry& entry) {
    Row row;
    row.path = printable(entry.path) + (entry.is_group ? "/" : "");
    if (entry.is_group) return row;
    row.type = entry.type;
    row.shape = shape_text(entry.shape);
    if (file.has_attribute(entry.path, "unit"))
        row.unit = printable(file.attribute_text(entry.path, "unit"));
    add_values(file, entry, row);
    return row;
}

/// As many values as fit into `columns`; at least a part of the first.
std::string values_text(const Row& row, std::size_t columns) {
    std::string text;
    for (std::size_t i = 0; i < row.values.size(); ++i) {
        const std::string longer = text + (i > 0 ? " " : "") + row.values[i];
        const bool last = i + 1 == row.values.size() && !row.more_values;
        if (core::display_width(longer) + (last ? 0 : 2) > columns)
            return i > 0 ? text + " …" : core::shortened(longer, columns - 1);
        text = longer;
    }
    return text + (row.more_values ? " …" : "");
}

/// The file's own attributes, between what it is and where it comes from.
std::vector<std::string> root_attributes(const storage::Hdf5Reader& file) {
    static constexpr std::array provenance{
        "software", "software_version", "git_commit",    "created",     "host", "job",
        "nodes",    "libraries",        "config_sha256", "input_sha256"};
    std::vector<std::string> names = file.attribute_names("/");
    const auto rank = [](const std::string& name) {
        if (name == "schema") return 0;
        const auto found = std::find(provenance.begin(), provenance.end(), name);
        return found == provenance.end() ? 1 : 2 + static_cast<int>(found - provenance.begin());
    };
    std::stable_sort(names.begin(), names.end(),
                     [&](const std::string& a, const std::string& b) { return rank(a) < rank(b); });
    return names;
}

/// Without the blanks that fill up the last column.
void print_line(std::string line) {
    line.erase(line.find_last_not_of(' ') + 1);
    std::printf("%s\n", line.c_str());
}

void print_attributes(const storage::Hdf5Reader& file, const std::string& path,
                      const std::vector<std::string>& names) {
    std::size_t longest = 0;
    for (const std::string& name : names)
        longest = std::max(longest, core::display_width(name));
    for (const std::string& name : names) {
        print_line(fmt::format(
            "  {}  {}", core::padded_right(printable(name), longest),
            core::shortened(printable(file.attribute_text(path, name)), longest_attribute)));
    }
}

void print_rows(const storage::Hdf5Reader& file, const std::vector<storage::Entry>& entries) {
    std::vector<Row> rows;
    std::array<std::size_t, 4> columns{};
    for (const storage::Entry& entry : entries) {
        const Row& row = rows.emplace_back(row_of(file, entry));
        const std::array texts{&row.path, &row.type, &row.shape, &row.unit};
        for (std::size_t c = 0; c < columns.size(); ++c)
            columns[c] = std::max(columns[c], core::display_width(*texts[c]));
    }
    columns[0] = std::min(columns[0], longest_path_column);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        std::string line = core::padded_right(rows[i].path, columns[0]);
        if (!entries[i].is_group) {
            line += fmt::format("  {}  {}  ", core::padded_right(rows[i].type, columns[1]),
                                core::padded_right(rows[i].shape, columns[2]));
            if (columns[3] > 0) line += core::padded_right(rows[i].unit, columns[3]) + "  ";
            const std::size_t left =
                line_columns - std::min(line_columns, core::display_width(line));
            line += values_text(rows[i], std::max(left, least_value_columns));
        }
        print_line(std::move(line));
        std::vector<std::string> names = file.attribute_names(entries[i].path);
        std::erase(names, "unit");
        print_attributes(file, entries[i].path, names);
    }
}

void print_text(const InspectedFile& file) {
    std::printf("%s: %ju bytes, %s\n", printable(file.content.name()).c_str(), file.bytes,
                file.sealed ? "its seal is intact" : "without a seal");
    print_attributes(file.content, "/", root_attributes(file.content));
    std::printf("\n");
    print_rows(file.content, file.content.list());
}

ordered_json attributes_json(const storage::Hdf5Reader& file, const std::string& path) {
    ordered_json attributes = ordered_json::object();
    for (const std::string& name : file.attribute_names(path))
        attributes[name] = file.attribute_text(path, name);
    return attributes;
}

void print_json(const InspectedFile& file) {
    ordered_json document{{"file", file.content.name()},
                          {"bytes", file.bytes},
                          {"sealed", file.sealed},
                          {"attributes", attributes_json(file.content, "/")},
                          {"entries", ordered_json::array()}};
    for (const storage::Entry& entry : file.content.list())
        document["entries"].push_back({{"path", entry.path},
                                       {"group", entry.is_group},
                                       {"type", entry.type},
                                       {"shape", entry.shape},
                                       {"attributes", attributes_json(file.content, entry.path)}});
    print_document(document);
}

/// Prints the file; one without a seal in a process of its own first, unseen.
void inspect(const InspectOptions& options) {
    const bool sealed = storage::check_sealed(options.file, storage::Seal::optional);
    const std::uintmax_t on_disk = std::filesystem::file_size(options.file);
    const auto print = [&](const storage::Hdf5Reader& file) {
        const InspectedFile inspected{.content = file, .bytes = on_disk, .sealed = sealed};
        options.json ? print_json(inspected) : print_text(inspected);
    };
    print(storage::open_user_file(options.file, print));
}

} // namespace

void add_inspect_command(CLI::App& app, Action& action) {
    auto options = std::make_shared<InspectOptions>();
    CLI::App* command = add_command(
        app, "inspect",
        "Show what an HDF5 file of hdap holds, after checking its seal: attributes, then path, "
        "type, shape, unit and first values of each data set (of a table, its first row's).",
        "hdap inspect runs/quickstart/search.h5");
    command->add_option("FILE", options->file, "Any HDF5 file")->required();
    command->add_flag("--json", options->json, "Print JSON: all but the values");
    command->callback([options, &action] {
        action = [options](Arguments) {
            inspect(*options);
            return core::ExitCode::complete;
        };
    });
}

} // namespace hdap::cli
