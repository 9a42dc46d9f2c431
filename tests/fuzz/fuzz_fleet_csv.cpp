#include "hdap/core/error.hpp"
#include "hdap/fleet/import_csv.hpp"

#include <sstream>

/// Whatever the text, the parser gives a valid fleet or a DataError.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::istringstream text(std::string(reinterpret_cast<const char*>(data), size));
    try {
        hdap::fleet::check_fleet(hdap::fleet::parse_csv(text, "fuzz.csv", "sku"), "fuzz.csv");
    } catch (const hdap::core::Error& error) {
        if (error.kind() != hdap::core::ErrorKind::data) throw;
    }
    return 0;
}
