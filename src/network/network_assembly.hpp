#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/pruned_network.hpp"
#include "hdap/network/weights.hpp"
#include "rearrangements.hpp"

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace hdap::network {

/// A network that grows node by node while a file of another format is read, with its weights.
class NetworkAssembly {
  public:
    /// `weight_budget`: how many values the weights may have in all. A file that uses one tensor
    /// many times, each a copy here, must not grow beyond measure.
    NetworkAssembly(std::string name, const TensorShape& input, std::size_t weight_budget);

    /// Appends `node`, which reads `inputs`. Where its name is taken, a number is appended to it.
    /// Returns its index. Throws DataError as infer_shape does.
    std::size_t append(Node node, std::vector<std::size_t> inputs);

    /// "conv1", "conv2" … the first that is not taken.
    [[nodiscard]] std::string numbered_name(const std::string& word);

    /// Appends scale[c] · input + offset[c], as a depthwise convolution of 1 × 1.
    std::size_t append_affine(std::string name, std::size_t input, std::vector<float> scale,
                              std::vector<float> offset);

    /// Throws DataError when the budget is spent.
    void set_weight(std::size_t node, const char* suffix, Tensor tensor);

    [[nodiscard]] std::size_t last() const { return network_.nodes.size() - 1; }
    [[nodiscard]] const Node& node(std::size_t index) const { return network_.nodes[index]; }
    [[nodiscard]] const TensorShape& shape(std::size_t index) const { return shapes_[index]; }

    /// Which nodes take samples of others' pixels.
    PixelSamples& samples() noexcept { return samples_; }

    /// Gives the last node, a layer without bias, one.
    void add_bias_to_last(Tensor bias);

    /// The network without the nodes that no output depends on. Where nothing else reads what is
    /// between them, offsets become biases of the layers before them, and subsampling of rows and
    /// of columns is one node. Throws DataError as infer_shapes and check_weights do.
    PrunedNetwork finish(std::vector<std::size_t> outputs) &&;

  private:
    [[nodiscard]] std::string free_name(const std::string& wanted) const;
    [[nodiscard]] std::vector<std::size_t>
    count_readers(const std::vector<std::size_t>& outputs) const;
    bool merge_into_input(std::size_t index, std::size_t input);

    Network network_;
    Weights weights_;
    std::vector<TensorShape> shapes_;
    std::set<std::string> names_;
    std::set<std::size_t> offsets_; ///< the nodes that only add numbers
    PixelSamples samples_;
    std::map<std::string, std::size_t> numbers_; ///< per word: the last one that was given
    std::size_t weight_budget_;
};

} // namespace hdap::network
