#include "hdap/core/error.hpp"
#include "hdap/fleet/import_csv.hpp"
#include "hdap/fleet/plausibility.hpp"
#include "hdap/fleet/ticks.hpp"

#include <sstream>

/// Whatever the text, the parser gives a valid fleet or a DataError, and looking at the fleet ends.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::istringstream text(std::string(reinterpret_cast<const char*>(data), size));
    try {
        const auto fleet = hdap::fleet::parse_csv(
            text, "fuzz.csv", "sku",
            {.benchmarks = {}, .unusable = hdap::fleet::parse_unusable_limit("50%")});
        hdap::fleet::check_fleet(fleet, "fuzz.csv");
        hdap::fleet::doubts_about(fleet);
        hdap::fleet::latency_ticks(fleet);
    } catch (const hdap::core::Error& error) {
        if (error.kind() != hdap::core::ErrorKind::data) throw;
    }
    return 0;
}
