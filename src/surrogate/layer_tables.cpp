#include "surrogate/layer_tables.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <new>
#include <sys/mman.h>
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

/// Four numbers that are added at a time. Any processor has it, and memory is what takes the time.
using Quad = float __attribute__((vector_size(16)));
constexpr std::size_t quad_lanes = 4;

/// Adds up `quads` · 4 clusters of `rows` from `first` on, in the order of the rows.
template <std::size_t quads>
void add_quads(std::span<const float* const> rows, std::size_t first, float* sums) {
    std::array<Quad, quads> sum{};
    for (const float* row : rows)
        for (std::size_t q = 0; q < quads; ++q) {
            Quad part;
            std::memcpy(&part, row + first + q * quad_lanes, sizeof part);
            sum[q] += part;
        }
    std::memcpy(sums + first, sum.data(), sizeof sum);
}

/// Adds up `rows`, in their order, for each of `stride` clusters.
void add_rows(std::span<const float* const> rows, std::size_t stride, float* sums) {
    if (stride < quad_lanes)
        for (std::size_t k = 0; k < stride; ++k) {
            sums[k] = 0.0F;
            for (const float* row : rows)
                sums[k] += row[k];
        }
    else if (stride < most_lanes)
        for (std::size_t first = 0; first < stride; first += quad_lanes)
            add_quads<1>(rows, first, sums);
    else
        for (std::size_t first = 0; first < stride; first += most_lanes)
            add_quads<most_lanes / quad_lanes>(rows, first, sums);
}

/// Memory for so many floats, not touched: most of it is filled late or never. In large pages,
/// where there are some, as reads are all over it.
float* large_block(std::size_t floats) {
    constexpr std::size_t page = std::size_t{2} << 20;
    const std::size_t bytes =
        std::max<std::size_t>(1, (floats * sizeof(float) + page - 1) / page) * page;
    void* const memory = std::aligned_alloc(page, bytes);
    if (memory == nullptr) throw std::bad_alloc();
    madvise(memory, bytes, MADV_HUGEPAGE); // without them it is slower, no more
    return static_cast<float*>(memory);
}

} // namespace

LayerTables::LayerTables(const network::CostModel& costs, const network::SearchSpace& space,
                         std::size_t clusters, LayerValues values)
    : costs_(costs), clusters_(clusters), stride_(stride_of(clusters)), values_(std::move(values)) {
    for (std::size_t g = 0; g < space.groups().size(); ++g) {
        const auto counts = space.allowed_counts(g);
        const std::size_t first = level_.size();
        first_count_.push_back(first);
        level_.resize(first + static_cast<std::size_t>(space.groups()[g].channels) + 1, -1);
        for (std::size_t level = 0; level < counts.size(); ++level)
            level_[first + static_cast<std::size_t>(counts[level])] =
                static_cast<std::int32_t>(level);
        levels_.push_back(counts.size());
    }
    first_count_.push_back(level_.size());
    find_parts();
}

void LayerTables::find_parts() {
    std::map<std::vector<std::int32_t>, std::vector<std::size_t>> layers_of;
    const auto genes = costs_.genes_of_layers();
    for (std::size_t l = 0; l < genes.size(); ++l)
        layers_of[genes[l]].push_back(l);
    std::size_t end = 0;
    for (auto& [of_part, layers] : layers_of) {
        places_.push_back(placed(of_part, end));
        if (places_.back().is_table) end += entries_of(of_part);
        parts_.push_back({.genes = of_part, .layers = std::move(layers)});
    }
    entries_.reset(large_block(end * stride_));
    state_ = std::make_unique<std::atomic<std::uint8_t>[]>(end);
}

std::size_t LayerTables::entries_of(const std::vector<std::int32_t>& genes) const {
    std::size_t entries = 1;
    for (const std::int32_t gene : genes)
        entries *= levels_[static_cast<std::size_t>(gene)];
    return entries;
}

/// The table of these genes behind `first_entry`, where they are few and it is small enough.
LayerTables::Place LayerTables::placed(const std::vector<std::int32_t>& genes,
                                       std::size_t first_entry) const {
    const auto none = static_cast<std::uint32_t>(levels_.size());
    Place place{.row_gene = none, .column_gene = none, .first_entry = first_entry};
    if (genes.size() > 2) return place;
    if (!genes.empty()) place.row_gene = static_cast<std::uint32_t>(genes[0]);
    if (genes.size() == 2) {
        place.column_gene = static_cast<std::uint32_t>(genes[1]);
        place.columns = static_cast<std::uint32_t>(levels_[place.column_gene]);
    }
    place.is_table = (first_entry + entries_of(genes)) * stride_ * sizeof(float) <= most_bytes;
    return place;
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

/// Asks memory for the entries, too.
void LayerTables::find_entries(const network::Genome& genome, std::span<std::int32_t> levels,
                               std::span<std::size_t> entries) const {
    for (std::size_t g = 0; g < genome.size(); ++g) {
        const auto count = static_cast<std::size_t>(genome[g]);
        const std::size_t first = first_count_[g];
        levels[g] = count < first_count_[g + 1] - first ? level_[first + count] : -1;
    }
    for (std::size_t p = 0; p < places_.size(); ++p) {
        const Place& place = places_[p];
        const std::int32_t row = levels[place.row_gene];
        const std::int32_t column = levels[place.column_gene];
        if (!place.is_table || row < 0 || column < 0) {
            entries[p] = no_entry;
            continue;
        }
        entries[p] = place.first_entry + static_cast<std::size_t>(row) * place.columns +
                     static_cast<std::size_t>(column);
        __builtin_prefetch(&state_[entries[p]]);
        for (std::size_t lane = 0; lane < stride_; lane += most_lanes)
            __builtin_prefetch(&entries_[entries[p] * stride_ + lane]);
    }
}

/// A part's sum for a genome: in its table, or else in `direct` [stride].
const float* LayerTables::row_of(std::size_t part, std::size_t entry, const network::Genome& genome,
                                 std::span<float> direct) const {
    if (entry != no_entry && state_[entry].load(std::memory_order_acquire) == filled)
        return &entries_[entry * stride_];
    std::uint8_t expected = empty;
    const bool is_mine =
        entry != no_entry &&
        state_[entry].compare_exchange_strong(expected, being_filled, std::memory_order_acq_rel);
    const std::span<float> row = is_mine ? std::span(&entries_[entry * stride_], stride_) : direct;
    std::ranges::fill(row, 0.0F);
    add_directly(parts_[part], genome, row);
    if (is_mine) state_[entry].store(filled, std::memory_order_release);
    return row.data();
}

void LayerTables::sum(std::span<const network::Genome> genomes, std::span<double> sums,
                      int threads) const {
    check_sizes(genomes, levels_.size(), sums, clusters_);
    const std::size_t blocks = (genomes.size() + block_genomes - 1) / block_genomes;
#pragma omp parallel num_threads(threads)
    {
        Scratch scratch{std::vector<std::int32_t>(levels_.size() + 1, 0),
                        std::vector<std::size_t>(block_genomes * parts_.size()),
                        std::vector<const float*>(parts_.size()),
                        std::vector<float>(parts_.size() * stride_), std::vector<float>(stride_)};
#pragma omp for schedule(static)
        for (std::size_t block = 0; block < blocks; ++block) {
            const std::size_t first = block * block_genomes;
            const std::size_t count = std::min(block_genomes, genomes.size() - first);
            sum_block(genomes.subspan(first, count), scratch,
                      sums.subspan(first * clusters_, count * clusters_));
        }
    }
}

void LayerTables::sum_block(std::span<const network::Genome> genomes, Scratch& scratch,
                            std::span<double> sums) const {
    const std::size_t parts = parts_.size();
    for (std::size_t i = 0; i < genomes.size(); ++i)
        find_entries(genomes[i], scratch.levels,
                     std::span(scratch.entries).subspan(i * parts, parts));
    for (std::size_t i = 0; i < genomes.size(); ++i) {
        for (std::size_t p = 0; p < parts; ++p)
            scratch.rows[p] = row_of(p, scratch.entries[i * parts + p], genomes[i],
                                     std::span(scratch.direct).subspan(p * stride_, stride_));
        add_rows(scratch.rows, stride_, scratch.total.data());
        std::copy_n(scratch.total.begin(), clusters_,
                    sums.begin() + static_cast<std::ptrdiff_t>(i * clusters_));
    }
}

} // namespace hdap::surrogate
