#include "hdap/core/error.hpp"
#include "network/torchscript/archive.hpp"

/// Whatever the bytes, the check of an archive's directory ends, or throws a DataError.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        hdap::network::check_torchscript_archive(std::as_bytes(std::span(data, size)), "fuzz.pt");
    } catch (const hdap::core::Error& error) {
        if (error.kind() != hdap::core::ErrorKind::data) throw;
    }
    return 0;
}
