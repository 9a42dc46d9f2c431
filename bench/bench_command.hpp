#pragma once

#include "hdap/cli/cli.hpp"

namespace hdap::bench {

/// Adds `hdap bench NAME`, which runs one of benchmarks() and prints a table, or JSON.
void add_bench_command(CLI::App& app, cli::Action& action);

} // namespace hdap::bench
