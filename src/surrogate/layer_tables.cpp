#include "surrogate/layer_tables.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <utility>

namespace hdap::surrogate {
namespace {

/// Floats that are added side by side: a cache line.
constexpr std::size_t most_lanes = 16;

/// Entries of few clusters share a cache line and never straddle two.
std::size_t stride_of(std::size_t clusters) {
    if (clusters < most_lanes) return std::bit_ceil(clusters);
    return (clusters + most_lanes - 1) / most_lanes * most_lanes;
}

/// Adds up `rows`, in their order, for each of `stride` clusters.
template <std::size_t lanes>
void add_rows(std::span<const float* const> rows, std::size_t stride, float* sums) {
    for (std::size_t first = 0; first < stride; first += lanes) {
        std::array<float, lanes> sum{};
        for (const float* row : rows)
            for (std::size_t lane = 0; lane < lanes; ++lane)
                sum[lane] += row[first + lane];
        std::copy(sum.begin(), sum.end(), sums + first);
    }
}

void add_rows(std::span<const float* const> rows, std::size_t stride, float* sums) {
    switch (stride) {
    case 1:
        return add_rows<1>(rows, stride, sums);
    case 2:
        return add_rows<2>(rows, stride, sums);
    case 4:
        return add_rows<4>(rows, stride, sums);
    case 8:
        return add_rows<8>(rows, stride, sums);
    default:
        return add_rows<most_lanes>(rows, stride, sums);
    }
}

} // namespace

LayerTables::LayerTables(const network::CostModel& costs, const network::SearchSpace& space,
                         std::size_t clusters, LayerValues values)
    : costs_(costs), clusters_(clusters), stride_(stride_of(clusters)), values_(std::move(values)) {
    for (std::size_t g = 0; g < space.groups().size(); ++g) {
        counts_.push_back(space.allowed_counts(g));
        level_.emplace_back(static_cast<std::size_t>(space.groups()[g].channels) + 1, -1);
        for (std::size_t level = 0; level < counts_[g].size(); ++level)
            level_[g][static_cast<std::size_t>(counts_[g][level])] =
                static_cast<std::int32_t>(level);
    }
    find_parts();
}

std::size_t LayerTables::levels_of(std::int32_t gene) const {
    return counts_[static_cast<std::size_t>(gene)].size();
}

void LayerTables::find_parts() {
    std::map<std::vector<std::int32_t>, std::vector<std::size_t>> layers_of;
    const auto genes = costs_.genes_of_layers();
    for (std::size_t l = 0; l < genes.size(); ++l)
        layers_of[genes[l]].push_back(l);
    std::size_t end = 0;
    for (auto& [of_part, layers] : layers_of) {
        Part part{.genes = of_part, .layers = std::move(layers)};
        if (of_part.size() <= 2) {
            if (of_part.size() == 2) part.columns = levels_of(of_part[1]);
            const std::size_t rows = of_part.empty() ? 1 : levels_of(of_part[0]);
            const std::size_t entries = rows * part.columns;
            part.is_table = (end + entries) * stride_ * sizeof(float) <= most_bytes;
            part.first_entry = end;
            if (part.is_table) end += entries;
        }
        parts_.push_back(std::move(part));
    }
    // Not touched before it is filled: most of it never is.
    entries_ = std::make_unique_for_overwrite<float[]>(end * stride_);
    state_ = std::make_unique<std::atomic<std::uint8_t>[]>(end);
}

/// Rounds a part's sum to what a table holds of it.
void LayerTables::add_directly(const Part& part, const network::Genome& genome,
                               std::span<float> sums) const {
    std::vector<double> of_layer(clusters_);
    std::vector<double> of_part(clusters_, 0.0);
    for (const std::size_t l : part.layers) {
        values_(l, costs_.layer(l, genome), of_layer);
        for (std::size_t k = 0; k < clusters_; ++k)
            of_part[k] += of_layer[k];
    }
    for (std::size_t k = 0; k < clusters_; ++k)
        sums[k] += static_cast<float>(of_part[k]);
}

void LayerTables::sum_plainly(const network::Genome& genome, std::span<double> sums) const {
    std::vector<float> sum(clusters_, 0.0F);
    for (const Part& part : parts_)
        add_directly(part, genome, sum);
    std::copy(sum.begin(), sum.end(), sums.begin());
}

namespace {

void check_sizes(std::span<const network::Genome> genomes, std::size_t genes,
                 std::span<const double> sums, std::size_t clusters) {
    if (sums.size() != genomes.size() * clusters)
        throw core::DataError(fmt::format("{} places for sums over layers of {} genomes on {} "
                                          "clusters",
                                          sums.size(), genomes.size(), clusters));
    for (const network::Genome& genome : genomes)
        if (genome.size() != genes)
            throw core::DataError(fmt::format(
                "the genome has {} counts, the surrogate has {} genes", genome.size(), genes));
}

} // namespace

std::int32_t LayerTables::level(std::size_t gene, const network::Genome& genome) const {
    const auto& levels = level_[gene];
    const auto count = static_cast<std::size_t>(genome[gene]);
    return count < levels.size() ? levels[count] : -1;
}

std::optional<std::size_t> LayerTables::entry_of(const Part& part,
                                                 const network::Genome& genome) const {
    if (!part.is_table) return std::nullopt;
    std::size_t row = 0;
    for (const std::int32_t gene : part.genes) {
        const std::int32_t of_gene = level(static_cast<std::size_t>(gene), genome);
        if (of_gene < 0) return std::nullopt;
        row = row * part.columns + static_cast<std::size_t>(of_gene);
    }
    return part.first_entry + row;
}

/// A part's sum for a genome: in its table, or else in `direct` [stride].
const float* LayerTables::row_of(const Part& part, const network::Genome& genome,
                                 std::span<float> direct) const {
    const auto entry = entry_of(part, genome);
    if (entry && state_[*entry].load(std::memory_order_acquire) == filled)
        return &entries_[*entry * stride_];
    std::uint8_t expected = empty;
    const bool is_mine = entry && state_[*entry].compare_exchange_strong(expected, being_filled,
                                                                         std::memory_order_acq_rel);
    const std::span<float> row = is_mine ? std::span(&entries_[*entry * stride_], stride_) : direct;
    std::ranges::fill(row, 0.0F);
    add_directly(part, genome, row);
    if (is_mine) state_[*entry].store(filled, std::memory_order_release);
    return row.data();
}

void LayerTables::sum(std::span<const network::Genome> genomes, std::span<double> sums,
                      int threads) const {
    check_sizes(genomes, level_.size(), sums, clusters_);
#pragma omp parallel num_threads(threads)
    {
        Scratch scratch{std::vector<const float*>(parts_.size()),
                        std::vector<float>(parts_.size() * stride_), std::vector<float>(stride_)};
#pragma omp for schedule(static)
        for (std::size_t i = 0; i < genomes.size(); ++i)
            sum_one(genomes[i], scratch, sums.subspan(i * clusters_, clusters_));
    }
}

void LayerTables::sum_one(const network::Genome& genome, Scratch& scratch,
                          std::span<double> sums) const {
    for (std::size_t p = 0; p < parts_.size(); ++p)
        scratch.rows[p] =
            row_of(parts_[p], genome, std::span(scratch.direct).subspan(p * stride_, stride_));
    add_rows(scratch.rows, stride_, scratch.total.data());
    std::copy_n(scratch.total.begin(), clusters_, sums.begin());
}

} // namespace hdap::surrogate
