#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace hdap::accuracy {

/// The largest image that is decoded, and the largest file that is read.
inline constexpr std::int64_t max_image_pixels = 64'000'000;
inline constexpr std::int64_t max_image_side = 32'768;
inline constexpr std::uintmax_t max_image_file_bytes = std::uintmax_t{1} << 28;

/// An image of 8 bits a channel.
struct DecodedImage {
    std::int64_t height = 0;
    std::int64_t width = 0;
    std::int64_t channels = 0;
    std::vector<std::uint8_t> pixels; ///< [height][width][channels]
    int orientation = 1; ///< 1 to 8, by EXIF: how `upright` turns the pixels; 1: not at all
};

/// The bytes of a regular file of up to max_image_file_bytes; symbolic links are followed.
/// Throws DataError, without the path, when it is something else or cannot be read. Never waits
/// for a pipe or a device.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path);

/// Decodes a PNG or a JPEG (baseline or progressive), gzipped or not, to 1 (grey) or 3 (RGB)
/// channels.
///
/// 16 bits a channel become their upper 8. Transparency is left out, not blended. Colour profiles
/// are not applied, nor is the orientation that EXIF tells (see upright). Colours become grey by
/// the usual luma weights (0.30, 0.59, 0.11), a JPEG's by its own luma. The four channels of a JPEG
/// are CMYK with ink as 0, Adobe's convention, with Adobe's marker or without any, as Pillow and
/// browsers take them; or YCCK where the marker says so. RGB is C·K, M·K, Y·K then.
/// Whatever the bytes, it neither crashes nor takes memory for more than the pixels that the file
/// declares, times a small factor; and it gives the same pixels for the same bytes.
/// Throws DataError, without a path, when the file is truncated or damaged as far as its format
/// tells (all of a PNG is under checksums, of a JPEG only the structure is checked), is of another
/// format, declares more than max_image_pixels or max_image_side, or declares more pixels than its
/// bytes can hold.
DecodedImage decode_image(std::span<const std::uint8_t> file, int channels);

/// The image as its camera was held: mirrored and turned as its orientation says, which is 1 then.
/// Memory: the pixels a second time.
DecodedImage upright(DecodedImage image);

/// The middle of an image, size × size pixels, after the image was resized so that its shorter side
/// has `short_side` pixels.
///
/// The longer side becomes short_side · longer ÷ shorter, rounded. Each pixel is a mean of those
/// around it under a triangle filter; where the image shrinks the triangle is as much wider, so
/// all pixels count (antialiasing). Values are filtered as stored, not as light. The margins are
/// cut evenly; of an odd number of pixels, the right and the bottom lose the one more. An image
/// whose shorter side has short_side pixels already is only cut. Wants 1 ≤ size ≤ short_side.
/// Returns [channels][size][size].
std::vector<std::uint8_t> centre_square(const DecodedImage& image, std::int64_t size,
                                        std::int64_t short_side);

} // namespace hdap::accuracy
