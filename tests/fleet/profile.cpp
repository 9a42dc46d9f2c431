#include "hdap/fleet/profile.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace hdap;
using Catch::Matchers::Contains;
using fleet::Profile;

namespace {

Profile small_profile() {
    return {.group_names = {"conv1", "conv2", "conv3"},
            .genomes = {{8, 16, 32}, {4, 16, 8}, {8, 2, 1}},
            .clusters = 2,
            .latency_ms = {10, 7, 5, 20, 13, 9.5}};
}

/// The message with which check_profile refuses a good profile after `damage`.
template <class Damage>
std::string refusal(Damage damage) {
    Profile profile = small_profile();
    damage(profile);
    try {
        fleet::check_profile(profile, "p.h5");
    } catch (const core::DataError& error) {
        return error.what();
    }
    return "";
}

storage::Hdf5Reader reread(storage::Hdf5Writer& file) {
    return storage::Hdf5Reader::from_bytes(file.finish(), "p.h5");
}

} // namespace

TEST_CASE("check_profile refuses sizes that do not fit", "[profile]") {
    CHECK(refusal([](Profile&) {}).empty());
    CHECK_THAT(refusal([](Profile& p) { p.genomes.clear(); }), Contains("p.h5: a profile needs"));
    CHECK_THAT(refusal([](Profile& p) { p.group_names.clear(); }), Contains("needs"));
    CHECK_THAT(refusal([](Profile& p) { p.clusters = 0; }), Contains("needs"));
    CHECK_THAT(refusal([](Profile& p) { p.genomes[1].pop_back(); }),
               Contains("genomes[1] has 2 counts, expected 3"));
    CHECK_THAT(refusal([](Profile& p) { p.genomes[0].pop_back(); }), Contains("genomes[0]"));
    CHECK_THAT(refusal([](Profile& p) { p.group_names.pop_back(); }),
               Contains("genomes[0] has 3 counts, expected 2"));
    CHECK_THAT(refusal([](Profile& p) { p.latency_ms.clear(); }),
               Contains("latency_ms has 0 values, expected 2 x 3"));
    CHECK_THAT(refusal([](Profile& p) { p.latency_ms.push_back(1); }),
               Contains("latency_ms has 7"));
    CHECK_THAT(refusal([](Profile& p) { p.clusters = std::numeric_limits<std::size_t>::max(); }),
               Contains("latency_ms has 6"));
}

TEST_CASE("check_profile refuses values out of range and says where", "[profile]") {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_THAT(refusal([](Profile& p) { p.genomes[1][1] = 0; }), Contains("genomes[1][1] is 0"));
    CHECK_THAT(refusal([](Profile& p) { p.genomes[2][0] = 9; }),
               Contains("genomes[2][0] is 9, expected 1 to 8"));
    CHECK_THAT(refusal([](Profile& p) { p.genomes[0][2] = -1; }), Contains("genomes[0][2] is -1"));
    CHECK_THAT(refusal([](Profile& p) { p.latency_ms[4] = nan; }),
               Contains("latency_ms[1][1] is nan"));
    CHECK_THAT(refusal([](Profile& p) { p.latency_ms[0] = -1; }),
               Contains("latency_ms[0][0] is -1"));
}

TEST_CASE("write_profile refuses what check_profile refuses", "[profile]") {
    storage::Hdf5Writer file;
    CHECK_THROWS_AS(fleet::write_profile(file, Profile{}), core::DataError);
}

TEST_CASE("a profile survives its file", "[profile]") {
    const Profile profile = small_profile();
    storage::Hdf5Writer file;
    fleet::write_profile(file, profile);
    const Profile back = fleet::read_profile(reread(file));
    CHECK(back.group_names == profile.group_names);
    CHECK(back.genomes == profile.genomes);
    CHECK(back.clusters == profile.clusters);
    CHECK(back.latency_ms == profile.latency_ms);
    CHECK(back.unpruned_latency_ms(1) == 20);
}

TEST_CASE("a profile has other quantities where they were asked for", "[profile]") {
    CHECK_THAT(refusal([](Profile& p) {
                   p.others[fleet::Quantity::sustained_latency] = {12, 9, 6, 25, 18};
               }),
               Contains("p.h5: sustained_latency_ms has 5 values, expected 2 x 3"));
    CHECK_THAT(
        refusal([](Profile& p) { p.others[fleet::Quantity::energy] = {12, 9, 6, 25, 0, 11}; }),
        Contains("energy_mj[1][1] is 0"));
    CHECK_THROWS_WITH(fleet::profile_of_quantity(small_profile(), fleet::Quantity::energy),
                      Contains("a profile without energies"));
    Profile profile = small_profile();
    storage::Hdf5Writer plain;
    fleet::write_profile(plain, profile);
    const auto reader = reread(plain);
    CHECK(reader.list().size() == 3);
    CHECK(fleet::read_profile(reader).others.empty());

    profile.others = {{fleet::Quantity::sustained_latency, {12, 9, 6, 25, 18, 11}},
                      {fleet::Quantity::energy, {120, 90, 60, 250, 180, 110}}};
    storage::Hdf5Writer file;
    fleet::write_profile(file, profile);
    const auto with = reread(file);
    CHECK(with.attribute_string("/sustained_latency_ms", "unit") == "ms");
    CHECK(with.attribute_string("/energy_mj", "unit") == "mJ");
    const Profile back = fleet::read_profile(with);
    CHECK(back.latency_ms == profile.latency_ms);
    CHECK(back.others == profile.others);
    for (const auto& [quantity, values] : profile.others) {
        const Profile alone = fleet::profile_of_quantity(back, quantity);
        CHECK(alone.genomes == profile.genomes);
        CHECK(alone.latency_ms == values);
        CHECK(alone.others.empty());
    }

    storage::Hdf5Writer misshapen;
    fleet::write_profile(misshapen, small_profile());
    misshapen.write<double>("/sustained_latency_ms", {1, 2, 3, 4, 5, 6}, {3, 2});
    CHECK_THROWS_AS(fleet::read_profile(reread(misshapen)), core::DataError);
}

TEST_CASE("read_profile refuses files whose data sets do not fit together", "[profile]") {
    const auto read = [](const storage::Shape& genomes, const storage::Shape& latency) {
        storage::Hdf5Writer file;
        file.write_strings("/group_names", small_profile().group_names);
        file.write<std::int32_t>("/genomes", {8, 16, 32, 4, 16, 8}, genomes);
        file.write<double>("/latency_ms", {10, 7, 20, 13}, latency);
        return fleet::read_profile(reread(file));
    };
    CHECK_NOTHROW(read({2, 3}, {2, 2}));
    CHECK_THROWS_WITH(read({6}, {2, 2}), Contains("p.h5") && Contains("2 dimensions"));
    CHECK_THROWS_AS(read({2, 3}, {4}), core::DataError);
    CHECK_THROWS_AS(read({3, 2}, {2, 2}), core::DataError);
    CHECK_THROWS_AS(read({2, 3}, {4, 1}), core::DataError);
    storage::Hdf5Writer empty;
    CHECK_THROWS_AS(fleet::read_profile(reread(empty)), core::DataError);
}
