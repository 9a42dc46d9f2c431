#pragma once

#include "hdap/ablation/folder.hpp"
#include "hdap/ablation/plan.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/study/results.hpp"
#include "support/temporary_folder.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace hdap::test {

/// The grid of axes with these labels, the last one fastest; ids count the cells.
inline ablation::Plan grid_plan(const std::vector<std::string>& axis_names,
                                const std::vector<std::vector<std::string>>& labels) {
    ablation::Plan plan{
        .name = "grid", .base = {}, .axis_names = axis_names, .cells = {{}}, .comparison = {}};
    for (const std::vector<std::string>& axis : labels) {
        std::vector<ablation::Cell> longer;
        for (const ablation::Cell& cell : plan.cells) {
            for (const std::string& label : axis) {
                longer.push_back(cell);
                longer.back().labels.push_back(label);
            }
        }
        plan.cells = longer;
    }
    for (std::size_t i = 0; i < plan.cells.size(); ++i) {
        const std::string number = std::to_string(i);
        plan.cells[i].id = std::string(12 - number.size(), '0') + number;
    }
    return plan;
}

/// Writes the results of a cell as its study would.
inline void write_cell(const ablation::Folder& folder, const ablation::Cell& cell,
                       const study::Results& results,
                       const std::string& schema = study::results_schema,
                       const std::string& content_sha256 = "content") {
    storage::Hdf5Writer file;
    storage::write_identity(file, {.schema = schema, .config_sha256 = "c", .input_sha256 = "i"});
    study::write_results(file, results);
    file.attribute("/", "content_sha256", content_sha256);
    std::filesystem::create_directories(folder.run_directory(cell));
    storage::write_sealed(folder.run_directory(cell) / "results.h5", file.finish());
}

} // namespace hdap::test
