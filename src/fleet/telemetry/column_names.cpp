#include "fleet/telemetry/column_names.hpp"

#include "hdap/fleet/latency_unit.hpp"

#include <algorithm>
#include <iterator>
#include <span>

namespace hdap::fleet {
namespace {

struct AttributeUnit {
    std::string_view ending;
    const char* unit;
};
constexpr AttributeUnit attribute_units[] = {
    {"_hz", "Hz"},  {"_khz", "kHz"},   {"_mhz", "MHz"},      {"_ghz", "GHz"},
    {"_c", "degC"}, {"_degc", "degC"}, {"_celsius", "degC"}, {"_w", "W"},
    {"_mw", "mW"},  {"_v", "V"},       {"_mv", "mV"},        {"_percent", "%"},
    {"_pct", "%"},  {"_mb", "MB"},     {"_gb", "GB"},        {"_ms", "ms"},
};

/// Whether `name`, without a unit at its end, is one of `stems`.
bool has_stem(const std::string& name, std::span<const std::string_view> stems) {
    std::string stem = in_lower_case(name);
    stem = stem.substr(0, stem.find_first_of(" (["));
    if (unit_at_end_of(stem)) stem.erase(stem.find_last_of('_'));
    return std::find(stems.begin(), stems.end(), stem) != stems.end();
}

} // namespace

std::string in_lower_case(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

bool is_latency_name(const std::string& name) {
    constexpr std::string_view stems[] = {"latency",  "latencies",    "time",
                                          "duration", "elapsed_time", "inference_time"};
    return has_stem(name, stems);
}

bool is_median_name(const std::string& name) {
    constexpr std::string_view stems[] = {"median", "median_latency", "latency_median"};
    return has_stem(name, stems);
}

std::string attribute_unit(const std::string& name) {
    const std::string lower = in_lower_case(name);
    const auto* const entry =
        std::find_if(std::begin(attribute_units), std::end(attribute_units),
                     [&](const AttributeUnit& unit) { return lower.ends_with(unit.ending); });
    return entry == std::end(attribute_units) ? "1" : entry->unit;
}

std::string attribute_name(std::string name) {
    std::replace(name.begin(), name.end(), '/', '_');
    return name == "." ? "_" : name; // HDF5 takes a point for the group itself
}

} // namespace hdap::fleet
