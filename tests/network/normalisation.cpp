#include "hdap/network/normalisation.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

TEST_CASE("a normalisation written as text comes back with the same bits") {
    const Normalisation normalisation{{0.1 + 0.2, 1.0 / 3.0, -0.0}, {1e-6, 1e300, 0.25}};
    CHECK(parse_normalisation(normalisation_text(normalisation.mean),
                              normalisation_text(normalisation.deviation), "rgb",
                              "x") == normalisation);
    CHECK(normalisation_entries(normalisation).size() == 2); // as older readers expect it
    Normalisation turned = normalisation;
    turned.order = ChannelOrder::bgr;
    const auto entries = normalisation_entries(turned);
    REQUIRE(entries.size() == 3);
    CHECK(parse_normalisation(entries[0].second, entries[1].second, entries[2].second, "x") ==
          turned);
}

TEST_CASE("an order of channels that is none, or of other than three, is refused") {
    CHECK_THROWS_WITH(parse_normalisation("[0]", "[1]", "grb", "m.onnx"),
                      Contains("m.onnx: normalize_channels is 'grb'"));
    CHECK_THROWS_WITH(parse_normalisation("[0]", "[1]", "bgr", "m.onnx"),
                      Contains("m.onnx") &&
                          Contains("normalize_mean is of 1 channel instead of 3"));
}

TEST_CASE("text that is no normalisation is refused with its source") {
    const std::string deep(100'000, '[');
    for (const auto& [mean, deviation] : {std::pair<std::string, std::string>{"", "[1]"},
                                          {"[]", "[]"},
                                          {"[0]", "[0]"},
                                          {"[0]", "[-1]"},
                                          {"[0, 0]", "[1]"},
                                          {"0", "1"},
                                          {"[0", "[1]"},
                                          {"[\"0\"]", "[1]"},
                                          {"[null]", "[1]"},
                                          {"[1e999]", "[1]"},
                                          {"{\"a\": 0}", "[1]"},
                                          {deep, "[1]"},
                                          {"[0]" + std::string(2'000'000, ' '), "[1]"}}) {
        CAPTURE(mean.substr(0, 20), deviation);
        CHECK_THROWS_WITH(parse_normalisation(mean, deviation, "", "m.onnx"),
                          Contains("m.onnx: normalize_mean and normalize_std"));
    }
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_AS(check_normalisation({{nan}, {1.0}}, "x"), core::DataError);
    CHECK_THROWS_AS(check_normalisation({{0.0}, {nan}}, "x"), core::DataError);
    CHECK_NOTHROW(check_normalisation({{0.0}, {1.0}}, "x"));
}
