#include "fleet/telemetry/column_names.hpp"

#include "hdap/fleet/latency_unit.hpp"

#include <algorithm>
#include <iterator>

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

/// A word for latencies, and how sure it is; the most sure are first.
struct Word {
    std::string_view stem;
    int rank;
};
constexpr int median_rank = 2;
constexpr Word words[] = {
    {"latency", 0},
    {"latencies", 0},
    {"inference_time", 0},
    {"time", 1},
    {"duration", 1},
    {"elapsed_time", 1},
    {"median", median_rank},
    {"median_latency", median_rank},
    {"latency_median", median_rank},
};

/// The rank of the word that `name` is without a unit at its end.
std::optional<int> rank_of(std::string_view name) {
    std::string stem = in_lower_case(std::string(name));
    stem = stem.substr(0, stem.find_first_of(" (["));
    if (unit_at_end_of(stem)) stem.erase(stem.find_last_of('_'));
    for (const Word& word : words)
        if (word.stem == stem) return word.rank;
    return std::nullopt;
}

} // namespace

std::string in_lower_case(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

std::optional<LatencyColumnPlace> latency_among(std::span<const std::string_view> names) {
    std::optional<LatencyColumnPlace> best;
    int best_rank = 0;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto rank = rank_of(names[i]);
        if (!rank || (best && *rank > best_rank)) continue;
        if (best && *rank == best_rank) {
            best->rival = i;
            continue;
        }
        best = LatencyColumnPlace{.place = i, .is_median = *rank == median_rank};
        best_rank = *rank;
    }
    return best;
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
