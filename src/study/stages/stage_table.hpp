#pragma once

#include "hdap/core/settings.hpp"
#include "study_run.hpp"

#include <array>
#include <span>
#include <string_view>

namespace hdap::study {

/// A stage of a study.
struct StageRow {
    std::string_view name;
    Stage stage;
    std::string_view file;         ///< its output in the run directory
    const char* schema;            ///< of that file
    core::Outputs output;          ///< of the settings that shape it
    std::span<const Stage> inputs; ///< stages whose outputs it reads
    /// Its file is complete once it is there: then the stage is skipped, and studies share it.
    bool done_when_there;
    bool (*make)(StudyRun&);
};

/// The row of a stage.
const StageRow& row_of(Stage stage);

/// All stages, in their order.
std::span<const StageRow> stage_table();

} // namespace hdap::study
