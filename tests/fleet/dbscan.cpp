#include "hdap/fleet/dbscan.hpp"

#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <omp.h>

using namespace hdap;
using namespace hdap::fleet;

namespace {

/// Gaussian blobs of different density and some scattered points.
std::vector<double> random_blobs(std::size_t count, std::size_t dimension, std::uint32_t number) {
    core::RandomStream random(31, core::StreamId::testing, number);
    const std::size_t blobs = 2 + random.below(5);
    std::vector<double> centres(blobs * dimension);
    for (double& coordinate : centres)
        coordinate = random.uniform();
    std::vector<double> points;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t blob = random.below(blobs + 1);
        const double sigma = 0.01 * static_cast<double>(1 + blob);
        for (std::size_t d = 0; d < dimension; ++d)
            points.push_back(blob == blobs
                                 ? random.uniform()
                                 : centres[blob * dimension + d] + sigma * random.normal());
    }
    return points;
}

/// The definition, in O(n²).
DbscanResult reference_dbscan(PointView points, double eps, std::int64_t min_points) {
    const std::size_t count = points.size();
    const auto squared = [&](std::size_t a, std::size_t b) {
        return squared_distance(points[a], points[b], points.dimension);
    };
    std::vector<bool> core(count);
    for (std::size_t i = 0; i < count; ++i) {
        std::int64_t neighbours = 0;
        for (std::size_t j = 0; j < count; ++j)
            neighbours += squared(i, j) <= eps * eps ? 1 : 0;
        core[i] = neighbours >= min_points;
    }
    DbscanResult result;
    result.label.assign(count, -1);
    std::vector<std::vector<std::size_t>> members;
    for (std::size_t start = 0; start < count; ++start) {
        if (!core[start] || result.label[start] >= 0) continue;
        const auto cluster = static_cast<std::int32_t>(members.size());
        members.push_back({start});
        result.label[start] = cluster;
        for (std::size_t m = 0; m < members.back().size(); ++m) {
            for (std::size_t j = 0; j < count; ++j) {
                if (!core[j] || result.label[j] >= 0 || squared(members.back()[m], j) > eps * eps)
                    continue;
                result.label[j] = cluster;
                members.back().push_back(j);
            }
        }
    }
    for (std::size_t i = 0; i < count; ++i) {
        double best = eps * eps;
        for (std::size_t j = 0; !core[i] && j < count; ++j) {
            if (!core[j] || squared(i, j) > best) continue;
            if (squared(i, j) < best || result.label[i] < 0) result.label[i] = result.label[j];
            best = squared(i, j);
        }
    }
    std::vector<std::pair<std::int64_t, std::int32_t>> order;
    for (std::size_t c = 0; c < members.size(); ++c) {
        const auto cluster = static_cast<std::int32_t>(c);
        order.emplace_back(-std::count(result.label.begin(), result.label.end(), cluster), cluster);
    }
    // Equal sizes: by the lowest point, border points included.
    std::sort(order.begin(), order.end(), [&](const auto& a, const auto& b) {
        if (a.first != b.first) return a.first < b.first;
        return std::find(result.label.begin(), result.label.end(), a.second) <
               std::find(result.label.begin(), result.label.end(), b.second);
    });
    std::vector<std::int32_t> number(members.size());
    for (std::size_t rank = 0; rank < order.size(); ++rank)
        number[static_cast<std::size_t>(order[rank].second)] = static_cast<std::int32_t>(rank);
    for (std::int32_t& label : result.label)
        if (label >= 0) label = number[static_cast<std::size_t>(label)];
    result.clusters = static_cast<std::int32_t>(members.size());
    return result;
}

} // namespace

TEST_CASE("DBSCAN agrees with its definition on random blobs, with 1 and 3 threads") {
    bool saw_noise = false;
    bool saw_several = false;
    for (std::uint32_t number = 0; number < 21; ++number) {
        const std::size_t dimension = 2 + number % 7;
        const std::vector<double> coordinates = random_blobs(350, dimension, number);
        const PointView points{coordinates, dimension};
        const double eps = 0.02 * std::sqrt(static_cast<double>(dimension)) *
                           (1.0 + 0.5 * static_cast<double>(number % 3));
        for (const std::int64_t min_points : {1, 4, 12}) {
            const DbscanResult expected = reference_dbscan(points, eps, min_points);
            for (const int threads : {1, 3}) {
                omp_set_num_threads(threads);
                const DbscanResult found = dbscan(points, eps, min_points);
                CHECK(found.clusters == expected.clusters);
                CHECK(found.label == expected.label);
            }
            omp_set_num_threads(1);
            saw_noise = saw_noise || std::count(expected.label.begin(), expected.label.end(), -1);
            saw_several = saw_several || expected.clusters > 2;
        }
    }
    CHECK(saw_noise);
    CHECK(saw_several);
}

TEST_CASE(
    "a border point belongs to the nearest core point's cluster, of equal ones the lowest's") {
    // Two groups of six; only the points at 1 (index 0) and 0 (index 6) reach the one between.
    const auto twin_of = [](double between) {
        const std::vector<double> line{1.0,  1.5,  1.5,  1.5,  1.5,  1.5,    0.0,
                                       -0.5, -0.5, -0.5, -0.5, -0.5, between};
        const std::vector<std::int32_t> label = dbscan({line, 1}, 0.625, 6).label;
        CHECK(label[0] != label[6]);
        return label.back() == label[0] ? 0 : label.back() == label[6] ? 6 : -1;
    };
    CHECK(twin_of(0.375) == 6);
    CHECK(twin_of(0.4375) == 6);
    CHECK(twin_of(0.5) == 0);
    CHECK(twin_of(0.5625) == 0);
    CHECK(twin_of(0.7) == 0);
}

TEST_CASE("degenerate inputs: no points, one point, all equal, all far apart") {
    CHECK(dbscan({{}, 2}, 0.1, 3).clusters == 0);
    const std::vector<double> one{1.0, 2.0};
    CHECK(dbscan({one, 2}, 0.1, 1).label == std::vector<std::int32_t>{0});
    CHECK(dbscan({one, 2}, 0.1, 2).label == std::vector<std::int32_t>{-1});
    const std::vector<double> equal(5000, 3.0);
    CHECK(dbscan({equal, 1}, 1e-3, 5).clusters == 1);
    const std::vector<double> apart{0.0, 1.0, 2.0, 3.0};
    CHECK(dbscan({apart, 1}, 0.5, 2).label == std::vector<std::int32_t>{-1, -1, -1, -1});
    // The bound counts as inside.
    CHECK(dbscan({apart, 1}, 1.0, 2).label == std::vector<std::int32_t>{0, 0, 0, 0});
}

TEST_CASE("the knee of a known curve is where it leaves the flat part") {
    std::vector<double> bend(101);
    for (std::size_t i = 0; i < bend.size(); ++i)
        bend[i] =
            i <= 80 ? 0.001 * static_cast<double>(i) : 0.08 + 0.5 * static_cast<double>(i - 80);
    CHECK(knee(bend) == 80);
    // y = x^p has slope 1 at x = p^(1 / (1 − p)).
    std::vector<double> power(1001);
    for (std::size_t i = 0; i < power.size(); ++i)
        power[i] = 5.0 + 3.0 * std::pow(static_cast<double>(i) / 1000.0, 4.0);
    CHECK(static_cast<double>(knee(power)) / 1000.0 ==
          Approx(std::pow(4.0, -1.0 / 3.0)).margin(0.001));
    CHECK(knee(std::vector<double>{2.0}) == 0);
    CHECK(knee(std::vector<double>{2.0, 2.0, 2.0}) == 2);
    CHECK(knee(std::vector<double>{0.0, 1.0, 2.0}) == 2);
}

TEST_CASE("the k-distance curve counts other points, sorted, for any number of threads") {
    const std::vector<double> line{0.0, 1.0, 3.0, 7.0};
    CHECK(k_distance_curve({line, 1}, 1, 100) == std::vector<double>{1.0, 1.0, 2.0, 4.0});
    CHECK(k_distance_curve({line, 1}, 99, 100) == std::vector<double>{4.0, 6.0, 7.0, 7.0});
    CHECK(k_distance_curve({line, 1}, 0, 2) == std::vector<double>{0.0, 0.0});
    CHECK(k_distance_curve({std::span(line).first(1), 1}, 3, 9) == std::vector<double>{0.0});
    const std::vector<double> blobs = random_blobs(500, 4, 99);
    const auto sampled = k_distance_curve({blobs, 4}, 4, 50);
    CHECK(sampled.size() == 50);
    omp_set_num_threads(3);
    CHECK(k_distance_curve({blobs, 4}, 4, 50) == sampled);
    omp_set_num_threads(1);
}
