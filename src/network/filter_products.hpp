#pragma once

#include <cstddef>

namespace hdap::network {

/// Distances between filters: the arithmetic that takes nearly all of their time, the scalar
/// products of many filters with many others.
///
/// A product is the sum of 16 *lanes*: lane l is, from the left to the right, the sum of the
/// products at l, l + 16, l + 32 … of one block, and lanes l and l + 8 are added first, then l and
/// l + 4 and so on. So its bits depend neither on the other filters nor on how wide a processor's
/// vectors are, only on whether it multiplies and adds in one step.
struct FilterProducts {
    /// Weights of a filter that are summed as floats; the blocks' sums are added as doubles.
    static constexpr std::size_t block = 1024;
    /// How many filters are taken at a time, at least.
    static constexpr std::size_t step = 12;

    /// packed[i] = weights[i] · scale − centre[i], or 0 where that is so small that a product of
    /// two would be no normal number, which processors are slow with. `length` is a multiple of 16,
    /// `packed` at a multiple of 64 bytes.
    void (*pack)(const float* weights, float scale, const float* centre, std::size_t length,
                 float* packed);

    /// sums[row · columns + column] += the product of a row and a column. `rows` and `columns` are
    /// [filter][length], with a multiple of `step` filters, at multiples of 64 bytes; `length`, at
    /// most `block`, is a multiple of 16.
    void (*add)(const float* rows, std::size_t row_count, const float* columns,
                std::size_t column_count, std::size_t length, double* sums);
};

/// Those of this processor.
const FilterProducts& filter_products();

/// All that this processor can run, the plainest first, for tests.
struct FilterProductsSet {
    const FilterProducts* products[3];
    int count;
};
FilterProductsSet all_filter_products();

} // namespace hdap::network
