#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/pruning_groups.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hdap::network {

/// Kinds of layers that hardware executes differently.
enum class LayerKind { convolution, depthwise, linear, pooling, addition };

/// What one layer computes and moves for one image. Batch norm and activations cost nothing: an
/// inference engine folds them into the layer before.
struct LayerCosts {
    std::string name;
    LayerKind kind = LayerKind::convolution;
    std::int64_t input_channels = 0;
    std::int64_t output_channels = 0;
    std::int64_t macs = 0;       ///< multiply-accumulates; papers call them FLOPs
    std::int64_t parameters = 0; ///< weights, biases, and the two of batch norm per channel
    std::int64_t input_elements = 0;
    std::int64_t output_elements = 0;
};

/// Sums over the layers, for one image.
struct NetworkCosts {
    std::int64_t macs = 0;
    std::int64_t parameters = 0;
    std::int64_t peak_activation_elements = 0; ///< the largest input + output of any layer
};

/// Costs of every genome of a search space, without building tensors.
class CostModel {
  public:
    CostModel(const Network& network, const SearchSpace& space);

    /// Exact. Complexity: O(layers).
    [[nodiscard]] NetworkCosts total(const Genome& genome) const;
    [[nodiscard]] std::vector<LayerCosts> layers(const Genome& genome) const;

  private:
    struct Layer {
        LayerCosts unpruned;
        std::int64_t input_fixed = 0;  ///< channels, when the input belongs to no group
        std::int64_t output_fixed = 0; ///< the same for the output
        int input_group = -1;          ///< index into the genome, or -1
        int output_group = -1;
        std::int64_t input_pixels = 0;
        std::int64_t output_pixels = 0;
        std::int64_t kernel_area = 1;
        std::int64_t groups = 1;
        bool bias = false;
        bool batch_norm = false;
    };
    std::vector<Layer> layers_;
};

} // namespace hdap::network
