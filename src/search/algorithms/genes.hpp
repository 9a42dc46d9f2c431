#pragma once

#include "hdap/network/search_space.hpp"
#include "hdap/search/algorithm.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace hdap::search {

/// What algorithms vary: genes, each of which prunes one group of a space or several, all by the
/// same share of their channels. A gene's value is the count of its *lead* group, the one with most
/// channels, of equals the first; each other group has its allowed count that is nearest to that
/// share. Genomes are counts per group; groups of no gene keep all channels.
struct Genes {
    /// A gene for each group. Implicit, as this is what a space means where nothing else is said.
    /// `s` must outlive it, here and below.
    Genes(const network::SearchSpace& s);
    /// A gene for each list of groups; lists are not empty and have no group in common.
    Genes(const network::SearchSpace& s, std::vector<std::vector<std::size_t>> groups);

    [[nodiscard]] std::size_t count() const { return groups_of.size(); }
    [[nodiscard]] std::int32_t value(const network::Genome& genome, std::size_t gene) const {
        return genome[lead[gene]];
    }
    [[nodiscard]] double ratio(std::size_t gene, std::int32_t channels) const {
        return static_cast<double>(channels) / value(unpruned, gene);
    }
    [[nodiscard]] double lowest_ratio(std::size_t gene) const {
        return ratio(gene, allowed[gene].front());
    }
    [[nodiscard]] bool is_fixed(std::size_t gene) const { return allowed[gene].size() == 1; }
    /// The allowed value that is nearest to this share.
    [[nodiscard]] std::int32_t nearest(std::size_t gene, double keep_ratio) const {
        return space.nearest_allowed(lead[gene], keep_ratio * value(unpruned, gene));
    }
    /// The next larger (or smaller) allowed value, or `channels` when there is none.
    [[nodiscard]] std::int32_t neighbour(std::size_t gene, std::int32_t channels,
                                         bool larger) const;

    /// Keeps this share of each of the gene's groups, rounded to the nearest allowed count.
    void keep(network::Genome& genome, std::size_t gene, double keep_ratio) const;
    /// Sets the gene to an allowed value.
    void set(network::Genome& genome, std::size_t gene, std::int32_t channels) const {
        keep(genome, gene, ratio(gene, channels));
    }
    /// The same share of every gene.
    [[nodiscard]] network::Genome uniform(double keep_ratio) const;

    const network::SearchSpace& space;
    std::vector<std::vector<std::size_t>> groups_of; ///< [gene]
    std::vector<std::size_t> lead;                   ///< [gene] the group whose count is its value
    std::vector<std::vector<std::int32_t>> allowed;  ///< [gene] its values, ascending
    network::Genome unpruned;
    network::Genome smallest; ///< every gene at its least value
};

/// The genes of `problem.space` in the layout of `parameters`.
/// Throws ConfigError when they are to be blocks and the network has none.
Genes genes_of(const AlgorithmParameters& parameters, const AlgorithmProblem& problem);

/// Whether a genome must not be used (again).
using Taken = std::function<bool(const network::Genome&)>;

/// How often a genome that is taken is drawn again, and how many genomes are walked to find one
/// that is free after that.
inline constexpr int redraws = 16;
inline constexpr std::size_t longest_walk = 1000;

/// Counts `genome` up like an odometer until one is free. Among k + 1 genomes in a row one is free
/// when k are taken, so a walk of that length fails only when the space is used up.
std::optional<network::Genome> next_free(const Genes& genes, network::Genome genome,
                                         const Taken& taken, std::size_t longest);

} // namespace hdap::search
