#include "accuracy/images/image_samples.hpp"
#include "hdap/accuracy/image_file.hpp"
#include "hdap/core/error.hpp"

#include <zlib.h>

#include <span>
#include <vector>

namespace {

using hdap::accuracy::testing::Bytes;

/// Makes the checksums of a PNG fit, or no mutation would reach the decoder.
void fix_checksums(Bytes& file) {
    constexpr std::size_t signature = 8;
    constexpr std::size_t around = 12; // length, type and checksum
    for (std::size_t at = signature; at + around <= file.size();) {
        const auto number = std::span(file).subspan(at, 4);
        const std::size_t length = (std::size_t{number[0]} << 24U) |
                                   (std::size_t{number[1]} << 16U) |
                                   (std::size_t{number[2]} << 8U) | number[3];
        if (length > file.size() - at - around) return;
        const auto sum = ::crc32_z(0, &file[at + 4], 4 + length);
        for (std::size_t i = 0; i < 4; ++i)
            file[at + 8 + length + i] = static_cast<std::uint8_t>(sum >> (24 - 8 * i));
        at += around + length;
    }
}

} // namespace

/// Whatever the bytes, they are an image, the same each time, that can be turned and cut to a
/// square, or a DataError. The first two bytes choose the square, the third the channels and
/// whether the image is gzipped first.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hdap;
    if (size < 3) return 0;
    const std::int64_t side = 1 + data[0] % 40;
    const std::int64_t short_side = side + data[1] % 40;
    const int channels = data[2] % 2 == 0 ? 1 : 3;
    Bytes file(data + 3, data + size);
    if (!file.empty() && file[0] == 0x89) fix_checksums(file);
    if (data[2] >= 224) file = hdap::accuracy::testing::gzipped(file);
    try {
        const auto stored = accuracy::decode_image(file, channels);
        if (stored.pixels != accuracy::decode_image(file, channels).pixels) __builtin_trap();
        const auto image = accuracy::upright(stored);
        if (image.pixels.size() != stored.pixels.size() || image.orientation != 1) __builtin_trap();
        const auto square = accuracy::centre_square(image, side, short_side);
        if (square.size() != static_cast<std::size_t>(channels * side * side)) __builtin_trap();
    } catch (const core::DataError&) {
        return 0;
    }
    return 0;
}
