#include "hdap/surrogate/surrogate.hpp"

#include "hdap/core/error.hpp"
#include "surrogate/owned_network.hpp"
#include "surrogate/synthetic_profile.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using Catch::Matchers::Contains;

namespace {

const test::OwnedNetwork any_network;

} // namespace

TEST_CASE("an unknown kind of surrogate is refused with the known ones", "[surrogate]") {
    const auto profile = test::synthetic_profile(12, 3, 2);
    CHECK_THROWS_AS(
        surrogate::fit_surrogate(profile, {.kind = "oracle", .gbrt = {}}, any_network.view(), 1),
        core::ConfigError);
    CHECK_THROWS_WITH(
        surrogate::fit_surrogate(profile, {.kind = "oracle", .gbrt = {}}, any_network.view(), 1),
        Contains("'oracle'; known: auto, gbrt, layer_additive"));
    storage::Hdf5Writer file;
    file.attribute("/", "kind",
                   std::string("or\x1b"
                               "acle"));
    const auto reader = storage::Hdf5Reader::from_bytes(file.finish(), "s.h5");
    CHECK_THROWS_AS(surrogate::read_surrogate(reader, any_network.view()), core::DataError);
    CHECK_THROWS_WITH(
        surrogate::read_surrogate(reader, any_network.view()),
        Contains("s.h5: unknown kind of surrogate 'or?acle'; known: gbrt, layer_additive"));
    storage::Hdf5Writer empty;
    CHECK_THROWS_AS(
        surrogate::read_surrogate(storage::Hdf5Reader::from_bytes(empty.finish(), "s.h5"),
                                  any_network.view()),
        core::DataError);
}

TEST_CASE("every kind of surrogate fits, predicts and survives its file", "[surrogate]") {
    const auto profile = test::profile_of_network(any_network, 40, 2);
    for (const std::string& kind : surrogate::surrogate_kinds()) {
        CAPTURE(kind);
        const auto fitted =
            surrogate::fit_surrogate(profile, {.kind = kind, .gbrt = {}}, any_network.view(), 1);
        if (kind != "auto") CHECK(fitted->kind() == kind);
        CHECK(fitted->clusters() == 2);
        std::vector<double> predicted(40 * 2);
        fitted->predict(profile.genomes, predicted, 1);
        for (std::size_t k = 0; k < 2; ++k)
            CHECK(predicted[k] == Approx(profile.unpruned_latency_ms(k)).epsilon(0.1));
        storage::Hdf5Writer file;
        surrogate::write_surrogate(file, *fitted);
        const auto reader = storage::Hdf5Reader::from_bytes(file.finish(), "s.h5");
        CHECK(reader.attribute_string("/", "kind") == fitted->kind());
        std::vector<double> again(40 * 2);
        surrogate::read_surrogate(reader, any_network.view())->predict(profile.genomes, again, 1);
        CHECK(again == predicted);
    }
}

TEST_CASE("two surrogates share a file, and each predicts as it did alone", "[surrogate]") {
    const auto usual = test::profile_of_network(any_network, 40, 2);
    auto hot = usual;
    for (std::size_t i = 0; i < hot.latency_ms.size(); ++i)
        hot.latency_ms[i] *= 2.0 + 0.1 * static_cast<double>(i % 7);
    for (const std::string& kind : surrogate::surrogate_kinds()) {
        CAPTURE(kind);
        const auto first =
            surrogate::fit_surrogate(usual, {.kind = kind, .gbrt = {}}, any_network.view(), 1);
        const auto second =
            surrogate::fit_surrogate(hot, {.kind = kind, .gbrt = {}}, any_network.view(), 1);
        storage::Hdf5Writer file;
        surrogate::write_surrogate(file, *first);
        surrogate::write_surrogate(file, *second, "/sustained");
        const auto reader = storage::Hdf5Reader::from_bytes(file.finish(), "s.h5");
        const auto predicted = [&](const surrogate::Surrogate& one) {
            std::vector<double> latency_ms(40 * 2);
            one.predict(usual.genomes, latency_ms, 1);
            return latency_ms;
        };
        CHECK(predicted(*surrogate::read_surrogate(reader, any_network.view())) ==
              predicted(*first));
        const auto back = surrogate::read_surrogate(reader, any_network.view(), "/sustained");
        CHECK(predicted(*back) == predicted(*second));
        CHECK(predicted(*second) != predicted(*first));
        CHECK(back->cross_validation()[1].mape == second->cross_validation()[1].mape);
        CHECK_THROWS_AS(surrogate::read_surrogate(reader, any_network.view(), "/other"),
                        core::DataError);
    }
}

TEST_CASE("auto is the kind with the least error, and tells why", "[surrogate]") {
    const test::OwnedNetwork network("mobilenet_v1", 1);
    fleet::Profile profile = test::profile_of_network(network, 120, 2);
    const auto additive = surrogate::fit_surrogate(profile, {}, network.view(), 2);
    CHECK(additive->kind() == "layer_additive");
    CHECK_THAT(additive->choice(), Contains("layer_additive is off by ") && Contains("gbrt by "));
    storage::Hdf5Writer file;
    surrogate::write_surrogate(file, *additive);
    CHECK(surrogate::read_surrogate(storage::Hdf5Reader::from_bytes(file.finish(), "s.h5"),
                                    network.view())
              ->choice() == additive->choice());
    // What one gene decides alone is no sum over layers of what their channels cost.
    for (std::size_t i = 0; i < profile.candidates(); ++i)
        for (std::size_t k = 0; k < 2; ++k)
            profile.latency_ms[k * profile.candidates() + i] =
                profile.genomes[i][3] < profile.genomes[0][3] / 2 ? 9.0 : 1.0;
    CHECK(surrogate::fit_surrogate(profile, {}, network.view(), 2)->kind() == "gbrt");
    const auto few =
        surrogate::fit_surrogate(test::profile_of_network(network, 20, 1), {}, network.view(), 1);
    CHECK(few->kind() == "layer_additive");
    CHECK_THAT(few->choice(), Contains("fewer than 50 candidates"));
}
