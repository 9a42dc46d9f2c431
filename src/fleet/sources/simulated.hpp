#pragma once

#include "hdap/fleet/latency_source.hpp"

#include <memory>
#include <vector>

namespace hdap::fleet {

/// A synthetic fleet whose devices are simulated by a device model. Every rank measures a share of
/// the networks; the conditions of a device are drawn again wherever they are needed. It is not
/// stopped: a job whose time is nearly over gets further with what takes a second than without.
std::unique_ptr<LatencySource> make_simulated_source(const LatencySourceParameters& parameters,
                                                     const network::Prunable& prunable,
                                                     const parallel::Communicator& communicator);

/// The settings of `parameters` that it alone looks at; they must not outlive them.
std::vector<core::Setting> simulated_settings(LatencySourceParameters& parameters);

} // namespace hdap::fleet
