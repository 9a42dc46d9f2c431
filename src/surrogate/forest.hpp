#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace hdap::surrogate {

/// A gradient-boosted forest of regression trees (Friedman 2001) in flat arrays.
///
/// Single precision, as XGBoost computes. A tree's first node is its root; `left` and `right`
/// count from the tree's first node, and a child always comes after its parent.
struct Forest {
    std::size_t columns = 0;              ///< features that a row must have
    float base_score = 0;                 ///< what the sum of a row's leaves starts from
    std::vector<std::int64_t> tree_begin; ///< [trees + 1]: where a tree's nodes begin
    std::vector<std::int32_t> feature;    ///< [node]: the feature it compares; −1 marks a leaf
    std::vector<float> threshold;         ///< [node]: smaller features go left; 0 in a leaf
    std::vector<std::int32_t> left;       ///< [node]: 0 in a leaf
    std::vector<std::int32_t> right;      ///< [node]: 0 in a leaf
    std::vector<float> value;             ///< [node]: what a leaf adds; 0 in an inner node

    [[nodiscard]] std::size_t trees() const noexcept {
        return tree_begin.empty() ? 0 : tree_begin.size() - 1;
    }
    [[nodiscard]] std::size_t nodes() const noexcept { return feature.size(); }

    bool operator==(const Forest&) const = default;
};

/// Checks everything that predict_reference and ForestKernel rely on: equal lengths, finite
/// numbers, features below `columns`, and that each tree is one tree whose children follow their
/// parents (so a descent ends). `where` stands in front of the message.
/// Throws DataError that names the array, the node and the value. Complexity: O(nodes).
void check_forest(const Forest& forest, const std::string& where);

/// The number of comparisons on the longest path of any tree. `forest` must pass check_forest.
/// Complexity: O(nodes).
int forest_depth(const Forest& forest);

/// The prediction for one row: the base score, then one leaf per tree added in the trees' order,
/// all in float. Equal to XGBoost's prediction bit for bit. `forest` must pass check_forest.
///
/// A feature that is NaN is not smaller than any threshold (XGBoost takes NaN for a missing value
/// and goes the way it learnt for these; surrogates are fitted without missing values).
/// Throws DataError unless `features` has `columns` entries. Complexity: O(trees × depth).
float predict_reference(const Forest& forest, std::span<const float> features);

} // namespace hdap::surrogate
