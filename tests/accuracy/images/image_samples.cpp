#include "accuracy/images/image_samples.hpp"

#include "hdap/core/random.hpp"

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>
#include <zlib.h>

#include <fstream>

namespace hdap::accuracy::testing {
namespace {

void collect(void* bytes, void* data, int size) {
    const auto* first = static_cast<const std::uint8_t*>(data);
    auto& all = *static_cast<Bytes*>(bytes);
    all.insert(all.end(), first, first + size);
}

Bytes big_endian(std::uint32_t value) {
    Bytes bytes;
    for (const unsigned shift : {24U, 16U, 8U, 0U})
        bytes.push_back(static_cast<std::uint8_t>(value >> shift));
    return bytes;
}

Bytes compressed(const Bytes& data) {
    uLongf size = compressBound(data.size());
    Bytes bytes(size);
    compress2(bytes.data(), &size, data.data(), data.size(), Z_BEST_COMPRESSION);
    bytes.resize(size);
    return bytes;
}

} // namespace

DecodedImage noise(std::int64_t width, std::int64_t height, std::int64_t channels,
                   std::uint32_t seed) {
    DecodedImage image{.height = height, .width = width, .channels = channels, .pixels = {}};
    core::RandomStream random(seed, core::StreamId::testing);
    for (std::int64_t i = 0; i < width * height * channels; ++i)
        image.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
    return image;
}

Bytes png_of(const DecodedImage& image) {
    Bytes bytes;
    stbi_write_png_to_func(collect, &bytes, static_cast<int>(image.width),
                           static_cast<int>(image.height), static_cast<int>(image.channels),
                           image.pixels.data(), 0);
    return bytes;
}

Bytes jpeg_of(const DecodedImage& image, int quality) {
    Bytes bytes;
    stbi_write_jpg_to_func(collect, &bytes, static_cast<int>(image.width),
                           static_cast<int>(image.height), static_cast<int>(image.channels),
                           image.pixels.data(), quality);
    return bytes;
}

Bytes png_chunk(const std::string& type, const Bytes& data) {
    const Bytes body = joined({bytes_of(type), data});
    return joined({big_endian(static_cast<std::uint32_t>(data.size())), body,
                   big_endian(static_cast<std::uint32_t>(::crc32_z(0, body.data(), body.size())))});
}

Bytes png_of(const RawPng& png) {
    const Bytes header =
        joined({big_endian(png.width), big_endian(png.height), {png.depth, png.colour, 0, 0, 0}});
    return joined({bytes_of("\x89PNG\r\n\x1a\n"), png_chunk("IHDR", header), png.more,
                   png_chunk("IDAT", compressed(png.lines)), png_chunk("IEND", {})});
}

Bytes jpeg_segment(std::uint8_t marker, const Bytes& data) {
    const std::size_t length = data.size() + 2;
    return joined({{0xff, marker, static_cast<std::uint8_t>(length >> 8U),
                    static_cast<std::uint8_t>(length & 0xffU)},
                   data});
}

Bytes joined(std::initializer_list<Bytes> parts) {
    Bytes all;
    for (const Bytes& part : parts)
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

Bytes bytes_of(std::string_view text) {
    return {text.begin(), text.end()};
}

void write(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
}

} // namespace hdap::accuracy::testing
