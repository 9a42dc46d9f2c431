#include "folding.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "importer.hpp"
#include "window.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace hdap::network {
namespace {

/// How many windows a pool of ours has, as infer_shape counts them.
std::int64_t count_windows(std::int64_t size, std::int64_t kernel, std::int64_t before,
                           std::int64_t after, std::int64_t stride, bool ceil_mode) {
    const std::int64_t room = size + before + after - kernel;
    if (room < 0) return 0;
    const std::int64_t windows = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    return ceil_mode && (windows - 1) * stride >= size + before ? windows - 1 : windows;
}

Extent count_windows(const Window& window, const Extent& image, const Extent& after,
                     bool ceil_mode) {
    return {count_windows(image.height, window.kernel.height, window.before.height, after.height,
                          window.stride.height, ceil_mode),
            count_windows(image.width, window.kernel.width, window.before.width, after.width,
                          window.stride.width, ceil_mode)};
}

/// Whether an operator's results are never negative.
bool is_never_negative(Operator op) {
    return op == Operator::relu || op == Operator::relu6 || op == Operator::sigmoid ||
           op == Operator::hard_sigmoid || op == Operator::softmax;
}

/// Brings padding that differs before and after the image to the forms that our pools have.
/// Returns the pool's input.
std::size_t settle_padding(OnnxImporter& importer, const OnnxNode& node, const Window& window,
                           std::size_t input, Node& pool) {
    pool.padding = window.before;
    if (window.before == window.after) return input;
    const Extent& image = importer.shape(input).extent;
    const Extent windows = count_windows(window, image, window.after, pool.ceil_mode);
    const bool zeros_count = pool.op == Operator::average_pool && pool.count_include_pad;
    for (const bool ceil_mode : {false, true})
        if (!zeros_count && windows == count_windows(window, image, window.before, ceil_mode)) {
            pool.ceil_mode = ceil_mode; // the windows are the same, and nothing beyond them counts
            return input;
        }
    if (!zeros_count &&
        (pool.op != Operator::max_pool || !is_never_negative(importer.node(input).op)))
        throw core::DataError("pads the sides of the image differently, which is not supported; "
                              "put a Pad before it");
    pool.padding = {0, 0};
    return append_padding(importer, input, window, node.name() + ".pad");
}

template <Operator op>
void import_pool(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(1);
    node.ignore("storage_order"); // of the places of the maxima, which nothing may read
    if (!node.has("kernel_shape")) throw core::DataError("attribute 'kernel_shape' is missing");
    std::size_t input = importer.image(node.input(0));
    const Window window = read_window(node, extent_attribute(node, "kernel_shape", 1, {1, 1}),
                                      importer.shape(input).extent);
    if (window.dilation != Extent{1, 1})
        throw core::DataError("is a pool with dilations, which is not supported; use a larger "
                              "kernel, or a convolution");
    Node pool;
    pool.op = op;
    pool.kernel = window.kernel;
    pool.stride = window.stride;
    pool.ceil_mode = node.flag("ceil_mode", false);
    pool.count_include_pad = node.flag("count_include_pad", false);
    if (op == Operator::max_pool) pool.count_include_pad = true; // our default
    input = settle_padding(importer, node, window, input, pool);
    pool.inputs = {input};
    importer.define_node(node.output(0), importer.append(std::move(pool), node.name()), false);
}

void import_global_average(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(1);
    const std::size_t input = importer.image(node.input(0));
    importer.define_node(node.output(0),
                         importer.append(Operator::global_average_pool, input, node.name()), false);
}

void import_global_maximum(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(1);
    Node pool;
    pool.op = Operator::max_pool;
    pool.inputs = {importer.image(node.input(0))};
    pool.kernel = importer.shape(pool.inputs[0]).extent;
    importer.define_node(node.output(0), importer.append(std::move(pool), node.name()), false);
}

void import_mean(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(2);
    node.ignore("noop_with_empty_axes");
    const Feature& input = importer.plain(node.input(0));
    const std::vector<std::int64_t> axes =
        node.has_input(1) ? plain_integers(importer.constant(node.input(1), "axes"))
                          : node.integers("axes", {});
    const std::size_t rank = input.dims.size() + 1;
    std::set<std::size_t> reduced;
    for (const std::int64_t axis : axes)
        reduced.insert(normalised_axis(axis, rank));
    // All axes after the channels, in whatever shape.
    const bool whole_image = rank > 2 && reduced.size() == rank - 2 && *reduced.begin() == 2 &&
                             input.dims[0] == importer.shape(input.node).channels;
    if (!whole_image)
        throw core::DataError("takes the mean over other axes than the height and width together, "
                              "which is not supported; stop before it (--stop-at)");
    Feature mean{importer.append(Operator::global_average_pool, input.node, node.name()),
                 {input.dims[0]}};
    if (node.flag("keepdims", true)) mean.dims.resize(rank - 1, 1);
    importer.define(node.output(0), std::move(mean));
}

constexpr std::int64_t largest_size = 1 << 14; // as in infer_shape

/// How Resize finds its pixels along one direction.
struct Sampling {
    std::string coordinates; ///< coordinate_transformation_mode
    std::string rounding;    ///< nearest_mode
    double scale = 1.0;
    std::int64_t from = 1;
    std::int64_t to = 1;
};

/// Whether the scale gives a whole number of pixels.
bool is_whole(const Sampling& sampling) {
    const double size = sampling.scale * static_cast<double>(sampling.from);
    return std::abs(size - static_cast<double>(sampling.to)) < 1e-3;
}

/// The place in the original of pixel `i` of the result, by the specification's formulas.
double original_place(const Sampling& sampling, std::int64_t i) {
    const auto at = static_cast<double>(i);
    const auto from = static_cast<double>(sampling.from);
    const auto to = static_cast<double>(sampling.to);
    if (sampling.coordinates == "asymmetric") return at / sampling.scale;
    if (sampling.coordinates == "half_pixel") return (at + 0.5) / sampling.scale - 0.5;
    if (sampling.coordinates == "pytorch_half_pixel")
        return sampling.to > 1 ? (at + 0.5) / sampling.scale - 0.5 : 0.0;
    if (sampling.coordinates == "tf_half_pixel_for_nn") return (at + 0.5) / sampling.scale;
    if (sampling.coordinates == "align_corners" && is_whole(sampling))
        return sampling.to > 1 ? at * (from - 1.0) / (to - 1.0) : 0.0;
    if (sampling.coordinates == "align_corners")
        throw core::DataError(fmt::format("has a scale of {} for a size of {}, with which it is "
                                          "not clear where the corners are; export it with sizes",
                                          core::shortest(sampling.scale), sampling.from));
    throw core::DataError(
        fmt::format("attribute 'coordinate_transformation_mode' is '{}', which is not supported; "
                    "use half_pixel, align_corners, or asymmetric for nearest pixels",
                    sampling.coordinates));
}

/// Whether the nearest pixel by `sampling` is always that of resize_nearest.
bool takes_pixel_before(const Sampling& sampling) {
    constexpr double tolerance = 1e-6; // places that are meant to be whole need not quite be
    for (std::int64_t i = 0; i < sampling.to; ++i) {
        const double place = original_place(sampling, i);
        double pixel = 0.0;
        if (sampling.rounding == "floor")
            pixel = std::floor(place + tolerance);
        else if (sampling.rounding == "ceil")
            pixel = std::ceil(place - tolerance);
        else if (sampling.rounding == "round_prefer_ceil")
            pixel = std::floor(place + 0.5 + tolerance);
        else if (sampling.rounding == "round_prefer_floor")
            pixel = std::ceil(place - 0.5 - tolerance);
        else
            return false;
        pixel = std::clamp(pixel, 0.0, static_cast<double>(sampling.from - 1));
        if (static_cast<std::int64_t>(pixel) != nearest_pixel(i, sampling.from, sampling.to))
            return false;
    }
    return true;
}

/// Whether the places by `sampling` are always those of resize_bilinear.
bool takes_places(const Sampling& sampling, bool align_corners) {
    const Sampling ours{align_corners ? "align_corners" : "half_pixel", "",
                        static_cast<double>(sampling.to) / static_cast<double>(sampling.from),
                        sampling.from, sampling.to};
    const auto last = static_cast<double>(sampling.from - 1);
    for (std::int64_t i = 0; i < sampling.to; ++i) {
        const double theirs = std::clamp(original_place(sampling, i), 0.0, last);
        if (std::abs(theirs - std::clamp(original_place(ours, i), 0.0, last)) > 1e-4) return false;
    }
    return true;
}

/// Height and width of the four sizes or scales that Resize is given, the others checked.
template <class Number>
std::pair<Number, Number> image_part(const std::vector<Number>& numbers, const OnnxNode& node,
                                     bool batch_and_channels_stay) {
    if (numbers.size() == 2 && node.integers("axes", {}) == std::vector<std::int64_t>{2, 3})
        return {numbers[0], numbers[1]};
    if (numbers.size() != 4 || !batch_and_channels_stay || node.has("axes"))
        throw core::DataError("resizes other axes than the height and width, which is not "
                              "supported");
    return {numbers[2], numbers[3]};
}

/// What Resize makes of an image of `from` and these sampling modes: scales, or sizes, or both.
std::pair<Sampling, Sampling> read_sizes(OnnxImporter& importer, const OnnxNode& node,
                                         const TensorShape& from, const Sampling& modes) {
    const std::size_t scales_at = node.op() == "Resize" && importer.opset() >= 11 ? 2 : 1;
    Sampling height = modes;
    Sampling width = modes;
    height.from = from.extent.height;
    width.from = from.extent.width;
    const auto to_size = [](Sampling& sampling, double scale) {
        const double size = std::floor(static_cast<double>(sampling.from) * scale);
        if (!(size >= 1.0 && size <= largest_size))
            throw core::DataError(
                fmt::format("a scale is {}, which is out of range", core::shortest(scale)));
        sampling.scale = scale;
        sampling.to = static_cast<std::int64_t>(size);
    };
    const auto to_scale = [](Sampling& sampling, std::int64_t size) {
        if (size < 1 || size > largest_size)
            throw core::DataError(fmt::format("a size is {}, which is out of range", size));
        sampling.to = size;
        sampling.scale = static_cast<double>(size) / static_cast<double>(sampling.from);
    };
    if (node.has_input(3)) {
        std::vector<Integer> sizes = importer.constant(node.input(3), "sizes").integers();
        const bool stay =
            sizes.size() == 4 && importer.is_batch(sizes[0]) && sizes[1] == Integer{from.channels};
        const auto [high, wide] = image_part(sizes, node, stay);
        if (high.batches != 0 || wide.batches != 0)
            throw core::DataError("the sizes depend on the batch");
        to_scale(height, high.value);
        to_scale(width, wide.value);
        return {height, width};
    }
    const std::vector<float> scales =
        node.has("scales") ? node.numbers("scales") // Upsample of opset 7
                           : importer.constant(node.input(scales_at), "scales").floats();
    const bool stay = scales.size() == 4 && scales[0] == 1.0F && scales[1] == 1.0F;
    const auto [high, wide] = image_part(scales, node, stay);
    to_size(height, static_cast<double>(high));
    to_size(width, static_cast<double>(wide));
    return {height, width};
}

/// Reads the attributes that change nothing for the modes that are supported, or must not be set.
void check_resize(const OnnxNode& node) {
    for (const char* attribute : {"cubic_coeff_a", "exclude_outside", "extrapolation_value"})
        node.ignore(attribute);
    if (node.flag("antialias", false))
        throw core::DataError("attribute 'antialias' is set, which is not supported");
    if (node.text("keep_aspect_ratio_policy", "stretch") != "stretch")
        throw core::DataError(
            "attribute 'keep_aspect_ratio_policy' is set, which is not supported; "
            "export it with fixed sizes");
}

void import_resize(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(4);
    check_resize(node);
    const std::string mode = node.text("mode", "nearest");
    const std::size_t input = importer.image(node.input(0));
    const bool modern = node.op() == "Resize" && importer.opset() >= 11;
    const Sampling modes{modern ? node.text("coordinate_transformation_mode", "half_pixel")
                                : "asymmetric",
                         modern ? node.text("nearest_mode", "round_prefer_floor") : "floor"};
    const auto [height, width] = read_sizes(importer, node, importer.shape(input), modes);
    Node resize;
    resize.size = {height.to, width.to};
    resize.inputs = {input};
    if (resize.size == importer.shape(input).extent)
        return importer.define_view(node, node.input(0), importer.feature(node.input(0)).dims);
    bool same = false;
    if (mode == "nearest") {
        resize.op = Operator::resize_nearest;
        // Opset 10 leaves open which pixels are dropped.
        same = (modern || (height.scale >= 1.0 && width.scale >= 1.0)) &&
               takes_pixel_before(height) && takes_pixel_before(width);
    } else if (mode == "linear" || mode == "bilinear") {
        resize.op = Operator::resize_bilinear;
        resize.align_corners = !(takes_places(height, false) && takes_places(width, false));
        same = !resize.align_corners || (takes_places(height, true) && takes_places(width, true));
    }
    if (!same)
        throw core::DataError(
            fmt::format("mode '{}' with coordinates '{}' is not supported for these sizes; use "
                        "nearest pixels with asymmetric coordinates, rounded down, or linear "
                        "interpolation with half_pixel or align_corners",
                        mode, modes.coordinates));
    importer.define_node(node.output(0), importer.append(std::move(resize), node.name()), false);
}

/// Four margins of both axes of an image, or two of channels alone, that Pad adds.
struct Margins {
    std::vector<std::int64_t> before; ///< per axis, with the batch
    std::vector<std::int64_t> after;
};

Margins read_margins(OnnxImporter& importer, const OnnxNode& node, std::size_t rank) {
    const std::vector<std::int64_t> pads =
        node.has_input(1) ? plain_integers(importer.constant(node.input(1), "pads"))
                          : node.integers("pads", {});
    std::vector<std::int64_t> axes;
    if (node.has_input(3))
        axes = plain_integers(importer.constant(node.input(3), "axes"));
    else
        for (std::size_t axis = 0; axis < rank; ++axis)
            axes.push_back(static_cast<std::int64_t>(axis));
    if (pads.size() != 2 * axes.size())
        throw core::DataError(fmt::format("has {} pads for {} axes", pads.size(), axes.size()));
    Margins margins{std::vector<std::int64_t>(rank, 0), std::vector<std::int64_t>(rank, 0)};
    for (std::size_t i = 0; i < axes.size(); ++i) {
        const std::size_t axis = normalised_axis(axes[i], rank);
        margins.before[axis] = pads[i];
        margins.after[axis] = pads[axes.size() + i];
    }
    for (const auto* side : {&margins.before, &margins.after})
        for (const std::int64_t pad : *side)
            if (pad < 0)
                throw core::DataError(fmt::format(
                    "cuts {} off an axis, which is not supported; pads must not be negative", pad));
    if (margins.before[0] != 0 || margins.after[0] != 0)
        throw core::DataError("pads the batch, which is not supported");
    return margins;
}

void import_pad(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(4);
    if (node.text("mode", "constant") != "constant")
        throw core::DataError(
            fmt::format("pads in mode '{}'; only zeros are supported: train with zero padding",
                        node.text("mode", "constant")));
    double value = node.number("value", 0.0);
    if (node.has_input(2)) {
        const Constant constant = importer.constant(node.input(2), "value");
        value = constant.size() == 1 ? static_cast<double>(constant.floats()[0]) : NAN;
    }
    if (value != 0.0)
        throw core::DataError("pads with other numbers than zero, which is not supported");
    const Feature input = importer.tensor(node.input(0));
    const Margins margins = read_margins(importer, node, input.dims.size() + 1);
    const auto none = [](const std::vector<std::int64_t>& side) {
        return std::all_of(side.begin(), side.end(), [](std::int64_t pad) { return pad == 0; });
    };
    if (none(margins.before) && none(margins.after))
        return importer.define_view(node, node.input(0), input.dims);
    Node pad;
    pad.op = Operator::pad;
    pad.inputs = {input.node};
    pad.channels_before = margins.before[1];
    pad.channels_after = margins.after[1];
    const bool flat = input.dims.size() == 1;
    if (!flat) {
        pad.padding = {margins.before[2], margins.before[3]};
        pad.padding_after = {margins.after[2], margins.after[3]};
    }
    importer.define_node(node.output(0), importer.append(std::move(pad), node.name()), flat);
}

} // namespace

std::map<std::string, ImportOperator> image_operators() {
    return {{"AveragePool", import_pool<Operator::average_pool>},
            {"GlobalAveragePool", import_global_average},
            {"GlobalMaxPool", import_global_maximum},
            {"MaxPool", import_pool<Operator::max_pool>},
            {"Pad", import_pad},
            {"ReduceMean", import_mean},
            {"Resize", import_resize},
            {"Upsample", import_resize}};
}

} // namespace hdap::network
