#pragma once

#include "hdap/core/error.hpp"

/// What `hdap bench` does: runs one of bench::benchmarks() and prints a table, or JSON. The arguments
/// are those of `hdap`, from "bench" on.
/// Throws UsageError when they make no sense, and what a benchmark throws.
extern "C" hdap::core::ExitCode hdap_run_benchmarks(int argc, const char* const* argv);
