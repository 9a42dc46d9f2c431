#pragma once

#include "fleet/sources/measurement_plan.hpp"
#include "hdap/fleet/latency_source.hpp"
#include "hdap/fleet/measurement_log.hpp"

#include <vector>

namespace hdap::fleet {

/// Has every rank measure what its machine lacks of a quantity, by rounds over some candidates at a
/// time, in which these take turns (measure_rounds), or under continuous load one after the other
/// (measure_sustained). After each lot the root logs what was measured.
/// `queues`, on the root: what devices lack; those that no rank is are left alone. `runs`: rounds
/// of each candidate. False when it was asked to stop. Collective. Throws AgreedErrors: what
/// running a network throws, and InternalError's kind when the log cannot be written.
bool measure_live(const std::vector<DeviceQueue>& queues, Quantity quantity,
                  const LatencySourceParameters& parameters, std::int64_t runs,
                  const network::Prunable& network, MeasurementLog* log, const parallel::Job& job);

} // namespace hdap::fleet
