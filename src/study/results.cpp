#include "hdap/study/results.hpp"

#include "hdap/core/error.hpp"

#include <algorithm>

namespace hdap::study {
namespace {

void write_figures(storage::Hdf5Writer& file, const std::string& group,
                   const std::vector<ResultFigure>& figures) {
    std::vector<std::string> names;
    std::vector<std::string> units;
    std::vector<double> values;
    for (const ResultFigure& figure : figures) {
        names.push_back(figure.name);
        units.push_back(figure.unit);
        values.push_back(figure.value);
    }
    file.write_strings(group + "/name", names);
    file.write_strings(group + "/unit", units);
    file.write<double>(group + "/value", values);
}

std::vector<ResultFigure> read_figures(const storage::Hdf5Reader& file, const std::string& group) {
    const auto names = file.read_strings(group + "/name");
    const auto units = file.read_strings(group + "/unit");
    const auto values = file.read<double>(group + "/value");
    if (units.size() != names.size() || values.size() != names.size())
        throw core::DataError(file.name() + ": " + group + ": name, unit and value have " +
                              std::to_string(names.size()) + ", " + std::to_string(units.size()) +
                              " and " + std::to_string(values.size()) + " entries");
    std::vector<ResultFigure> figures;
    for (std::size_t i = 0; i < names.size(); ++i)
        figures.push_back({.name = names[i], .unit = units[i], .value = values[i]});
    return figures;
}

} // namespace

void write_results(storage::Hdf5Writer& file, const Results& results) {
    write_figures(file, "/final", results.final_figures);
    write_figures(file, "/cost", results.costs);
    file.group("/history");
    for (const ResultSeries& series : results.history) {
        const std::string path = "/history/" + series.name;
        file.write<double>(path, series.values);
        file.attribute(path, "unit", series.unit);
    }
}

Results read_results(const storage::Hdf5Reader& file) {
    Results results;
    results.final_figures = read_figures(file, "/final");
    results.costs = read_figures(file, "/cost");
    const std::string folder = "/history/";
    for (const storage::Entry& entry : file.list()) {
        if (!entry.path.starts_with(folder)) continue;
        results.history.push_back({.name = entry.path.substr(folder.size()),
                                   .unit = file.attribute_string(entry.path, "unit"),
                                   .values = file.read<double>(entry.path)});
        const std::size_t expected = results.history.front().values.size();
        const std::size_t found = results.history.back().values.size();
        if (found != expected)
            throw core::DataError(file.name() + ": " + entry.path + ": has " +
                                  std::to_string(found) + " values, other columns have " +
                                  std::to_string(expected));
    }
    return results;
}

} // namespace hdap::study
