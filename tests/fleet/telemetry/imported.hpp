#pragma once

#include "hdap/core/error.hpp"
#include "hdap/fleet/telemetry.hpp"

#include <sstream>
#include <string>

namespace hdap::fleet::test {

struct Imported {
    Fleet fleet;
    ImportReport report;

    /// Of the only device on the only benchmark.
    [[nodiscard]] double latency_ms() const {
        return fleet.latency_ms.size() == 1 ? fleet.latency_ms[0] : -1.0;
    }
    [[nodiscard]] std::string all_doubts() const {
        std::string all;
        for (const std::string& doubt : report.doubts)
            all += doubt + "\n";
        return all;
    }
};

/// A request that names device and benchmark, as a path with both would.
inline ImportRequest named_request() {
    ImportRequest request;
    request.device = "nx-1";
    request.benchmark = "net";
    return request;
}

/// The import of a file in memory. Up to half of its rows may be unusable.
inline Imported imported(const std::string& text, ImportRequest request = named_request()) {
    std::istringstream input(text);
    request.source = "file";
    request.sku = "board";
    request.rejected.share = 0.5;
    Imported result;
    result.fleet = import_telemetry(input, request, &result.report);
    return result;
}

inline ImportRequest with_warm_up(const std::string& warm_up) {
    ImportRequest request = named_request();
    request.warm_up = parse_warm_up(warm_up);
    return request;
}

inline ImportRequest with_unit(LatencyUnit unit) {
    ImportRequest request = named_request();
    request.unit = unit;
    return request;
}

} // namespace hdap::fleet::test
