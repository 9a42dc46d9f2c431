#include "study/stages/verification_file.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace hdap;
using Catch::Contains;

namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

/// Three networks, the unpruned one first, on four of ten devices.
study::Verification verification(std::vector<double> measured_ms) {
    study::Verification made;
    made.genomes = {{16, 32}, {8, 32}, {8, 16}};
    made.devices = {0, 3, 5, 9};
    made.measured_ms = std::move(measured_ms);
    made.occasion = 2;
    return made;
}

storage::Hdf5Reader reopened(storage::Hdf5Writer& file) {
    return storage::Hdf5Reader::from_bytes(file.finish(), "verification.h5");
}

} // namespace

TEST_CASE("a verification that cannot be one is a DataError that names the array") {
    const auto read = [](const study::Verification& written, std::size_t genes = 2,
                         std::size_t devices = 10) {
        storage::Hdf5Writer file;
        study::write_verification(file, written);
        return study::read_verification(reopened(file), genes, devices);
    };
    const std::vector<double> all(12, 1.5);
    CHECK_NOTHROW(read(verification(all)));
    CHECK_THROWS_WITH(read(verification(all), 3), Contains("/genomes"));
    CHECK_THROWS_WITH(read(verification(all), 2, 9), Contains("/devices has 9, of a fleet of 9"));
    auto negative = all;
    negative[7] = -1.0;
    CHECK_THROWS_WITH(read(verification(negative)), Contains("/measured_ms has -1"));
    auto first = verification(all);
    first.occasion = 0;
    CHECK_THROWS_AS(read(first), core::DataError);
    storage::Hdf5Writer empty;
    CHECK_THROWS_AS(study::read_verification(reopened(empty), 2, 10), core::DataError);
}

TEST_CASE("a verification is read as it was written, what is missing too") {
    auto written = verification({1, 2, 3, 4, 5, none, 7, 8, 9, 10, 11, 12});
    written.others = {{fleet::Quantity::sustained_latency, std::vector<double>(12, 2.5)},
                      {fleet::Quantity::energy, std::vector<double>(12, 250.0)}};
    storage::Hdf5Writer file;
    study::write_verification(file, written);
    const auto read = study::read_verification(reopened(file), 2, 10);
    CHECK(read.genomes == written.genomes);
    CHECK(read.devices == written.devices);
    CHECK(read.occasion == 2);
    CHECK(std::isnan(read.latency_ms(1, 1)));
    CHECK(read.latency_ms(2, 3) == 12.0);
    CHECK(read.others == written.others);
}

TEST_CASE("what compares is what the same devices have measured") {
    SECTION("all, where all did") {
        const auto whole = verification({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
        CHECK(study::comparable_part(whole) == whole);
    }
    SECTION("without a device that vanished half-way") {
        const auto part =
            study::comparable_part(verification({1, 2, 3, 4, 5, 6, none, 8, 9, 10, none, 12}));
        CHECK(part.devices == std::vector<std::int32_t>{0, 3, 9});
        CHECK(part.genomes.size() == 3);
        CHECK(part.measured_ms == std::vector<double>{1, 2, 4, 5, 6, 8, 9, 10, 12});
    }
    SECTION("without a network that fails on most devices, which costs no device") {
        const auto part =
            study::comparable_part(verification({1, 2, 3, 4, none, none, 7, none, 9, 10, 11, 12}));
        CHECK(part.devices.size() == 4);
        CHECK(part.genomes == std::vector<network::Genome>{{16, 32}, {8, 16}});
        CHECK(part.measured_ms == std::vector<double>{1, 2, 3, 4, 9, 10, 11, 12});
    }
    SECTION("a device that never answered does not make networks fail") {
        const auto part = study::comparable_part(
            verification({1, none, 3, none, 5, none, 7, none, 9, none, 11, none}));
        CHECK(part.devices == std::vector<std::int32_t>{0, 5});
        CHECK(part.genomes.size() == 3);
    }
    SECTION("without a device that fails under continuous load, where that was asked for") {
        auto whole = verification({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
        whole.others[fleet::Quantity::sustained_latency] = {2,    3, 4,  5,  6,  7,
                                                            none, 9, 10, 11, 12, 13};
        const auto part = study::comparable_part(whole);
        CHECK(part.devices == std::vector<std::int32_t>{0, 3, 9});
        CHECK(part.measured_ms == std::vector<double>{1, 2, 4, 5, 6, 8, 9, 10, 12});
        CHECK(part.others.at(fleet::Quantity::sustained_latency) ==
              std::vector<double>{2, 3, 5, 6, 7, 9, 10, 11, 13});
    }
    SECTION("nothing without the unpruned network, or without any measurement") {
        CHECK(study::comparable_part(verification({none, none, none, 4, 5, 6, 7, 8, 9, 10, 11, 12}))
                  .genomes.empty());
        CHECK(study::comparable_part(verification(std::vector(12, none))).genomes.empty());
    }
}
