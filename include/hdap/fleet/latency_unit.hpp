#pragma once

#include <optional>
#include <string_view>

namespace hdap::fleet {

/// What a tool counts latencies in.
enum class LatencyUnit { seconds, milliseconds, microseconds, nanoseconds };

/// "s", "ms", "us", "ns".
std::string_view name_of(LatencyUnit unit);

/// `value`, in `unit`, in ms. Milliseconds keep their bits.
double in_ms(double value, LatencyUnit unit);

/// The unit of that name, in any case: "ms", "msec", "milliseconds", …; "us" may be written "µs".
std::optional<LatencyUnit> unit_named(std::string_view name);

/// The unit that the name of a column ends with: "latency_us", "resnet50_ns", "time (ms)",
/// "latency [s]".
std::optional<LatencyUnit> unit_at_end_of(std::string_view column);

} // namespace hdap::fleet
