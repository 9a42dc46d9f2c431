#include "genes.hpp"

#include <algorithm>
#include <iterator>

namespace hdap::search {

using network::Genome;

Genes::Genes(const network::SearchSpace& s)
    : space(s), smallest(s.smallest()), unpruned(s.unpruned()) {
    for (std::size_t g = 0; g < count(); ++g)
        allowed.push_back(s.allowed_counts(g));
}

std::int32_t Genes::neighbour(std::size_t g, std::int32_t channels, bool larger) const {
    if (larger) {
        const auto above = std::ranges::upper_bound(allowed[g], channels);
        return above == allowed[g].end() ? channels : *above;
    }
    const auto at = std::ranges::lower_bound(allowed[g], channels);
    return at == allowed[g].begin() ? channels : *std::prev(at);
}

std::optional<Genome> next_free(const Genes& genes, Genome genome, const Taken& taken,
                                std::size_t longest) {
    const Genome start = genome;
    for (std::size_t step = 0; step < longest; ++step) {
        std::size_t g = genes.count();
        while (g-- > 0) {
            const std::int32_t next = genes.neighbour(g, genome[g], true);
            if (next != genome[g]) {
                genome[g] = next;
                break;
            }
            genome[g] = genes.smallest[g];
        }
        if (genome == start) return std::nullopt;
        if (!taken(genome)) return genome;
    }
    return std::nullopt;
}

} // namespace hdap::search
