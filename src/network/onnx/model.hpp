#pragma once

#include "proto.hpp"

#include <cstddef>
#include <cstdint>
#include <google/protobuf/arena.h>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::network {

/// A parsed ONNX model, with the memory that it lies in.
class OnnxModel {
  public:
    /// Throws DataError when the bytes are not a model with a graph and an opset that we read.
    explicit OnnxModel(std::span<const std::byte> bytes);

    [[nodiscard]] const onnx::GraphProto& graph() const { return proto_->graph(); }

    /// The version of the standard operators.
    [[nodiscard]] std::int64_t opset() const noexcept { return opset_; }

    /// Text that exporters leave beside the graph; null where there is none by this key.
    [[nodiscard]] const std::string* metadata(std::string_view key) const;

  private:
    std::unique_ptr<char[]> block_; ///< all that the arena may use
    std::unique_ptr<google::protobuf::Arena> arena_;
    onnx::ModelProto* proto_;
    std::int64_t opset_ = 0;
};

/// A node of an ONNX graph, with its attributes.
///
/// Whoever imports a node reads the attributes that it knows; check_attributes then finds those
/// that a newer opset may have added, and that would otherwise be ignored.
class OnnxNode {
  public:
    explicit OnnxNode(const onnx::NodeProto& proto) : proto_(proto) {}

    [[nodiscard]] const std::string& op() const { return proto_.op_type(); }
    /// Whose operator it is; empty or "ai.onnx": a standard one.
    [[nodiscard]] const std::string& domain() const { return proto_.domain(); }
    /// "node 'Conv_3' (Conv)": for messages.
    [[nodiscard]] std::string description() const;
    /// The node's name, or that of its first output.
    [[nodiscard]] const std::string& name() const;

    [[nodiscard]] std::size_t input_count() const;
    /// Whether there is an input `i`: optional ones may be left out, or be without a name.
    [[nodiscard]] bool has_input(std::size_t i) const;
    /// The name of input `i`. Throws DataError when there is none.
    [[nodiscard]] const std::string& input(std::size_t i) const;
    [[nodiscard]] std::size_t output_count() const;
    /// The name of output `i`; empty where there is none.
    [[nodiscard]] std::string output(std::size_t i) const;

    [[nodiscard]] bool has(const char* attribute) const { return find(attribute) != nullptr; }
    /// Attributes by name, or what they are when they are missing.
    /// Throw DataError when an attribute is of another type, or out of its range.
    [[nodiscard]] std::int64_t integer(const char* attribute, std::int64_t otherwise) const;
    /// An integer that must be 0 or 1.
    [[nodiscard]] bool flag(const char* attribute, bool otherwise) const;
    [[nodiscard]] double number(const char* attribute, double otherwise) const;
    [[nodiscard]] std::string text(const char* attribute, const std::string& otherwise) const;
    [[nodiscard]] std::vector<std::int64_t> integers(const char* attribute,
                                                     std::vector<std::int64_t> otherwise) const;
    [[nodiscard]] std::vector<float> numbers(const char* attribute) const;
    [[nodiscard]] const onnx::TensorProto& tensor(const char* attribute) const;

    /// Says that an attribute makes no difference to us.
    void ignore(const char* attribute) const { (void)find(attribute); }
    /// Throws DataError when the node has an attribute that nobody asked for.
    void check_attributes() const;
    /// Throws DataError when the node has more inputs than these.
    void check_inputs(std::size_t most) const;

  private:
    [[nodiscard]] const onnx::AttributeProto* find(const char* attribute) const;
    [[nodiscard]] const onnx::AttributeProto* find(const char* attribute,
                                                   onnx::AttributeProto::AttributeType type) const;

    const onnx::NodeProto& proto_;
    mutable std::set<std::string> known_; ///< attributes that were asked for
};

/// The nodes that `outputs` need, by their place in the graph, each after those that it reads; in
/// the graph's order where that is such an order.
/// Throws DataError when a tensor is made twice or by nobody, or when nodes read each other in a
/// circle. `available` are the tensors that need no node. Complexity: O(n log n).
std::vector<std::size_t> evaluation_order(const onnx::GraphProto& graph,
                                          const std::set<std::string>& available,
                                          const std::vector<std::string>& outputs);

/// A single-precision number as it was probably meant: 0.1 for the float nearest to 0.1.
double as_written(float value);

} // namespace hdap::network
