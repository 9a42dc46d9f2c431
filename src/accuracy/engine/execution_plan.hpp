#pragma once

#include "hdap/network/graph.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace hdap::accuracy {

/// One operation of a plan: a node of the network with those that are done in the same pass.
struct Step {
    std::size_t node = 0;                    ///< the operation; its inputs and fields
    std::optional<std::size_t> added_tensor; ///< added to the result; shares the output's buffer
    std::optional<std::size_t> activation;   ///< node, applied to the result
    std::vector<std::size_t> inputs;         ///< tensors
    std::size_t output = 0;                  ///< tensor
    bool copies_added_tensor = false;        ///< into the output's buffer, before the step
    std::vector<Step> before; ///< layers that run with this one, row by row; see RowChain

    /// The tensors that are read from buffers, but for the added one.
    [[nodiscard]] const std::vector<std::size_t>& buffered_inputs() const {
        return before.empty() ? inputs : before.front().inputs;
    }
};

/// A tensor of one image, [channels][height][width] in memory, and the buffer that it lies in.
struct PlannedTensor {
    network::TensorShape shape;
    std::size_t buffer = 0; ///< of no meaning between the layers of a chain
};

/// The operations of a network in their order, as few of them as possible, in as little memory as
/// is easily done.
struct ExecutionPlan {
    std::vector<Step> steps;
    std::vector<PlannedTensor> tensors;        ///< the first is the image
    std::vector<std::int64_t> buffer_elements; ///< size of each buffer, for one image
    std::vector<std::size_t> outputs;          ///< tensors that the network returns
};

/// Plans the execution of `network`:
///
/// - an addition to a convolution or linear layer is accumulated in the layer's own pass where the
///   other tensor is there already; activations are applied in the pass of what they read;
/// - a depthwise convolution and the pointwise one behind it run row by row, and so do as many such
///   pairs, with the convolution before them, as fit into the cache;
/// - identities vanish, and so does flattening before linear layers;
/// - an operation that can overwrites a tensor that nothing reads later; buffers are used again.
ExecutionPlan plan_execution(const network::Network& network);

} // namespace hdap::accuracy
