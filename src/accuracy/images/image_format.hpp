#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace hdap::accuracy {

enum class ImageFormat { png, jpeg };

/// What a file tells beside its pixels.
struct ImageStructure {
    ImageFormat format = ImageFormat::png;
    int orientation = 1;    ///< by EXIF, 1 to 8
    std::int64_t scans = 0; ///< of a JPEG; each costs a pass over all its pixels
    /// What stb_image wants to be told by an Adobe marker, and is not: the first four channels of a
    /// JPEG are CMYK (0) or YCCK (2). And the place in the file where the marker may stand.
    std::optional<std::uint8_t> missing_transform = std::nullopt;
    std::size_t marker_place = 0;
};

/// Tells the format by the first bytes, and checks the structure of the whole file before
/// stb_image sees it, which takes some things on trust: writes beyond its Huffman tables, reads
/// beyond planes of odd sampling, completes a truncated JPEG with grey, ignores a PNG's checksums.
/// Throws DataError, without a path, when the file is of neither format, truncated or damaged.
/// Complexity: linear in the bytes.
ImageStructure check_image_structure(std::span<const std::uint8_t> file);

/// `file` with the marker that says what its four channels are; see missing_transform.
std::vector<std::uint8_t> with_adobe_marker(std::span<const std::uint8_t> file,
                                            const ImageStructure& structure);

} // namespace hdap::accuracy
