#include "network/torchscript/archive.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <vector>

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

namespace {

using Bytes = std::vector<std::byte>;

/// A small archive of the corpus: four records, 32-bit sizes, one deflated.
Bytes archive() {
    std::ifstream stream(std::string(HDAP_SOURCE_DIR) +
                             "/tests/fuzz/corpus/torchscript_archive/zip32",
                         std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(stream), {});
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

template <class T>
void put(Bytes& bytes, std::size_t at, T value) {
    std::memcpy(bytes.data() + at, &value, sizeof(T));
}

template <class T>
T get(const Bytes& bytes, std::size_t at) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    return value;
}

std::size_t end_of_directory(const Bytes& bytes) {
    return bytes.size() - 22;
}

/// Where the directory's header of record `index` is.
std::size_t header(const Bytes& bytes, int index) {
    std::size_t at = get<std::uint32_t>(bytes, end_of_directory(bytes) + 16);
    for (; index > 0; --index)
        at += 46U + get<std::uint16_t>(bytes, at + 28) + get<std::uint16_t>(bytes, at + 30);
    return at;
}

std::string refusal(const Bytes& bytes) {
    try {
        check_torchscript_archive(bytes, "n.pt");
    } catch (const core::DataError& error) {
        return error.what();
    }
    return "not refused";
}

} // namespace

TEST_CASE("An archive whose directory lies about its records is refused") {
    const Bytes good = archive();
    CHECK_NOTHROW(check_torchscript_archive(good, "n.pt"));
    const auto changed = [&](std::size_t at, auto value) {
        Bytes bytes = good;
        put(bytes, at, value);
        return refusal(bytes);
    };
    const std::size_t end = end_of_directory(good);
    CHECK_THAT(changed(end + 10, std::uint16_t{60'000}), Contains("directory of 60000 records"));
    CHECK_THAT(changed(end + 12, std::uint32_t{0xFFFFFF}), Contains("is damaged"));
    CHECK_THAT(changed(end + 16, std::uint32_t{0xFFFFFFFF}), Contains("is damaged"));
    const std::size_t first = header(good, 0);
    CHECK_THAT(changed(first, std::uint32_t{0}), Contains("damaged at byte"));
    CHECK_THAT(changed(first + 8, std::uint16_t{1}), Contains("'n/data.pkl' is encrypted"));
    CHECK_THAT(changed(first + 10, std::uint16_t{12}), Contains("compressed in an unknown way"));
    CHECK_THAT(changed(first + 20, std::uint32_t{0xFFFFFF}), Contains("reaches over the end"));
    CHECK_THAT(changed(first + 24, std::uint32_t{1'000'000}),
               Contains("'n/data.pkl' declares 1000000 bytes, but only 5 are stored"));
    CHECK_THAT(changed(first + 28, std::uint16_t{0xFFFF}), Contains("behind the end"));
    CHECK_THAT(changed(first + 42, std::uint32_t{1}), Contains("has no header"));
    const std::size_t deflated = header(good, 3);
    CHECK_THAT(changed(deflated + 24, std::uint32_t{1'000'000}),
               Contains("'n/code/__torch__.py' declares 1000000 bytes"));
}

TEST_CASE("Records over one another are refused: together they would be many times the file") {
    Bytes bytes = archive();
    put(bytes, header(bytes, 1) + 42, get<std::uint32_t>(bytes, header(bytes, 0) + 42));
    CHECK_THAT(refusal(bytes), Contains("lies over another one"));
}

TEST_CASE("A cut or changed archive is refused or accepted, and nothing else") {
    const Bytes good = archive();
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK_THAT(refusal(Bytes(good.begin(), good.begin() + std::ptrdiff_t(size))),
                   Contains("n.pt: not a TorchScript archive"));
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
        Bytes damaged = good;
        damaged[bit / 8] ^= std::byte(1U << (bit % 8));
        refusal(damaged);
    }
}

TEST_CASE("Archives without a program are told from those with one") {
    Bytes bytes = archive();
    bytes[header(bytes, 1) + 46 + 2] = std::byte{'x'}; // n/constants.pkl
    CHECK_THAT(refusal(bytes), Contains("written by torch.save"));
    bytes[header(bytes, 0) + 46 + 2] = std::byte{'x'}; // n/data.pkl
    CHECK_THAT(refusal(bytes), Contains("without a record 'data.pkl'"));
}

TEST_CASE("The shape of an image survives its text") {
    CHECK(parse_input_shape(input_shape_text({3, {224, 192}})) == TensorShape{3, {224, 192}});
    CHECK_FALSE(parse_input_shape(""));
    CHECK_FALSE(parse_input_shape("3 224"));
    CHECK_FALSE(parse_input_shape("three by four"));
}
