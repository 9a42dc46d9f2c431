#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

// GCC compiles a whole file for an instruction set by a pragma. Clang has no such pragma and uses
// the portable kernels.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HDAP_X86_KERNELS 1
#else
#define HDAP_X86_KERNELS 0
#endif

/// The innermost loops of ForestKernel, compiled once per instruction set from
/// block_kernel_body.hpp. They work on blocks of 64 rows.
namespace hdap::surrogate {

inline constexpr std::size_t block_rows = 64;

/// Evaluating all nodes of deeper trees does not pay enough for the time to compile it.
inline constexpr std::size_t max_complete_depth = 6;

/// Leaf values are read a vector at a time, so this many floats must follow the last one.
inline constexpr std::size_t leaf_padding = 16;

/// An inner node of a complete tree.
struct BlockNode {
    std::uint32_t column; ///< the feature × block_rows
    /// Ranks up to this one go left. It fills the word, once per Code that fits into it, since
    /// words are what all processors can spread over a vector as they load them.
    std::uint32_t last_left;
};

/// One forest as complete trees of one depth. Nodes are in heap order: the children of node n are
/// 2n + 1 and 2n + 2.
struct CompleteTrees {
    std::size_t trees = 0;
    const BlockNode* nodes = nullptr; ///< [tree][2^depth − 1]
    const float* leaves = nullptr;    ///< [tree][2^depth], padded by leaf_padding
};

/// sums[row] = base_score + the leaf of each tree in turn. `Code` is the type of the features'
/// ranks among the thresholds: `codes` is [feature][block_rows], `sums` [block_rows].
template <class Code>
using EvaluateBlock = void (*)(const CompleteTrees& forest, float base_score, const Code* codes,
                               float* sums);

/// codes[row] = the number of thresholds that values[row] is not smaller than. `values` and
/// `codes` are [block_rows]; the thresholds ascend.
template <class Code>
using RankBlock = void (*)(const float* values, const float* thresholds, std::size_t count,
                           Code* codes);

/// The kernels of one instruction set. `evaluate…[depth]` is for trees of that depth; [0] is null.
struct BlockKernels {
    std::array<EvaluateBlock<std::uint8_t>, max_complete_depth + 1> evaluate_narrow;
    std::array<EvaluateBlock<std::uint16_t>, max_complete_depth + 1> evaluate_wide;
    RankBlock<std::uint8_t> rank_narrow;
    RankBlock<std::uint16_t> rank_wide;
};

/// Null where the compiler or the processor's family does not know the instruction set. Whether
/// this very processor has it is for the caller to ask.
extern const BlockKernels* const portable_kernels;
extern const BlockKernels* const avx2_kernels;
extern const BlockKernels* const avx512_kernels;

} // namespace hdap::surrogate
