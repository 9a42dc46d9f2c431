#include "hdap/network/zoo.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "zoo_builder.hpp"

#include <array>

namespace hdap::network {
namespace {

struct Entry {
    const char* name;
    Network (*make)(const ZooRequest&);
};

constexpr std::array<Entry, 20> zoo{
    {{"mobilenet_v1", make_mobilenet_v1}, {"mobilenet_v2", make_mobilenet_v2},
     {"resnet18", make_imagenet_resnet},  {"resnet34", make_imagenet_resnet},
     {"resnet50", make_imagenet_resnet},  {"resnet50_v1", make_imagenet_resnet},
     {"resnet101", make_imagenet_resnet}, {"resnet20", make_cifar_resnet},
     {"resnet32", make_cifar_resnet},     {"resnet44", make_cifar_resnet},
     {"resnet56", make_cifar_resnet},     {"resnet110", make_cifar_resnet},
     {"resnet20_b", make_cifar_resnet},   {"resnet32_b", make_cifar_resnet},
     {"resnet44_b", make_cifar_resnet},   {"resnet56_b", make_cifar_resnet},
     {"resnet110_b", make_cifar_resnet},  {"vgg16", make_vgg16},
     {"vgg16_cifar", make_vgg16_cifar},   {"yolov8n", make_yolov8n}}};

[[noreturn]] void refuse_name(const std::string& name) {
    const std::string shown = name.substr(0, 64); // a hostile name must not cost time
    const std::vector<std::string> known = zoo_names();
    throw core::ConfigError("unknown network '" + shown + "'" + core::did_you_mean(shown, known) +
                            "; known: " + core::join(known));
}

void check_range(const char* what, std::int64_t value, std::int64_t low, std::int64_t high) {
    if (value < low || value > high)
        throw core::ConfigError("network " + std::string(what) + " is " + std::to_string(value) +
                                ", must be in [" + std::to_string(low) + ", " +
                                std::to_string(high) + "]");
}

void check_ranges(const ZooRequest& request) {
    if (!(request.width > 0.0 && request.width <= 4.0))
        throw core::ConfigError("network width is " + core::shortest(request.width) +
                                ", must be in (0, 4]");
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

Network make_network(const ZooRequest& request) {
    for (const Entry& entry : zoo) {
        if (request.name != entry.name) continue;
        check_ranges(request);
        return entry.make(request);
    }
    refuse_name(request.name);
}

} // namespace hdap::network
