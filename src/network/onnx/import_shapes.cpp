#include "folding.hpp"
#include "hdap/core/error.hpp"
#include "importer.hpp"
#include "network/tensor_check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace hdap::network {
namespace {

using Dims = std::vector<std::int64_t>;

[[noreturn]] void fail_axis(const char* what) {
    throw core::DataError(
        std::string(what) +
        " another axis than the channels, which is not supported; stop before it (--stop-at)");
}

/// The sizes after the batch, as Reshape and Expand are told them.
Dims without_batch(const Constant& shape) {
    const std::vector<Integer>& sizes = shape.integers();
    std::vector<Integer> rest(sizes.begin() + 1, sizes.end());
    const auto count = static_cast<std::int64_t>(rest.size());
    return plain_integers(make_constant(shape.name, {count}, std::move(rest)));
}

/// The groups of a channel shuffle, where `feature` is [g, n] channels transposed to [n, g].
std::int64_t shuffled_groups(const Feature& feature, const TensorShape& shape) {
    Dims before(feature.dims.size());
    for (std::size_t i = 0; i < feature.dims.size(); ++i)
        before[feature.order[i]] = feature.dims[i];
    std::vector<std::size_t> order = feature.order;
    // Axes of size 1 may be anywhere.
    std::erase_if(order, [&before](std::size_t axis) { return before[axis] == 1; });
    std::vector<std::size_t> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    if (sorted.size() >= 2 && before[sorted[0]] * before[sorted[1]] == shape.channels) {
        std::swap(sorted[0], sorted[1]);
        if (order == sorted) return before[sorted[1]];
    }
    throw core::DataError("transposes channels and positions; of transposed tensors only channel "
                          "shuffles, and positions before channels that are flattened, are "
                          "supported");
}

/// Makes a transposed tensor a channel shuffle, if it is one, and defines `node`'s output as that,
/// reshaped.
void define_shuffle(OnnxImporter& importer, const OnnxNode& node, const Feature& feature,
                    Dims dims) {
    Node shuffle;
    shuffle.op = Operator::channel_shuffle;
    shuffle.inputs = {feature.node};
    shuffle.groups = shuffled_groups(feature, importer.shape(feature.node));
    Feature result{importer.append(std::move(shuffle), node.name()), std::move(dims)};
    importer.define(node.output(0), std::move(result));
}

/// The groups of the channel shuffle that makes the flattened `feature` of the same tensor
/// flattened without being transposed: the axes that went from the front to the back, together.
/// Nothing where the axes are in another order.
std::optional<std::int64_t> rotated_groups(const Feature& feature) {
    std::vector<std::size_t> order;
    std::map<std::size_t, std::int64_t> sizes; // by axis before
    for (std::size_t i = 0; i < feature.dims.size(); ++i) {
        if (feature.dims[i] == 1) continue;
        order.push_back(feature.order[i]);
        sizes[feature.order[i]] = feature.dims[i];
    }
    const std::size_t front = order.front();
    std::rotate(order.begin(), std::min_element(order.begin(), order.end()), order.end());
    if (!std::is_sorted(order.begin(), order.end())) return std::nullopt;
    std::int64_t groups = 1;
    for (const auto& [axis, size] : sizes)
        if (axis < front) groups *= size;
    return groups;
}

/// Defines `node`'s output as a transposed tensor, flattened to `dims`: pixels become channels, and
/// these are shuffled. A linear layer takes the shuffle over.
void define_flattened(OnnxImporter& importer, const OnnxNode& node, const Feature& feature,
                      Dims dims) {
    const std::optional<std::int64_t> groups = rotated_groups(feature);
    if (!groups) return define_shuffle(importer, node, feature, std::move(dims));
    Node shuffle;
    shuffle.op = Operator::channel_shuffle;
    shuffle.groups = *groups;
    shuffle.inputs = {feature.node};
    if (importer.shape(feature.node).extent != Extent{1, 1})
        shuffle.inputs = {importer.append(Operator::flatten, feature.node, node.name())};
    const std::size_t shuffled = importer.append(std::move(shuffle), node.name() + ".shuffle");
    importer.define(node.output(0), Feature{shuffled, std::move(dims)});
}

/// Defines `node`'s output as what it reads in another shape of as many elements.
void define_reshaped(OnnxImporter& importer, const OnnxNode& node, Dims dims) {
    const Feature feature = importer.feature(node.input(0));
    if (feature.order.empty() || dims == feature.dims)
        return importer.define_view(node, node.input(0), std::move(dims));
    const bool flat = !dims.empty() && std::all_of(dims.begin() + 1, dims.end(),
                                                   [](std::int64_t size) { return size == 1; });
    (flat ? define_flattened : define_shuffle)(importer, node, feature, std::move(dims));
}

void import_reshape(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(2);
    const Constant target = importer.constant(node.input(1), "shape");
    const bool zero_is_size = node.flag("allowzero", false);
    const Feature feature = importer.feature(node.input(0));
    if (target.size() == 0) throw core::DataError("reshapes to a single number");
    const Integer batch = target.integers()[0];
    Dims dims = without_batch(target);
    const bool open = batch == Integer{-1};
    // With -1 for the batch, the sizes after it must be all of an image.
    const bool keeps_batch =
        open || importer.is_batch(batch) || (batch == Integer{0} && !zero_is_size);
    if (!keeps_batch || (open && std::find(dims.begin(), dims.end(), -1) != dims.end()))
        throw core::DataError(fmt::format(
            "moves values between images of a batch (to {} images), which is not supported",
            batch.value));
    dims = reshape_target(std::move(dims), feature.dims, zero_is_size);
    const Dims& from = feature.dims;
    if (from.size() == 3 && dims == Dims{1, from[0], from[1]})
        importer.take_channels_last(node.input(0));
    define_reshaped(importer, node, std::move(dims));
}

void import_flatten(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(1);
    const Dims dims = importer.feature(node.input(0)).dims;
    const std::int64_t axis = node.integer("axis", 1);
    if (axis != 1 && axis != -static_cast<std::int64_t>(dims.size())) fail_axis("flattens from");
    define_reshaped(importer, node, {element_count(dims)});
}

/// Axes are an attribute or, since opset 13, an input. Counted from the front of a tensor with the
/// batch.
std::vector<std::size_t> axes_of(OnnxImporter& importer, const OnnxNode& node, std::size_t rank) {
    node.check_inputs(2);
    const Dims axes = node.has_input(1) ? plain_integers(importer.constant(node.input(1), "axes"))
                                        : node.integers("axes", {});
    constexpr std::size_t most_axes = 16;
    if (axes.size() > most_axes)
        throw core::DataError(fmt::format("has {} axes, at most 16 are supported", axes.size()));
    std::vector<std::size_t> result;
    for (const std::int64_t axis : axes) {
        result.push_back(
            normalised_axis(axis, rank + (node.op() == "Unsqueeze" ? axes.size() : 0)));
        if (result.back() == 0) throw core::DataError("changes the axis of the batch");
    }
    std::sort(result.begin(), result.end());
    return result;
}

void import_squeeze(OnnxImporter& importer, const OnnxNode& node) {
    Dims dims = importer.plain(node.input(0)).dims;
    std::vector<std::size_t> axes = axes_of(importer, node, dims.size() + 1);
    if (axes.empty()) throw core::DataError("does not say which axes to remove");
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
        if (*axis > dims.size() || dims[*axis - 1] != 1)
            throw core::DataError("removes an axis whose size is not 1");
        dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(*axis) - 1);
    }
    importer.define_view(node, node.input(0), std::move(dims));
}

void import_unsqueeze(OnnxImporter& importer, const OnnxNode& node) {
    Dims dims = importer.plain(node.input(0)).dims;
    for (const std::size_t axis : axes_of(importer, node, dims.size() + 1)) {
        if (axis > dims.size() + 1) throw core::DataError("adds one axis twice");
        dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(axis) - 1, 1);
    }
    (void)element_count(dims); // bounds the number of axes
    importer.define_view(node, node.input(0), std::move(dims));
}

/// Whether all axes but those of size 1 are in their places.
bool is_in_order(const std::vector<std::size_t>& order, const Dims& dims) {
    std::size_t last = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        if (dims[i] == 1) continue;
        if (order[i] < last) return false;
        last = order[i];
    }
    return true;
}

/// Takes an input of one channel that is last as an image. Throws when it has more of them.
void take_channels_last(OnnxImporter& importer, const std::string& tensor) {
    const Feature& source = importer.feature(tensor);
    if (source.node != 0 || !source.order.empty()) return;
    if (source.dims.back() != 1)
        throw core::DataError("the input has its channels last; export the network with the "
                              "channels first (tf2onnx: --inputs-as-nchw)");
    importer.take_channels_last(tensor);
}

void import_transpose(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(1);
    Feature feature = importer.feature(node.input(0));
    const std::size_t rank = feature.dims.size() + 1;
    Dims permutation(rank);
    std::iota(permutation.rbegin(), permutation.rend(), 0);
    permutation = node.integers("perm", permutation);
    if (permutation == Dims{0, 3, 1, 2}) take_channels_last(importer, node.input(0));
    if (feature.order.empty()) {
        feature = importer.plain(node.input(0));
        feature.order.resize(feature.dims.size());
        std::iota(feature.order.begin(), feature.order.end(), 0);
    }
    if (permutation.size() != rank || permutation[0] != 0)
        throw core::DataError("moves the axis of the batch, which is not supported");
    std::vector<bool> seen(rank, false);
    Feature result = feature;
    for (std::size_t i = 1; i < rank; ++i) {
        const std::size_t axis = normalised_axis(permutation[i], rank);
        if (axis == 0 || seen[axis]) throw core::DataError("attribute 'perm' is not a permutation");
        seen[axis] = true;
        result.dims[i - 1] = feature.dims[axis - 1];
        result.order[i - 1] = feature.order[axis - 1];
    }
    if (is_in_order(result.order, result.dims)) result.order.clear();
    result.exclusive = false;
    importer.define(node.output(0), std::move(result));
}

void import_expand(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(2);
    const Constant target = importer.constant(node.input(1), "shape");
    const Feature& feature = importer.plain(node.input(0));
    const TensorShape& shape = importer.shape(feature.node);
    const bool same_rank = target.size() == feature.dims.size() + 1;
    Dims dims =
        same_rank && importer.is_batch(target.integers()[0]) ? without_batch(target) : Dims{};
    for (std::size_t i = 0; i < dims.size(); ++i)
        if (dims[i] == 1) dims[i] = feature.dims[i];
    if (dims == feature.dims) return importer.define_view(node, node.input(0), dims);
    if (dims.size() != 3 || dims[0] != shape.channels || feature.dims != Dims{shape.channels, 1, 1})
        throw core::DataError("repeats a tensor in other ways than one value per channel over an "
                              "image, which is not supported");
    Node resize;
    resize.op = Operator::resize_nearest;
    resize.inputs = {feature.node};
    resize.size = {dims[1], dims[2]};
    importer.define_node(node.output(0), importer.append(std::move(resize), node.name()), false);
}

void import_shape(OnnxImporter& importer, const OnnxNode& node) {
    const Dims& dims = importer.feature(node.input(0)).dims;
    std::vector<Integer> sizes{{1, 1}};
    for (const std::int64_t size : dims)
        sizes.push_back({size});
    const auto rank = static_cast<std::int64_t>(sizes.size());
    const SliceRange range =
        slice_ranges({{node.integer("start", 0)}, {node.integer("end", rank)}, {0}, {}}, {rank})[0];
    sizes = {sizes.begin() + range.first, sizes.begin() + range.first + range.count};
    importer.define(node.output(0), make_constant(node.output(0), {range.count}, sizes));
}

void import_concat(OnnxImporter& importer, const OnnxNode& node) {
    Node join;
    join.op = Operator::concat;
    std::size_t rank = 0;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
        const Feature& input = importer.tensor(node.input(i));
        if (i > 0 && input.dims.size() + 1 != rank)
            throw core::DataError("joins tensors of different ranks");
        rank = input.dims.size() + 1;
        join.inputs.push_back(input.node);
    }
    if (normalised_axis(node.integer("axis", 1), rank) != 1) fail_axis("joins along");
    importer.define_node(node.output(0), importer.append(std::move(join), node.name()), rank == 2);
}

/// Every `step`th pixel from `first` on, which a convolution may take over with others.
std::size_t append_sample(OnnxImporter& importer, const PixelSample& wanted,
                          const std::string& name) {
    if (wanted.step == Extent{1, 1}) return wanted.node;
    const PixelSample sample = importer.samples().resolved(wanted);
    Node layer = sampling_layer(sample, importer.shape(sample.node).channels);
    layer.inputs = {sample.node};
    const std::size_t index = importer.append(std::move(layer), name);
    if (importer.node(index).op == Operator::conv2d) {
        Tensor weight = sampling_weight(importer.node(index));
        importer.add_parameter(index, ".weight", weight.shape, std::move(weight.values));
    }
    importer.samples().remember(index, sample);
    return index;
}

void import_space_to_depth(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(1);
    const std::int64_t block = node.integer("blocksize", 0);
    constexpr std::int64_t largest = 32;
    if (block < 1 || block > largest)
        throw core::DataError(
            fmt::format("attribute 'blocksize' is {}, must be in [1, {}]", block, largest));
    const std::size_t from = importer.image(node.input(0));
    const Extent extent = importer.shape(from).extent;
    if (extent.height % block != 0 || extent.width % block != 0)
        throw core::DataError(fmt::format("makes blocks of {} x {} of an image of {} x {}", block,
                                          block, extent.height, extent.width));
    Node join;
    join.op = Operator::concat;
    for (std::int64_t i = 0; i < block * block; ++i)
        join.inputs.push_back(append_sample(importer,
                                            {from, {i / block, i % block}, {block, block}},
                                            node.name() + "." + std::to_string(i)));
    importer.define_node(node.output(0), importer.append(std::move(join), node.name()), false);
}

/// The channels [first, first + count) of `from`; itself for all of them.
std::size_t append_slice(OnnxImporter& importer, std::size_t from, std::int64_t first,
                         std::int64_t count, const std::string& name) {
    if (first == 0 && count == importer.shape(from).channels) return from;
    Node slice;
    slice.op = Operator::slice;
    slice.inputs = {from};
    slice.first_channel = first;
    slice.output_channels = count;
    return importer.append(std::move(slice), name);
}

/// The channels of each part of a Split.
Dims split_sizes(OnnxImporter& importer, const OnnxNode& node, std::int64_t channels) {
    if (node.has_input(1)) return plain_integers(importer.constant(node.input(1), "split"));
    if (node.has("split")) return node.integers("split", {});
    const auto parts = static_cast<std::int64_t>(node.output_count());
    if (node.integer("num_outputs", parts) != parts)
        throw core::DataError("attribute 'num_outputs' is not the number of outputs");
    const std::int64_t size = (channels + parts - 1) / parts; // the last may be smaller
    Dims sizes(node.output_count(), size);
    sizes.back() = channels - size * (parts - 1);
    return sizes;
}

/// Defines a tensor as `part`, which holds some channels of `source`.
void define_channels(OnnxImporter& importer, const std::string& tensor, const std::string& source,
                     std::size_t part) {
    Dims dims = importer.feature(source).dims;
    dims[0] = importer.shape(part).channels;
    importer.define_part(tensor, source, part, std::move(dims));
}

void import_split(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(2);
    const Feature input = importer.tensor(node.input(0));
    if (normalised_axis(node.integer("axis", 0), input.dims.size() + 1) != 1) fail_axis("splits");
    const Dims sizes = split_sizes(importer, node, input.dims[0]);
    if (sizes.size() != node.output_count())
        throw core::DataError(
            fmt::format("has {} outputs and {} sizes", node.output_count(), sizes.size()));
    std::int64_t first = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (sizes[i] < 0 || sizes[i] > input.dims[0] - first)
            throw core::DataError(fmt::format("splits {} channels into parts of {}", input.dims[0],
                                              shape_text(sizes)));
        if (importer.uses(node.output(i)) > 0)
            define_channels(importer, node.output(i), node.input(0),
                            append_slice(importer, input.node, first, sizes[i],
                                         node.name() + "." + std::to_string(i)));
        first += sizes[i];
    }
}

SliceBounds slice_bounds(OnnxImporter& importer, const OnnxNode& node) {
    if (node.input_count() == 1) return slice_attributes(node);
    const auto numbers = [&](std::size_t input) {
        return node.has_input(input) ? plain_integers(importer.constant(node.input(input), "bound"))
                                     : Dims{};
    };
    return {numbers(1), numbers(2), numbers(3), numbers(4)};
}

/// Throws unless the range, of an axis that has `size` places, is all of the batch, or every nth
/// pixel to the end of the image.
void check_sampling(const SliceRange& range, std::int64_t size) {
    const bool to_the_end = range.step > 0 && range.step <= size && range.first < range.step &&
                            range.count == (size - range.first + range.step - 1) / range.step;
    if (!to_the_end || (range.axis == 0 && range.step != 1))
        throw core::DataError(fmt::format("cuts {}; only ranges of channels, and every nth pixel "
                                          "from one of the first n to the end, are supported",
                                          range.axis == 0 ? "the batch" : "an image"));
    if (range.axis == 1) fail_axis("takes every nth of");
}

void import_slice(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(5);
    const Feature input = importer.tensor(node.input(0));
    Dims shape = input.dims;
    constexpr std::int64_t any_batch = std::int64_t{1} << 16; // "all" is written as a large number
    shape.insert(shape.begin(), any_batch);
    PixelSample sample{input.node, {0, 0}, {1, 1}};
    for (const SliceRange& range : slice_ranges(slice_bounds(importer, node), shape)) {
        if (range.axis == 1 && range.step == 1) {
            sample.node =
                append_slice(importer, sample.node, range.first, range.count, node.name());
            continue;
        }
        check_sampling(range, shape[range.axis]);
        (range.axis == 2 ? sample.first.height : sample.first.width) = range.first;
        (range.axis == 2 ? sample.step.height : sample.step.width) = range.step;
    }
    const std::size_t from = append_sample(importer, sample, node.name());
    const auto& [channels, extent] = importer.shape(from);
    importer.define_part(node.output(0), node.input(0), from,
                         input.dims.size() == 1 ? Dims{channels}
                                                : Dims{channels, extent.height, extent.width});
}

void import_gather(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(2);
    const Feature input = importer.tensor(node.input(0));
    const Constant places = importer.constant(node.input(1), "indices");
    if (normalised_axis(node.integer("axis", 0), input.dims.size() + 1) != 1)
        fail_axis("selects from");
    Dims channels = plain_integers(places);
    for (std::int64_t& channel : channels)
        channel = static_cast<std::int64_t>(
            normalised_axis(channel, static_cast<std::size_t>(input.dims[0])));
    for (std::size_t i = 1; i < channels.size(); ++i)
        if (channels[i] != channels[i - 1] + 1)
            throw core::DataError("selects channels that do not follow each other, which is not "
                                  "supported");
    if (channels.empty() || places.shape.size() > 1)
        throw core::DataError("selects channels into a shape of " + shape_text(places.shape));
    const std::size_t from = append_slice(importer, input.node, channels.front(),
                                          static_cast<std::int64_t>(channels.size()), node.name());
    Dims dims = input.dims;
    dims[0] = importer.shape(from).channels;
    if (places.shape.empty()) dims.erase(dims.begin());
    importer.define_part(node.output(0), node.input(0), from, std::move(dims));
}

} // namespace

std::map<std::string, ImportOperator> shape_operators() {
    return {{"Concat", import_concat},       {"Expand", import_expand},
            {"Flatten", import_flatten},     {"Gather", import_gather},
            {"Reshape", import_reshape},     {"Shape", import_shape},
            {"Slice", import_slice},         {"SpaceToDepth", import_space_to_depth},
            {"Split", import_split},         {"Squeeze", import_squeeze},
            {"Transpose", import_transpose}, {"Unsqueeze", import_unsqueeze}};
}

} // namespace hdap::network
