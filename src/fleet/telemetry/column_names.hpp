#pragma once

#include <optional>
#include <string>
#include <string_view>

/// What the names of columns, of keys and of data sets say, the same in every format.
namespace hdap::fleet {

std::string in_lower_case(std::string text);

/// Whether it is "latency" or another word for it, with a unit at its end or without: "latency_us",
/// "Duration (ms)", "latencies_ms".
bool is_latency_name(const std::string& name);

/// Whether it is the median of several runs: "median_ms".
bool is_median_name(const std::string& name);

/// What numbers that are no latencies are in, by how the name ends: "MHz" of "gpu_mhz"; "1" where
/// it does not tell.
std::string attribute_unit(const std::string& name);

/// `name` as that of an attribute or a label, which has no slashes.
std::string attribute_name(std::string name);

} // namespace hdap::fleet
