#include "operators_torch.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace hdap::network::torchscript {
namespace {

using Sizes = std::vector<std::int64_t>;

std::string text(const Sizes& sizes) {
    std::string result = "[";
    for (std::size_t i = 0; i < sizes.size(); ++i)
        result += (i == 0 ? "" : ", ") +
                  (sizes[i] == batch_size ? std::string("N") : std::to_string(sizes[i]));
    return result + "]";
}

std::int64_t product(const Sizes& sizes) {
    std::int64_t count = 1;
    for (const std::int64_t size : sizes) {
        if (size < 0 || (size > 0 && count > std::numeric_limits<std::int64_t>::max() / size))
            return -1;
        count *= size;
    }
    return count;
}

/// The same memory, seen as `view` of `sizes`.
Traced seen_as(Traced tensor, View view, Sizes sizes) {
    tensor.view = view;
    tensor.sizes = std::move(sizes);
    return tensor;
}

// ------------------------------------------------------------------------------------- reshaping

/// `target` with the batch's size in front, and without -1. A network that was traced with one
/// image may have a 1 there.
Sizes resolved(const OperatorCall& call, const Traced& input, Sizes target) {
    if (target.empty()) call.fail("makes a single number of the images");
    const std::int64_t count = product(input.sizes);
    if (target[0] == 1) target[0] = batch_size;
    const auto open = std::find(target.begin(), target.end(), -1);
    if (open != target.end()) {
        *open = 1;
        const std::int64_t others = product(target);
        *open = others > 0 && count % others == 0 ? count / others : -1;
    }
    if (product(target) != count || target[0] != batch_size)
        call.fail(
            fmt::format("makes {} of {}; the batch must stay the first dimension, and a size that "
                        "was fixed when the network was traced must be that of the images",
                        text(target), text(input.sizes)));
    return target;
}

Traced flattened(const OperatorCall& call, const Traced& given) {
    const TensorShape shape = call.assembly().shape(given.node);
    if (shape.extent == Extent{1, 1})
        return seen_as(given, View::plain, {batch_size, shape.channels});
    const Traced input = given.affine.is_uniform() ? given : call.settled(given);
    Node node;
    node.name = call.name("flatten");
    node.op = Operator::flatten;
    Traced result = call.append(std::move(node), {input.node});
    result.sizes.resize(2);
    result.affine = input.affine;
    // Most often the same memory, so what is written to it may be read here.
    result.memory = input.memory;
    result.version = input.version;
    result.whole = input.whole;
    return result;
}

/// [N, H, W, C] made flat: pixels become channels, and these are shuffled. A linear layer takes the
/// shuffle over.
Traced flattened_pixels_first(const OperatorCall& call, const Traced& given) {
    const TensorShape shape = call.assembly().shape(given.node);
    Traced input = flattened(call, given);
    if (shape.channels == 1 || shape.extent == Extent{1, 1}) return input;
    Node node;
    node.name = call.name("shuffle");
    node.op = Operator::channel_shuffle;
    node.groups = shape.channels;
    Traced result = call.append_alike(std::move(node), input);
    result.affine = input.affine;
    return result;
}

/// The half of a channel shuffle that joins the swapped groups again.
Traced shuffled(const OperatorCall& call, const Traced& given) {
    const Traced input = given.affine.is_uniform() ? given : call.settled(given);
    Node node;
    node.name = call.name("shuffle");
    node.op = Operator::channel_shuffle;
    node.groups = input.sizes[2];
    Traced result = call.append(std::move(node), {input.node});
    result.affine = input.affine;
    return result;
}

/// The tensor that a flattening made flat, where `target` is its shape again.
std::optional<Traced> unflattened(const OperatorCall& call, const Traced& input,
                                  const Sizes& target) {
    const Node& node = call.assembly().node(input.node);
    // What was done to the flat numbers one by one cannot be said of channels.
    if (node.op != Operator::flatten || !input.affine.is_uniform()) return std::nullopt;
    const TensorShape& before = call.assembly().shape(node.inputs[0]);
    if (target != Sizes{batch_size, before.channels, before.extent.height, before.extent.width})
        return std::nullopt;
    Traced result = seen_as(input, View::plain, target);
    result.node = node.inputs[0];
    return result;
}

Traced reshaped(const OperatorCall& call, Traced input, const Sizes& wanted) {
    if (input.view == View::expanded) input = call.settled(input);
    const Sizes target = resolved(call, input, wanted);
    if (target == input.sizes) return input;
    const TensorShape& shape = call.assembly().shape(input.node);
    const Extent& extent = shape.extent;
    const std::int64_t pixels = extent.height * extent.width;
    const Sizes whole{batch_size, shape.channels, extent.height, extent.width};
    if (input.view == View::swapped_groups) {
        if (target == whole) return shuffled(call, input);
        if (target == Sizes{batch_size, shape.channels * pixels})
            return flattened(call, shuffled(call, input));
    } else if (input.view == View::pixels_first) {
        if (target == Sizes{batch_size, shape.channels * pixels})
            return flattened_pixels_first(call, input);
    } else if (input.view != View::row_means) {
        if (target == Sizes{batch_size, shape.channels * pixels}) return flattened(call, input);
        if (target == whole) return seen_as(input, View::plain, target);
        if (target == Sizes{batch_size, shape.channels, pixels})
            return seen_as(input, View::joined_pixels, target);
        if (target.size() == 5 && target[1] * target[2] == shape.channels &&
            target[3] == extent.height && target[4] == extent.width)
            return seen_as(input, View::groups, target);
        if (const auto result = unflattened(call, input, target)) return *result;
    }
    call.fail(fmt::format("makes {} of {}, which mixes channels and pixels in a way that networks "
                          "here have no operator for",
                          text(target), text(input.sizes)));
}

Value view(const OperatorCall& call) {
    return reshaped(call, call.input(), call.integers("size"));
}

Value reshape(const OperatorCall& call) {
    return reshaped(call, call.input(), call.integers("shape"));
}

Value flatten(const OperatorCall& call) {
    const Traced input = call.input();
    const std::size_t first = call.dimension(input, call.integer("start_dim"));
    const std::size_t last = call.dimension(input, call.integer("end_dim"));
    Sizes target;
    for (std::size_t i = 0; i < input.sizes.size(); ++i)
        if (i > first && i <= last)
            target.back() *= input.sizes[i];
        else
            target.push_back(input.sizes[i]);
    return reshaped(call, input, target);
}

/// `sizes` are those of `input` with a 1 more or less.
Traced with_ones(const OperatorCall& call, const Traced& input, Sizes sizes) {
    const TensorShape& shape = call.assembly().shape(input.node);
    if (input.view == View::one_channel && sizes.size() == 4 && sizes[1] == 1)
        return seen_as(input, View::plain, std::move(sizes));
    if (input.view == View::plain && sizes.size() == 3 && shape.channels == 1 &&
        input.sizes.size() == 4 && sizes[1] == shape.extent.height)
        return seen_as(input, View::one_channel, std::move(sizes));
    return reshaped(call, input, sizes);
}

Value squeeze(const OperatorCall& call) {
    const Traced input = call.input();
    Sizes sizes;
    const bool all = call.find("dim") == nullptr;
    const std::size_t dim = all ? 0 : call.dimension(input, call.integer("dim"));
    for (std::size_t i = 0; i < input.sizes.size(); ++i)
        if (input.sizes[i] != 1 || !(all || i == dim)) sizes.push_back(input.sizes[i]);
    if (sizes == input.sizes) return input;
    return with_ones(call, input, std::move(sizes));
}

Value unsqueeze(const OperatorCall& call) {
    const Traced input = call.input();
    const auto rank = static_cast<std::int64_t>(input.sizes.size());
    const std::int64_t dim = call.integer("dim");
    const std::int64_t place = dim < 0 ? dim + rank + 1 : dim;
    if (place < 1 || place > rank) call.fail("adds a dimension before the batch");
    Sizes sizes = input.sizes;
    sizes.insert(sizes.begin() + place, 1);
    return with_ones(call, input, std::move(sizes));
}

/// Swapped groups of channels, and pixels before channels, are all that may change places.
Traced permuted(const OperatorCall& call, const Traced& input,
                const std::vector<std::size_t>& order) {
    std::vector<std::size_t> same(order.size());
    for (std::size_t i = 0; i < same.size(); ++i)
        same[i] = i;
    if (order == same) return input;
    if (input.view == View::plain && order == std::vector<std::size_t>{0, 2, 3, 1})
        return seen_as(input, View::pixels_first,
                       {input.sizes[0], input.sizes[2], input.sizes[3], input.sizes[1]});
    if (input.view == View::pixels_first && order == std::vector<std::size_t>{0, 3, 1, 2})
        return seen_as(input, View::plain,
                       {input.sizes[0], input.sizes[3], input.sizes[1], input.sizes[2]});
    const bool groups = input.view == View::groups || input.view == View::swapped_groups;
    if (!groups || order != std::vector<std::size_t>{0, 2, 1, 3, 4})
        call.fail(
            "changes the order of dimensions; networks here have batch, channels, height and "
            "width in this order, and only a channel shuffle, and a flattening of [N, H, W, C], "
            "swap some");
    const View other = input.view == View::groups ? View::swapped_groups : View::groups;
    Sizes sizes = input.sizes;
    std::swap(sizes[1], sizes[2]);
    return seen_as(input, other, std::move(sizes));
}

Value transpose(const OperatorCall& call) {
    const Traced input = call.input();
    std::vector<std::size_t> order(input.sizes.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    std::swap(order[call.dimension(input, call.integer("dim0"))],
              order[call.dimension(input, call.integer("dim1"))]);
    return permuted(call, input, order);
}

Value permute(const OperatorCall& call) {
    const Traced input = call.input();
    std::vector<std::size_t> order;
    for (const std::int64_t dim : call.integers("dims"))
        order.push_back(call.dimension(input, dim));
    if (order.size() != input.sizes.size()) call.fail("has not one place for each dimension");
    return permuted(call, input, order);
}

Value shuffle(const OperatorCall& call) {
    const Traced input = call.spatial(call.input());
    Node node;
    node.name = call.name("shuffle");
    node.op = Operator::channel_shuffle;
    node.groups = call.integer("groups");
    return call.append(std::move(node), {input.node});
}

// --------------------------------------------------------------------------------------- slicing

/// Channels [first, first + count). They share memory with the others.
Traced channels_of(const OperatorCall& call, const Traced& input, std::int64_t first,
                   std::int64_t count) {
    if (first == 0 && count == input.sizes[1]) return input;
    Node node;
    node.name = call.name("slice");
    node.op = Operator::slice;
    node.first_channel = first;
    node.output_channels = count;
    Traced result = call.append_alike(std::move(node), input);
    result.sizes[1] = count;
    result.memory = input.memory;
    result.version = input.version;
    result.whole = false;
    return result;
}

/// Every `step`-th row (dimension 2) or column (3) from `first` on, which a convolution may take
/// over with others.
Traced subsampled(const OperatorCall& call, const Traced& input, std::size_t dim,
                  std::int64_t first, std::int64_t step) {
    PixelSample sample{input.node, {0, 0}, {1, 1}};
    (dim == 2 ? sample.first.height : sample.first.width) = first;
    (dim == 2 ? sample.step.height : sample.step.width) = step;
    NetworkAssembly& assembly = call.assembly();
    sample = assembly.samples().resolved(sample);
    Node node = sampling_layer(sample, assembly.shape(sample.node).channels);
    node.name = call.name("subsample");
    Traced result = call.append(std::move(node), {sample.node});
    if (has_weights(assembly.node(result.node).op))
        assembly.set_weight(result.node, ".weight", sampling_weight(assembly.node(result.node)));
    assembly.samples().remember(result.node, sample);
    result.memory = input.memory;
    result.version = input.version;
    result.whole = false;
    return result;
}

std::int64_t bound(const OperatorCall& call, const char* name, std::int64_t size,
                   std::int64_t otherwise) {
    if (call.find(name) == nullptr) return otherwise;
    const std::int64_t index = call.integer(name);
    return std::clamp<std::int64_t>(index < 0 ? index + size : index, 0, size);
}

Value slice(const OperatorCall& call) {
    const Traced input = call.plain(call.input());
    const std::size_t dim = call.dimension(input, call.integer("dim"));
    const std::int64_t size = input.sizes[dim];
    const std::int64_t first = bound(call, "start", size, 0);
    const std::int64_t last = bound(call, "end", size, size);
    const std::int64_t step = call.integer("step");
    if (first >= last || step < 1) call.fail("takes nothing");
    if (first == 0 && last == size && step == 1) return input;
    if (dim == 1 && step == 1) return channels_of(call, input, first, last - first);
    if (dim >= 2 && first < step && last == size) return subsampled(call, input, dim, first, step);
    call.fail(dim == 0   ? "takes some of the batch's images"
              : dim == 1 ? "takes every so many channels; use a channel shuffle and a slice"
                         : "cuts off a part of the image; use a convolution without padding, or "
                           "pooling");
}

Value narrow(const OperatorCall& call) {
    const Traced input = call.plain(call.input());
    if (call.dimension(input, call.integer("dim")) != 1)
        call.fail("takes a part of another dimension than the channels");
    const std::int64_t start = call.integer("start");
    return channels_of(call, input, start < 0 ? start + input.sizes[1] : start,
                       call.integer("length"));
}

/// One channel, without its dimension.
Value select(const OperatorCall& call) {
    const Traced input = call.spatial(call.input());
    if (call.dimension(input, call.integer("dim")) != 1)
        call.fail("takes one row of another dimension than the channels");
    const std::int64_t index = call.integer("index");
    const Traced one = channels_of(call, input, index < 0 ? index + input.sizes[1] : index, 1);
    return seen_as(one, View::one_channel, {batch_size, one.sizes[2], one.sizes[3]});
}

/// Consecutive parts of these numbers of channels.
Value parts_of(const OperatorCall& call, const Traced& input, const Sizes& counts) {
    if (call.dimension(input, call.integer("dim")) != 1)
        call.fail("splits another dimension than the channels");
    auto parts = std::make_shared<std::vector<Value>>();
    std::int64_t first = 0;
    for (const std::int64_t count : counts) {
        parts->push_back(channels_of(call, input, first, count));
        first += count;
    }
    if (first != input.sizes[1])
        call.fail(fmt::format("splits {} channels into parts of {}", input.sizes[1], first));
    return parts;
}

Value in_parts_of(const OperatorCall& call, std::int64_t size) {
    const Traced input = call.plain(call.input());
    if (size < 1) call.fail("splits into parts of nothing");
    Sizes counts;
    for (std::int64_t rest = input.sizes[1]; rest > 0; rest -= size)
        counts.push_back(std::min(rest, size));
    return parts_of(call, input, counts);
}

Value chunk(const OperatorCall& call) {
    const std::int64_t chunks = call.integer("chunks");
    if (chunks < 1) call.fail("splits into no parts");
    return in_parts_of(call, (call.input().sizes.at(1) + chunks - 1) / chunks);
}

Value split(const OperatorCall& call) {
    if (call.find("split_size") != nullptr && call.value("split_size").get<List>() == nullptr)
        return in_parts_of(call, call.integer("split_size"));
    const bool plural = call.find("split_sizes") != nullptr;
    return parts_of(call, call.plain(call.input()),
                    call.integers(plural ? "split_sizes" : "split_size"));
}

// ------------------------------------------------------------------------------------- the others

Value pad(const OperatorCall& call) {
    const Traced input = call.plain(call.input());
    if (call.find("mode") != nullptr) {
        const auto* mode = call.value("mode").get<Known>();
        if (mode == nullptr || mode->value.toStringRef() != "constant")
            call.fail("pads with something else than zeros");
    }
    if (call.find("value") != nullptr && call.number("value") != 0.0)
        call.fail("pads with something else than zeros");
    Sizes margins = call.integers("pad");
    if (margins.size() % 2 != 0 || margins.size() > 2 * input.sizes.size())
        call.fail(fmt::format("has {} margins", margins.size()));
    if (std::any_of(margins.begin(), margins.end(), [](std::int64_t m) { return m < 0; }))
        call.fail("cuts off a part of the image; use a convolution without padding, or pooling");
    // Pairs of margins come from the last dimension on.
    if (input.sizes.size() == 2) margins.insert(margins.begin(), 4, 0);
    margins.resize(8, 0);
    if (margins[6] != 0 || margins[7] != 0) call.fail("adds images to the batch");
    Node node;
    node.name = call.name("pad");
    node.op = Operator::pad;
    node.padding = {margins[2], margins[0]};
    node.padding_after = {margins[3], margins[1]};
    node.channels_before = margins[4];
    node.channels_after = margins[5];
    Traced result = call.append(std::move(node), {input.node});
    result.sizes.resize(input.sizes.size());
    return result;
}

/// Channels of 1 × 1 pixels repeated over an image.
Traced expanded(const OperatorCall& call, const Traced& input, Sizes target) {
    for (std::size_t i = 0; i < target.size() && i < input.sizes.size(); ++i)
        if (target[i] == -1) target[i] = input.sizes[i];
    if (target == input.sizes) return input;
    const bool repeats = target.size() == 4 && input.sizes.size() == 4 &&
                         target[0] == input.sizes[0] && target[1] == input.sizes[1] &&
                         input.sizes[2] == 1 && input.sizes[3] == 1 && input.view == View::plain;
    if (!repeats) call.fail(fmt::format("repeats {} to {}", text(input.sizes), text(target)));
    return seen_as(input, View::expanded, std::move(target));
}

Value expand(const OperatorCall& call) {
    return expanded(call, call.input(), call.integers("size"));
}

Value expand_as(const OperatorCall& call) {
    return expanded(call, call.input(), call.traced(call.value("other")).sizes);
}

/// What changes neither values nor shape; of a parameter, too, that becomes like an image.
Value same(const OperatorCall& call) {
    if (call.arguments[0].get<Known>() != nullptr) return call.arguments[0];
    return call.input();
}

Value convert(const OperatorCall& call) {
    if (call.find("dtype") != nullptr &&
        !c10::isFloatingType(static_cast<c10::ScalarType>(call.integer("dtype"))))
        call.fail("converts to integers");
    return same(call);
}

Value copy(const OperatorCall& call) {
    return call.reader.in_new_memory(call.input());
}

constexpr std::array view_entries{
    OperatorEntry{"view", view},
    OperatorEntry{"reshape", reshape},
    OperatorEntry{"flatten", flatten},
    OperatorEntry{"squeeze", squeeze},
    OperatorEntry{"unsqueeze", unsqueeze},
    OperatorEntry{"transpose", transpose},
    OperatorEntry{"permute", permute},
    OperatorEntry{"channel_shuffle", shuffle},
    OperatorEntry{"native_channel_shuffle", shuffle},
    OperatorEntry{"slice", slice},
    OperatorEntry{"narrow", narrow},
    OperatorEntry{"select", select},
    OperatorEntry{"chunk", chunk},
    OperatorEntry{"split", split},
    OperatorEntry{"split_with_sizes", split},
    OperatorEntry{"constant_pad_nd", pad},
    OperatorEntry{"pad", pad},
    OperatorEntry{"expand", expand},
    OperatorEntry{"expand_as", expand_as},
    OperatorEntry{"contiguous", same},
    OperatorEntry{"detach", same},
    OperatorEntry{"alias", same},
    OperatorEntry{"type_as", same},
    OperatorEntry{"cpu", same},
    OperatorEntry{"float", same},
    OperatorEntry{"to", convert},
    OperatorEntry{"clone", copy},
};

} // namespace

std::span<const OperatorEntry> view_operators() {
    return view_entries;
}

} // namespace hdap::network::torchscript
