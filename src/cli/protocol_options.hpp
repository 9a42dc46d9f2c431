#pragma once

#include "hdap/fleet/measurement.hpp"

#include <CLI/CLI.hpp>

namespace hdap::cli {

/// --rounds, --runs, --warmup, --quantile: how latencies are measured on this machine.
void add_protocol_options(CLI::App& command, fleet::MeasurementParameters& parameters);

} // namespace hdap::cli
