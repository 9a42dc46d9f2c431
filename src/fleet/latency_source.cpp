#include "hdap/fleet/latency_source.hpp"

#include "fleet/sources/measured.hpp"
#include "fleet/sources/recorded.hpp"
#include "fleet/sources/simulated.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/unknown_name.hpp"

#include <fmt/core.h>

#include <string_view>

namespace hdap::fleet {
namespace {

struct SourceRow {
    std::string_view name;
    std::string_view section; ///< of its settings; empty: none of its own
    std::string_view comment; ///< of that section
    std::vector<core::Setting> (*settings)(LatencySourceParameters& parameters);
    /// Collective; throws AgreedErrors.
    std::unique_ptr<LatencySource> (*make)(const LatencySourceParameters& parameters,
                                           const network::Prunable& prunable,
                                           const parallel::Communicator& communicator);
};

/// Another source is a line here.
constexpr SourceRow sources[] = {
    {"simulated", "fleet.synthetic", "How the units of a simulated fleet differ",
     &simulated_settings, &make_simulated_source},
    {"recorded", "fleet.recorded", "Latencies that were measured elsewhere", &recorded_settings,
     &make_recorded_source},
    {"live", "", "", nullptr, &make_live_source},
    {"command", "latency", "Latencies that are measured on the devices of fleet.file",
     &measured_settings, &make_command_source},
};

const SourceRow& row_of(const std::string& name) {
    for (const SourceRow& row : sources)
        if (row.name == name) return row;
    throw core::ConfigError(core::unknown_name("latency source", name, latency_source_names()));
}

} // namespace

std::vector<std::string> latency_source_names() {
    std::vector<std::string> names;
    for (const SourceRow& row : sources)
        names.emplace_back(row.name);
    return names;
}

std::vector<core::Section> latency_source_sections(LatencySourceParameters& parameters) {
    std::vector<core::Section> sections;
    for (const SourceRow& row : sources)
        if (!row.section.empty())
            sections.push_back(
                {std::string(row.section), std::string(row.comment), row.settings(parameters)});
    return sections;
}

std::unique_ptr<LatencySource> make_latency_source(const LatencySourceParameters& parameters,
                                                   const network::Prunable& prunable,
                                                   const parallel::Communicator& communicator) {
    const SourceRow* row = nullptr;
    communicator.on_every_rank([&] { row = &row_of(parameters.source); });
    return row->make(parameters, prunable, communicator);
}

} // namespace hdap::fleet
