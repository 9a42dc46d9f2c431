#pragma once

#include "hdap/network/costs.hpp"
#include "hdap/network/search_space.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace hdap::surrogate {

/// Fills `values` [cluster] with what a layer takes on each cluster.
using LayerValues = std::function<void(std::size_t layer, const network::LayerCosts& costs,
                                       std::span<double> values)>;

/// Sums over the layers of a network of what each takes on each cluster, where that depends on the
/// layer's own costs alone: on the channels of one group of channels or two, in nearly all
/// networks.
///
/// The layers of the same groups are summed once for every pair of counts that a candidate has, and
/// that sum is kept. So the next such candidate costs one addition of a row of clusters for each
/// pair of groups.
class LayerTables {
  public:
    /// Tables grow no larger than this, altogether.
    static constexpr std::size_t most_bytes = std::size_t{256} << 20;

    /// Tables are for the counts that `space` allows. `costs` is copied. `values` is asked when a
    /// pair of counts comes first, by any thread: it must always say the same.
    LayerTables(const network::CostModel& costs, const network::SearchSpace& space,
                std::size_t clusters, LayerValues values);

    /// Fills `sums` [genome][cluster]. Equals sum_plainly to the bit, for any threads. Throws
    /// DataError for genomes of the wrong length. Thread-safe. Complexity: O(pairs of groups ·
    /// clusters) each, once the tables are filled.
    void sum(std::span<const network::Genome> genomes, std::span<double> sums, int threads) const;

    /// Fills `sums` [cluster] from the layers themselves: any counts, allowed or not. Complexity:
    /// O(layers · clusters).
    void sum_plainly(const network::Genome& genome, std::span<double> sums) const;

  private:
    /// Layers whose costs depend on the same genes.
    struct Part {
        std::vector<std::int32_t> genes; ///< ascending
        std::vector<std::size_t> layers; ///< ascending
    };

    /// Where the table of a part is.
    struct Place {
        std::uint32_t row_gene = 0; ///< or the one of level 0, which comes after all genes
        std::uint32_t column_gene = 0;
        std::uint32_t columns = 1;
        bool is_table = false; ///< otherwise summed anew for each genome
        std::size_t first_entry = 0;
    };

    /// An entry that a part has not, as it is no table or lacks a count.
    static constexpr std::size_t no_entry = ~std::size_t{0};

    /// Genomes whose entries are looked up before the first is summed, so that memory answers to
    /// many at a time.
    static constexpr std::size_t block_genomes = 8;

    /// Of a thread.
    struct Scratch {
        std::vector<std::int32_t> levels; ///< [gene, and one more of level 0]
        std::vector<std::size_t> entries; ///< [genome of the block][part]
        std::vector<const float*> rows;   ///< [part] where its sum for a genome is
        std::vector<float> direct;        ///< [part][stride] those that no table has
        std::vector<float> total;         ///< [stride]
    };

    void find_parts();
    [[nodiscard]] std::size_t entries_of(const std::vector<std::int32_t>& genes) const;
    [[nodiscard]] Place placed(const std::vector<std::int32_t>& genes,
                               std::size_t first_entry) const;
    void add_directly(const Part& part, const network::Genome& genome, std::span<float> sums) const;
    void sum_block(std::span<const network::Genome> genomes, Scratch& scratch,
                   std::span<double> sums) const;
    void find_entries(const network::Genome& genome, std::span<std::int32_t> levels,
                      std::span<std::size_t> entries) const;
    [[nodiscard]] const float* row_of(std::size_t part, std::size_t entry,
                                      const network::Genome& genome, std::span<float> direct) const;

    network::CostModel costs_;
    std::size_t clusters_;
    std::size_t stride_; ///< floats of an entry: the clusters, rounded up
    LayerValues values_;
    std::vector<Part> parts_;
    std::vector<Place> places_;            ///< [part]
    std::vector<std::size_t> levels_;      ///< [gene] counts that are allowed
    std::vector<std::size_t> first_count_; ///< [gene + 1] its counts from 0 on, in level_
    std::vector<std::int32_t> level_;      ///< [gene, count] its number; −1: not allowed
    enum EntryState : std::uint8_t { empty, being_filled, filled };
    struct Free {
        void operator()(float* memory) const noexcept { std::free(memory); }
    };
    std::unique_ptr<float[], Free> entries_;             ///< [entry][stride], once filled
    std::unique_ptr<std::atomic<std::uint8_t>[]> state_; ///< [entry]
};

} // namespace hdap::surrogate
