#include "hdap/core/error.hpp"
#include "hdap/fleet/plausibility.hpp"
#include "hdap/fleet/telemetry.hpp"
#include "hdap/fleet/ticks.hpp"

#include <sstream>

/// Whatever the text, the parser gives a valid fleet or a DataError, and looking at the fleet ends.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::istringstream text(std::string(reinterpret_cast<const char*>(data), size));
    try {
        hdap::fleet::ImportRequest request{.source = "fuzz.csv", .sku = "sku"};
        request.format = "csv";
        request.rejected = hdap::fleet::parse_reject_limit("50%");
        const auto fleet = hdap::fleet::import_telemetry(text, request);
        hdap::fleet::check_fleet(fleet, "fuzz.csv");
        hdap::fleet::doubts_about(fleet);
        hdap::fleet::latency_ticks(fleet);
    } catch (const hdap::core::Error& error) {
        if (error.kind() != hdap::core::ErrorKind::data) throw;
    }
    return 0;
}
