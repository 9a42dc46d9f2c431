#pragma once

#include "accuracy/engine/engine.hpp"
#include "accuracy/network_torch.hpp"
#include "hdap/accuracy/training.hpp"
#include "training_batches.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hdap::accuracy {

/// Where a tensor of a network lies in a contribution to a step: the gradient of a parameter, or
/// where a batch norm has moved a running statistic to.
struct ContributionPart {
    std::size_t node = 0;
    at::Tensor NodeParameters::*member = nullptr;
    bool trained = false;   ///< a parameter
    double decay = 0.0;     ///< of the weights
    std::int64_t first = 0; ///< in the contribution
    std::int64_t count = 0;
};

/// All tensors of a network, in the order in which contributions hold them. Two numbers follow
/// them: the loss, and the share of the images got right.
std::vector<ContributionPart> contribution_parts(TorchNetwork& network, double weight_decay);

at::Tensor& tensor_of(TorchNetwork& network, const ContributionPart& part);

/// Where workers compute: TrainingParameters::device.
/// Throws ConfigError for an unknown device, or one that is not there.
Backend backend_of(const std::string& device);

/// Computes shards, in one thread at a time: what a thread needs of its own.
class TrainingWorker {
  public:
    /// `trained` and `parts` must outlive the worker. On the CPU it reads the weights of `trained`;
    /// for another backend it has copies.
    TrainingWorker(TorchNetwork& trained, const network::Weights& weights,
                   const std::vector<ContributionPart>& parts, const Backend& backend,
                   const TrainingParameters& parameters);

    /// What the network is to imitate, on up to `images` images at a time.
    void set_teacher(const network::PrunedNetwork& teacher, std::int64_t images);

    /// Writes what images [first, first + count) of the batch contribute to a step, in the shares
    /// that they have in it: the parts, the loss, the share of images got right.
    void compute(const TrainingBatches& batches, std::int64_t first, std::int64_t count,
                 float* contribution);

  private:
    void refresh();
    at::Tensor teacher_logits(const at::Tensor& images, std::int64_t classes);
    at::Tensor loss_of(const at::Tensor& logits, const at::Tensor& images,
                       const at::Tensor& labels);
    void write_parts(double share, float* contribution);

    TorchNetwork& trained_;
    const std::vector<ContributionPart>& parts_;
    Backend backend_;
    TrainingParameters parameters_;
    TorchNetwork network_;
    std::optional<Engine> teacher_; ///< on the CPU
    std::optional<TorchNetwork> teacher_elsewhere_;
};

} // namespace hdap::accuracy
