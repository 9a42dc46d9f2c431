#pragma once

#include <cstdint>
#include <span>

namespace hdap::accuracy {

enum class ImageFormat { png, jpeg };

/// Tells the format by the first bytes, and checks the structure of the whole file before
/// stb_image sees it, which takes some things on trust: writes beyond its Huffman tables, reads
/// beyond planes of odd sampling, completes a truncated JPEG with grey, ignores a PNG's checksums.
/// Throws DataError, without a path, when the file is of neither format, truncated or damaged.
/// Complexity: linear in the bytes.
ImageFormat check_image_structure(std::span<const std::uint8_t> file);

/// The scans of a JPEG whose structure was checked. Each costs a pass over all its pixels.
std::int64_t count_jpeg_scans(std::span<const std::uint8_t> file);

} // namespace hdap::accuracy
