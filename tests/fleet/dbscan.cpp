#include "hdap/fleet/dbscan.hpp"

#include "fleet/components.hpp"
#include "fleet/core_points.hpp"
#include "fleet/kd_tree.hpp"
#include "fleet/point_kernels.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <omp.h>
#include <string>

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

namespace {

/// [point] the lowest point of its set, for kept points; else -1.
std::vector<std::int64_t> sets_of_points(const KdTree& tree, DisjointSets& sets) {
    std::map<DisjointSets::Member, std::int64_t> lowest;
    std::vector<std::int64_t> set(tree.slots(), -1);
    const auto for_kept = [&](const auto& action) {
        for (std::size_t l = 0; l < tree.leaves(); ++l) {
            const KdTree::Node leaf = tree.node_of_leaf(l);
            for (std::size_t i = 0; i < tree.count(leaf); ++i)
                action(static_cast<KdTree::Slot>(tree.first_slot(leaf) + i));
        }
    };
    for_kept([&](KdTree::Slot slot) {
        const std::int64_t point = tree.point(slot);
        const auto [found, added] = lowest.try_emplace(sets.find(slot), point);
        if (!added) found->second = std::min(found->second, point);
    });
    for_kept([&](KdTree::Slot slot) { set[tree.point(slot)] = lowest[sets.find(slot)]; });
    return set;
}

/// The same with every pair of kept points united that is near enough.
std::vector<std::int64_t> sets_of_points_plainly(const KdTree& tree, double squared_radius) {
    DisjointSets sets(tree.slots());
    std::vector<KdTree::Slot> kept;
    for (std::size_t l = 0; l < tree.leaves(); ++l) {
        const KdTree::Node leaf = tree.node_of_leaf(l);
        for (std::size_t i = 0; i < tree.count(leaf); ++i)
            kept.push_back(static_cast<KdTree::Slot>(tree.first_slot(leaf) + i));
    }
    std::vector<double> a(tree.dimension());
    std::vector<double> b(tree.dimension());
    for (const KdTree::Slot first : kept) {
        tree.coordinates(first, a);
        for (const KdTree::Slot second : kept) {
            tree.coordinates(second, b);
            if (squared_distance(a.data(), b.data(), a.size()) <= squared_radius)
                sets.unite(first, second);
        }
    }
    return sets_of_points(tree, sets);
}

/// Points of one kind, for which searches in a tree have special cases.
std::vector<double> special_points(const std::string& kind, std::size_t count,
                                   std::size_t dimension) {
    core::RandomStream random(32, core::StreamId::testing, static_cast<std::uint32_t>(dimension));
    const auto whole = [&](std::uint64_t steps) {
        return 0.125 * static_cast<double>(random.below(steps));
    };
    std::vector<double> points;
    for (std::size_t i = 0; i < count; ++i) {
        const double along = random.uniform();
        const double place = whole(2);
        for (std::size_t d = 0; d < dimension; ++d)
            points.push_back(kind == "identical"    ? 0.3
                             : kind == "two places" ? place
                             : kind == "collinear"  ? along * static_cast<double>(d + 1)
                             : kind == "gridded"    ? whole(5)
                             : kind == "duplicates" ? std::floor(8.0 * along) * 0.1
                                                    : random.uniform());
    }
    return points;
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
        for (const std::int64_t min_points : {1, 4, 12, 60}) {
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

TEST_CASE("DBSCAN agrees with its definition on points that are no blobs") {
    for (const char* kind :
         {"identical", "two places", "collinear", "gridded", "duplicates", "uniform"})
        for (const std::size_t dimension : {1U, 3U, 8U}) {
            const std::vector<double> coordinates = special_points(kind, 300, dimension);
            const PointView points{coordinates, dimension};
            // 0.125 is a distance of the grid: the bound counts as inside.
            for (const double eps : {1e-3, 0.03, 0.125, 0.4, 20.0})
                for (const std::int64_t min_points : {1, 3, 20, 300, 301}) {
                    CAPTURE(kind, dimension, eps, min_points);
                    CHECK(dbscan(points, eps, min_points).label ==
                          reference_dbscan(points, eps, min_points).label);
                }
        }
}

TEST_CASE("core points and components are the same with leaves of any size") {
    const std::vector<double> coordinates = random_blobs(1500, 3, 7);
    const PointView points{coordinates, 3};
    const double squared_eps = 0.03 * 0.03;
    for (const std::size_t wanted : {2U, 9U, 40U})
        for (const std::size_t leaf_points : {1U, 3U, 16U, 64U, 5000U}) {
            KdTree tree(points, leaf_points);
            const auto is_core = core_points(tree, squared_eps, wanted, Shares());
            std::vector<std::size_t> neighbours(points.size(), 0);
            for (std::size_t i = 0; i < points.size(); ++i)
                for (std::size_t j = 0; j < points.size(); ++j)
                    neighbours[i] +=
                        squared_distance(points[i], points[j], 3) <= squared_eps ? 1 : 0;
            std::size_t seen = 0;
            bool same = true;
            for (std::size_t l = 0; l < tree.leaves(); ++l) {
                const KdTree::Node leaf = tree.node_of_leaf(l);
                for (std::size_t i = 0; i < tree.points(leaf); ++i, ++seen) {
                    const auto slot = static_cast<KdTree::Slot>(tree.first_slot(leaf) + i);
                    same = same && (is_core[slot] != 0) == (neighbours[tree.point(slot)] >= wanted);
                }
            }
            CHECK(same);
            CHECK(seen == points.size());
            tree.keep(is_core);
            CHECK(tree.count(KdTree::root) ==
                  static_cast<std::size_t>(std::count(is_core.begin(), is_core.end(), 1)));
            DisjointSets sets = components(tree, squared_eps, Shares());
            CHECK(sets_of_points(tree, sets) == sets_of_points_plainly(tree, squared_eps));
        }
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

TEST_CASE("distances have the same bits on every processor, and where leaves are not full") {
    core::RandomStream random(33, core::StreamId::testing);
    constexpr std::size_t stride = 24;
    constexpr std::size_t dimension = 5;
    std::vector<double> rows(stride * dimension);
    for (double& value : rows)
        value = random.normal();
    const std::vector<double> query(dimension, 0.25);
    const PointKernelsSet set = all_point_kernels();
    for (std::size_t count = 0; count <= 20; ++count) {
        std::vector<double> expected;
        for (std::size_t i = 0; i < count; ++i) {
            std::vector<double> point;
            for (std::size_t d = 0; d < dimension; ++d)
                point.push_back(rows[d * stride + i]);
            expected.push_back(squared_distance(query.data(), point.data(), dimension));
        }
        // The bound is one of the distances.
        const double bound = count == 0 ? 1.0 : expected[count / 2];
        const auto within = std::count_if(expected.begin(), expected.end(),
                                          [&](double squared) { return squared <= bound; });
        for (std::size_t k = 0; k < set.count; ++k) {
            std::vector<double> squared(stride);
            set.kernels[k]->distances(rows.data(), stride, dimension, count, query.data(),
                                      squared.data());
            squared.resize(count);
            CHECK(squared == expected);
            CHECK(set.kernels[k]->count_within(rows.data(), stride, dimension, count, query.data(),
                                               bound) == static_cast<std::size_t>(within));
        }
    }
}

TEST_CASE("automatic parameters are the same density whatever the number of points") {
    CHECK(min_points_for(1) == 5);
    CHECK(min_points_for(2'399) == 5);
    CHECK(min_points_for(100'000) == 250);
    CHECK(min_points_for(10'000'000) == 25'000);
    // Of every point there are three more: distances to the (3 k)-th of 300,000 points are about
    // those to the k-th of 100,000.
    core::RandomStream random(34, core::StreamId::testing);
    std::vector<double> few(100'000);
    for (double& value : few)
        value = random.normal();
    std::vector<double> many;
    for (const double value : few)
        many.insert(many.end(), 3, value);
    const double eps = eps_at_knee(density_curve({few, 1}, 250), 1e-3);
    CHECK(eps_at_knee(density_curve({many, 1}, 750), 1e-3) == eps);
    // Of 6 of 300,000 only 2 of 100,000 would be left, so all points are asked: of 6, 3 are alike.
    CHECK(density_curve({many, 1}, 6).size() == 2000);
    CHECK(density_curve({many, 1}, 3) == std::vector<double>(2000, 0.0));
    CHECK(density_curve({std::span(few).first(1), 1}, 5) == std::vector<double>{0.0});
}

TEST_CASE("eps is between 90 % and 97 % of the curve, and not below the smallest") {
    std::vector<double> curve(101);
    for (std::size_t i = 0; i < curve.size(); ++i)
        curve[i] = i < 50 ? 0.001 : static_cast<double>(i); // the knee is at 49
    CHECK(eps_at_knee(curve, 1e-3) == 90.0);
    std::fill(curve.begin(), curve.end() - 1, 0.001);
    CHECK(eps_at_knee(curve, 1e-3) == 0.001); // at 99
    CHECK(eps_at_knee(curve, 0.5) == 0.5);
    CHECK(eps_at_knee(std::vector<double>{2.0}, 1e-3) == 2.0);
}

TEST_CASE("what DBSCAN needs grows with points and dimensions") {
    CHECK(dbscan_bytes(0, 8) == 0);
    CHECK(dbscan_bytes(1'000'000, 8) > 1'000'000 * 8 * 8);
    CHECK(dbscan_bytes(1'000'000, 8) < 200'000'000);
    CHECK(dbscan_bytes(2'000'000, 8) == 2 * dbscan_bytes(1'000'000, 8));
}
