#include "hdap/network/pruning_groups.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace hdap::network {
namespace {

/// Disjoint sets of nodes; the representative of a set is its first node.
class DisjointSets {
  public:
    explicit DisjointSets(std::size_t count) : parent_(count) {
        std::iota(parent_.begin(), parent_.end(), std::size_t{0});
    }

    std::size_t find(std::size_t node) {
        while (parent_[node] != node) {
            parent_[node] = parent_[parent_[node]];
            node = parent_[node];
        }
        return node;
    }

    void unite(std::size_t a, std::size_t b) {
        a = find(a);
        b = find(b);
        parent_[std::max(a, b)] = std::min(a, b);
    }

  private:
    std::vector<std::size_t> parent_;
};

/// Whether output channel c of `node` exists exactly when channel c of its input does.
bool shares_channels(const Node& node, std::int64_t input_channels) {
    switch (node.op) {
    case Operator::input:
    case Operator::linear:
        return false;
    case Operator::conv2d:
        return is_depthwise(node, input_channels);
    case Operator::batch_norm:
    case Operator::relu:
    case Operator::relu6:
    case Operator::add:
    case Operator::global_average_pool:
        return true;
    }
    return false;
}

std::int64_t least_kept(std::int64_t channels, const SearchSpaceParameters& parameters) {
    // 0.1 · 30 is a little more than 3 in floating point, yet 3 channels are meant.
    const double share = parameters.min_keep * static_cast<double>(channels) - 1e-9;
    const std::int64_t least =
        std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(share)));
    const std::int64_t divisor = parameters.divisor;
    return std::min(channels, (least + divisor - 1) / divisor * divisor);
}

void check_length(const Genome& genome, std::size_t groups) {
    if (genome.size() != groups)
        throw core::DataError("the genome has " + std::to_string(genome.size()) +
                              " counts, the search space has " + std::to_string(groups) +
                              " pruning groups");
}

} // namespace

std::vector<PruningGroup> find_pruning_groups(const Network& network) {
    const std::vector<TensorShape> shapes = infer_shapes(network);
    const std::size_t count = network.nodes.size();
    DisjointSets sets(count);
    std::vector<std::size_t> unprunable{0, count - 1};
    for (std::size_t i = 1; i < count; ++i) {
        const Node& node = network.nodes[i];
        if (shares_channels(node, shapes[node.inputs[0]].channels)) {
            for (const std::size_t input : node.inputs)
                sets.unite(input, i);
        } else if (node.op == Operator::conv2d && node.groups > 1) {
            unprunable.insert(unprunable.end(), {node.inputs[0], i});
        }
    }
    std::vector<bool> blocked(count, false);
    for (const std::size_t node : unprunable)
        blocked[sets.find(node)] = true;
    std::map<std::size_t, PruningGroup> by_first_node;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t first = sets.find(i);
        if (!blocked[first]) by_first_node[first].members.push_back(i);
    }
    std::vector<PruningGroup> groups;
    for (auto& [first, group] : by_first_node) {
        group.name = network.nodes[first].name;
        group.channels = shapes[first].channels;
        groups.push_back(std::move(group));
    }
    return groups;
}

std::vector<int> group_of_nodes(const Network& network, const std::vector<PruningGroup>& groups) {
    const std::vector<TensorShape> shapes = infer_shapes(network);
    std::vector<int> result(network.nodes.size(), -1);
    for (std::size_t g = 0; g < groups.size(); ++g)
        for (const std::size_t node : groups[g].members) {
            if (node >= result.size() || shapes[node].channels != groups[g].channels)
                throw core::DataError("pruning group '" + groups[g].name +
                                      "' does not belong to network '" + network.name +
                                      "'; make the search space from the same network");
            result[node] = static_cast<int>(g);
        }
    return result;
}

SearchSpace::SearchSpace(const Network& network, const SearchSpaceParameters& parameters)
    : groups_(find_pruning_groups(network)), divisor_(parameters.divisor) {
    if (!(parameters.min_keep > 0.0 && parameters.min_keep <= 1.0))
        throw core::ConfigError("min_keep is " + core::shortest(parameters.min_keep) +
                                ", must be in (0, 1]");
    if (divisor_ < 1 || divisor_ > 1024)
        throw core::ConfigError("divisor is " + std::to_string(divisor_) +
                                ", must be in [1, 1024]");
    if (groups_.empty())
        throw core::ConfigError("network '" + network.name +
                                "' has no channels that can be pruned: all belong to its input, "
                                "its output or a grouped convolution");
    for (const PruningGroup& group : groups_)
        minimum_.push_back(static_cast<std::int32_t>(least_kept(group.channels, parameters)));
}

Genome SearchSpace::unpruned() const {
    Genome genome;
    for (const PruningGroup& group : groups_)
        genome.push_back(static_cast<std::int32_t>(group.channels));
    return genome;
}

Genome SearchSpace::smallest() const {
    return minimum_;
}

Genome SearchSpace::uniform(double keep_ratio) const {
    Genome genome;
    for (std::size_t g = 0; g < groups_.size(); ++g)
        genome.push_back(nearest_allowed(g, keep_ratio * static_cast<double>(groups_[g].channels)));
    return genome;
}

std::vector<std::int32_t> SearchSpace::allowed_counts(std::size_t g) const {
    std::vector<std::int32_t> counts;
    for (std::int64_t count = minimum_[g]; count < groups_[g].channels; count += divisor_)
        counts.push_back(static_cast<std::int32_t>(count));
    counts.push_back(static_cast<std::int32_t>(groups_[g].channels));
    return counts;
}

std::int32_t SearchSpace::nearest_allowed(std::size_t g, double channels) const {
    const std::int64_t most = groups_[g].channels;
    const std::int64_t least = minimum_[g];
    // Written so that NaN, too, becomes the minimum.
    if (!(channels > static_cast<double>(least))) return minimum_[g];
    if (channels >= static_cast<double>(most)) return static_cast<std::int32_t>(most);
    const std::int64_t below = static_cast<std::int64_t>(channels) / divisor_ * divisor_;
    const std::int64_t above = std::min(below + divisor_, most);
    const bool upper =
        static_cast<double>(above) - channels <= channels - static_cast<double>(below);
    return static_cast<std::int32_t>(upper ? above : below);
}

std::vector<double> SearchSpace::keep_ratios(const Genome& genome) const {
    check_length(genome, groups_.size());
    std::vector<double> ratios;
    ratios.reserve(genome.size());
    for (std::size_t g = 0; g < genome.size(); ++g)
        ratios.push_back(static_cast<double>(genome[g]) / static_cast<double>(groups_[g].channels));
    return ratios;
}

void SearchSpace::validate(const Genome& genome) const {
    check_length(genome, groups_.size());
    for (std::size_t g = 0; g < genome.size(); ++g) {
        const std::int64_t count = genome[g];
        const std::int64_t most = groups_[g].channels;
        if (count == most) continue;
        if (count >= minimum_[g] && count < most && count % divisor_ == 0) continue;
        throw core::DataError("the genome keeps " + std::to_string(count) + " channels of group " +
                              std::to_string(g) + " ('" + groups_[g].name +
                              "'); allowed are the multiples of " + std::to_string(divisor_) +
                              " from " + std::to_string(minimum_[g]) + " on, and all " +
                              std::to_string(most));
    }
}

} // namespace hdap::network
