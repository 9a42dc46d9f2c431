#include "engine.hpp"

#include "execution_plan.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/fold_batch_norm.hpp"
#include "lane_kernels.hpp"
#include "lane_layer.hpp"
#include "row_chain.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <utility>

namespace hdap::accuracy {
namespace {

using network::Node;
using network::Operator;
using network::TensorShape;

/// w·(x − mean)/√(var + ε) + b as a factor and an offset per channel.
struct NormFactors {
    std::vector<float> factor;
    std::vector<float> offset;
};

NormFactors norm_factors(const Node& norm, const network::Weights& weights,
                         const BatchStatistics& statistics) {
    const std::vector<float>& gamma = weights.at(norm.name + ".weight").values;
    const std::vector<float>& beta = weights.at(norm.name + ".bias").values;
    NormFactors result;
    for (std::size_t c = 0; c < gamma.size(); ++c) {
        const double factor =
            static_cast<double>(gamma[c]) / std::sqrt(statistics.variance[c] + norm.epsilon);
        result.factor.push_back(static_cast<float>(factor));
        result.offset.push_back(
            static_cast<float>(static_cast<double>(beta[c]) - statistics.mean[c] * factor));
    }
    return result;
}

NormFactors running_factors(const Node& norm, const network::Weights& weights) {
    const std::vector<float>& mean = weights.at(norm.name + ".running_mean").values;
    const std::vector<float>& variance = weights.at(norm.name + ".running_var").values;
    return norm_factors(norm, weights,
                        {{mean.begin(), mean.end()}, {variance.begin(), variance.end()}});
}

/// The two source rows or columns that one of a resized image lies between, and the share of the
/// second; as PyTorch places them.
LaneKernels::Place place_of(const Node& node, std::int64_t i, std::int64_t from, std::int64_t to) {
    if (node.op == Operator::resize_nearest) {
        const std::int64_t pixel = network::nearest_pixel(i, from, to);
        return {pixel, pixel, 0.0F};
    }
    const auto ratio = static_cast<float>(from) / static_cast<float>(to);
    float position = std::max(0.0F, (static_cast<float>(i) + 0.5F) * ratio - 0.5F);
    if (node.align_corners)
        position = to == 1 ? 0.0F
                           : static_cast<float>(i) * static_cast<float>(from - 1) /
                                 static_cast<float>(to - 1);
    const auto first = std::min(static_cast<std::int64_t>(position), from - 1);
    return {first, std::min(first + 1, from - 1), position - static_cast<float>(first)};
}

std::vector<LaneKernels::Place> places_of(const Node& node, std::int64_t from, std::int64_t to) {
    std::vector<LaneKernels::Place> places;
    for (std::int64_t i = 0; i < to; ++i)
        places.push_back(place_of(node, i, from, to));
    return places;
}

LaneKernels::Pooling pooling_of(const Node& node, const TensorShape& from, const TensorShape& to) {
    const bool global = node.op == Operator::global_average_pool;
    return {.height = from.extent.height,
            .width = from.extent.width,
            .output_height = to.extent.height,
            .output_width = to.extent.width,
            .kernel_height = global ? from.extent.height : node.kernel.height,
            .kernel_width = global ? from.extent.width : node.kernel.width,
            .stride_height = node.stride.height,
            .stride_width = node.stride.width,
            .padding_height = node.padding.height,
            .padding_width = node.padding.width,
            .include_padding = node.count_include_pad};
}

} // namespace

/// The plan, its memory, and for each step what runs it.
struct Engine::State {
    State(network::PrunedNetwork prepared, std::int64_t own_batch, NormMode own_norms,
          const LaneKernels& own_kernels)
        : network(std::move(prepared.network)), weights(std::move(prepared.weights)),
          batch(own_batch), norms(own_norms), kernels(own_kernels), lanes(kernels.lanes),
          blocks((batch + lanes - 1) / lanes), plan(plan_execution(network)) {
        // With running statistics a block goes through the whole network before the next, so that
        // its tensors stay in the cache. Statistics of the batch need all blocks, layer by layer.
        const std::int64_t held = norms == NormMode::running ? 1 : blocks;
        for (const std::int64_t elements : plan.buffer_elements) {
            buffers.push_back(make_buffer(elements * lanes * held));
            block_strides.push_back(held > 1 ? elements * lanes : 0);
        }
        images.resize(static_cast<std::size_t>(batch * elements(0)));
        for (const std::size_t output : plan.outputs)
            outputs.emplace_back(static_cast<std::size_t>(batch * elements(output)));
        for (const Step& step : plan.steps)
            add(step);
        packed = make_buffer(packed_elements * lanes);
    }

    /// What a step does to one block, or to all of them together.
    struct Operation {
        std::function<void(std::int64_t block)> of_block;
        std::function<void()> of_batch;
    };

    void run() {
        if (norms == NormMode::running) {
            for (std::int64_t block = 0; block < blocks; ++block) {
                read_images(block);
                for (const Operation& operation : operations)
                    operation.of_block(block);
                write_outputs(block);
            }
            return;
        }
        for (std::int64_t block = 0; block < blocks; ++block)
            read_images(block);
        for (const Operation& operation : operations) {
            if (operation.of_batch) {
                operation.of_batch();
                continue;
            }
            for (std::int64_t block = 0; block < blocks; ++block)
                operation.of_block(block);
        }
        for (std::int64_t block = 0; block < blocks; ++block)
            write_outputs(block);
    }

    // ---------------------------------------------------------------------------------- memory

    [[nodiscard]] float* data(std::size_t tensor, std::int64_t block) const {
        const std::size_t buffer = plan.tensors[tensor].buffer;
        return buffers[buffer].get() + block * block_strides[buffer];
    }
    [[nodiscard]] const TensorShape& shape(std::size_t tensor) const {
        return plan.tensors[tensor].shape;
    }
    [[nodiscard]] std::int64_t elements(std::size_t tensor) const {
        return shape(tensor).channels * pixels_of(shape(tensor));
    }
    [[nodiscard]] std::int64_t images_in(std::int64_t block) const {
        return std::min<std::int64_t>(lanes, batch - block * lanes);
    }

    void read_images(std::int64_t block) const {
        const std::int64_t channels = shape(0).channels;
        const std::int64_t pixels = pixels_of(shape(0));
        float* const target = data(0, block);
        const float* const first = images.data() + block * lanes * elements(0);
        const std::int64_t image = elements(0);
        const std::int64_t count = images_in(block);
        for (std::int64_t c = 0; c < channels; ++c)
            for (std::int64_t p = 0; p < pixels; ++p)
                for (std::int64_t l = 0; l < count; ++l)
                    target[(c * pixels + p) * lanes + l] = first[l * image + p * channels + c];
    }

    void write_outputs(std::int64_t block) {
        for (std::size_t i = 0; i < plan.outputs.size(); ++i) {
            const std::size_t tensor = plan.outputs[i];
            const std::int64_t channels = shape(tensor).channels;
            const std::int64_t pixels = pixels_of(shape(tensor));
            const float* const source = data(tensor, block);
            for (std::int64_t l = 0; l < images_in(block); ++l) {
                float* const image = outputs[i].data() + (block * lanes + l) * elements(tensor);
                for (std::int64_t c = 0; c < channels; ++c)
                    for (std::int64_t p = 0; p < pixels; ++p)
                        image[p * channels + c] = source[(c * pixels + p) * lanes + l];
            }
        }
    }

    // ------------------------------------------------------------------------------- operations

    void each_block(std::function<void(std::int64_t)> operation) {
        operations.push_back({std::move(operation), {}});
    }

    void add(const Step& step) {
        if (step.copies_added_tensor) add_copy(*step.added_tensor, step.output);
        const Node& node = network.nodes[step.node];
        bool activated = false;
        if (network::has_weights(node.op))
            activated = add_layer(step, node);
        else if (node.op == Operator::batch_norm)
            activated = add_norm(step, node);
        else
            add_other(step, node);
        if (step.activation && !activated)
            add_activation(network.nodes[*step.activation], step.output);
    }

    /// The clamp that a step's own pass can do, and whether that is all of its activation.
    [[nodiscard]] std::pair<Clamp, bool> fused_clamp(const Step& step) const {
        if (!step.activation || !is_clamp(network.nodes[*step.activation].op)) return {{}, false};
        return {clamp_of(network.nodes[*step.activation]), true};
    }

    bool add_layer(const Step& step, const Node& node);
    bool add_depthwise(const Step& step, const Node& node);
    bool add_chain(const Step& step);
    bool add_norm(const Step& step, const Node& node);
    void measure_and_normalise(const Node& node, std::size_t in, std::size_t out,
                               const Clamp& clamp, BatchStatistics& found);
    void add_activation(const Node& node, std::size_t tensor);
    void add_other(const Step& step, const Node& node);
    void add_combination(const Step& step, const Node& node);
    void add_concat(const Step& step);
    void add_pooling(const Step& step, const Node& node);
    void add_pad(const Step& step, const Node& node);

    void add_copy(std::size_t from, std::size_t to) { add_copy_of(from, 0, to, 0, elements(to)); }
    void add_copy_of(std::size_t from, std::int64_t from_first, std::size_t to,
                     std::int64_t to_first, std::int64_t count) {
        each_block([=, this](std::int64_t block) {
            std::memcpy(data(to, block) + to_first * lanes, data(from, block) + from_first * lanes,
                        static_cast<std::size_t>(count * lanes) * sizeof(float));
        });
    }

    network::Network network;
    network::Weights weights;
    std::int64_t batch;
    NormMode norms;
    const LaneKernels& kernels;
    int lanes;
    std::int64_t blocks;
    ExecutionPlan plan;
    std::vector<LaneBuffer> buffers;
    std::vector<std::int64_t> block_strides; ///< per buffer; 0 where there is one block at a time
    std::int64_t packed_elements = 0;
    LaneBuffer packed;                       ///< a layer's input as words, with its padding
    std::vector<float> images;               ///< [batch][height][width][channels]
    std::vector<std::vector<float>> outputs; ///< the same, per output
    std::vector<Operation> operations;
    std::map<std::string, BatchStatistics> statistics;
};

bool Engine::State::add_layer(const Step& step, const Node& node) {
    if (!step.before.empty()) return add_chain(step);
    if (!step.added_tensor && has_depthwise_rows(node, shape(step.inputs[0]).channels))
        return add_depthwise(step, node);
    const std::vector<float>& weight = weights.at(node.name + ".weight").values;
    const std::vector<float> bias = bias_of(node, weights);
    TensorShape input = shape(step.inputs[0]);
    if (node.op == Operator::linear) input = {elements(step.inputs[0]), {1, 1}};
    const TensorShape output = shape(step.output);
    const Taps taps = taps_of(node, input, output, kernels);
    const bool packs = kernels.packed_channels > 1 || node.padding != network::Extent{0, 0};
    const TensorShape group_input{input.channels / node.groups, input.extent};
    const std::int64_t group_outputs = output.channels / node.groups;
    if (packs)
        packed_elements = std::max(packed_elements, taps.padded.channels * pixels_of(taps.padded));
    std::vector<std::vector<float>> group_weights;
    for (std::int64_t g = 0; g < node.groups; ++g)
        group_weights.push_back(
            packed_weights(weight,
                           {g * group_outputs, group_outputs, group_input.channels,
                            node.kernel.height * node.kernel.width},
                           kernels));
    const auto [clamp, activated] = fused_clamp(step);
    each_block([=, this, in = step.inputs[0], out = step.output,
                accumulate = step.added_tensor.has_value(),
                padding = padding_of(node, input, taps.padded.extent),
                limits = clamp](std::int64_t block) {
        const float* from = data(in, block);
        float* to = data(out, block);
        for (std::size_t g = 0; g < group_weights.size(); ++g) {
            const float* read = from;
            if (packs) {
                kernels.pack(padding, from, group_input.channels, packed.get());
                read = packed.get();
            }
            kernels.convolve({.input = read,
                              .tap_offsets = taps.offsets.data(),
                              .taps = static_cast<std::int64_t>(taps.offsets.size()),
                              .pixel_offsets = taps.pixels.data(),
                              .pixels = static_cast<std::int64_t>(taps.pixels.size()),
                              .weights = group_weights[g].data(),
                              .bias = bias.data() + static_cast<std::int64_t>(g) * group_outputs,
                              .channels = group_outputs,
                              .output = to,
                              .output_stride = pixels_of(output) * lanes,
                              .accumulate = accumulate,
                              .low = limits.low,
                              .high = limits.high});
            from += group_input.channels * pixels_of(group_input) * lanes;
            to += group_outputs * pixels_of(output) * lanes;
        }
    });
    return activated;
}

bool Engine::State::add_depthwise(const Step& step, const Node& node) {
    const auto [clamp, activated] = fused_clamp(step);
    const TensorShape& from = shape(step.inputs[0]);
    const TensorShape& to = shape(step.output);
    each_block([this, in = step.inputs[0], out = step.output,
                layer = depthwise_layer(node, weights, from, to, clamp)](std::int64_t block) {
        const TensorRows input = all_rows(data(in, block), layer.input, lanes);
        const TensorRows output = all_rows(data(out, block), layer.output, lanes);
        for (std::int64_t y = 0; y < layer.output.extent.height; ++y)
            run_depthwise_row(kernels, layer, input, y, output.row(y), output.channel_stride,
                              LaneKernels::group_pixels * lanes);
    });
    return activated;
}

bool Engine::State::add_chain(const Step& step) {
    std::vector<RowChain::Layer> layers;
    const auto add_layer_of = [&](const Step& part) {
        layers.push_back({&network.nodes[part.node], shape(part.inputs[0]), shape(part.output),
                          fused_clamp(part).first});
    };
    for (const Step& part : step.before)
        add_layer_of(part);
    add_layer_of(step);
    each_block([this, in = step.before.front().inputs[0], out = step.output,
                accumulate = step.added_tensor.has_value(),
                chain = std::make_shared<RowChain>(layers, weights, kernels)](std::int64_t block) {
        chain->run(data(in, block), data(out, block), accumulate);
    });
    return fused_clamp(step).second;
}

bool Engine::State::add_norm(const Step& step, const Node& node) {
    const auto [clamp, activated] = fused_clamp(step);
    const std::size_t in = step.inputs[0];
    const std::size_t out = step.output;
    if (norms != NormMode::running) {
        BatchStatistics& found = statistics[node.name];
        operations.push_back({{}, [this, &node, in, out, limits = clamp, &found] {
                                  measure_and_normalise(node, in, out, limits, found);
                              }});
        return activated;
    }
    each_block([this, in, out, limits = clamp,
                factors = running_factors(node, weights)](std::int64_t block) {
        kernels.scale(data(in, block), shape(in).channels, pixels_of(shape(in)),
                      factors.factor.data(), factors.offset.data(), limits.low, limits.high,
                      data(out, block));
    });
    return activated;
}

void Engine::State::measure_and_normalise(const Node& node, std::size_t in, std::size_t out,
                                          const Clamp& clamp, BatchStatistics& found) {
    const std::int64_t channels = shape(in).channels;
    const std::int64_t pixels = pixels_of(shape(in));
    const auto count = static_cast<double>(batch * pixels);
    found.mean.assign(static_cast<std::size_t>(channels), 0.0);
    found.variance = found.mean;
    std::array<double, 16> sum{};
    std::array<double, 16> squares{};
    for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t offset = c * pixels * lanes;
        // Relative to one of the values, so that a mean far from zero does not drown the variance.
        const float origin = data(in, 0)[offset];
        double total = 0.0;
        double total_squares = 0.0;
        for (std::int64_t block = 0; block < blocks; ++block) {
            kernels.sums(data(in, block) + offset, pixels, origin, sum.data(), squares.data());
            for (std::int64_t l = 0; l < images_in(block); ++l) {
                total += sum[static_cast<std::size_t>(l)];
                total_squares += squares[static_cast<std::size_t>(l)];
            }
        }
        const double mean = total / count;
        found.mean[static_cast<std::size_t>(c)] = mean + static_cast<double>(origin);
        found.variance[static_cast<std::size_t>(c)] =
            std::max(0.0, total_squares / count - mean * mean);
    }
    const NormFactors factors = norms == NormMode::batch ? norm_factors(node, weights, found)
                                                         : running_factors(node, weights);
    for (std::int64_t block = 0; block < blocks; ++block)
        kernels.scale(data(in, block), channels, pixels, factors.factor.data(),
                      factors.offset.data(), clamp.low, clamp.high, data(out, block));
}

void Engine::State::add_activation(const Node& node, std::size_t tensor) {
    const std::int64_t count = elements(tensor);
    const auto apply = [&](void (*kernel)(float*, std::int64_t)) {
        each_block([=, this](std::int64_t block) { kernel(data(tensor, block), count); });
    };
    switch (node.op) {
    case Operator::silu:
        return apply(kernels.silu);
    case Operator::sigmoid:
        return apply(kernels.sigmoid);
    case Operator::tanh:
        return apply(kernels.tanh);
    case Operator::hard_sigmoid:
        return apply(kernels.hard_sigmoid);
    case Operator::hard_swish:
        return apply(kernels.hard_swish);
    case Operator::leaky_relu:
        return each_block(
            [=, this, slope = static_cast<float>(node.negative_slope)](std::int64_t block) {
                kernels.leaky_relu(data(tensor, block), count, slope);
            });
    default:
        return each_block([=, this, limits = clamp_of(node)](std::int64_t block) {
            kernels.clamp(data(tensor, block), count, limits.low, limits.high);
        });
    }
}

void Engine::State::add_combination(const Step& step, const Node& node) {
    const std::size_t out = step.output;
    const auto kernel = node.op == Operator::add ? kernels.add : kernels.multiply;
    const auto operand = [this](std::size_t tensor, std::int64_t block) {
        const std::int64_t pixels = pixels_of(shape(tensor));
        return LaneKernels::Operand{data(tensor, block),
                                    shape(tensor).channels == 1 ? 0 : pixels * lanes,
                                    pixels == 1 ? 0 : lanes};
    };
    each_block([=, this, inputs = step.inputs](std::int64_t block) {
        std::size_t first = inputs[0];
        for (std::size_t k = 1; k < inputs.size(); ++k, first = out)
            kernel(operand(first, block), operand(inputs[k], block), shape(out).channels,
                   pixels_of(shape(out)), data(out, block));
    });
}

void Engine::State::add_concat(const Step& step) {
    std::int64_t first = 0;
    for (const std::size_t input : step.inputs) {
        add_copy_of(input, 0, step.output, first, elements(input));
        first += elements(input);
    }
}

void Engine::State::add_pooling(const Step& step, const Node& node) {
    const auto kernel = node.op == Operator::max_pool ? kernels.max_pool : kernels.average_pool;
    each_block([this, kernel, in = step.inputs[0], out = step.output,
                pooling = pooling_of(node, shape(step.inputs[0]), shape(step.output))](
                   std::int64_t block) {
        kernel(pooling, data(in, block), shape(in).channels, data(out, block));
    });
}

void Engine::State::add_pad(const Step& step, const Node& node) {
    const std::int64_t pixels = pixels_of(shape(step.output)) * lanes;
    each_block([this, pixels, in = step.inputs[0], out = step.output,
                padding = padding_of(node, shape(step.inputs[0]), shape(step.output).extent),
                channels_before = node.channels_before,
                channels_after = node.channels_after](std::int64_t block) {
        float* const first = data(out, block) + channels_before * pixels;
        std::fill_n(data(out, block), channels_before * pixels, 0.0F);
        kernels.pad(padding, data(in, block), shape(in).channels, first);
        std::fill_n(first + shape(in).channels * pixels, channels_after * pixels, 0.0F);
    });
}

void Engine::State::add_other(const Step& step, const Node& node) {
    const std::size_t in = step.inputs[0];
    const std::size_t out = step.output;
    const std::int64_t pixels = pixels_of(shape(in));
    switch (node.op) {
    case Operator::add:
    case Operator::multiply:
        return add_combination(step, node);
    case Operator::concat:
        return add_concat(step);
    case Operator::flatten:
        return add_copy(in, out);
    case Operator::slice:
        return add_copy_of(in, node.first_channel * pixels, out, 0, elements(out));
    case Operator::channel_shuffle: {
        const std::int64_t size = shape(in).channels / node.groups;
        for (std::int64_t c = 0; c < shape(in).channels; ++c)
            add_copy_of(in, c * pixels, out, (c % size * node.groups + c / size) * pixels, pixels);
        return;
    }
    case Operator::pad:
        return add_pad(step, node);
    case Operator::max_pool:
    case Operator::average_pool:
    case Operator::global_average_pool:
        return add_pooling(step, node);
    case Operator::resize_nearest:
    case Operator::resize_bilinear:
        return each_block(
            [this, in, out,
             rows = places_of(node, shape(in).extent.height, shape(out).extent.height),
             columns = places_of(node, shape(in).extent.width, shape(out).extent.width)](
                std::int64_t block) {
                kernels.interpolate({.height = shape(in).extent.height,
                                     .width = shape(in).extent.width,
                                     .rows = rows.data(),
                                     .row_count = shape(out).extent.height,
                                     .columns = columns.data(),
                                     .column_count = shape(out).extent.width},
                                    data(in, block), shape(in).channels, data(out, block));
            });
    case Operator::softmax:
        return each_block([this, in, out, pixels](std::int64_t block) {
            kernels.softmax(data(in, block), shape(in).channels, pixels, data(out, block));
        });
    default:
        if (!network::is_activation(node.op))
            throw core::InternalError(fmt::format("node '{}' cannot be executed", node.name));
        if (plan.tensors[in].buffer != plan.tensors[out].buffer) add_copy(in, out);
        return add_activation(node, out);
    }
}

Engine::Engine(const network::Network& network, const network::Weights& weights, std::int64_t batch,
               NormMode norms)
    : Engine(network, weights, batch, norms, lane_kernels()) {}

Engine::Engine(const network::Network& network, const network::Weights& weights, std::int64_t batch,
               NormMode norms, const LaneKernels& kernels) {
    network::check_weights(network, weights);
    state_ = std::make_unique<State>(norms == NormMode::running
                                         ? network::fold_batch_norms(network, weights)
                                         : network::PrunedNetwork{network, weights},
                                     batch, norms, kernels);
}

Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

std::int64_t Engine::batch() const noexcept {
    return state_->batch;
}

float* Engine::images() noexcept {
    return state_->images.data();
}

void Engine::run() {
    state_->run();
}

const float* Engine::output(std::size_t index) const noexcept {
    return state_->outputs[index].data();
}

const BatchStatistics& Engine::statistics(const std::string& name) const {
    return state_->statistics.at(name);
}

} // namespace hdap::accuracy
