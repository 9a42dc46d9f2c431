
#include "bench.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/text.hpp"
#include "hdap/search/hypervolume.hpp"
#include "hdap/search/non_dominated_sort.hpp"
#include "stopwatch.hpp"

#ifdef HDAP_HAS_PAGMO
#include <pagmo/config.hpp>
#include <pagmo/types.hpp>
#include <pagmo/utils/hypervolume.hpp>
#include <pagmo/utils/multi_objective.hpp>
#include <tuple>
#endif

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace hdap::bench {
namespace {

using namespace search;

/// [n][m] values in [0, 1).
std::vector<double> random_points(std::size_t n, std::size_t m) {
    core::RandomStream random(1, core::StreamId::testing, static_cast<std::uint32_t>(m));
    std::vector<double> points(n * m);
    for (double& value : points)
        value = random.uniform();
    return points;
}

/// The same directions, on the unit sphere: none dominates another.
std::vector<double> spherical_points(std::size_t n, std::size_t m) {
    std::vector<double> points = random_points(n, m);
    for (std::size_t i = 0; i < points.size(); i += m) {
        double square = 0;
        for (std::size_t k = i; k < i + m; ++k)
            square += points[k] * points[k];
        for (std::size_t k = i; k < i + m; ++k)
            points[k] = 1 - points[k] / std::sqrt(square);
    }
    return points;
}

using Ranking = std::function<std::vector<std::size_t>()>;
using Volume = std::function<double()>;

#ifdef HDAP_HAS_PAGMO
const char* const baseline = "pagmo " PAGMO_VERSION ", 1 thread";

std::vector<pagmo::vector_double> rows_of(const std::vector<double>& points, std::size_t m) {
    std::vector<pagmo::vector_double> rows;
    for (auto row = points.begin(); row != points.end(); row += static_cast<std::ptrdiff_t>(m))
        rows.emplace_back(row, row + static_cast<std::ptrdiff_t>(m));
    return rows;
}

Ranking pagmo_ranking(const std::vector<double>& points, std::size_t m) {
    return [rows = rows_of(points, m)] {
        return std::get<3>(pagmo::fast_non_dominated_sorting(rows));
    };
}

Volume pagmo_volume(const std::vector<double>& points, const std::vector<double>& reference) {
    return [volume = pagmo::hypervolume(rows_of(points, reference.size()), false), reference] {
        return volume.compute(reference);
    };
}
#else
const char* const baseline = "pagmo is not installed";

Ranking pagmo_ranking(const std::vector<double>&, std::size_t) {
    return {};
}

Volume pagmo_volume(const std::vector<double>&, const std::vector<double>&) {
    return {};
}
#endif

/// `theirs` may be empty.
Result time_both(std::string name, std::function<void()> ours, std::function<void()> theirs,
                 int rounds) {
    std::vector<std::function<void()>> work{std::move(ours)};
    if (theirs) work.push_back(std::move(theirs));
    const std::vector<double> seconds = fastest_seconds(work, rounds);
    Result result;
    result.name = std::move(name);
    result.value = seconds[0] * 1e3;
    result.unit = "ms";
    result.baseline = baseline;
    if (seconds.size() == 2) {
        result.baseline_value = seconds[1] * 1e3;
        result.ratio = seconds[1] / seconds[0];
    }
    return result;
}

Result bench_ranking(const std::string& name, std::size_t m, bool verify) {
    const std::vector<double> points = random_points(10'000, m);
    const Ranking theirs = pagmo_ranking(points, m);
    if (verify && theirs) {
        const std::vector<std::int32_t> ours = non_dominated_rank(points, m, {});
        if (!std::ranges::equal(ours, theirs(), std::cmp_equal<std::int32_t, std::size_t>))
            throw core::InternalError(name + ": the ranks differ from pagmo's");
    }
    const auto ours = [&] { static_cast<void>(non_dominated_rank(points, m, {})); };
    // pagmo needs a second for one ranking, so that few rounds have to do.
    return time_both(name, ours, theirs, 3);
}

Result bench_hypervolume(const std::string& name, bool verify) {
    const std::vector<double> reference{1.1, 1.1, 1.1};
    const std::vector<double> points = spherical_points(1'000, reference.size());
    const Volume theirs = pagmo_volume(points, reference);
    if (verify && theirs) {
        const double ours = hypervolume(points, reference.size(), reference);
        const double expected = theirs();
        if (std::abs(ours - expected) > 1e-12 * std::abs(expected)) {
            throw core::InternalError(name + ": " + core::shortest(ours) +
                                      " differs from pagmo's " + core::shortest(expected));
        }
    }
    const auto ours = [&] { static_cast<void>(hypervolume(points, reference.size(), reference)); };
    return time_both(name, ours, theirs, 15);
}

} // namespace

std::vector<Result> bench_sort(bool verify) {
    return {bench_ranking("non_dominated_rank_2_objectives", 2, verify),
            bench_ranking("non_dominated_rank_3_objectives", 3, verify),
            bench_hypervolume("hypervolume_3_objectives", verify)};
}

} // namespace hdap::bench
