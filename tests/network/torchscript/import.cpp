#include "hdap/core/error.hpp"
#include "hdap/network/torchscript.hpp"
#include "hdap/network/zoo.hpp"
#include "network/torchscript/samples.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

using namespace hdap;
using namespace hdap::network;
using namespace hdap::network::testing;
using Catch::Matchers::Contains;
using torch::jit::Module;

namespace {

/// A module that has parameters and parts, and this `forward`.
struct Program {
    std::map<std::string, Module> parts = {};
    std::map<std::string, at::Tensor> tensors = {};
    std::string forward;

    [[nodiscard]] Module make() const {
        Module module("Sample");
        for (const auto& [name, part] : parts)
            module.register_module(name, part);
        for (const auto& [name, tensor] : tensors)
            module.register_parameter(name, tensor, false);
        module.register_attribute("training", c10::BoolType::get(), false);
        module.define(forward);
        return module;
    }
};

/// "def forward(self, x):" with these lines.
std::string forward(const std::string& lines) {
    std::string text = "def forward(self, x):\n";
    std::istringstream stream(lines);
    for (std::string line; std::getline(stream, line);)
        text += "    " + line + "\n";
    return text;
}

std::string text(std::int64_t number) {
    return std::to_string(number);
}

Module conv(std::int64_t inputs, std::int64_t outputs, std::int64_t kernel, std::int64_t stride = 1,
            std::int64_t groups = 1) {
    return Program{.tensors = {{"weight", torch::randn({outputs, inputs / groups, kernel, kernel})},
                               {"bias", torch::randn({outputs})}},
                   .forward =
                       forward("return torch.conv2d(x, self.weight, self.bias, [" + text(stride) +
                               "], [" + text(kernel / 2) + "], [1], " + text(groups) + ")")}
        .make();
}

Module batch_norm(std::int64_t channels) {
    return Program{.tensors = {{"weight", torch::randn({channels})},
                               {"bias", torch::randn({channels})},
                               {"running_mean", torch::randn({channels})},
                               {"running_var", torch::rand({channels}) + 0.5}},
                   .forward =
                       forward("return torch.batch_norm(x, self.weight, self.bias, "
                               "self.running_mean, self.running_var, self.training, 0.1, 1e-3, "
                               "True)")}
        .make();
}

Module linear(std::int64_t inputs, std::int64_t outputs) {
    return Program{
        .tensors = {{"weight", torch::randn({outputs, inputs})}, {"bias", torch::randn({outputs})}},
        .forward = forward("return torch.linear(x, self.weight, self.bias)")}
        .make();
}

Module activation(const std::string& call) {
    return Program{.forward = forward("return " + call)}.make();
}

PrunedNetwork imported(const Module& module, const TensorShape& input) {
    return parse_torchscript(saved(module), "folder/sample.pt", input);
}

/// Imports the module, and checks that plain loops compute what LibTorch does.
PrunedNetwork import_and_compare(Module module, const TensorShape& input) {
    PrunedNetwork result = imported(module, input);
    const std::vector<float> image = random_images(result.network, 1, 1);
    CHECK(worst_difference(torchscript_values(module, image, input),
                           reference_forward(result.network, result.weights,
                                             FeatureMap(image.begin(), image.end()))) < 1e-4);
    return result;
}

/// The same for a program of operators alone, on 4 channels of 6 × 6.
PrunedNetwork import_lines(const std::string& lines, std::map<std::string, at::Tensor> tensors = {},
                           std::map<std::string, Module> parts = {}) {
    CAPTURE(lines);
    return import_and_compare(
        Program{.parts = std::move(parts), .tensors = std::move(tensors), .forward = forward(lines)}
            .make(),
        {4, {6, 6}});
}

std::string refusal(const Program& program, const TensorShape& input = {4, {6, 6}}) {
    try {
        imported(program.make(), input);
    } catch (const core::DataError& error) {
        return error.what();
    }
    return "not refused";
}

std::string refusal(const std::string& lines) {
    return refusal(Program{.forward = forward(lines)});
}

std::vector<std::string> names(const Network& network) {
    std::vector<std::string> result;
    for (const Node& node : network.nodes)
        result.push_back(node.name);
    return result;
}

/// "conv2d relu linear": the operators behind the input.
std::string operators(const Network& network) {
    std::string result;
    for (std::size_t i = 1; i < network.nodes.size(); ++i)
        result += (i > 1 ? " " : "") + std::string(operator_name(network.nodes[i].op));
    return result;
}

std::vector<std::byte> bytes_of_file(const std::string& name) {
    std::ifstream stream(std::string(HDAP_SOURCE_DIR) + "/tests/network/torchscript/files/" + name,
                         std::ios::binary);
    const std::string content(std::istreambuf_iterator<char>(stream), {});
    const auto bytes = std::as_bytes(std::span(content));
    return {bytes.begin(), bytes.end()};
}

} // namespace

// ------------------------------------------------------------------------------- whole networks

TEST_CASE("A random network survives TorchScript, pruned and not") {
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
        CAPTURE(seed);
        const Network network = random_network(seed);
        const Weights weights = random_weights(network, seed);
        for (const PrunedNetwork& sample :
             {PrunedNetwork{network, weights}, randomly_pruned(network, weights, seed)}) {
            const PrunedNetwork again = parse_torchscript(
                torchscript_bytes(sample.network, sample.weights), "again.pt", std::nullopt);
            const std::vector<float> image = random_images(sample.network, 1, seed);
            const FeatureMap map(image.begin(), image.end());
            CHECK(worst_difference(reference_forward(again.network, again.weights, map),
                                   reference_forward(sample.network, sample.weights, map)) < 1e-4);
            for (const auto& [name, tensor] : again.weights) {
                CAPTURE(name);
                REQUIRE(sample.weights.contains(name));
                CHECK(tensor.values == sample.weights.at(name).values);
            }
        }
    }
}

TEST_CASE("PyTorch's own files are read: traced, scripted and frozen") {
    const Weights state_dict =
        parse_torchscript_weights(bytes_of_file("scripted.pt"), "s.pt").weights;
    for (const std::string name : {"traced.pt", "scripted.pt", "frozen.pt"}) {
        CAPTURE(name);
        const auto bytes = bytes_of_file(name);
        for (const Extent extent : {Extent{12, 12}, Extent{16, 20}}) {
            const PrunedNetwork sample = parse_torchscript(bytes, name, TensorShape{3, extent});
            torch::jit::Module module = load_torchscript(bytes);
            const std::vector<float> image = random_images(sample.network, 1, 1);
            const FeatureMap result = reference_forward(sample.network, sample.weights,
                                                        FeatureMap(image.begin(), image.end()));
            CHECK(worst_difference(torchscript_values(module, image, {3, extent}), result) < 1e-4);
        }
        const PrunedNetwork sample = parse_torchscript(bytes, name, TensorShape{3, {12, 12}});
        CHECK(sample.network.name == name.substr(0, name.size() - 3));
        std::size_t from_state_dict = 0;
        for (const auto& [key, tensor] : sample.weights)
            if (state_dict.contains(key)) {
                CHECK(tensor.values == state_dict.at(key).values);
                ++from_state_dict;
            }
        // All but the factors that the images are normalised by.
        CHECK(from_state_dict == (name == "frozen.pt" ? 0 : sample.weights.size() - 2));
    }
}

TEST_CASE("A residual network in the manner of ResNet is read with its state dict's names") {
    const Module block =
        Program{.parts = {{"conv1", conv(8, 8, 3, 2)},
                          {"bn1", batch_norm(8)},
                          {"conv2", conv(8, 12, 3)},
                          {"bn2", batch_norm(12)},
                          {"relu", activation("torch.relu_(x)")},
                          {"downsample",
                           Program{.parts = {{"conv", conv(8, 12, 1, 2)}, {"norm", batch_norm(12)}},
                                   .forward = forward("return self.norm.forward("
                                                      "self.conv.forward(x))")}
                               .make()}},
                .forward =
                    forward("y = self.relu.forward(self.bn1.forward(self.conv1.forward(x)))\n"
                            "y = self.bn2.forward(self.conv2.forward(y))\n"
                            "y += self.downsample.forward(x)\n"
                            "return self.relu.forward(y)")}
            .make();
    const Module network =
        Program{.parts = {{"conv1", conv(3, 8, 3)},
                          {"bn1", batch_norm(8)},
                          {"relu", activation("torch.relu(x)")},
                          {"layer1", block},
                          {"fc", linear(12, 5)}},
                .forward =
                    forward("x = self.relu.forward(self.bn1.forward(self.conv1.forward(x)))\n"
                            "x = torch.max_pool2d(x, [3, 3], [2, 2], [1, 1])\n"
                            "x = torch.adaptive_avg_pool2d(self.layer1.forward(x), [1, 1])\n"
                            "return self.fc.forward(torch.flatten(x, 1))")}
            .make();
    const PrunedNetwork sample = import_and_compare(network, {3, {16, 12}});
    CHECK(names(sample.network) ==
          std::vector<std::string>{"input", "conv1", "bn1", "relu", "pool1", "layer1.conv1",
                                   "layer1.bn1", "layer1.relu", "layer1.conv2", "layer1.bn2",
                                   "layer1.downsample.conv", "layer1.downsample.norm", "layer1.add",
                                   "layer1.relu_2", "pool2", "fc"});
    CHECK(sample.weights.size() == 26);
    CHECK(sample.weights.contains("layer1.downsample.norm.running_var"));
}

TEST_CASE("Squeeze and excitation in the manner of MobileNetV3 is read") {
    const Module gate = Program{.parts = {{"fc1", conv(6, 3, 1)}, {"fc2", conv(3, 6, 1)}},
                                .forward = forward("g = torch.adaptive_avg_pool2d(x, [1, 1])\n"
                                                   "g = torch.relu(self.fc1.forward(g))\n"
                                                   "g = torch.hardsigmoid(self.fc2.forward(g))\n"
                                                   "return g * x")}
                            .make();
    const PrunedNetwork sample =
        import_lines("y = torch.hardswish(self.bn.forward(self.expand.forward(x)))\n"
                     "y = self.gate.forward(torch.hardswish(self.depthwise.forward(y)))\n"
                     "x = x + self.project.forward(y)\n"
                     "return self.classifier.forward(x.mean([2, 3]))",
                     {},
                     {{"expand", conv(4, 6, 1)},
                      {"bn", batch_norm(6)},
                      {"depthwise", conv(6, 6, 3, 1, 6)},
                      {"gate", gate},
                      {"project", conv(6, 4, 1)},
                      {"classifier", linear(4, 3)}});
    const Network& network = sample.network;
    CHECK(network.nodes[node_named(network, "depthwise")].groups == 6);
    CHECK(network.nodes[node_named(network, "gate.mul")].op == Operator::multiply);
    CHECK(network.nodes[node_named(network, "gate.hard_sigmoid")].op == Operator::hard_sigmoid);
}

TEST_CASE("Dense concatenation in the manner of DenseNet is read, lists and loops included") {
    const PrunedNetwork sample = import_lines(
        "features = [x]\n"
        "for i in range(3):\n"
        "    y = torch.relu(self.norm.forward(x)) if i == 0 else torch.relu(torch.cat(features, "
        "1))\n"
        "    if self.training:\n"
        "        y = torch.dropout(y, 0.5, True)\n"
        "    y = self.first.forward(y) if i == 0 else torch.avg_pool2d(y, [3], [1], [1])\n"
        "    features.append(y[:, -3:])\n"
        "x = torch.cat(features, 1)\n"
        "return torch.adaptive_avg_pool2d(x, [2, 3])",
        {}, {{"norm", batch_norm(4)}, {"first", conv(4, 3, 3)}});
    CHECK(infer_shapes(sample.network).back() == TensorShape{13, {2, 3}});
}

TEST_CASE("Channel shuffles in the manner of ShuffleNet are read") {
    const std::string shuffle = "b, c, h, w = x.shape\n"
                                "x = x.view(b, 2, c // 2, h, w)\n";
    for (const std::string swap :
         {"x = torch.transpose(x, 1, 2).contiguous()\n", "x = x.permute(0, 2, 1, 3, 4)\n"}) {
        const PrunedNetwork sample =
            import_lines("left, right = torch.chunk(x, 2, 1)\n"
                         "x = torch.cat([left, self.branch.forward(right)], 1)\n" +
                             shuffle + swap + "return x.reshape(b, -1, h, w)",
                         {}, {{"branch", conv(2, 2, 3)}});
        CHECK_THAT(operators(sample.network), Catch::EndsWith(" channel_shuffle"));
    }
    CHECK(operators(import_lines("return torch.channel_shuffle(x, 2)").network) ==
          "channel_shuffle");
    const std::string flat = shuffle + "return x.transpose(2, 1).reshape(b, -1)";
    CHECK(operators(import_lines(flat).network) == "channel_shuffle flatten");
}

TEST_CASE("Branches, an image transformed by channels and no second output, as in GoogLeNet") {
    const PrunedNetwork sample =
        import_lines("a = torch.unsqueeze(x[:, 0], 1) * (0.25 / 0.5) + (0.5 - 0.25) / 0.5\n"
                     "b = torch.unsqueeze(torch.select(x, 1, -1), 1) * 3.0 - 0.125\n"
                     "x = torch.cat([a, b, x[:, 1:3]], 1)\n"
                     "one = self.one.forward(x)\n"
                     "three = torch.relu(self.three.forward(torch.relu(one)))\n"
                     "pooled = torch.max_pool2d(x, [3, 3], [1, 1], [1, 1], [1, 1], True)\n"
                     "aux: Optional[Tensor] = None\n"
                     "if self.training:\n"
                     "    aux = one\n"
                     "return torch.cat([one, three, pooled], 1), aux",
                     {}, {{"one", conv(4, 2, 1)}, {"three", conv(2, 3, 3)}});
    CHECK(output_nodes(sample.network).size() == 1);
}

TEST_CASE("A traced program's low-level operators are read") {
    const PrunedNetwork sample = import_lines(
        "x = torch._convolution(x, self.w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, False, "
        "False, True, True)\n"
        "x = torch.relu_(x)\n"
        "n = x.size(0)\n"
        "x = x.view([n, x.size(1) * 36])\n"
        "x = torch.addmm(self.b1, x, torch.t(self.w1), beta=1, alpha=1)\n"
        "x = torch.dropout(x, 0.5, False)\n"
        "x = torch.matmul(x, self.w2.t()) + self.b2\n"
        "return torch.softmax(x, -1)",
        {{"w", torch::randn({5, 4, 3, 3})},
         {"w1", torch::randn({3, 180})},
         {"b1", torch::randn({3})},
         {"w2", torch::randn({2, 3})},
         {"b2", torch::randn({2})}});
    CHECK(operators(sample.network) == "conv2d relu flatten linear linear softmax");
    CHECK(sample.network.nodes[4].name == "w1");
    CHECK(sample.network.nodes[5].bias);
    // What is read without the bias, too, must not get it.
    import_lines("y = torch.matmul(x.mean([2, 3]), self.w.t())\n"
                 "return y.contiguous() + self.b, torch.tanh(y)",
                 {{"w", torch::randn({2, 4})}, {"b", torch::randn({2})}});
    // Sizes that were fixed when the network was traced with one image.
    for (const char* lines : {"return x.view([1, 144])", "return x.reshape([1, -1])",
                              "return torch.flatten(x.view([1, 4, 36]), 1)"})
        CHECK(operators(import_lines(lines).network) == "flatten");
}

TEST_CASE("Constants become what they amount to") {
    // ReLU6 of x + 3 is 6 times a hard sigmoid.
    CHECK(operators(import_lines("return x * torch.hardtanh(x + 3, 0.0, 6.0) / 6").network) ==
          "hard_swish");
    CHECK(operators(import_lines("return torch.clamp(x / 6 + 0.5, 0, 1)").network) ==
          "hard_sigmoid");
    CHECK(operators(import_lines("return x * torch.sigmoid(x)").network) == "silu");
    CHECK(operators(import_lines("return torch.relu(x * 4) / 4").network) == "relu");
    for (const char* lines :
         {"return torch.clamp(x, min=0)", "return torch.clamp_min(x, 0)",
          "return torch.maximum(x, self.zero)", "return torch.max(self.zero, x)"})
        CHECK(operators(import_lines(lines, {{"zero", torch::zeros({1})}}).network) == "relu");
    for (const char* lines : {"return torch.clamp_max(torch.relu(x * 5), 6)",
                              "return torch.clamp(torch.clamp(x * 5, min=0), max=6)",
                              "return torch.minimum(self.six, torch.relu_(x * 5))",
                              "return torch.min(torch.max(x * 5, self.zero), self.six)"})
        CHECK(operators(
                  import_lines(lines, {{"zero", torch::zeros({1})}, {"six", torch::full({1}, 6.0)}})
                      .network) == "conv2d relu6");
    const std::string scaled_clamp = "conv2d relu6 conv2d";
    CHECK(operators(import_lines("return torch.clamp(x, -1, 2)").network) == scaled_clamp);
    CHECK(operators(import_lines("return torch.hardtanh(x)").network) == scaled_clamp);
    CHECK(operators(import_lines("return (3 - 2 * x - x / 4) * 0.5 + 1").network) ==
          "conv2d conv2d add conv2d");
    CHECK(operators(import_lines("return ((x - self.mean) / self.deviation).neg()",
                                 {{"mean", torch::randn({4, 1, 1})},
                                  {"deviation", torch::rand({1, 4, 1, 1}) + 0.5}})
                        .network) == "conv2d");
    CHECK(operators(import_lines("return x * self.factor.type_as(x) + self.factor.to(x)",
                                 {{"factor", torch::randn({4, 1, 1}).to(torch::kDouble)}})
                        .network) == "conv2d");
    import_lines("return torch.relu(x * -2 + 1) + torch.sub(x, x.mean([2, 3], True), alpha=3)");
    import_lines("y = torch.flatten(x * 3 + self.b.view(4, 1, 1), 1)\nreturn torch.rsub(y, 2)",
                 {{"b", torch::randn({4})}});
}

TEST_CASE("Blocks of pixels as channels become part of the convolution that reads them") {
    const std::string stem = "y = torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], "
                             "x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)\n";
    const std::map<std::string, at::Tensor> weight{{"w", torch::randn({3, 16, 3, 3})}};
    const PrunedNetwork sample =
        import_lines(stem + "return torch.conv2d(y, self.w, None, [1], [1])", weight);
    CHECK(operators(sample.network) == "conv2d");
    const Node& conv = sample.network.nodes[1];
    CHECK((conv.kernel == Extent{6, 6} && conv.stride == Extent{2, 2}));
    CHECK(conv.padding == Extent{2, 2});
    // Read otherwise, they are samples that are joined.
    CHECK(operators(import_lines(stem + "return torch.tanh(y)").network) ==
          "max_pool conv2d conv2d conv2d concat tanh");
    import_lines(stem + "return torch.conv2d(y, self.w, None, [1], [2], [2])", weight);
    import_lines("return torch.cat([x[:, :, 1::2, 1::3], x[:, :, ::2][:, :, :, 2::3]], 1)");
}

TEST_CASE("A linear layer takes over that it reads pixels before channels") {
    const std::map<std::string, at::Tensor> weight{{"w", torch::randn({3, 144})}};
    for (const char* flat : {"torch.flatten(x.permute(0, 2, 3, 1), 1)",
                             "x.permute(0, 2, 3, 1).reshape([x.size(0), -1])",
                             "torch.relu(x).permute(0, 2, 3, 1).contiguous().view([-1, 144])"})
        CHECK_THAT(operators(import_lines("y = " + std::string(flat) +
                                              "\nreturn torch.linear(y, self.w, None)",
                                          weight)
                                 .network),
                   Catch::Matchers::EndsWith("flatten linear"));
    CHECK(operators(import_lines("return torch.flatten(x.permute(0, 2, 3, 1), 1)").network) ==
          "flatten channel_shuffle");
    CHECK(operators(import_lines("return x.permute(0, 2, 3, 1).permute(0, 3, 1, 2)").network)
              .empty());
}

TEST_CASE("Means, pooling and reshapes are read in all their forms") {
    const std::string pooled = "global_average_pool";
    for (const char* lines :
         {"return torch.adaptive_avg_pool2d(x, [1, 1])", "return x.mean([2, 3])",
          "return torch.mean(x, [-1, -2], True)", "return x.mean(3).mean(2)",
          "return x.mean(3, True).mean(2, True)", "return x.view(x.size(0), 4, -1).mean(2)",
          "return x.flatten(2).mean(-1, True).squeeze(-1)",
          "return torch.avg_pool2d(x, x.shape[2:])[:, :, 0:1].squeeze(3).squeeze(-1)",
          "return torch.adaptive_avg_pool2d(x, [1, 1]).squeeze()"})
        CHECK(operators(import_lines(lines).network) == pooled);
    for (const char* lines :
         {"return torch.adaptive_avg_pool2d(x, [6, 6])",
          "return x.view(x.size(0), 4, 36).view(x.shape)", "return x.flatten(1).view(-1, 4, 6, 6)",
          "return x.unsqueeze(2).squeeze(2)", "return x.to(6)",
          "return x[:, :, :, :].contiguous().detach().clone()",
          "return torch.dropout_(x, 0.5, False)"})
        CHECK(operators(import_lines(lines).network).empty());
}

TEST_CASE("Pooling, resizing and padding keep their fields") {
    const auto node = [](const std::string& lines) {
        const PrunedNetwork sample = import_lines(lines);
        REQUIRE(sample.network.nodes.size() == 2);
        return sample.network.nodes[1];
    };
    const Node pool = node("return torch.max_pool2d(x, [3, 2], [2, 1], [1, 0], [1, 1], True)");
    CHECK((pool.kernel == Extent{3, 2} && pool.stride == Extent{2, 1}));
    CHECK((pool.padding == Extent{1, 0} && pool.ceil_mode));
    CHECK(node("return torch.max_pool2d(x, [2])").stride == Extent{2, 2});
    const Node mean = node("return torch.avg_pool2d(x, [3], [2], [1], False, False)");
    CHECK((mean.op == Operator::average_pool && !mean.count_include_pad));
    const Node windows = node("return torch.adaptive_avg_pool2d(x, [3, 1])");
    CHECK((windows.op == Operator::average_pool && windows.kernel == Extent{2, 6}));
    CHECK(node("y, places = torch.adaptive_max_pool2d(x, [2, 3])\nreturn y").kernel ==
          Extent{3, 2});
    CHECK(node("return torch.upsample_nearest2d(x, [9, 7])").size == Extent{9, 7});
    CHECK(node("return torch.upsample_nearest2d(x, None, [2.0, 1.5])").size == Extent{12, 9});
    CHECK(node("return torch.upsample_bilinear2d(x, [9, 7], False)").size == Extent{9, 7});
    CHECK(node("return torch.upsample_bilinear2d(x, None, True, [1.7, 1.3])").align_corners);
    const Node pad = node("return torch.constant_pad_nd(x, [1, 2, 3, 0, 2, 1], 0)");
    CHECK((pad.padding == Extent{3, 1} && pad.padding_after == Extent{0, 2}));
    CHECK((pad.channels_before == 2 && pad.channels_after == 1));
    const Node shortcut = node("return x[:, :, ::2, ::3]");
    CHECK((shortcut.op == Operator::max_pool && shortcut.stride == Extent{2, 3}));
    CHECK(operators(import_lines("y = x[:, :, ::2]\nreturn y[:, :, :, ::2], y").network) ==
          "max_pool max_pool");
    import_lines("y = x[:, :, ::2, ::2]\nreturn y[:, :, ::2], y");
    CHECK(node("return torch.narrow(x, 1, -3, 2)").first_channel == 1);
    CHECK(node("return x[:, -3:-1]").output_channels == 2);
    CHECK(node("return torch.split(x, 3, 1)[1]").first_channel == 3);
    CHECK(node("return torch.split(x, [1, 2, 1], 1)[1]").output_channels == 2);
    CHECK(node("return torch.leaky_relu(x, 0.3)").negative_slope == 0.3);
}

TEST_CASE("What an operator overwrites is seen by all that read it later") {
    CHECK(operators(import_lines("y = torch.relu_(x)\nreturn x + y * 1").network) == "relu add");
    import_lines("y = x * 1\nz = torch.flatten(y, 1)\ny.add_(1)\nreturn y");
    import_lines("y = torch.relu(x)\nz = torch.dropout(y, 0.1, False)\nz.mul_(2)\n"
                 "y += x\nreturn y - z * 3");
    import_lines("y = torch.tanh(x)\nz = y.contiguous()\nz -= 0.5\nw = y.clone()\n"
                 "w.sigmoid_()\nreturn y * w");
    const auto refuses = [](const std::string& lines) {
        CHECK_THAT(refusal(lines), Contains("write that operator without inplace"));
    };
    refuses("y = x[:, 1:3]\ntorch.relu_(y)\nreturn x");
    refuses("y = x[:, 1:3]\ntorch.relu_(x)\nreturn torch.tanh(y)");
    refuses("y = torch.flatten(x, 1)\ntorch.relu_(x)\nreturn torch.tanh(y)");
}

TEST_CASE("A layer that is used twice is there twice, with copies of its weights") {
    const PrunedNetwork sample =
        import_lines("x = self.shared.forward(x)\nreturn self.shared.forward(torch.relu(x))", {},
                     {{"shared", conv(4, 4, 3)}});
    CHECK(names(sample.network) ==
          std::vector<std::string>{"input", "shared", "relu1", "shared_2"});
    CHECK(sample.weights.at("shared.weight").values == sample.weights.at("shared_2.weight").values);
}

TEST_CASE("Several outputs, nested as they may be, and layers that none depends on") {
    const PrunedNetwork sample = import_lines("unused = self.conv.forward(x)\ny = torch.relu(x)\n"
                                              "return torch.tanh(y), y, y.view(x.size(0), 4, -1)",
                                              {}, {{"conv", conv(4, 4, 3)}});
    CHECK(operators(sample.network) == "relu tanh");
    CHECK(sample.network.outputs == std::vector<std::size_t>{2, 1, 1});
    CHECK(sample.weights.empty());
    const PrunedNetwork nested =
        imported(Program{.forward = forward("y = torch.relu(x)\n"
                                            "return {\"a\": [y, torch.tanh(y)], \"b\": [x]}")}
                     .make(),
                 {4, {6, 6}});
    CHECK(nested.network.outputs == std::vector<std::size_t>{1, 2, 0});
}

// ------------------------------------------------------------------------------------ bad input

TEST_CASE("An operator that networks here do not have is named, with its place and a workaround") {
    const Module block = Program{.forward = forward("return torch.gelu(x)")}.make();
    CHECK_THAT(refusal(Program{.parts = {{"block", block}},
                               .forward = forward("return self.block.forward(x)")}),
               Contains("sample.pt: operator aten::gelu of module 'block' (") &&
                   Contains(", line 2) is not one that networks here are made of; use SiLU"));
    CHECK_THAT(refusal("return torch.argsort(x)"),
               Contains("aten::argsort") && Contains("end the exported network"));
    CHECK_THAT(refusal("return torch.log_softmax(x, 1)"), Contains("return its logits"));
}

TEST_CASE("Forms of operators that networks here cannot express are refused with a reason") {
    const auto refuses = [](const std::string& lines, const std::string& reason) {
        CAPTURE(lines);
        CHECK_THAT(refusal(lines), Contains(reason));
    };
    refuses("return torch.conv2d(x, torch.conv2d(x, x))", "needs a 'weight'");
    refuses("return torch.dropout(x, 0.5, True)", "call eval() before");
    refuses("return torch.softmax(x, 2)", "not over the channels");
    refuses("return torch.max_pool2d(x, [3], [1], [0], [2])", "is dilated");
    refuses("return torch.avg_pool2d(x, [3], [1], [0], False, True, 5)", "a divisor of its own");
    refuses("return torch.adaptive_avg_pool2d(x, [4, 4])", "windows of different sizes");
    refuses("return torch.upsample_nearest2d(x, None, [1.3, 1.3])", "whole pixels");
    refuses("return x.mean(1)", "other dimensions than height and width");
    refuses("return torch.sigmoid(x.mean(3)).mean(2)", "means over the width alone");
    refuses("return torch.relu(x.mean(3)).mean(2)", "means over the width alone");
    refuses("return (x.mean(3) * x.mean(3)).mean(2)", "means over the width alone");
    CHECK_THAT(refusal(Program{
                   .tensors = {{"w", torch::randn({144})}},
                   .forward = forward("return (torch.flatten(x, 1) * self.w).view(-1, 4, 6, 6)")}),
               Contains("mixes channels and pixels"));
    refuses("return x.permute(0, 3, 2, 1)", "order of dimensions");
    refuses("return x.permute(0, 2, 3, 1)", "no longer is batch, channels, height and width");
    refuses("return torch.flatten(x.permute(0, 2, 3, 1), 2)", "mixes channels and pixels");
    refuses("return x.view(x.size(0), 8, 3, 6)", "[N, 8, 3, 6] of [N, 4, 6, 6], which mixes");
    refuses("return x.view(3, -1)", "the batch must stay the first dimension");
    refuses("return x[1:]", "some of the batch's images");
    refuses("return x[:, ::2]", "every so many channels");
    refuses("return x[:, :, 1:]", "cuts off a part of the image");
    refuses("return x[:, :, 2::2]", "cuts off a part of the image");
    refuses("return torch.cat([x[:, :, ::4], x[:, :, 1::4], x[:, :, 2::4]], 1)",
            "different extents");
    refuses("return torch.constant_pad_nd(x, [-1, 0], 0)", "cuts off a part of the image");
    refuses("return torch.constant_pad_nd(x, [1, 1], 1)", "something else than zeros");
    refuses("return torch.cat([x, x], 2)", "another dimension than the channels");
    refuses("return x + x.flatten(1)", "dimensions that do not correspond");
    refuses("return x + torch.mean(x, [2, 3], True)[:, :3]", "different shapes");
    refuses("return x / x", "divides by what an image shows");
    refuses("return torch.clamp(x, min=1)", "one bound only");
    refuses("return torch.clamp(x, max=6)", "one bound only");
    refuses("return torch.clamp_max(torch.relu(x), -1)", "clamps to nothing");
    refuses("return torch.maximum(x, torch.tanh(x))", "needs a number as 'other'");
    refuses("return torch.max(x, 1)[0]", "has no argument 'other'");
    refuses("return x * (1.0 / 0.0)", "not finite");
    refuses("return x.to(3)", "converts to integers");
    refuses("if bool(x.sum() > 0):\n    x = torch.relu(x)\nreturn x", "aten::sum");
    refuses("assert x.size(2) == 7, \"only 7\"\nreturn x", "stops the program");
    refuses("return torch.ones([4, 6, 6]) + x", "store it in the module");
    refuses("y = 0\nfor i in range(5000000):\n    y = y + i\nreturn x * y",
            "repeats more than 2000000");
    refuses("return x.mean(3)", "no longer is batch, channels, height and width");
    refuses("return 3", "no tensor of the images");
    CHECK_THAT(refusal(Program{.parts = {{"fc", linear(4, 2)}},
                               .forward = forward("return self.fc.forward(x)")}),
               Contains("aten::linear of module 'fc'") && Contains("flatten it first"));
    CHECK_THAT(refusal(Program{.parts = {{"conv", conv(5, 2, 1)}},
                               .forward = forward("return self.conv.forward(x)")}),
               Contains("has a weight of shape [2, 5, 1, 1] and 1 group, but an input of 4"));
    CHECK_THAT(refusal(Program{.tensors = {{"w", torch::randn({6, 6})}},
                               .forward = forward("return x * self.w")}),
               Contains("one value for each of 4 channels"));
    CHECK_THAT(refusal(Program{.tensors = {{"w", torch::randn({4, 2, 3, 3})}},
                               .forward = forward("return torch.conv_transpose2d(x, self.w)")}),
               Contains("nearest resize and a convolution"));
}

TEST_CASE("Batch norms without statistics or in training mode are refused") {
    const std::string end = ", 0.1, 1e-5, True)";
    CHECK_THAT(refusal("return torch.batch_norm(x, None, None, None, None, True" + end),
               Contains("has no running statistics"));
    Program norm{.tensors = {{"mean", torch::randn({4})}, {"var", torch::rand({4}) + 0.5}},
                 .forward = forward("return torch.batch_norm(x, None, None, self.mean, self.var, "
                                    "True" +
                                    end)};
    CHECK_THAT(refusal(norm), Contains("is in training mode; call eval()"));
    norm.forward =
        forward("return torch.batch_norm(x, None, None, self.mean, self.var, False" + end);
    CHECK(import_and_compare(norm.make(), {4, {6, 6}}).weights.size() == 4);
}

TEST_CASE("The shape of an image is taken from the caller, or from a file of ours, or asked for") {
    const Network network =
        make_network({.name = "resnet20", .width = 0.25, .classes = 4, .input_extent = {32, 32}});
    const auto ours = torchscript_bytes(network, random_weights(network, 1));
    CHECK(parse_torchscript(ours, "n.pt", std::nullopt).network.input_extent == Extent{32, 32});
    CHECK(parse_torchscript(ours, "n.pt", TensorShape{3, {24, 40}}).network.input_extent ==
          Extent{24, 40});
    CHECK_THROWS_WITH(parse_torchscript(ours, "n.pt", TensorShape{1, {32, 32}}),
                      Contains("an input of 1 channel"));
    const auto theirs = saved(Program{.forward = forward("return torch.relu(x)")}.make());
    CHECK_THROWS_WITH(parse_torchscript(theirs, "n.pt", std::nullopt),
                      Contains("n.pt: a TorchScript file does not tell the shape of the images"));
    CHECK_THROWS_AS(parse_torchscript(theirs, "n.pt", TensorShape{0, {32, 32}}), core::DataError);
}

TEST_CASE("Modules that do not take one batch of images are refused") {
    Module empty("Empty");
    empty.register_attribute("x", c10::IntType::get(), 1);
    CHECK_THROWS_WITH(imported(empty, {4, {6, 6}}), Contains("no method 'forward'"));
    CHECK_THAT(refusal(Program{.forward = "def forward(self, x, y):\n    return x + y\n"}),
               Contains("forward takes 2 inputs"));
    CHECK_THAT(refusal(Program{.forward = "def forward(self, x: int):\n    return x\n"}),
               Contains("must take a tensor"));
    CHECK(imported(Program{.forward = "def forward(self, x, twice: bool = False):\n"
                                      "    return x + x if twice else x\n"}
                       .make(),
                   {4, {6, 6}})
              .network.nodes.size() == 1);
}

TEST_CASE("An archive that is cut, or none, is refused before LibTorch sees it") {
    const test::TemporaryFolder folder;
    const std::vector<std::byte> good = saved(Program{
        .parts = {{"conv", conv(4, 4, 3)}}, .forward = forward("return self.conv.forward(x)")}
                                                  .make());
    const TensorShape input{4, {6, 6}};
    CHECK_NOTHROW(parse_torchscript(good, "n.pt", input));
    for (std::size_t size = 0; size < good.size(); size += 13)
        CHECK_THROWS_WITH(parse_torchscript(std::span(good).first(size), "n.pt", input),
                          Contains("n.pt: not a TorchScript archive"));
    CHECK_THROWS_WITH(parse_torchscript(bytes_of_file("make.py"), "n.pt", input),
                      Contains("the zip directory at its end is missing"));
    CHECK_THROWS_WITH(parse_torchscript(bytes_of_file("saved.pth"), "n.pt", input),
                      Contains("it was written by torch.save") && Contains("torch.jit.trace"));
    CHECK_THROWS_AS(read_torchscript(folder / "none.pt", input), core::DataError);
}

TEST_CASE("A tensor that says to be larger than its memory is refused") {
    std::vector<std::byte> bytes = saved(Program{.parts = {{"conv", conv(4, 4, 3)}},
                                                 .forward = forward("return self.conv.forward(x)")}
                                             .make());
    const std::string sizes = "K\x04K\x04K\x03K\x03t"; // a pickle's [4, 4, 3, 3]
    const std::span<const std::byte> shape = std::as_bytes(std::span(sizes));
    const auto found = std::search(bytes.begin(), bytes.end(), shape.begin(), shape.end());
    REQUIRE(found != bytes.end());
    *(found + 5) = std::byte{0x7F};
    CHECK_THROWS_WITH(parse_torchscript(bytes, "n.pt", TensorShape{4, {6, 6}}),
                      Contains("'conv.weight' reaches outside of its memory"));
    CHECK_THROWS_WITH(parse_torchscript_weights(bytes, "n.pt"),
                      Contains("n.pt: tensor 'conv.weight' reaches outside of its memory"));
}

TEST_CASE("A program that LibTorch cannot compile is a DataError that names the file") {
    std::vector<std::byte> bytes =
        saved(Program{.forward = forward("return torch.relu(x)")}.make());
    const std::string relu = "torch.relu";
    const std::span<const std::byte> word = std::as_bytes(std::span(relu));
    const auto found = std::search(bytes.begin(), bytes.end(), word.begin(), word.end());
    REQUIRE(found != bytes.end());
    *(found + 6) = std::byte{'q'};
    CHECK_THROWS_AS(parse_torchscript(bytes, "n.pt", TensorShape{4, {6, 6}}), core::DataError);
    CHECK_THROWS_WITH(parse_torchscript(bytes, "n.pt", TensorShape{4, {6, 6}}),
                      Contains("n.pt: LibTorch cannot load the module"));
}

TEST_CASE(
    "The tensors of a TorchScript archive are its state dict, without counters and wrappers") {
    Program inner{.tensors = {{"weight", torch::randn({2, 3})},
                              {"half", torch::ones({2}).to(torch::kHalf)},
                              {"num_batches_tracked", torch::tensor(7)}},
                  .forward = forward("return x")};
    const Module wrapped =
        Program{.parts = {{"module", inner.make()}}, .forward = forward("return x")}.make();
    const Weights weights = parse_torchscript_weights(saved(wrapped), "w.pt").weights;
    REQUIRE(weights.size() == 2);
    CHECK(weights.at("weight").values == values_of(inner.tensors.at("weight")));
    CHECK(weights.at("half").values == std::vector<float>{1.0F, 1.0F});
}
