#pragma once

#include "surrogate/forest.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace hdap::surrogate {

/// What the kernel's inner loops are compiled for.
enum class InstructionSet { portable, avx2, avx512 };

/// Whether this processor and this build have `set`. `portable` is always there.
bool supported(InstructionSet set) noexcept;

/// The widest set that is supported.
InstructionSet best_instruction_set() noexcept;

/// Evaluates several forests over the same features for many rows: the search's inner loop.
///
/// Method: a feature only matters by its rank among the thresholds that the forests compare it
/// with. So 64 rows at a time are turned into ranks of one byte (two, where a feature has more
/// than 255 thresholds), in columns. Every tree, padded to a complete one, is then evaluated for a
/// whole vector of rows without branches and without gathers: all of its nodes compare, each node
/// picks one of the two leaf numbers below it, and a register shuffle turns the leaf's number into
/// its value. A row's sum takes the leaves in the trees' order. Threads share out the blocks.
/// (QuickScorer, Lucchese et al., SIGIR 2015, evaluates all nodes of deeper trees by bit vectors;
/// for trees of up to 64 leaves and many rows the above needs fewer instructions.)
///
/// So the results equal predict_reference's bit for bit, on any instruction set, for any number of
/// threads and for any number of rows at a time.
///
/// Forests deeper than 6, or with more than 65,535 columns or thresholds on one of them, are
/// evaluated by predict_reference itself.
class ForestKernel {
  public:
    ForestKernel() = default;

    /// Throws DataError when a forest is invalid (check_forest) or the forests' columns differ.
    /// Complexity: O(n log n) in the nodes; memory O(trees × 2^depth).
    explicit ForestKernel(std::vector<Forest> forests);

    [[nodiscard]] const std::vector<Forest>& forests() const noexcept { return forests_; }
    [[nodiscard]] std::size_t columns() const noexcept {
        return forests_.empty() ? 0 : forests_.front().columns;
    }

    /// result[row][forest] = scale[forest] × the forest's prediction (a float) for the row.
    ///
    /// `features` is [rows][columns], `result` [rows][forests]. NaN is not smaller than any
    /// threshold, as in predict_reference.
    /// Throws DataError when sizes do not fit; ConfigError when `threads` < 1 or `set` is not
    /// supported. Complexity: O(rows × (columns × log(thresholds) + trees × 2^depth ÷ lanes)).
    void predict(std::span<const float> features, std::size_t rows, std::span<const double> scale,
                 std::span<double> result, int threads,
                 InstructionSet set = best_instruction_set()) const;

  private:
    struct CompleteForests;
    struct Request;

    template <class Code, class Rank>
    void rank_tile(const float* features, std::size_t rows, Rank rank, Code* codes) const;
    template <class Code>
    void evaluate_tile(const Request& request, std::size_t first, std::size_t rows,
                       const Code* codes) const;
    template <class Code>
    void predict_tiles(const Request& request) const;
    void predict_plainly(const Request& request) const;

    std::vector<Forest> forests_;
    std::shared_ptr<const CompleteForests> complete_; ///< null: evaluated by predict_reference
};

} // namespace hdap::surrogate
