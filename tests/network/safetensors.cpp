#include "hdap/network/safetensors.hpp"

#include "hdap/core/error.hpp"
#include "hdap/network/weight_files.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

namespace {

using Bytes = std::vector<std::byte>;

/// A file with this header and `data`.
Bytes file_of(const std::string& header, const Bytes& data = {}) {
    const std::uint64_t length = header.size();
    Bytes bytes(8 + header.size() + data.size());
    std::memcpy(bytes.data(), &length, 8);
    std::memcpy(bytes.data() + 8, header.data(), header.size());
    std::copy(data.begin(), data.end(), bytes.begin() + 8 + std::ptrdiff_t(header.size()));
    return bytes;
}

template <class T>
Bytes bytes_of(const std::vector<T>& values) {
    Bytes bytes(values.size() * sizeof(T));
    if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
}

Weights parse(const Bytes& bytes) {
    return parse_safetensors(bytes, "w.safetensors");
}

/// The message of the DataError that the file is refused with.
std::string refusal(const Bytes& bytes) {
    try {
        parse(bytes);
    } catch (const core::DataError& error) {
        return error.what();
    }
    return "not refused";
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}";
}

} // namespace

TEST_CASE("every float type is read, integers are not") {
    const Bytes doubles = bytes_of<double>({0.5, -3.0});
    CHECK(
        parse(file_of(R"({"x":)" + entry("F64", "[2]", "[0,16]") + "}", doubles)).at("x").values ==
        std::vector<float>{0.5F, -3.0F});

    // 1, -2, the smallest subnormal, the largest number, infinity, -0.
    const Bytes halves = bytes_of<std::uint16_t>({0x3C00, 0xC000, 0x0001, 0x7BFF, 0x7C00, 0x8000});
    const Weights from_half =
        parse(file_of(R"({"x":)" + entry("F16", "[2,3]", "[0,12]") + "}", halves));
    CHECK(from_half.at("x").shape == std::vector<std::int64_t>{2, 3});
    CHECK(from_half.at("x").values == std::vector<float>{1.0F, -2.0F, 0x1p-24F, 65504.0F,
                                                         std::numeric_limits<float>::infinity(),
                                                         -0.0F});
    CHECK(std::signbit(from_half.at("x").values[5]));
    const Bytes not_a_number = bytes_of<std::uint16_t>({0x7E00});
    CHECK(std::isnan(parse(file_of(R"({"x":)" + entry("F16", "[]", "[0,2]") + "}", not_a_number))
                         .at("x")
                         .values[0]));

    const Bytes brain = bytes_of<std::uint16_t>({0x3F80, 0xC040});
    CHECK(
        parse(file_of(R"({"x":)" + entry("BF16", "[1,2]", "[0,4]") + "}", brain)).at("x").values ==
        std::vector<float>{1.0F, -3.0F});

    const std::string counter =
        R"({"n":)" + entry("I64", "[]", "[0,8]") + R"(,"x":)" + entry("F32", "[1]", "[8,12]") + "}";
    const Weights weights = parse(file_of(counter, bytes_of<float>({0.0F, 0.0F, 7.0F})));
    CHECK(weights.size() == 1);
    CHECK(weights.at("x").values == std::vector<float>{7.0F});
}

TEST_CASE("metadata, spaces, any order and empty tensors are fine") {
    const std::string header = R"({"__metadata__":{"format":"pt","note":"[1,2]"},)"
                               R"("b":)" +
                               entry("F32", "[2]", "[4,12]") + R"(,"a":)" +
                               entry("F32", "[]", "[0,4]") + R"(,"none":)" +
                               entry("F32", "[0,3]", "[12,12]") + "}   ";
    const Weights weights = parse(file_of(header, bytes_of<float>({1.0F, 2.0F, 3.0F})));
    CHECK(weights.at("a").values == std::vector<float>{1.0F});
    CHECK(weights.at("b").values == std::vector<float>{2.0F, 3.0F});
    CHECK(weights.at("none").values.empty());
}

TEST_CASE("weights survive a safetensors file bit for bit") {
    const test::TemporaryFolder folder;
    const Weights weights{{"conv.weight", {{2, 1, 1, 2}, {1.0F, -0.0F, 1e-40F, 3.0F}}},
                          {"bn \"quoted\" µ", {{}, {0.25F}}},
                          {"empty", {{0}, {}}}};
    write_safetensors(folder / "w.safetensors", weights);
    std::ifstream stream(folder / "w.safetensors", std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(stream), {});
    std::uint64_t length = 0;
    std::memcpy(&length, text.data(), 8);
    CHECK(length % 8 == 0);
    const auto bytes = std::as_bytes(std::span(text));
    const Weights again = parse_safetensors(bytes, "w.safetensors");
    REQUIRE(again.size() == weights.size());
    for (const auto& [name, tensor] : weights) {
        CHECK(again.at(name).shape == tensor.shape);
        CHECK(bytes_of(again.at(name).values) == bytes_of(tensor.values));
    }
}

TEST_CASE("a safetensors file tells its normalisation in the metadata") {
    const test::TemporaryFolder folder;
    const Normalisation normalisation{
        {0.1 + 0.2, 0.5, 0.0}, {0.25, 1.0 / 3.0, 1.0}, ChannelOrder::bgr};
    const auto file = folder / "w.safetensors";
    write_safetensors(file, {{"x", {{1}, {2.0F}}}}, normalisation);
    const WeightFile read = load_weights(file);
    CHECK(read.normalisation == normalisation);
    CHECK(read.weights.at("x").values == std::vector<float>{2.0F});
    write_safetensors(file, {{"x", {{1}, {2.0F}}}});
    CHECK_FALSE(load_weights(file).normalisation);
    const std::string bad = R"({"__metadata__":{"normalize_mean":"[0.5]"}})";
    CHECK_THROWS_WITH(safetensors_normalisation(file_of(bad, {}), "odd"),
                      Contains("odd: normalize_mean and normalize_std"));
}

TEST_CASE("safetensors files refuse what they cannot hold") {
    CHECK_THROWS_WITH(safetensors_bytes({{"x", {{2}, {1.0F}}}}),
                      Contains("'x' of shape [2] holds 1 value"));
    CHECK_THROWS_AS(safetensors_bytes({{"__metadata__", {{}, {1.0F}}}}), core::DataError);
    CHECK_THROWS_AS(safetensors_bytes({{"\xff", {{}, {1.0F}}}}), core::DataError);
}

TEST_CASE("a header that is too long, torn or not JSON is refused") {
    CHECK_THAT(refusal({}), Contains("w.safetensors: not a safetensors file: it has only 0 bytes"));
    Bytes bytes = file_of("{}");
    CHECK(parse(bytes).empty());
    bytes[0] = std::byte{3};
    CHECK_THAT(refusal(bytes), Contains("the header has 3 bytes") && Contains("and 2 are there"));
    bytes.assign(8, std::byte{0xFF});
    CHECK_THAT(refusal(bytes), Contains("at most 100 MB"));
    for (const char* header : {"", "{", "{}}", "null", "[]", "7", "\"x\"", "{\"x\":1}",
                               "{\"x\":[]}", "{\"x\":\"y\"}", "[[[[[[[[[[[[[[[[[", "{\"\xff\":1}"})
        CHECK_THAT(refusal(file_of(header)), Contains("not a safetensors file: the header"));
}

TEST_CASE("entries that are incomplete or of the wrong type are refused by name") {
    const Bytes data(8);
    const auto refuses = [&](const std::string& value, const std::string& message) {
        CHECK_THAT(refusal(file_of(R"({"fc.bias":)" + value + "}", data)),
                   Contains("'fc.bias'") && Contains(message));
    };
    refuses("{}", "must have a dtype, a shape and two data_offsets");
    refuses(R"({"dtype":"F32","shape":[2]})", "must have a dtype");
    refuses(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})", "two data_offsets");
    refuses(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8,9]})", "two data_offsets");
    refuses(R"({"dtype":"F32","dtype":"F32"})", "has 'dtype' twice");
    refuses(R"({"dtype":{}})", "an object where it does not belong");
    refuses(R"({"shape":[[2]]})", "a list where it does not belong");
    refuses(R"({"shape":[-1]})", "-1 where it does not belong");
    refuses(R"({"shape":[1.5]})", "1.5 where it does not belong");
    refuses(R"({"shape":[18446744073709551615]})", "18446744073709551615 where");
    refuses(R"({"shape":true})", "a boolean where");
    refuses(R"({"more":null})", "null where");
    refuses(entry("F8_E4M3", "[8]", "[0,8]"), "has the type 'F8_E4M3'");
}

TEST_CASE("offsets that do not fit the data or the shape are refused by name") {
    const Bytes data(16);
    const auto refuses = [&](const std::string& entries, const std::string& message) {
        CHECK_THAT(refusal(file_of("{" + entries + "}", data)), Contains(message));
    };
    const auto named = [](const std::string& name, const std::string& value) {
        return "\"" + name + "\":" + value;
    };
    refuses(named("a", entry("F32", "[4]", "[0,17]")), "'a' lies at bytes 0 to 17");
    refuses(named("a", entry("F32", "[4]", "[16,0]")), "'a' lies at bytes 16 to 0");
    refuses(named("a", entry("F32", "[3]", "[0,16]")),
            "'a' of shape [3] and type F32 has 16 bytes");
    refuses(named("a", entry("F32", "[2305843009213693952,8]", "[0,0]")), "'a' of shape");
    refuses(named("a", entry("F32", "[2]", "[0,8]")), "end at byte 8, the file holds 16");
    refuses(named("a", entry("F32", "[2]", "[8,16]")), "'a' begins at byte 8");
    refuses(named("a", entry("F32", "[3]", "[0,12]")) + "," +
                named("b", entry("F32", "[2]", "[8,16]")),
            "'b' begins at byte 8, the one before it ends at 12");
    refuses(named("a", entry("F32", "[2]", "[0,8]")) + "," +
                named("a", entry("F32", "[2]", "[8,16]")),
            "'a' is there twice");
}

TEST_CASE("a file that is cut or changed in any place is refused or read, and nothing else") {
    const Bytes good = safetensors_bytes(
        {{"a.weight", {{2, 2}, {1.0F, 2.0F, 3.0F, 4.0F}}}, {"a.bias", {{2}, {5.0F, 6.0F}}}});
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK_THROWS_AS(parse(Bytes(good.begin(), good.begin() + std::ptrdiff_t(size))),
                        core::DataError);
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
        Bytes damaged = good;
        damaged[bit / 8] ^= std::byte(1U << (bit % 8));
        try {
            parse(damaged);
        } catch (const core::DataError&) { // fine, too
        }
    }
}
