#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "hdap/network/pruned_network.hpp"
#include "hdap/core/settings.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hdap::accuracy {

/// Stochastic gradient descent with momentum. The defaults: Nesterov's (Sutskever et al., ICML
/// 2013) and a cosine schedule (Loshchilov and Hutter, ICLR 2017) after a linear warm-up.
struct TrainingParameters {
    double epochs = 1.0;     ///< passes over the images, may be a fraction; (0, 10000]
    std::int64_t batch = 64; ///< images a step; [2, 65536]; batch norm needs two
    /// A batch is split into as many shards as leave each at least so many images. A shard is what
    /// one thread computes, and what a batch norm takes its statistics over. [2, 65536]
    std::int64_t shard = 64;
    double learning_rate = 0.05;           ///< at its peak; (0, 100]
    std::string schedule = "cosine";       ///< one of learning_rate_schedules
    double momentum = 0.9;                 ///< [0, 1)
    bool nesterov = true;                  ///< or classical momentum
    double weight_decay = 5e-4;            ///< on convolution and linear weights only; [0, 1]
    double warmup = 0.05;                  ///< share of the steps; [0, 0.5]
    double label_smoothing = 0.0;          ///< Szegedy et al., CVPR 2016; [0, 0.5]
    double distillation = 0.0;             ///< weight of the teacher's share in the loss; [0, 1]
    double distillation_temperature = 4.0; ///< (0, 100]
    bool augment = true;                   ///< random flips, left to right, and random crops
    double crop_padding = 0.125; ///< the black border that crops reach, of the height; [0, 0.5]
    std::uint64_t seed = 1;
    std::string device = "auto"; ///< one of training_devices
};

/// Of TrainingParameters::device: "cpu"; "cuda", the first GPU that the process sees; "auto", cuda
/// where LibTorch finds one, else cpu; "reference", LibTorch's own kernels on the CPU, with which a
/// GPU's shares all code but the device: slower, to compare with.
const std::vector<std::string>& training_devices();

/// Of TrainingParameters::schedule:
/// "cosine" falls from the peak to zero along half a wave; "linear" along a straight line; "step"
/// is divided by ten at half and at three quarters of the steps (He et al., CVPR 2016); "constant".
const std::vector<std::string>& learning_rate_schedules();

/// Into how many shards a batch is split when there are so many images: 1 or more.
std::int64_t shards_of(const TrainingParameters& parameters, std::int64_t images);

/// Where training stands.
struct TrainingProgress {
    std::int64_t step = 0; ///< steps done
    std::int64_t steps = 0;
    double loss = 0.0;           ///< exponential moving average of the training loss
    double train_accuracy = 0.0; ///< the same of the share of augmented training images got right
};

/// All that training depends on beside its arguments: with it another process goes on to the same
/// bits.
struct TrainingState {
    TrainingProgress progress;
    network::Weights weights;
    network::Weights velocity; ///< of the momentum; by the names of the trained weights
};

/// Trains a network on images, in steps, and spreads every step over threads and processes.
///
/// A batch is split into shards. The gradients of the shards are added in their order, so the
/// result depends neither on the number of threads nor on that of the processes that take part.
/// Every process has the same object and does for every step:
///
///     training.compute(my_shards, threads);       // fills training.contributions()
///     // Now training.total() must become the sum of all processes' contributions, in the order
///     // of the shards.
///     training.apply();
///
/// Every epoch visits the images in another order, in batches of one size; images that do not fill
/// a batch are left out in that epoch. A softmax at the network's end is left out of training,
/// since the loss has its own. Running statistics of batch norms are the mean over the shards.
class Training {
  public:
    virtual ~Training() = default;

    [[nodiscard]] virtual const TrainingProgress& progress() const noexcept = 0;
    [[nodiscard]] virtual std::int64_t steps_per_epoch() const noexcept = 0;
    [[nodiscard]] virtual std::int64_t images_per_step() const noexcept = 0;
    /// Of a step that counts from 0.
    [[nodiscard]] virtual double learning_rate(std::int64_t step) const = 0;

    /// Shards of a batch: how many workers can take part.
    [[nodiscard]] virtual std::size_t shards() const noexcept = 0;

    /// Computes the shards [first, last) of the next step on up to `threads` threads.
    virtual void compute(std::size_t first, std::size_t last, int threads) = 0;

    /// What the last call of compute brought: for each of its shards total().size() numbers.
    [[nodiscard]] virtual std::span<const float> contributions() const noexcept = 0;

    /// The sum over all shards of the batch.
    [[nodiscard]] virtual std::span<float> total() noexcept = 0;

    /// Takes the step that total() describes.
    /// Throws ConfigError when the loss is not a number: says the step and the learning rate. The
    /// weights then stay as they are.
    virtual void apply() = 0;

    /// Throws ConfigError when a weight is not a number, as the last step may have broken it,
    /// with no loss after it to show it.
    [[nodiscard]] virtual TrainingState state() const = 0;

    /// Goes on from `state`, which another object with the same arguments gave.
    /// Throws DataError when it does not fit.
    virtual void restore(const TrainingState& state) = 0;
};

/// `teacher`: what the network is to imitate where parameters.distillation is above zero
/// (Hinton, Vinyals and Dean, arXiv 1503.02531): loss = (1 − d)·cross-entropy with the labels +
/// d·T²·KL(teacher at temperature T ‖ network at temperature T).
/// Keeps a reference to `images`, which must outlive the object.
/// Throws ConfigError when a parameter is out of its range or a teacher is missing, DataError
/// when network, weights, teacher and images do not fit together.
std::unique_ptr<Training>
make_training(const network::PrunedNetwork& start, const ImageData& images,
              const TrainingParameters& parameters,
              const std::optional<network::PrunedNetwork>& teacher = std::nullopt);
std::unique_ptr<Training>
make_training(const network::PrunedNetwork& start, ImageData&& images,
              const TrainingParameters& parameters,
              const std::optional<network::PrunedNetwork>& teacher = std::nullopt) = delete;

/// All of a step, for a process that trains alone. Throws as compute and apply do.
void take_step(Training& training, int threads);

/// Trains `start` on `images` in the calling thread and returns the trained weights; see Training.
/// Also trains from scratch, from network::initial_weights.
///
/// `observer` may be empty; otherwise it is called after every step, and when it returns false,
/// training stops and the weights of that moment are returned.
/// Throws what these throw.
network::Weights train(const network::PrunedNetwork& start, const ImageData& images,
                       const TrainingParameters& parameters,
                       const std::function<bool(const TrainingProgress&)>& observer,
                       const std::optional<network::PrunedNetwork>& teacher = std::nullopt);

/// The settings of `parameters`, which must outlive them; all but the seed.
std::vector<core::Setting> settings_of(TrainingParameters& parameters);

} // namespace hdap::accuracy
