#include "hdap/ablation/collection.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

namespace hdap::ablation {
namespace {

namespace fs = std::filesystem;
using Series = std::vector<study::ResultSeries>;

/// The results of one cell and where they come from.
struct CellResults {
    Series final_metrics; ///< one value each
    Series costs;         ///< one value each
    Series history;
    std::size_t generations = 0;
    CellProvenance provenance;
    std::string sha256;         ///< of the file
    std::string content_sha256; ///< of weights and images; empty in older files
};

Series as_series(const std::vector<study::ResultMetric>& metrics) {
    Series series;
    for (const study::ResultMetric& metric : metrics)
        series.push_back({.name = metric.name, .unit = metric.unit, .values = {metric.value}});
    return series;
}

/// Names become names of data sets and columns.
void check_names(const Series& columns, const std::string& file) {
    constexpr std::size_t longest_name = 200;
    std::set<std::string> seen;
    for (const study::ResultSeries& column : columns) {
        const std::string& name = column.name;
        const bool usable = !name.empty() && name.size() <= longest_name && name != "." &&
                            std::none_of(name.begin(), name.end(), [](char letter) {
                                return letter == '/' || static_cast<unsigned char>(letter) < 0x20;
                            });
        if (!usable)
            throw core::DataError(fmt::format("{}: '{}' is no name of a metric: it must have 1 to "
                                              "200 bytes, without '/' and control characters",
                                              file, name.substr(0, longest_name)));
        if (!seen.insert(name).second)
            throw core::DataError(fmt::format("{}: has two metrics of the name '{}'", file, name));
    }
}

CellProvenance read_provenance(const storage::Hdf5Reader& file) {
    const auto text = [&](const std::string& name) {
        return file.has_attribute("/", name) ? file.attribute_text("/", name) : std::string();
    };
    return {.software_version = text("software_version"),
            .git_commit = text("git_commit"),
            .host = text("host"),
            .job = text("job"),
            .created = text("created")};
}

CellResults read_cell(const fs::path& path) {
    std::vector<std::byte> bytes = storage::read_sealed(path);
    CellResults cell;
    cell.sha256 = core::sha256_hex(bytes);
    const auto file = storage::Hdf5Reader::from_bytes(std::move(bytes), path.string());
    storage::read_identity(file, study::results_schema);
    study::Results results = study::read_results(file);
    cell.final_metrics = as_series(results.final_metrics);
    cell.costs = as_series(results.costs);
    cell.history = std::move(results.history);
    if (!cell.history.empty()) cell.generations = cell.history.front().values.size();
    std::erase_if(cell.history, [](const auto& series) { return series.name == "generation"; });
    for (const Series* columns : {&cell.final_metrics, &cell.costs, &cell.history})
        check_names(*columns, file.name());
    cell.provenance = read_provenance(file);
    if (file.has_attribute("/", "content_sha256"))
        cell.content_sha256 = file.attribute_text("/", "content_sha256");
    return cell;
}

/// What a cell changes of the base's network, weights and images.
std::string named_inputs(const Cell& cell) {
    std::string names;
    for (const std::string& override : cell.overrides)
        if (override.starts_with("network.") || override.starts_with("data.file"))
            names += override + "\n";
    return names;
}

/// Columns that grow by the rows of one cell after the other.
class Columns {
  public:
    /// Throws DataError when a column of the same name is in another unit.
    void check_units(const Series& more, const std::string& file) const {
        for (const study::ResultSeries& column : more) {
            const auto known = places_.find(column.name);
            if (known != places_.end() && columns_[known->second].unit != column.unit)
                throw core::DataError(fmt::format("{}: {} is in '{}', in the cells before in '{}'",
                                                  file, column.name, column.unit,
                                                  columns_[known->second].unit));
        }
    }

    /// Appends `rows` rows; columns that `more` lacks get NaN.
    void append(const Series& more, std::size_t rows) {
        for (const study::ResultSeries& column : more) {
            const auto [place, is_new] = places_.emplace(column.name, columns_.size());
            if (is_new)
                columns_.push_back({.name = column.name, .unit = column.unit, .values = {}});
            std::vector<double>& values = columns_[place->second].values;
            values.resize(rows_, absent);
            values.insert(values.end(), column.values.begin(), column.values.end());
        }
        rows_ += rows;
    }

    /// All columns, filled up to the same length. Ends this object's use.
    Series finish() {
        for (study::ResultSeries& column : columns_)
            column.values.resize(rows_, absent);
        return std::move(columns_);
    }

  private:
    static constexpr double absent = std::numeric_limits<double>::quiet_NaN();

    Series columns_;
    std::map<std::string, std::size_t> places_; ///< by name
    std::size_t rows_ = 0;
};

/// Puts the cells that were read into columns.
class Collector {
  public:
    /// Throws DataError, and adds nothing, when a metric is in another unit than in other cells.
    void add(std::size_t place, const Cell& cell, const CellResults& read,
             const std::string& file) {
        final_metrics_.check_units(read.final_metrics, file);
        costs_.check_units(read.costs, file);
        history_.check_units(read.history, file);
        final_metrics_.append(read.final_metrics, 1);
        costs_.append(read.costs, 1);
        history_.append(read.history, read.generations);
        const auto row = static_cast<std::int64_t>(collection_.cells.size());
        for (std::size_t g = 0; g < read.generations; ++g) {
            collection_.history_cell.push_back(row);
            collection_.history_generation.push_back(static_cast<std::int64_t>(g));
        }
        collection_.cells.push_back(place);
        collection_.provenance.push_back(read.provenance);
        if (!read.content_sha256.empty()) check_inputs(cell, read.content_sha256);
        hash_.update(cell.id).update(read.sha256);
    }

    void add_missing(const Cell& cell) { collection_.missing.push_back(cell.id); }

    void add_damaged(const Cell& cell, const std::string& reason) {
        collection_.damaged.push_back({.id = cell.id, .reason = reason});
        hash_.update(cell.id).update(reason);
    }

    /// Ends this object's use.
    Collection finish() {
        collection_.final_metrics = final_metrics_.finish();
        collection_.costs = costs_.finish();
        collection_.history = history_.finish();
        collection_.sha256 = hash_.hex_digest();
        return std::move(collection_);
    }

  private:
    void check_inputs(const Cell& cell, const std::string& content) {
        const auto [first, is_new] =
            inputs_.emplace(named_inputs(cell), std::pair(cell.id, content));
        if (!is_new && first->second.second != content)
            collection_.mixed.push_back({.id = cell.id, .other_id = first->second.first});
    }

    Collection collection_;
    /// Of the first cell that names such inputs: its id, and the hash of their content.
    std::map<std::string, std::pair<std::string, std::string>> inputs_;
    Columns final_metrics_;
    Columns costs_;
    Columns history_;
    core::Sha256 hash_;
};

} // namespace

Collection collect(const Plan& plan, const Folder& folder) {
    Collector collector;
    for (std::size_t i = 0; i < plan.cells.size(); ++i) {
        const Cell& cell = plan.cells[i];
        const fs::path file = folder.run_directory(cell) / "results.h5";
        std::error_code unreachable;
        if (!fs::exists(file, unreachable)) {
            collector.add_missing(cell);
            continue;
        }
        try {
            collector.add(i, cell, read_cell(file), file.string());
        } catch (const core::Error& error) {
            collector.add_damaged(cell, error.what());
        }
    }
    return collector.finish();
}

} // namespace hdap::ablation
