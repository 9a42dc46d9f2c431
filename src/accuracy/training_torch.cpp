#include "engine.hpp"
#include "hdap/accuracy/evaluator.hpp"
#include "hdap/accuracy/training.hpp"
#include "hdap/core/text.hpp"
#include "image_check.hpp"
#include "learning_rate.hpp"
#include "network_torch.hpp"
#include "training_batches.hpp"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/kl_div.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <c10/core/GradMode.h>
#include <cmath>
#include <exception>
#include <omp.h>

namespace hdap::accuracy {
namespace {

void check_range(const char* name, double value, double low, double high, bool low_allowed,
                 bool high_allowed) {
    const bool inside =
        (low_allowed ? value >= low : value > low) && (high_allowed ? value <= high : value < high);
    if (!inside)
        throw core::ConfigError(std::string("training: ") + name + " is " + core::shortest(value) +
                                ", must be in " + (low_allowed ? "[" : "(") + core::shortest(low) +
                                ", " + core::shortest(high) + (high_allowed ? "]" : ")"));
}

void check_parameters(const TrainingParameters& parameters) {
    check_range("epochs", parameters.epochs, 0.0, 10'000.0, false, true);
    check_range("batch", static_cast<double>(parameters.batch), 2.0, 65'536.0, true, true);
    check_range("shard", static_cast<double>(parameters.shard), 2.0, 65'536.0, true, true);
    check_range("learning_rate", parameters.learning_rate, 0.0, 100.0, false, true);
    check_range("momentum", parameters.momentum, 0.0, 1.0, true, false);
    check_range("weight_decay", parameters.weight_decay, 0.0, 1.0, true, true);
    check_range("warmup", parameters.warmup, 0.0, 0.5, true, true);
    check_range("label_smoothing", parameters.label_smoothing, 0.0, 0.5, true, true);
    check_range("distillation", parameters.distillation, 0.0, 1.0, true, true);
    check_range("distillation_temperature", parameters.distillation_temperature, 0.0, 100.0, false,
                true);
    check_range("crop_padding", parameters.crop_padding, 0.0, 0.5, true, true);
}

/// A parameter that is trained, or a running statistic of a batch norm.
struct Entry {
    std::size_t node = 0;
    at::Tensor NodeParameters::*member = nullptr;
    bool trained = false;
    double decay = 0.0;
    std::int64_t first = 0; ///< in a contribution
    std::int64_t count = 0;
};

/// All tensors of a network, in the order in which contributions hold them.
std::vector<Entry> entries_of(TorchNetwork& network, double weight_decay) {
    std::vector<Entry> entries;
    std::int64_t first = 0;
    const auto add = [&](std::size_t node, at::Tensor NodeParameters::*member, bool trained,
                         double decay) {
        const at::Tensor& value = network.parameters()[node].*member;
        if (!value.defined()) return;
        entries.push_back({node, member, trained, decay, first, value.numel()});
        first += value.numel();
    };
    for (std::size_t i = 0; i < network.parameters().size(); ++i) {
        const bool norm = network.network().nodes[i].op == network::Operator::batch_norm;
        add(i, &NodeParameters::weight, true, norm ? 0.0 : weight_decay);
        add(i, &NodeParameters::bias, true, 0.0);
        add(i, &NodeParameters::running_mean, false, 0.0);
        add(i, &NodeParameters::running_var, false, 0.0);
    }
    return entries;
}

/// `values` as a tensor of the shape and memory order of `like`.
at::Tensor view_of(float* values, const at::Tensor& like) {
    return at::from_blob(values, like.sizes(), like.strides(), at::kFloat);
}

Backend backend_of(const std::string& device) {
    const bool has_cuda = at::globalContext().hasCUDA();
    if (device == "cpu" || (device == "auto" && !has_cuda)) return {};
    if (device == "reference") return {.device = at::kCPU, .own_kernels = false};
    if (device != "auto" && device != "cuda")
        throw core::ConfigError("training: unknown device '" + device +
                                "'; known: " + core::join(training_devices()));
    if (!has_cuda)
        throw core::ConfigError("training: device is cuda, but LibTorch finds none here");
    return {.device = at::Device(at::kCUDA, 0), .own_kernels = false};
}

/// What a thread needs of its own: gradients, running statistics, a teacher. On the CPU it reads
/// the weights of the network that is trained; for another backend it has copies.
struct Worker {
    TorchNetwork network;
    std::optional<Engine> teacher; ///< the teacher on the CPU
    std::optional<TorchNetwork> teacher_elsewhere;
};

double share_right(const at::Tensor& logits, const at::Tensor& labels) {
    return logits.detach().argmax(1).eq(labels).to(at::kDouble).mean().item<double>();
}

/// An exponential moving average that starts at `value`.
void average(double& mean, double value, std::int64_t step) {
    mean = step == 0 ? value : 0.98 * mean + 0.02 * value;
}

} // namespace

struct Training::State {
    State(const network::PrunedNetwork& own_start, const ImageData& own_images,
          const TrainingParameters& own_parameters,
          const std::optional<network::PrunedNetwork>& own_teacher)
        : parameters(own_parameters), start(own_start), teacher(own_teacher),
          backend(backend_of(parameters.device)),
          network(network::without_final_softmax(start.network), start.weights),
          entries(entries_of(network, parameters.weight_decay)), batches(own_images, parameters),
          rate(parameters, batches.per_epoch()), images(own_images),
          shards(std::max<std::int64_t>(1, batches.images_per_batch() / parameters.shard)) {
        progress.steps = rate.steps();
        for (const Entry& entry : entries) {
            total.resize(total.size() + static_cast<std::size_t>(entry.count));
            if (entry.trained) velocity.push_back(at::zeros_like(tensor(network, entry)));
        }
        total.resize(total.size() + 2); // loss, share of images got right
    }

    static at::Tensor& tensor(TorchNetwork& of, const Entry& entry) {
        return of.parameters()[entry.node].*entry.member;
    }

    /// The images of shard `shard` in the batch.
    [[nodiscard]] std::int64_t first_image(std::int64_t shard) const {
        return batches.images_per_batch() * shard / shards;
    }
    [[nodiscard]] std::int64_t largest_shard() const {
        return (batches.images_per_batch() + shards - 1) / shards;
    }

    void add_worker() {
        Worker worker{TorchNetwork(network.network(), start.weights, backend), {}, {}};
        for (const Entry& entry : entries) {
            if (!entry.trained) continue;
            at::Tensor& value = tensor(worker.network, entry);
            if (backend.own_kernels) value = tensor(network, entry).detach();
            value.set_requires_grad(true);
        }
        if (parameters.distillation > 0.0) {
            const network::Network imitated = network::without_final_softmax(teacher->network);
            if (backend.own_kernels)
                worker.teacher.emplace(imitated, teacher->weights, largest_shard(),
                                       NormMode::running);
            else
                worker.teacher_elsewhere.emplace(imitated, teacher->weights, backend);
        }
        workers.push_back(std::move(worker));
    }

    /// Brings what a worker does not share to where the training stands: a batch norm moves its
    /// running statistics from where they were before the step.
    void refresh(Worker& worker) {
        const c10::AutoGradMode no_gradients(false);
        for (const Entry& entry : entries)
            if (!entry.trained || !backend.own_kernels)
                tensor(worker.network, entry).copy_(tensor(network, entry));
    }

    /// The teacher's logits for images of [count][height][width][channels].
    static at::Tensor teacher_logits(Worker& worker, const at::Tensor& images,
                                     std::int64_t classes) {
        if (worker.teacher_elsewhere) {
            const c10::AutoGradMode no_gradients(false);
            return worker.teacher_elsewhere->forward(images);
        }
        Engine& engine = *worker.teacher;
        std::copy_n(images.data_ptr<float>(), images.numel(), engine.images());
        engine.run();
        at::Tensor logits = at::empty({images.size(0), classes}, at::kFloat);
        std::copy_n(engine.output(), logits.numel(), logits.data_ptr<float>());
        return logits;
    }

    [[nodiscard]] at::Tensor loss_of(Worker& worker, const at::Tensor& logits,
                                     const at::Tensor& pixels, const at::Tensor& labels) const {
        constexpr std::int64_t no_ignored_label = -100;
        const double d = parameters.distillation;
        at::Tensor loss;
        if (d < 1.0)
            loss = at::cross_entropy_loss(logits, labels, {}, at::Reduction::Mean, no_ignored_label,
                                          parameters.label_smoothing);
        if (d == 0.0) return loss;
        const double t = parameters.distillation_temperature;
        const at::Tensor soft = at::softmax(teacher_logits(worker, pixels, logits.size(1)) / t, 1);
        // Summed and divided: the mean of kl_div would be over classes, too.
        const at::Tensor divergence =
            at::kl_div(at::log_softmax(logits / t, 1), soft, at::Reduction::Sum) *
            (t * t / static_cast<double>(logits.size(0)));
        return loss.defined() ? loss * (1.0 - d) + divergence * d : divergence;
    }

    /// Writes what `shard` contributes to a step.
    void compute_shard(Worker& worker, std::int64_t shard, float* contribution) {
        const c10::AutoGradMode gradients(true);
        const std::int64_t first = first_image(shard);
        const std::int64_t count = first_image(shard + 1) - first;
        const double share =
            static_cast<double>(count) / static_cast<double>(batches.images_per_batch());
        at::Tensor pixels = empty_batch(count, images);
        at::Tensor labels = at::empty({count}, at::kLong);
        batches.write(first, count, pixels.data_ptr<float>(), labels.data_ptr<std::int64_t>());
        pixels = pixels.contiguous(backend.layout()).to(backend.device);
        labels = labels.to(backend.device);
        refresh(worker);
        const at::Tensor logits = worker.network.forward_training(pixels);
        const at::Tensor loss = loss_of(worker, logits, pixels, labels) * share;
        loss.backward();
        const c10::AutoGradMode no_gradients(false);
        for (const Entry& entry : entries) {
            at::Tensor& value = tensor(worker.network, entry);
            at::Tensor target = view_of(contribution + entry.first, tensor(network, entry));
            if (!entry.trained)
                target.copy_(value).mul_(share);
            else if (value.grad().defined())
                target.copy_(value.grad());
            else // nothing flows to a layer that the output does not depend on
                target.zero_();
            if (entry.trained) value.mutable_grad().reset();
        }
        contribution[total.size() - 2] = static_cast<float>(loss.item<double>());
        contribution[total.size() - 1] = static_cast<float>(share * share_right(logits, labels));
    }

    void compute(std::int64_t first, std::int64_t last, int threads) {
        const std::int64_t count = last - first;
        threads = static_cast<int>(std::clamp<std::int64_t>(count, 1, threads));
        while (workers.size() < static_cast<std::size_t>(threads))
            add_worker();
        batches.begin(progress.step);
        contributions.resize(static_cast<std::size_t>(count) * total.size());
        std::vector<std::exception_ptr> failures(static_cast<std::size_t>(count));
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
        for (std::int64_t i = 0; i < count; ++i) {
            const auto index = static_cast<std::size_t>(i);
            try {
                use_one_thread_per_candidate();
                compute_shard(workers[static_cast<std::size_t>(omp_get_thread_num())], first + i,
                              contributions.data() + index * total.size());
            } catch (...) {
                failures[index] = std::current_exception();
            }
        }
        for (const std::exception_ptr& failure : failures)
            if (failure) std::rethrow_exception(failure);
    }

    /// SGD with Nesterov momentum as Sutskever et al. rewrite it: v ← µ·v + g, w ← w − η·(g + µ·v);
    /// classical momentum: w ← w − η·v.
    void descend(const Entry& entry, float* velocity_values) {
        const auto momentum = static_cast<float>(parameters.momentum);
        const auto decay = static_cast<float>(entry.decay);
        const auto learning_rate = static_cast<float>(rate.at(progress.step));
        float* const weights = tensor(network, entry).data_ptr<float>();
        const float* const gradients = total.data() + entry.first;
        for (std::int64_t i = 0; i < entry.count; ++i) {
            const float gradient = gradients[i] + decay * weights[i];
            velocity_values[i] = momentum * velocity_values[i] + gradient;
            const float direction =
                parameters.nesterov ? gradient + momentum * velocity_values[i] : velocity_values[i];
            weights[i] -= learning_rate * direction;
        }
    }

    void apply() {
        const auto loss = static_cast<double>(total[total.size() - 2]);
        if (!std::isfinite(loss))
            throw core::InternalError(
                "training network '" + network.network().name + "' diverged: the loss is " +
                core::shortest(loss) + " in step " + std::to_string(progress.step + 1) + " of " +
                std::to_string(progress.steps) + " at a learning rate of " +
                core::significant(rate.at(progress.step)) + "; try a lower learning_rate");
        auto next_velocity = velocity.begin();
        for (const Entry& entry : entries)
            if (entry.trained)
                descend(entry, (next_velocity++)->data_ptr<float>());
            else
                std::copy_n(total.data() + entry.first, entry.count,
                            tensor(network, entry).data_ptr<float>());
        average(progress.loss, loss, progress.step);
        average(progress.train_accuracy, static_cast<double>(total.back()), progress.step);
        ++progress.step;
    }

    [[nodiscard]] std::string name_of(const Entry& entry) const {
        const std::string& node = network.network().nodes[entry.node].name;
        return node + (entry.member == &NodeParameters::weight ? ".weight" : ".bias");
    }

    TrainingParameters parameters;
    network::PrunedNetwork start;
    std::optional<network::PrunedNetwork> teacher;
    Backend backend;      ///< of the workers
    TorchNetwork network; ///< what is trained, on the CPU
    std::vector<Entry> entries;
    std::vector<at::Tensor> velocity; ///< of the trained entries
    TrainingBatches batches;
    LearningRate rate;
    const ImageData& images;
    std::int64_t shards;
    TrainingProgress progress;
    std::vector<Worker> workers;
    std::vector<float> contributions; ///< [shards computed][as total]
    std::vector<float> total;         ///< entries, then loss and share of images got right
};

namespace {

void check_finite(const network::Weights& weights, const TrainingParameters& parameters,
                  const TrainingProgress& progress) {
    for (const auto& [name, tensor] : weights)
        for (const float value : tensor.values)
            if (!std::isfinite(value))
                throw core::InternalError(
                    "training diverged: '" + name + "' holds " +
                    core::shortest(static_cast<double>(value)) + " after step " +
                    std::to_string(progress.step) + " of " + std::to_string(progress.steps) +
                    " at a learning rate of up to " + core::significant(parameters.learning_rate) +
                    "; try a lower learning_rate");
}

} // namespace

const std::vector<std::string>& training_devices() {
    static const std::vector<std::string> names{"auto", "cpu", "cuda", "reference"};
    return names;
}

Training::Training(const network::PrunedNetwork& start, const ImageData& images,
                   const TrainingParameters& parameters,
                   const std::optional<network::PrunedNetwork>& teacher) {
    check_parameters(parameters);
    check_fit(start.network, images, "training images");
    if (images.count < 2)
        throw core::DataError("training images: batch norm needs at least 2, got " +
                              std::to_string(images.count));
    if (parameters.distillation > 0.0 && !teacher)
        throw core::ConfigError("training: distillation is " +
                                core::shortest(parameters.distillation) +
                                ", but there is no teacher");
    if (teacher) {
        check_fit(teacher->network, images, "training images");
        network::check_weights(teacher->network, teacher->weights);
    }
    use_one_thread_per_candidate();
    state_ = translate_errors(
        [&] { return std::make_unique<State>(start, images, parameters, teacher); });
}

Training::~Training() = default;
Training::Training(Training&&) noexcept = default;
Training& Training::operator=(Training&&) noexcept = default;

const TrainingProgress& Training::progress() const noexcept {
    return state_->progress;
}
std::int64_t Training::steps_per_epoch() const noexcept {
    return state_->batches.per_epoch();
}
std::int64_t Training::images_per_step() const noexcept {
    return state_->batches.images_per_batch();
}
double Training::learning_rate(std::int64_t step) const {
    return state_->rate.at(step);
}
std::size_t Training::shards() const noexcept {
    return static_cast<std::size_t>(state_->shards);
}
std::span<const float> Training::contributions() const noexcept {
    return state_->contributions;
}
std::span<float> Training::total() noexcept {
    return state_->total;
}

void Training::compute(std::size_t first, std::size_t last, int threads) {
    translate_errors([&] {
        state_->compute(static_cast<std::int64_t>(first), static_cast<std::int64_t>(last), threads);
    });
}

void Training::apply() {
    state_->apply();
}

TrainingState Training::state() const {
    return translate_errors([&] {
        TrainingState result{state_->progress, state_->start.weights, {}};
        state_->network.store(result.weights);
        check_finite(result.weights, state_->parameters, state_->progress);
        auto next_velocity = state_->velocity.begin();
        for (const Entry& entry : state_->entries) {
            if (!entry.trained) continue;
            const at::Tensor values = (next_velocity++)->contiguous();
            const float* const first = values.data_ptr<float>();
            result.velocity[state_->name_of(entry)] = {values.sizes().vec(),
                                                       {first, first + values.numel()}};
        }
        return result;
    });
}

void Training::restore(const TrainingState& state) {
    network::check_weights(state_->start.network, state.weights);
    translate_errors([&] {
        TorchNetwork loaded(state_->network.network(), state.weights);
        auto next_velocity = state_->velocity.begin();
        for (const Entry& entry : state_->entries) {
            State::tensor(state_->network, entry).copy_(State::tensor(loaded, entry));
            if (!entry.trained) continue;
            const std::string name = state_->name_of(entry);
            const auto found = state.velocity.find(name);
            if (found == state.velocity.end() ||
                static_cast<std::int64_t>(found->second.values.size()) != entry.count)
                throw core::DataError("training state: the velocity of '" + name +
                                      "' is missing or has another size");
            at::Tensor& velocity = *next_velocity++;
            auto values = found->second.values;
            velocity.copy_(at::from_blob(values.data(), velocity.sizes(), at::kFloat));
        }
        if (state.progress.step < 0 || state.progress.step > state_->progress.steps)
            throw core::DataError("training state: step " + std::to_string(state.progress.step) +
                                  " of " + std::to_string(state_->progress.steps));
        const std::int64_t steps = state_->progress.steps;
        state_->progress = state.progress;
        state_->progress.steps = steps;
    });
}

network::Weights train(const network::PrunedNetwork& start, const ImageData& images,
                       const TrainingParameters& parameters,
                       const std::function<bool(const TrainingProgress&)>& observer,
                       const std::optional<network::PrunedNetwork>& teacher) {
    Training training(start, images, parameters, teacher);
    while (training.progress().step < training.progress().steps) {
        training.compute(0, training.shards(), 1);
        const std::span<float> total = training.total();
        const std::span<const float> contributions = training.contributions();
        std::copy_n(contributions.begin(), total.size(), total.begin());
        for (std::size_t i = total.size(); i < contributions.size(); ++i)
            total[i % total.size()] += contributions[i];
        training.apply();
        if (observer && !observer(training.progress())) break;
    }
    return training.state().weights;
}

} // namespace hdap::accuracy
