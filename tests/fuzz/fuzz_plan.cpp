#include "hdap/ablation/plan.hpp"
#include "hdap/core/error.hpp"

#include <cstdint>
#include <string>

/// Whatever the text, a plan has cells that can be told apart and whose settings load, or it is a
/// ConfigError. Plans of the corpus use the quickstart, as the shipped ones do.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    try {
        const auto plan = hdap::ablation::parse_plan(text, HDAP_SOURCE_DIR "/jobs/fuzz.toml");
        if (plan.cells.empty()) __builtin_trap();
        for (const auto& cell : plan.cells)
            if (cell.labels.size() != plan.axis_names.size()) __builtin_trap();
        (void)hdap::ablation::cell_settings(plan, plan.cells.back());
        (void)hdap::ablation::manifest_csv(plan);
    } catch (const hdap::core::ConfigError&) {
        return 0;
    }
    return 0;
}
