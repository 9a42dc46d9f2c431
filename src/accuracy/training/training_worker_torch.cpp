#include "training_worker_torch.hpp"

#include "hdap/core/text.hpp"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/kl_div.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>
#include <fmt/core.h>

#include <algorithm>
#include <c10/core/GradMode.h>

namespace hdap::accuracy {
namespace {

/// `values` as a tensor of the shape and memory order of `like`.
at::Tensor view_of(float* values, const at::Tensor& like) {
    return at::from_blob(values, like.sizes(), like.strides(), at::kFloat);
}

double share_right(const at::Tensor& logits, const at::Tensor& labels) {
    return logits.detach().argmax(1).eq(labels).to(at::kDouble).mean().item<double>();
}

} // namespace

std::vector<ContributionPart> contribution_parts(TorchNetwork& network, double weight_decay) {
    std::vector<ContributionPart> parts;
    std::int64_t first = 0;
    const auto add = [&](std::size_t node, at::Tensor NodeParameters::*member, bool trained,
                         double decay) {
        const at::Tensor& value = network.parameters()[node].*member;
        if (!value.defined()) return;
        parts.push_back({node, member, trained, decay, first, value.numel()});
        first += value.numel();
    };
    for (std::size_t i = 0; i < network.parameters().size(); ++i) {
        const bool norm = network.network().nodes[i].op == network::Operator::batch_norm;
        add(i, &NodeParameters::weight, true, norm ? 0.0 : weight_decay);
        add(i, &NodeParameters::bias, true, 0.0);
        add(i, &NodeParameters::running_mean, false, 0.0);
        add(i, &NodeParameters::running_var, false, 0.0);
    }
    return parts;
}

at::Tensor& tensor_of(TorchNetwork& network, const ContributionPart& part) {
    return network.parameters()[part.node].*part.member;
}

Backend backend_of(const std::string& device) {
    const bool has_cuda = at::globalContext().hasCUDA();
    if (device == "cpu" || (device == "auto" && !has_cuda)) return {};
    if (device == "reference") return {.device = at::kCPU, .own_kernels = false};
    if (device != "auto" && device != "cuda")
        throw core::ConfigError(fmt::format("training: unknown device '{}'; known: {}", device,
                                            core::join(training_devices())));
    if (!has_cuda)
        throw core::ConfigError("training: device is cuda, but LibTorch finds none here");
    return {.device = at::Device(at::kCUDA, 0), .own_kernels = false};
}

TrainingWorker::TrainingWorker(TorchNetwork& trained, const network::Weights& weights,
                               const std::vector<ContributionPart>& parts, const Backend& backend,
                               const TrainingParameters& parameters)
    : trained_(trained), parts_(parts), backend_(backend), parameters_(parameters),
      network_(trained.network(), weights, backend) {
    for (const ContributionPart& part : parts_) {
        if (!part.trained) continue;
        at::Tensor& value = tensor_of(network_, part);
        if (backend_.own_kernels) value = tensor_of(trained_, part).detach();
        value.set_requires_grad(true);
    }
}

void TrainingWorker::set_teacher(const network::PrunedNetwork& teacher, std::int64_t images) {
    const network::Network imitated = network::without_final_softmax(teacher.network);
    if (backend_.own_kernels)
        teacher_.emplace(imitated, teacher.weights, images, NormMode::running);
    else
        teacher_elsewhere_.emplace(imitated, teacher.weights, backend_);
}

void TrainingWorker::compute(const TrainingBatches& batches, std::int64_t first, std::int64_t count,
                             float* contribution) {
    const c10::AutoGradMode gradients(true);
    const double share =
        static_cast<double>(count) / static_cast<double>(batches.images_per_batch());
    at::Tensor images = empty_batch(count, batches.images());
    at::Tensor labels = at::empty({count}, at::kLong);
    batches.write(first, count, images.data_ptr<float>(), labels.data_ptr<std::int64_t>());
    images = images.contiguous(backend_.layout()).to(backend_.device);
    labels = labels.to(backend_.device);
    refresh();
    const at::Tensor logits = network_.forward_training(images);
    const at::Tensor loss = loss_of(logits, images, labels) * share;
    loss.backward();
    write_parts(share, contribution);
    float* const numbers = contribution + parts_.back().first + parts_.back().count;
    numbers[0] = static_cast<float>(loss.item<double>());
    numbers[1] = static_cast<float>(share * share_right(logits, labels));
}

/// Brings what the worker does not share to where the training stands: a batch norm moves its
/// running statistics from where they were before the step.
void TrainingWorker::refresh() {
    const c10::AutoGradMode no_gradients(false);
    for (const ContributionPart& part : parts_)
        if (!part.trained || !backend_.own_kernels)
            tensor_of(network_, part).copy_(tensor_of(trained_, part));
}

at::Tensor TrainingWorker::teacher_logits(const at::Tensor& images, std::int64_t classes) {
    if (teacher_elsewhere_) {
        const c10::AutoGradMode no_gradients(false);
        return teacher_elsewhere_->forward(images);
    }
    std::copy_n(images.data_ptr<float>(), images.numel(), teacher_->images());
    teacher_->run();
    at::Tensor logits = at::empty({images.size(0), classes}, at::kFloat);
    std::copy_n(teacher_->output(), logits.numel(), logits.data_ptr<float>());
    return logits;
}

at::Tensor TrainingWorker::loss_of(const at::Tensor& logits, const at::Tensor& images,
                                   const at::Tensor& labels) {
    constexpr std::int64_t no_ignored_label = -100;
    const double d = parameters_.distillation;
    at::Tensor loss;
    if (d < 1.0)
        loss = at::cross_entropy_loss(logits, labels, {}, at::Reduction::Mean, no_ignored_label,
                                      parameters_.label_smoothing);
    if (d == 0.0) return loss;
    const double t = parameters_.distillation_temperature;
    const at::Tensor soft = at::softmax(teacher_logits(images, logits.size(1)) / t, 1);
    // Summed and divided: the mean of kl_div would be over classes, too.
    const at::Tensor divergence =
        at::kl_div(at::log_softmax(logits / t, 1), soft, at::Reduction::Sum) *
        (t * t / static_cast<double>(logits.size(0)));
    return loss.defined() ? loss * (1.0 - d) + divergence * d : divergence;
}

/// Uses up the gradients.
void TrainingWorker::write_parts(double share, float* contribution) {
    const c10::AutoGradMode no_gradients(false);
    for (const ContributionPart& part : parts_) {
        at::Tensor& value = tensor_of(network_, part);
        at::Tensor target = view_of(contribution + part.first, tensor_of(trained_, part));
        if (!part.trained)
            target.copy_(value).mul_(share);
        else if (value.grad().defined())
            target.copy_(value.grad());
        else // nothing flows to a layer that the output does not depend on
            target.zero_();
        if (part.trained) value.mutable_grad().reset();
    }
}

} // namespace hdap::accuracy
