#include "network/filter_distances.hpp"

#include "hdap/core/random.hpp"
#include "network/filter_products.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace hdap;
using namespace hdap::network;

namespace {

/// Normal weights around `offset`.
Tensor random_layer(std::int64_t filters, std::int64_t weights, double deviation,
                    double offset = 0.0) {
    core::RandomStream random(7, core::StreamId::testing,
                              static_cast<std::uint32_t>(filters * 131 + weights));
    Tensor layer{{filters, weights}, {}};
    for (std::int64_t i = 0; i < filters * weights; ++i)
        layer.values.push_back(static_cast<float>(offset + deviation * random.normal()));
    return layer;
}

float& weight_of(Tensor& layer, std::int64_t filter, std::int64_t weight) {
    return layer.values.at(static_cast<std::size_t>(filter * layer.shape[1] + weight));
}

void copy_filter(Tensor& layer, std::int64_t from, std::int64_t to) {
    for (std::int64_t w = 0; w < layer.shape[1]; ++w)
        weight_of(layer, to, w) = weight_of(layer, from, w);
}

std::vector<double> plain_distances(const Tensor& layer) {
    const auto count = static_cast<std::size_t>(layer.shape[0]);
    const std::size_t size = layer.values.size() / count;
    std::vector<double> result(count, 0.0);
    for (std::size_t a = 0; a < count; ++a)
        for (std::size_t b = 0; b < count; ++b) {
            double square = 0.0;
            for (std::size_t w = 0; w < size; ++w) {
                const double apart = static_cast<double>(layer.values[a * size + w]) -
                                     static_cast<double>(layer.values[b * size + w]);
                square += apart * apart;
            }
            result[a] += std::sqrt(square);
        }
    return result;
}

std::vector<std::size_t> ranks(const std::vector<double>& values) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
    return order;
}

void check_like_plain(const Tensor& layer, double most_apart = 1e-7) {
    const std::vector<double> plain = plain_distances(layer);
    const std::vector<double> fast = distances_to_others(layer);
    REQUIRE(fast.size() == plain.size());
    double worst = 0.0;
    for (std::size_t i = 0; i < plain.size(); ++i)
        if (plain[i] > 0.0) worst = std::max(worst, std::abs(fast[i] - plain[i]) / plain[i]);
    CHECK(worst <= most_apart);
    CHECK(ranks(fast) == ranks(plain));
}

} // namespace

TEST_CASE("distances of layers of any shape are those of the plain formula") {
    CHECK(distances_to_others({{0, 9}, {}}).empty());
    for (const auto& [filters, weights] :
         {std::pair{1, 1}, std::pair{2, 1}, std::pair{5, 9}, std::pair{12, 16}, std::pair{13, 17},
          std::pair{64, 1}, std::pair{193, 40}, std::pair{40, 1023}, std::pair{30, 2500}}) {
        CAPTURE(filters, weights);
        check_like_plain(random_layer(filters, weights, 0.05));
    }
}

TEST_CASE("what all filters have in common cancels no digits of their distances") {
    check_like_plain(random_layer(50, 300, 1e-4, 1.0));
    check_like_plain(random_layer(50, 300, 1e-3, -300.0));
}

TEST_CASE("filters that nearly equal each other are as far apart as they are") {
    Tensor layer = random_layer(200, 90, 0.1);
    for (std::int64_t f = 100; f < 200; ++f) {
        copy_filter(layer, f % 3, f);
        weight_of(layer, f, f % 90) *= 1.0F + 1e-5F * static_cast<float>(f);
    }
    check_like_plain(layer);
}

TEST_CASE("equal filters get equal sums, wherever they are") {
    Tensor layer = random_layer(400, 50, 0.1);
    for (const std::int64_t f : {1, 190, 191, 192, 399})
        copy_filter(layer, 7, f);
    const std::vector<double> sums = distances_to_others(layer);
    for (const std::size_t f : {1U, 190U, 191U, 192U, 399U})
        CHECK(sums[f] == sums[7]);
    Tensor same{{40, 3}, std::vector<float>(120, 0.1F)};
    CHECK(distances_to_others(same) == std::vector<double>(40, 0.0));
    same.values.assign(120, 0.0F);
    CHECK(distances_to_others(same) == std::vector<double>(40, 0.0));
}

TEST_CASE("weights near the limits of a float are no problem, nor are channels that died") {
    const float most = std::numeric_limits<float>::max();
    Tensor huge = random_layer(30, 40, 1.0);
    Tensor tiny = huge;
    Tensor dead = huge;
    for (std::size_t i = 0; i < huge.values.size(); ++i) {
        huge.values[i] = std::clamp(huge.values[i] / 4.0F, -1.0F, 1.0F) * most;
        tiny.values[i] *= 1e-36F;
        if (i < 10 * 40) dead.values[i] *= 1e-30F;
    }
    check_like_plain(huge);
    check_like_plain(tiny);
    check_like_plain(dead);
}

TEST_CASE("distances have the same bits on any number of threads, and progress ends at the total") {
    const Tensor layer = random_layer(500, 70, 0.1);
    const std::vector<double> one = distances_to_others(layer, 1);
    for (const int threads : {2, 3, 7})
        CHECK(distances_to_others(layer, threads) == one);
    std::int64_t done = 0;
    (void)distances_to_others(layer, 2, [&](std::int64_t more) { done += more; });
    CHECK(done == distance_products(layer));
    CHECK(done >= 500 * 500 / 2 * 70);
}

TEST_CASE("products have the same bits on all processors that multiply and add in one step") {
    constexpr std::size_t step = FilterProducts::step;
    const Tensor values = random_layer(2 * step, 48, 1.0);
    alignas(64) float rows[step * 48];
    alignas(64) float columns[step * 48];
    const std::vector<float> centre(48, 0.25F);
    const FilterProductsSet all = all_filter_products();
    std::vector<std::vector<double>> sums;
    for (int i = 0; i < all.count; ++i) {
        const FilterProducts& products = *all.products[i];
        for (std::size_t f = 0; f < step; ++f) {
            products.pack(values.values.data() + f * 48, 0.5F, centre.data(), 48, rows + f * 48);
            products.pack(values.values.data() + (step + f) * 48, 0.5F, centre.data(), 48,
                          columns + f * 48);
        }
        std::vector<double>& sum = sums.emplace_back(step * step, 1.0);
        products.add(rows, step, columns, step, 48, sum.data());
        double plain = 1.0;
        for (std::size_t w = 0; w < 48; ++w)
            plain += static_cast<double>(rows[3 * 48 + w]) * static_cast<double>(columns[w]);
        CHECK(sum[3 * step] == Approx(plain).epsilon(1e-5));
    }
    if (all.count == 3) CHECK(sums[1] == sums[2]);
}
