#include "engine_dnnl.hpp"

#include "hdap/core/error.hpp"
#include "plain_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <dnnl.hpp>
#include <functional>
#include <omp.h>
#include <unordered_map>
#include <utility>

namespace hdap::accuracy {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::primitive_attr;
using dnnl::prop_kind;
using network::Node;
using network::Operator;
using network::Tensor;
using network::TensorShape;

constexpr auto f32 = memory::data_type::f32;
using Tag = memory::format_tag;
using Arguments = std::unordered_map<int, memory>;

struct FreeMemory {
    void operator()(float* pointer) const noexcept { std::free(pointer); }
};
using Buffer = std::unique_ptr<float, FreeMemory>;

/// Memory at the boundary of a cache line, filled with zeros: a batch that is not full must not
/// contain numbers that slow the arithmetic down.
Buffer make_buffer(std::int64_t elements) {
    constexpr std::size_t line = 64;
    const std::size_t bytes =
        (static_cast<std::size_t>(elements) * sizeof(float) + line) & ~(line - 1);
    Buffer buffer(static_cast<float*>(std::aligned_alloc(line, bytes)));
    if (!buffer)
        throw core::InternalError("no memory for " + std::to_string(bytes) +
                                  " bytes of activations; make the batch smaller");
    std::memset(buffer.get(), 0, bytes);
    return buffer;
}

/// The weights and biases of a layer, with the batch norm behind it, if any, folded in.
struct LayerWeights {
    std::vector<float> weight;
    std::vector<float> bias;
};

/// w·(x − mean)/√(var + ε) + b as a factor and an offset per channel.
struct NormFactors {
    std::vector<float> factor;
    std::vector<float> offset;
};

NormFactors norm_factors(const Node& norm, const network::Weights& weights) {
    const auto values = [&](const char* suffix) -> const std::vector<float>& {
        return weights.at(norm.name + suffix).values;
    };
    NormFactors result;
    for (std::size_t c = 0; c < values(".weight").size(); ++c) {
        const auto value = [&](const char* suffix) {
            return static_cast<double>(values(suffix)[c]);
        };
        const double factor = value(".weight") / std::sqrt(value(".running_var") + norm.epsilon);
        result.factor.push_back(static_cast<float>(factor));
        result.offset.push_back(
            static_cast<float>(value(".bias") - value(".running_mean") * factor));
    }
    return result;
}

LayerWeights layer_weights(const Node& node, const Node* norm, const network::Weights& weights) {
    const Tensor& weight = weights.at(node.name + ".weight");
    const auto channels = static_cast<std::size_t>(weight.shape[0]);
    LayerWeights result{weight.values, std::vector<float>(channels, 0.0F)};
    if (node.bias) result.bias = weights.at(node.name + ".bias").values;
    if (norm == nullptr) return result;
    const NormFactors factors = norm_factors(*norm, weights);
    const std::size_t row = weight.values.size() / channels;
    for (std::size_t c = 0; c < channels; ++c) {
        for (std::size_t i = c * row; i < (c + 1) * row; ++i)
            result.weight[i] *= factors.factor[c];
        result.bias[c] = result.bias[c] * factors.factor[c] + factors.offset[c];
    }
    return result;
}

/// What an activation is to oneDNN: one or two of its functions.
struct Elementwise {
    algorithm function;
    float alpha;
    float beta;
};

std::vector<Elementwise> elementwise_of(const Node& node) {
    switch (node.op) {
    case Operator::relu:
        return {{algorithm::eltwise_relu, 0.0F, 0.0F}};
    case Operator::relu6:
        return {{algorithm::eltwise_clip, 0.0F, 6.0F}};
    case Operator::leaky_relu:
        return {{algorithm::eltwise_relu, static_cast<float>(node.negative_slope), 0.0F}};
    case Operator::silu:
        return {{algorithm::eltwise_swish, 1.0F, 0.0F}};
    case Operator::sigmoid:
        return {{algorithm::eltwise_logistic, 0.0F, 0.0F}};
    case Operator::tanh:
        return {{algorithm::eltwise_tanh, 0.0F, 0.0F}};
    case Operator::hard_sigmoid:
        return {{algorithm::eltwise_linear, 1.0F / 6.0F, 0.5F},
                {algorithm::eltwise_clip, 0.0F, 1.0F}};
    case Operator::hard_swish:
        return {{algorithm::eltwise_hardswish, 0.0F, 0.0F}};
    default:
        return {};
    }
}

} // namespace

/// The plan, its memory, and for each step what runs it.
struct Engine::State {
    State(const network::Network& own_network, const network::Weights& own_weights,
          std::int64_t own_batch, NormMode norms)
        : network(own_network), weights(own_weights), batch(own_batch),
          plan(plan_execution(network, norms)), engine(dnnl::engine::kind::cpu, 0), stream(engine),
          norm_mode(norms) {
        for (const std::int64_t elements : plan.buffer_elements)
            buffers.push_back(make_buffer(elements * batch));
        for (const Step& step : plan.steps)
            add(step);
        // One for all: primitives run one after the other.
        scratchpad = make_buffer(static_cast<std::int64_t>(scratchpad_bytes / sizeof(float) + 1));
        for (Call& call : calls)
            if (call.scratchpad.get_size() > 0)
                call.arguments.emplace(DNNL_ARG_SCRATCHPAD,
                                       memory(call.scratchpad, engine, scratchpad.get()));
    }

    /// A primitive with its arguments, or a function.
    struct Call {
        dnnl::primitive primitive;
        Arguments arguments;
        memory::desc scratchpad;
        std::function<void()> function;
    };

    void run() {
        for (const Call& call : calls) {
            if (call.function)
                call.function();
            else
                call.primitive.execute(stream, call.arguments);
        }
        stream.wait();
    }

    // ---------------------------------------------------------------------------------- memory

    [[nodiscard]] float* data(std::size_t tensor) const {
        return buffers[plan.tensors[tensor].buffer].get();
    }
    [[nodiscard]] const TensorShape& shape(std::size_t tensor) const {
        return plan.tensors[tensor].shape;
    }
    [[nodiscard]] std::int64_t rows(std::size_t tensor) const {
        return batch * shape(tensor).extent.height * shape(tensor).extent.width;
    }
    [[nodiscard]] std::int64_t elements(std::size_t tensor) const {
        return rows(tensor) * shape(tensor).channels;
    }
    [[nodiscard]] memory::desc desc(std::size_t tensor) const {
        const TensorShape& s = shape(tensor);
        return {{batch, s.channels, s.extent.height, s.extent.width}, f32, Tag::nhwc};
    }
    [[nodiscard]] memory tensor_memory(std::size_t tensor) const {
        return {desc(tensor), engine, data(tensor)};
    }

    /// Memory of its own with `values`, in the layout that a primitive wants.
    memory constant(const std::vector<float>& values, const memory::dims& dims, Tag tag,
                    const memory::desc& wanted) {
        memory result(wanted, engine);
        memory source({dims, f32, tag}, engine, const_cast<float*>(values.data()));
        dnnl::reorder(source, result).execute(stream, source, result);
        stream.wait();
        return result;
    }

    // ------------------------------------------------------------------------------------ calls

    template <class PrimitiveDesc>
    void call(const PrimitiveDesc& desc, const dnnl::primitive& primitive, Arguments arguments) {
        const memory::desc own = desc.scratchpad_desc();
        scratchpad_bytes = std::max(scratchpad_bytes, own.get_size());
        calls.push_back({primitive, std::move(arguments), own, {}});
    }
    void call(std::function<void()> function) {
        calls.push_back({{}, {}, {}, std::move(function)});
    }

    /// Attributes of a layer's primitive: what is done in the same pass.
    [[nodiscard]] primitive_attr attributes(const Step* fused) const {
        primitive_attr result;
        result.set_scratchpad_mode(dnnl::scratchpad_mode::user);
        if (fused == nullptr) return result;
        dnnl::post_ops operations;
        if (fused->added_tensor) operations.append_sum(1.0F);
        if (fused->activation)
            for (const Elementwise& e : elementwise_of(network.nodes[*fused->activation]))
                operations.append_eltwise(1.0F, e.function, e.alpha, e.beta);
        result.set_post_ops(operations);
        return result;
    }

    void add(const Step& step) {
        if (step.copies_added_tensor) copy(*step.added_tensor, step.output);
        const Node& node = network.nodes[step.node];
        switch (node.op) {
        case Operator::conv2d:
            return add_convolution(step, node);
        case Operator::linear:
            return add_linear(step, node);
        case Operator::batch_norm:
            if (norm_mode == NormMode::batch) return add_batch_statistics(step, node);
            break;
        default:
            break;
        }
        add_simple(step, node);
        if (step.activation) add_activation(network.nodes[*step.activation], step.output);
    }

    void copy(std::size_t from, std::size_t to) {
        call([this, from, to] { std::copy_n(data(from), elements(from), data(to)); });
    }

    void add_convolution(const Step& step, const Node& node);
    void add_linear(const Step& step, const Node& node);
    void add_batch_statistics(const Step& step, const Node& node);
    void add_activation(const Node& node, std::size_t tensor);
    void add_simple(const Step& step, const Node& node);
    void add_pooling(const Step& step, const Node& node);
    void add_concat(const Step& step);
    void add_combination(const Step& step, const Node& node);
    void add_normalisation(const Step& step, const Node& node);

    network::Network network;
    network::Weights weights;
    std::int64_t batch;
    ExecutionPlan plan;
    dnnl::engine engine;
    dnnl::stream stream;
    NormMode norm_mode;
    std::vector<Buffer> buffers;
    std::vector<Call> calls;
    std::size_t scratchpad_bytes = 0;
    Buffer scratchpad;
    std::map<std::string, std::pair<memory, memory>> statistics; ///< mean and variance, by norm
};

void Engine::State::add_convolution(const Step& step, const Node& node) {
    const Node* const norm = step.folded_norm ? &network.nodes[*step.folded_norm] : nullptr;
    const LayerWeights own = layer_weights(node, norm, weights);
    const std::int64_t inputs = shape(step.inputs[0]).channels / node.groups;
    const bool grouped = node.groups > 1;
    const memory::dims dims =
        grouped ? memory::dims{node.groups, node.output_channels / node.groups, inputs,
                               node.kernel.height, node.kernel.width}
                : memory::dims{node.output_channels, inputs, node.kernel.height, node.kernel.width};
    const memory::dims bias_dims{node.output_channels};
    const memory::dims padding{node.padding.height, node.padding.width};
    const dnnl::convolution_forward::desc description(
        prop_kind::forward_inference, algorithm::convolution_direct, desc(step.inputs[0]),
        memory::desc(dims, f32, Tag::any), memory::desc(bias_dims, f32, Tag::a), desc(step.output),
        {node.stride.height, node.stride.width},
        {node.dilation.height - 1, node.dilation.width - 1}, padding, padding);
    const dnnl::convolution_forward::primitive_desc primitive(description, attributes(&step),
                                                              engine);
    call(primitive, dnnl::convolution_forward(primitive),
         {{DNNL_ARG_SRC, tensor_memory(step.inputs[0])},
          {DNNL_ARG_WEIGHTS,
           constant(own.weight, dims, grouped ? Tag::goihw : Tag::oihw, primitive.weights_desc())},
          {DNNL_ARG_BIAS, constant(own.bias, bias_dims, Tag::a, primitive.bias_desc())},
          {DNNL_ARG_DST, tensor_memory(step.output)}});
}

void Engine::State::add_linear(const Step& step, const Node& node) {
    const Node* const norm = step.folded_norm ? &network.nodes[*step.folded_norm] : nullptr;
    const LayerWeights own = layer_weights(node, norm, weights);
    const std::int64_t inputs = shape(step.inputs[0]).channels;
    const memory::dims dims{node.output_channels, inputs};
    const memory::dims bias_dims{node.output_channels};
    const memory::desc source({batch, inputs}, f32, Tag::nc);
    const memory::desc target({batch, node.output_channels}, f32, Tag::nc);
    const dnnl::inner_product_forward::desc description(
        prop_kind::forward_inference, source, memory::desc(dims, f32, Tag::any),
        memory::desc(bias_dims, f32, Tag::a), target);
    const dnnl::inner_product_forward::primitive_desc primitive(description, attributes(&step),
                                                                engine);
    call(primitive, dnnl::inner_product_forward(primitive),
         {{DNNL_ARG_SRC, memory(source, engine, data(step.inputs[0]))},
          {DNNL_ARG_WEIGHTS, constant(own.weight, dims, Tag::oi, primitive.weights_desc())},
          {DNNL_ARG_BIAS, constant(own.bias, bias_dims, Tag::a, primitive.bias_desc())},
          {DNNL_ARG_DST, memory(target, engine, data(step.output))}});
}

void Engine::State::add_batch_statistics(const Step& step, const Node& node) {
    const auto flags = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
    const dnnl::batch_normalization_forward::desc description(
        prop_kind::forward_training, desc(step.inputs[0]), static_cast<float>(node.epsilon), flags);
    const dnnl::batch_normalization_forward::primitive_desc primitive(description,
                                                                      attributes(nullptr), engine);
    const memory mean(primitive.mean_desc(), engine);
    const memory variance(primitive.variance_desc(), engine);
    const memory::dims dims{shape(step.output).channels};
    const memory::desc per_channel(dims, f32, Tag::a);
    const auto parameter = [&](const char* suffix) {
        return constant(weights.at(node.name + suffix).values, dims, Tag::a, per_channel);
    };
    call(primitive, dnnl::batch_normalization_forward(primitive),
         {{DNNL_ARG_SRC, tensor_memory(step.inputs[0])},
          {DNNL_ARG_SCALE, parameter(".weight")},
          {DNNL_ARG_SHIFT, parameter(".bias")},
          {DNNL_ARG_MEAN, mean},
          {DNNL_ARG_VARIANCE, variance},
          {DNNL_ARG_DST, tensor_memory(step.output)}});
    statistics.emplace(node.name, std::pair{mean, variance});
    if (step.activation) add_activation(network.nodes[*step.activation], step.output);
}

void Engine::State::add_activation(const Node& node, std::size_t tensor) {
    for (const Elementwise& e : elementwise_of(node)) {
        const dnnl::eltwise_forward::desc description(prop_kind::forward_inference, e.function,
                                                      desc(tensor), e.alpha, e.beta);
        const dnnl::eltwise_forward::primitive_desc primitive(description, attributes(nullptr),
                                                              engine);
        call(primitive, dnnl::eltwise_forward(primitive),
             {{DNNL_ARG_SRC, tensor_memory(tensor)}, {DNNL_ARG_DST, tensor_memory(tensor)}});
    }
}

void Engine::State::add_pooling(const Step& step, const Node& node) {
    const TensorShape& from = shape(step.inputs[0]);
    const TensorShape& to = shape(step.output);
    network::Extent kernel = node.kernel;
    if (node.op == Operator::global_average_pool) kernel = from.extent;
    if (node.op == Operator::average_pool && node.ceil_mode && node.count_include_pad) {
        // oneDNN would count what lies beyond the padding, too.
        call([this, &node, in = step.inputs[0], out = step.output] {
            average_pool(node, data(in), batch, shape(in), shape(out), data(out));
        });
        return;
    }
    const auto after = [](std::int64_t outputs, std::int64_t stride, std::int64_t size,
                          std::int64_t inputs, std::int64_t before) {
        return std::max<std::int64_t>(0, (outputs - 1) * stride + size - inputs - before);
    };
    const algorithm function = node.op == Operator::max_pool ? algorithm::pooling_max
                               : node.count_include_pad && node.op == Operator::average_pool
                                   ? algorithm::pooling_avg_include_padding
                                   : algorithm::pooling_avg_exclude_padding;
    const dnnl::pooling_forward::desc description(
        prop_kind::forward_inference, function, desc(step.inputs[0]), desc(step.output),
        {node.stride.height, node.stride.width}, {kernel.height, kernel.width},
        {node.padding.height, node.padding.width},
        {after(to.extent.height, node.stride.height, kernel.height, from.extent.height,
               node.padding.height),
         after(to.extent.width, node.stride.width, kernel.width, from.extent.width,
               node.padding.width)});
    const dnnl::pooling_forward::primitive_desc primitive(description, attributes(nullptr), engine);
    call(primitive, dnnl::pooling_forward(primitive),
         {{DNNL_ARG_SRC, tensor_memory(step.inputs[0])},
          {DNNL_ARG_DST, tensor_memory(step.output)}});
}

void Engine::State::add_concat(const Step& step) {
    std::vector<memory::desc> sources;
    Arguments arguments{{DNNL_ARG_DST, tensor_memory(step.output)}};
    for (std::size_t k = 0; k < step.inputs.size(); ++k) {
        sources.push_back(desc(step.inputs[k]));
        arguments.emplace(DNNL_ARG_MULTIPLE_SRC + static_cast<int>(k),
                          tensor_memory(step.inputs[k]));
    }
    const dnnl::concat::primitive_desc primitive(desc(step.output), 1, sources, engine,
                                                 attributes(nullptr));
    call(primitive, dnnl::concat(primitive), std::move(arguments));
}

void Engine::State::add_combination(const Step& step, const Node& node) {
    // The first input may lie where the result goes; the others then are combined into it.
    const bool first_fits = shape(step.inputs[0]) == shape(step.output);
    call([this, first_fits, op = node.op, inputs = step.inputs, out = step.output] {
        float* const result = data(out);
        if (!first_fits)
            std::fill_n(result, elements(out), op == Operator::add ? 0.0F : 1.0F);
        else if (result != data(inputs[0]))
            std::copy_n(data(inputs[0]), elements(out), result);
        for (std::size_t k = first_fits ? 1 : 0; k < inputs.size(); ++k)
            combine_into(op, data(inputs[k]), shape(inputs[k]), batch, shape(out), result);
    });
}

void Engine::State::add_normalisation(const Step& step, const Node& node) {
    const NormFactors factors = norm_factors(node, weights);
    call([this, factors, in = step.inputs[0], out = step.output] {
        scale_and_shift(data(in), rows(in), factors.factor, factors.offset, data(out));
    });
}

void Engine::State::add_simple(const Step& step, const Node& node) {
    const std::size_t in = step.inputs[0];
    const std::size_t out = step.output;
    switch (node.op) {
    case Operator::batch_norm:
        return add_normalisation(step, node);
    case Operator::add:
    case Operator::multiply:
        return add_combination(step, node);
    case Operator::concat:
        return add_concat(step);
    case Operator::max_pool:
    case Operator::average_pool:
    case Operator::global_average_pool:
        return add_pooling(step, node);
    case Operator::slice:
        return call([this, in, out, first = node.first_channel] {
            copy_channels(data(in), rows(in), shape(in).channels, first, shape(out).channels,
                          data(out));
        });
    case Operator::channel_shuffle:
        return call([this, in, out, groups = node.groups] {
            shuffle_channels(data(in), rows(in), shape(in).channels, groups, data(out));
        });
    case Operator::pad:
        return call([this, in, out, &node] {
            pad_with_zeros(node, data(in), batch, shape(in), shape(out), data(out));
        });
    case Operator::resize_nearest:
    case Operator::resize_bilinear:
        return call([this, in, out, &node] {
            resize(node, data(in), batch, shape(in), shape(out), data(out));
        });
    case Operator::flatten:
        return call([this, in, out] { flatten(data(in), batch, shape(in), data(out)); });
    case Operator::softmax:
        return call(
            [this, in, out] { softmax(data(in), rows(in), shape(in).channels, data(out)); });
    default:
        if (!network::is_activation(node.op))
            throw core::InternalError("node '" + node.name + "' cannot be executed");
        if (data(in) != data(out)) copy(in, out);
        return add_activation(node, out);
    }
}

Engine::Engine(const network::Network& network, const network::Weights& weights, std::int64_t batch,
               NormMode norms) {
    network::check_weights(network, weights);
    // oneDNN picks its kernels by the number of threads: another one would give other bits.
    omp_set_num_threads(1);
    try {
        state_ = std::make_unique<State>(network, weights, batch, norms);
    } catch (const dnnl::error& error) {
        throw core::InternalError("oneDNN cannot run network '" + network.name +
                                  "': " + error.what());
    }
}

Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

std::int64_t Engine::batch() const noexcept {
    return state_->batch;
}

float* Engine::images() noexcept {
    return state_->data(0);
}

void Engine::run() {
    try {
        state_->run();
    } catch (const dnnl::error& error) {
        throw core::InternalError("oneDNN cannot run network '" + state_->network.name +
                                  "': " + error.what());
    }
}

const float* Engine::output(std::size_t index) const noexcept {
    return state_->data(state_->plan.outputs[index]);
}

BatchStatistics Engine::statistics(const std::string& name) const {
    const auto& [mean, variance] = state_->statistics.at(name);
    const auto values = [](const memory& m) {
        const auto* const data = static_cast<const float*>(m.get_data_handle());
        return std::vector<float>(data, data + m.get_desc().dims()[0]);
    };
    return {values(mean), values(variance)};
}

} // namespace hdap::accuracy
