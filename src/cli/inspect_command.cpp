#include "hdap/core/text.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <memory>

#include "commands.hpp"

namespace hdap::cli {
namespace {

using nlohmann::ordered_json;

struct InspectOptions {
    std::string file;
    bool json = false;
};

constexpr std::size_t most_values = 8;

std::size_t element_count(const storage::Entry& entry) {
    std::size_t count = 1;
    for (const std::size_t extent : entry.shape)
        count *= extent;
    return count;
}

/// The first values of a data set, printed.
std::vector<std::string> first_values(const storage::Hdf5Reader& file,
                                      const storage::Entry& entry) {
    std::vector<std::string> values;
    if (entry.shape.size() != 1 || element_count(entry) == 0) return values;
    const std::size_t count = std::min(most_values, entry.shape[0]);
    if (entry.type == "string") {
        // Strings have no partial read; a long list is not worth its memory here.
        if (entry.shape[0] > 100'000) return values;
        values = file.read_strings(entry.path);
        values.resize(count);
        for (std::string& value : values)
            value = "\"" + value + "\"";
    } else if (entry.type != "other") {
        for (const double value : file.read_rows<double>(entry.path, 0, count))
            values.push_back(core::shortest(value));
    }
    if (entry.shape[0] > count) values.emplace_back("…");
    return values;
}

std::string shape_text(const storage::Shape& shape) {
    std::string text;
    for (const std::size_t extent : shape)
        text += (text.empty() ? "" : " × ") + std::to_string(extent);
    return "[" + text + "]";
}

void print_attributes(const storage::Hdf5Reader& file, const std::string& path,
                      const std::string& indent) {
    for (const std::string& name : file.attribute_names(path))
        std::printf("%s%s = %s\n", indent.c_str(), name.c_str(),
                    file.attribute_text(path, name).c_str());
}

void print_text(const storage::Hdf5Reader& file) {
    std::printf("%s\n", file.name().c_str());
    print_attributes(file, "/", "  ");
    for (const storage::Entry& entry : file.list()) {
        if (entry.is_group) {
            std::printf("%s/\n", entry.path.c_str());
        } else {
            std::printf("%-36s %-8s %-14s %s\n", entry.path.c_str(), entry.type.c_str(),
                        shape_text(entry.shape).c_str(),
                        core::join(first_values(file, entry), " ").c_str());
        }
        print_attributes(file, entry.path, "    ");
    }
}

ordered_json attributes_json(const storage::Hdf5Reader& file, const std::string& path) {
    ordered_json attributes = ordered_json::object();
    for (const std::string& name : file.attribute_names(path))
        attributes[name] = file.attribute_text(path, name);
    return attributes;
}

void print_json(const storage::Hdf5Reader& file) {
    ordered_json document{{"file", file.name()}, {"attributes", attributes_json(file, "/")}};
    document["entries"] = ordered_json::array();
    for (const storage::Entry& entry : file.list())
        document["entries"].push_back({{"path", entry.path},
                                       {"group", entry.is_group},
                                       {"type", entry.type},
                                       {"shape", entry.shape},
                                       {"attributes", attributes_json(file, entry.path)}});
    std::printf("%s\n",
                document.dump(2, ' ', false, ordered_json::error_handler_t::replace).c_str());
}

} // namespace

void add_inspect_command(CLI::App& app, Action& action) {
    auto options = std::make_shared<InspectOptions>();
    CLI::App* command = add_command(
        app, "inspect", "Show what an HDF5 file of hdap holds, after checking its seal.",
        "hdap inspect runs/quickstart/search.h5");
    command->add_option("FILE", options->file, "Any HDF5 file")->required();
    command->add_flag("--json", options->json, "Print JSON");
    command->callback([options, &action] {
        action = [options](Arguments) {
            const auto file = storage::Hdf5Reader::from_bytes(
                storage::read_sealed(options->file, storage::Seal::optional), options->file);
            options->json ? print_json(file) : print_text(file);
            return core::ExitCode::complete;
        };
    });
}

} // namespace hdap::cli
