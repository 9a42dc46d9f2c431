#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hdap::accuracy {

/// Whether a file begins as gzip's do (RFC 1952).
bool is_gzip(std::span<const std::uint8_t> file) noexcept;

/// The content of a gzip file of one member; what follows it is passed over.
/// Throws DataError, without a path, when the file is truncated, damaged, or grows beyond
/// `most_bytes`: at that moment, not after.
std::vector<std::uint8_t> gunzip(std::span<const std::uint8_t> file, std::size_t most_bytes);

} // namespace hdap::accuracy
