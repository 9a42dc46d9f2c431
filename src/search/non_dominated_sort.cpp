#include "hdap/search/non_dominated_sort.hpp"

#include "hdap/core/check.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace hdap::search {

namespace {

std::size_t checked_count(std::span<const double> objectives, std::size_t m) {
    if (m == 0 || objectives.size() % m != 0) {
        throw core::InternalError(
            fmt::format("{} objective values are not rows of {}", objectives.size(), m));
    }
    const auto nan = std::ranges::find_if(objectives, [](double x) { return std::isnan(x); });
    if (nan != objectives.end()) {
        const auto at = static_cast<std::size_t>(nan - objectives.begin());
        throw core::InternalError(
            fmt::format("objective {} of point {} is not a number", at % m, at / m));
    }
    return objectives.size() / m;
}

void check_violations(std::span<const double> violations, std::size_t n) {
    if (violations.empty()) return;
    if (violations.size() != n) {
        throw core::InternalError(fmt::format("{} violations for {} points", violations.size(), n));
    }
    for (std::size_t i = 0; i < n; ++i) {
        if (!(violations[i] >= 0)) {
            throw core::InternalError(fmt::format("the violation of point {} is {}, not at least 0",
                                                  i, core::shortest(violations[i])));
        }
    }
}

// The three kinds of fronts answer the same question: does a member have no coordinate above the
// point's? The first objective is left out, as the points come in its order.

/// Of two objectives: of all members, the latest has the smallest second coordinate.
class TailFront {
  public:
    explicit TailFront(std::size_t) {}
    [[nodiscard]] bool dominates(const double* rest) const { return tail_ <= rest[0]; }
    void insert(const double* rest) {
        HDAP_CHECK(!(rest[0] > tail_), rest[0], tail_);
        tail_ = rest[0];
    }

  private:
    double tail_ = std::numeric_limits<double>::infinity();
};

/// Of three objectives: the members that are minimal in the last two, ascending in one and
/// descending in the other.
class StaircaseFront {
  public:
    explicit StaircaseFront(std::size_t) {}

    [[nodiscard]] bool dominates(const double* rest) const {
        const auto after = std::ranges::upper_bound(steps_, rest[0], {}, &Step::y);
        return after != steps_.begin() && std::prev(after)->z <= rest[1];
    }

    void insert(const double* rest) {
        const auto first = std::ranges::lower_bound(steps_, rest[0], {}, &Step::y);
        HDAP_CHECK(first == steps_.begin() || std::prev(first)->z > rest[1], rest[0], rest[1]);
        auto last = first;
        while (last != steps_.end() && last->z >= rest[1])
            ++last;
        if (first == last) {
            steps_.insert(first, Step{rest[0], rest[1]});
        } else {
            *first = Step{rest[0], rest[1]};
            steps_.erase(std::next(first), last);
        }
    }

  private:
    struct Step {
        double y;
        double z;
    };
    std::vector<Step> steps_;
};

/// Of any number of objectives: all members.
class PlainFront {
  public:
    explicit PlainFront(std::size_t width) : width_(width) {}

    [[nodiscard]] bool dominates(const double* rest) const {
        // The latest members are the nearest in the first objective: the likeliest to dominate.
        for (std::size_t member = count_; member-- > 0;) {
            const double* const row = rows_.data() + member * width_;
            std::size_t k = 0;
            while (k < width_ && row[k] <= rest[k])
                ++k;
            if (k == width_) return true;
        }
        return false;
    }

    void insert(const double* rest) {
        rows_.insert(rows_.end(), rest, rest + width_);
        ++count_;
    }

  private:
    std::size_t width_;
    std::size_t count_ = 0;
    std::vector<double> rows_;
};

/// A row of an [n][m] array. The first objective nearly always decides, so it lies beside the
/// index.
struct Key {
    double first;
    std::size_t index;
};

/// Rows in lexicographic order.
struct SortedRows {
    std::size_t m;
    std::vector<Key> keys;
    std::vector<double> values; // [keys.size()][m]

    [[nodiscard]] const double* row(std::size_t i) const { return values.data() + i * m; }
};

SortedRows sort_rows(std::span<const double> objectives, std::size_t m, std::vector<Key> keys) {
    std::ranges::sort(keys, [&](const Key& a, const Key& b) {
        if (a.first != b.first) return a.first < b.first;
        for (std::size_t k = 1; k < m; ++k) {
            const double x = objectives[a.index * m + k];
            const double y = objectives[b.index * m + k];
            if (x != y) return x < y;
        }
        return a.index < b.index;
    });
    SortedRows sorted{m, std::move(keys), {}};
    sorted.values.reserve(sorted.keys.size() * m);
    for (const Key& key : sorted.keys) {
        const auto row = objectives.subspan(key.index * m, m);
        sorted.values.insert(sorted.values.end(), row.begin(), row.end());
    }
    return sorted;
}

/// Ranks the rows into `ranks` and returns the number of fronts.
template <class Front>
std::size_t rank_rows(const SortedRows& sorted, std::vector<std::int32_t>& ranks) {
    const std::size_t m = sorted.m;
    std::vector<Front> fronts;
    std::size_t rank = 0;
    for (std::size_t i = 0; i < sorted.keys.size(); ++i) {
        const double* const row = sorted.row(i);
        if (i == 0 || !std::equal(row, row + m, sorted.row(i - 1))) {
            // A point that some front dominates is dominated by every better one too.
            const auto found = std::ranges::partition_point(
                fronts, [&](const Front& front) { return front.dominates(row + 1); });
            rank = static_cast<std::size_t>(found - fronts.begin());
            if (rank == fronts.size()) fronts.emplace_back(m - 1);
            fronts[rank].insert(row + 1);
        }
        ranks[sorted.keys[i].index] = static_cast<std::int32_t>(rank);
    }
    return fronts.size();
}

std::size_t rank_feasible(const SortedRows& sorted, std::vector<std::int32_t>& ranks) {
    if (sorted.m == 2) return rank_rows<TailFront>(sorted, ranks);
    if (sorted.m == 3) return rank_rows<StaircaseFront>(sorted, ranks);
    return rank_rows<PlainFront>(sorted, ranks);
}

void rank_infeasible(std::span<const double> violations, std::vector<std::size_t> infeasible,
                     std::size_t first_rank, std::vector<std::int32_t>& ranks) {
    std::ranges::sort(infeasible, {}, [&](std::size_t i) { return violations[i]; });
    std::size_t rank = first_rank;
    for (std::size_t k = 0; k < infeasible.size(); ++k) {
        if (k > 0 && violations[infeasible[k]] != violations[infeasible[k - 1]]) ++rank;
        ranks[infeasible[k]] = static_cast<std::int32_t>(rank);
    }
}

} // namespace

std::vector<std::int32_t> non_dominated_rank(std::span<const double> objectives, std::size_t m,
                                             std::span<const double> violations) {
    const std::size_t n = checked_count(objectives, m);
    check_violations(violations, n);
    std::vector<Key> feasible;
    feasible.reserve(n);
    std::vector<std::size_t> infeasible;
    for (std::size_t i = 0; i < n; ++i)
        if (violations.empty() || violations[i] == 0)
            feasible.push_back({objectives[i * m], i});
        else
            infeasible.push_back(i);
    std::vector<std::int32_t> ranks(n);
    const std::size_t fronts = rank_feasible(sort_rows(objectives, m, std::move(feasible)), ranks);
    rank_infeasible(violations, std::move(infeasible), fronts, ranks);
    return ranks;
}

std::vector<double> crowding_distance(std::span<const double> objectives, std::size_t m,
                                      std::span<const std::size_t> front) {
    if (m == 0 || objectives.size() % m != 0) checked_count(objectives, m);
    const std::size_t n = objectives.size() / m;
    std::vector<double> distances(front.size(), 0.0);
    struct Key {
        double value;
        std::size_t index;    // into the objectives
        std::size_t position; // in the front
    };
    std::vector<Key> keys(front.size());
    for (std::size_t k = 0; k < m; ++k) {
        for (std::size_t i = 0; i < front.size(); ++i) {
            if (front[i] >= n) {
                throw core::InternalError(fmt::format("a front holds point {} of {}", front[i], n));
            }
            keys[i] = {objectives[front[i] * m + k], front[i], i};
            if (std::isnan(keys[i].value)) checked_count(objectives, m);
        }
        std::ranges::sort(keys, [](const Key& a, const Key& b) {
            return a.value != b.value ? a.value < b.value : a.index < b.index;
        });
        if (keys.empty() || keys.front().value == keys.back().value) continue;
        const double range = keys.back().value - keys.front().value;
        for (std::size_t i = 1; i + 1 < keys.size() && std::isfinite(range); ++i)
            distances[keys[i].position] += (keys[i + 1].value - keys[i - 1].value) / range;
        distances[keys.front().position] = std::numeric_limits<double>::infinity();
        distances[keys.back().position] = std::numeric_limits<double>::infinity();
    }
    return distances;
}

std::vector<std::vector<std::size_t>> fronts_of(std::span<const std::int32_t> ranks) {
    std::vector<std::vector<std::size_t>> fronts;
    for (std::size_t i = 0; i < ranks.size(); ++i) {
        if (ranks[i] < 0 || static_cast<std::size_t>(ranks[i]) >= ranks.size()) {
            throw core::InternalError(
                fmt::format("point {} of {} has rank {}", i, ranks.size(), ranks[i]));
        }
        const auto rank = static_cast<std::size_t>(ranks[i]);
        if (rank >= fronts.size()) fronts.resize(rank + 1);
        fronts[rank].push_back(i);
    }
    if (std::ranges::any_of(fronts, [](const auto& front) { return front.empty(); }))
        throw core::InternalError("a rank before the last has no points");
    return fronts;
}

std::vector<double> crowding_distance_by_rank(std::span<const double> objectives, std::size_t m,
                                              std::span<const std::int32_t> ranks) {
    if (checked_count(objectives, m) != ranks.size()) {
        throw core::InternalError(
            fmt::format("{} ranks for {} points", ranks.size(), objectives.size() / m));
    }
    std::vector<double> distances(ranks.size());
    for (const std::vector<std::size_t>& front : fronts_of(ranks)) {
        const std::vector<double> of_front = crowding_distance(objectives, m, front);
        for (std::size_t i = 0; i < front.size(); ++i)
            distances[front[i]] = of_front[i];
    }
    return distances;
}

} // namespace hdap::search
