#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// What the names of columns, of keys and of data sets say, the same in every format.
namespace hdap::fleet {

std::string in_lower_case(std::string text);

/// Which of several columns holds the latencies.
struct LatencyColumnPlace {
    std::size_t place = 0;
    std::optional<std::size_t> rival{}; ///< another that is as good a candidate
    bool is_median = false;             ///< of several runs each
};

/// The one that is called so ("latency_us", "latencies_ms", "Inference_time (ms)"), else one that
/// is called time or duration, else a median ("median_ms"); nothing without any. A time beside
/// latencies is perhaps that of day. Units do not matter.
std::optional<LatencyColumnPlace> latency_among(std::span<const std::string_view> names);

/// What numbers that are no latencies are in, by how the name ends: "MHz" of "gpu_mhz"; "1" where
/// it does not tell.
std::string attribute_unit(const std::string& name);

/// `name` as that of an attribute or a label, which has no slashes.
std::string attribute_name(std::string name);

} // namespace hdap::fleet
