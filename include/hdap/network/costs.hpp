#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/pruning_structure.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hdap::network {

/// Kinds of layers that hardware executes differently. `elementwise` layers combine tensors
/// (addition, multiplication), `copy` layers move them (concatenation, slices, padding, resizing).
enum class LayerKind { convolution, depthwise, linear, pooling, elementwise, copy };

/// "convolution", "depthwise" …
std::string_view layer_kind_name(LayerKind kind) noexcept;

/// What one layer computes and moves for one image. Activations cost nothing and batch norm only
/// its parameters: an inference engine folds both into the layer before. Neither does flattening.
struct LayerCosts {
    std::string name;
    LayerKind kind = LayerKind::convolution; ///< of the unpruned network
    std::int64_t input_channels = 0;         ///< of the first input
    std::int64_t output_channels = 0;
    std::int64_t macs = 0;           ///< multiply-accumulates; papers call them FLOPs
    std::int64_t parameters = 0;     ///< weights, biases, and the two of batch norm per channel
    std::int64_t input_elements = 0; ///< of all inputs together
    std::int64_t output_elements = 0;
    std::int64_t live_elements = 0; ///< of all tensors that must be in memory while it runs
    bool operator==(const LayerCosts&) const = default;
};

/// Sums over the layers, for one image.
struct NetworkCosts {
    std::int64_t macs = 0;
    std::int64_t parameters = 0;
    /// The most elements that are in memory at any time: the largest live_elements of any layer.
    std::int64_t peak_activation_elements = 0;
    bool operator==(const NetworkCosts&) const = default;
};

/// Memory of the weights in bytes, as 32-bit floats.
inline std::int64_t weight_bytes(const NetworkCosts& costs) noexcept {
    return 4 * costs.parameters;
}

/// Costs of every genome, without building tensors.
///
/// Pooling, additions and the like have no multiply-accumulates, as in the papers' figures. A batch
/// norm that does not follow a layer directly counts as parameters of the layer that made its
/// input.
///
/// Memory: the nodes run in the network's order. Batch norm and activations overwrite their input
/// where nothing reads that afterwards, flattening is no copy, every other node writes a new
/// tensor, and a tensor stays until its last reader has run. The input image and the outputs count.
class CostModel {
  public:
    /// Throws DataError when `structure` belongs to another network, or when the network is so
    /// large that its costs would overflow.
    CostModel(const Network& network, const PruningStructure& structure);

    /// Exact: what a walk over the physically pruned network counts. Its counts must be in [1,
    /// channels of the group]. Throws DataError when it has the wrong length. Complexity: O(pairs
    /// of groups that a layer connects), a fraction of a microsecond for ResNet50; no allocation.
    [[nodiscard]] NetworkCosts total(const Genome& genome) const;

    /// The layers in the network's order; as `total` otherwise.
    [[nodiscard]] std::vector<LayerCosts> layers(const Genome& genome) const;

    /// One of them: `index` in the network's order.
    [[nodiscard]] LayerCosts layer(std::size_t index, const Genome& genome) const;

    /// [layer] the genes that decide what the layer computes and moves itself (all of
    /// LayerCosts but live_elements), ascending.
    [[nodiscard]] std::vector<std::vector<std::int32_t>> genes_of_layers() const;

  private:
    struct Layer {
        std::string name;
        LayerKind kind = LayerKind::convolution;
        std::size_t input = 0;                ///< node
        std::size_t output = 0;               ///< node
        std::int64_t kernel_area = 0;         ///< 0 where there are no weights
        std::int64_t fixed_filter_inputs = 0; ///< grouped: input channels of a filter; else 0
        bool bias = false;
        std::vector<std::size_t> norms;  ///< nodes: batch norms that follow it
        std::vector<std::size_t> inputs; ///< nodes
        std::vector<std::size_t> live;   ///< nodes whose tensors are in memory
    };
    /// coefficient · genome[group], or a constant where group is -1.
    struct LinearTerm {
        std::int32_t group;
        std::int64_t macs;
        std::int64_t parameters;
    };
    /// coefficient · genome[first] · genome[second].
    struct PairTerm {
        std::int32_t first;
        std::int32_t second;
        std::int64_t macs;
        std::int64_t parameters;
    };
    struct MemoryTerm {
        std::int32_t group;
        std::int64_t elements;
    };
    /// Elements in memory at one moment: constant + Σ terms[first … last).
    struct Moment {
        std::int64_t constant;
        std::size_t first;
        std::size_t last;
    };

    void find_layers(const Network& network, const std::vector<TensorShape>& shapes);
    void find_live_tensors(const Network& network);
    void collect_terms(std::int64_t image_parameters);
    void collect_moments();
    void check_overflow(const Network& network, const Genome& unpruned) const;
    void check_length(const Genome& genome) const;
    [[nodiscard]] std::int64_t channels(std::size_t node, const Genome& genome) const noexcept;
    [[nodiscard]] LayerCosts count(const Layer& layer, const Genome& genome) const;

    std::size_t groups_;
    std::vector<ChannelCount> counts_; ///< per node
    std::vector<std::int64_t> pixels_; ///< per node
    std::vector<Layer> layers_;
    /// What is in memory while a batch norm or an activation runs that cannot overwrite its input.
    std::vector<std::vector<std::size_t>> copies_;
    std::int64_t image_parameters_ = 0; ///< of batch norms applied to the image itself

    // What `total` reads, merged over the layers.
    NetworkCosts constant_;
    std::vector<LinearTerm> linear_terms_;
    std::vector<PairTerm> pair_terms_;
    std::vector<MemoryTerm> memory_terms_;
    std::vector<Moment> moments_; ///< those that no other moment always exceeds
};

} // namespace hdap::network
