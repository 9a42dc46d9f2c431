#pragma once
#include "hdap/network/graph.hpp"
#include "hdap/network/weights.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace hdap::accuracy {

struct LaneKernels;

/// To be raised with every change that changes bits: accuracies are shared between jobs by it.
inline constexpr int engine_version = 2;

/// What batch norms do when an engine runs.
enum class NormMode {
    /// They use their running statistics; those behind a convolution or linear layer are folded
    /// into it.
    running,
    /// They use the statistics of the batch, which can be read afterwards.
    batch,
    /// They use their running statistics, and those of the batch can be read afterwards.
    watching,
};

/// Mean and biased variance of each channel.
struct BatchStatistics {
    std::vector<double> mean;
    std::vector<double> variance;
};

/// A network that is executed in batches of at most one size, in the calling thread alone: all
/// memory is there beforehand, and no run allocates anything. How it computes is told in
/// lane_kernels.hpp.
///
/// The same network, weights and images give the same bits in any thread and process on one kind of
/// processor, and in NormMode::running whatever the batch. Several objects may run side by side.
class Engine {
  public:
    /// Throws DataError when the weights do not fit.
    Engine(const network::Network& network, const network::Weights& weights, std::int64_t batch,
           NormMode norms);

    /// The same with given kernels, which the processor must be able to run; for tests.
    Engine(const network::Network& network, const network::Weights& weights, std::int64_t batch,
           NormMode norms, const LaneKernels& kernels);
    ~Engine();
    Engine(Engine&&) noexcept;
    Engine& operator=(Engine&&) noexcept;

    [[nodiscard]] std::int64_t batch() const noexcept;

    /// Where the batch's images go, [batch][height][width][channels].
    [[nodiscard]] float* images() noexcept;

    /// Runs the batch through the network.
    void run();

    /// The network's `index`-th output of the last run, [batch][height][width][channels].
    [[nodiscard]] const float* output(std::size_t index = 0) const noexcept;

    /// NormMode::batch and watching: the statistics that the batch norm `name` saw in the last run.
    [[nodiscard]] const BatchStatistics& statistics(const std::string& name) const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace hdap::accuracy
