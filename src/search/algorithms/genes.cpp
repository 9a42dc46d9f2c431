#include "genes.hpp"

#include "hdap/network/blocks.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace hdap::search {

using network::Genome;

namespace {

std::vector<std::vector<std::size_t>> one_by_one(std::size_t groups) {
    std::vector<std::vector<std::size_t>> groups_of;
    for (std::size_t group = 0; group < groups; ++group)
        groups_of.push_back({group});
    return groups_of;
}

} // namespace

Genes::Genes(const network::SearchSpace& s) : Genes(s, one_by_one(s.groups().size())) {}

Genes::Genes(const network::SearchSpace& s, std::vector<std::vector<std::size_t>> groups)
    : space(s), groups_of(std::move(groups)), unpruned(s.unpruned()), smallest(unpruned) {
    for (std::size_t gene = 0; gene < count(); ++gene) {
        lead.push_back(*std::ranges::max_element(
            groups_of[gene], {}, [&](std::size_t group) { return unpruned[group]; }));
        allowed.push_back(s.allowed_counts(lead.back()));
        set(smallest, gene, allowed.back().front());
    }
}

std::int32_t Genes::neighbour(std::size_t gene, std::int32_t channels, bool larger) const {
    if (larger) {
        const auto above = std::ranges::upper_bound(allowed[gene], channels);
        return above == allowed[gene].end() ? channels : *above;
    }
    const auto at = std::ranges::lower_bound(allowed[gene], channels);
    return at == allowed[gene].begin() ? channels : *std::prev(at);
}

void Genes::keep(Genome& genome, std::size_t gene, double keep_ratio) const {
    for (const std::size_t group : groups_of[gene])
        genome[group] = space.nearest_allowed(group, keep_ratio * unpruned[group]);
}

Genome Genes::uniform(double keep_ratio) const {
    Genome genome = unpruned;
    for (std::size_t gene = 0; gene < count(); ++gene)
        keep(genome, gene, keep_ratio);
    return genome;
}

Genes genes_of(const AlgorithmParameters& parameters, const AlgorithmProblem& problem) {
    if (parameters.genes == GeneLayout::group) return problem.space;
    return {problem.space, network::find_blocks(problem.network, problem.space.structure())};
}

std::optional<Genome> next_free(const Genes& genes, Genome genome, const Taken& taken,
                                std::size_t longest) {
    const Genome start = genome;
    for (std::size_t step = 0; step < longest; ++step) {
        std::size_t gene = genes.count();
        while (gene-- > 0) {
            const std::int32_t value = genes.value(genome, gene);
            const std::int32_t next = genes.neighbour(gene, value, true);
            if (next != value) {
                genes.set(genome, gene, next);
                break;
            }
            genes.set(genome, gene, genes.allowed[gene].front());
        }
        if (genome == start) return std::nullopt;
        if (!taken(genome)) return genome;
    }
    return std::nullopt;
}

} // namespace hdap::search
