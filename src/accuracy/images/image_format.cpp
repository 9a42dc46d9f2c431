#include "image_format.hpp"

#include "exif.hpp"
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
    [[nodiscard]] Bytes rest() const noexcept { return rest_; }

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

std::string_view text_of(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// ISO/IEC 15948: chunks of length, type, data, and CRC-32 of the last two.
ImageStructure check_png(Bytes file) {
    ImageStructure structure{.format = ImageFormat::png};
    constexpr std::array<std::string_view, 4> known{"IHDR", "PLTE", "IDAT", "IEND"};
    Reader reader(file.subspan(png_signature.size()));
    for (;;) {
        const std::size_t length = reader.number(4);
        Reader ahead = reader;
        const Bytes body = reader.take(length < file.size() ? 4 + length : file.size());
        if (checksum(body) != reader.number(4)) fail("is damaged: a checksum does not fit");
        const Bytes name = ahead.take(4);
        const std::string_view type = text_of(name);
        if (type == "IEND") return structure;
        if (type == "eXIf") structure.orientation = exif_orientation(body.subspan(name.size()));
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
constexpr std::uint8_t app1 = 0xe1;
constexpr std::uint8_t app14 = 0xee;

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

/// Returns the number of channels.
std::size_t check_frame(std::uint8_t marker, Reader segment) {
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
    return sampling.size();
}

/// What Adobe's APP14 segment says of the channels: 0 (RGB, CMYK), 1 (YCbCr) or 2 (YCCK).
std::optional<std::uint8_t> adobe_transform(Bytes segment) {
    constexpr std::string_view name("Adobe\0", 6);
    constexpr std::size_t place = 11; // after the name, a version and flags
    if (segment.size() <= place || text_of(segment.first(name.size())) != name) return std::nullopt;
    return segment[place];
}

/// What the segments before the first scan tell of the image.
class Header {
  public:
    void add(std::uint8_t marker, Bytes segment) {
        constexpr std::string_view exif("Exif\0\0", 6);
        if (is_frame(marker)) channels_ = check_frame(marker, Reader(segment));
        if (marker == app1 && !orientation_ && segment.size() >= exif.size() &&
            text_of(segment.first(exif.size())) == exif)
            orientation_ = exif_orientation(segment.subspan(exif.size()));
        if (marker == app14)
            if (const auto transform = adobe_transform(segment)) transform_ = transform;
    }

    [[nodiscard]] int orientation() const noexcept { return orientation_.value_or(1); }

    /// Without a marker they are CMYK; a marker of another kind is taken for YCCK, as libjpeg does.
    [[nodiscard]] std::optional<std::uint8_t> missing_transform() const noexcept {
        if (channels_ != 4 || transform_ == 0 || transform_ == 2) return std::nullopt;
        return transform_ ? 2 : 0;
    }

  private:
    std::size_t channels_ = 0;
    std::optional<int> orientation_;
    std::optional<std::uint8_t> transform_;
};

/// Walks over all segments.
ImageStructure walk(Bytes file) {
    Reader reader(file.subspan(2));
    ImageStructure structure{.format = ImageFormat::jpeg};
    Header header;
    std::uint8_t marker = next_marker(reader);
    while (marker != end) {
        const std::uint32_t length = reader.number(2);
        if (length < 2) fail("is damaged: a segment has no length");
        const std::size_t marker_place = file.size() - reader.rest().size() - 4;
        const Bytes segment = reader.take(length - 2);
        if (marker == huffman_tables) check_huffman_tables(Reader(segment));
        if (marker == scan && structure.scans++ == 0) structure.marker_place = marker_place;
        if (structure.scans == 0 || is_frame(marker)) header.add(marker, segment);
        marker = marker == scan ? marker_after_scan(reader) : next_marker(reader);
        if (marker == 0 || marker == start || is_restart(marker))
            fail("is damaged: a marker stands where none can be");
    }
    if (structure.scans == 0) fail("is damaged: it has no image data");
    structure.orientation = header.orientation();
    structure.missing_transform = header.missing_transform();
    return structure;
}

} // namespace jpeg

/// How files begin that are often called .jpg or .png.
struct OtherFormat {
    std::size_t place = 0;
    std::string_view start;
    const char* name = "";
};
constexpr OtherFormat other_formats[] = {{0, "GIF8", "a GIF"},
                                         {8, "WEBP", "a WebP"},
                                         {4, "ftypavif", "an AVIF"},
                                         {4, "ftyphei", "an HEIF"},
                                         {4, "ftypmif1", "an HEIF"},
                                         {0, std::string_view("II*\0", 4), "a TIFF"},
                                         {0, std::string_view("MM\0*", 4), "a TIFF"},
                                         {0, "BM", "a BMP"},
                                         {0, "<!DOCTYPE", "a web page"},
                                         {0, "<!doctype", "a web page"},
                                         {0, "<html", "a web page"},
                                         {0, "version https://git-lfs", "a pointer of Git LFS"}};

[[noreturn]] void fail_as_other(Bytes file) {
    for (const OtherFormat& other : other_formats)
        if (text_of(file).substr(std::min(file.size(), other.place)).starts_with(other.start))
            fail(std::string("is neither a PNG nor a JPEG, but ") + other.name);
    fail("is neither a PNG nor a JPEG");
}

} // namespace

ImageStructure check_image_structure(Bytes file) {
    constexpr std::array<std::uint8_t, 2> jpeg_signature{0xff, jpeg::start};
    if (file.empty()) fail("is empty");
    if (begins_with(file, png_signature)) return check_png(file);
    if (!begins_with(file, jpeg_signature)) fail_as_other(file);
    return jpeg::walk(file);
}

std::vector<std::uint8_t> with_adobe_marker(Bytes file, const ImageStructure& structure) {
    const std::array<std::uint8_t, 16> segment{
        0xff, jpeg::app14, 0,   14, 'A', 'd', 'o', 'b',
        'e',  0,           100, 0,  0,   0,   0,   structure.missing_transform.value_or(0)};
    const auto place = static_cast<std::ptrdiff_t>(structure.marker_place);
    std::vector<std::uint8_t> marked;
    marked.reserve(file.size() + segment.size());
    marked.assign(file.begin(), file.begin() + place);
    marked.insert(marked.end(), segment.begin(), segment.end());
    marked.insert(marked.end(), file.begin() + place, file.end());
    return marked;
}

} // namespace hdap::accuracy
