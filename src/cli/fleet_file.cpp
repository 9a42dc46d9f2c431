#include "fleet_file.hpp"

#include "hdap/core/text.hpp"
#include "hdap/fleet/plausibility.hpp"
#include "hdap/storage/schema.hpp"

#include <cstdio>

namespace hdap::cli {

fleet::Fleet fleet_in(const storage::Hdf5Reader& content) {
    storage::read_identity(content, fleet::fleet_schema);
    return fleet::read_fleet(content);
}

void print_warning(const std::string& sentence) {
    std::fflush(stdout);
    std::fprintf(stderr, "warning: %s\n", sentence.c_str());
}

void warn_of_doubts(const std::string& file, const fleet::Fleet& devices) {
    for (const std::string& doubt : fleet::doubts_about(devices))
        print_warning(file + ": " + doubt);
}

void print_missing(const fleet::Fleet& devices) {
    const std::size_t missing = fleet::missing_latencies(devices);
    if (missing == 0) return;
    const std::size_t all = devices.latency_ms.size();
    std::printf("\n%s of %s latencies are missing (%.2g %%); clusters are found with estimates in "
                "their place\n",
                core::grouped(missing).c_str(), core::grouped(all).c_str(),
                100.0 * static_cast<double>(missing) / static_cast<double>(all));
}

} // namespace hdap::cli
