#include "hdap/network/importance.hpp"

#include "filter_distances.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"
#include "tensor_check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

namespace hdap::network {
namespace {

using Scores = std::vector<std::vector<double>>; // [group][channel]

constexpr std::array<std::pair<const char*, Criterion>, 6> names{
    {{"l1", Criterion::l1},
     {"l2", Criterion::l2},
     {"batch_norm_scale", Criterion::batch_norm_scale},
     {"taylor", Criterion::taylor},
     {"geometric_median", Criterion::geometric_median},
     {"random", Criterion::random}}};

/// The weights that produce one channel of a layer.
struct Filter {
    const float* values;
    std::size_t size;
};

Filter filter_of(const Tensor& weight, std::size_t channel) {
    const std::size_t size = weight.values.size() / static_cast<std::size_t>(weight.shape[0]);
    return {weight.values.data() + channel * size, size};
}

void check_finite(const std::string& tensor, std::size_t channel, double value) {
    if (!std::isfinite(value))
        throw core::DataError(fmt::format(
            "tensor '{}' has a value that is not finite in channel {}; was its training stable?",
            tensor, channel));
}

template <class Term>
double sum_over(const Filter& filter, const Term& term) {
    double sum = 0.0;
    for (std::size_t i = 0; i < filter.size; ++i)
        sum += term(static_cast<double>(filter.values[i]), i);
    return sum;
}

/// Adds `score(node, channel)` of every member layer to the channel's group.
template <class Score>
Scores sum_over_members(const Network& network, const SearchSpace& space, Operator only,
                        const Score& score) {
    Scores result;
    for (const PruningGroup& group : space.groups())
        result.emplace_back(static_cast<std::size_t>(group.channels), 0.0);
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
        const Node& node = network.nodes[i];
        const bool counts =
            only == Operator::batch_norm ? node.op == Operator::batch_norm : has_weights(node.op);
        if (!counts) continue;
        const std::vector<GroupChannel>& channels = space.structure().channel_of[i];
        for (std::size_t c = 0; c < channels.size(); ++c)
            if (channels[c].group >= 0)
                result[static_cast<std::size_t>(channels[c].group)]
                      [static_cast<std::size_t>(channels[c].channel)] += score(node, c);
    }
    return result;
}

Scores weight_scores(const Network& network, const Weights& weights, const SearchSpace& space,
                     const ImportanceParameters& parameters) {
    const auto score = [&](const Node& node, std::size_t channel) {
        const std::string name = node.name + ".weight";
        const Tensor& weight = weights.at(name);
        const Filter filter = filter_of(weight, channel);
        const double squares = sum_over(filter, [](double w, std::size_t) { return w * w; });
        check_finite(name, channel, squares);
        switch (parameters.criterion) {
        case Criterion::l1:
            return sum_over(filter, [](double w, std::size_t) { return std::abs(w); });
        case Criterion::taylor: {
            const float* const gradient = filter_of(parameters.gradients->at(name), channel).values;
            const double sum = sum_over(filter, [gradient](double w, std::size_t i) {
                return w * static_cast<double>(gradient[i]);
            });
            check_finite("gradient of " + name, channel, sum);
            return sum;
        }
        default:
            return squares;
        }
    };
    Scores result = sum_over_members(network, space, Operator::conv2d, score);
    for (std::vector<double>& group : result)
        for (double& value : group) {
            if (parameters.criterion == Criterion::l2) value = std::sqrt(value);
            if (parameters.criterion == Criterion::taylor) value = std::abs(value);
        }
    return result;
}

/// Whether any output channel of node `index` can be pruned.
bool is_member(const SearchSpace& space, std::size_t index) {
    const std::vector<GroupChannel>& channels = space.structure().channel_of[index];
    return std::any_of(channels.begin(), channels.end(),
                       [](const GroupChannel& channel) { return channel.group >= 0; });
}

/// The weights of the layers whose channels can be pruned, by the layers' names.
std::map<std::string, const Tensor*> member_weights(const Network& network, const Weights& weights,
                                                    const SearchSpace& space) {
    std::map<std::string, const Tensor*> result;
    for (std::size_t i = 0; i < network.nodes.size(); ++i)
        if (has_weights(network.nodes[i].op) && is_member(space, i))
            result[network.nodes[i].name] = &weights.at(network.nodes[i].name + ".weight");
    return result;
}

Scores distance_scores(const Network& network, const Weights& weights, const SearchSpace& space,
                       const ImportanceParameters& parameters) {
    const auto layers = member_weights(network, weights, space);
    std::int64_t total = 0;
    for (const auto& [name, weight] : layers) {
        check_values(name + ".weight", weight->shape[0], weight->values);
        total += distance_products(*weight);
    }
    std::int64_t done = 0;
    const auto on_progress = [&](std::int64_t more) {
        done += more;
        if (parameters.on_progress) parameters.on_progress(done, total);
    };
    std::map<std::string, std::vector<double>> distances;
    for (const auto& [name, weight] : layers)
        distances[name] = distances_to_others(*weight, parameters.threads, on_progress);
    return sum_over_members(
        network, space, Operator::conv2d,
        [&](const Node& node, std::size_t channel) { return distances.at(node.name)[channel]; });
}

Scores batch_norm_scales(const Network& network, const Weights& weights, const SearchSpace& space) {
    return sum_over_members(
        network, space, Operator::batch_norm, [&](const Node& node, std::size_t channel) {
            const std::string name = node.name + ".weight";
            const double scale = std::abs(static_cast<double>(weights.at(name).values[channel]));
            check_finite(name, channel, scale);
            return scale;
        });
}

bool all_zero(const std::vector<double>& scores) {
    return std::all_of(scores.begin(), scores.end(), [](double s) { return s == 0.0; });
}

Scores batch_norm_scores(const Network& network, const Weights& weights, const SearchSpace& space) {
    Scores result = batch_norm_scales(network, weights, space);
    const Scores fallback = weight_scores(network, weights, space, {});
    for (std::size_t g = 0; g < result.size(); ++g)
        if (all_zero(result[g])) result[g] = fallback[g];
    return result;
}

Scores random_scores(const SearchSpace& space, std::uint64_t seed) {
    Scores result;
    for (std::size_t g = 0; g < space.groups().size(); ++g) {
        core::RandomStream random(seed, core::StreamId::random_importance,
                                  static_cast<std::uint32_t>(g));
        std::vector<double>& group = result.emplace_back();
        for (std::int64_t c = 0; c < space.groups()[g].channels; ++c)
            group.push_back(random.uniform());
    }
    return result;
}

void normalise(std::vector<double>& group) {
    const double mean = core::mean(group);
    for (double& value : group)
        value = mean > 0.0 ? value / mean : 1.0;
}

void check_gradients(const Network& network, const ImportanceParameters& parameters) {
    if (parameters.criterion != Criterion::taylor) return;
    if (parameters.gradients == nullptr)
        throw core::ConfigError("the criterion taylor needs the gradients of the weights, "
                                "and with them labelled images");
    for (const auto& [name, shape] : expected_shapes(network)) {
        if (shape.size() < 2) continue;
        const auto found = parameters.gradients->find(name);
        if (found == parameters.gradients->end() || found->second.shape != shape)
            throw core::DataError(
                fmt::format("the gradients lack a tensor '{}' of its weight's shape", name));
    }
}

} // namespace

std::vector<std::string> criterion_names() {
    std::vector<std::string> result;
    for (const auto& [name, criterion] : names)
        result.emplace_back(name);
    return result;
}

Criterion criterion_from_name(const std::string& name) {
    for (const auto& [known, criterion] : names)
        if (name == known) return criterion;
    const std::vector<std::string> known = criterion_names();
    throw core::ConfigError(fmt::format("unknown criterion '{}'{}; known: {}", name,
                                        core::did_you_mean(name, known), core::join(known)));
}

std::function<void(std::int64_t, std::int64_t)> importance_progress(core::Progress& progress) {
    return [&progress](std::int64_t done, std::int64_t total) {
        constexpr std::int64_t million = 1'000'000;
        constexpr std::int64_t worth_a_line = 20'000 * million; // about a second
        if (total < worth_a_line) return;
        progress.show({.stage = "importance of channels",
                       .position = "",
                       .done = done / million,
                       .total = total / million,
                       .unit = "M products",
                       .detail = ""});
    };
}

std::vector<std::vector<double>> channel_importance(const Network& network, const Weights& weights,
                                                    const SearchSpace& space,
                                                    const ImportanceParameters& parameters) {
    check_weights(network, weights);
    check_structure(network, infer_shapes(network), space.structure());
    check_gradients(network, parameters);
    Scores scores;
    if (parameters.criterion == Criterion::random)
        scores = random_scores(space, parameters.seed);
    else if (parameters.criterion == Criterion::batch_norm_scale)
        scores = batch_norm_scores(network, weights, space);
    else if (parameters.criterion == Criterion::geometric_median)
        scores = distance_scores(network, weights, space, parameters);
    else
        scores = weight_scores(network, weights, space, parameters);
    for (std::vector<double>& group : scores)
        normalise(group);
    return scores;
}

std::size_t groups_without_scale(const Network& network, const Weights& weights,
                                 const SearchSpace& space) {
    const Scores scales = batch_norm_scales(network, weights, space);
    return static_cast<std::size_t>(std::count_if(scales.begin(), scales.end(), all_zero));
}

std::vector<std::vector<std::int32_t>> rank_channels(const Network& network, const Weights& weights,
                                                     const SearchSpace& space,
                                                     const ImportanceParameters& parameters) {
    std::vector<std::vector<std::int32_t>> ranked;
    for (const std::vector<double>& importance :
         channel_importance(network, weights, space, parameters)) {
        std::vector<std::int32_t> order(importance.size());
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
            return importance[static_cast<std::size_t>(a)] >
                   importance[static_cast<std::size_t>(b)];
        });
        ranked.push_back(std::move(order));
    }
    return ranked;
}

core::Setting criterion_setting(Criterion& criterion) {
    return core::choice("criterion", criterion, {names.begin(), names.end()},
                        "What makes a channel important: the others go first",
                        core::Outputs::search | core::Outputs::accuracies);
}

} // namespace hdap::network
