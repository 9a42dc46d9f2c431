#include "hdap/accuracy/candidate_evaluator.hpp"

#include "hdap/core/error.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::accuracy;
using Catch::Matchers::Contains;

TEST_CASE("an evaluator that is not there is refused, and the nearest is named", "[evaluator]") {
    const network::Prunable prunable =
        network::make_prunable(network::make_network({.name = "resnet20"}), {});
    CHECK_THROWS_AS(make_candidate_evaluator("", {.network = prunable}), core::ConfigError);
    CHECK_THROWS_WITH(make_candidate_evaluator("engin", {.network = prunable}),
                      Contains("unknown accuracy evaluator 'engin'") &&
                          Contains("did you mean 'engine'?") && Contains("engine, command, none"));
}

TEST_CASE("where nobody asks for an accuracy, neither weights nor images are needed",
          "[evaluator]") {
    const network::Prunable prunable =
        network::make_prunable(network::make_network({.name = "resnet20"}), {});
    CHECK(make_candidate_evaluator("none", {.network = prunable}) == nullptr);
    CHECK(candidate_evaluator_names() == std::vector<std::string>{"engine", "command", "none"});
}
