#include "execution_plan.hpp"

#include "hdap/core/check.hpp"
#include "lane_layer.hpp"

#include <algorithm>
#include <utility>

namespace hdap::accuracy {
namespace {

using network::Network;
using network::Node;
using network::Operator;
using network::TensorShape;

constexpr std::size_t none = ~std::size_t{0};

/// How many images pass through the network at a time, on processors whose caches matter most.
constexpr std::int64_t block_images = 16;

/// The numbers that a chain of layers may keep in the second-level cache.
constexpr std::int64_t most_chain_elements = 384 * 1024;

/// First the steps with what is fused into them, then the buffers.
class Planner {
  public:
    explicit Planner(const Network& network)
        : network_(network), shapes_(network::infer_shapes(network)),
          readers_(network.nodes.size()), tensor_of_(network.nodes.size(), none),
          done_(network.nodes.size(), false) {
        for (std::size_t i = 0; i < network.nodes.size(); ++i)
            for (const std::size_t input : network.nodes[i].inputs)
                readers_[input].push_back(i);
        for (const std::size_t output : network::output_nodes(network))
            readers_[output].push_back(none);
    }

    ExecutionPlan plan() && {
        tensor_of_[0] = new_tensor(0);
        done_[0] = true;
        for (std::size_t i = 1; i < network_.nodes.size(); ++i)
            if (!done_[i]) add_step(i);
        for (const std::size_t output : network::output_nodes(network_))
            plan_.outputs.push_back(tensor_of_[output]);
        chain_steps();
        assign_buffers();
        return std::move(plan_);
    }

  private:
    std::size_t new_tensor(std::size_t node) {
        plan_.tensors.push_back({shapes_[node], 0});
        return plan_.tensors.size() - 1;
    }

    /// The node that alone reads `node`, or `none`.
    [[nodiscard]] std::size_t sole_reader(std::size_t node) const {
        return readers_[node].size() == 1 ? readers_[node].front() : none;
    }

    /// Whether the node only passes its input on, which then is the node's tensor, too.
    [[nodiscard]] bool passes_on(std::size_t i) const {
        const Node& node = network_.nodes[i];
        if (node.op != Operator::flatten) return node.op == Operator::identity;
        // A flattened image lies in memory as the image does; linear layers read it as it is.
        const auto is_linear = [this](std::size_t reader) {
            return reader != none && network_.nodes[reader].op == Operator::linear;
        };
        return shapes_[i] == shapes_[node.inputs[0]] ||
               std::all_of(readers_[i].begin(), readers_[i].end(), is_linear);
    }

    void add_step(std::size_t i) {
        if (passes_on(i)) {
            tensor_of_[i] = tensor_of_[network_.nodes[i].inputs[0]];
            done_[i] = true;
            return;
        }
        Step step;
        step.node = i;
        for (const std::size_t input : network_.nodes[i].inputs)
            step.inputs.push_back(tensor_of_[input]);
        const std::size_t last = fuse(i, step);
        step.output = new_tensor(last);
        // All fused nodes have one reader each, so only the last one's tensor is asked for.
        tensor_of_[last] = step.output;
        plan_.steps.push_back(std::move(step));
    }

    /// Takes the nodes behind `i` into the step as far as possible; returns the last of them.
    std::size_t fuse(std::size_t i, Step& step) {
        std::size_t last = i;
        const auto take = [&](std::size_t node) {
            done_[node] = true;
            last = node;
        };
        take(i);
        if (network::has_weights(network_.nodes[i].op)) {
            const std::size_t next = sole_reader(last);
            if (next != none && network_.nodes[next].op == Operator::add) {
                step.added_tensor = other_addend(next, last);
                if (step.added_tensor) take(next);
            }
        }
        const std::size_t next = sole_reader(last);
        if (next != none && network::is_activation(network_.nodes[next].op) && !passes_on(next)) {
            step.activation = next;
            take(next);
        }
        return last;
    }

    /// The tensor that an addition of two equal shapes adds to `node`, where it is there already.
    [[nodiscard]] std::optional<std::size_t> other_addend(std::size_t add, std::size_t node) const {
        const std::vector<std::size_t>& inputs = network_.nodes[add].inputs;
        if (inputs.size() != 2) return std::nullopt;
        const std::size_t other = inputs[0] == node ? inputs[1] : inputs[0];
        if (shapes_[other] != shapes_[node] || tensor_of_[other] == none) return std::nullopt;
        return tensor_of_[other];
    }

    void chain_steps();
    void count_reads();
    [[nodiscard]] bool feeds(const Step& layer, const Step& reader) const;
    [[nodiscard]] bool is_pair(const Step& depthwise, const Step& pointwise) const;
    [[nodiscard]] bool continues(const Step& chain, const Step& pair) const;
    [[nodiscard]] std::int64_t chain_elements(const Step& step) const;

    void assign_buffers();
    [[nodiscard]] bool owns_buffer(std::size_t tensor, std::size_t step, std::size_t reused) const;
    std::size_t take_buffer(std::int64_t elements);
    [[nodiscard]] std::size_t overwritten_input(const Step& step) const;

    const Network& network_;
    std::vector<TensorShape> shapes_;
    std::vector<std::vector<std::size_t>> readers_; ///< per node; `none` stands for the caller
    std::vector<std::size_t> tensor_of_;            ///< per node, once its step is there
    std::vector<bool> done_;
    ExecutionPlan plan_;
    std::vector<int> reads_;             ///< per tensor: how often it is read
    std::vector<bool> free_;             ///< per buffer
    std::vector<std::size_t> last_step_; ///< per tensor: the last that reads it
};

std::int64_t elements_of(const TensorShape& shape) {
    return shape.channels * shape.extent.height * shape.extent.width;
}

void Planner::count_reads() {
    reads_.assign(plan_.tensors.size(), 0);
    for (const Step& step : plan_.steps) {
        for (const std::size_t input : step.inputs)
            ++reads_[input];
        if (step.added_tensor) ++reads_[*step.added_tensor];
    }
    for (const std::size_t output : plan_.outputs)
        ++reads_[output];
}

/// Whether `reader` alone reads what the layer computes, whose own pass does all.
bool Planner::feeds(const Step& layer, const Step& reader) const {
    return network_.nodes[layer.node].op == Operator::conv2d && !layer.added_tensor &&
           (!layer.activation || is_clamp(network_.nodes[*layer.activation].op)) &&
           layer.output == reader.inputs[0] && reads_[layer.output] == 1;
}

/// Whether these are a depthwise and a pointwise convolution that gain from running row by row. The
/// weights are read again for every row, so they must be fewer than the numbers that come from the
/// cache instead of from memory.
bool Planner::is_pair(const Step& depthwise, const Step& pointwise) const {
    const Node& node = network_.nodes[pointwise.node];
    const network::Extent one{1, 1};
    const bool is_pointwise = node.op == Operator::conv2d && node.groups == 1 &&
                              node.kernel == one && node.stride == one &&
                              node.padding == network::Extent{0, 0};
    const network::Extent extent = plan_.tensors[pointwise.output].shape.extent;
    return is_pointwise && feeds(depthwise, pointwise) &&
           has_depthwise_rows(network_.nodes[depthwise.node],
                              plan_.tensors[depthwise.inputs[0]].shape.channels) &&
           node.output_channels < block_images * extent.height * extent.width;
}

/// The numbers that a chain goes back to for every row: weights and the last rows of its tensors.
std::int64_t Planner::chain_elements(const Step& step) const {
    const std::int64_t inputs = plan_.tensors[step.inputs[0]].shape.channels;
    const TensorShape& output = plan_.tensors[step.output].shape;
    const Node& node = network_.nodes[step.node];
    std::int64_t elements =
        3 * output.channels * output.extent.width * block_images +
        inputs / node.groups * output.channels * node.kernel.height * node.kernel.width;
    for (const Step& part : step.before)
        elements += chain_elements(part);
    return elements;
}

/// Whether the layers of `pair` should run with those of `chain`.
bool Planner::continues(const Step& chain, const Step& pair) const {
    return network_.nodes[chain.node].groups == 1 && feeds(chain, pair.before.front()) &&
           chain_elements(chain) + chain_elements(pair) <= most_chain_elements;
}

/// Puts the last of `steps`, with what runs before it, before `step`.
void take_before(std::vector<Step>& steps, Step& step) {
    Step last = std::move(steps.back());
    steps.pop_back();
    std::vector<Step> before = std::exchange(last.before, {});
    before.push_back(std::move(last));
    before.insert(before.end(), step.before.begin(), step.before.end());
    step.before = std::move(before);
}

/// Puts steps that run row by row into the last of them.
void Planner::chain_steps() {
    count_reads();
    std::vector<Step> steps;
    for (Step& step : plan_.steps) {
        if (!steps.empty() && is_pair(steps.back(), step)) {
            take_before(steps, step);
            if (!steps.empty() && continues(steps.back(), step)) take_before(steps, step);
        }
        steps.push_back(std::move(step));
    }
    plan_.steps = std::move(steps);
}

/// A free buffer, the smallest that is large enough or else the largest, enlarged.
std::size_t Planner::take_buffer(std::int64_t elements) {
    std::size_t best = none;
    for (std::size_t b = 0; b < free_.size(); ++b) {
        if (!free_[b]) continue;
        if (best == none) {
            best = b;
            continue;
        }
        const std::int64_t size = plan_.buffer_elements[b];
        const std::int64_t best_size = plan_.buffer_elements[best];
        if (best_size < elements ? size > best_size : size >= elements && size < best_size)
            best = b;
    }
    if (best == none) {
        best = free_.size();
        free_.push_back(true);
        plan_.buffer_elements.push_back(0);
    }
    free_[best] = false;
    plan_.buffer_elements[best] = std::max(plan_.buffer_elements[best], elements);
    return best;
}

/// The input whose memory the step may write its output to, or `none`.
std::size_t Planner::overwritten_input(const Step& step) const {
    const Operator op = network_.nodes[step.node].op;
    const bool by_element = network::is_activation(op) || op == Operator::batch_norm ||
                            op == Operator::add || op == Operator::multiply;
    if (!by_element || step.inputs[0] == 0) return none;
    const std::size_t input = step.inputs[0];
    const auto step_index = static_cast<std::size_t>(&step - plan_.steps.data());
    const bool same_shape = plan_.tensors[input].shape == plan_.tensors[step.output].shape;
    // Operands are taken one after another: one that comes again later must still be there then.
    const bool comes_again =
        step.inputs.size() > 2 &&
        std::find(step.inputs.begin() + 2, step.inputs.end(), input) != step.inputs.end();
    return same_shape && !comes_again && last_step_[input] == step_index ? input : none;
}

/// Whether no tensor that `step` or one after it reads lies in the buffer of `tensor`, its output,
/// but for `reused`, which it overwrites.
bool Planner::owns_buffer(std::size_t tensor, std::size_t step, std::size_t reused) const {
    const std::size_t buffer = plan_.tensors[tensor].buffer;
    const auto made_before = [&](std::size_t other) {
        return other == 0 || std::any_of(plan_.steps.begin(),
                                         plan_.steps.begin() + static_cast<std::ptrdiff_t>(step),
                                         [&](const Step& s) { return s.output == other; });
    };
    for (std::size_t other = 0; other < plan_.tensors.size(); ++other)
        if (other != tensor && other != reused && plan_.tensors[other].buffer == buffer &&
            last_step_[other] >= step && made_before(other))
            return false;
    return plan_.buffer_elements[buffer] >= elements_of(plan_.tensors[tensor].shape);
}

void Planner::assign_buffers() {
    const std::size_t end = plan_.steps.size();
    last_step_.assign(plan_.tensors.size(), 0);
    for (std::size_t s = 0; s < end; ++s) {
        for (const std::size_t input : plan_.steps[s].buffered_inputs())
            last_step_[input] = s;
        if (plan_.steps[s].added_tensor) last_step_[*plan_.steps[s].added_tensor] = s;
    }
    for (const std::size_t output : plan_.outputs)
        last_step_[output] = end;
    last_step_[0] = end; // the image is the caller's until the end
    plan_.tensors[0].buffer = take_buffer(elements_of(plan_.tensors[0].shape));
    for (std::size_t s = 0; s < end; ++s) {
        Step& step = plan_.steps[s];
        PlannedTensor& output = plan_.tensors[step.output];
        std::size_t reused = overwritten_input(step);
        if (step.added_tensor) {
            const std::size_t added = *step.added_tensor;
            const std::vector<std::size_t>& inputs = step.buffered_inputs();
            const bool also_input = std::find(inputs.begin(), inputs.end(), added) != inputs.end();
            if (last_step_[added] == s && added != 0 && !also_input)
                reused = added;
            else
                step.copies_added_tensor = true;
        }
        output.buffer =
            reused != none ? plan_.tensors[reused].buffer : take_buffer(elements_of(output.shape));
        HDAP_CHECK(owns_buffer(step.output, s, reused), s, step.output, output.buffer);
        std::vector<std::size_t> read = step.buffered_inputs();
        if (step.added_tensor) read.push_back(*step.added_tensor);
        for (const std::size_t tensor : read)
            if (last_step_[tensor] == s && tensor != reused)
                free_[plan_.tensors[tensor].buffer] = plan_.tensors[tensor].buffer != output.buffer;
        // A tensor that nobody reads.
        if (last_step_[step.output] <= s && step.output != 0) free_[output.buffer] = true;
    }
}

} // namespace

ExecutionPlan plan_execution(const Network& network) {
    return Planner(network).plan();
}

} // namespace hdap::accuracy
