#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace hdap::core {

/// What a random number is used for. One entry per purpose, never reused and never renumbered:
/// the numbers drawn, and with them all results, depend on it.
enum class StreamId : std::uint32_t {
    device_condition = 1,
    measurement_noise = 2,
    benchmark_networks = 3,
    profile_candidates = 4,
    surrogate_split = 5,
    initial_population = 6,
    mating = 7,
    data_order = 8,
    weight_initialisation = 9,
    augmentation = 10,
    measurement_order = 11,
    bootstrap = 12,
    single_device = 15,
    random_search = 16,
    random_importance = 17,
    image_order = 20,
    latency_ticks = 21,
    gaussian_step = 22,
    acceptance = 23,
    regret = 24,
    device_folds = 30,
    label_permutation = 31,
    device_bootstrap = 32,
    slowest_draws = 33,
    testing = 1000,
};

/// A stream of random numbers that depends on nothing but its key (seed, stream, a, b).
///
/// Counter-based: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
/// SC 2011). Two streams with different keys are independent, so every individual of every
/// generation owns one, whichever rank or thread draws from it. That is what makes results equal
/// for any number of ranks and threads.
///
/// Satisfies std::uniform_random_bit_generator; but use the members below, as the distributions
/// of the standard library differ between implementations.
class RandomStream {
  public:
    using result_type = std::uint32_t;

    /// `a` and `b` number the draw within the stream, e.g. generation and individual.
    RandomStream(std::uint64_t seed, StreamId stream, std::uint32_t a = 0,
                 std::uint32_t b = 0) noexcept;

    static constexpr result_type min() noexcept { return 0; }
    static constexpr result_type max() noexcept { return 0xffffffffU; }

    /// The next 32 random bits.
    result_type operator()() noexcept;

    /// Uniform in [0, 1), 53 bits.
    double uniform() noexcept;

    /// Uniform in {0, …, bound − 1} without bias. `bound` must be positive.
    std::uint64_t below(std::uint64_t bound) noexcept;

    /// Normal with mean 0 and standard deviation 1 (Box and Muller 1958, one value per call).
    double normal() noexcept;

    /// A uniformly random permutation of 0 … count − 1 (Fisher and Yates).
    std::vector<std::size_t> permutation(std::size_t count);

  private:
    void refill() noexcept;

    std::array<std::uint32_t, 2> key_;
    std::array<std::uint32_t, 4> counter_;
    std::array<std::uint32_t, 4> block_{};
    unsigned used_ = 4;
};

/// One application of Philox4x32-10 to `counter` under `key`; public for its known-answer test.
std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter,
                                           std::array<std::uint32_t, 2> key) noexcept;

} // namespace hdap::core
