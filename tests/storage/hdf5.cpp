#include "hdap/storage/hdf5.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string_view>

using namespace hdap;
using storage::Hdf5Reader;
using storage::Hdf5Writer;

namespace {

Hdf5Reader reopened(Hdf5Writer& writer) {
    return Hdf5Reader::from_bytes(writer.finish(), "test.h5");
}

} // namespace

TEST_CASE("writing refuses values that do not fill the shape, and a path that exists") {
    Hdf5Writer writer;
    CHECK_THROWS_AS(writer.write<double>("/a", {1.0, 2.0}, {3}), core::InternalError);
    writer.write<double>("/a", {1.0});
    CHECK_THROWS_AS(writer.write<double>("/a", {1.0}), core::InternalError);
    CHECK_THROWS_AS(writer.attribute("/missing", "unit", "ms"), core::InternalError);
}

TEST_CASE("appending refuses what are no whole rows, and a data set that is not there") {
    const std::vector<float> values(5, 1.0F);
    Hdf5Writer writer;
    CHECK_THROWS_AS(writer.append_rows<float>("/a", values), core::InternalError);
    CHECK_THROWS_AS(writer.begin_rows<float>("/a", {2, 0}, 3), core::InternalError);
    writer.begin_rows<float>("/a", {2}, 3);
    CHECK_THROWS_AS(writer.begin_rows<float>("/a", {2}, 3), core::InternalError);
    CHECK_THROWS_AS(writer.append_rows<float>("/a", values), core::InternalError);
    CHECK(reopened(writer).shape("/a") == storage::Shape{0, 2});
}

TEST_CASE("rows that are appended are read back, however many there come") {
    std::vector<std::int32_t> rows(3000 * 100);
    for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i] = static_cast<std::int32_t>(i * 7919);
    Hdf5Writer writer;
    writer.begin_rows<std::int32_t>("/group/rows", {4, 25}, 2);
    writer.append_rows<std::int32_t>("/group/rows", std::span(rows).first(100));
    writer.append_rows<std::int32_t>("/group/rows", std::span(rows).subspan(100));
    const Hdf5Reader reader = reopened(writer);
    CHECK(reader.read<std::int32_t>("/group/rows", {3000, 4, 25}) == rows);
    CHECK(reader.read_rows<std::int32_t>("/group/rows", 2999, 1) ==
          std::vector<std::int32_t>(rows.end() - 100, rows.end()));
}

TEST_CASE("a shape has the product of its extents, a scalar one element") {
    CHECK(storage::element_count(storage::Shape{2, 3, 4}) == 24);
    CHECK(storage::element_count(storage::Shape{2, 0}) == 0);
    CHECK(storage::element_count({}) == 1);
}

TEST_CASE("bytes that are no HDF5 file are a DataError that names the file") {
    const std::string text = "this is no HDF5 file";
    std::vector<std::byte> bytes(text.size());
    CHECK_THROWS_WITH(Hdf5Reader::from_bytes(bytes, "fleet.h5"), Catch::Contains("fleet.h5"));
    CHECK_THROWS_AS(Hdf5Reader::from_bytes({}, "fleet.h5"), core::DataError);
    CHECK_THROWS_AS(Hdf5Reader::open("/no/such/file.h5"), core::DataError);
}

TEST_CASE("every element type, shape and attribute survives a round trip") {
    Hdf5Writer writer;
    writer.write<double>("/d", {1.5, -2.0, 3.25, 0.0, 1e300, 7.0}, {2, 3});
    writer.write<float>("/group/f", {0.5F});
    writer.write<std::int64_t>("/group/i64", {-9'000'000'000});
    writer.write<std::int32_t>("/i32", {1, -2, 3});
    writer.write<std::uint8_t>("/u8", {0, 255});
    writer.write<double>("/none", {});
    const std::vector<std::string> words{"Jetson", "", "µs"};
    writer.write_strings("/words", words);
    writer.attribute("/d", "unit", "ms");
    writer.attribute("/", "count", std::int64_t{7});
    writer.attribute("/", "share", 0.25);
    writer.attribute("/d", "means", std::vector<double>{0.5, -1.25});
    writer.attribute("/d", "nothing", std::vector<double>{});
    const Hdf5Reader reader = reopened(writer);
    CHECK(reader.read<double>("/d", {2, 3}) ==
          std::vector<double>{1.5, -2.0, 3.25, 0.0, 1e300, 7.0});
    CHECK(reader.read_rows<double>("/d", 1, 1) == std::vector<double>{0.0, 1e300, 7.0});
    CHECK(reader.read<float>("/group/f") == std::vector<float>{0.5F});
    CHECK(reader.read<std::int64_t>("/group/i64") == std::vector<std::int64_t>{-9'000'000'000});
    CHECK(reader.read<std::int32_t>("/i32") == std::vector<std::int32_t>{1, -2, 3});
    CHECK(reader.read<std::uint8_t>("/u8") == std::vector<std::uint8_t>{0, 255});
    CHECK(reader.read<double>("/none").empty());
    CHECK(reader.read_strings("/words") == words);
    CHECK(reader.attribute_string("/d", "unit") == "ms");
    CHECK(reader.attribute_int("/", "count") == 7);
    CHECK(reader.attribute_double("/", "share") == 0.25);
    CHECK(reader.attribute_doubles("/d", "means") == std::vector<double>{0.5, -1.25});
    CHECK(reader.attribute_doubles("/d", "nothing").empty());
    CHECK(reader.attribute_names("/") == std::vector<std::string>{"count", "share"});
    CHECK(reader.contains("/group/f"));
    CHECK_FALSE(reader.contains("/group/g"));
    CHECK_FALSE(reader.contains("/nowhere/f"));
}

TEST_CASE("a compressed data set is smaller and reads the same") {
    const std::vector<std::uint8_t> values(1'000'000, 42);
    Hdf5Writer writer;
    writer.write<std::uint8_t>("/pixels", values, {1000, 1000}, storage::Compression::deflate);
    auto bytes = writer.finish();
    CHECK(bytes.size() < 100'000);
    const Hdf5Reader reader = Hdf5Reader::from_bytes(std::move(bytes), "test.h5");
    CHECK(reader.read<std::uint8_t>("/pixels", {1000, 1000}) == values);
}

TEST_CASE("a data set whose filter is not available is refused with the filter's name") {
    const auto with_filter = [](unsigned number, std::string_view name) {
        Hdf5Writer writer;
        writer.write<std::uint8_t>("/pixels", std::vector<std::uint8_t>(1000, 42), {1000},
                                   storage::Compression::deflate);
        std::vector<std::byte> bytes = writer.finish();
        // A filter is written as its number, three more fields of 16 bits, and its name.
        constexpr std::string_view deflate = "deflate";
        const auto found = std::search(
            bytes.begin(), bytes.end(), deflate.begin(), deflate.end(),
            [](std::byte byte, char letter) { return byte == static_cast<std::byte>(letter); });
        REQUIRE(found != bytes.end());
        std::fill_n(found, deflate.size(), std::byte{0});
        std::transform(name.begin(), name.end(), found,
                       [](char letter) { return static_cast<std::byte>(letter); });
        found[-8] = static_cast<std::byte>(number & 0xFFU);
        found[-7] = static_cast<std::byte>(number >> 8U);
        return Hdf5Reader::from_bytes(std::move(bytes), "test.h5");
    };
    const auto refusal = [](const Hdf5Reader& reader) {
        CHECK_THROWS_AS(reader.read<std::uint8_t>("/pixels"), core::DataError);
        CHECK_THROWS_AS(reader.read_rows<std::uint8_t>("/pixels", 0, 1), core::DataError);
        try {
            (void)reader.read<std::uint8_t>("/pixels");
        } catch (const core::DataError& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    CHECK_THAT(refusal(with_filter(32000, "lzf")),
               Catch::Contains("test.h5: /pixels: is compressed with the filter 'lzf' (number "
                               "32000)") &&
                   Catch::Contains("gzip"));
    CHECK_THAT(refusal(with_filter(32015, "")), Catch::Contains("'zstd' (number 32015)"));
    CHECK_THAT(refusal(with_filter(40001, "mine")), Catch::Contains("'mine' (number 40001)"));
}

TEST_CASE("equal contents give equal bytes") {
    const auto write = [] {
        Hdf5Writer writer;
        writer.write<double>("/a/b", {1.0, 2.0});
        writer.write_strings("/names", std::vector<std::string>{"x", "y"});
        writer.attribute("/", "schema", "hdap-test/1");
        return writer.finish();
    };
    CHECK(write() == write());
}

TEST_CASE("reading what is not there, or of another kind or shape, says where") {
    Hdf5Writer writer;
    writer.write<double>("/d", {1.0, 2.0});
    writer.write_strings("/words", std::vector<std::string>{"x"});
    writer.attribute("/", "text", "abc");
    writer.attribute("/", "number", 1.0);
    const Hdf5Reader reader = reopened(writer);
    CHECK_THROWS_WITH(reader.read<double>("/x"), Catch::Contains("test.h5: /x: no such data set"));
    CHECK_THROWS_WITH(reader.read<double>("/d", {3}), Catch::Contains("[2], expected [3]"));
    CHECK_THROWS_WITH(reader.read<double>("/words"), Catch::Contains("holds no numbers"));
    CHECK_THROWS_WITH(reader.read_strings("/d"), Catch::Contains("holds no strings"));
    CHECK_THROWS_WITH(reader.read_rows<double>("/d", 1, 2), Catch::Contains("are not there"));
    CHECK_THROWS_WITH(reader.attribute_int("/", "text"), Catch::Contains("not an integer"));
    CHECK_THROWS_WITH(reader.attribute_doubles("/", "text"), Catch::Contains("not a list"));
    CHECK_THROWS_WITH(reader.attribute_doubles("/", "number"), Catch::Contains("not a list"));
    CHECK_THROWS_WITH(reader.attribute_string("/", "none"), Catch::Contains("no attribute"));
}

TEST_CASE("the list of entries names types and shapes in order") {
    Hdf5Writer writer;
    writer.write<double>("/b/x", {1.0, 2.0}, {2, 1});
    writer.write_strings("/a", std::vector<std::string>{"x"});
    const auto entries = reopened(writer).list();
    REQUIRE(entries.size() == 3);
    CHECK(entries[0].path == "/a");
    CHECK(entries[0].type == "string");
    CHECK(entries[1].is_group);
    CHECK(entries[2].path == "/b/x");
    CHECK(entries[2].type == "float64");
    CHECK(entries[2].shape == storage::Shape{2, 1});
}

TEST_CASE("files of equal names in memory are independent of each other") {
    Hdf5Writer first;
    Hdf5Writer second;
    first.write<double>("/a", {1.0});
    second.write<double>("/a", {2.0});
    const auto one = Hdf5Reader::from_bytes(first.finish(), "same.h5");
    const auto two = Hdf5Reader::from_bytes(second.finish(), "same.h5");
    CHECK(one.read<double>("/a") == std::vector<double>{1.0});
    CHECK(two.read<double>("/a") == std::vector<double>{2.0});
}
