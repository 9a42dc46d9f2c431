#include "builder.hpp"
#include "hdap/core/error.hpp"

#include <array>

namespace hdap::network {
namespace {

/// VGG's configuration D (Simonyan and Zisserman, ICLR 2015, table 1); 0 is a pooling.
constexpr std::array<std::int64_t, 18> configuration_d{64, 64,  0,   128, 128, 0,   256, 256, 256,
                                                       0,  512, 512, 512, 0,   512, 512, 512, 0};

/// The convolutions, named by their place in torchvision's `features`.
std::size_t append_features(NetworkBuilder& builder, double width, bool with_norm) {
    std::size_t last = 0;
    int place = 0;
    const auto name = [&place] { return "features." + std::to_string(place++); };
    for (const std::int64_t channels : configuration_d) {
        if (channels == 0) {
            last = builder.max_pool(name(), last, 2, 2, 0);
            continue;
        }
        last = builder.conv(name(), last, scaled(channels, width), {.bias = true});
        if (with_norm) last = builder.apply(Operator::batch_norm, name(), {last});
        last = builder.apply(Operator::relu, name(), {last});
    }
    return last;
}

} // namespace

Network make_vgg16(const ZooRequest& request) {
    if (request.input_extent.height < 32 || request.input_extent.width < 32)
        throw core::ConfigError("vgg16 halves its images five times: they must have 32 x 32 pixels "
                                "or more; for smaller ones use vgg16_cifar");
    NetworkBuilder builder(request);
    std::size_t last = append_features(builder, request.width, false);
    last = builder.apply(Operator::flatten, "flatten", {last});
    for (const char* layer : {"0", "3"}) {
        const std::string name = std::string("classifier.") + layer;
        last = builder.linear(name, last, scaled(4096, request.width));
        last = builder.apply(Operator::relu, name + ".relu", {last});
    }
    builder.linear("classifier.6", last, request.classes);
    return std::move(builder).finish();
}

Network make_vgg16_cifar(const ZooRequest& request) {
    if (request.input_extent.height < 32 || request.input_extent.width < 32)
        throw core::ConfigError("vgg16_cifar halves its images five times: they must have 32 x 32 "
                                "pixels or more");
    NetworkBuilder builder(request);
    std::size_t last = append_features(builder, request.width, true);
    last = builder.apply(Operator::global_average_pool, "pool", {last});
    builder.linear("classifier", last, request.classes);
    return std::move(builder).finish();
}

} // namespace hdap::network
