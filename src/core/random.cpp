#include "hdap/core/random.hpp"

#include <cmath>
#include <numbers>
#include <numeric>

namespace hdap::core {

std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter,
                                           std::array<std::uint32_t, 2> key) noexcept {
    constexpr std::uint64_t multiplier_0 = 0xD2511F53U;
    constexpr std::uint64_t multiplier_1 = 0xCD9E8D57U;
    constexpr std::uint32_t weyl_0 = 0x9E3779B9U;
    constexpr std::uint32_t weyl_1 = 0xBB67AE85U;
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t product_0 = multiplier_0 * counter[0];
        const std::uint64_t product_1 = multiplier_1 * counter[2];
        counter = {static_cast<std::uint32_t>(product_1 >> 32) ^ counter[1] ^ key[0],
                   static_cast<std::uint32_t>(product_1),
                   static_cast<std::uint32_t>(product_0 >> 32) ^ counter[3] ^ key[1],
                   static_cast<std::uint32_t>(product_0)};
        key[0] += weyl_0;
        key[1] += weyl_1;
    }
    return counter;
}

RandomStream::RandomStream(std::uint64_t seed, StreamId stream, std::uint32_t a,
                           std::uint32_t b) noexcept
    : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
      // The first word counts the blocks of this stream, so a stream holds 2^34 numbers.
      counter_{0, static_cast<std::uint32_t>(stream), a, b} {}

void RandomStream::refill() noexcept {
    block_ = philox4x32_10(counter_, key_);
    ++counter_[0];
    used_ = 0;
}

RandomStream::result_type RandomStream::operator()() noexcept {
    if (used_ == block_.size()) refill();
    return block_[used_++];
}

double RandomStream::uniform() noexcept {
    const std::uint64_t high = (*this)() >> 5; // 27 bits
    const std::uint64_t low = (*this)() >> 6;  // 26 bits
    return static_cast<double>((high << 26) | low) * 0x1.0p-53;
}

std::uint64_t RandomStream::below(std::uint64_t bound) noexcept {
    // Values under this threshold would make some remainders likelier than others.
    const std::uint64_t threshold = (0 - bound) % bound;
    for (;;) {
        const std::uint64_t high = (*this)();
        const std::uint64_t value = (high << 32) | (*this)();
        if (value >= threshold) return value % bound;
    }
}

double RandomStream::normal() noexcept {
    const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::vector<std::size_t> RandomStream::permutation(std::size_t count) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = count; i > 1; --i)
        std::swap(order[i - 1], order[below(i)]);
    return order;
}

} // namespace hdap::core
