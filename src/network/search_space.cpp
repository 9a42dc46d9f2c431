#include "hdap/network/search_space.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <algorithm>
#include <cmath>

namespace hdap::network {
namespace {

std::int64_t least_kept(std::int64_t channels, const SearchSpaceParameters& parameters) {
    // 0.1 · 30 is a little more than 3 in floating point, yet 3 channels are meant.
    const double share = parameters.min_keep * static_cast<double>(channels) - 1e-9;
    const std::int64_t least =
        std::max(parameters.min_channels, static_cast<std::int64_t>(std::ceil(share)));
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

SearchSpace::SearchSpace(const Network& network, const SearchSpaceParameters& parameters)
    : structure_(find_pruning_structure(network, parameters.pinned)), divisor_(parameters.divisor) {
    if (!(parameters.min_keep > 0.0 && parameters.min_keep <= 1.0))
        throw core::ConfigError("min_keep is " + core::shortest(parameters.min_keep) +
                                ", must be in (0, 1]");
    if (divisor_ < 1 || divisor_ > 1024)
        throw core::ConfigError("divisor is " + std::to_string(divisor_) +
                                ", must be in [1, 1024]");
    if (parameters.min_channels < 1 || parameters.min_channels > 1 << 20)
        throw core::ConfigError("min_channels is " + std::to_string(parameters.min_channels) +
                                ", must be in [1, 1048576]");
    if (groups().empty())
        throw core::ConfigError("network '" + network.name +
                                "' has no channels that can be pruned: all belong to its input, "
                                "its output, a grouped convolution or a pinned layer; `hdap "
                                "network info` lists them with the reasons");
    for (const PruningGroup& group : groups())
        minimum_.push_back(static_cast<std::int32_t>(least_kept(group.channels, parameters)));
}

Genome SearchSpace::unpruned() const {
    return unpruned_genome(structure_);
}

Genome SearchSpace::smallest() const {
    return minimum_;
}

Genome SearchSpace::uniform(double keep_ratio) const {
    Genome genome;
    for (std::size_t g = 0; g < groups().size(); ++g)
        genome.push_back(
            nearest_allowed(g, keep_ratio * static_cast<double>(groups()[g].channels)));
    return genome;
}

std::vector<std::int32_t> SearchSpace::allowed_counts(std::size_t g) const {
    std::vector<std::int32_t> counts;
    for (std::int64_t count = minimum_[g]; count < groups()[g].channels; count += divisor_)
        counts.push_back(static_cast<std::int32_t>(count));
    counts.push_back(static_cast<std::int32_t>(groups()[g].channels));
    return counts;
}

std::int32_t SearchSpace::nearest_allowed(std::size_t g, double channels) const {
    const std::int64_t most = groups()[g].channels;
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
    check_length(genome, groups().size());
    std::vector<double> ratios;
    ratios.reserve(genome.size());
    for (std::size_t g = 0; g < genome.size(); ++g)
        ratios.push_back(static_cast<double>(genome[g]) /
                         static_cast<double>(groups()[g].channels));
    return ratios;
}

Genome SearchSpace::step_below(const Genome& from, double max_step) const {
    validate(from);
    Genome least;
    for (std::size_t g = 0; g < from.size(); ++g)
        least.push_back(nearest_allowed(g, (1.0 - max_step) * static_cast<double>(from[g])));
    return least;
}

SearchSpace SearchSpace::from(const Genome& least) const {
    validate(least);
    SearchSpace space = *this;
    space.minimum_ = least;
    return space;
}

void SearchSpace::validate(const Genome& genome) const {
    check_length(genome, groups().size());
    for (std::size_t g = 0; g < genome.size(); ++g) {
        const std::int64_t count = genome[g];
        const std::int64_t most = groups()[g].channels;
        if (count == most) continue;
        if (count >= minimum_[g] && count < most && count % divisor_ == 0) continue;
        throw core::DataError("the genome keeps " + std::to_string(count) + " channels of group " +
                              std::to_string(g) + " ('" + groups()[g].name +
                              "'); allowed are the multiples of " + std::to_string(divisor_) +
                              " from " + std::to_string(minimum_[g]) + " on, and all " +
                              std::to_string(most));
    }
}

double pruning_loss(const SearchSpace& space, const Genome& genome) {
    double sum = 0.0;
    for (const double keep : space.keep_ratios(genome))
        sum += std::log(keep) * std::log(keep);
    return sum / static_cast<double>(genome.size());
}

std::vector<core::Setting> settings_of(SearchSpaceParameters& parameters) {
    constexpr auto shapes = core::Outputs::fleet | core::Outputs::accuracies;
    return {core::real("min_keep", parameters.min_keep, {0.0, 1.0, true},
                       "The least share of a group's channels that is kept", shapes),
            core::integer("min_channels", parameters.min_channels, {1, 1 << 20},
                          "The least count of a group's channels that is kept", shapes),
            core::integer("channel_divisor", parameters.divisor, {1, 1024},
                          "Channels kept are multiples of this", shapes),
            core::text_list("pinned", parameters.pinned,
                            "Layers whose channels are all kept, by the names of `hdap network "
                            "info`",
                            shapes)};
}

} // namespace hdap::network
