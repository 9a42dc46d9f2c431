#include "hdap/accuracy/image_file.hpp"

#include "gzip.hpp"
#include "hdap/core/descriptor.hpp"
#include "hdap/core/error.hpp"
#include "image_format.hpp"

#include <fmt/core.h>

#define STBI_NO_STDIO
#include <stb/stb_image.h>
#include <stb/stb_image_resize.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <new>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace hdap::accuracy {
namespace {

[[noreturn]] void fail_to_read() {
    throw core::DataError(std::string("cannot be read: ") + std::strerror(errno));
}

/// Refuses what would take memory or time out of all proportion to the file.
void check_declared_size(const ImageStructure& structure, std::span<const std::uint8_t> file,
                         std::int64_t width, std::int64_t height) {
    const std::int64_t pixels = width * height;
    const auto bytes = static_cast<std::int64_t>(file.size());
    const std::string declared = fmt::format("declares {} x {} pixels", width, height);
    if (pixels > max_image_pixels || std::max(width, height) > max_image_side)
        throw core::DataError(fmt::format("{}, more than {} in all or {} per side", declared,
                                          max_image_pixels, max_image_side));
    // Deflate shrinks by 1032 at most, and a PNG's pixel has a bit or more. A JPEG has a bit or
    // more for each block of 64 pixels.
    const std::int64_t most_per_byte = structure.format == ImageFormat::png ? 8 * 1032 : 8 * 64;
    if (pixels / most_per_byte > bytes)
        throw core::DataError(fmt::format("{}, which its {} bytes cannot hold", declared, bytes));
    // An image of 4 megapixels may have 256 scans; cameras and browsers know about 10.
    constexpr std::int64_t most_pixel_passes = 16 * max_image_pixels;
    if (pixels * structure.scans > most_pixel_passes)
        throw core::DataError(declared + " in too many scans");
}

[[noreturn]] void fail_to_decode() {
    const char* reason = stbi_failure_reason();
    throw core::DataError(std::string("is damaged: ") + (reason != nullptr ? reason : "unknown"));
}

} // namespace

std::vector<std::uint8_t> read_file(const std::filesystem::path& path) {
    // Not blocking: nobody may ever write to a pipe that is called x.png.
    const core::Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (file.number() < 0) fail_to_read();
    struct stat status {};
    if (::fstat(file.number(), &status) != 0) fail_to_read();
    if (!S_ISREG(status.st_mode)) throw core::DataError("is not a file");
    const auto size = static_cast<std::uintmax_t>(status.st_size);
    if (size > max_image_file_bytes)
        throw core::DataError(
            fmt::format("has {} bytes, more than {}", size, max_image_file_bytes));
    std::vector<std::uint8_t> bytes(size);
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t count = ::read(file.number(), bytes.data() + done, bytes.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail_to_read();
        if (count == 0) break; // it was cut meanwhile
        done += static_cast<std::size_t>(count);
    }
    bytes.resize(done);
    return bytes;
}

namespace {

DecodedImage decode_plain(std::span<const std::uint8_t> file, int channels) {
    const ImageStructure structure = check_image_structure(file);
    std::vector<std::uint8_t> marked;
    if (structure.missing_transform) file = marked = with_adobe_marker(file, structure);
    const int size = static_cast<int>(file.size());
    int width = 0;
    int height = 0;
    int stored_channels = 0;
    if (stbi_info_from_memory(file.data(), size, &width, &height, &stored_channels) == 0)
        fail_to_decode();
    check_declared_size(structure, file, width, height);
    const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
        stbi_load_from_memory(file.data(), size, &width, &height, &stored_channels, channels),
        &stbi_image_free);
    if (!pixels) fail_to_decode();
    const std::size_t count = static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                              static_cast<std::size_t>(channels);
    return {.height = height,
            .width = width,
            .channels = channels,
            .pixels = {pixels.get(), pixels.get() + count},
            .orientation = structure.orientation};
}

/// `image` with rows as columns: mirrored at its diagonal from the upper left.
DecodedImage transposed(const DecodedImage& image) {
    DecodedImage result{.height = image.width,
                        .width = image.height,
                        .channels = image.channels,
                        .pixels = std::vector<std::uint8_t>(image.pixels.size())};
    std::uint8_t* target = result.pixels.data();
    for (std::int64_t x = 0; x < image.width; ++x)
        for (std::int64_t y = 0; y < image.height; ++y)
            target = std::copy_n(
                &image.pixels[static_cast<std::size_t>((y * image.width + x) * image.channels)],
                image.channels, target);
    return result;
}

void mirror_horizontally(DecodedImage& image) {
    for (std::int64_t y = 0; y < image.height; ++y) {
        std::uint8_t* const row = image.pixels.data() + y * image.width * image.channels;
        for (std::int64_t x = 0; x < image.width / 2; ++x)
            std::swap_ranges(row + x * image.channels, row + (x + 1) * image.channels,
                             row + (image.width - 1 - x) * image.channels);
    }
}

void mirror_vertically(DecodedImage& image) {
    const std::int64_t row = image.width * image.channels;
    for (std::int64_t y = 0; y < image.height / 2; ++y)
        std::swap_ranges(image.pixels.begin() + y * row, image.pixels.begin() + (y + 1) * row,
                         image.pixels.begin() + (image.height - 1 - y) * row);
}

} // namespace

DecodedImage decode_image(std::span<const std::uint8_t> file, int channels) {
    if (file.size() > max_image_file_bytes)
        throw core::DataError(
            fmt::format("has {} bytes, more than {}", file.size(), max_image_file_bytes));
    if (is_gzip(file)) return decode_plain(gunzip(file, max_image_file_bytes), channels);
    return decode_plain(file, channels);
}

DecodedImage upright(DecodedImage image) {
    const int orientation = std::exchange(image.orientation, 1);
    if (orientation >= 5) image = transposed(image);
    if (orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7)
        mirror_horizontally(image);
    if (orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8)
        mirror_vertically(image);
    return image;
}

namespace {

/// One side of an image, resized and cut.
struct Cut {
    std::int64_t resized = 0; ///< pixels after resizing
    std::int64_t first = 0;   ///< the first of them that is kept
};

Cut cut_of(std::int64_t side, std::int64_t shorter, std::int64_t size, std::int64_t short_side) {
    const std::int64_t resized = (2 * short_side * side + shorter) / (2 * shorter);
    return {.resized = resized, .first = (resized - size) / 2};
}

/// The kept part as shares of the whole side.
std::pair<float, float> range_of(const Cut& cut, std::int64_t size) {
    const auto whole = static_cast<double>(cut.resized);
    return {static_cast<float>(static_cast<double>(cut.first) / whole),
            static_cast<float>(static_cast<double>(cut.first + size) / whole)};
}

/// [size][size][channels], filtered.
std::vector<std::uint8_t> resized_square(const DecodedImage& image, const Cut& horizontal,
                                         const Cut& vertical, std::int64_t size) {
    std::vector<std::uint8_t> square(static_cast<std::size_t>(size * size * image.channels));
    const auto [left, right] = range_of(horizontal, size);
    const auto [top, bottom] = range_of(vertical, size);
    // Only the part that is kept is computed: a long and narrow image would grow beyond bounds.
    const int ok = stbir_resize_region(
        image.pixels.data(), static_cast<int>(image.width), static_cast<int>(image.height), 0,
        square.data(), static_cast<int>(size), static_cast<int>(size), 0, STBIR_TYPE_UINT8,
        static_cast<int>(image.channels), STBIR_ALPHA_CHANNEL_NONE, 0, STBIR_EDGE_CLAMP,
        STBIR_EDGE_CLAMP, STBIR_FILTER_TRIANGLE, STBIR_FILTER_TRIANGLE, STBIR_COLORSPACE_LINEAR,
        nullptr, left, top, right, bottom);
    if (ok == 0) throw std::bad_alloc();
    return square;
}

/// [channels][size][size] of [height][width][channels], from row `top` and column `left` on.
std::vector<std::uint8_t> planes_of(const std::uint8_t* pixels, std::int64_t width,
                                    std::int64_t channels, std::int64_t left, std::int64_t top,
                                    std::int64_t size) {
    std::vector<std::uint8_t> planes;
    planes.reserve(static_cast<std::size_t>(channels * size * size));
    for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t y = 0; y < size; ++y)
            for (std::int64_t x = 0; x < size; ++x)
                planes.push_back(pixels[((top + y) * width + left + x) * channels + c]);
    return planes;
}

} // namespace

std::vector<std::uint8_t> centre_square(const DecodedImage& image, std::int64_t size,
                                        std::int64_t short_side) {
    const std::int64_t shorter = std::min(image.width, image.height);
    const Cut horizontal = cut_of(image.width, shorter, size, short_side);
    const Cut vertical = cut_of(image.height, shorter, size, short_side);
    if (shorter == short_side)
        return planes_of(image.pixels.data(), image.width, image.channels, horizontal.first,
                         vertical.first, size);
    const auto square = resized_square(image, horizontal, vertical, size);
    return planes_of(square.data(), size, image.channels, 0, 0, size);
}

} // namespace hdap::accuracy
