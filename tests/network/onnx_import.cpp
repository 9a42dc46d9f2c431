#include "hdap/network/onnx.hpp"

#include "hdap/core/error.hpp"
#include "network/onnx_networks.hpp"
#include "network/reference_forward.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>

using namespace hdap;
using namespace hdap::network;
using namespace hdap::network::testing;
using Catch::Matchers::Contains;

namespace {

PrunedNetwork import(const OnnxGraph& graph, const OnnxImportParameters& parameters = {}) {
    return decode_onnx(graph.bytes(), "test.onnx", parameters);
}

std::int64_t count(const Network& network, Operator op) {
    return std::count_if(network.nodes.begin(), network.nodes.end(),
                         [op](const Node& node) { return node.op == op; });
}

std::vector<std::string> operator_names(const Network& network) {
    std::vector<std::string> names;
    for (const Node& node : network.nodes)
        names.emplace_back(operator_name(node.op));
    return names;
}

/// What is thrown at an import, or "" when nothing is.
std::string import_error(const OnnxGraph& graph, const OnnxImportParameters& parameters = {}) {
    try {
        (void)import(graph, parameters);
    } catch (const core::DataError& error) {
        return error.what();
    }
    return "";
}

/// A graph of one operator on the image.
OnnxGraph single(std::int64_t opset, const std::string& op, std::vector<std::string> more,
                 const std::vector<OnnxAttribute>& attributes = {}) {
    OnnxGraph graph(opset);
    more.insert(more.begin(), "x");
    graph.output(graph.add(op, more, attributes));
    return graph;
}

} // namespace

TEST_CASE("x times its sigmoid becomes silu, and only that") {
    const Network network = import(efficientnet(13).graph).network;
    CHECK(count(network, Operator::silu) == 4);
    CHECK(count(network, Operator::sigmoid) == 1); // the gate of squeeze-and-excitation
    CHECK(count(network, Operator::multiply) == 1);
}

TEST_CASE("All forms of the hard swish and the hard sigmoid are recognised") {
    for (const HardSwish form : {HardSwish::with_hard_sigmoid, HardSwish::clip_then_divide,
                                 HardSwish::divide_last, HardSwish::one_operator}) {
        const OnnxSample sample = mobilenet_v3(14, form);
        CAPTURE(sample.name);
        const Network network = import(sample.graph).network;
        CHECK(count(network, Operator::hard_swish) == 3);
        CHECK(count(network, Operator::batch_norm) == 3);
        CHECK(count(network, Operator::relu6) == 0);
        // A gate in the form that divides last is six times a hard sigmoid for a moment.
        CHECK(count(network, Operator::hard_sigmoid) == 1);
    }
}
