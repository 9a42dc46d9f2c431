#pragma once

#include "hdap/accuracy/image_file.hpp"

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::accuracy::testing {

using Bytes = std::vector<std::uint8_t>;

/// Noise without a pattern, of another kind for each `seed`.
DecodedImage noise(std::int64_t width, std::int64_t height, std::int64_t channels,
                   std::uint32_t seed = 1);

/// Files as other programs write them.
Bytes png_of(const DecodedImage& image);
Bytes jpeg_of(const DecodedImage& image, int quality = 90);

/// A PNG chunk with its length and its checksum.
Bytes png_chunk(const std::string& type, const Bytes& data);

/// A PNG as its header declares it; `lines` are what is compressed: for each line a byte that names
/// the filter, then the pixels. Chunks `more` come before the image.
struct RawPng {
    std::uint32_t width = 1;
    std::uint32_t height = 1;
    std::uint8_t depth = 8;
    std::uint8_t colour = 0; ///< 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
    Bytes lines{0, 0};
    Bytes more{};
};
Bytes png_of(const RawPng& png);

/// A JPEG segment: marker, length, data.
Bytes jpeg_segment(std::uint8_t marker, const Bytes& data);

/// A JPEG of 8 × 8 equal pixels with a channel for each of `values`.
Bytes flat_jpeg(const Bytes& values);

/// Adobe's segment, which tells what the channels are.
Bytes adobe_segment(std::uint8_t transform);

/// `jpeg` with `segment` behind its first marker.
Bytes with_segment(const Bytes& jpeg, const Bytes& segment);

/// EXIF data that say how the image must be turned, in either order of bytes.
Bytes exif_data(std::uint8_t orientation, bool big_endian = true);

/// An APP1 segment that holds them.
Bytes exif_segment(std::uint8_t orientation, bool big_endian = true);

Bytes gzipped(const Bytes& content);

Bytes joined(std::initializer_list<Bytes> parts);
Bytes bytes_of(std::string_view text);
void write(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);

} // namespace hdap::accuracy::testing
