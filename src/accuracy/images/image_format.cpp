#include "image_format.hpp"

#include "hdap/core/error.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::accuracy {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::array<std::uint8_t, 8> png_signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

[[noreturn]] void fail(const std::string& what) {
    throw core::DataError(what);
}

bool begins_with(Bytes bytes, Bytes start) {
    return bytes.size() >= start.size() && std::equal(start.begin(), start.end(), bytes.begin());
}

/// Takes a file apart from its beginning on.
class Reader {
  public:
    explicit Reader(Bytes bytes) : rest_(bytes) {}

    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

    Bytes take(std::size_t count) {
        if (count > rest_.size()) fail("is truncated");
        const Bytes taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }

    /// A big-endian number of up to 4 bytes.
    std::uint32_t number(std::size_t bytes) {
        std::uint32_t value = 0;
        for (const std::uint8_t byte : take(bytes))
            value = (value << 8) | byte;
        return value;
    }

  private:
    Bytes rest_;
};

std::uint32_t checksum(Bytes bytes) {
    return static_cast<std::uint32_t>(::crc32_z(0, bytes.data(), bytes.size()));
}

/// ISO/IEC 15948: chunks of length, type, data, and CRC-32 of the last two.
void check_png(Bytes file) {
    constexpr std::array<std::string_view, 4> known{"IHDR", "PLTE", "IDAT", "IEND"};
    Reader reader(file.subspan(png_signature.size()));
    for (;;) {
        const std::size_t length = reader.number(4);
        Reader ahead = reader;
        const Bytes body = reader.take(length < file.size() ? 4 + length : file.size());
        if (checksum(body) != reader.number(4)) fail("is damaged: a checksum does not fit");
        const Bytes name = ahead.take(4);
        const std::string_view type(reinterpret_cast<const char*>(name.data()), name.size());
        if (type == "IEND") return;
        // A capital first letter says that the image cannot be understood without the chunk.
        const bool critical = (name[0] & 0x20U) == 0;
        if (critical && std::find(known.begin(), known.end(), type) == known.end())
            fail("is a PNG of a kind that hdap does not read");
    }
}

namespace jpeg {

/// ITU-T T.81, table B.1.
constexpr std::uint8_t start = 0xd8;
constexpr std::uint8_t end = 0xd9;
constexpr std::uint8_t huffman_tables = 0xc4;
constexpr std::uint8_t scan = 0xda;

bool is_restart(std::uint8_t marker) {
    return marker >= 0xd0 && marker <= 0xd7;
}

bool is_frame(std::uint8_t marker) {
    return marker >= 0xc0 && marker <= 0xcf && marker != huffman_tables && marker != 0xc8 &&
           marker != 0xcc;
}

/// The next marker; skips what lies before it, as decoders do.
std::uint8_t next_marker(Reader& reader) {
    while (reader.number(1) != 0xff) {
    }
    std::uint32_t code = 0xff;
    while (code == 0xff)
        code = reader.number(1);
    return static_cast<std::uint8_t>(code);
}

/// The marker that ends the coded data of a scan. In the data 0xff is followed by 0, or stands for
/// a restart.
std::uint8_t marker_after_scan(Reader& reader) {
    for (;;) {
        const std::uint8_t marker = next_marker(reader);
        if (marker != 0 && !is_restart(marker)) return marker;
    }
}

void check_huffman_tables(Reader segment) {
    while (!segment.at_end()) {
        segment.take(1);
        std::size_t symbols = 0;
        for (const std::uint8_t count : segment.take(16))
            symbols += count;
        if (symbols > 256) fail("is damaged: a Huffman table is too long");
        segment.take(symbols);
    }
}

void check_frame(std::uint8_t marker, Reader segment) {
    if (marker > 0xc2) fail("is a JPEG of a kind that hdap does not read");
    segment.take(5); // precision, height, width
    std::vector<std::array<std::uint32_t, 2>> sampling(segment.number(1));
    std::array<std::uint32_t, 2> largest{1, 1};
    for (auto& factors : sampling) {
        segment.take(1);
        const std::uint32_t both = segment.number(1);
        segment.take(1);
        factors = {both >> 4U, both & 15U};
        for (const std::size_t axis : {0U, 1U})
            largest[axis] = std::max(largest[axis], factors[axis]);
    }
    for (const auto& factors : sampling)
        for (const std::size_t axis : {0U, 1U})
            if (factors[axis] == 0 || largest[axis] % factors[axis] != 0)
                fail("is a JPEG of a kind that hdap does not read: uneven sampling");
}

/// Walks over all segments and returns the number of scans.
std::int64_t walk(Bytes file) {
    Reader reader(file.subspan(2));
    std::int64_t scans = 0;
    std::uint8_t marker = next_marker(reader);
    while (marker != end) {
        const std::uint32_t length = reader.number(2);
        if (length < 2) fail("is damaged: a segment has no length");
        const Reader segment(reader.take(length - 2));
        if (marker == huffman_tables) check_huffman_tables(segment);
        if (is_frame(marker)) check_frame(marker, segment);
        if (marker == scan) ++scans;
        marker = marker == scan ? marker_after_scan(reader) : next_marker(reader);
        if (marker == 0 || marker == start || is_restart(marker))
            fail("is damaged: a marker stands where none can be");
    }
    if (scans == 0) fail("is damaged: it has no image data");
    return scans;
}

} // namespace jpeg
} // namespace

ImageFormat check_image_structure(Bytes file) {
    constexpr std::array<std::uint8_t, 2> jpeg_signature{0xff, jpeg::start};
    if (file.empty()) fail("is empty");
    if (begins_with(file, png_signature)) {
        check_png(file);
        return ImageFormat::png;
    }
    if (!begins_with(file, jpeg_signature)) fail("is neither a PNG nor a JPEG");
    jpeg::walk(file);
    return ImageFormat::jpeg;
}

std::int64_t count_jpeg_scans(Bytes file) {
    return jpeg::walk(file);
}

} // namespace hdap::accuracy
