#include "hdap/surrogate/profile.hpp"

#include "hdap/core/error.hpp"
#include "surrogate/synthetic_profile.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace hdap;
using surrogate::Profile;

namespace {

/// The message with which check_profile refuses a good profile after `damage`.
template <class Damage>
std::string refusal(Damage damage) {
    Profile profile = test::synthetic_profile(5, 3, 2);
    damage(profile);
    try {
        surrogate::check_profile(profile, "p.h5");
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
    using Catch::Matchers::Contains;
    CHECK(refusal([](Profile&) {}).empty());
    CHECK_THAT(refusal([](Profile& p) { p.candidates = 0; }), Contains("p.h5: a profile needs"));
    CHECK_THAT(refusal([](Profile& p) { p.genes = 0; }), Contains("needs"));
    CHECK_THAT(refusal([](Profile& p) { p.clusters = 0; }), Contains("needs"));
    CHECK_THAT(refusal([](Profile& p) { p.genomes.pop_back(); }),
               Contains("genomes has 14 values, expected 5 x 3"));
    CHECK_THAT(refusal([](Profile& p) { p.features.push_back(1); }), Contains("features has 16"));
    CHECK_THAT(refusal([](Profile& p) { p.latency_ms.clear(); }), Contains("latency_ms has 0"));
    CHECK_THAT(refusal([](Profile& p) { p.unpruned_latency_ms.pop_back(); }),
               Contains("unpruned_latency_ms has 1"));
    CHECK_THAT(refusal([](Profile& p) { p.group_names.pop_back(); }),
               Contains("group_names has 2"));
    CHECK(refusal([](Profile& p) { p.group_names.clear(); }).empty());
}

TEST_CASE("check_profile refuses values out of range and says where", "[profile]") {
    using Catch::Matchers::Contains;
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_THAT(refusal([](Profile& p) { p.genomes[4] = 0; }), Contains("genomes[1][1] is 0"));
    CHECK_THAT(refusal([](Profile& p) { p.features[5] = 1.5F; }),
               Contains("features[1][2] is 1.5"));
    CHECK_THAT(refusal([](Profile& p) { p.features[5] = 0; }), Contains("features[1][2] is 0"));
    CHECK_THAT(refusal([](Profile& p) { p.latency_ms[6] = nan; }),
               Contains("latency_ms[1][1] is nan"));
    CHECK_THAT(refusal([](Profile& p) { p.latency_ms[0] = -1; }),
               Contains("latency_ms[0][0] is -1"));
    CHECK_THAT(refusal([](Profile& p) { p.unpruned_latency_ms[1] = 0; }),
               Contains("unpruned_latency_ms[1][0] is 0"));
}

TEST_CASE("write_profile refuses what check_profile refuses", "[profile]") {
    storage::Hdf5Writer file;
    CHECK_THROWS_AS(surrogate::write_profile(file, Profile{}), core::DataError);
}

TEST_CASE("a profile survives its file", "[profile]") {
    for (const bool named : {true, false}) {
        Profile profile = test::synthetic_profile(7, 3, 2);
        if (!named) profile.group_names.clear();
        storage::Hdf5Writer file;
        surrogate::write_profile(file, profile);
        const Profile back = surrogate::read_profile(reread(file));
        CHECK(back.group_names == profile.group_names);
        CHECK(back.candidates == profile.candidates);
        CHECK(back.genes == profile.genes);
        CHECK(back.genomes == profile.genomes);
        CHECK(back.features == profile.features);
        CHECK(back.clusters == profile.clusters);
        CHECK(back.latency_ms == profile.latency_ms);
        CHECK(back.unpruned_latency_ms == profile.unpruned_latency_ms);
    }
}

TEST_CASE("read_profile refuses files whose data sets do not fit together", "[profile]") {
    using Catch::Matchers::Contains;
    const Profile profile = test::synthetic_profile(5, 3, 2);
    const auto read = [&](const storage::Shape& genomes, const storage::Shape& latency) {
        storage::Hdf5Writer file;
        file.write_strings("/group_names", profile.group_names);
        file.write("/genomes", profile.genomes, genomes);
        file.write("/features", profile.features, {5, 3});
        file.write("/latency_ms", profile.latency_ms, latency);
        file.write("/unpruned_latency_ms", profile.unpruned_latency_ms);
        return surrogate::read_profile(reread(file));
    };
    CHECK_NOTHROW(read({5, 3}, {2, 5}));
    CHECK_THROWS_WITH(read({15}, {2, 5}), Contains("p.h5") && Contains("2 dimensions"));
    CHECK_THROWS_AS(read({5, 3}, {10}), core::DataError);
    CHECK_THROWS_AS(read({3, 5}, {2, 5}), core::DataError);
    CHECK_THROWS_AS(read({5, 3}, {5, 2}), core::DataError);
    storage::Hdf5Writer empty;
    CHECK_THROWS_AS(surrogate::read_profile(reread(empty)), core::DataError);
}
