#include "surrogate/forest_kernel.hpp"

#include "block_kernel.hpp"
#include "hdap/core/check.hpp"
#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <omp.h>
#include <string>
#include <utility>

namespace hdap::surrogate {
namespace {

constexpr std::size_t narrow_limit = std::numeric_limits<std::uint8_t>::max();
constexpr std::size_t wide_limit = std::numeric_limits<std::uint16_t>::max();
constexpr std::size_t most_tile_blocks = 8;

const BlockKernels* kernels_of(InstructionSet set) noexcept {
#if HDAP_X86_KERNELS
    if (set == InstructionSet::avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                   ? avx512_kernels
                   : nullptr;
    if (set == InstructionSet::avx2) return __builtin_cpu_supports("avx2") ? avx2_kernels : nullptr;
#endif
    return set == InstructionSet::portable ? portable_kernels : nullptr;
}

const auto& evaluators(const BlockKernels& kernels, std::uint8_t) {
    return kernels.evaluate_narrow;
}
const auto& evaluators(const BlockKernels& kernels, std::uint16_t) {
    return kernels.evaluate_wide;
}
auto ranker(const BlockKernels& kernels, std::uint8_t) {
    return kernels.rank_narrow;
}
auto ranker(const BlockKernels& kernels, std::uint16_t) {
    return kernels.rank_wide;
}

} // namespace

/// All forests as complete trees of one depth, and the tables of thresholds that turn features
/// into ranks.
struct ForestKernel::CompleteForests {
    std::size_t depth = 1;
    std::vector<float> thresholds;            ///< ascending and distinct, column by column
    std::vector<std::size_t> threshold_begin; ///< [columns + 1]
    bool wide_ranks = false;                  ///< of two bytes, not one
    std::vector<std::size_t> first_tree;      ///< [forest]: in `nodes` and `leaves`
    std::vector<BlockNode> nodes;             ///< [tree][2^depth − 1]
    std::vector<float> leaves;                ///< [tree][2^depth]

    [[nodiscard]] std::size_t leaf_count() const noexcept { return std::size_t{1} << depth; }
    [[nodiscard]] std::span<const float> thresholds_of(std::size_t column) const {
        return std::span(thresholds)
            .subspan(threshold_begin[column],
                     threshold_begin[column + 1] - threshold_begin[column]);
    }

    /// Null when the forests are too deep or too fine for this representation.
    static std::shared_ptr<const CompleteForests> make(const std::vector<Forest>& forests);

  private:
    /// One tree's place in the arrays above, and where it comes from.
    struct Tree {
        const Forest& forest;
        std::size_t root;
        BlockNode* nodes;
        float* leaves;
    };

    void collect_thresholds(const std::vector<Forest>& forests);
    void place(const Tree& tree, std::size_t node, std::size_t number, std::size_t level) const;
};

void ForestKernel::CompleteForests::collect_thresholds(const std::vector<Forest>& forests) {
    std::vector<std::vector<float>> by_column(forests.front().columns);
    for (const Forest& forest : forests) {
        for (std::size_t node = 0; node < forest.nodes(); ++node) {
            if (forest.feature[node] >= 0)
                by_column[static_cast<std::size_t>(forest.feature[node])].push_back(
                    forest.threshold[node]);
        }
    }
    threshold_begin = {0};
    for (std::vector<float>& column : by_column) {
        std::sort(column.begin(), column.end());
        const auto end = std::unique(column.begin(), column.end());
        thresholds.insert(thresholds.end(), column.begin(), end);
        threshold_begin.push_back(thresholds.size());
    }
}

/// Copies a node and all below it to `number`, in heap order over the complete tree's inner nodes
/// and leaves.
void ForestKernel::CompleteForests::place(const Tree& tree, std::size_t node, std::size_t number,
                                          std::size_t level) const {
    const Forest& forest = tree.forest;
    if (forest.feature[node] < 0) {
        // A leaf above the last level: whichever way the rows go below it, they find its value.
        const std::size_t below = std::size_t{1} << (depth - level);
        const std::size_t on_level = number + 1 - (std::size_t{1} << level);
        std::fill_n(tree.leaves + on_level * below, below, forest.value[node]);
        return;
    }
    const auto column = static_cast<std::size_t>(forest.feature[node]);
    const std::span<const float> ranked = thresholds_of(column);
    const auto rank = static_cast<std::uint32_t>(
        std::lower_bound(ranked.begin(), ranked.end(), forest.threshold[node]) - ranked.begin());
    HDAP_CHECK(level < depth && ranked[rank] == forest.threshold[node], level, depth, rank);
    tree.nodes[number] = {.column = static_cast<std::uint32_t>(column * block_rows),
                          .last_left = rank * (wide_ranks ? 0x00010001U : 0x01010101U)};
    const auto child = [&](std::int32_t in_tree) {
        return tree.root + static_cast<std::size_t>(in_tree);
    };
    place(tree, child(forest.left[node]), 2 * number + 1, level + 1);
    place(tree, child(forest.right[node]), 2 * number + 2, level + 1);
}

std::shared_ptr<const ForestKernel::CompleteForests>
ForestKernel::CompleteForests::make(const std::vector<Forest>& forests) {
    int deepest = 1;
    std::size_t trees = 0;
    for (const Forest& forest : forests) {
        deepest = std::max(deepest, forest_depth(forest));
        trees += forest.trees();
    }
    auto complete = std::make_shared<CompleteForests>();
    complete->depth = static_cast<std::size_t>(deepest);
    if (complete->depth > max_complete_depth || trees == 0 || forests.front().columns > wide_limit)
        return nullptr;
    complete->collect_thresholds(forests);
    for (std::size_t column = 0; column < forests.front().columns; ++column) {
        const std::size_t count = complete->thresholds_of(column).size();
        if (count > wide_limit) return nullptr;
        if (count > narrow_limit) complete->wide_ranks = true;
    }
    const std::size_t leaf_count = complete->leaf_count();
    complete->nodes = std::vector<BlockNode>(trees * (leaf_count - 1));
    complete->leaves = std::vector<float>(trees * leaf_count + leaf_padding);
    std::size_t placed = 0;
    for (const Forest& forest : forests) {
        complete->first_tree.push_back(placed);
        for (std::size_t i = 0; i < forest.trees(); ++i, ++placed) {
            const Tree tree{.forest = forest,
                            .root = static_cast<std::size_t>(forest.tree_begin[i]),
                            .nodes = complete->nodes.data() + placed * (leaf_count - 1),
                            .leaves = complete->leaves.data() + placed * leaf_count};
            complete->place(tree, tree.root, 0, 0);
        }
    }
    HDAP_CHECK(placed == trees, placed, trees);
    return complete;
}

/// The arguments of predict, checked.
struct ForestKernel::Request {
    const float* features = nullptr;
    std::size_t rows = 0;
    const double* scale = nullptr;
    double* result = nullptr;
    int threads = 1;
    const BlockKernels* kernels = nullptr;
};

bool supported(InstructionSet set) noexcept {
    return kernels_of(set) != nullptr;
}

InstructionSet best_instruction_set() noexcept {
    if (supported(InstructionSet::avx512)) return InstructionSet::avx512;
    if (supported(InstructionSet::avx2)) return InstructionSet::avx2;
    return InstructionSet::portable;
}

ForestKernel::ForestKernel(std::vector<Forest> forests) : forests_(std::move(forests)) {
    for (std::size_t i = 0; i < forests_.size(); ++i) {
        const std::string where = "forest " + std::to_string(i);
        check_forest(forests_[i], where);
        if (forests_[i].columns != columns())
            throw core::DataError(fmt::format("{} has {} columns, forest 0 has {}", where,
                                              forests_[i].columns, columns()));
    }
    if (!forests_.empty()) complete_ = CompleteForests::make(forests_);
}

void ForestKernel::predict(std::span<const float> features, std::size_t rows,
                           std::span<const double> scale, std::span<double> result, int threads,
                           InstructionSet set) const {
    const auto check = [](const char* name, std::size_t size, std::size_t outer,
                          std::size_t inner) {
        const bool fits = inner == 0 ? size == 0 : size % inner == 0 && size / inner == outer;
        if (!fits)
            throw core::DataError(
                fmt::format("{} has {} values, expected {} x {}", name, size, outer, inner));
    };
    check("features", features.size(), rows, columns());
    check("scale", scale.size(), 1, forests_.size());
    check("result", result.size(), rows, forests_.size());
    if (threads < 1)
        throw core::ConfigError(
            fmt::format("the surrogates need at least 1 thread, not {}", threads));
    if (!supported(set))
        throw core::ConfigError("this processor lacks the instruction set asked for");
    if (result.empty()) return;
    const Request request{.features = features.data(),
                          .rows = rows,
                          .scale = scale.data(),
                          .result = result.data(),
                          .threads = threads,
                          .kernels = kernels_of(set)};
    if (!complete_)
        predict_plainly(request);
    else if (complete_->wide_ranks)
        predict_tiles<std::uint16_t>(request);
    else
        predict_tiles<std::uint8_t>(request);
}

/// Turns the features of `rows` rows into ranks, [block][column][block_rows].
template <class Code, class Rank>
void ForestKernel::rank_tile(const float* features, std::size_t rows, Rank rank,
                             Code* codes) const {
    std::array<float, block_rows> values{}; // a block's unused rows hold what was there before
    for (std::size_t first = 0; first < rows; first += block_rows) {
        const std::size_t count = std::min(block_rows, rows - first);
        for (std::size_t column = 0; column < columns(); ++column) {
            for (std::size_t row = 0; row < count; ++row)
                values[row] = features[(first + row) * columns() + column];
            const std::span<const float> thresholds = complete_->thresholds_of(column);
            rank(values.data(), thresholds.data(), thresholds.size(), codes);
            codes += block_rows;
        }
    }
}

/// Evaluates the tile's rows [first, first + rows) for all forests. The blocks are the inner loop,
/// so that a forest stays in the cache for all of them.
template <class Code>
void ForestKernel::evaluate_tile(const Request& request, std::size_t first, std::size_t rows,
                                 const Code* codes) const {
    const auto evaluate = evaluators(*request.kernels, Code{})[complete_->depth];
    const std::size_t leaf_count = complete_->leaf_count();
    const std::size_t forests = forests_.size();
    std::array<float, block_rows> sums{};
    for (std::size_t k = 0; k < forests; ++k) {
        const std::size_t tree = complete_->first_tree[k];
        const CompleteTrees trees{.trees = forests_[k].trees(),
                                  .nodes = complete_->nodes.data() + tree * (leaf_count - 1),
                                  .leaves = complete_->leaves.data() + tree * leaf_count};
        for (std::size_t begin = 0; begin < rows; begin += block_rows) {
            evaluate(trees, forests_[k].base_score, codes + begin * columns(), sums.data());
            double* const result = request.result + (first + begin) * forests + k;
            for (std::size_t row = 0; row < std::min(block_rows, rows - begin); ++row)
                result[row * forests] = request.scale[k] * static_cast<double>(sums[row]);
        }
    }
}

template <class Code>
void ForestKernel::predict_tiles(const Request& request) const {
    const auto rank = ranker(*request.kernels, Code{});
    const auto threads = static_cast<std::size_t>(request.threads);
    const std::size_t blocks = (request.rows + block_rows - 1) / block_rows;
    // Small enough that all threads have work.
    const std::size_t tile_blocks = std::clamp<std::size_t>(blocks / threads, 1, most_tile_blocks);
    const std::size_t tile_rows = tile_blocks * block_rows;
    const std::size_t tiles = (request.rows + tile_rows - 1) / tile_rows;
    // One per thread, allocated here since an exception must not leave the parallel region.
    std::vector<Code> all_codes(threads * tile_rows * columns());
#pragma omp parallel for schedule(static) num_threads(request.threads)
    for (std::size_t tile = 0; tile < tiles; ++tile) {
        const auto thread = static_cast<std::size_t>(omp_get_thread_num());
        Code* const codes = all_codes.data() + thread * tile_rows * columns();
        const std::size_t first = tile * tile_rows;
        const std::size_t rows = std::min(tile_rows, request.rows - first);
        rank_tile(request.features + first * columns(), rows, rank, codes);
        evaluate_tile(request, first, rows, codes);
    }
}

void ForestKernel::predict_plainly(const Request& request) const {
    const std::size_t genes = columns();
    const std::size_t clusters = forests_.size();
#pragma omp parallel for schedule(static) num_threads(request.threads)
    for (std::size_t row = 0; row < request.rows; ++row) {
        const std::span<const float> features(request.features + row * genes, genes);
        for (std::size_t k = 0; k < clusters; ++k)
            request.result[row * clusters + k] =
                request.scale[k] * static_cast<double>(predict_reference(forests_[k], features));
    }
}

} // namespace hdap::surrogate
