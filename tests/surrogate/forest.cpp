#include "surrogate/forest.hpp"

#include "hdap/core/error.hpp"
#include "surrogate/random_forest.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <limits>

using namespace hdap;
using surrogate::Forest;

namespace {

/// x0 < 0.5 ? (x1 < 0.25 ? 1 : 2) : 4, then a tree that always adds 8.
Forest two_trees() {
    return {.columns = 2,
            .base_score = 0.5F,
            .tree_begin = {0, 5, 6},
            .feature = {0, 1, -1, -1, -1, -1},
            .threshold = {0.5F, 0.25F, 0, 0, 0, 0},
            .left = {1, 2, 0, 0, 0, 0},
            .right = {4, 3, 0, 0, 0, 0},
            .value = {0, 0, 1, 2, 4, 8}};
}

/// The message with which check_forest refuses two_trees() after `damage`.
template <class Damage>
std::string refusal(Damage damage) {
    Forest forest = two_trees();
    damage(forest);
    try {
        surrogate::check_forest(forest, "x.h5");
    } catch (const core::DataError& error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST_CASE("check_forest refuses arrays that do not fit and names them", "[forest]") {
    using Catch::Matchers::Contains;
    CHECK_THAT(refusal([](Forest& f) { f.threshold.pop_back(); }), Contains("x.h5: threshold"));
    CHECK_THAT(refusal([](Forest& f) { f.left.push_back(0); }), Contains("left has 7"));
    CHECK_THAT(refusal([](Forest& f) { f.right.clear(); }), Contains("right has 0"));
    CHECK_THAT(refusal([](Forest& f) { f.value.pop_back(); }), Contains("value has 5"));
    CHECK_THAT(refusal([](Forest& f) { f.tree_begin.clear(); }), Contains("start with 0"));
    CHECK_THAT(refusal([](Forest& f) { f.tree_begin = {1, 6}; }), Contains("start with 0"));
    CHECK_THAT(refusal([](Forest& f) { f.tree_begin = {0, 5, 5, 6}; }), Contains("not above 5"));
    CHECK_THAT(refusal([](Forest& f) { f.tree_begin = {0, 7}; }), Contains("ends with 7"));
    CHECK_THAT(refusal([](Forest& f) { f.tree_begin = {0, -5, 6}; }), Contains("not above 0"));
}

TEST_CASE("check_forest refuses nodes from which a descent could leave its tree or loop",
          "[forest]") {
    using Catch::Matchers::Contains;
    CHECK_THAT(refusal([](Forest& f) { f.feature[1] = 2; }), Contains("feature[1] is 2"));
    CHECK_THAT(refusal([](Forest& f) { f.feature[0] = -2; }), Contains("feature[0] is -2"));
    CHECK_THAT(refusal([](Forest& f) { f.left[0] = 0; }), Contains("left[0] is 0"));
    CHECK_THAT(refusal([](Forest& f) { f.right[1] = 1; }), Contains("right[1] is 1"));
    CHECK_THAT(refusal([](Forest& f) { f.right[1] = 5; }), Contains("right[1] is 5"));
    CHECK_THAT(refusal([](Forest& f) { f.left[1] = -7; }), Contains("left[1] is -7"));
    CHECK_THAT(refusal([](Forest& f) { f.right[1] = 2; }), Contains("node 2 has two parents"));
    CHECK_THAT(refusal([](Forest& f) { f.feature[1] = -1; }), Contains("cannot be reached"));
}

TEST_CASE("check_forest refuses numbers that are not finite", "[forest]") {
    using Catch::Matchers::Contains;
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    constexpr float infinity = std::numeric_limits<float>::infinity();
    CHECK_THAT(refusal([](Forest& f) { f.base_score = nan; }), Contains("base_score is nan"));
    CHECK_THAT(refusal([](Forest& f) { f.threshold[1] = nan; }), Contains("threshold[1] is nan"));
    CHECK_THAT(refusal([](Forest& f) { f.value[4] = infinity; }), Contains("value[4] is inf"));
}

TEST_CASE("predict_reference refuses a row of another length", "[forest]") {
    CHECK_THROWS_AS(surrogate::predict_reference(two_trees(), std::array{1.0F}), core::DataError);
}

TEST_CASE("predict_reference adds the base score and one leaf per tree", "[forest]") {
    const Forest forest = two_trees();
    REQUIRE_NOTHROW(surrogate::check_forest(forest, "two trees"));
    const auto predict = [&](float x0, float x1) {
        return surrogate::predict_reference(forest, std::array{x0, x1});
    };
    CHECK(predict(0.4F, 0.2F) == 9.5F);
    CHECK(predict(0.4F, 0.25F) == 10.5F); // equal to the threshold is not smaller
    CHECK(predict(0.5F, 0.2F) == 12.5F);
    CHECK(predict(std::numeric_limits<float>::quiet_NaN(), 0.2F) == 12.5F);
}

TEST_CASE("forest_depth is the longest path of any tree", "[forest]") {
    CHECK(surrogate::forest_depth(two_trees()) == 2);
    Forest leaf = two_trees();
    leaf.tree_begin = {0, 1};
    leaf.feature = {-1};
    leaf.threshold = {0};
    leaf.left = {0};
    leaf.right = {0};
    leaf.value = {3};
    CHECK(surrogate::forest_depth(leaf) == 0);
    CHECK(surrogate::forest_depth(test::random_forest(1, 20, 9, 4)) <= 9);
    CHECK(surrogate::forest_depth(test::random_forest(1, 20, 9, 4)) >= 6);
}
