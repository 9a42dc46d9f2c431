#include "hdap/accuracy/image_file.hpp"

#include "accuracy/images/gzip.hpp"
#include "accuracy/images/image_samples.hpp"
#include "hdap/core/error.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <sys/stat.h>

using namespace hdap;
using namespace hdap::accuracy;
using namespace hdap::accuracy::testing;
using Catch::Matchers::Contains;

namespace {

std::string problem_of(const Bytes& file) {
    try {
        (void)decode_image(file, 3);
    } catch (const core::DataError& error) {
        return error.what();
    }
    return "none";
}

/// A marker that is there once: 0xff and `code`.
std::size_t position_of(const Bytes& jpeg, std::uint8_t code) {
    const Bytes marker{0xff, code};
    const auto found = std::search(jpeg.begin(), jpeg.end(), marker.begin(), marker.end());
    REQUIRE(found != jpeg.end());
    return static_cast<std::size_t>(found - jpeg.begin());
}

/// As centre_square, pixel by pixel from the definition.
double expected_pixel(const DecodedImage& image, double resized_width, double resized_height,
                      double x, double y, std::int64_t channel) {
    const auto taps = [](std::int64_t side, double resized, double at) {
        const double ratio = static_cast<double>(side) / resized;
        const double centre = (at + 0.5) * ratio - 0.5;
        const double reach = std::max(ratio, 1.0);
        std::vector<std::pair<std::int64_t, double>> weights;
        double sum = 0.0;
        for (auto i = std::int64_t(std::floor(centre - reach)); double(i) <= centre + reach; ++i) {
            const double weight = std::max(0.0, 1.0 - std::abs(double(i) - centre) / reach);
            weights.emplace_back(std::clamp<std::int64_t>(i, 0, side - 1), weight);
            sum += weight;
        }
        for (auto& [i, weight] : weights)
            weight /= sum;
        return weights;
    };
    double value = 0.0;
    for (const auto& [row, row_weight] : taps(image.height, resized_height, y))
        for (const auto& [column, column_weight] : taps(image.width, resized_width, x))
            value += row_weight * column_weight *
                     image.pixels[static_cast<std::size_t>(
                         (row * image.width + column) * image.channels + channel)];
    return value;
}

} // namespace

TEST_CASE("what is no PNG and no JPEG is refused", "[image_file]") {
    CHECK(problem_of({}) == "is empty");
    CHECK(problem_of(Bytes(4096, 0)) == "is neither a PNG nor a JPEG");
    CHECK(problem_of(bytes_of("GIF89a, as they were")) == "is neither a PNG nor a JPEG, but a GIF");
    CHECK(problem_of(bytes_of("RIFF....WEBPVP8 ")) == "is neither a PNG nor a JPEG, but a WebP");
    CHECK(problem_of(bytes_of("<html>404</html>")) ==
          "is neither a PNG nor a JPEG, but a web page");
    CHECK(problem_of({0xff}) == "is neither a PNG nor a JPEG");
    CHECK(problem_of(bytes_of("\x89PNG\r\n\x1a\n")) == "is truncated");
    CHECK(problem_of({0xff, 0xd8}) == "is truncated");
}

TEST_CASE("an image that is cut anywhere is refused", "[image_file]") {
    const DecodedImage image = noise(13, 9, 3);
    for (const Bytes& file : {png_of(image), jpeg_of(image, 60), jpeg_of(image, 95)}) {
        REQUIRE(problem_of(file) == "none");
        for (std::size_t size = 0; size < file.size(); ++size) {
            CAPTURE(size, file.size());
            REQUIRE(problem_of({file.begin(), file.begin() + std::ptrdiff_t(size)}) != "none");
        }
    }
}

TEST_CASE("a PNG with any flipped bit is refused", "[image_file]") {
    Bytes file = png_of(noise(5, 4, 3));
    for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
        file[bit / 8] ^= std::uint8_t(1U << bit % 8);
        CAPTURE(bit);
        REQUIRE(problem_of(file) != "none");
        file[bit / 8] ^= std::uint8_t(1U << bit % 8);
    }
    CHECK(problem_of(file) == "none");
}

TEST_CASE("a JPEG with any flipped bit is refused or decoded, twice to the same", "[image_file]") {
    Bytes file = jpeg_of(noise(17, 11, 3), 50);
    for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
        file[bit / 8] ^= std::uint8_t(1U << bit % 8);
        if (problem_of(file) == "none")
            REQUIRE(decode_image(file, 3).pixels == decode_image(file, 3).pixels);
        file[bit / 8] ^= std::uint8_t(1U << bit % 8);
    }
}

TEST_CASE("images that declare giants are refused before memory is taken", "[image_file]") {
    const auto png = [](std::uint32_t width, std::uint32_t height) {
        return problem_of(png_of(RawPng{.width = width, .height = height}));
    };
    CHECK_THAT(png(8001, 8000), Contains("declares 8001 x 8000 pixels, more than 64000000"));
    CHECK_THAT(png(32769, 1), Contains("32769 x 1") && Contains("32768 per side"));
    CHECK_THAT(png(1, 4'000'000'000U), Contains("is damaged"));
    CHECK_THAT(png(8000, 8000), Contains("8000 x 8000 pixels, which its") && Contains("cannot"));
    CHECK_THAT(png(0, 5), Contains("is damaged"));

    Bytes jpeg = jpeg_of(noise(8, 8, 3));
    const std::size_t frame = position_of(jpeg, 0xc0);
    for (const std::size_t byte : {5U, 6U, 7U, 8U}) // height and width
        jpeg[frame + byte] = 0xff;
    CHECK_THAT(problem_of(jpeg), Contains("declares 65535 x 65535 pixels"));
    for (const std::size_t byte : {5U, 7U})
        jpeg[frame + byte] = 0x1f;
    CHECK_THAT(problem_of(jpeg), Contains("8191 x 8191 pixels, more"));
    for (const std::size_t byte : {5U, 7U})
        jpeg[frame + byte] = 0x07;
    CHECK_THAT(problem_of(jpeg), Contains("2047 x 2047 pixels, which its"));
}

TEST_CASE("a PNG whose data go on beyond bounds is refused", "[image_file]") {
    const Bytes file = png_of(RawPng{.lines = Bytes((std::size_t{1} << 28) + 1, 0)});
    CHECK(file.size() < 300'000);
    CHECK_THAT(problem_of(file), Contains("is damaged"));
}

TEST_CASE("a JPEG of a small file and endless scans is refused", "[image_file]") {
    const Bytes start{0xff, 0xd8};
    const Bytes frame = jpeg_segment(0xc2, {8, 0x1f, 0x40, 0x1f, 0x40, 1, 1, 0x11, 0}); // 8000²
    const Bytes scan = jpeg_segment(0xda, {1, 1, 0, 0, 63, 0});
    const Bytes comment = jpeg_segment(0xfe, Bytes(65000, 'x'));
    Bytes file = joined({start, frame, comment, comment});
    for (int i = 0; i < 17; ++i)
        file = joined({file, scan});
    CHECK_THAT(problem_of(joined({file, {0xff, 0xd9}})), Contains("in too many scans"));
}

TEST_CASE("JPEGs that would lead the decoder astray are refused", "[image_file]") {
    const Bytes file = jpeg_of(noise(8, 8, 3));
    Bytes bad = file;
    const std::size_t tables = position_of(file, 0xc4);
    bad[tables + 5] = 0xff; // 255 codes of length 1
    CHECK_THAT(problem_of(bad), Contains("is truncated") || Contains("Huffman"));

    Bytes counts(17, 255);
    counts[0] = 0;
    const Bytes long_table = jpeg_segment(0xc4, joined({counts, Bytes(16 * 255, 1)}));
    bad = joined({{0xff, 0xd8}, long_table, Bytes(file.begin() + 2, file.end())});
    CHECK_THAT(problem_of(bad), Contains("Huffman table is too long"));

    bad = file;
    const std::size_t frame = position_of(file, 0xc0);
    REQUIRE(bad[frame + 9] == 3); // components
    bad[frame + 11] = 0x31;       // three times as wide as the next
    bad[frame + 14] = 0x21;
    CHECK_THAT(problem_of(bad), Contains("uneven sampling"));
    bad[frame + 14] = 0x00;
    CHECK_THAT(problem_of(bad), Contains("uneven sampling"));

    bad = file;
    bad[frame + 1] = 0xc9; // arithmetic coding
    CHECK_THAT(problem_of(bad), Contains("of a kind that hdap does not read"));

    CHECK_THAT(problem_of(joined({{0xff, 0xd8}, jpeg_segment(0xfe, {1}), {0xff, 0xd9}})),
               Contains("has no image data"));
    CHECK_THAT(problem_of({0xff, 0xd8, 0xff, 0xfe, 0, 1}), Contains("has no length"));
    CHECK_THAT(problem_of({0xff, 0xd8, 0xff, 0xfe, 0, 2, 0xff, 0xd8}), Contains("marker"));
}

TEST_CASE("a PNG with a chunk that it cannot be understood without is refused", "[image_file]") {
    CHECK(problem_of(png_of(RawPng{.more = png_chunk("teXt", {1, 2, 3})})) == "none");
    CHECK_THAT(problem_of(png_of(RawPng{.more = png_chunk("CgBI", {1, 2, 3, 4})})),
               Contains("of a kind that hdap does not read"));
}

TEST_CASE("gzipped images that are cut, damaged, no images or endless are refused",
          "[image_file]") {
    const Bytes file = gzipped(png_of(noise(13, 9, 3)));
    for (std::size_t size = 2; size < file.size(); ++size) {
        CAPTURE(size, file.size());
        REQUIRE_THAT(problem_of({file.begin(), file.begin() + std::ptrdiff_t(size)}),
                     Contains("is gzipped, and truncated"));
    }
    Bytes bad = file;
    bad[file.size() - 8] ^= 1U; // the checksum
    CHECK(problem_of(bad) == "is gzipped, and damaged");
    CHECK(problem_of(gzipped(bytes_of("no image"))) == "is neither a PNG nor a JPEG");
    CHECK(problem_of(gzipped(file)) == "is neither a PNG nor a JPEG"); // twice
    CHECK(gunzip(gzipped(Bytes(100, 7)), 100) == Bytes(100, 7));
    CHECK_THROWS_WITH(gunzip(gzipped(Bytes(101, 7)), 100), Contains("more than 100 bytes"));
}

TEST_CASE("a gzipped image is the image", "[image_file]") {
    const DecodedImage image = noise(13, 9, 3);
    for (const Bytes& file : {png_of(image), jpeg_of(image)})
        CHECK(decode_image(joined({gzipped(file), {0, 0}}), 3).pixels ==
              decode_image(file, 3).pixels);
}

TEST_CASE("the four channels of a JPEG are CMYK, with Adobe's marker or without one",
          "[image_file]") {
    const Bytes ink{200, 100, 50, 255}; // 255 is no ink
    const Bytes without = flat_jpeg(ink);
    const Bytes with = with_segment(without, adobe_segment(0));
    for (const Bytes& file : {without, with}) {
        const Bytes pixels = decode_image(file, 3).pixels;
        REQUIRE(pixels.size() == 3 * 64);
        CHECK(Bytes(pixels.begin(), pixels.begin() + 3) == Bytes{200, 100, 50});
        CHECK(decode_image(file, 1).pixels[0] == (77 * 200 + 150 * 100 + 29 * 50) / 256);
    }
    CHECK(decode_image(flat_jpeg({200, 100, 50, 102}), 3).pixels[0] == 80); // 200 · 102/255
    CHECK(decode_image(flat_jpeg({255, 255, 255, 0}), 3).pixels[0] == 0);
    // YCCK: luma and no colour, inverted; a marker of YCbCr, which has three channels, is one of
    // it.
    for (const std::uint8_t transform : {std::uint8_t{2}, std::uint8_t{1}})
        CHECK(
            decode_image(with_segment(flat_jpeg({55, 128, 128, 255}), adobe_segment(transform)), 3)
                .pixels[0] == 200);
    CHECK(decode_image(flat_jpeg({90}), 3).pixels[0] == 90);
    CHECK(decode_image(flat_jpeg({90, 128, 128}), 3).pixels[0] == 90);
}

TEST_CASE("the orientation of an image is what its EXIF data say", "[image_file]") {
    const Bytes jpeg = jpeg_of(noise(8, 8, 3));
    const auto orientation_of = [](const Bytes& file) { return decode_image(file, 3).orientation; };
    CHECK(orientation_of(jpeg) == 1);
    for (std::uint8_t value = 1; value <= 8; ++value)
        for (const bool big_endian : {true, false}) {
            CAPTURE(int(value), big_endian);
            CHECK(orientation_of(with_segment(jpeg, exif_segment(value, big_endian))) == value);
            CHECK(orientation_of(png_of(
                      RawPng{.more = png_chunk("eXIf", exif_data(value, big_endian))})) == value);
        }
    for (const std::uint8_t value : {std::uint8_t{0}, std::uint8_t{9}, std::uint8_t{255}})
        CHECK(orientation_of(with_segment(jpeg, exif_segment(value))) == 1);
    const Bytes data = exif_data(6);
    for (std::size_t size = 0; size < data.size() - 2; ++size) { // two bytes fill the value up
        const Bytes cut(data.begin(), data.begin() + std::ptrdiff_t(size));
        CAPTURE(size);
        CHECK(orientation_of(with_segment(
                  jpeg, jpeg_segment(0xe1, joined({bytes_of("Exif"), {0, 0}, cut})))) == 1);
    }
}

TEST_CASE("an image is turned upright as its orientation says", "[image_file]") {
    const auto turned = [](int orientation) {
        // a b c
        // d e f
        return upright({.height = 2,
                        .width = 3,
                        .channels = 1,
                        .pixels = bytes_of("abcdef"),
                        .orientation = orientation});
    };
    const auto text = [&](int orientation) {
        const DecodedImage image = turned(orientation);
        CHECK(image.orientation == 1);
        CHECK(image.width == (orientation < 5 ? 3 : 2));
        CHECK(image.height == (orientation < 5 ? 2 : 3));
        return std::string(image.pixels.begin(), image.pixels.end());
    };
    CHECK(text(1) == "abcdef");
    CHECK(text(2) == "cbafed");
    CHECK(text(3) == "fedcba");
    CHECK(text(4) == "defabc");
    CHECK(text(5) == "adbecf");
    CHECK(text(6) == "daebfc");
    CHECK(text(7) == "fcebda");
    CHECK(text(8) == "cfbead");
    DecodedImage colours{
        .height = 1, .width = 2, .channels = 3, .pixels = bytes_of("rgbRGB"), .orientation = 2};
    CHECK(upright(colours).pixels == bytes_of("RGBrgb"));
}

TEST_CASE("what follows after the end of an image does not matter", "[image_file]") {
    const DecodedImage image = noise(6, 5, 3);
    for (const Bytes& file : {png_of(image), jpeg_of(image)})
        CHECK(decode_image(joined({file, bytes_of("more")}), 3).pixels ==
              decode_image(file, 3).pixels);
}

TEST_CASE("a PNG is decoded to what was encoded", "[image_file]") {
    const DecodedImage image = noise(31, 17, 3);
    const DecodedImage decoded = decode_image(png_of(image), 3);
    CHECK(decoded.width == 31);
    CHECK(decoded.height == 17);
    CHECK(decoded.channels == 3);
    CHECK(decoded.pixels == image.pixels);
    const DecodedImage grey = noise(7, 8, 1);
    CHECK(decode_image(png_of(grey), 1).pixels == grey.pixels);
}

TEST_CASE("a JPEG is decoded to about what was encoded", "[image_file]") {
    DecodedImage image{.height = 24, .width = 40, .channels = 3, .pixels = {}};
    for (int y = 0; y < 24; ++y)
        for (int x = 0; x < 40; ++x)
            for (const int value : {6 * x, 10 * y, 255 - 3 * x - 5 * y})
                image.pixels.push_back(static_cast<std::uint8_t>(value));
    const DecodedImage decoded = decode_image(jpeg_of(image, 95), 3);
    REQUIRE(decoded.pixels.size() == image.pixels.size());
    int worst = 0;
    for (std::size_t i = 0; i < image.pixels.size(); ++i)
        worst = std::max(worst, std::abs(image.pixels[i] - decoded.pixels[i]));
    CHECK(worst <= 8);
}

TEST_CASE("all kinds of PNG become 8 bits of grey or RGB", "[image_file]") {
    const auto rgb = [](const RawPng& png) { return decode_image(png_of(png), 3).pixels; };
    const auto grey = [](const RawPng& png) { return decode_image(png_of(png), 1).pixels; };
    CHECK(rgb({.lines = {0, 77}}) == Bytes{77, 77, 77});
    CHECK(rgb({.depth = 16, .colour = 2, .lines = {0, 1, 200, 2, 200, 3, 200}}) == Bytes{1, 2, 3});
    CHECK(rgb({.colour = 6, .lines = {0, 9, 8, 7, 0}}) == Bytes{9, 8, 7}); // transparent
    CHECK(rgb({.width = 2, .depth = 1, .lines = {0, 0x40}}) == Bytes{0, 0, 0, 255, 255, 255});
    const RawPng palette{.width = 2,
                         .colour = 3,
                         .lines = {0, 1, 0},
                         .more = png_chunk("PLTE", {10, 20, 30, 40, 50, 60})};
    CHECK(rgb(palette) == Bytes{40, 50, 60, 10, 20, 30});
    CHECK(grey({.colour = 2, .lines = {0, 255, 0, 0}}) == Bytes{76}); // 0.299 of 255
    CHECK(grey({.colour = 2, .lines = {0, 255, 255, 255}}) == Bytes{255});
}

TEST_CASE("only regular files are read, and nothing is waited for", "[image_file]") {
    const test::TemporaryFolder folder;
    const auto problem = [&](const std::string& name) {
        try {
            (void)read_file(folder / name);
        } catch (const core::DataError& error) {
            return std::string(error.what());
        }
        return std::string("none");
    };
    CHECK_THAT(problem("missing.png"), Contains("No such file"));
    std::filesystem::create_directory(folder / "folder.png");
    CHECK(problem("folder.png") == "is not a file");
    std::filesystem::create_symlink("loop.png", folder / "loop.png");
    CHECK_THAT(problem("loop.png"), Contains("symbolic links"));
    REQUIRE(::mkfifo((folder / "pipe.png").c_str(), 0600) == 0);
    CHECK(problem("pipe.png") == "is not a file");
    write(folder / "huge.png", {});
    std::filesystem::resize_file(folder / "huge.png", max_image_file_bytes + 1);
    CHECK_THAT(problem("huge.png"), Contains("has 268435457 bytes, more than 268435456"));
    write(folder / "a.png", bytes_of("abc"));
    std::filesystem::create_symlink("a.png", folder / "link.png");
    CHECK(read_file(folder / "link.png") == bytes_of("abc"));
}

TEST_CASE("an image of the right size is not touched, a larger one is cut", "[image_file]") {
    const DecodedImage image = noise(9, 6, 2);
    const auto pixel = [&](std::int64_t x, std::int64_t y, std::int64_t c) {
        return image.pixels[static_cast<std::size_t>((y * 9 + x) * 2 + c)];
    };
    for (const std::int64_t size : {1, 4, 5, 6}) {
        CAPTURE(size);
        const Bytes square = centre_square(image, size, 6);
        REQUIRE(square.size() == static_cast<std::size_t>(2 * size * size));
        const std::int64_t left = (9 - size) / 2;
        const std::int64_t top = (6 - size) / 2;
        std::size_t i = 0;
        for (std::int64_t c = 0; c < 2; ++c)
            for (std::int64_t y = 0; y < size; ++y)
                for (std::int64_t x = 0; x < size; ++x)
                    REQUIRE(square[i++] == pixel(left + x, top + y, c));
    }
}

TEST_CASE("resizing is the triangle filter of its definition", "[image_file]") {
    struct Case {
        std::int64_t width, height, size, short_side;
    };
    for (const Case& c : {Case{64, 48, 24, 24}, Case{50, 75, 20, 25}, Case{33, 100, 8, 13},
                          Case{16, 12, 32, 32}, Case{7, 5, 40, 43}, Case{200, 200, 16, 16}}) {
        CAPTURE(c.width, c.height, c.size, c.short_side);
        const DecodedImage image = noise(c.width, c.height, 3);
        const double shorter = double(std::min(c.width, c.height));
        const double width = std::round(double(c.width) * double(c.short_side) / shorter);
        const double height = std::round(double(c.height) * double(c.short_side) / shorter);
        const double left = std::floor((width - double(c.size)) / 2);
        const double top = std::floor((height - double(c.size)) / 2);
        const Bytes square = centre_square(image, c.size, c.short_side);
        REQUIRE(square.size() == static_cast<std::size_t>(3 * c.size * c.size));
        double worst = 0.0;
        std::size_t i = 0;
        for (std::int64_t channel = 0; channel < 3; ++channel)
            for (std::int64_t y = 0; y < c.size; ++y)
                for (std::int64_t x = 0; x < c.size; ++x) {
                    const double expected = expected_pixel(image, width, height, left + double(x),
                                                           top + double(y), channel);
                    worst = std::max(worst, std::abs(expected - square[i++]));
                }
        CHECK(worst < 0.6); // half of it is the rounding
    }
}

TEST_CASE("a long and narrow image is resized without its margins", "[image_file]") {
    for (const bool wide : {true, false}) {
        const DecodedImage image{.height = wide ? 1 : 32768,
                                 .width = wide ? 32768 : 1,
                                 .channels = 3,
                                 .pixels = Bytes(3 * 32768, 99)};
        CHECK(centre_square(image, 32, 16384) == Bytes(3 * 32 * 32, 99));
        CHECK(centre_square(image, 1, 1) == Bytes(3, 99));
    }
}
