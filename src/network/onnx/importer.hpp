#pragma once

#include "constant.hpp"
#include "hdap/network/onnx.hpp"
#include "model.hpp"
#include "network/rearrangements.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace hdap::network {

/// scale·x + shift, with one number for all channels or one for each.
struct Affine {
    std::vector<double> scale{1.0};
    std::vector<double> shift{0.0};

    [[nodiscard]] bool is_identity() const noexcept;
    /// Whether all channels are treated alike.
    [[nodiscard]] bool is_uniform() const noexcept;
    /// Whether it is x times one number.
    [[nodiscard]] bool is_factor() const noexcept;
};

/// What values are clipped to.
struct Bounds {
    double low = -std::numeric_limits<double>::infinity();
    double high = std::numeric_limits<double>::infinity();
    bool operator==(const Bounds&) const = default;
};

/// What an ONNX tensor is in terms of our network: the tensor of a node, seen in another shape or
/// order, scaled and shifted, and then clipped.
///
/// None becomes a node before it must: most of them are parts of something that we have an operator
/// for, as x + 3 is of a hard sigmoid and a lower bound is of ReLU6, or go into a layer's bias.
struct Feature {
    std::size_t node = 0;
    std::vector<std::int64_t> dims; ///< the ONNX tensor's shape without the batch
    /// Axis i of `dims` is axis order[i] of the tensor before it was transposed. Empty: it was not.
    std::vector<std::size_t> order = {};
    Affine affine = {};
    /// Of what only an operator reads that bounds it further; see import_bounds.cpp.
    Bounds bounds = {};
    std::string affine_name = {}; ///< the ONNX node that added to `affine` last
    bool exclusive = true;        ///< nobody else reads the tensor of `node`
};

/// Grows a network from the nodes of an ONNX graph. The functions that import single operators read
/// their inputs from it and define their outputs in it.
class OnnxImporter {
  public:
    OnnxImporter(const OnnxModel& model, TensorReader& reader, MemoryBudget& budget,
                 const OnnxImportParameters& parameters);

    /// Imports the whole graph. To be called once.
    PrunedNetwork run();

    [[nodiscard]] std::int64_t opset() const noexcept { return model_.opset(); }
    /// Whether `size` may be that of the batch.
    [[nodiscard]] bool is_batch(const Integer& size) const noexcept;

    // Tensors of the ONNX graph, by name.

    [[nodiscard]] bool is_constant(const std::string& tensor) const;
    /// Throws DataError when the tensor is not constant; `what` says what it is for.
    [[nodiscard]] Constant constant(const std::string& tensor, const char* what);
    /// Throws DataError when the tensor is constant.
    [[nodiscard]] const Feature& feature(const std::string& tensor) const;
    /// The same with its scaling and shifting made a node or a bias, and not transposed.
    /// Throws DataError when it is.
    const Feature& plain(const std::string& tensor);
    /// The same as the tensor of a node, as [N, C, H, W], or [N, C] where that is 1 × 1.
    /// Throws DataError when it is anything else.
    const Feature& tensor(const std::string& tensor);
    /// Throws DataError, as `tensor` does, unless its numbers lie as those of its node's tensor.
    void check_arrangement(const std::string& tensor) const;
    /// The node whose tensor it is, as [N, C, H, W]. Throws DataError when it is anything else.
    std::size_t image(const std::string& tensor);
    /// How many nodes and outputs read the tensor.
    [[nodiscard]] std::size_t uses(const std::string& tensor) const;
    /// The operator of the node that alone reads the tensor; empty when that is none or several.
    [[nodiscard]] std::string only_reader(const std::string& tensor) const;

    void define(const std::string& tensor, Feature feature);
    void define(const std::string& tensor, Constant constant);
    /// Defines the tensor as that of a node: [N, C] if `flat`, else [N, C, H, W].
    void define_node(const std::string& tensor, std::size_t node, bool flat);
    /// Defines the tensor as some of the channels or pixels of `source`: the tensor of `node`,
    /// which is that of `source` itself where nothing was left out.
    void define_part(const std::string& tensor, const std::string& source, std::size_t node,
                     std::vector<std::int64_t> dims);
    /// Defines `tensor` as `source` in another shape of as many elements, not transposed unless the
    /// shape stays; makes a flatten node where pixels become channels.
    void define_view(const OnnxNode& node, const std::string& source,
                     std::vector<std::int64_t> dims);
    /// Takes the input [N, H, W, 1] as an image of one channel, in which the numbers lie alike, if
    /// `tensor` is that and no node reads it yet as H channels.
    void take_channels_last(const std::string& tensor);

    // The network.

    [[nodiscard]] const Node& node(std::size_t index) const { return network_.nodes[index]; }
    [[nodiscard]] const TensorShape& shape(std::size_t index) const { return shapes_[index]; }
    /// Appends a node under this name, or one that is like it and not in use.
    /// Throws DataError as infer_shape does.
    std::size_t append(Node node, const std::string& name);
    /// Appends a node with one input and no fields of its own.
    std::size_t append(Operator op, std::size_t input, const std::string& name);
    /// Stores the parameter `suffix` (".weight") of a node.
    void add_parameter(std::size_t node, const char* suffix, std::vector<std::int64_t> shape,
                       std::vector<float> values);
    /// Makes the feature's scaling and shifting part of the network: of the layer before it where
    /// nothing else reads that, else a depthwise convolution. No batch norm, as a recalibration would
    /// overwrite what it does.
    void make_affine_node(Feature& feature);
    MemoryBudget& budget() noexcept { return budget_; }
    PixelSamples& samples() noexcept { return samples_; }

  private:
    void find_tensors();
    void find_input();
    [[nodiscard]] std::vector<std::string> output_names() const;
    void count_uses(const std::vector<std::size_t>& order, const std::vector<std::string>& outputs);
    void import_node(const OnnxNode& node);
    bool import_constants(const OnnxNode& node);
    Feature& find_feature(const std::string& tensor);
    void fold_into_layer(const Feature& feature);
    void append_affine_layer(Feature& feature);
    std::string unique_name(const std::string& wanted);
    PrunedNetwork finish(const std::vector<std::string>& outputs);

    const OnnxModel& model_;
    TensorReader& reader_;
    MemoryBudget& budget_;
    const OnnxImportParameters& parameters_;
    std::unordered_map<std::string, const onnx::TensorProto*> initializers_;
    std::unordered_map<std::string, std::variant<Constant, Feature>> values_;
    std::unordered_map<std::string, std::size_t> uses_;
    std::unordered_map<std::string, std::string> readers_; ///< by tensor the last one's operator
    std::set<std::string> names_;                          ///< of nodes
    std::unordered_map<std::string, int> last_number_;     ///< by the name that was wanted
    std::int64_t fixed_batch_ = 0;                         ///< 0: open
    std::string input_name_;
    Network network_;
    std::vector<TensorShape> shapes_;
    Weights weights_;
    PixelSamples samples_;
};

/// The name of a layer: that of its weight without ".weight", or else the ONNX node's.
std::string layer_name(const OnnxNode& node, const Constant& weight);

/// Imports one node of an operator.
using ImportOperator = void (*)(OnnxImporter& importer, const OnnxNode& node);

/// The operators that are known, by their names in ONNX.
std::map<std::string, ImportOperator> layer_operators();       ///< convolution, linear, batch norm
std::map<std::string, ImportOperator> elementwise_operators(); ///< arithmetic and activations
std::map<std::string, ImportOperator> bounding_operators();    ///< ReLU and whatever clips
std::map<std::string, ImportOperator> image_operators();       ///< pooling, resizing, padding
std::map<std::string, ImportOperator> shape_operators();       ///< views, cuts, joins

} // namespace hdap::network
