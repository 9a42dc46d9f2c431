#include "surrogate/forest.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace hdap::surrogate {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& what) {
    throw core::DataError(where + ": " + what);
}

void check_lengths(const Forest& forest, const std::string& where) {
    const std::size_t nodes = forest.nodes();
    const auto check = [&](const char* name, std::size_t length) {
        if (length != nodes)
            fail(where, fmt::format("{} has {} entries, feature has {}", name, length, nodes));
    };
    check("threshold", forest.threshold.size());
    check("left", forest.left.size());
    check("right", forest.right.size());
    check("value", forest.value.size());
}

void check_tree_begin(const Forest& forest, const std::string& where) {
    const std::vector<std::int64_t>& begin = forest.tree_begin;
    if (begin.empty() || begin.front() != 0) fail(where, "tree_begin must start with 0");
    for (std::size_t tree = 0; tree + 1 < begin.size(); ++tree) {
        if (begin[tree + 1] <= begin[tree])
            fail(where, fmt::format("tree_begin[{}] is {}, not above {}", tree + 1, begin[tree + 1],
                                    begin[tree]));
    }
    if (begin.back() != static_cast<std::int64_t>(forest.nodes()))
        fail(where, fmt::format("tree_begin ends with {}, but there are {} nodes", begin.back(),
                                forest.nodes()));
}

/// One node: `number` within its tree of `count` nodes, `node` within the forest.
void check_node(const Forest& forest, std::size_t node, std::int64_t number, std::int64_t count,
                const std::string& where) {
    const auto complain = [&](const char* name, double value, const std::string& expected) {
        fail(where,
             fmt::format("{}[{}] is {}, expected {}", name, node, core::shortest(value), expected));
    };
    if (!std::isfinite(forest.value[node]))
        complain("value", forest.value[node], "a finite number");
    if (!std::isfinite(forest.threshold[node]))
        complain("threshold", forest.threshold[node], "a finite number");
    const std::int32_t feature = forest.feature[node];
    if (feature == -1) return;
    if (feature < 0 || static_cast<std::size_t>(feature) >= forest.columns)
        complain("feature", feature,
                 fmt::format("-1 (a leaf) or a feature below {}", forest.columns));
    const std::string expected =
        fmt::format("a node after its parent, number {}, in a tree of {} nodes", number, count);
    if (forest.left[node] <= number || forest.left[node] >= count)
        complain("left", forest.left[node], expected);
    if (forest.right[node] <= number || forest.right[node] >= count)
        complain("right", forest.right[node], expected);
}

/// Every node but the root has exactly one parent; so the descents from the root form a tree.
void check_parents(const Forest& forest, std::size_t first, std::size_t last,
                   const std::string& where) {
    std::vector<std::uint8_t> parents(last - first, 0);
    parents[0] = 1;
    const auto visit = [&](std::int32_t child) {
        std::uint8_t& count = parents[static_cast<std::size_t>(child)];
        if (count != 0)
            fail(where,
                 fmt::format("node {} has two parents", first + static_cast<std::size_t>(child)));
        count = 1;
    };
    for (std::size_t node = first; node < last; ++node) {
        if (forest.feature[node] < 0) continue;
        visit(forest.left[node]);
        visit(forest.right[node]);
    }
    const auto orphan = std::find(parents.begin(), parents.end(), std::uint8_t{0});
    if (orphan != parents.end())
        fail(where, fmt::format("node {} cannot be reached from its tree's root",
                                first + static_cast<std::size_t>(orphan - parents.begin())));
}

} // namespace

void check_forest(const Forest& forest, const std::string& where) {
    check_lengths(forest, where);
    check_tree_begin(forest, where);
    if (!std::isfinite(forest.base_score))
        fail(where, fmt::format("base_score is {}, expected a finite number",
                                core::shortest(forest.base_score)));
    for (std::size_t tree = 0; tree < forest.trees(); ++tree) {
        const auto first = static_cast<std::size_t>(forest.tree_begin[tree]);
        const auto last = static_cast<std::size_t>(forest.tree_begin[tree + 1]);
        for (std::size_t node = first; node < last; ++node)
            check_node(forest, node, static_cast<std::int64_t>(node - first),
                       static_cast<std::int64_t>(last - first), where);
        check_parents(forest, first, last, where);
    }
}

int forest_depth(const Forest& forest) {
    std::vector<int> depth(forest.nodes(), 0);
    int deepest = 0;
    for (std::size_t tree = 0; tree < forest.trees(); ++tree) {
        const auto first = static_cast<std::size_t>(forest.tree_begin[tree]);
        const auto last = static_cast<std::size_t>(forest.tree_begin[tree + 1]);
        for (std::size_t node = first; node < last; ++node) {
            if (forest.feature[node] < 0) continue;
            const int below = depth[node] + 1;
            depth[first + static_cast<std::size_t>(forest.left[node])] = below;
            depth[first + static_cast<std::size_t>(forest.right[node])] = below;
            deepest = std::max(deepest, below);
        }
    }
    return deepest;
}

float predict_reference(const Forest& forest, std::span<const float> features) {
    if (features.size() != forest.columns)
        throw core::DataError(fmt::format("a row has {} features, the forest was fitted to {}",
                                          features.size(), forest.columns));
    float sum = forest.base_score;
    for (std::size_t tree = 0; tree < forest.trees(); ++tree) {
        const auto root = static_cast<std::size_t>(forest.tree_begin[tree]);
        std::size_t node = root;
        while (forest.feature[node] >= 0) {
            const float feature = features[static_cast<std::size_t>(forest.feature[node])];
            const std::int32_t child =
                feature < forest.threshold[node] ? forest.left[node] : forest.right[node];
            node = root + static_cast<std::size_t>(child);
        }
        sum += forest.value[node];
    }
    return sum;
}

} // namespace hdap::surrogate
