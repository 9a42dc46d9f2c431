#include "hdap/accuracy/evaluation.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/weight_files.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>

using namespace hdap;

namespace {

std::filesystem::path from_environment(const char* variable) {
    const char* const value = std::getenv(variable);
    return value == nullptr ? "" : value;
}

/// The accuracy of a published state dict on CIFAR-10's test images, normalised as it says.
double accuracy_on_cifar10(const std::string& name, const std::filesystem::path& models,
                           const storage::Hdf5Reader& cifar10) {
    const network::Network network =
        network::make_network({.name = name, .classes = 10, .input_extent = {32, 32}});
    const auto path = models / (name + "-cifar10.h5");
    network::WeightFile file = network::load_weights(path);
    accuracy::ImageData images = accuracy::read_images(cifar10, "test");
    images.mean = file.normalisation.value().mean;
    images.deviation = file.normalisation.value().deviation;
    const network::Weights weights =
        network::fit_weights(network, std::move(file.weights), path.string());
    return accuracy::top1_accuracy(network, weights, images, {});
}

} // namespace

TEST_CASE("published ResNets for CIFAR-10 reach their published accuracies") {
    const std::filesystem::path models = from_environment("HDAP_SHARED_DATA") / "models";
    const std::filesystem::path packed = from_environment("HDAP_CIFAR10");
    if (!std::filesystem::exists(models / "resnet20-cifar10.h5") ||
        !std::filesystem::exists(packed)) {
        WARN("skipped: HDAP_SHARED_DATA names no folder with models/resnet20-cifar10.h5, or "
             "HDAP_CIFAR10 no packed CIFAR-10");
        return;
    }
    const auto cifar10 = storage::Hdf5Reader::open(packed.string());
    const double resnet20 = accuracy_on_cifar10("resnet20", models, cifar10);
    const double resnet56 = accuracy_on_cifar10("resnet56", models, cifar10);
    UNSCOPED_INFO("resnet20 " << resnet20 << ", resnet56 " << resnet56);
    CHECK(resnet20 == Approx(0.917).margin(0.001));
    CHECK(resnet56 == Approx(0.934).margin(0.001));
}
