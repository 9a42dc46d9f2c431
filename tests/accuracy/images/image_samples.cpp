#include "accuracy/images/image_samples.hpp"

#include "hdap/core/random.hpp"

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>
#include <zlib.h>

#include <bit>
#include <cstdlib>
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

namespace {

/// The coded data of a scan: bits from the highest down, a 0 behind each 0xff.
class BitWriter {
  public:
    void add(unsigned value, unsigned bits) {
        while (bits-- > 0)
            add_bit((value >> bits) & 1U);
    }
    Bytes finish() {
        while (filled_ != 0)
            add_bit(1);
        return bytes_;
    }

  private:
    void add_bit(unsigned bit) {
        byte_ = (byte_ << 1U) | bit;
        if (++filled_ < 8) return;
        bytes_.push_back(static_cast<std::uint8_t>(byte_));
        if (bytes_.back() == 0xff) bytes_.push_back(0);
        byte_ = 0;
        filled_ = 0;
    }

    Bytes bytes_;
    unsigned byte_ = 0;
    unsigned filled_ = 0;
};

/// A block of one value: its mean alone differs from zero.
void add_flat_block(BitWriter& bits, int value) {
    const int mean = 8 * (value - 128);
    const auto size = static_cast<unsigned>(std::bit_width(static_cast<unsigned>(std::abs(mean))));
    bits.add(size, 4); // the code of category n is n
    bits.add(static_cast<unsigned>(mean < 0 ? mean - 1 : mean) & ((1U << size) - 1U), size);
    bits.add(0, 1); // the end of the block
}

} // namespace

Bytes flat_jpeg(const Bytes& values) {
    const auto count = static_cast<std::uint8_t>(values.size());
    Bytes frame{8, 0, 8, 0, 8, count};
    Bytes scan{count};
    BitWriter bits;
    for (std::uint8_t c = 0; c < count; ++c) {
        frame.insert(frame.end(), {static_cast<std::uint8_t>(c + 1), 0x11, 0});
        scan.insert(scan.end(), {static_cast<std::uint8_t>(c + 1), 0});
        add_flat_block(bits, values[c]);
    }
    scan.insert(scan.end(), {0, 63, 0});
    const Bytes means{0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0,  0, 0,
                      0, 0, 0, 1, 2,  3, 4, 5, 6, 7, 8, 9, 10, 11};
    const Bytes others{0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    return joined({{0xff, 0xd8},
                   jpeg_segment(0xdb, joined({{0}, Bytes(64, 1)})),
                   jpeg_segment(0xc0, frame),
                   jpeg_segment(0xc4, means),
                   jpeg_segment(0xc4, others),
                   jpeg_segment(0xda, scan),
                   bits.finish(),
                   {0xff, 0xd9}});
}

Bytes adobe_segment(std::uint8_t transform) {
    return jpeg_segment(0xee, joined({bytes_of("Adobe"), {0, 100, 0, 0, 0, 0, transform}}));
}

Bytes with_segment(const Bytes& jpeg, const Bytes& segment) {
    return joined({{jpeg[0], jpeg[1]}, segment, {jpeg.begin() + 2, jpeg.end()}});
}

Bytes exif_data(std::uint8_t orientation, bool big_endian) {
    if (big_endian)
        return joined({bytes_of("MM"),
                       {0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1},
                       {0, orientation, 0, 0}});
    return joined({bytes_of("II"),
                   {42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0},
                   {orientation, 0, 0, 0}});
}

Bytes exif_segment(std::uint8_t orientation, bool big_endian) {
    return jpeg_segment(0xe1,
                        joined({bytes_of("Exif"), {0, 0}, exif_data(orientation, big_endian)}));
}

Bytes gzipped(const Bytes& content) {
    z_stream stream{};
    constexpr int gzip = 16 + MAX_WBITS;
    deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, gzip, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY);
    Bytes bytes(deflateBound(&stream, content.size()));
    stream.next_in = const_cast<Bytef*>(content.data());
    stream.avail_in = static_cast<uInt>(content.size());
    stream.next_out = bytes.data();
    stream.avail_out = static_cast<uInt>(bytes.size());
    deflate(&stream, Z_FINISH);
    bytes.resize(stream.total_out);
    deflateEnd(&stream);
    return bytes;
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
