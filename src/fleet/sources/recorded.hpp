#pragma once

#include "hdap/fleet/latency_source.hpp"

#include <memory>
#include <vector>

namespace hdap::fleet {

/// The devices of a table of latencies that somebody has measured (RecordedTable). Nothing else can
/// be measured, and nobody knows latencies without noise. Benchmark networks are the first
/// candidates that were measured on most devices.
std::unique_ptr<LatencySource> make_recorded_source(const LatencySourceParameters& parameters,
                                                    const network::Prunable& prunable,
                                                    const parallel::Communicator& communicator);

/// The settings of `parameters` that it alone looks at; they must not outlive them.
std::vector<core::Setting> recorded_settings(LatencySourceParameters& parameters);

} // namespace hdap::fleet
