#include "model.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <google/protobuf/io/coded_stream.h>
#include <optional>
#include <queue>
#include <unordered_map>

namespace hdap::network {
namespace {

using onnx::AttributeProto;

/// Objects of protobuf take many times the bytes that describe them. Networks need about six times
/// the file, without their weights; a file of nothing but empty nodes needs a hundred times.
std::size_t arena_bytes(std::size_t file_bytes) {
    constexpr std::size_t most_for_objects = std::size_t{1} << 30;
    constexpr std::size_t least = std::size_t{1} << 20;
    // Weights that are not stored as raw bytes lie in the arena, too.
    return least + 2 * file_bytes + std::min(16 * file_bytes, most_for_objects);
}

[[noreturn]] void* refuse_block(std::size_t) {
    throw core::DataError("the model's nodes take far more memory than its bytes; is it damaged?");
}

std::unique_ptr<google::protobuf::Arena> make_arena(char* block, std::size_t size) {
    google::protobuf::ArenaOptions options;
    options.initial_block = block;
    options.initial_block_size = size;
    options.block_alloc = refuse_block;
    options.block_dealloc = [](void*, std::size_t) {}; // the first block is ours
    return std::make_unique<google::protobuf::Arena>(options);
}

void parse(std::span<const std::byte> bytes, onnx::ModelProto& proto) {
    if (bytes.size() > max_onnx_bytes)
        throw core::DataError("is larger than 2 GB, which no ONNX file is; keep the weights as "
                              "external data");
    const auto size = static_cast<int>(bytes.size());
    google::protobuf::io::CodedInputStream stream(
        reinterpret_cast<const std::uint8_t*>(bytes.data()), size);
    constexpr int deepest_message = 48; // a tensor in a node is at depth 5, in a loop at 8
    stream.SetRecursionLimit(deepest_message);
    if (!proto.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage() ||
        stream.CurrentPosition() != size)
        throw core::DataError("is not an ONNX model, or truncated or damaged");
    if (!proto.has_graph() || proto.graph().node_size() == 0)
        throw core::DataError("is not an ONNX model, or has no nodes");
}

std::int64_t standard_opset(const onnx::ModelProto& proto) {
    constexpr std::int64_t oldest = 7;
    for (const onnx::OperatorSetIdProto& set : proto.opset_import()) {
        if (!set.domain().empty() && set.domain() != "ai.onnx") continue;
        if (set.version() < oldest)
            throw core::DataError(fmt::format(
                "has opset {}, 7 and newer are supported; export it again with opset 13",
                set.version()));
        return set.version();
    }
    throw core::DataError("does not say which opset of the standard operators it uses");
}

} // namespace

OnnxModel::OnnxModel(std::span<const std::byte> bytes)
    : block_(new char[arena_bytes(bytes.size())]),
      arena_(make_arena(block_.get(), arena_bytes(bytes.size()))),
      proto_(google::protobuf::Arena::CreateMessage<onnx::ModelProto>(arena_.get())) {
    parse(bytes, *proto_);
    opset_ = standard_opset(*proto_);
    if (proto_->functions_size() > 0)
        throw core::DataError(fmt::format("defines functions of its own, as '{}'; inline them "
                                          "(onnx.inliner), or export with opset 17 or older",
                                          proto_->functions(0).name()));
}

const std::string* OnnxModel::metadata(std::string_view key) const {
    for (const onnx::StringStringEntryProto& entry : proto_->metadata_props())
        if (entry.key() == key) return &entry.value();
    return nullptr;
}

std::string OnnxNode::description() const {
    return fmt::format("node '{}' ({})", name(), op());
}

const std::string& OnnxNode::name() const {
    return proto_.name().empty() && proto_.output_size() > 0 ? proto_.output(0) : proto_.name();
}

std::size_t OnnxNode::input_count() const {
    return static_cast<std::size_t>(proto_.input_size());
}

bool OnnxNode::has_input(std::size_t i) const {
    return i < input_count() && !proto_.input(static_cast<int>(i)).empty();
}

const std::string& OnnxNode::input(std::size_t i) const {
    if (!has_input(i)) throw core::DataError(fmt::format("input {} is missing", i));
    return proto_.input(static_cast<int>(i));
}

std::size_t OnnxNode::output_count() const {
    return static_cast<std::size_t>(proto_.output_size());
}

std::string OnnxNode::output(std::size_t i) const {
    return i < output_count() ? proto_.output(static_cast<int>(i)) : "";
}

const AttributeProto* OnnxNode::find(const char* attribute) const {
    known_.insert(attribute);
    for (const AttributeProto& candidate : proto_.attribute())
        if (candidate.name() == attribute) return &candidate;
    return nullptr;
}

const AttributeProto* OnnxNode::find(const char* attribute,
                                     AttributeProto::AttributeType type) const {
    const AttributeProto* const found = find(attribute);
    if (found != nullptr && found->type() != type)
        throw core::DataError(fmt::format("attribute '{}' is of type {}, expected {}", attribute,
                                          AttributeProto::AttributeType_Name(found->type()),
                                          AttributeProto::AttributeType_Name(type)));
    return found;
}

std::int64_t OnnxNode::integer(const char* attribute, std::int64_t otherwise) const {
    const AttributeProto* const found = find(attribute, AttributeProto::INT);
    return found == nullptr ? otherwise : found->i();
}

bool OnnxNode::flag(const char* attribute, bool otherwise) const {
    const std::int64_t value = integer(attribute, otherwise ? 1 : 0);
    if (value != 0 && value != 1)
        throw core::DataError(
            fmt::format("attribute '{}' is {}, must be 0 or 1", attribute, value));
    return value == 1;
}

double OnnxNode::number(const char* attribute, double otherwise) const {
    const AttributeProto* const found = find(attribute, AttributeProto::FLOAT);
    return found == nullptr ? otherwise : as_written(found->f());
}

std::string OnnxNode::text(const char* attribute, const std::string& otherwise) const {
    const AttributeProto* const found = find(attribute, AttributeProto::STRING);
    return found == nullptr ? otherwise : found->s();
}

std::vector<std::int64_t> OnnxNode::integers(const char* attribute,
                                             std::vector<std::int64_t> otherwise) const {
    const AttributeProto* const found = find(attribute, AttributeProto::INTS);
    if (found == nullptr) return otherwise;
    return {found->ints().begin(), found->ints().end()};
}

std::vector<float> OnnxNode::numbers(const char* attribute) const {
    const AttributeProto* const found = find(attribute, AttributeProto::FLOATS);
    if (found == nullptr) return {};
    return {found->floats().begin(), found->floats().end()};
}

const onnx::TensorProto& OnnxNode::tensor(const char* attribute) const {
    const AttributeProto* const found = find(attribute, AttributeProto::TENSOR);
    if (found == nullptr)
        throw core::DataError(fmt::format("attribute '{}' is missing", attribute));
    return found->t();
}

void OnnxNode::check_attributes() const {
    for (const AttributeProto& attribute : proto_.attribute())
        if (!known_.contains(attribute.name()))
            throw core::DataError(
                fmt::format("attribute '{}' is not supported; export with opset 17 or older",
                            attribute.name()));
}

void OnnxNode::check_inputs(std::size_t most) const {
    for (std::size_t i = most; i < input_count(); ++i)
        if (has_input(i))
            throw core::DataError(fmt::format(
                "has an input {} ('{}'), which is not supported; export with opset 17 or older", i,
                input(i)));
}

namespace {

/// Which nodes make and read which tensors.
struct Wiring {
    std::unordered_map<std::string, std::size_t> maker;
    std::vector<std::vector<std::size_t>> readers; ///< per node: those that read what it makes

    Wiring(const onnx::GraphProto& graph, const std::set<std::string>& available)
        : readers(static_cast<std::size_t>(graph.node_size())) {
        for (int i = 0; i < graph.node_size(); ++i)
            for (const std::string& output : graph.node(i).output()) {
                if (output.empty()) continue;
                const bool first = maker.emplace(output, static_cast<std::size_t>(i)).second;
                if (!first || available.contains(output))
                    throw core::DataError(
                        fmt::format("{}: makes tensor '{}', which is there already",
                                    OnnxNode(graph.node(i)).description(), output));
            }
    }
};

/// Marks what `outputs` need, and notes who reads what.
std::vector<bool> find_needed(const onnx::GraphProto& graph, const std::set<std::string>& available,
                              const std::vector<std::string>& outputs, Wiring& wiring) {
    std::vector<bool> needed(wiring.readers.size(), false);
    std::vector<std::size_t> open;
    const auto need = [&](const std::string& tensor,
                          const std::string& who) -> std::optional<std::size_t> {
        const auto found = wiring.maker.find(tensor);
        if (found == wiring.maker.end()) {
            if (available.contains(tensor)) return std::nullopt;
            throw core::DataError(
                fmt::format("{} needs tensor '{}', which nothing makes", who, tensor));
        }
        if (!needed[found->second]) open.push_back(found->second);
        needed[found->second] = true;
        return found->second;
    };
    for (const std::string& output : outputs)
        need(output, "an output");
    while (!open.empty()) {
        const std::size_t i = open.back();
        open.pop_back();
        const onnx::NodeProto& node = graph.node(static_cast<int>(i));
        for (const std::string& input : node.input()) {
            if (input.empty()) continue;
            const std::optional<std::size_t> maker = need(input, OnnxNode(node).description());
            if (maker) wiring.readers[*maker].push_back(i);
        }
    }
    return needed;
}

} // namespace

std::vector<std::size_t> evaluation_order(const onnx::GraphProto& graph,
                                          const std::set<std::string>& available,
                                          const std::vector<std::string>& outputs) {
    Wiring wiring(graph, available);
    const std::vector<bool> needed = find_needed(graph, available, outputs, wiring);
    std::vector<std::size_t> waits_for(needed.size(), 0);
    for (std::size_t i = 0; i < needed.size(); ++i)
        for (const std::size_t reader : wiring.readers[i])
            ++waits_for[reader];
    std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
    for (std::size_t i = 0; i < needed.size(); ++i)
        if (needed[i] && waits_for[i] == 0) ready.push(i);
    std::vector<std::size_t> order;
    while (!ready.empty()) {
        order.push_back(ready.top());
        ready.pop();
        for (const std::size_t reader : wiring.readers[order.back()])
            if (--waits_for[reader] == 0) ready.push(reader);
    }
    for (std::size_t i = 0; i < needed.size(); ++i)
        if (needed[i] && waits_for[i] > 0)
            throw core::DataError(OnnxNode(graph.node(static_cast<int>(i))).description() +
                                  ": reads, through others, what it makes itself");
    return order;
}

double as_written(float value) {
    std::array<char, 32> text{};
    const char* const end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    double result = 0.0;
    std::from_chars(text.data(), end, result);
    return result;
}

} // namespace hdap::network
