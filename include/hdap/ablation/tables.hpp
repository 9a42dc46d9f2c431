#pragma once

#include "hdap/ablation/collection.hpp"
#include "hdap/ablation/comparison.hpp"
#include "hdap/ablation/folder.hpp"
#include "hdap/ablation/plan.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

namespace hdap::ablation {

/// Root attribute `schema` of an ablation's results.h5.
inline constexpr const char* ablation_schema = "hdap-ablation/1";

/// One column of a table, which is written as CSV and as HDF5.
struct TableColumn {
    std::string name; ///< in CSV; empty: HDF5 only
    std::string path; ///< of the data set in HDF5; empty: CSV only
    std::string unit; ///< attribute of the data set, unless empty
    std::variant<std::vector<std::string>, std::vector<std::int64_t>, std::vector<double>> values;
};

/// Columns of equal lengths.
using Table = std::vector<TableColumn>;

/// One row a complete cell: id, labels ('/' in an axis' name is '_' in HDF5), final metrics, costs
/// (cost_NAME), provenance.
Table cells_table(const Plan& plan, const Collection& collection);

/// One row a complete cell and generation: id and labels (CSV), place in cells_table (HDF5),
/// generation, series.
Table history_table(const Plan& plan, const Collection& collection);

/// One row a ComparisonRow.
Table comparison_table(const std::vector<ComparisonRow>& rows);

/// The table as CSV (RFC 4180, lines end in a line feed). Numbers read back exactly, NaN is an
/// empty field. A name that occurs again gets ".1", ".2" … appended.
std::string csv_text(const Table& table);

/// Writes the columns that have a path. A path that occurs again gets ".1", ".2" … appended.
void write_table(storage::Hdf5Writer& file, const Table& table);

/// The files of a collected ablation.
struct CollectedFiles {
    std::filesystem::path results;
    std::filesystem::path cells;
    std::filesystem::path history;
    std::filesystem::path comparison;
};

/// Writes results.h5, cells.csv, history.csv and comparison.csv into the ablation's folder, each
/// atomically. A results.h5 that was made by the same version of hdap from the same results, plan
/// and comparison stays as it is, so that equal inputs give equal bytes.
/// Throws InternalError when the disk is full or not writable.
CollectedFiles write_tables(const Folder& folder, const Plan& plan, const Collection& collection,
                            const Comparison& comparison, const std::vector<ComparisonRow>& rows);

} // namespace hdap::ablation
