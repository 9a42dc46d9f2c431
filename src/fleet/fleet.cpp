#include "hdap/fleet/fleet.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <span>
#include <string_view>

namespace hdap::fleet {

namespace {

constexpr std::size_t longest_name = 256;

void check_names(const std::vector<std::string>& names, const char* what,
                 const std::string& where) {
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (!is_name(names[i]))
            throw core::DataError(
                fmt::format("{}: {} {} is not a name of 1 to 256 printable bytes", where, what, i));
    }
    std::vector<std::size_t> order(names.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return names[a] < names[b]; });
    const auto twin =
        std::adjacent_find(order.begin(), order.end(),
                           [&](std::size_t a, std::size_t b) { return names[a] == names[b]; });
    if (twin != order.end())
        throw core::DataError(fmt::format("{}: {} '{}' occurs twice", where, what, names[*twin]));
}

void check_latencies(const Fleet& fleet, const std::string& where) {
    for (std::size_t i = 0; i < fleet.latency_ms.size(); ++i) {
        const double value = fleet.latency_ms[i];
        if (std::isnan(value)) continue;
        if (value < smallest_latency_ms || value > largest_latency_ms)
            throw core::DataError(fmt::format("{}: latency of device '{}' on '{}' is {:f} ms; "
                                              "expected a positive number, in milliseconds, or "
                                              "nan where it was not measured",
                                              where, fleet.device_ids[i / fleet.benchmarks()],
                                              fleet.benchmark_names[i % fleet.benchmarks()],
                                              value));
    }
}

/// Nothing is known of a device or a benchmark without a latency.
void check_measured(const Fleet& fleet, const std::string& where) {
    std::vector<bool> device(fleet.devices(), false);
    std::vector<bool> benchmark(fleet.benchmarks(), false);
    for (std::size_t i = 0; i < fleet.latency_ms.size(); ++i) {
        if (std::isnan(fleet.latency_ms[i])) continue;
        device[i / fleet.benchmarks()] = true;
        benchmark[i % fleet.benchmarks()] = true;
    }
    const auto check = [&](const std::vector<bool>& measured, const std::vector<std::string>& names,
                           const char* what) {
        const auto without = std::find(measured.begin(), measured.end(), false);
        if (without != measured.end())
            throw core::DataError(fmt::format(
                "{}: {} '{}' has no latency; expected at least one that is not nan, so leave it "
                "out",
                where, what, names[static_cast<std::size_t>(without - measured.begin())]));
    };
    check(device, fleet.device_ids, "device");
    check(benchmark, fleet.benchmark_names, "benchmark");
}

void check_attribute(const Fleet& fleet, const DeviceAttribute& attribute,
                     const std::string& where) {
    const auto refuse = [&](const std::string& what) {
        throw core::DataError(fmt::format("{}: attribute '{}' {}", where, attribute.name, what));
    };
    if (attribute.name.find('/') != std::string::npos) refuse("has a slash in its name");
    if (!is_name(attribute.unit))
        refuse("has no unit of 1 to 256 printable bytes; a plain number has the unit '1'");
    if (attribute.values.size() != fleet.devices())
        refuse(
            fmt::format("has {} values for {} devices", attribute.values.size(), fleet.devices()));
    for (std::size_t i = 0; i < attribute.values.size(); ++i)
        if (std::isinf(attribute.values[i]))
            refuse(fmt::format("of device '{}' is {}; expected a finite number, or nan where it is "
                               "not known",
                               fleet.device_ids[i], attribute.values[i]));
}

void check_label(const Fleet& fleet, const DeviceLabel& label, const std::string& where) {
    const auto refuse = [&](const std::string& what) {
        throw core::DataError(fmt::format("{}: label '{}' {}", where, label.name, what));
    };
    if (label.name.find('/') != std::string::npos) refuse("has a slash in its name");
    if (label.values.size() != fleet.devices())
        refuse(fmt::format("has {} values for {} devices", label.values.size(), fleet.devices()));
    for (std::size_t i = 0; i < label.values.size(); ++i)
        if (!label.values[i].empty() && !is_name(label.values[i]))
            refuse(fmt::format("of device '{}' is no text of at most 256 printable bytes",
                               fleet.device_ids[i]));
}

void check_attributes(const Fleet& fleet, const std::string& where) {
    std::vector<std::string> names;
    for (const DeviceAttribute& attribute : fleet.attributes)
        names.push_back(attribute.name);
    for (const DeviceLabel& label : fleet.labels)
        names.push_back(label.name);
    check_names(names, "attribute", where);
    for (const DeviceAttribute& attribute : fleet.attributes)
        check_attribute(fleet, attribute, where);
    for (const DeviceLabel& label : fleet.labels)
        check_label(fleet, label, where);
}

void check_spreads(const Fleet& fleet, const std::string& where) {
    if (fleet.spreads.empty()) return;
    if (fleet.spreads.size() != fleet.latency_ms.size())
        throw core::DataError(fmt::format("{}: {} spreads for {} latencies", where,
                                          fleet.spreads.size(), fleet.latency_ms.size()));
    for (std::size_t i = 0; i < fleet.spreads.size(); ++i) {
        const LatencySpread& spread = fleet.spreads[i];
        const bool holds =
            spread.runs >= 0 &&
            std::all_of(spread.quantile_ms.begin(), spread.quantile_ms.end(), [](float value) {
                return std::isnan(value) || (value > 0.0F && value <= largest_latency_ms);
            });
        if (!holds)
            throw core::DataError(fmt::format("{}: the runs of device '{}' on '{}' are {}, or a "
                                              "quantile of them is no positive latency",
                                              where, fleet.device_ids[i / fleet.benchmarks()],
                                              fleet.benchmark_names[i % fleet.benchmarks()],
                                              spread.runs));
    }
}

void check_genomes(const Fleet& fleet, const std::string& where) {
    const auto& genomes = fleet.benchmark_genomes;
    if (genomes.empty()) return;
    if (genomes.size() != fleet.benchmarks())
        throw core::DataError(fmt::format("{}: {} benchmark genomes for {} benchmarks", where,
                                          genomes.size(), fleet.benchmarks()));
    for (std::size_t b = 0; b < genomes.size(); ++b) {
        if (genomes[b].empty() || genomes[b].size() != genomes[0].size())
            throw core::DataError(fmt::format("{}: benchmark '{}' has {}, '{}' has {}", where,
                                              fleet.benchmark_names[b],
                                              core::counted(genomes[b].size(), "pruning group"),
                                              fleet.benchmark_names[0], genomes[0].size()));
        for (const std::int32_t channels : genomes[b])
            if (channels < 1)
                throw core::DataError(
                    fmt::format("{}: benchmark '{}' keeps {} channels of a pruning group, expected "
                                "1 or more",
                                where, fleet.benchmark_names[b], channels));
    }
}

const std::string attributes_group = "/attributes/";
const std::string labels_group = "/labels/";
const std::string genomes_path = "/benchmark_genomes";
const std::string runs_path = "/spread/runs";
const std::string quantiles_path = "/spread/latency_ms";

void write_genomes(storage::Hdf5Writer& file, const std::vector<network::Genome>& genomes) {
    std::vector<std::int32_t> flat;
    for (const network::Genome& genome : genomes)
        flat.insert(flat.end(), genome.begin(), genome.end());
    file.write(genomes_path, flat, {genomes.size(), genomes[0].size()});
    file.attribute(genomes_path, "unit", std::string("channels"));
}

std::vector<network::Genome> read_genomes(const storage::Hdf5Reader& file) {
    const storage::Shape shape = file.shape(genomes_path);
    if (shape.size() != 2)
        throw core::DataError(fmt::format("{}: {} has {}, expected 2", file.name(), genomes_path,
                                          core::counted(shape.size(), "dimension")));
    const auto flat = file.read<std::int32_t>(genomes_path, shape);
    std::vector<network::Genome> genomes;
    for (std::size_t b = 0; b < shape[0]; ++b) {
        const auto row = std::span(flat).subspan(b * shape[1], shape[1]);
        genomes.emplace_back(row.begin(), row.end());
    }
    return genomes;
}

std::vector<DeviceAttribute> read_attributes(const storage::Hdf5Reader& file, std::size_t devices) {
    std::vector<DeviceAttribute> attributes;
    for (const storage::Entry& entry : file.list()) {
        if (!entry.path.starts_with(attributes_group)) continue;
        attributes.push_back({.name = entry.path.substr(attributes_group.size()),
                              .unit = file.attribute_string(entry.path, "unit"),
                              .values = file.read<double>(entry.path, {devices})});
    }
    return attributes;
}

/// The number of a label's value, by its name.
template <storage::Element Code>
std::vector<Code> codes_of(const DeviceLabel& label,
                           const std::map<std::string_view, std::size_t>& numbers) {
    std::vector<Code> codes;
    codes.reserve(label.values.size());
    for (const std::string& value : label.values)
        codes.push_back(static_cast<Code>(numbers.at(value)));
    return codes;
}

/// Each value once, and which of them a device has: of a million devices the strings themselves
/// would take more than all latencies.
void write_label(storage::Hdf5Writer& file, const DeviceLabel& label) {
    std::map<std::string_view, std::size_t> numbers;
    for (const std::string& value : label.values)
        numbers.emplace(value, 0);
    std::vector<std::string> values;
    for (auto& [value, number] : numbers) {
        number = values.size();
        values.emplace_back(value);
    }
    const std::string path = labels_group + label.name;
    file.write_strings(path + "/value", values);
    if (values.size() <= std::numeric_limits<std::uint8_t>::max())
        file.write(path + "/code", codes_of<std::uint8_t>(label, numbers));
    else
        file.write(path + "/code", codes_of<std::int32_t>(label, numbers));
}

std::vector<std::string> read_coded(const storage::Hdf5Reader& file, const std::string& path,
                                    std::size_t devices) {
    const auto values = file.read_strings(path + "/value");
    for (const std::string& value : values) // before they are copied for each device
        if (!value.empty() && !is_name(value))
            throw core::DataError(fmt::format(
                "{}: {}/value: expected texts of at most 256 printable bytes", file.name(), path));
    const auto codes = file.read<std::int32_t>(path + "/code", {devices});
    std::vector<std::string> of_devices;
    of_devices.reserve(devices);
    for (std::size_t i = 0; i < devices; ++i) {
        const auto code = static_cast<std::size_t>(codes[i]);
        if (codes[i] < 0 || code >= values.size())
            throw core::DataError(fmt::format("{}: {}/code: device {} has the value {} of {}",
                                              file.name(), path, i, codes[i], values.size()));
        of_devices.push_back(values[code]);
    }
    return of_devices;
}

/// A user may have written the values themselves.
std::vector<DeviceLabel> read_labels(const storage::Hdf5Reader& file, std::size_t devices) {
    std::vector<DeviceLabel> labels;
    for (const storage::Entry& entry : file.list()) {
        if (!entry.path.starts_with(labels_group)) continue;
        std::string name = entry.path.substr(labels_group.size());
        if (name.find('/') != std::string::npos) continue; // a part of a label
        labels.push_back({.name = std::move(name),
                          .values = entry.is_group ? read_coded(file, entry.path, devices)
                                                   : file.read_strings(entry.path)});
    }
    return labels;
}

void write_spreads(storage::Hdf5Writer& file, const Fleet& fleet) {
    std::vector<std::int64_t> runs;
    std::vector<float> quantiles;
    for (const LatencySpread& spread : fleet.spreads) {
        runs.push_back(spread.runs);
        quantiles.insert(quantiles.end(), spread.quantile_ms.begin(), spread.quantile_ms.end());
    }
    const storage::Shape table{fleet.devices(), fleet.benchmarks()};
    file.write(runs_path, runs, table);
    file.write(quantiles_path, quantiles, {table[0], table[1], kept_quantiles.size()});
    file.attribute(quantiles_path, "unit", std::string("ms"));
    file.write("/spread/quantile",
               std::vector<double>(kept_quantiles.begin(), kept_quantiles.end()));
}

std::vector<LatencySpread> read_spreads(const storage::Hdf5Reader& file, const Fleet& fleet) {
    const storage::Shape table{fleet.devices(), fleet.benchmarks()};
    const auto runs = file.read<std::int64_t>(runs_path, table);
    const auto quantiles =
        file.read<float>(quantiles_path, {table[0], table[1], kept_quantiles.size()});
    std::vector<LatencySpread> spreads(runs.size());
    for (std::size_t i = 0; i < runs.size(); ++i) {
        spreads[i].runs = runs[i];
        std::copy_n(quantiles.begin() + static_cast<std::ptrdiff_t>(i * kept_quantiles.size()),
                    kept_quantiles.size(), spreads[i].quantile_ms.begin());
    }
    return spreads;
}

void write_origins(storage::Hdf5Writer& file, const std::vector<LatencyOrigin>& origins) {
    std::vector<std::string> tools;
    std::vector<std::string> units;
    std::vector<std::string> statistics;
    std::vector<std::string> warm_ups;
    std::vector<std::int64_t> files;
    for (const LatencyOrigin& origin : origins) {
        tools.push_back(origin.tool);
        units.push_back(origin.unit);
        statistics.push_back(origin.statistic);
        warm_ups.push_back(origin.warm_up);
        files.push_back(origin.files);
    }
    file.write_strings("/origin/tool", tools);
    file.write_strings("/origin/unit", units);
    file.write_strings("/origin/statistic", statistics);
    file.write_strings("/origin/warm_up", warm_ups);
    file.write("/origin/files", files);
}

std::vector<LatencyOrigin> read_origins(const storage::Hdf5Reader& file) {
    const auto tools = file.read_strings("/origin/tool");
    const auto units = file.read_strings("/origin/unit");
    const auto statistics = file.read_strings("/origin/statistic");
    const auto warm_ups = file.read_strings("/origin/warm_up");
    const auto files = file.read<std::int64_t>("/origin/files", {tools.size()});
    if (units.size() != tools.size() || statistics.size() != tools.size() ||
        warm_ups.size() != tools.size())
        throw core::DataError(file.name() + ": the data sets of /origin differ in length");
    std::vector<LatencyOrigin> origins;
    for (std::size_t i = 0; i < tools.size(); ++i)
        origins.push_back({tools[i], units[i], statistics[i], warm_ups[i], files[i]});
    return origins;
}

} // namespace

bool is_name(const std::string& text) {
    return !text.empty() && text.size() <= longest_name &&
           std::none_of(text.begin(), text.end(), [](char c) {
               const auto byte = static_cast<unsigned char>(c);
               return byte < 0x20 || byte == 0x7f;
           });
}

void check_fleet(const Fleet& fleet, const std::string& where) {
    if (fleet.devices() == 0) throw core::DataError(where + ": the fleet has no devices");
    if (fleet.benchmarks() == 0) throw core::DataError(where + ": the fleet has no benchmarks");
    if (fleet.devices() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
        throw core::DataError(fmt::format("{}: {} devices; at most 2147483647 are supported", where,
                                          fleet.devices()));
    check_names({fleet.sku}, "sku", where);
    check_names(fleet.device_ids, "device_id", where);
    check_names(fleet.benchmark_names, "benchmark", where);
    if (fleet.latency_ms.size() / fleet.benchmarks() != fleet.devices() ||
        fleet.latency_ms.size() % fleet.benchmarks() != 0)
        throw core::DataError(fmt::format("{}: {} latencies for {} devices and {} benchmarks",
                                          where, fleet.latency_ms.size(), fleet.devices(),
                                          fleet.benchmarks()));
    check_latencies(fleet, where);
    check_measured(fleet, where);
    check_attributes(fleet, where);
    check_genomes(fleet, where);
    check_spreads(fleet, where);
}

std::size_t missing_latencies(const Fleet& fleet) {
    return static_cast<std::size_t>(std::count_if(fleet.latency_ms.begin(), fleet.latency_ms.end(),
                                                  [](double value) { return std::isnan(value); }));
}

std::vector<double> measured_latencies(const Fleet& fleet, std::size_t benchmark) {
    std::vector<double> latencies;
    latencies.reserve(fleet.devices());
    for (std::size_t i = benchmark; i < fleet.latency_ms.size(); i += fleet.benchmarks())
        if (!std::isnan(fleet.latency_ms[i])) latencies.push_back(fleet.latency_ms[i]);
    return latencies;
}

void write_fleet(storage::Hdf5Writer& file, const Fleet& fleet) {
    check_fleet(fleet, "fleet to be written");
    file.attribute("/", "sku", fleet.sku);
    file.write_strings("/device_id", fleet.device_ids);
    file.write_strings("/benchmark", fleet.benchmark_names);
    file.write("/latency_ms", fleet.latency_ms, {fleet.devices(), fleet.benchmarks()});
    file.attribute("/latency_ms", "unit", std::string("ms"));
    for (const DeviceAttribute& attribute : fleet.attributes) {
        file.write(attributes_group + attribute.name, attribute.values);
        file.attribute(attributes_group + attribute.name, "unit", attribute.unit);
    }
    for (const DeviceLabel& label : fleet.labels)
        write_label(file, label);
    if (!fleet.benchmark_genomes.empty()) write_genomes(file, fleet.benchmark_genomes);
    if (!fleet.spreads.empty()) write_spreads(file, fleet);
    if (!fleet.origins.empty()) write_origins(file, fleet.origins);
}

Fleet read_fleet(const storage::Hdf5Reader& file) {
    Fleet fleet;
    fleet.sku = file.attribute_string("/", "sku");
    fleet.device_ids = file.read_strings("/device_id");
    fleet.benchmark_names = file.read_strings("/benchmark");
    fleet.latency_ms = file.read<double>("/latency_ms", {fleet.devices(), fleet.benchmarks()});
    fleet.attributes = read_attributes(file, fleet.devices());
    fleet.labels = read_labels(file, fleet.devices());
    if (file.contains(runs_path)) fleet.spreads = read_spreads(file, fleet);
    if (file.contains("/origin/tool")) fleet.origins = read_origins(file);
    if (file.contains(genomes_path)) fleet.benchmark_genomes = read_genomes(file);
    check_fleet(fleet, file.name());
    return fleet;
}

} // namespace hdap::fleet
