#include "hdap/study/results.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace hdap::study {
namespace {

void write_metrics(storage::Hdf5Writer& file, const std::string& group,
                   const std::vector<ResultMetric>& metrics) {
    std::vector<std::string> names;
    std::vector<std::string> units;
    std::vector<double> values;
    for (const ResultMetric& metric : metrics) {
        names.push_back(metric.name);
        units.push_back(metric.unit);
        values.push_back(metric.value);
    }
    file.write_strings(group + "/name", names);
    file.write_strings(group + "/unit", units);
    file.write<double>(group + "/value", values);
}

std::vector<ResultMetric> read_metrics(const storage::Hdf5Reader& file, const std::string& group) {
    const auto names = file.read_strings(group + "/name");
    const auto units = file.read_strings(group + "/unit");
    const auto values = file.read<double>(group + "/value");
    if (units.size() != names.size() || values.size() != names.size())
        throw core::DataError(fmt::format("{}: {}: name, unit and value have {}, {} and {} entries",
                                          file.name(), group, names.size(), units.size(),
                                          values.size()));
    std::vector<ResultMetric> metrics;
    for (std::size_t i = 0; i < names.size(); ++i)
        metrics.push_back({.name = names[i], .unit = units[i], .value = values[i]});
    return metrics;
}

void write_series(storage::Hdf5Writer& file, const std::string& group,
                  const std::vector<ResultSeries>& columns) {
    file.group(group);
    for (const ResultSeries& series : columns) {
        const std::string path = group + "/" + series.name;
        file.write<double>(path, series.values);
        file.attribute(path, "unit", series.unit);
    }
}

void write_bounds(storage::Hdf5Writer& file, const ResultBounds& bounds) {
    if (bounds.constraints.empty()) return;
    file.write_strings("/bounds/constraints", bounds.constraints);
    file.write<double>("/bounds/limit", bounds.limit);
    file.write_strings("/bounds/safer", bounds.safer);
    file.write_strings("/bounds/networks", bounds.networks);
    file.write_strings("/bounds/holds", bounds.holds);
    file.write<double>("/bounds/found", bounds.found,
                       {bounds.networks.size(), bounds.constraints.size()});
}

} // namespace

void write_results(storage::Hdf5Writer& file, const Results& results) {
    write_metrics(file, "/final", results.final_metrics);
    write_metrics(file, "/cost", results.costs);
    write_series(file, "/history", results.history);
    if (!results.rounds.empty()) write_series(file, "/rounds", results.rounds);
    write_bounds(file, results.bounds);
}

Results read_results(const storage::Hdf5Reader& file) {
    Results results;
    results.final_metrics = read_metrics(file, "/final");
    results.costs = read_metrics(file, "/cost");
    const std::string folder = "/history/";
    for (const storage::Entry& entry : file.list()) {
        if (!entry.path.starts_with(folder)) continue;
        results.history.push_back({.name = entry.path.substr(folder.size()),
                                   .unit = file.attribute_string(entry.path, "unit"),
                                   .values = file.read<double>(entry.path)});
        const std::size_t expected = results.history.front().values.size();
        const std::size_t found = results.history.back().values.size();
        if (found != expected)
            throw core::DataError(fmt::format("{}: {}: has {} values, other columns have {}",
                                              file.name(), entry.path, found, expected));
    }
    return results;
}

} // namespace hdap::study
