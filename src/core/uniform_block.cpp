#include "hdap/core/uniform_block.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace hdap::core {

namespace {

/// Blocks that are made side by side, so that the multiplications of one do not wait for those of
/// another. More than two are slower: they no longer fit into registers.
constexpr std::size_t lanes = 2;
using Block = std::array<std::uint32_t, 4>;

/// philox4x32_10 of each.
void philox(std::array<Block, lanes>& blocks, std::array<std::uint32_t, 2> key) noexcept {
    constexpr std::uint64_t multiplier_0 = 0xD2511F53U;
    constexpr std::uint64_t multiplier_1 = 0xCD9E8D57U;
    for (int round = 0; round < 10; ++round) {
        for (Block& block : blocks) {
            const std::uint64_t product_0 = multiplier_0 * block[0];
            const std::uint64_t product_1 = multiplier_1 * block[2];
            block = {static_cast<std::uint32_t>(product_1 >> 32) ^ block[1] ^ key[0],
                     static_cast<std::uint32_t>(product_1),
                     static_cast<std::uint32_t>(product_0 >> 32) ^ block[3] ^ key[1],
                     static_cast<std::uint32_t>(product_0)};
        }
        key[0] += 0x9E3779B9U;
        key[1] += 0xBB67AE85U;
    }
}

/// Of two words of a stream, as RandomStream::uniform.
double uniform_of(std::uint32_t first, std::uint32_t second) noexcept {
    const std::uint64_t high = first >> 5;
    const std::uint64_t low = second >> 6;
    return static_cast<double>((high << 26) | low) * 0x1.0p-53;
}

} // namespace

void fill_uniform(std::uint64_t seed, StreamId stream, std::uint32_t a, std::uint32_t b,
                  std::span<double> values) noexcept {
    const std::array key{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
    std::uint32_t number = 0;
    for (std::size_t first = 0; first < values.size(); first += 2 * lanes) {
        std::array<Block, lanes> blocks;
        for (Block& block : blocks)
            block = {number++, static_cast<std::uint32_t>(stream), a, b};
        philox(blocks, key);
        const std::size_t count = std::min(2 * lanes, values.size() - first);
        for (std::size_t i = 0; i < count; ++i) {
            const Block& block = blocks[i / 2];
            values[first + i] = uniform_of(block[2 * (i % 2)], block[2 * (i % 2) + 1]);
        }
    }
}

} // namespace hdap::core
