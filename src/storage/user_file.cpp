#include "hdap/storage/user_file.hpp"

#include "hdap/core/rehearsal.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <filesystem>
#include <utility>

namespace hdap::storage {
namespace {

/// Enough for what is compressed well. A file of 1 MiB may take 20 s, one of 1 GiB, 20 minutes.
core::RehearsalLimits limits_for(std::size_t bytes) {
    constexpr std::size_t mib = std::size_t{1} << 20U;
    return {.time = std::chrono::seconds(20 + bytes / mib),
            .memory_bytes = 2048 * mib + 64 * bytes};
}

} // namespace

Hdf5Reader open_user_bytes(std::vector<std::byte> bytes, const std::string& name,
                           const Reading& reading) {
    core::rehearse(name, limits_for(bytes.size()),
                   [&] { reading(Hdf5Reader::from_bytes(bytes, name)); });
    return Hdf5Reader::from_bytes(std::move(bytes), name);
}

Hdf5Reader open_user_file(const std::string& file, const Reading& reading) {
    std::vector<std::byte> bytes = read_sealed(file, Seal::optional);
    const bool is_sealed = std::filesystem::file_size(file) == bytes.size() + seal_bytes;
    if (is_sealed) return Hdf5Reader::from_bytes(std::move(bytes), file);
    return open_user_bytes(std::move(bytes), file, reading);
}

} // namespace hdap::storage
