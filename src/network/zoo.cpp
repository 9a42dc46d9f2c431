#include "hdap/network/zoo.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "network/zoo/builder.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace hdap::network {
namespace {

struct Entry {
    const char* name;
    Network (*make)(const ZooRequest&);
    std::int64_t classes;    ///< as published
    std::int64_t image_size; ///< as published
};

constexpr std::array<Entry, 20> zoo{{{"mobilenet_v1", make_mobilenet_v1, 1000, 224},
                                     {"mobilenet_v2", make_mobilenet_v2, 1000, 224},
                                     {"resnet18", make_imagenet_resnet, 1000, 224},
                                     {"resnet34", make_imagenet_resnet, 1000, 224},
                                     {"resnet50", make_imagenet_resnet, 1000, 224},
                                     {"resnet50_v1", make_imagenet_resnet, 1000, 224},
                                     {"resnet101", make_imagenet_resnet, 1000, 224},
                                     {"resnet20", make_cifar_resnet, 10, 32},
                                     {"resnet32", make_cifar_resnet, 10, 32},
                                     {"resnet44", make_cifar_resnet, 10, 32},
                                     {"resnet56", make_cifar_resnet, 10, 32},
                                     {"resnet110", make_cifar_resnet, 10, 32},
                                     {"resnet20_b", make_cifar_resnet, 10, 32},
                                     {"resnet32_b", make_cifar_resnet, 10, 32},
                                     {"resnet44_b", make_cifar_resnet, 10, 32},
                                     {"resnet56_b", make_cifar_resnet, 10, 32},
                                     {"resnet110_b", make_cifar_resnet, 10, 32},
                                     {"vgg16", make_vgg16, 1000, 224},
                                     {"vgg16_cifar", make_vgg16_cifar, 10, 32},
                                     {"yolov8n", make_yolov8n, 80, 640}}};

[[noreturn]] void refuse_name(const std::string& name) {
    const std::string shown = name.substr(0, 64); // a hostile name must not cost time
    const std::vector<std::string> known = zoo_names();
    throw core::ConfigError(fmt::format("unknown network '{}'{}; known: {}", shown,
                                        core::did_you_mean(shown, known), core::join(known)));
}

void check_range(const char* what, std::int64_t value, std::int64_t low, std::int64_t high) {
    if (value < low || value > high)
        throw core::ConfigError(
            fmt::format("network {} is {}, must be in [{}, {}]", what, value, low, high));
}

void check_ranges(const ZooRequest& request) {
    if (!(request.width > 0.0 && request.width <= 4.0))
        throw core::ConfigError(
            fmt::format("network width is {}, must be in (0, 4]", core::shortest(request.width)));
    check_range("classes", request.classes, 2, 100'000);
    check_range("input_channels", request.input_channels, 1, 64);
    check_range("input height", request.input_extent.height, 8, 1024);
    check_range("input width", request.input_extent.width, 8, 1024);
}

} // namespace

std::vector<std::string> zoo_names() {
    std::vector<std::string> names;
    for (const Entry& entry : zoo)
        names.emplace_back(entry.name);
    return names;
}

bool is_in_zoo(const std::string& name) {
    return std::any_of(zoo.begin(), zoo.end(),
                       [&](const Entry& entry) { return name == entry.name; });
}

Network make_network(const ZooRequest& request) {
    for (const Entry& entry : zoo) {
        if (request.name != entry.name) continue;
        ZooRequest complete = request;
        if (complete.classes == 0) complete.classes = entry.classes;
        if (complete.input_extent == Extent{0, 0})
            complete.input_extent = {entry.image_size, entry.image_size};
        check_ranges(complete);
        return entry.make(complete);
    }
    refuse_name(request.name);
}

} // namespace hdap::network
