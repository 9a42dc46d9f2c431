#include "accuracy/training/learning_rate.hpp"

#include <catch2/catch.hpp>

using hdap::accuracy::LearningRate;
using hdap::accuracy::TrainingParameters;

namespace {

LearningRate rate(const std::string& schedule, double warmup = 0.0) {
    TrainingParameters parameters;
    parameters.epochs = 10.0;
    parameters.learning_rate = 2.0;
    parameters.schedule = schedule;
    parameters.warmup = warmup;
    return {parameters, 10};
}

} // namespace

TEST_CASE("the schedules fall from the peak as their names say") {
    CHECK(rate("cosine").steps() == 100);
    for (const char* name : {"cosine", "linear", "step", "constant"})
        CHECK(rate(name).at(0) == 2.0);
    CHECK(rate("cosine").at(25) == Approx(1.0 + std::sqrt(0.5)));
    CHECK(rate("cosine").at(50) == Approx(1.0));
    CHECK(rate("cosine").at(99) == Approx(0.0).margin(1e-3));
    CHECK(rate("linear").at(75) == Approx(0.5));
    CHECK(rate("step").at(49) == 2.0);
    CHECK(rate("step").at(50) == Approx(0.2));
    CHECK(rate("step").at(75) == Approx(0.02));
    CHECK(rate("constant").at(99) == 2.0);
}

TEST_CASE("the rate rises to its peak during the warm-up") {
    const LearningRate warmed = rate("constant", 0.1);
    CHECK(warmed.at(0) == Approx(2.0 / 11.0));
    CHECK(warmed.at(9) == Approx(20.0 / 11.0));
    CHECK(warmed.at(10) == 2.0);
}
