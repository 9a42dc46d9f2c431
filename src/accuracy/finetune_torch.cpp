#include "hdap/accuracy/evaluator.hpp"
#include "hdap/accuracy/finetune.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/text.hpp"
#include "image_check.hpp"
#include "network_torch.hpp"
#include "normaliser.hpp"

#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <c10/core/GradMode.h>
#include <cmath>
#include <numbers>

namespace hdap::accuracy {
namespace {

void check_range(const char* name, double value, double low, double high, bool low_allowed,
                 bool high_allowed) {
    const bool inside =
        (low_allowed ? value >= low : value > low) && (high_allowed ? value <= high : value < high);
    if (!inside)
        throw core::ConfigError(std::string("fine-tuning: ") + name + " is " +
                                core::shortest(value) + ", must be in " +
                                (low_allowed ? "[" : "(") + core::shortest(low) + ", " +
                                core::shortest(high) + (high_allowed ? "]" : ")"));
}

void check_parameters(const FinetuneParameters& parameters) {
    check_range("epochs", parameters.epochs, 0.0, 10'000.0, false, true);
    check_range("batch", static_cast<double>(parameters.batch), 2.0, 65'536.0, true, true);
    check_range("learning_rate", parameters.learning_rate, 0.0, 100.0, false, true);
    check_range("momentum", parameters.momentum, 0.0, 1.0, true, false);
    check_range("weight_decay", parameters.weight_decay, 0.0, 1.0, true, true);
    check_range("warmup", parameters.warmup, 0.0, 0.5, true, true);
    check_range("label_smoothing", parameters.label_smoothing, 0.0, 0.5, true, true);
    check_range("crop_padding", parameters.crop_padding, 0.0, 0.5, true, true);
}

/// How many steps there are, and the learning rate of each.
class Schedule {
  public:
    Schedule(const FinetuneParameters& parameters, std::int64_t steps_per_epoch)
        : peak_(parameters.learning_rate),
          steps_(std::max<std::int64_t>(
              1, std::llround(parameters.epochs * static_cast<double>(steps_per_epoch)))),
          warmup_(std::llround(parameters.warmup * static_cast<double>(steps_))) {}

    [[nodiscard]] std::int64_t steps() const noexcept { return steps_; }

    [[nodiscard]] double learning_rate(std::int64_t step) const {
        if (step < warmup_)
            return peak_ * static_cast<double>(step + 1) / static_cast<double>(warmup_ + 1);
        const double done =
            static_cast<double>(step - warmup_) / static_cast<double>(steps_ - warmup_);
        return 0.5 * peak_ * (1.0 + std::cos(std::numbers::pi * done));
    }

  private:
    double peak_;
    std::int64_t steps_;
    std::int64_t warmup_;
};

/// The batches of training, in an order and with variations that depend on the seed alone.
class TrainingBatches {
  public:
    TrainingBatches(const ImageData& images, const FinetuneParameters& parameters)
        : images_(images), normaliser_(images), seed_(parameters.seed),
          augment_(parameters.augment),
          padding_(static_cast<std::int64_t>(parameters.crop_padding *
                                             static_cast<double>(images.height))),
          batch_(std::min(parameters.batch, images.count)) {}

    [[nodiscard]] std::int64_t per_epoch() const noexcept { return images_.count / batch_; }

    struct Batch {
        at::Tensor images;
        at::Tensor labels; ///< int64
    };

    Batch make(std::int64_t step) {
        const std::int64_t epoch = step / per_epoch();
        const std::int64_t first = step % per_epoch() * batch_;
        if (first == 0 || order_.empty())
            order_ = core::RandomStream(seed_, core::StreamId::data_order,
                                        static_cast<std::uint32_t>(epoch))
                         .permutation(static_cast<std::size_t>(images_.count));
        Batch result{empty_batch(batch_, images_), at::empty({batch_}, at::kLong)};
        const std::int64_t size = images_.channels * images_.height * images_.width;
        for (std::int64_t i = 0; i < batch_; ++i) {
            const std::size_t image = order_[static_cast<std::size_t>(first + i)];
            normaliser_.write(static_cast<std::int64_t>(image), augmentation(epoch, image),
                              result.images.data_ptr<float>() + i * size);
            result.labels.data_ptr<std::int64_t>()[i] = images_.labels[image];
        }
        return result;
    }

  private:
    [[nodiscard]] Augmentation augmentation(std::int64_t epoch, std::size_t image) const {
        if (!augment_) return {};
        core::RandomStream random(seed_, core::StreamId::augmentation,
                                  static_cast<std::uint32_t>(epoch),
                                  static_cast<std::uint32_t>(image));
        const auto shift = [&] {
            return static_cast<std::int64_t>(
                       random.below(static_cast<std::uint64_t>(2 * padding_ + 1))) -
                   padding_;
        };
        Augmentation result;
        result.flip = random.below(2) == 1;
        result.shift_y = shift();
        result.shift_x = shift();
        return result;
    }

    const ImageData& images_;
    Normaliser normaliser_;
    std::uint64_t seed_;
    bool augment_;
    std::int64_t padding_; // pixels
    std::int64_t batch_;
    std::vector<std::size_t> order_;
};

/// SGD with Nesterov momentum as Sutskever et al. rewrite it: v ← µ·v + g, w ← w − η·(g + µ·v).
class Sgd {
  public:
    Sgd(TorchNetwork& network, const FinetuneParameters& parameters)
        : momentum_(parameters.momentum) {
        for (std::size_t i = 0; i < network.parameters().size(); ++i) {
            NodeParameters& node = network.parameters()[i];
            const bool norm = network.network().nodes[i].op == network::Operator::batch_norm;
            add(node.weight, norm ? 0.0 : parameters.weight_decay);
            add(node.bias, 0.0);
        }
    }

    /// Uses up the gradients.
    void step(double learning_rate) {
        const c10::AutoGradMode no_gradients(false);
        for (Parameter& parameter : parameters_) {
            at::Tensor& gradient = parameter.value.mutable_grad();
            // Nothing flows to a layer that the output does not depend on.
            if (!gradient.defined()) continue;
            if (parameter.decay > 0.0) gradient.add_(parameter.value, parameter.decay);
            parameter.velocity.mul_(momentum_).add_(gradient);
            parameter.value.add_(gradient.add_(parameter.velocity, momentum_), -learning_rate);
            gradient.reset();
        }
    }

  private:
    struct Parameter {
        at::Tensor value;
        at::Tensor velocity;
        double decay = 0.0;
    };

    void add(at::Tensor& value, double decay) {
        if (!value.defined()) return;
        parameters_.push_back({value, at::zeros_like(value), decay});
        value.set_requires_grad(true);
    }

    double momentum_;
    std::vector<Parameter> parameters_;
};

double share_right(const at::Tensor& logits, const at::Tensor& labels) {
    return logits.detach().argmax(1).eq(labels).to(at::kDouble).mean().item<double>();
}

/// Runs one step's forward and backward pass; returns the loss and the share that was right.
std::pair<double, double> propagate(TorchNetwork& network, const TrainingBatches::Batch& batch,
                                    double label_smoothing) {
    constexpr std::int64_t no_ignored_label = -100;
    const at::Tensor logits = network.forward_training(batch.images);
    const at::Tensor loss = at::cross_entropy_loss(logits, batch.labels, {}, at::Reduction::Mean,
                                                   no_ignored_label, label_smoothing);
    loss.backward();
    return {loss.item<double>(), share_right(logits, batch.labels)};
}

/// An exponential moving average that starts at `value`.
void average(double& mean, double value, std::int64_t step) {
    mean = step == 0 ? value : 0.98 * mean + 0.02 * value;
}

void train(TorchNetwork& network, const ImageData& images, const FinetuneParameters& parameters,
           const std::function<bool(const FinetuneProgress&)>& observer) {
    // LibTorch runs the backward pass of the CPU in the thread that calls it.
    const c10::AutoGradMode gradients(true);
    TrainingBatches batches(images, parameters);
    const Schedule schedule(parameters, batches.per_epoch());
    Sgd sgd(network, parameters);
    FinetuneProgress progress{
        .step = 0, .steps = schedule.steps(), .loss = 0.0, .train_accuracy = 0.0};
    while (progress.step < progress.steps) {
        const double learning_rate = schedule.learning_rate(progress.step);
        const auto [loss, right] =
            propagate(network, batches.make(progress.step), parameters.label_smoothing);
        if (!std::isfinite(loss))
            throw core::InternalError(
                "fine-tuning network '" + network.network().name + "' diverged: the loss is " +
                core::shortest(loss) + " in step " + std::to_string(progress.step + 1) + " of " +
                std::to_string(progress.steps) + " at a learning rate of " +
                core::significant(learning_rate) + "; try a lower learning_rate");
        sgd.step(learning_rate);
        average(progress.loss, loss, progress.step);
        average(progress.train_accuracy, right, progress.step);
        ++progress.step;
        if (observer && !observer(progress)) return;
    }
}

/// The last step may be the one that breaks the weights, with no loss after it to show it.
void check_finite(const network::Weights& weights, const FinetuneParameters& parameters) {
    for (const auto& [name, tensor] : weights)
        for (const float value : tensor.values)
            if (!std::isfinite(value))
                throw core::InternalError("fine-tuning diverged: '" + name + "' holds " +
                                          core::shortest(static_cast<double>(value)) +
                                          " after training at a learning rate of up to " +
                                          core::significant(parameters.learning_rate) +
                                          "; try a lower learning_rate");
}

} // namespace

network::Weights finetune(const network::PrunedNetwork& start, const ImageData& images,
                          const FinetuneParameters& parameters,
                          const std::function<bool(const FinetuneProgress&)>& observer) {
    check_parameters(parameters);
    check_fit(start.network, images, "training images");
    if (images.count < 2)
        throw core::DataError("training images: batch norm needs at least 2, got " +
                              std::to_string(images.count));
    use_one_thread_per_candidate();
    return translate_errors([&] {
        TorchNetwork network(network::without_final_softmax(start.network), start.weights);
        train(network, images, parameters, observer);
        network::Weights result = start.weights;
        network.store(result);
        check_finite(result, parameters);
        return result;
    });
}

} // namespace hdap::accuracy
