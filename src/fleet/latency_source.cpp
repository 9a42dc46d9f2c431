#include "hdap/fleet/latency_source.hpp"

#include "fleet/sources/recorded.hpp"
#include "fleet/sources/simulated.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <string_view>

namespace hdap::fleet {
namespace {

struct SourceRow {
    std::string_view name;
    std::unique_ptr<LatencySource> (*make)(const LatencySourceParameters& parameters,
                                           const network::Prunable& prunable,
                                           const parallel::Communicator& communicator);
};

/// Another source is a line here.
constexpr SourceRow sources[] = {
    {"simulated", &make_simulated_source},
    {"recorded", &make_recorded_source},
};

const SourceRow& row_of(const std::string& name) {
    for (const SourceRow& row : sources)
        if (row.name == name) return row;
    throw core::ConfigError(fmt::format("unknown latency source '{}'; known: {}", name,
                                        core::join(latency_source_names())));
}

} // namespace

std::vector<std::string> latency_source_names() {
    std::vector<std::string> names;
    for (const SourceRow& row : sources)
        names.emplace_back(row.name);
    return names;
}

std::unique_ptr<LatencySource> make_latency_source(const LatencySourceParameters& parameters,
                                                   const network::Prunable& prunable,
                                                   const parallel::Communicator& communicator) {
    std::unique_ptr<LatencySource> source;
    communicator.on_every_rank(
        [&] { source = row_of(parameters.source).make(parameters, prunable, communicator); });
    return source;
}

} // namespace hdap::fleet
