#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace hdap::network {

/// A dense float tensor, row-major.
struct Tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
};

/// Parameters by PyTorch's names ("features.0.conv.weight", "features.0.bn.running_mean" …).
using Weights = std::map<std::string, Tensor>;

inline constexpr const char* weights_schema = "hdap-weights/1";

/// The shapes that `network` expects, by name. Convolution weights are [out, in/groups, kh, kw].
std::map<std::string, std::vector<std::int64_t>> expected_shapes(const Network& network);

/// Throws DataError when a tensor is missing, has another shape (names it and both shapes) or does
/// not hold as many values as its shape says.
/// Tensors that the network does not use are ignored.
void check_weights(const Network& network, const Weights& weights);

/// Throws DataError, which names `source`, the tensor, its first wrong channel and the value there,
/// when one of the network's tensors holds what nothing can be computed with: NaN, infinity, or a
/// variance below zero. All that reads weights from outside calls it, after check_weights.
/// Complexity: O(weights), at the speed of the memory.
void check_values(const Network& network, const Weights& weights, const std::string& source);

/// Random weights for training from scratch: convolutions normal with variance 2/(inputs of one
/// output) (He et al., ICCV 2015, eq. 10) and zero bias, batch norm as identity, linear layers
/// uniform in ±1/√inputs. Every layer draws from its own stream: the values depend on `seed` and
/// the layer's position only.
Weights initial_weights(const Network& network, std::uint64_t seed);

/// Writes a float32 data set for each tensor, named as the parameter, below "/parameters".
/// Throws DataError when a name cannot be one part of a path, or values do not fill the shape.
void write_weights(storage::Hdf5Writer& file, const Weights& weights);

/// Reads all floating-point data sets directly below "/parameters" as float32. Others (PyTorch's
/// integer counters "num_batches_tracked") are skipped.
/// Throws DataError when there is no such group; whether the tensors fit a network is for
/// check_weights to say.
Weights read_weights(const storage::Hdf5Reader& file);

} // namespace hdap::network
