#include "accuracy/backend_torch.hpp"
#include "accuracy/threads_torch.hpp"
#include "hdap/accuracy/image_fit.hpp"
#include "hdap/core/text.hpp"
#include "learning_rate.hpp"
#include "training_batches.hpp"
#include "training_parameters.hpp"
#include "training_worker_torch.hpp"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <omp.h>

namespace hdap::accuracy {
namespace {

/// An exponential moving average that starts at `value`.
void average(double& mean, double value, std::int64_t step) {
    mean = step == 0 ? value : 0.98 * mean + 0.02 * value;
}

/// What TorchTraining works with.
struct State {
    State(const network::PrunedNetwork& own_start, const ImageData& own_images,
          const TrainingParameters& own_parameters,
          const std::optional<network::PrunedNetwork>& own_teacher)
        : parameters(own_parameters), start(own_start), teacher(own_teacher),
          backend(backend_of(parameters.device)),
          network(network::without_final_softmax(start.network), start.weights),
          parts(contribution_parts(network, parameters.weight_decay)),
          batches(own_images, parameters), rate(parameters, batches.per_epoch()),
          shards(shards_of(parameters, own_images.count)) {
        progress.steps = rate.steps();
        for (const ContributionPart& part : parts) {
            total.resize(total.size() + static_cast<std::size_t>(part.count));
            if (part.trained) velocity.push_back(at::zeros_like(tensor_of(network, part)));
        }
        total.resize(total.size() + 2); // loss, share of images got right
    }

    /// The images of shard `shard` in the batch.
    [[nodiscard]] std::int64_t first_image(std::int64_t shard) const {
        return batches.images_per_batch() * shard / shards;
    }

    void add_workers(std::size_t count) {
        while (workers.size() < count) {
            workers.emplace_back(network, start.weights, parts, backend, parameters);
            if (parameters.distillation > 0.0)
                workers.back().set_teacher(*teacher,
                                           (batches.images_per_batch() + shards - 1) / shards);
        }
    }

    void make_room(std::size_t own_shards) {
        try {
            contributions.resize(own_shards * total.size());
        } catch (const std::bad_alloc&) {
            const double gigabytes = 4e-9 * static_cast<double>(own_shards * total.size());
            throw core::ConfigError(fmt::format("no memory for the gradients of {} shards, {} GB "
                                                "on this rank: use a larger shard, or more ranks",
                                                own_shards, core::significant(gigabytes, 2)));
        }
    }

    void compute(std::int64_t first, std::int64_t last, int threads) {
        const std::int64_t count = last - first;
        threads = static_cast<int>(std::clamp<std::int64_t>(count, 1, threads));
        add_workers(static_cast<std::size_t>(threads));
        batches.begin(progress.step);
        make_room(static_cast<std::size_t>(count));
        std::vector<std::exception_ptr> failures(static_cast<std::size_t>(count));
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
        for (std::int64_t i = 0; i < count; ++i) {
            const auto index = static_cast<std::size_t>(i);
            try {
                use_threads(1);
                const std::int64_t image = first_image(first + i);
                workers[static_cast<std::size_t>(omp_get_thread_num())].compute(
                    batches, image, first_image(first + i + 1) - image,
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
    void descend(const ContributionPart& part, float* velocity_values) {
        const auto momentum = static_cast<float>(parameters.momentum);
        const auto decay = static_cast<float>(part.decay);
        const auto learning_rate = static_cast<float>(rate.at(progress.step));
        float* const weights = tensor_of(network, part).data_ptr<float>();
        const float* const gradients = total.data() + part.first;
        for (std::int64_t i = 0; i < part.count; ++i) {
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
            throw core::ConfigError(
                fmt::format("training network '{}' diverged: the loss is {} in step {} of {} at a "
                            "learning rate of {}; try a lower learning_rate",
                            network.network().name, core::shortest(loss), progress.step + 1,
                            progress.steps, core::significant(rate.at(progress.step))));
        auto next_velocity = velocity.begin();
        for (const ContributionPart& part : parts)
            if (part.trained)
                descend(part, (next_velocity++)->data_ptr<float>());
            else
                std::copy_n(total.data() + part.first, part.count,
                            tensor_of(network, part).data_ptr<float>());
        average(progress.loss, loss, progress.step);
        average(progress.train_accuracy, static_cast<double>(total.back()), progress.step);
        ++progress.step;
    }

    [[nodiscard]] std::string name_of(const ContributionPart& part) const {
        const std::string& node = network.network().nodes[part.node].name;
        return node + (part.member == &NodeParameters::weight ? ".weight" : ".bias");
    }

    TrainingParameters parameters;
    network::PrunedNetwork start;
    std::optional<network::PrunedNetwork> teacher;
    Backend backend;      ///< of the workers
    TorchNetwork network; ///< what is trained, on the CPU
    std::vector<ContributionPart> parts;
    std::vector<at::Tensor> velocity; ///< of the trained parts
    TrainingBatches batches;
    LearningRate rate;
    std::int64_t shards;
    TrainingProgress progress;
    std::vector<TrainingWorker> workers;
    std::vector<float> contributions; ///< [shards computed][as total]
    std::vector<float> total;         ///< parts, then loss and share of images got right
};

void check_finite(const network::Weights& weights, const TrainingParameters& parameters,
                  const TrainingProgress& progress) {
    for (const auto& [name, tensor] : weights)
        for (const float value : tensor.values)
            if (!std::isfinite(value))
                throw core::ConfigError(
                    fmt::format("training diverged: '{}' holds {} after step {} of {} at a "
                                "learning rate of up to {}; try a lower learning_rate",
                                name, core::shortest(static_cast<double>(value)), progress.step,
                                progress.steps, core::significant(parameters.learning_rate)));
}

class TorchTraining final : public Training {
  public:
    TorchTraining(const network::PrunedNetwork& start, const ImageData& images,
                  const TrainingParameters& parameters,
                  const std::optional<network::PrunedNetwork>& teacher)
        : state_(start, images, parameters, teacher) {}

    [[nodiscard]] const TrainingProgress& progress() const noexcept override {
        return state_.progress;
    }
    [[nodiscard]] std::int64_t steps_per_epoch() const noexcept override {
        return state_.batches.per_epoch();
    }
    [[nodiscard]] std::int64_t images_per_step() const noexcept override {
        return state_.batches.images_per_batch();
    }
    [[nodiscard]] double learning_rate(std::int64_t step) const override {
        return state_.rate.at(step);
    }
    [[nodiscard]] std::size_t shards() const noexcept override {
        return static_cast<std::size_t>(state_.shards);
    }
    [[nodiscard]] std::span<const float> contributions() const noexcept override {
        return state_.contributions;
    }
    [[nodiscard]] std::span<float> total() noexcept override { return state_.total; }

    void compute(std::size_t first, std::size_t last, int threads) override {
        translate_errors([&] {
            state_.compute(static_cast<std::int64_t>(first), static_cast<std::int64_t>(last),
                           threads);
        });
    }

    void apply() override { state_.apply(); }

    [[nodiscard]] TrainingState state() const override {
        return translate_errors([&] {
            TrainingState result{state_.progress, state_.start.weights, {}};
            state_.network.store(result.weights);
            check_finite(result.weights, state_.parameters, state_.progress);
            auto next_velocity = state_.velocity.begin();
            for (const ContributionPart& part : state_.parts) {
                if (!part.trained) continue;
                const at::Tensor values = (next_velocity++)->contiguous();
                const float* const first = values.data_ptr<float>();
                result.velocity[state_.name_of(part)] = {values.sizes().vec(),
                                                         {first, first + values.numel()}};
            }
            return result;
        });
    }

    void restore(const TrainingState& state) override {
        network::check_weights(state_.start.network, state.weights);
        network::check_values(state_.start.network, state.weights, "training state");
        translate_errors([&] {
            TorchNetwork loaded(state_.network.network(), state.weights);
            auto next_velocity = state_.velocity.begin();
            for (const ContributionPart& part : state_.parts) {
                tensor_of(state_.network, part).copy_(tensor_of(loaded, part));
                if (!part.trained) continue;
                const std::string name = state_.name_of(part);
                const auto found = state.velocity.find(name);
                if (found == state.velocity.end() ||
                    static_cast<std::int64_t>(found->second.values.size()) != part.count)
                    throw core::DataError(fmt::format(
                        "training state: the velocity of '{}' is missing or has another size",
                        name));
                at::Tensor& velocity = *next_velocity++;
                auto values = found->second.values;
                velocity.copy_(at::from_blob(values.data(), velocity.sizes(), at::kFloat));
            }
            if (state.progress.step < 0 || state.progress.step > state_.progress.steps)
                throw core::DataError(fmt::format("training state: step {} of {}",
                                                  state.progress.step, state_.progress.steps));
            const std::int64_t steps = state_.progress.steps;
            state_.progress = state.progress;
            state_.progress.steps = steps;
        });
    }

  private:
    State state_;
};

} // namespace

std::unique_ptr<Training>
backend::make_training(const network::PrunedNetwork& start, const ImageData& images,
                       const TrainingParameters& parameters,
                       const std::optional<network::PrunedNetwork>& teacher) {
    check_parameters(parameters);
    check_fit(start.network, images, "training images");
    if (images.count < 2)
        throw core::DataError("training images: batch norm needs at least 2, got " +
                              std::to_string(images.count));
    if (parameters.distillation > 0.0 && !teacher)
        throw core::ConfigError(fmt::format("training: distillation is {}, but there is no teacher",
                                            core::shortest(parameters.distillation)));
    if (teacher) {
        check_fit(teacher->network, images, "training images");
        network::check_weights(teacher->network, teacher->weights);
    }
    use_threads(1);
    return translate_errors(
        [&] { return std::make_unique<TorchTraining>(start, images, parameters, teacher); });
}

} // namespace hdap::accuracy
