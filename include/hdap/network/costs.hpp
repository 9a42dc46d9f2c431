#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/pruning_groups.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hdap::network {

/// Kinds of layers that hardware executes differently.
enum class LayerKind { convolution, depthwise, linear, pooling, addition };

/// What one layer computes and moves for one image. Activations cost nothing and batch norm only
/// its parameters: an inference engine folds both into the layer before.
struct LayerCosts {
    std::string name;
    LayerKind kind = LayerKind::convolution; ///< of the unpruned network
    std::int64_t input_channels = 0;
    std::int64_t output_channels = 0;
    std::int64_t macs = 0;           ///< multiply-accumulates; papers call them FLOPs
    std::int64_t parameters = 0;     ///< weights, biases, and the two of batch norm per channel
    std::int64_t input_elements = 0; ///< of all inputs together, for an addition
    std::int64_t output_elements = 0;
    bool operator==(const LayerCosts&) const = default;
};

/// Sums over the layers, for one image.
struct NetworkCosts {
    std::int64_t macs = 0;
    std::int64_t parameters = 0;
    std::int64_t peak_activation_elements = 0; ///< the largest input + output of any layer
    bool operator==(const NetworkCosts&) const = default;
};

/// Costs of every genome of a search space, without building tensors.
///
/// Pooling and additions have no multiply-accumulates, as in the papers' figures. A batch norm
/// that follows an addition or pooling counts as parameters of that layer.
class CostModel {
  public:
    /// Throws DataError when `space` belongs to another network, or when the network is so large
    /// that its costs would overflow.
    CostModel(const Network& network, const SearchSpace& space);

    /// Exact: what a walk over the physically pruned network counts. `genome` need not be allowed
    /// by the search space, but its counts must be in [1, channels of the group].
    /// Throws DataError when it has the wrong length. Complexity: O(layers), no allocation.
    [[nodiscard]] NetworkCosts total(const Genome& genome) const;

    /// The layers in the network's order; as `total` otherwise.
    [[nodiscard]] std::vector<LayerCosts> layers(const Genome& genome) const;

  private:
    struct Layer {
        std::string name;
        LayerKind kind = LayerKind::convolution;
        int input_group = -1;             ///< index into the genome, or -1
        int output_group = -1;            ///< the same for the output
        std::int64_t input_channels = 0;  ///< unpruned
        std::int64_t output_channels = 0; ///< unpruned
        std::int64_t input_pixels = 0;    ///< of all inputs together
        std::int64_t output_pixels = 0;
        std::int64_t kernel_area = 0;        ///< 0 where there are no weights
        std::int64_t groups = 1;             ///< unused by a depthwise convolution
        std::int64_t channel_parameters = 0; ///< per output channel: bias and batch norms
    };
    struct Counts {
        std::int64_t input_channels;
        std::int64_t output_channels;
        std::int64_t macs;
        std::int64_t parameters;
        std::int64_t input_elements;
        std::int64_t output_elements;
    };

    static Counts count(const Layer& layer, const Genome& genome) noexcept;
    void check_overflow(const Network& network, const Genome& unpruned) const;
    void check_length(const Genome& genome) const;

    std::vector<Layer> layers_;
    std::size_t groups_;
    std::int64_t image_parameters_ = 0; ///< of batch norms applied to the image itself
};

} // namespace hdap::network
