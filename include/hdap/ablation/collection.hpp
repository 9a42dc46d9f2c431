#pragma once

#include "hdap/ablation/folder.hpp"
#include "hdap/ablation/plan.hpp"
#include "hdap/study/results.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hdap::ablation {

/// Where the results of a cell come from: attributes of its results.h5, empty where it has none.
struct CellProvenance {
    std::string software_version;
    std::string git_commit;
    std::string host;
    std::string job;     ///< of Slurm
    std::string created; ///< ISO 8601, UTC
};

/// A cell whose results cannot be used.
struct DamagedCell {
    std::string id;
    std::string reason; ///< an error's message
};

/// Two cells that name the same network, weights and images, but were made from files of other
/// content: somebody changed a file in between, and their metrics should not be compared.
struct MixedInputs {
    std::string id;
    std::string other_id;
};

/// The results of all complete cells, by columns. A value is NaN where a cell lacks the metric.
struct Collection {
    std::vector<std::size_t> cells;                 ///< [complete] places in Plan::cells, ascending
    std::vector<CellProvenance> provenance;         ///< [complete]
    std::vector<study::ResultSeries> final_metrics; ///< each of [complete] values
    std::vector<study::ResultSeries> costs;         ///< each of [complete] values
    std::vector<std::int64_t> history_cell;         ///< [rows] places in `cells`, ascending
    std::vector<std::int64_t> history_generation;   ///< [rows] from 0, for each cell
    std::vector<study::ResultSeries> history;       ///< each of [rows] values
    std::vector<std::string> missing;               ///< ids of cells that are not complete
    std::vector<DamagedCell> damaged;
    std::vector<MixedInputs> mixed; ///< each cell once, with the first that differs
    std::string sha256; ///< of the ids and the files read: equal ones mean an equal collection
};

/// Reads the results of all complete cells. Cells without results.h5 are `missing`; those whose
/// file cannot be used (a broken seal, another schema, columns that do not fit, a name twice or one
/// that is no name, another unit than in the cells before) are `damaged`. Neither is an error.
/// Columns come in the order of their first appearance; a series of the name `generation` is left
/// out for the generations counted here.
/// Complexity: linear in the bytes read; about 1 ms a cell.
Collection collect(const Plan& plan, const Folder& folder);

} // namespace hdap::ablation
