#include "surrogate/gbrt_fit.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace hdap::surrogate {
namespace {

void check_finite(std::span<const float> values, const char* name) {
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!std::isfinite(values[i]))
            throw core::DataError(fmt::format("{}[{}] is {}, expected a finite number", name, i,
                                              core::shortest(values[i])));
    }
}

void check_data(std::span<const float> features, std::size_t rows, std::size_t columns,
                std::span<const float> targets) {
    if (rows == 0 || columns == 0)
        throw core::DataError(
            fmt::format("a forest needs at least 1 row and 1 column, not {} x {}", rows, columns));
    if (features.size() / columns != rows || features.size() % columns != 0)
        throw core::DataError(fmt::format("features has {} values, expected {} x {}",
                                          features.size(), rows, columns));
    if (targets.size() != rows)
        throw core::DataError(
            fmt::format("targets has {} values, expected one per row, {}", targets.size(), rows));
    check_finite(features, "features");
    check_finite(targets, "targets");
}

/// The shortest text that XGBoost reads back as the same float.
std::string float_text(float value) {
    std::array<char, 32> text{};
    const auto result = std::to_chars(text.data(), text.data() + text.size(), value);
    return {text.data(), result.ptr};
}

/// The arrays of one tree in XGBoost's JSON.
struct JsonTree {
    std::vector<std::int32_t> left;
    std::vector<std::int32_t> right;
    std::vector<std::int32_t> feature;
    std::vector<float> condition; ///< an inner node's threshold or a leaf's value
};

/// Appends the nodes in depth-first order, so that children follow their parents and nodes that
/// XGBoost has pruned away vanish.
void append_tree(const JsonTree& tree, Forest& forest) {
    struct Entry {
        std::size_t node;                  ///< in XGBoost's numbering
        std::vector<std::int32_t>* number; ///< where to leave its new number: left or right
        std::size_t parent;                ///< of which node
    };
    const std::size_t nodes = tree.left.size();
    const auto first = static_cast<std::size_t>(forest.tree_begin.back());
    std::vector<Entry> stack{{0, nullptr, 0}};
    while (!stack.empty()) {
        const Entry entry = stack.back();
        stack.pop_back();
        const std::size_t number = forest.nodes();
        if (entry.node >= nodes || number - first >= nodes)
            throw core::InternalError("XGBoost's JSON holds a tree whose nodes do not fit");
        if (entry.number != nullptr)
            (*entry.number)[entry.parent] = static_cast<std::int32_t>(number - first);
        const bool leaf = tree.left[entry.node] == -1;
        const float condition = tree.condition.at(entry.node);
        forest.feature.push_back(leaf ? -1 : tree.feature.at(entry.node));
        forest.threshold.push_back(leaf ? 0.0F : condition);
        forest.value.push_back(leaf ? condition : 0.0F);
        forest.left.push_back(0);
        forest.right.push_back(0);
        if (leaf) continue;
        const auto right = static_cast<std::size_t>(tree.right.at(entry.node));
        const auto left = static_cast<std::size_t>(tree.left[entry.node]);
        stack.push_back({right, &forest.right, number});
        stack.push_back({left, &forest.left, number});
    }
    forest.tree_begin.push_back(static_cast<std::int64_t>(forest.nodes()));
}

} // namespace

float gbrt_base_score(std::span<const float> targets) {
    double sum = 0;
    for (const float target : targets)
        sum += static_cast<double>(target);
    return static_cast<float>(sum / static_cast<double>(targets.size()));
}

XgboostBooster train_gbrt(std::span<const float> features, std::size_t rows, std::size_t columns,
                          std::span<const float> targets, const GbrtParameters& parameters) {
    check_parameters(parameters);
    check_data(features, rows, columns, targets);
    XgboostMatrix training(features, rows, columns);
    training.set_labels(targets);
    XgboostBooster booster(training);
    const std::array<std::pair<const char*, std::string>, 9> settings{{
        {"verbosity", "0"},
        {"nthread", "1"},
        {"objective", "reg:squarederror"},
        {"tree_method", "exact"},
        {"base_score", float_text(gbrt_base_score(targets))},
        {"max_depth", std::to_string(parameters.depth)},
        {"eta", core::shortest(parameters.learning_rate)},
        {"lambda", core::shortest(parameters.l2)},
        {"seed", "0"},
    }};
    for (const auto& [name, value] : settings)
        booster.set(name, value);
    for (int round = 0; round < static_cast<int>(parameters.trees); ++round)
        booster.boost(round, training);
    return booster;
}

Forest forest_of(const XgboostBooster& booster, std::size_t columns, float base_score) {
    Forest forest;
    forest.columns = columns;
    forest.base_score = base_score;
    forest.tree_begin = {0};
    try {
        const nlohmann::json model = nlohmann::json::parse(booster.json());
        for (const auto& tree : model.at("learner").at("gradient_booster").at("model").at("trees"))
            append_tree({.left = tree.at("left_children").get<std::vector<std::int32_t>>(),
                         .right = tree.at("right_children").get<std::vector<std::int32_t>>(),
                         .feature = tree.at("split_indices").get<std::vector<std::int32_t>>(),
                         .condition = tree.at("split_conditions").get<std::vector<float>>()},
                        forest);
    } catch (const std::exception& error) { // of the parser, or an array that is too short
        throw core::InternalError(fmt::format("XGBoost {} writes models of an unknown form: {}",
                                              xgboost_version(), error.what()));
    }
    check_forest(forest, "a forest of XGBoost");
    return forest;
}

Forest fit_gbrt(std::span<const float> features, std::size_t rows, std::size_t columns,
                std::span<const float> targets, const GbrtParameters& parameters) {
    const XgboostBooster booster = train_gbrt(features, rows, columns, targets, parameters);
    return forest_of(booster, columns, gbrt_base_score(targets));
}

} // namespace hdap::surrogate
