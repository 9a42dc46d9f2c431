#include "hdap/fleet/latency_unit.hpp"

#include <algorithm>
#include <string>

namespace hdap::fleet {
namespace {

struct UnitName {
    std::string_view name;
    LatencyUnit unit;
};

/// The first name of a unit is how it is written.
constexpr UnitName unit_names[] = {
    {"s", LatencyUnit::seconds},
    {"ms", LatencyUnit::milliseconds},
    {"us", LatencyUnit::microseconds},
    {"ns", LatencyUnit::nanoseconds},
    {"sec", LatencyUnit::seconds},
    {"secs", LatencyUnit::seconds},
    {"second", LatencyUnit::seconds},
    {"seconds", LatencyUnit::seconds},
    {"msec", LatencyUnit::milliseconds},
    {"msecs", LatencyUnit::milliseconds},
    {"millis", LatencyUnit::milliseconds},
    {"millisecond", LatencyUnit::milliseconds},
    {"milliseconds", LatencyUnit::milliseconds},
    {"usec", LatencyUnit::microseconds},
    {"usecs", LatencyUnit::microseconds},
    {"micros", LatencyUnit::microseconds},
    {"microsecond", LatencyUnit::microseconds},
    {"microseconds", LatencyUnit::microseconds},
    {"\xC2\xB5s", LatencyUnit::microseconds}, // the micro sign
    {"\xCE\xBCs", LatencyUnit::microseconds}, // the Greek letter
    {"nsec", LatencyUnit::nanoseconds},
    {"nsecs", LatencyUnit::nanoseconds},
    {"nanos", LatencyUnit::nanoseconds},
    {"nanosecond", LatencyUnit::nanoseconds},
    {"nanoseconds", LatencyUnit::nanoseconds},
};

} // namespace

std::string_view name_of(LatencyUnit unit) {
    return std::find_if(std::begin(unit_names), std::end(unit_names),
                        [&](const UnitName& entry) { return entry.unit == unit; })
        ->name;
}

double in_ms(double value, LatencyUnit unit) {
    switch (unit) {
    case LatencyUnit::seconds:
        return value * 1e3;
    case LatencyUnit::microseconds:
        return value / 1e3;
    case LatencyUnit::nanoseconds:
        return value / 1e6;
    case LatencyUnit::milliseconds:
        break;
    }
    return value;
}

std::optional<LatencyUnit> unit_named(std::string_view name) {
    std::string lower(name);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    for (const UnitName& entry : unit_names)
        if (entry.name == lower) return entry.unit;
    return std::nullopt;
}

std::optional<LatencyUnit> unit_at_end_of(std::string_view column) {
    if (column.ends_with(')') || column.ends_with(']')) {
        const std::size_t open = column.find_last_of("([");
        if (open == std::string_view::npos) return std::nullopt;
        return unit_named(column.substr(open + 1, column.size() - open - 2));
    }
    const std::size_t mark = column.find_last_of("_ ");
    return mark == std::string_view::npos ? std::nullopt : unit_named(column.substr(mark + 1));
}

} // namespace hdap::fleet
