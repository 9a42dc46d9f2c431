#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstdint>
#include <filesystem>
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

/// Throws DataError when a tensor is missing or has another shape: names it and both shapes.
/// Tensors that the network does not use are ignored.
void check_weights(const Network& network, const Weights& weights);

/// Random weights for training from scratch: He et al. (2015) normal for convolutions, batch norm
/// as identity, linear uniform in ±1/√inputs. Depends on `seed` only.
Weights initial_weights(const Network& network, std::uint64_t seed);

/// Data sets named as the parameters, below "/parameters".
void write_weights(storage::Hdf5Writer& file, const Weights& weights);
Weights read_weights(const storage::Hdf5Reader& file);

} // namespace hdap::network
