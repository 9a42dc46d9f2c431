#pragma once

#include "hdap/core/random.hpp"
#include "surrogate/forest.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hdap::test {

/// Appends a random subtree and returns its root's number within its tree.
inline std::int32_t append_random_tree(surrogate::Forest& forest, core::RandomStream& random,
                                       int depth, std::uint64_t levels) {
    const auto first = static_cast<std::size_t>(forest.tree_begin.back());
    const std::size_t node = forest.nodes();
    // Some branches end early, as fitted ones do.
    const bool leaf = depth == 0 || random.uniform() < 0.1;
    const float threshold =
        (static_cast<float>(random.below(levels)) + 0.5F) / static_cast<float>(levels);
    forest.feature.push_back(leaf ? -1 : static_cast<std::int32_t>(random.below(forest.columns)));
    forest.threshold.push_back(leaf ? 0.0F : threshold);
    forest.value.push_back(leaf ? static_cast<float>(random.normal()) : 0.0F);
    forest.left.push_back(0);
    forest.right.push_back(0);
    if (!leaf) {
        const std::int32_t left = append_random_tree(forest, random, depth - 1, levels);
        const std::int32_t right = append_random_tree(forest, random, depth - 1, levels);
        forest.left[node] = left;
        forest.right[node] = right;
    }
    return static_cast<std::int32_t>(node - first);
}

/// A valid forest whose thresholds lie in the middle between features i / levels.
inline surrogate::Forest random_forest(std::uint32_t draw, std::size_t trees, int depth,
                                       std::size_t columns, std::uint64_t levels = 16) {
    core::RandomStream random(11, core::StreamId::testing, draw);
    surrogate::Forest forest{.columns = columns,
                             .base_score = static_cast<float>(random.uniform()),
                             .tree_begin = {0},
                             .feature = {},
                             .threshold = {},
                             .left = {},
                             .right = {},
                             .value = {}};
    for (std::size_t tree = 0; tree < trees; ++tree) {
        append_random_tree(forest, random, depth, levels);
        forest.tree_begin.push_back(static_cast<std::int64_t>(forest.nodes()));
    }
    return forest;
}

/// [rows][columns] features i / levels, 1 ≤ i ≤ levels.
inline std::vector<float> random_features(std::uint32_t draw, std::size_t rows, std::size_t columns,
                                          std::uint64_t levels = 16) {
    core::RandomStream random(12, core::StreamId::testing, draw);
    std::vector<float> features(rows * columns);
    for (float& feature : features)
        feature = static_cast<float>(1 + random.below(levels)) / static_cast<float>(levels);
    return features;
}

} // namespace hdap::test
