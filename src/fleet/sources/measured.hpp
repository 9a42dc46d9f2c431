#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/fleet/latency_source.hpp"

#include <memory>
#include <vector>

/// Real devices: their fleet comes from a file, and candidates are measured on them, by a program
/// that hdap starts (`command`), by its own ranks (`live`), or by the user (`recorded` without a
/// table).
namespace hdap::fleet {

/// The settings of section "latency".
std::vector<core::Setting> measured_settings(LatencySourceParameters& parameters);

/// Collective; throws AgreedErrors: of ConfigError's kind for missing or wrong settings, of
/// DataError's for a fleet that cannot be used.
std::unique_ptr<LatencySource> make_planned_source(const LatencySourceParameters& parameters,
                                                   const network::Prunable& prunable,
                                                   const parallel::Communicator& communicator);
std::unique_ptr<LatencySource> make_command_source(const LatencySourceParameters& parameters,
                                                   const network::Prunable& prunable,
                                                   const parallel::Communicator& communicator);
std::unique_ptr<LatencySource> make_live_source(const LatencySourceParameters& parameters,
                                                const network::Prunable& prunable,
                                                const parallel::Communicator& communicator);

} // namespace hdap::fleet
