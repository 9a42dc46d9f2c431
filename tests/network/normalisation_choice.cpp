#include "hdap/network/normalisation_choice.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

namespace {

const Normalisation of_file{{0.4, 0.5, 0.6}, {0.1, 0.2, 0.3}};

std::string refusal(const NormalisationChoice& choice, std::int64_t channels = 3) {
    try {
        (void)choose_normalisation(choice, of_file, channels);
    } catch (const core::ConfigError& error) {
        return error.what();
    }
    return "no error";
}

/// What the network gets of a pixel as the settings are documented.
double by_formula(double pixel, double scale, double mean, double deviation) {
    return (pixel * scale / 255.0 - mean) / deviation;
}

/// What it gets as files keep it.
double as_kept(double pixel, const Normalisation& kept, std::size_t channel) {
    return (pixel / 255.0 - kept.mean[channel]) / kept.deviation[channel];
}

} // namespace

TEST_CASE("a choice that fits neither the channels nor the scale is refused with what to set") {
    CHECK_THAT(refusal({.mean = {0.5, 0.5}}),
               Contains("data.mean (--mean) has 2 numbers") && Contains("3 channels"));
    CHECK_THAT(refusal({.deviation = {0.5, 0.5}}), Contains("data.std (--std) has 2 numbers"));
    CHECK_THAT(refusal({.mean = {127.5}}),
               Contains("127.5") && Contains("set data.scale (--scale) to 255"));
    CHECK_THAT(refusal({.deviation = {58.4}}), Contains("set data.scale (--scale) to 255"));
    CHECK_THAT(refusal({.deviation = {1e-4}, .scale = 255.0}), Contains("must be 1e-6 or more"));
    CHECK_THAT(refusal({.order = ChannelOrder::bgr}, 1),
               Contains("data.channels (--channels) is bgr") && Contains("1 channel instead of 3"));
    CHECK_THAT(refusal({.mean = {0.5, 0.5}}, 1), Contains("images with 1 channel; give"));
    CHECK(refusal({.mean = {127.5}, .deviation = {127.5}, .scale = 255.0}) == "no error");
}

TEST_CASE("the network's file is asked before the images; nothing is made up but what is chosen") {
    const Normalisation own{{0.5, 0.5, 0.5}, {0.2, 0.2, 0.2}};
    const NormalisationChoice mean{.mean = {0.1}};
    CHECK(choose_normalisation({}, of_file, own, 3) == of_file);
    CHECK(choose_normalisation({}, std::nullopt, own, 3) == own);
    CHECK(choose_normalisation({}, std::nullopt, std::nullopt, 3) == std::nullopt);
    CHECK(choose_normalisation(mean, of_file, own, 3)->deviation == of_file.deviation);
    CHECK(choose_normalisation(mean, std::nullopt, own, 3)->deviation == own.deviation);
    CHECK(choose_normalisation(mean, std::nullopt, std::nullopt, 3)->deviation ==
          std::vector<double>(3, 1.0));
}

TEST_CASE("what a choice leaves open is as the files say") {
    CHECK(choose_normalisation({}, of_file, 3) == of_file);
    const Normalisation mean = choose_normalisation({.mean = {0.1, 0.2, 0.3}}, of_file, 3);
    CHECK(mean.mean == std::vector<double>{0.1, 0.2, 0.3});
    CHECK(mean.deviation == of_file.deviation);
    CHECK(choose_normalisation({.deviation = {0.5}}, of_file, 3).deviation ==
          std::vector<double>(3, 0.5));
    const Normalisation turned = choose_normalisation({.order = ChannelOrder::bgr}, of_file, 3);
    CHECK(turned == Normalisation{{0.6, 0.5, 0.4}, {0.3, 0.2, 0.1}, ChannelOrder::bgr});
    CHECK(choose_normalisation({.order = ChannelOrder::rgb}, turned, 3) == of_file);
    CHECK(choose_normalisation({}, turned, 3) == turned);
}

TEST_CASE("the scale gives the network what the formula says") {
    const NormalisationChoice caffe{
        .mean = {104.0, 117.0, 123.0}, .scale = 255.0, .order = ChannelOrder::bgr};
    const Normalisation kept = choose_normalisation(caffe, of_file, 3);
    CHECK(kept.order == ChannelOrder::bgr);
    const Normalisation whole = choose_normalisation({.scale = 255.0}, of_file, 3);
    const Normalisation unit = choose_normalisation({.scale = 1.0}, of_file, 3);
    const Normalisation symmetric =
        choose_normalisation({.mean = {1.0}, .scale = 2.0}, of_file, 3); // [-1, 1]
    for (const double pixel : {0.0, 1.0, 17.0, 128.0, 255.0})
        for (std::size_t c = 0; c < 3; ++c) {
            CHECK(as_kept(pixel, kept, c) ==
                  Approx(by_formula(pixel, 255.0, caffe.mean[c], 1.0)).margin(1e-9));
            CHECK(as_kept(pixel, whole, c) == Approx(pixel).margin(1e-9));
            CHECK(as_kept(pixel, unit, c) == Approx(pixel / 255.0).margin(1e-12));
            CHECK(as_kept(pixel, symmetric, c) == Approx(pixel / 127.5 - 1.0).margin(1e-12));
        }
}

TEST_CASE("a conflict with the file is told, rounding is none") {
    CHECK(conflict(of_file, of_file, "m.onnx").empty());
    Normalisation rounded = of_file;
    rounded.mean[0] = 102.0 / 255.0;
    CHECK(conflict(rounded, of_file, "m.onnx").empty());
    Normalisation other = of_file;
    other.mean[2] = 0.61;
    CHECK_THAT(conflict(other, of_file, "m.onnx"),
               Contains("m.onnx") && Contains("0.6100") && Contains("0.6000"));
    other = of_file;
    other.order = ChannelOrder::bgr;
    CHECK_THAT(conflict(other, of_file, "m.onnx"), Contains("channels bgr"));
}
