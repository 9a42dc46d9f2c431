#include "fleet/sources/recorded_table.hpp"
#include "hdap/core/error.hpp"
#include "network/small_networks.hpp"

#include <cmath>
#include <cstdlib>
#include <sstream>

namespace {

/// Two pruning groups: "a" of 8 channels and "b" of 4.
hdap::network::SearchSpace small_space() {
    using namespace hdap::network::testing;
    return {network_of({conv("a", 0, 8), conv("b", 1, 4), conv("c", 2, 2)}), {.divisor = 2}};
}

} // namespace

/// Whatever the text, the parser gives a DataError, or a table of the search space whose devices
/// all have measured the unpruned network.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const hdap::network::SearchSpace space = small_space();
    std::istringstream text(std::string(reinterpret_cast<const char*>(data), size));
    try {
        const auto table = hdap::fleet::parse_recorded(text, "fuzz.csv", space);
        for (const auto& genome : table.genomes)
            space.validate(genome);
        for (std::size_t device = 0; device < table.devices(); ++device)
            if (!(table.latency_of(device, 0) > 0.0)) std::abort();
    } catch (const hdap::core::Error& error) {
        if (error.kind() != hdap::core::ErrorKind::data) throw;
    }
    return 0;
}
