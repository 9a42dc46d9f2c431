#pragma once

#include "constant.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace hdap::network {

/// What a node makes of constants; exporters leave such computations of shapes, and rearrangements
/// of weights, in their files. Nothing for operators that are not computed here.
///
/// `inputs` are the node's, null where an optional one is left out.
/// Throws DataError for what the operator does not allow, or when a result depends on the batch in
/// other ways than by products with it. Complexity: O(elements of the result).
std::optional<Constant> fold_constants(const OnnxNode& node,
                                       const std::vector<const Constant*>& inputs,
                                       TensorReader& reader, MemoryBudget& budget);

/// The constant's elements as floating-point numbers; itself where they are such.
/// Throws DataError when one depends on the batch.
Constant as_floating(const Constant& constant, std::string name, MemoryBudget& budget);

/// `axis` counted from the front. Throws DataError when it is not in [-rank, rank).
std::size_t normalised_axis(std::int64_t axis, std::size_t rank);

/// The shape that Reshape means by `wanted`, in which -1 stands for what is left and 0, unless
/// `zero_is_size`, for the size at the same place of `from`.
/// Throws DataError when it has not as many elements as `from`.
std::vector<std::int64_t> reshape_target(std::vector<std::int64_t> wanted,
                                         const std::vector<std::int64_t>& from, bool zero_is_size);

/// What Slice is told, by attributes or inputs. No axes: the first ones; no steps: 1.
struct SliceBounds {
    std::vector<std::int64_t> starts;
    std::vector<std::int64_t> ends;
    std::vector<std::int64_t> axes;
    std::vector<std::int64_t> steps;
};

/// The bounds that are a node's attributes, as before opset 10.
SliceBounds slice_attributes(const OnnxNode& node);

/// What a slice takes of one axis: `count` places from `first` on.
struct SliceRange {
    std::size_t axis;
    std::int64_t first;
    std::int64_t count;
    std::int64_t step;
};

/// What the bounds mean for a tensor of this shape; counts from the end are resolved.
/// Throws DataError when the bounds do not belong together.
std::vector<SliceRange> slice_ranges(const SliceBounds& bounds,
                                     const std::vector<std::int64_t>& shape);

/// The integers of a constant, none of which may depend on the batch.
/// Throws DataError otherwise.
std::vector<std::int64_t> plain_integers(const Constant& constant);

} // namespace hdap::network
