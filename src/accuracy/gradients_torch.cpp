#include "accuracy/images/normaliser.hpp"
#include "backend_torch.hpp"
#include "hdap/accuracy/image_fit.hpp"
#include "hdap/core/error.hpp"
#include "network_torch.hpp"
#include "threads_torch.hpp"

#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <fmt/core.h>

#include <algorithm>

namespace hdap::accuracy {
namespace {

/// The sum of the losses of images [first, first + count), ready for its gradient.
at::Tensor batch_loss(const TorchNetwork& network, const ImageData& images,
                      const Normaliser& normaliser, std::int64_t first, std::int64_t count) {
    const std::int64_t image = images.channels * images.height * images.width;
    at::Tensor input = empty_batch(count, images);
    at::Tensor labels = at::empty({count}, at::kLong);
    for (std::int64_t i = 0; i < count; ++i) {
        normaliser.write(first + i, {}, input.data_ptr<float>() + i * image);
        labels.data_ptr<std::int64_t>()[i] = images.labels[static_cast<std::size_t>(first + i)];
    }
    return at::cross_entropy_loss(network.forward_gradient(input), labels, {}, at::Reduction::Sum);
}

/// Replaces every parameter by its gradient.
void take_gradients(TorchNetwork& network, double images) {
    for (NodeParameters& node : network.parameters())
        for (at::Tensor* tensor : {&node.weight, &node.bias})
            if (tensor->defined()) *tensor = tensor->grad().div(images);
}

} // namespace

network::Weights backend::loss_gradients(const network::Network& network,
                                         const network::Weights& weights, const ImageData& images,
                                         const EvaluationParameters& parameters) {
    if (parameters.batch < 1 || parameters.batch > 100'000)
        throw core::ConfigError(
            fmt::format("gradient batch is {}, must be in [1, 100000]", parameters.batch));
    check_fit(network, images, "images for gradients");
    use_threads(1);
    return translate_errors([&] {
        TorchNetwork torch_network(network::without_final_softmax(network), weights);
        for (NodeParameters& node : torch_network.parameters())
            for (at::Tensor* tensor : {&node.weight, &node.bias})
                if (tensor->defined()) tensor->set_requires_grad(true);
        const Normaliser normaliser(images);
        for (std::int64_t first = 0; first < images.count; first += parameters.batch)
            batch_loss(torch_network, images, normaliser, first,
                       std::min(parameters.batch, images.count - first))
                .backward();
        take_gradients(torch_network, static_cast<double>(images.count));
        network::Weights result = weights;
        torch_network.store(result);
        return result;
    });
}

} // namespace hdap::accuracy
