#include "hdap/ablation/tables.hpp"

#include "hdap/core/csv.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/core/text.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

namespace hdap::ablation {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;
using Integers = std::vector<std::int64_t>;
using Reals = std::vector<double>;

constexpr double absent = std::numeric_limits<double>::quiet_NaN();

/// One value a row of `rows`, as `get` finds it.
template <class T, class Rows, class Get>
std::vector<T> column_of(const Rows& rows, Get get) {
    std::vector<T> values;
    values.reserve(rows.size());
    for (const auto& row : rows)
        values.push_back(static_cast<T>(get(row)));
    return values;
}

/// An axis may have any name; that of a data set ends at a '/'.
std::string axis_path(std::string axis) {
    std::replace(axis.begin(), axis.end(), '/', '_');
    return "/cells/" + axis;
}

/// `name`, or where it is taken the first of "name.1", "name.2" … that is not; takes it.
std::string take_name(const std::string& name, std::set<std::string>& taken) {
    std::string free = name;
    for (int i = 1; !taken.insert(free).second; ++i)
        free = name + "." + std::to_string(i);
    return free;
}

/// Appends ids and labels of cells, given by their places in the plan. CSV repeats them in every
/// table, so that none needs another one; HDF5 has them once.
void add_labels(Table& table, const Plan& plan, const std::vector<std::size_t>& cells,
                bool in_hdf5) {
    const auto add = [&](const std::string& name, const std::string& path, auto get) {
        table.push_back({.name = name,
                         .path = in_hdf5 ? path : "",
                         .unit = {},
                         .values = column_of<std::string>(
                             cells, [&](std::size_t cell) { return get(plan.cells[cell]); })});
    };
    add("id", "/cells/id", [](const Cell& cell) { return cell.id; });
    for (std::size_t a = 0; a < plan.axis_names.size(); ++a)
        add(plan.axis_names[a], axis_path(plan.axis_names[a]),
            [a](const Cell& cell) { return cell.labels[a]; });
}

void add_metrics(Table& table, const std::vector<study::ResultSeries>& columns,
                 const std::string& name_prefix, const std::string& group) {
    for (const study::ResultSeries& column : columns)
        table.push_back({.name = name_prefix + column.name,
                         .path = group + column.name,
                         .unit = column.unit,
                         .values = column.values});
}

/// The text of a field; empty for NaN.
class FieldText {
  public:
    explicit FieldText(std::size_t row) : row_(row) {}
    std::string operator()(const Strings& values) const { return core::csv_field(values[row_]); }
    std::string operator()(const Integers& values) const { return std::to_string(values[row_]); }
    std::string operator()(const Reals& values) const {
        return std::isnan(values[row_]) ? "" : core::shortest(values[row_]);
    }

  private:
    std::size_t row_;
};

std::size_t row_count(const Table& table) {
    if (table.empty()) return 0;
    return std::visit([](const auto& values) { return values.size(); }, table.front().values);
}

/// What the content of results.h5 depends on.
storage::FileIdentity identity_of(const Plan& plan, const Collection& collection,
                                  const Comparison& comparison) {
    const core::Provenance software = core::current_provenance();
    core::Sha256 hash;
    for (const std::string& text : {software.software_version, software.git_commit, plan.name,
                                    manifest_csv(plan), comparison.axis, comparison.baseline,
                                    core::join(comparison.within, "\n"), comparison.fleets})
        hash.update(std::to_string(text.size())).update("\n").update(text);
    return {.schema = ablation_schema,
            .config_sha256 = hash.hex_digest(),
            .input_sha256 = collection.sha256};
}

/// Whether `file` is there, whole, and has this identity.
bool is_up_to_date(const fs::path& file, const storage::FileIdentity& identity) {
    std::error_code unreachable;
    if (!fs::exists(file, unreachable)) return false;
    try {
        const auto content =
            storage::Hdf5Reader::from_bytes(storage::read_sealed(file), file.string());
        const auto found = storage::read_identity(content, identity.schema);
        return found.config_sha256 == identity.config_sha256 &&
               found.input_sha256 == identity.input_sha256;
    } catch (const core::Error&) {
        return false; // it is made again
    }
}

void write_incomplete(storage::Hdf5Writer& file, const Collection& collection) {
    Strings ids = collection.missing;
    Strings reasons(ids.size(), "missing");
    for (const DamagedCell& cell : collection.damaged) {
        ids.push_back(cell.id);
        reasons.push_back(cell.reason);
    }
    file.write_strings("/incomplete/id", ids);
    file.write_strings("/incomplete/reason", reasons);
}

} // namespace

Table cells_table(const Plan& plan, const Collection& collection) {
    Table table;
    add_labels(table, plan, collection.cells, true);
    add_metrics(table, collection.final_metrics, "", "/final/");
    add_metrics(table, collection.costs, "cost_", "/cost/");
    const auto add = [&](const std::string& name, std::string CellProvenance::*member) {
        table.push_back({.name = name,
                         .path = "/provenance/" + name,
                         .unit = {},
                         .values = column_of<std::string>(
                             collection.provenance,
                             [member](const CellProvenance& cell) { return cell.*member; })});
    };
    add("software_version", &CellProvenance::software_version);
    add("git_commit", &CellProvenance::git_commit);
    add("host", &CellProvenance::host);
    add("job", &CellProvenance::job);
    add("created", &CellProvenance::created);
    return table;
}

Table history_table(const Plan& plan, const Collection& collection) {
    Table table;
    const auto cells = column_of<std::size_t>(collection.history_cell, [&](std::int64_t cell) {
        return collection.cells[static_cast<std::size_t>(cell)];
    });
    add_labels(table, plan, cells, false);
    table.push_back(
        {.name = {}, .path = "/history/cell", .unit = {}, .values = collection.history_cell});
    table.push_back({.name = "generation",
                     .path = "/history/generation",
                     .unit = {},
                     .values = collection.history_generation});
    add_metrics(table, collection.history, "", "/history/");
    return table;
}

Table comparison_table(const std::vector<ComparisonRow>& rows) {
    Table table;
    const auto add = [&](const std::string& name, auto values) {
        table.push_back(
            {.name = name, .path = "/comparison/" + name, .unit = {}, .values = std::move(values)});
    };
    const auto text = [&](auto get) { return column_of<std::string>(rows, get); };
    const auto count = [&](auto get) { return column_of<std::int64_t>(rows, get); };
    const auto real = [&](auto get) { return column_of<double>(rows, get); };
    const auto difference = [&](double PairedDifference::*member) {
        return real([member](const ComparisonRow& row) {
            return row.difference ? (*row.difference).*member : absent;
        });
    };
    using Row = ComparisonRow;
    add("axis", text([](const Row& row) { return row.axis; }));
    add("group", text([](const Row& row) { return row.group; }));
    add("fleet", text([](const Row& row) { return row.fleet; }));
    add("metric", text([](const Row& row) { return row.metric; }));
    add("kind", text([](const Row& row) { return row.is_cost ? "cost" : "final"; }));
    add("unit", text([](const Row& row) { return row.unit; }));
    add("label", text([](const Row& row) { return row.label; }));
    add("n", count([](const Row& row) { return row.summary.count; }));
    add("missing", count([](const Row& row) { return row.summary.missing; }));
    add("median", real([](const Row& row) { return row.summary.median; }));
    add("q1", real([](const Row& row) { return row.summary.q1; }));
    add("q3", real([](const Row& row) { return row.summary.q3; }));
    add("median_low", real([](const Row& row) { return row.summary.median_interval.low; }));
    add("median_high", real([](const Row& row) { return row.summary.median_interval.high; }));
    add("pairs", count([](const Row& row) { return row.difference ? row.difference->pairs : 0; }));
    add("fleets",
        count([](const Row& row) { return row.difference ? row.difference->fleets : 0; }));
    add("baseline_median", difference(&PairedDifference::baseline_median));
    add("difference", difference(&PairedDifference::shift));
    const auto of_difference = [&](auto get) {
        return real(
            [get](const Row& row) { return row.difference ? get(*row.difference) : absent; });
    };
    add("difference_low", of_difference([](const auto& d) { return d.shift_interval.low; }));
    add("difference_high", of_difference([](const auto& d) { return d.shift_interval.high; }));
    add("ratio_percent", difference(&PairedDifference::ratio_percent));
    add("effect", difference(&PairedDifference::effect));
    add("p", difference(&PairedDifference::p));
    add("p_holm", difference(&PairedDifference::p_holm));
    add("sd_between_fleets",
        of_difference([](const auto& d) { return std::sqrt(d.variances.between); }));
    add("sd_within_fleets",
        of_difference([](const auto& d) { return std::sqrt(d.variances.within); }));
    return table;
}

std::string csv_text(const Table& table) {
    std::string text;
    std::set<std::string> taken;
    std::vector<const TableColumn*> columns;
    for (const TableColumn& column : table) {
        if (column.name.empty()) continue;
        text += (columns.empty() ? "" : ",") + core::csv_field(take_name(column.name, taken));
        columns.push_back(&column);
    }
    text += "\n";
    for (std::size_t row = 0; row < row_count(table); ++row)
        for (const TableColumn* column : columns)
            text += std::visit(FieldText(row), column->values) +
                    (column == columns.back() ? "\n" : ",");
    return text;
}

void write_table(storage::Hdf5Writer& file, const Table& table) {
    std::set<std::string> taken;
    for (const TableColumn& column : table) {
        if (column.path.empty()) continue;
        const std::string path = take_name(column.path, taken);
        if (const auto* texts = std::get_if<Strings>(&column.values))
            file.write_strings(path, *texts);
        else if (const auto* integers = std::get_if<Integers>(&column.values))
            file.write<std::int64_t>(path, *integers);
        else
            file.write<double>(path, std::get<Reals>(column.values));
        if (!column.unit.empty()) file.attribute(path, "unit", column.unit);
    }
}

CollectedFiles write_tables(const Folder& folder, const Plan& plan, const Collection& collection,
                            const Comparison& comparison, const std::vector<ComparisonRow>& rows) {
    const CollectedFiles files{.results = folder.root / "results.h5",
                               .cells = folder.root / "cells.csv",
                               .history = folder.root / "history.csv",
                               .comparison = folder.root / "comparison.csv"};
    const std::array tables{cells_table(plan, collection), history_table(plan, collection),
                            comparison_table(rows)};
    storage::write_atomically(files.cells, csv_text(tables[0]));
    storage::write_atomically(files.history, csv_text(tables[1]));
    storage::write_atomically(files.comparison, csv_text(tables[2]));
    const storage::FileIdentity identity = identity_of(plan, collection, comparison);
    if (is_up_to_date(files.results, identity)) return files;
    storage::Hdf5Writer file;
    storage::write_identity(file, identity);
    file.attribute("/", "name", plan.name);
    file.attribute("/", "planned_cells", static_cast<std::int64_t>(plan.cells.size()));
    for (const Table& table : tables)
        write_table(file, table);
    file.attribute("/comparison", "baseline", comparison.baseline);
    file.attribute("/comparison", "within", core::join(comparison.within));
    file.attribute("/comparison", "fleets", comparison.fleets);
    write_incomplete(file, collection);
    storage::write_sealed(files.results, file.finish());
    return files;
}

} // namespace hdap::ablation
