#include "hdap/core/error.hpp"
#include "hdap/network/safetensors.hpp"

#include <cstdlib>

/// Whatever the bytes, the parser gives tensors that a file can hold again, or a DataError.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hdap;
    try {
        const auto weights =
            network::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz.safetensors");
        const auto again =
            network::parse_safetensors(network::safetensors_bytes(weights), "again.safetensors");
        if (again.size() != weights.size()) std::abort();
    } catch (const core::Error& error) {
        if (error.kind() != core::ErrorKind::data) throw;
    }
    return 0;
}
