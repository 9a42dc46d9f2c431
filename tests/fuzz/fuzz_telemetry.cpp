#include "hdap/core/error.hpp"
#include "hdap/fleet/plausibility.hpp"
#include "hdap/fleet/telemetry.hpp"

#include <cmath>
#include <sstream>

namespace {

using namespace hdap;

/// The format that a byte chooses; HDF5's own library does not survive every damage, so it is not
/// among them.
std::string format_of(std::uint8_t byte) {
    std::vector<std::string> names = fleet::telemetry_format_names();
    std::erase(names, "hdf5");
    names.emplace_back("auto");
    return names[byte % names.size()];
}

fleet::ImportRequest request_of(std::uint8_t byte) {
    fleet::ImportRequest request{.source = "fuzz", .sku = "sku"};
    request.format = format_of(byte);
    request.rejected = fleet::parse_reject_limit("50%");
    request.device = "device";
    request.benchmark = "benchmark";
    return request;
}

} // namespace

/// Whatever the text, every format gives a valid fleet or a DataError, and looking at the fleet
/// ends. The first byte chooses the format.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::istringstream text(std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
    const fleet::ImportRequest request = request_of(data[0]);
    // HDF5 files are found by what they begin with, too.
    if (request.format == "auto" && text.str().starts_with("\x89HDF")) return 0;
    try {
        const fleet::Fleet fleet = fleet::import_telemetry(text, request);
        fleet::check_fleet(fleet, "fuzz");
        fleet::doubts_about(fleet);
    } catch (const core::Error& error) {
        if (error.kind() != core::ErrorKind::data) throw;
    }
    return 0;
}
