#pragma once

#include "hdap/network/search_space.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace hdap::search {

/// A space with the range of every gene at hand.
struct Genes {
    explicit Genes(const network::SearchSpace& s);

    [[nodiscard]] std::size_t count() const { return unpruned.size(); }
    [[nodiscard]] double ratio(std::size_t g, std::int32_t channels) const {
        return static_cast<double>(channels) / unpruned[g];
    }
    [[nodiscard]] double lowest_ratio(std::size_t g) const { return ratio(g, smallest[g]); }
    [[nodiscard]] std::int32_t nearest(std::size_t g, double keep_ratio) const {
        return space.nearest_allowed(g, keep_ratio * unpruned[g]);
    }

    /// The next larger (or smaller) allowed count, or `channels` when there is none.
    [[nodiscard]] std::int32_t neighbour(std::size_t g, std::int32_t channels, bool larger) const;

    const network::SearchSpace& space;
    network::Genome smallest;
    network::Genome unpruned;
    std::vector<std::vector<std::int32_t>> allowed; ///< [gene], ascending
};

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
