#include "hdap/storage/user_file.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <iterator>

using namespace hdap;
using Bytes = std::vector<std::byte>;

namespace {

/// Numbers, compressed ones and texts.
Bytes small_file() {
    storage::Hdf5Writer writer;
    const std::vector<double> values(200, 1.5);
    writer.write<double>("/latency_ms", values, {50, 4}, storage::Compression::deflate);
    writer.write<std::int32_t>("/runs", {3, 4, 5});
    writer.write_strings("/device_id", std::vector<std::string>{"a", "bc", "def"});
    writer.attribute("/", "sku", std::string("board"));
    writer.attribute("/latency_ms", "unit", std::string("ms"));
    return writer.finish();
}

void read_all(const storage::Hdf5Reader& file) {
    for (const storage::Entry& entry : file.list()) {
        for (const std::string& name : file.attribute_names(entry.path))
            static_cast<void>(file.attribute_text(entry.path, name));
        if (entry.type == "string")
            static_cast<void>(file.read_strings(entry.path));
        else if (!entry.is_group && entry.type != "other")
            static_cast<void>(file.read<double>(entry.path));
    }
}

/// A few bytes that are others, or a part of the file.
Bytes damaged(Bytes bytes, core::RandomStream& random) {
    if (random.below(6) == 0) {
        bytes.resize(random.below(bytes.size()));
        return bytes;
    }
    for (std::uint64_t changes = 1 + random.below(4); changes > 0; --changes) {
        std::byte& byte = bytes[random.below(bytes.size())];
        const std::byte flipped = byte ^ std::byte(1U << random.below(8));
        const std::byte choices[] = {flipped, std::byte(random.below(256)), std::byte(0xff),
                                     std::byte(0)};
        byte = choices[random.below(std::size(choices))];
    }
    return bytes;
}

} // namespace

TEST_CASE("a user's file that is missing, is empty or is none of HDF5 is a DataError") {
    const test::TemporaryFolder folder;
    CHECK_THROWS_WITH(storage::open_user_file(folder / "none.h5", read_all),
                      Catch::Contains("none.h5"));
    CHECK_THROWS_AS(storage::open_user_bytes({}, "f.h5", read_all), core::DataError);
    CHECK_THROWS_WITH(storage::open_user_bytes(Bytes(5000), "f.h5", read_all),
                      Catch::StartsWith("f.h5: not an HDF5 file"));
}

TEST_CASE("a user's file with any damage is read or refused, whatever HDF5 makes of it") {
    const Bytes sound = small_file();
    int refused = 0;
    constexpr int tries = 500;
    for (std::uint32_t i = 0; i < tries; ++i) {
        core::RandomStream random(5, core::StreamId::testing, i);
        CAPTURE(i);
        try {
            read_all(storage::open_user_bytes(damaged(sound, random), "f.h5", read_all));
        } catch (const core::DataError& error) {
            ++refused;
            CHECK_THAT(error.what(), Catch::StartsWith("f.h5: "));
        }
    }
    CHECK(refused > tries / 10);
    CHECK(refused < tries);
}

TEST_CASE("a file without a seal is read in a process of its own first, one with a seal is not") {
    const test::TemporaryFolder folder;
    storage::write_sealed(folder / "sealed.h5", small_file());
    storage::write_atomically(folder / "plain.h5", small_file());
    const auto crash = [](const storage::Hdf5Reader&) { std::abort(); };
    CHECK_THROWS_WITH(storage::open_user_file(folder / "plain.h5", crash),
                      Catch::Contains("plain.h5: is damaged") && Catch::Contains("crashes"));
    const auto sealed = storage::open_user_file(folder / "sealed.h5", crash);
    CHECK(sealed.read<std::int32_t>("/runs") == std::vector<std::int32_t>{3, 4, 5});
    const auto plain = storage::open_user_file(folder / "plain.h5", read_all);
    CHECK(plain.read_strings("/device_id") == std::vector<std::string>{"a", "bc", "def"});
}
